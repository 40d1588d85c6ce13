import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CatalogModule, CatalogService, type DiskPointRow, type InventorySource, type RestorePointRow } from '../../src/catalog/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import type { VappRecord, VmRecord } from '../../src/vcd/index.js';
import { SettledModule } from '../harness/settled-module.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

let database: TestDatabase;
let module: TestingModule;
let catalog: CatalogService;
let cloudId: string;
let clouds = 0;

beforeAll(async () => {
  database = await startTestDatabase();
  module = await Test.createTestingModule({
    imports: [DatabaseModule.forRoot({ url: database.url, poolSize: 8 }), SettledModule, CatalogModule],
  }).compile();
  await module.init();
  catalog = module.get(CatalogService);
});
afterAll(async () => {
  await module?.close();
  await database?.stop();
});
beforeEach(() => {
  clouds += 1;
  cloudId = `cloud-${clouds}`;
});

const ORG = 'urn:vcloud:org:0000';
const VDC = 'urn:vcloud:vdc:0000';

function vapp(n: number, over: Partial<VappRecord> = {}): VappRecord {
  const uuid = `aaaa-${n}`;
  return {
    id: `urn:vcloud:vapp:${uuid}`,
    name: `vapp ${String(n).padStart(4, '0')}`,
    href: `https://vcd/api/vApp/vapp-${uuid}`,
    vdcId: VDC,
    organizationId: ORG,
    ownerName: 'ann',
    status: 'POWERED_ON',
    vmCount: 2,
    storageKib: 9_000_000_000 + n,
    inMaintenanceMode: false,
    busy: false,
    standalone: false,
    ...over,
  };
}

function vm(n: number, ofVapp: VappRecord, over: Partial<VmRecord> = {}): VmRecord {
  return {
    id: `urn:vcloud:vm:bbbb-${n}`,
    name: `vm-${n}`,
    href: `https://vcd/api/vApp/vm-bbbb-${n}`,
    vappId: ofVapp.id,
    vdcId: VDC,
    organizationId: ORG,
    status: 'POWERED_ON',
    moRef: `vm-${n}`,
    vimServerId: 'urn:vcloud:vimserver:1',
    hostName: 'esx-1',
    datastoreName: 'ds-1',
    localId: undefined,
    inTemplate: false,
    ...over,
  };
}

function source(vapps: VappRecord[], vms: VmRecord[] = [], failAfter = Number.POSITIVE_INFINITY): InventorySource {
  async function* list<T>(items: T[], limit = Number.POSITIVE_INFINITY): AsyncGenerator<T> {
    for (const [index, item] of items.entries()) {
      if (index >= limit) throw new Error('the connection broke');
      yield item;
    }
  }
  return {
    organizations: () => list([{ id: ORG, name: 'acme', displayName: 'Acme Inc', href: 'https://vcd/o', enabled: true }]),
    vdcs: () => list([{ id: VDC, name: 'gold', href: 'https://vcd/d', organizationId: ORG, organizationName: 'acme', enabled: true }]),
    vapps: () => list(vapps, failAfter),
    vms: () => list(vms),
    vappTemplates: () => list([]),
    templateVms: () => list([]),
    media: () => list([]),
    namedDisks: () => list([]),
    resources: () => list([]),
    count: async (kind) => ({ organizations: 1, vdcs: 1, vapps: vapps.length, vms: vms.length })[kind as string] ?? 0,
    changedSince: async () => undefined,
    serverTime: async () => new Date(),
    idFilter: (ids) => ids.join(),
    requestCount: 0,
  };
}

async function names(present?: boolean): Promise<string[]> {
  const page = await catalog.listVapps({ cloudId, limit: 500, ...(present === undefined ? {} : { present }) });
  return page.items.map(({ name }) => name);
}

async function idOf(name: string): Promise<string> {
  const page = await catalog.listVapps({ cloudId, name, limit: 10 });
  expect(page.items).toHaveLength(1);
  return page.items[0]?.id ?? '';
}

