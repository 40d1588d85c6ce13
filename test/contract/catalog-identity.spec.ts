import { describe, expect, it } from 'vitest';
import { catalog, cloudId, idOf, names, point, source, useCatalog, vapp, vm } from './catalog-fixture.js';

useCatalog();

describe('identity', () => {
  const names3 = (n: number) => ({
    cloudId,
    vcloudId: `urn:vcloud:vm:bbbb-${n}`,
    instanceUuid: `5003-${n}`,
    vcenterInstanceUuid: `vc-${cloudId}`,
    moRef: `vm-${n}`,
  });

  it('gives a VM one id, however often and concurrently it is asked for', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => catalog.identifyVm(names3(1), 'web-1')));
    expect(new Set(ids).size).toBe(1);
    expect(await catalog.identifyVm(names3(2), 'web-2')).not.toBe(ids[0]);
  });

  it('knows a VM again by any one of its names', async () => {
    const id = await catalog.identifyVm(names3(1), 'web-1');
    expect(await catalog.identifyVm({ ...names3(9), instanceUuid: '5003-1' }, 'web-1')).toBe(id);
    expect(await catalog.identifyVm({ ...names3(8), vcloudId: 'urn:vcloud:vm:bbbb-9' }, 'web-1')).toBe(id);
  });

  it('does not take a VM for another because a MoRef was used again', async () => {
    const id = await catalog.identifyVm(names3(1), 'web-1');
    expect(await catalog.identifyVm({ ...names3(7), moRef: 'vm-1' }, 'other')).not.toBe(id);
  });

  it('carries a restored vApp and its VMs on under their old ids, even when an inventory saw the new ones first', async () => {
    const before = vapp(1, { name: 'shop' });
    await catalog.saveInventory(cloudId, source([before], [vm(1, before)]));
    const vappId = await idOf('shop');
    const vmId = await catalog.identifyVm(names3(1), 'vm-1');
    await catalog.recordRestorePoint(point(`${cloudId}-rp`, vappId, '2026-01-01T00:00:00.000Z', [{ vmId, name: 'vm-1', disks: [] }]));

    const historyOf = async (id: string) => (await catalog.listRestorePoints({ vmId: id, limit: 10 })).items.map((item) => item.id);
    expect(await historyOf(vmId)).toEqual([`${cloudId}-rp`]);
    expect(await historyOf('another')).toEqual([]);

    const after = vapp(51, { name: 'shop' });
    await catalog.saveInventory(cloudId, source([after], [vm(51, after)]));
    expect(await names()).toEqual(['shop', 'shop']);
    await catalog.addVappAlias(vappId, cloudId, after.id);
    await catalog.addVmAliases(vmId, { ...names3(51), instanceUuid: '5003-1' });
    expect(await names()).toEqual(['shop']);
    expect(await catalog.vapp(vappId)).toMatchObject({ vcloudId: after.id, href: after.href, present: true });
    expect(await catalog.identifyVm({ ...names3(51), instanceUuid: '5003-1' }, 'vm-1')).toBe(vmId);

    await catalog.saveInventory(cloudId, source([after], [vm(51, after)]));
    expect(await names(true)).toEqual(['shop']);
    const detail = await catalog.vappDetail(vappId);
    expect(detail?.vms.map(({ id, moRef }) => [id, moRef])).toEqual([[vmId, 'vm-51']]);
  });

  it('knows where a restored vApp is before the next inventory', async () => {
    const before = vapp(1, { name: 'shop' });
    await catalog.saveInventory(cloudId, source([before], [vm(1, before)]));
    const vappId = await idOf('shop');
    await catalog.saveInventory(cloudId, source([]));
    expect(await catalog.vapp(vappId)).toMatchObject({ present: false });
    await catalog.addVappAlias(vappId, cloudId, 'urn:vcloud:vapp:aaaa-77');
    expect(await catalog.vapp(vappId)).toMatchObject({
      vcloudId: 'urn:vcloud:vapp:aaaa-77',
      href: 'https://vcd/api/vApp/vapp-aaaa-77',
      present: true,
    });
    expect(await catalog.identifyVapp(cloudId, 'urn:vcloud:vapp:aaaa-77', 'shop')).toBe(vappId);
    // Should that restore be undone, it is where it was.
    expect(await catalog.formerVappHrefs(vappId)).toEqual([before.href]);
    expect(await catalog.formerVappHrefs('another')).toEqual([]);
  });

  it('follows the name of today when the former one still lives beside it', async () => {
    const [former, today] = [vapp(1, { name: 'shop (old)' }), vapp(2, { name: 'shop' })];
    await catalog.saveInventory(cloudId, source([former]));
    const vappId = await idOf('shop (old)');
    await catalog.addVappAlias(vappId, cloudId, today.id);
    for (const order of [
      [former, today],
      [today, former],
    ]) {
      await catalog.saveInventory(cloudId, source(order));
      expect(await catalog.vapp(vappId)).toMatchObject({ name: 'shop', vcloudId: today.id });
    }
    await catalog.saveInventory(cloudId, source([former]));
    expect(await catalog.vapp(vappId)).toMatchObject({ name: 'shop (old)', vcloudId: former.id, present: true });
  });

  it('tells disks apart by device key and uuid', async () => {
    const vmId = await catalog.identifyVm(names3(1), 'web-1');
    const id = await catalog.identifyDisk(vmId, { deviceKey: 2000, uuid: 'u-1', label: 'Hard disk 1' });
    expect(await catalog.identifyDisk(vmId, { deviceKey: 2000, uuid: 'u-1', label: 'Renamed' })).toBe(id);
    const others = [
      await catalog.identifyDisk(vmId, { deviceKey: 2001, uuid: 'u-1', label: 'Hard disk 2' }),
      await catalog.identifyDisk(vmId, { deviceKey: 2000, uuid: 'u-2', label: 'Hard disk 1' }),
      await catalog.identifyDisk(vmId, { deviceKey: 2000, uuid: undefined, label: 'Hard disk 1' }),
    ];
    expect(new Set([id, ...others]).size).toBe(4);
    expect(await catalog.identifyDisk(vmId, { deviceKey: 2000, uuid: undefined, label: 'x' })).toBe(others[2]);
  });

  it('tells by which instance UUIDs a VM of VCD is known, and makes nothing of one nobody has seen', async () => {
    const { vcloudId } = names3(1);
    expect(await catalog.knownInstanceUuids(cloudId, vcloudId)).toEqual([]);
    const vmId = await catalog.identifyVm(names3(1), 'web-1');
    await catalog.identifyVm(names3(2), 'web-2');
    await catalog.addVmAliases(vmId, { cloudId, instanceUuid: '5003-restored' });
    expect((await catalog.knownInstanceUuids(cloudId, vcloudId)).sort()).toEqual(['5003-1', '5003-restored']);
    expect(await catalog.knownInstanceUuids('another cloud', vcloudId)).toEqual([]);
  });
});
