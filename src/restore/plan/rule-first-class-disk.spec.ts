import { describe, expect, it } from 'vitest';
import type { DatastoreListing, FirstClassDisk, FirstClassDiskCapture } from '../../vsphere/index.js';
import type { RestoreRequest } from '../restore-request.js';
import { type FirstClassDiskToday, ruleFirstClassDisk } from './rule-first-class-disk.js';

const MIB = 2 ** 20;
const CAPTURED: FirstClassDiskCapture = {
  kind: 'first-class-disk',
  id: 'urn:vapp-vault:first-class-disk:vc:disk-1',
  diskId: 'disk-1',
  name: 'data',
  createdAt: '2026-01-01T00:00:00Z',
  vcenterInstanceUuid: 'vc',
  datastore: { moRef: 'datastore-1', name: 'fast', type: 'VMFS' },
  path: '[fast] fcd/a.vmdk',
  capacityBytes: 64 * MIB,
  provisioning: 'thin',
  changeTrackingEnabled: false,
  keepAfterDeleteVm: true,
  encrypted: false,
  metadata: [{ key: 'k', value: 'v' }],
  storagePolicy: { id: 'policy-1', name: 'Gold' },
};
const datastore = (moRef: string, name: string, freeBytes = 100 * MIB): DatastoreListing => ({
  ...{ moRef, name, freeBytes },
  type: 'VMFS',
  capacityBytes: 200 * MIB,
  accessible: true,
});
const ORIGINAL = {
  id: 'disk-1',
  name: 'data',
  datastoreMoRef: 'datastore-1',
  capacityBytes: 64 * MIB,
  provisioning: 'thin',
  encrypted: false,
} as FirstClassDisk;
const TODAY: FirstClassDiskToday = {
  // MoRefs were begun anew since: names are what counts.
  datastores: [datastore('datastore-7', 'fast'), datastore('datastore-8', 'slow')],
  policies: [
    { id: 'policy-1', name: 'Gold' },
    { id: 'policy-2', name: 'Silver' },
  ],
  compatible: new Map([
    ['policy-1', ['datastore-7']],
    ['policy-2', ['datastore-7', 'datastore-8']],
  ]),
  original: undefined,
  users: [],
  takesMetadata: true,
};

function rule(
  today: Partial<FirstClassDiskToday> = {},
  choices: RestoreRequest['choices'] = {},
  change: Partial<FirstClassDiskCapture> = {},
) {
  return ruleFirstClassDisk(
    { ...CAPTURED, ...change },
    { allocatedBytes: 10 * MIB, capacityBytes: CAPTURED.capacityBytes },
    { ...TODAY, ...today },
    { choices },
  );
}
const item = (ruled: ReturnType<typeof rule>, attribute: string) => ruled.items.find((each) => each.attribute === attribute);

