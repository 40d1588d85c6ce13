import { describe, expect, it } from 'vitest';
import type { ManifestContent } from '../../src/catalog/index.js';
import { catalog, cloudId, idOf, point, source, useCatalog, vapp, VDC, vm } from './catalog-fixture.js';

useCatalog();

const DISK = {
  deviceKey: 2000,
  label: 'Hard disk 1',
  uuid: '6000C29a',
  changeId: '52 de/3',
  kind: 'full',
  fullReason: null,
  transportMode: 'nbdssl',
};
const FIGURES = {
  capacityBytes: 9,
  allocatedBytes: 8,
  changedBytes: 7,
  readBytes: 6,
  newBytes: 5,
  storedBytes: 4,
  durationMs: 3,
  chunkBytes: 4096,
};

/** Of a vApp of one VM, in an organization of the cloud alone. */
function content(over: { vappId?: string; vmId?: string; vcloudId?: string; moRef?: string; organization?: string } = {}): ManifestContent {
  const { vappId = `shop-${cloudId}`, vmId = `web-${cloudId}`, vcloudId = '1', moRef = 'vm-1' } = over;
  const organization = over.organization ?? `urn:vcloud:org:${cloudId}`;
  return {
    contentVersion: 1,
    runId: 'run-1',
    kind: 'full',
    cloud: { id: cloudId, name: 'prod' },
    organization: { id: organization, name: 'acme' },
    vdc: { id: VDC, name: 'gold' },
    vapp: { id: vappId, vcloudId: `urn:vcloud:vapp:aaaa-${vcloudId}`, name: 'shop' },
    vms: [
      {
        vmId,
        name: 'web-1',
        vcloudId: `urn:vcloud:vm:bbbb-${vcloudId}`,
        instanceUuid: `uuid-${vcloudId}`,
        vcenterInstanceUuid: `vcenter-${cloudId}`,
        moRef,
        disks: [{ diskId: `disk-${vmId}`, indexId: 'ab'.repeat(32), ...DISK, ...FIGURES }],
      },
    ],
    warnings: [],
  } as unknown as ManifestContent;
}

const TODAY = '2026-03-01T00:00:00.000Z';
const BEFORE = '2026-02-01T00:00:00.000Z';

