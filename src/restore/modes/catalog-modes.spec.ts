import { describe, expect, it } from 'vitest';
import type { MediaCapture } from '../../vcd/index.js';
import type { PlanItem, RestorePlan } from '../plan-types.js';
import { vappCapture, vmCapture } from '../plan/testing.js';
import { compareMedium } from './medium.js';
import { nameTaking, nameWhileMaking } from './take-the-name.js';
import { asSource } from './template.js';

describe('the vApp a template is captured from', () => {
  it('has the VMs as they will be, and nothing that would let somebody else see or lose it', () => {
    const wanted = vappCapture([vmCapture('web')], {
      kind: 'vapp-template',
      lease: { deploymentSeconds: 0, storageSeconds: 77 },
      metadata: [{ key: 'build', type: 'MetadataStringValue', value: '42', domain: 'GENERAL', visibility: 'READWRITE' }],
      access: { sharedToEveryone: true, everyoneAccessLevel: 'ReadOnly', grants: [] },
    });
    const owner = { href: 'https://vcd/api/admin/user/olivia' };
    const plan = { wanted, owner, vappName: 'pair' } as RestorePlan;
    const source = asSource(plan, { name: 'pair-0197', lease: { deploymentSeconds: 600, storageSeconds: 0 } });
    expect(source).toMatchObject({
      vappName: 'pair-0197',
      owner: undefined,
      wanted: {
        kind: 'vapp',
        vms: wanted.vms,
        networks: wanted.networks,
        lease: { deploymentSeconds: 600, storageSeconds: 0 },
        metadata: [],
        access: { sharedToEveryone: false, grants: [] },
      },
    });
    expect(plan.wanted).toBe(wanted);
  });
});

describe('a medium that is restored', () => {
  const catalog = { href: 'https://vcd/api/catalog/1', name: 'images' };
  const medium = (more: Partial<MediaCapture> = {}): MediaCapture => ({
    ...{ kind: 'media', href: 'https://vcd/api/media/1', id: 'urn:vcloud:media:1', name: 'disc', imageType: 'iso', sizeBytes: 4096 },
    ...{
      organization: { href: 'org' },
      vdc: { href: 'vdc' },
      owner: { href: 'u', name: 'olivia' },
      metadata: [],
      apiVersion: '37.0',
      raw: {},
    },
    catalogEntry: { catalog, item: { href: 'item', name: more.name ?? 'disc' }, metadata: [] },
    ...more,
  });
  const place = { catalog, name: 'disc', replaced: undefined };
  const differing = (plan: Partial<Parameters<typeof compareMedium>[0]>, now: MediaCapture) =>
    compareMedium({ captured: medium(), place, items: [], ...plan }, now).filter(({ equal }) => !equal);

  it('is held against what was captured, attribute by attribute, with the reason the plan gave', () => {
    const sentence = 'Owner "olivia" is gone.';
    const items = [{ attribute: 'owner', conformity: 'missing', explanation: sentence } as PlanItem];
    const now = medium({ owner: { href: 'x', name: 'administrator' }, sizeBytes: 4097 });
    expect(differing({ items }, now).map(({ attribute, why }) => [attribute, why])).toEqual([
      ['owner', sentence],
      ['sizeBytes', null],
    ]);
    expect(differing({}, medium())).toEqual([]);
  });

  it('is not held to a name it was not to have, or cannot have yet', () => {
    expect(differing({}, medium({ name: 'other' })).map(({ attribute }) => attribute)).toEqual(['catalogEntry.name', 'name']);
    expect(differing({ place: { ...place, name: 'other' } }, medium({ name: 'other' }))).toEqual([]);
    expect(differing({ place: { ...place, replaced: { entityHref: 'old', name: 'disc' } } }, medium({ name: 'disc-0197' }))).toEqual([]);
  });
});

describe('the name of a replaced item', () => {
  const place = { catalog: { href: 'c' }, name: 'pair', replaced: { entityHref: 'old', name: 'pair' } };
  it('is owed from the commit on, where something is replaced', () => {
    expect(nameTaking('cloud', 'media', 'new', place)).toEqual([
      { kind: 'vcd.replace-item', terms: { cloudId: 'cloud', kind: 'media', entityHref: 'new', oldEntityHref: 'old', name: 'pair' } },
    ]);
    expect(nameTaking('cloud', 'media', 'new', { ...place, replaced: undefined })).toEqual([]);
  });
  it('leaves room for what makes it unique: VCD takes 128 characters', () => {
    const name = nameWhileMaking('x'.repeat(128), '01a1fee6-ce63-788b-9597-53d33adcda48');
    expect(name.length).toBeLessThanOrEqual(128);
    expect(name.endsWith('-01a1fee6-ce63-788b-9597-53d33adcda48')).toBe(true);
  });
});