function diskRow(diskId: string, over: Partial<DiskPointRow> = {}): DiskPointRow {
  return {
    diskId,
    label: 'Hard disk 1',
    deviceKey: 2000,
    uuid: '6000C29a',
    capacityBytes: 68_182_605_824_000,
    allocatedBytes: 11,
    changedBytes: 12,
    readBytes: 13,
    newBytes: 14,
    storedBytes: 15,
    durationMs: 16,
    kind: 'full',
    fullReason: 'first-backup',
    transportMode: 'nbdssl',
    changeId: '52 de/3',
    indexId: 'index-1',
    chunkBytes: 1_048_576,
    ...over,
  };
}

function point(id: string, vappId: string, createdAt: string, vms: RestorePointRow['vms']): RestorePointRow {
  return {
    id,
    organizationId: ORG,
    cloudId,
    vappId,
    vappName: 'shop',
    sourceKind: 'vapp',
    createdAt,
    kind: 'full',
    runId: 'run-1',
    vmCount: vms.length,
    capacityBytes: 68_182_605_824_000,
    readBytes: 21,
    newBytes: 22,
    storedBytes: 23,
    warnings: ['quiesce failed'],
    vms,
  };
}

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

describe('restore points', () => {
  async function shop(): Promise<{ vappId: string; vmId: string; diskId: string }> {
    const vappId = await catalog.identifyVapp(cloudId, 'urn:vcloud:vapp:1', 'shop');
    const vmId = await catalog.identifyVm({ cloudId, vcloudId: 'v', instanceUuid: 'i', vcenterInstanceUuid: cloudId, moRef: 'm' }, 'web-1');
    const diskId = await catalog.identifyDisk(vmId, { deviceKey: 2000, uuid: '6000C29a', label: 'Hard disk 1' });
    return { vappId, vmId, diskId };
  }

  it('come back as they were recorded, 64-bit figures included', async () => {
    const { vappId, vmId, diskId } = await shop();
    const second = await catalog.identifyDisk(vmId, { deviceKey: 2001, uuid: undefined, label: 'Hard disk 2' });
    const row = point(`${cloudId}-1`, vappId, '2026-02-03T04:05:06.789Z', [
      {
        vmId,
        name: 'web-1',
        disks: [diskRow(diskId), diskRow(second, { deviceKey: 2001, uuid: null, changeId: null, storedBytes: Number.MAX_SAFE_INTEGER })],
      },
    ]);
    await catalog.recordRestorePoint(row);
    expect(await catalog.restorePoint(row.id)).toEqual(row);
    await catalog.recordRestorePoint(row);
    expect(await catalog.restorePoint(row.id)).toEqual(row);
    expect(await catalog.vappDetail(vappId)).toMatchObject({ lastRestorePointAt: row.createdAt });
    expect(await catalog.restorePoint('none')).toBeUndefined();
  });

  it('offer the newest copy with a change id as the base of the next', async () => {
    const { vappId, vmId, diskId } = await shop();
    expect(await catalog.diskBase(diskId)).toBeUndefined();
    const days: [string, Partial<DiskPointRow>][] = [
      ['2026-03-01', { changeId: 'c/1', indexId: 'i1' }],
      ['2026-03-03', { changeId: null, indexId: 'i3' }],
      ['2026-03-02', { changeId: 'c/2', indexId: 'i2' }],
    ];
    for (const [day, over] of days) {
      const disks = [diskRow(diskId, over)];
      await catalog.recordRestorePoint(point(`${cloudId}-${day}`, vappId, `${day}T00:00:00.000Z`, [{ vmId, name: 'web-1', disks }]));
    }
    expect(await catalog.diskBase(diskId)).toEqual({
      restorePointId: `${cloudId}-2026-03-02`,
      indexId: 'i2',
      chunkBytes: 1_048_576,
      capacityBytes: 68_182_605_824_000,
      changeId: 'c/2',
      diskUuid: '6000C29a',
    });
    expect(await catalog.deleteRestorePointRow(`${cloudId}-2026-03-02`)).toBe(true);
    expect(await catalog.deleteRestorePointRow(`${cloudId}-2026-03-02`)).toBe(false);
    expect(await catalog.diskBase(diskId)).toMatchObject({ indexId: 'i1' });
  });

  it('know which disks a VM had, each once, with and without change ids', async () => {
    const { vappId, vmId, diskId } = await shop();
    expect(await catalog.formerDisks(vmId)).toEqual([]);
    const second = await catalog.identifyDisk(vmId, { deviceKey: 2001, uuid: undefined, label: 'Hard disk 2' });
    const disks = [diskRow(diskId), diskRow(second, { deviceKey: 2001, uuid: null, changeId: null })];
    for (const n of [1, 2]) {
      await catalog.recordRestorePoint(point(`${cloudId}-${n}`, vappId, `2026-03-0${n}T00:00:00.000Z`, [{ vmId, name: 'web-1', disks }]));
    }
    const found = (await catalog.formerDisks(vmId)).sort((a, b) => a.deviceKey - b.deviceKey);
    expect(found).toEqual([
      { diskId, deviceKey: 2000, uuid: '6000C29a' },
      { diskId: second, deviceKey: 2001, uuid: '' },
    ]);
  });

  it('are listed newest first in pages, also those of one moment', async () => {
    const { vappId } = await shop();
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      await catalog.recordRestorePoint(point(`${cloudId}-${id}`, vappId, `2026-04-0${id < 'c' ? 1 : 2}T00:00:00.001Z`, []));
    }
    const seen: string[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < 3; page += 1) {
      const next = await catalog.listRestorePoints({ vappId, limit: 2, ...(cursor === null ? {} : { cursor }) });
      seen.push(...next.items.map(({ id }) => id.slice(-1)));
      cursor = next.nextCursor;
    }
    expect(seen).toEqual(['e', 'd', 'c', 'b', 'a']);
    expect(cursor).toBeNull();
    await expect(catalog.listRestorePoints({ limit: 2, cursor: 'nonsense' })).rejects.toMatchObject({ code: 'CURSOR_INVALID' });
    const wrongKind = Buffer.from('["not a time","x"]').toString('base64url');
    await expect(catalog.listRestorePoints({ limit: 2, cursor: wrongKind })).rejects.toMatchObject({ code: 'CURSOR_INVALID' });
  });

  it('can be deleted by more people at once than there are database connections', async () => {
    const { vappId } = await shop();
    const ids = Array.from({ length: 12 }, (_, n) => `${cloudId}-${n}`);
    for (const id of ids) await catalog.recordRestorePoint(point(id, vappId, '2026-05-01T00:00:00.000Z', []));
    catalog.registerRestorePointUse(async () => void (await module.get(DataSource).query('SELECT 1')));
    const application = module.createNestApplication({ logger: false });
    await application.listen(0, '127.0.0.1');
    const route = `${await application.getUrl()}/api/v1/restore-points`;
    const answers = await Promise.all(ids.map((id) => fetch(`${route}/${id}`, { method: 'DELETE' })));
    expect(answers.map(({ status }) => status)).toEqual(ids.map(() => 204));
    expect((await catalog.listRestorePoints({ vappId, limit: 100 })).items).toEqual([]);
  });

  it('can be written into a catalog that knows nothing of their objects', async () => {
    const disks = [diskRow(`${cloudId}-disk`)];
    const row = point(`${cloudId}-rebuilt`, `${cloudId}-vapp`, '2026-05-01T00:00:00.000Z', [
      { vmId: `${cloudId}-vm`, name: 'web-1', disks },
    ]);
    await catalog.recordRestorePoint(row);
    expect(await catalog.restorePoint(row.id)).toEqual(row);
    expect(await catalog.vapp(`${cloudId}-vapp`)).toMatchObject({ name: 'shop', present: false });
    expect(await catalog.diskBase(`${cloudId}-disk`)).toMatchObject({ restorePointId: row.id });
  });
});