describe('a first class disk that is gone', () => {
  it('comes back as it was, on the datastore of its name, under an id of its own', () => {
    const ruled = rule();
    expect(ruled).toMatchObject({
      target: 'new',
      wanted: { name: 'data', datastoreMoRef: 'datastore-7', provisioning: 'thin', policyId: 'policy-1' },
    });
    expect(ruled.wanted.metadata).toEqual(CAPTURED.metadata);
    expect(ruled.items.filter(({ conformity }) => conformity !== 'fits').map(({ attribute }) => attribute)).toEqual(['id']);
    expect(ruled.items.some(({ needsChoice }) => needsChoice)).toBe(false);
  });

  it('asks where its datastore is gone, and offers those with room', () => {
    const gone = rule({ datastores: [datastore('datastore-8', 'slow'), datastore('datastore-9', 'full', MIB)] });
    expect(item(gone, 'datastore')).toMatchObject({
      conformity: 'missing',
      needsChoice: true,
      choice: { field: 'datastore', chosen: null },
    });
    expect(item(gone, 'datastore')?.choice?.options.map(({ value }) => value)).toEqual(['slow']);
    const chosen = rule({ datastores: [datastore('datastore-8', 'slow')] }, { datastore: 'slow' });
    expect(item(chosen, 'datastore')).toMatchObject({ conformity: 'changed', needsChoice: false });
    expect(() => rule({}, { datastore: 'nowhere' })).toThrow(
      'choices.datastore is "nowhere", which is not there; allowed: "fast", "slow".',
    );
    expect(rule({}, { datastore: 'datastore-8' }).wanted.datastoreName).toBe('slow');
  });

  it('needs room for its data where it is thin, and for all of it where it is thick', () => {
    const datastores = [datastore('datastore-7', 'fast', 20 * MIB)];
    expect(item(rule({ datastores }), 'datastore')).toMatchObject({ conformity: 'fits', needsChoice: false });
    const thick = rule({ datastores }, { provisioning: 'eagerZeroedThick' });
    expect(item(thick, 'datastore')).toMatchObject({ conformity: 'not-permitted', needsChoice: true });
    expect(item(thick, 'datastore')?.explanation).toContain(`has ${20 * MIB} bytes free and the disk needs ${64 * MIB}`);
    expect(item(thick, 'provisioning')).toMatchObject({ conformity: 'changed', planned: 'eagerZeroedThick' });
  });

  it('goes without a policy that is gone or not kept there, and says so', () => {
    const policies = [{ id: 'policy-2', name: 'Silver' }];
    expect(item(rule({ policies }), 'storagePolicy')).toMatchObject({ conformity: 'missing', planned: null, needsChoice: false });
    const elsewhere = rule({}, { datastore: 'slow' });
    expect(elsewhere.wanted.policyId).toBeUndefined();
    expect(item(elsewhere, 'storagePolicy')?.explanation).toBe(
      'Storage policy "Gold" cannot be kept on datastore "slow", so the disk gets none.',
    );
    const silver = rule({}, { datastore: 'slow', storagePolicy: 'Silver' });
    expect(silver.wanted.policyId).toBe('policy-2');
    expect(rule({}, { storagePolicy: 'none' }).wanted.policyId).toBeUndefined();
    expect(() => rule({}, { storagePolicy: 'Bronze' })).toThrow('choices.storagePolicy is "Bronze"');
    // By its id, where it was renamed.
    expect(rule({ policies: [{ id: 'policy-1', name: 'Gold 2' }] }).wanted.policyId).toBe('policy-1');
  });

  it('is made of whole MiB, however odd it was', () => {
    const odd = ruleFirstClassDisk(CAPTURED, { allocatedBytes: 0, capacityBytes: 64 * MIB + 512 }, TODAY, { choices: {} });
    expect(item(odd, 'capacityBytes')).toMatchObject({ conformity: 'changed', captured: 64 * MIB + 512, planned: 65 * MIB });
    expect(item(rule(), 'capacityBytes')).toBeUndefined();
  });

  it('loses metadata that vCenter does not take, and encryption that no policy asks for', () => {
    const old = rule({ takesMetadata: false });
    expect(old.wanted.metadata).toEqual([]);
    expect(item(old, 'metadata')).toMatchObject({ conformity: 'not-permitted', planned: {} });
    expect(item(rule({ policies: undefined }, {}, { encrypted: true }), 'encrypted')).toMatchObject({
      conformity: 'changed',
      planned: false,
    });
    expect(item(rule({}, {}, { encrypted: true }), 'encrypted')).toBeUndefined();
  });
});

describe('a first class disk that is still there', () => {
  it('is left alone unless it is to be written over', () => {
    const today = { original: ORIGINAL, datastores: [datastore('datastore-1', 'fast')], compatible: new Map() };
    expect(rule(today)).toMatchObject({ target: 'new' });
    expect(item(rule(today), 'id')?.explanation).toContain('is still there; the restored one is made beside it');
    const over = rule(today, { existingDisk: 'overwrite' });
    expect(over).toMatchObject({ target: 'overwrite', wanted: { datastoreMoRef: 'datastore-1' } });
    expect(over.items.every(({ conformity }) => conformity === 'fits')).toBe(true);
  });

  it('is not written over while a VM has it, when it has another size, or when it is gone', () => {
    const refused = (today: Partial<FirstClassDiskToday>) => item(rule(today, { existingDisk: 'overwrite' }), 'id');
    expect(refused({ original: ORIGINAL, users: [{ vmMoRef: 'vm-1', vmName: 'web' }] })).toMatchObject({
      conformity: 'not-permitted',
      needsChoice: true,
      explanation:
        'First class disk "data" is attached to VM "web", so it cannot be written over; detach it first; restore it as a new disk (choices.existingDisk "beside").',
    });
    expect(refused({ original: { ...ORIGINAL, capacityBytes: 128 * MIB } })?.explanation).toContain(
      `has ${128 * MIB} bytes today and had ${64 * MIB}`,
    );
    expect(refused({})?.explanation).toContain('is not there any more');
  });
});
