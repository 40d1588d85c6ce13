import { describe, expect, it } from 'vitest';
import { type FirstClassDiskRecord, firstClassDiskUrn, type ManifestContent, providerOrganizationId } from '../../src/catalog/index.js';
import { catalog, cloudId, ORG, point, source, useCatalog, VDC } from './catalog-fixture.js';

useCatalog();

const NAMED_UUID = '7a6f01c2-0000-4000-8000-0000000000a1';
const VCENTER = 'vcenter-1';
const GIB = 2 ** 30;

function disk(diskId: string, change: Partial<FirstClassDiskRecord> = {}): FirstClassDiskRecord {
  return {
    diskId,
    name: `disk ${diskId}`,
    datastoreMoRef: 'datastore-1',
    datastoreName: 'fast',
    path: `[fast] fcd/${diskId}.vmdk`,
    provisioning: 'thin',
    changeTracking: false,
    sizeBytes: 4096 * GIB,
    attachedTo: [],
    ...change,
  };
}

const save = (disks: FirstClassDiskRecord[], unlistedDatastores: string[] = [], vcenterInstanceUuid = VCENTER) =>
  catalog.saveFirstClassDisks(cloudId, { vcenterInstanceUuid, disks, unlistedDatastores });
const list = async (change: Record<string, unknown> = {}) => (await catalog.listFirstClassDisks({ cloudId, limit: 100, ...change })).items;
const shown = async (change: Record<string, unknown> = {}) => (await list(change)).map(({ diskId }) => diskId);

