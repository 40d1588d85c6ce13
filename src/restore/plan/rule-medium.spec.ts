import { describe, expect, it } from 'vitest';
import type { MediaCapture } from '../../vcd/index.js';
import { type MediumToday, ruleMedium } from './rule-medium.js';
import { vdcResources } from './testing.js';

const images = { id: 'urn:vcloud:catalog:1', name: 'images', href: 'https://vcd/api/catalog/1' };
const olivia = { href: 'https://vcd/api/admin/user/olivia', name: 'olivia' };
const captured: MediaCapture = {
  kind: 'media',
  href: 'https://vcd/api/media/1',
  id: 'urn:vcloud:media:1',
  name: 'disc',
  description: 'Installation disc',
  imageType: 'iso',
  sizeBytes: 4096,
  organization: { href: 'https://vcd/api/org/acme', id: 'acme', name: 'acme' },
  vdc: { href: 'https://vcd/api/vdc/main', id: 'urn:vcloud:vdc:main', name: 'main' },
  owner: { href: 'https://vcd/api/admin/user/old', name: 'olivia' },
  storageProfile: { href: 'sp-silver', name: 'silver' },
  metadata: [{ key: 'release', type: 'MetadataStringValue', value: '9.1', domain: 'GENERAL', visibility: 'READWRITE' }],
  catalogEntry: { catalog: images, item: { href: 'item', name: 'disc' }, description: 'As it came', metadata: [] },
  apiVersion: '37.0',
  raw: {},
};
const today = (more: Partial<MediumToday> = {}): MediumToday => ({
  catalogs: { all: [images], chosen: images, readOnly: false, namesake: undefined },
  organizationName: 'acme',
  vdc: vdcResources(),
  vdcs: [{ id: 'urn:vcloud:vdc:main', name: 'main' }],
  users: new Map([['olivia', olivia]]),
  ...more,
});

describe('a medium', () => {
  type Row = [string, Partial<MediumToday>, Partial<Parameters<typeof ruleMedium>[2]>, string[]];
  const elsewhere = { ...images, id: 'urn:vcloud:catalog:2', name: 'other' };
  it.each([
    ['as it was', {}, {}, []],
    ['owner gone', { users: new Map() }, {}, ['owner missing']],
    ['profile gone', { vdc: vdcResources({ storageProfiles: [] }) }, {}, ['storageProfile missing']],
    ['profile chosen', {}, { choices: { storageProfiles: { silver: 'gold' } } }, ['storageProfile changed']],
    ['another VDC', { vdc: vdcResources({ name: 'test' }) }, {}, ['vdc changed']],
    ['VDC gone', { vdc: undefined }, {}, ['storageProfile missing', 'vdc missing']],
    [
      'another catalog and name',
      { catalogs: { all: [images, elsewhere], chosen: elsewhere, readOnly: false, namesake: undefined } },
      { name: 'disc-2', catalogId: elsewhere.id },
      ['catalogEntry.catalog changed', 'catalogEntry.name changed', 'name changed'],
    ],
  ] satisfies Row[])('%s', (_, more, request, differing) => {
    const { items } = ruleMedium(captured, today(more), { choices: {}, ...request });
    const others = items.filter((item) => item.conformity !== 'fits');
    expect(others.map((item) => `${item.attribute} ${item.conformity}`)).toEqual(differing);
    expect(others.every((item) => item.explanation !== '')).toBe(true);
  });

  it('has every captured attribute as an item', () => {
    const { items, storageProfileHref, owner } = ruleMedium(captured, today(), { choices: {} });
    expect(items.map((item) => item.attribute)).toEqual([
      'catalogEntry.catalog',
      'catalogEntry.description',
      'catalogEntry.name',
      'description',
      'imageType',
      'metadata.release.type',
      'metadata.release.value',
      'metadata.release.visibility',
      'name',
      'owner',
      'sizeBytes',
      'storageProfile',
      'vdc',
    ]);
    expect([storageProfileHref, owner]).toEqual(['sp-silver', olivia]);
  });

  it('is where it was, in a VDC that is called otherwise today', () => {
    const { items } = ruleMedium(captured, today({ vdc: vdcResources({ name: 'prime' }) }), { choices: {} });
    expect(items.find((item) => item.attribute === 'vdc')?.explanation).toBe('VDC "main" is called "prime" today.');
  });

  it('is written back with what was chosen, and without what is gone', () => {
    const plan = ruleMedium(captured, today({ users: new Map(), vdc: undefined }), { choices: {}, name: 'disc-2' });
    expect(plan.wanted).toMatchObject({ name: 'disc-2', description: 'Installation disc', catalogEntry: { item: { name: 'disc-2' } } });
    expect([plan.wanted.owner, plan.wanted.storageProfile, plan.storageProfileHref]).toEqual([undefined, undefined, undefined]);
  });

  it('refuses a profile the medium does not have, and an owner who is nobody', () => {
    expect(() => ruleMedium(captured, today(), { choices: { storageProfiles: { gold: 'silver' } } })).toThrow(/"gold".*"silver"/);
    expect(() => ruleMedium(captured, today(), { choices: { owner: 'nobody' } })).toThrow(/choices\.owner is "nobody"/);
  });
});
