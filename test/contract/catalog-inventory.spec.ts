import { describe, expect, it } from 'vitest';
import { catalog, cloudId, idOf, names, ORG, point, source, useCatalog, VDC, vapp, vm } from './catalog-fixture.js';

useCatalog();

describe('inventory', () => {
  it('takes over a cloud page by page and reads it back in pages', async () => {
    const vapps = Array.from({ length: 300 }, (_, n) => vapp(n));
    const vms = vapps.slice(0, 150).flatMap((owner, n) => [vm(2 * n, owner), vm(2 * n + 1, owner)]);
    expect(await catalog.saveInventory(cloudId, source(vapps, vms))).toMatchObject({
      organizations: 1,
      vdcs: 1,
      vapps: 300,
      vms: 300,
      vanishedVapps: 0,
      mode: 'full',
      fullReason: 'first',
      recordsRead: 602,
    });
    const seen: string[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < 4; page += 1) {
      const { items, nextCursor } = await catalog.listVapps({ cloudId, limit: 90, ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...items.map(({ name }) => name));
      cursor = nextCursor ?? undefined;
    }
    expect(cursor).toBeUndefined();
    expect(seen).toEqual(vapps.map(({ name }) => name));

    const detail = await catalog.vappDetail(await idOf('VAPP 0149'));
    expect(detail).toMatchObject({
      organizationName: 'acme',
      vdcName: 'gold',
      storageBytes: (9_000_000_000 + 149) * 1024,
      lastRestorePointAt: null,
    });
    expect(detail?.vms.map(({ name, moRef }) => [name, moRef])).toEqual([
      ['vm-298', 'vm-298'],
      ['vm-299', 'vm-299'],
    ]);
    expect(await catalog.organizations(cloudId)).toMatchObject([{ id: ORG, displayName: 'Acme Inc' }]);
    expect(await catalog.vdcs(cloudId)).toEqual([
      { id: VDC, cloudId, name: 'gold', organizationId: ORG, organizationName: 'acme', enabled: true, present: true },
    ]);
  });

  it('keeps ids when names change, and marks what vanished without forgetting it', async () => {
    const [a, b] = [vapp(1, { name: 'alpha' }), vapp(2, { name: 'beta' })];
    await catalog.saveInventory(cloudId, source([a, b]));
    const id = await idOf('alpha');
    const counts = await catalog.saveInventory(cloudId, source([{ ...a, name: 'alpha two' }]));
    expect(counts.vanishedVapps).toBe(1);
    expect(await catalog.vapp(id)).toMatchObject({ name: 'alpha two', present: true });
    expect(await names(false)).toEqual(['beta']);
    await catalog.saveInventory(cloudId, source([a, b]));
    expect(await names(true)).toEqual(['alpha', 'beta']);
    expect(await idOf('alpha')).toBe(id);
  });

  it('narrows named disks and resources as it does vApps', async () => {
    const disk = (name: string) => ({
      id: `urn:vcloud:disk:${name}`,
      name,
      href: `https://vcd/api/disk/${name}`,
      organizationId: ORG,
      vdcId: VDC,
      ownerName: 'ann',
      status: 'RESOLVED',
      sizeMib: 2048,
      storageProfileName: 'gold',
      busType: '6',
      busSubType: 'VirtualSCSI',
      attachedVmCount: 0,
    });
    const catalogOf = (name: string) => ({
      kind: 'catalog' as const,
      id: name,
      name,
      href: '',
      organizationId: ORG,
      vdcId: '',
      details: {},
    });
    const cloud = (...disks: string[]) => ({
      ...source([]),
      namedDisks: async function* () {
        yield* disks.map(disk);
      },
      resources: async function* (kind: string) {
        if (kind === 'catalog') yield* ['Images', 'tools'].map(catalogOf);
      },
      count: async () => 0,
    });
    await catalog.saveInventory(cloudId, cloud('Data', 'logs', 'old data'));
    await catalog.saveInventory(cloudId, cloud('Data', 'logs'), { full: true });
    const disks = async (query: { name?: string; present?: boolean }) =>
      (await catalog.listNamedDisks({ cloudId, limit: 10, ...query })).items.map(({ name }) => name);
    expect((await disks({ name: 'DATA' })).toSorted()).toEqual(['Data', 'old data']);
    expect(await disks({ present: false })).toEqual(['old data']);
    expect(await disks({ name: 'data', present: true })).toEqual(['Data']);
    const found = await catalog.listResources({ cloudId, kind: 'catalog', name: 'image', limit: 10 });
    expect(found.items.map(({ name }) => name)).toEqual(['Images']);
  });

  it('lets nothing vanish when the listing breaks half-way', async () => {
    const vapps = [1, 2, 3].map((n) => vapp(n));
    await catalog.saveInventory(cloudId, source(vapps));
    await expect(catalog.saveInventory(cloudId, source(vapps, [], 1))).rejects.toThrow('the connection broke');
    expect(await names(true)).toHaveLength(3);
  });

  it('survives inventories of the same cloud at the same moment, and an object listed twice', async () => {
    const vapps = Array.from({ length: 140 }, (_, n) => vapp(n));
    const twice = source([...vapps, ...vapps.slice(0, 20)], [vm(1, vapp(1)), vm(1, vapp(1))]);
    await Promise.all([
      catalog.saveInventory(cloudId, twice),
      catalog.saveInventory(cloudId, twice),
      catalog.saveInventory(cloudId, twice),
    ]);
    expect(await names(true)).toEqual(vapps.map(({ name }) => name));
  });

  it('forgets a cloud but not what can be restored', async () => {
    const [a, b] = [vapp(1, { name: 'kept' }), vapp(2, { name: 'dropped' })];
    await catalog.saveInventory(cloudId, source([a, b], [vm(1, a), vm(2, b)]));
    const id = await idOf('kept');
    await catalog.recordRestorePoint(point(`${cloudId}-rp`, id, '2026-01-01T00:00:00.000Z', []));
    await catalog.forgetCloud(cloudId);
    expect(await names()).toEqual(['kept']);
    expect(await catalog.vapp(id)).toMatchObject({ present: false, organizationName: 'acme' });
  });
});
