import { describe, expect, it } from 'vitest';
import { silentLogger } from '../common/index.js';
import { type FirstClassDisk, type VsphereClientApi, VsphereError } from '../vsphere/index.js';
import { listFirstClassDisks } from './first-class-disk-listing.js';

const disk = (id: string, datastoreMoRef: string): FirstClassDisk => ({
  ...{ id, datastoreMoRef, name: `disk ${id}`, createdAt: '', path: `[x] ${id}.vmdk`, parentPaths: [], capacityBytes: 2 ** 20 },
  ...{ provisioning: 'thin', changeTrackingEnabled: false, keepAfterDeleteVm: true, encrypted: false, metadata: [], consumerIds: [] },
});

function vcenter(change: Record<string, unknown> = {}): VsphereClientApi {
  const there = [disk('a', 'ds-1'), { ...disk('b', 'ds-1'), consumerIds: ['something else'] }, disk('c', 'ds-3')];
  const datastores = ['ds-1', 'ds-2', 'ds-3'].map((moRef) => ({ moRef, name: `name of ${moRef}`, accessible: moRef !== 'ds-2' }));
  const firstClassDisks = {
    available: true,
    list: async (moRef: string) => there.filter((each) => each.datastoreMoRef === moRef).map(({ id }) => id),
    read: async ({ id }: { id: string }) => there.find((each) => each.id === id),
    attachments: async () => new Map([['a', [{ vmId: 'vm-1', vmName: 'web', deviceKey: 2000 }]]]),
    ...change,
  };
  return { instanceUuid: 'vc', survey: { datastores: async () => datastores }, firstClassDisks } as unknown as VsphereClientApi;
}

describe('the first class disks of a vCenter', () => {
  it('are those of every datastore that can be reached, with who has them', async () => {
    const listing = await listFirstClassDisks(vcenter(), silentLogger);
    expect(listing?.unlistedDatastores).toEqual(['ds-2']);
    expect(listing?.disks.map(({ diskId, datastoreName, attachedTo }) => [diskId, datastoreName, attachedTo])).toEqual([
      ['a', 'name of ds-1', [{ vmMoRef: 'vm-1', vmName: 'web' }]],
      ['b', 'name of ds-1', [{ vmMoRef: 'something else', vmName: null }]],
      ['c', 'name of ds-3', []],
    ]);
  });

  it('of one datastore that cannot be listed do not hide the others', async () => {
    const list = async (moRef: string) => {
      if (moRef === 'ds-1') throw new VsphereError('The share hangs.', { code: 'VSPHERE_FAULT' });
      return moRef === 'ds-3' ? ['c'] : [];
    };
    const listing = await listFirstClassDisks(vcenter({ list }), silentLogger);
    expect(listing?.unlistedDatastores).toEqual(['ds-1', 'ds-2']);
    expect(listing?.disks.map(({ diskId }) => diskId)).toEqual(['c']);
  });

  it('that vanish while they are listed are not there, and a vCenter without a manager has none', async () => {
    const read = async ({ id }: { id: string }) => {
      if (id === 'a') throw new VsphereError('It is gone.', { code: 'NOT_FOUND' });
      return disk(id, 'ds-1');
    };
    expect((await listFirstClassDisks(vcenter({ read }), silentLogger))?.disks.map(({ diskId }) => diskId)).toEqual(['b', 'c']);
    expect(await listFirstClassDisks(vcenter({ available: false }), silentLogger)).toBeUndefined();
  });
});
