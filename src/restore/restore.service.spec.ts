import { describe, expect, it } from 'vitest';
import type { SourceKind } from '../catalog/index.js';
import { RESTORE_MODES, type RestoreRequest } from './restore-request.js';
import type { RepositoryApi } from '../repository/index.js';
import { assertModeFits, buildsAnew, RestoreService, siteOf } from './restore.service.js';

describe('the modes of a restore point', () => {
  const VDC_MODES = RESTORE_MODES.filter((mode) => !['template', 'medium', 'first-class-disk'].includes(mode));
  it.each([
    ['vapp', VDC_MODES],
    ['standalone-vm', VDC_MODES],
    ['vapp-template', ['template']],
    ['media', ['medium']],
    ['first-class-disk', ['first-class-disk']],
  ] satisfies [SourceKind, string[]][])('of kind %s', (sourceKind, fitting) => {
    const fits = RESTORE_MODES.filter((mode) => {
      try {
        assertModeFits({ mode }, { sourceKind, vappName: 'it' });
        return true;
      } catch (error) {
        expect(error).toMatchObject({ code: 'RESTORE_REQUEST_INVALID', details: { field: 'mode', mode } });
        return false;
      }
    });
    expect(fits).toEqual(fitting);
  });
  it('names the mode that fits', () => {
    const refused = (mode: 'copy' | 'template', sourceKind: SourceKind) => () => assertModeFits({ mode }, { sourceKind, vappName: 'it' });
    expect(refused('copy', 'media')).toThrow('of medium "it", which mode copy does not restore; use mode medium.');
    expect(refused('template', 'vapp')).toThrow(/of vApp "it".*one of: missing-vapp, overwrite/);
  });
});

describe('a restore whose worker died is begun again', () => {
  it.each<[RestoreRequest['mode'], boolean]>([
    ['missing-vapp', true],
    ['overwrite', false],
    ['recreate', true],
    ['copy', true],
    ['vms', false],
    ['disk', false],
    ['template', true],
    ['medium', true],
    ['first-class-disk', true],
  ])('in mode %s: %s', (mode, expected) => {
    expect(buildsAnew({ mode, choices: {} })).toBe(expected);
  });

  it('not where it writes over a disk that is there', () => {
    expect(buildsAnew({ mode: 'first-class-disk', choices: { existingDisk: 'overwrite' } })).toBe(false);
    expect(buildsAnew({ mode: 'copy', choices: { namedDisks: 'existing' } })).toBe(false);
  });
});

describe('where a restore reads from', () => {
  const second = { repositoryId: 'second' };
  const repository = { repositoryId: 'either', at: (site: string) => ({ repositoryId: site }) } as unknown as RepositoryApi;

  it('is the site that was named, or the repository, which falls over by itself', () => {
    expect(siteOf(repository, {})).toBe(repository);
    expect(siteOf(repository, { site: 'second' })).toEqual(second);
  });
});

describe('the plan for a first class disk', () => {
  const site = (name: string) => ({ readManifest: () => Promise.reject(new Error(`read from ${name}`)) });
  const repository = { ...site('either'), at: site };
  const point = { organizationId: 'org', cloudId: 'cloud', sourceKind: 'first-class-disk', vappName: 'data' };
  const cloud = { vcd: () => Promise.reject(new Error('VCD is away')) };
  const parts = [{}, { restorePointToRead: async () => point }, { sessions: async () => cloud }, repository];
  const service = new (RestoreService as unknown as new (...fakes: unknown[]) => RestoreService)(...parts);

  it('is made without VCD, of the site that was asked for', async () => {
    const request = { restorePointId: 'point', mode: 'first-class-disk', choices: {} } as unknown as RestoreRequest;
    await expect(service.plan({ ...request, site: 'second' })).rejects.toThrow('read from second');
    await expect(service.plan(request)).rejects.toThrow('read from either');
  });
});