describe('first class disks in the catalog', () => {
  it('keep their ids, and go only where they were looked for', async () => {
    await save([disk('a'), disk('b', { datastoreMoRef: 'datastore-2' }), disk('c')]);
    await save([disk('z')], [], 'vcenter-2');
    const before = new Map((await list()).map(({ diskId, id }) => [diskId, id]));
    // Datastore 2 could not be asked, and the other vCenter was not.
    await save([disk('a', { name: 'renamed', datastoreMoRef: 'datastore-3' })], ['datastore-2']);
    expect(await shown({ present: true })).toEqual(['b', 'z', 'a']);
    expect(await shown({ present: false })).toEqual(['c']);
    expect(new Map((await list()).map(({ diskId, id }) => [diskId, id]))).toEqual(before);
    expect(await catalog.firstClassDisk(before.get('a') ?? '')).toMatchObject({ diskId: 'a', datastoreMoRef: 'datastore-3' });
    // An inventory of VCD knows nothing of them.
    await catalog.saveInventory(cloudId, source([]), { full: true });
    expect(await shown({ present: true })).toEqual(['b', 'z', 'a']);
  });

  it('are narrowed by vCenter, datastore, name and use, in pages', async () => {
    const attachedTo = [{ vmMoRef: 'vm-1', vmName: 'web' }];
    await save([disk('a'), disk('b', { attachedTo }), disk('c', { datastoreName: 'slow', datastoreMoRef: 'datastore-2' })]);
    expect(await shown({ vcenterInstanceUuid: 'other' })).toEqual([]);
    expect([await shown({ datastore: 'slow' }), await shown({ datastore: 'datastore-2' })]).toEqual([['c'], ['c']]);
    expect([await shown({ attached: true }), await shown({ attached: false })]).toEqual([['b'], ['a', 'c']]);
    expect((await list({ name: 'DISK B' }))[0]).toMatchObject({ sizeBytes: 4096 * GIB, attachedTo });
    const first = await catalog.listFirstClassDisks({ cloudId, limit: 2 });
    const rest = await catalog.listFirstClassDisks({ cloudId, limit: 2, cursor: first.nextCursor ?? '' });
    expect([...first.items, ...rest.items].map(({ diskId }) => diskId)).toEqual(['a', 'b', 'c']);
    expect(rest.nextCursor).toBeNull();
  });

  it('belong to the organization of the named disk that they are, else to the provider', async () => {
    const named = { id: `urn:vcloud:disk:${NAMED_UUID}`, name: 'data', href: '', organizationId: ORG, vdcId: VDC, ownerName: 'ann' };
    const rest = { status: 'RESOLVED', sizeMib: 1, storageProfileName: '', busType: '6', busSubType: '', attachedVmCount: 0 };
    const namedDisks = async function* () {
      yield { ...named, ...rest };
    };
    await catalog.saveInventory(cloudId, { ...source([]), namedDisks, count: async () => 1 });
    await save([disk('a', { name: `data (${NAMED_UUID.toUpperCase()})` }), disk('b')]);
    const [ofProvider, ofTenant] = (await list()).toSorted((one, other) => (one.diskId < other.diskId ? 1 : -1));
    expect(ofTenant).toMatchObject({ namedDiskId: named.id, organizationId: ORG });
    expect(ofProvider).toMatchObject({ namedDiskId: null, organizationId: providerOrganizationId(cloudId) });
    expect(await catalog.vapp(ofTenant?.id ?? '')).toMatchObject({ organizationName: 'acme', vdcId: VDC, kind: 'first-class-disk' });
    expect(await catalog.vapp(ofProvider?.id ?? '')).toMatchObject({ organizationName: 'System', vdcId: '', href: '' });
    expect((await catalog.listVapps({ cloudId, limit: 10 })).items).toEqual([]);
    expect((await catalog.listVapps({ cloudId, kinds: ['first-class-disk'], limit: 10 })).items).toHaveLength(2);
  });

  it('go on under their ids when a restore makes them anew', async () => {
    const id = await catalog.saveFirstClassDisk(cloudId, VCENTER, disk('old'));
    await catalog.recordRestorePoint({ ...point(`p-${cloudId}`, id, '2026-01-01T00:00:00.000Z', []), sourceKind: 'first-class-disk' });
    await save([]);
    // An inventory may see the new one before its restore says whose it is.
    await save([disk('new')]);
    await catalog.addVappAlias(id, cloudId, firstClassDiskUrn(VCENTER, 'new'));
    expect(await catalog.saveFirstClassDisk(cloudId, VCENTER, disk('new'))).toBe(id);
    expect((await list({ present: true })).map((each) => [each.id, each.diskId])).toEqual([[id, 'new']]);
    expect(await catalog.latestRestorePoint(id, ORG)).toBe(`p-${cloudId}`);
    expect(await catalog.latestRestorePoint(id, 'another')).toBeUndefined();
  });

  it('come back with their restore points from the repository alone, in no VDC and no organization of VCD', async () => {
    const figures = {
      readBytes: 3,
      newBytes: 2,
      storedBytes: 1,
      durationMs: 1,
      allocatedBytes: 3,
      changedBytes: 3,
      capacityBytes: 4096,
      chunkBytes: 4096,
    };
    const firstClassDisk = {
      ...{
        diskId: `d-${cloudId}`,
        label: 'data',
        path: '[fast] a.vmdk',
        uuid: 'a',
        vcenterInstanceUuid: VCENTER,
        changeId: null,
        kind: 'full',
      },
      ...{
        datastore: { moRef: 'datastore-1', name: 'fast', type: 'VMFS' },
        fullReason: null,
        transportMode: 'nbdssl',
        metadata: {},
        indexId: 'ab',
      },
      ...figures,
    };
    const content = {
      contentVersion: 1,
      runId: 'run-1',
      kind: 'full',
      cloud: { id: cloudId, name: 'prod' },
      organization: { id: providerOrganizationId(cloudId), name: 'System' },
      vdc: { id: '', name: '' },
      vapp: { id: `d-${cloudId}`, vcloudId: firstClassDiskUrn(VCENTER, 'a'), name: 'data' },
      sourceKind: 'first-class-disk',
      firstClassDisk,
      vms: [],
      warnings: [],
    } as unknown as ManifestContent;
    expect(await catalog.adoptRestorePoint(`r-${cloudId}`, '2026-01-01T00:00:00.000Z', content)).toMatchObject({ adopted: true });
    expect(await catalog.restorePoint(`r-${cloudId}`)).toMatchObject({
      sourceKind: 'first-class-disk',
      capacityBytes: 4096,
      readBytes: 3,
      vms: [],
    });
    expect([await catalog.organizations(cloudId), await catalog.vdcs(cloudId)]).toEqual([[], []]);
    await save([disk('a')]);
    expect((await list()).map(({ id }) => id)).toEqual([`d-${cloudId}`]);
  });
});