describe('a restore point that only the repository knows', () => {
  it('comes with its organization, VDC, vApp, VM, disk and their names, and is not there twice', async () => {
    expect(await catalog.adoptRestorePoint(`a-${cloudId}`, TODAY, content())).toEqual({
      cloud: { id: cloudId, name: 'prod' },
      adopted: true,
    });
    expect(await catalog.adoptRestorePoint(`a-${cloudId}`, TODAY, content())).toMatchObject({ adopted: false });
    expect(await catalog.restorePoint(`a-${cloudId}`)).toMatchObject({ vappId: `shop-${cloudId}`, vms: [{ vmId: `web-${cloudId}` }] });
    expect(await catalog.vapp(`shop-${cloudId}`)).toMatchObject({ organizationName: 'acme', vdcName: 'gold', present: false });
    expect(await catalog.organizations(cloudId)).toMatchObject([{ name: 'acme', present: false }]);
    const names = { cloudId, vcloudId: 'urn:vcloud:vm:bbbb-1', instanceUuid: '', vcenterInstanceUuid: '', moRef: '' };
    expect(await catalog.identifyVm(names, 'web-1')).toBe(`web-${cloudId}`);
    expect(await catalog.identifyVapp(cloudId, 'urn:vcloud:vapp:aaaa-1', 'shop')).toBe(`shop-${cloudId}`);
    const disk = { deviceKey: 2000, uuid: '6000C29a', label: 'Hard disk 1' };
    expect(await catalog.identifyDisk(`web-${cloudId}`, disk)).toBe(`disk-web-${cloudId}`);
    expect(await catalog.diskBase(`disk-web-${cloudId}`)).toMatchObject({ restorePointId: `a-${cloudId}`, changeId: '52 de/3' });
  });

  it('leaves a name to whoever had it last', async () => {
    await catalog.adoptRestorePoint(`new-${cloudId}`, TODAY, content({ vappId: `new-${cloudId}`, vmId: `new-${cloudId}` }));
    await catalog.adoptRestorePoint(`old-${cloudId}`, BEFORE, content({ vappId: `old-${cloudId}`, vmId: `old-${cloudId}` }));
    const names = {
      cloudId,
      vcloudId: 'urn:vcloud:vm:bbbb-1',
      instanceUuid: 'uuid-1',
      vcenterInstanceUuid: `vcenter-${cloudId}`,
      moRef: 'vm-1',
    };
    expect(await catalog.identifyVm(names, 'web-1')).toBe(`new-${cloudId}`);
    expect(await catalog.identifyVapp(cloudId, 'urn:vcloud:vapp:aaaa-1', 'shop')).toBe(`new-${cloudId}`);
    expect((await catalog.listRestorePoints({ vmId: `old-${cloudId}`, limit: 9 })).items).toHaveLength(1);
  });

  it('is the history of what an inventory found before it, and never of what has its own', async () => {
    await catalog.saveInventory(cloudId, source([vapp(1), vapp(2)], [vm(1, vapp(1)), vm(2, vapp(2))]));
    const second = await idOf('vapp 0002');
    await catalog.recordRestorePoint({ ...point(`own-${cloudId}`, second, TODAY, []), vappName: 'vapp 0002' });
    await catalog.adoptRestorePoint(`a-${cloudId}`, TODAY, content());
    await catalog.adoptRestorePoint(
      `b-${cloudId}`,
      TODAY,
      content({ vcloudId: '2', vappId: `b-${cloudId}`, vmId: `b-${cloudId}`, moRef: 'vm-2' }),
    );
    expect(await idOf('vapp 0001')).toBe(`shop-${cloudId}`);
    expect(await idOf('vapp 0002')).toBe(second);
    expect((await catalog.vappDetail(`shop-${cloudId}`))?.vms).toMatchObject([{ id: `web-${cloudId}`, name: 'vm-1', present: true }]);
  });

  it('keeps the lock that is in force', async () => {
    const locked = { ...content(), lockedUntil: TODAY };
    await catalog.adoptRestorePoint(`a-${cloudId}`, BEFORE, locked, new Date('2027-01-01T00:00:00.000Z'));
    await catalog.adoptRestorePoint(`b-${cloudId}`, BEFORE, locked, new Date(BEFORE));
    expect((await catalog.restorePoint(`a-${cloudId}`))?.lockedUntil).toBe('2027-01-01T00:00:00.000Z');
    expect((await catalog.restorePoint(`b-${cloudId}`))?.lockedUntil).toBe(TODAY);
  });

  it.each([
    [
      'of a later release',
      () => ({ ...content(), contentVersion: 2 }),
      /restore point odd was written by a later release \(content version 2\)/,
    ],
    ['that is none', () => null, /restore point odd is not one this release understands \(/],
    ['without its VMs', () => ({ ...content(), vms: undefined }), /not one this release understands \(vms: /],
  ])('%s is refused by name', async (_what, manifest, message) => {
    await expect(catalog.adoptRestorePoint('odd', TODAY, manifest())).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    await expect(catalog.adoptRestorePoint('odd', TODAY, manifest())).rejects.toThrow(message);
    expect(await catalog.knownRestorePoints(['odd'])).toEqual(new Set());
  });
});

describe('a cloud that is registered again', () => {
  it('is known by its organizations, and goes on with the history of the former registration', async () => {
    const now = `${cloudId}-now`;
    await catalog.adoptRestorePoint(`a-${cloudId}`, TODAY, content());
    const former = await catalog.formerClouds([now]);
    expect(former.get(cloudId)).toEqual(new Set([`urn:vcloud:org:${cloudId}`]));
    expect((await catalog.formerClouds([cloudId])).has(cloudId)).toBe(false);
    // An inventory of the new one has been there before.
    await catalog.saveInventory(now, source([vapp(1)], [vm(1, vapp(1))]));
    await catalog.adoptCloud(cloudId, now);
    expect((await catalog.formerClouds([now])).has(cloudId)).toBe(false);
    expect((await catalog.listRestorePoints({ cloudId: now, limit: 9 })).items).toMatchObject([
      { id: `a-${cloudId}`, vappId: `shop-${cloudId}` },
    ]);
    const detail = await catalog.vappDetail(`shop-${cloudId}`);
    expect(detail).toMatchObject({ cloudId: now, name: 'vapp 0001', present: true, vms: [{ id: `web-${cloudId}`, present: true }] });
    await catalog.saveInventory(now, source([vapp(1)], [vm(1, vapp(1))]), { full: true });
    expect((await catalog.vappDetail(`shop-${cloudId}`))?.vms).toHaveLength(1);
  });

  it('keeps apart what has restore points under both registrations', async () => {
    const now = `${cloudId}-now`;
    await catalog.saveInventory(now, source([vapp(1)], [vm(1, vapp(1))]));
    const page = await catalog.listVapps({ cloudId: now, limit: 9 });
    const today = page.items[0]?.id as string;
    await catalog.recordRestorePoint({ ...point(`own-${cloudId}`, today, TODAY, []), cloudId: now });
    await catalog.adoptRestorePoint(`a-${cloudId}`, BEFORE, content());
    await catalog.adoptCloud(cloudId, now);
    expect(await catalog.identifyVapp(now, 'urn:vcloud:vapp:aaaa-1', 'shop')).toBe(today);
    expect((await catalog.listRestorePoints({ cloudId: now, limit: 9 })).items.map(({ vappId }) => vappId)).toEqual([
      today,
      `shop-${cloudId}`,
    ]);
  });
});
