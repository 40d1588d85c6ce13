import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Test, type TestingModule } from '@nestjs/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CatalogModule, CatalogService, type InventoryCounts, type SourceKind } from '../../src/catalog/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import { VcdClient } from '../../src/vcd/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { SettledModule } from '../harness/settled-module.js';
import { type Simulator, startSimulator } from '../simulator/index.js';
import { parseSeed } from '../simulator/seeds/index.js';
import { smallSeed } from '../simulator/seeds/small-seed.js';

/** The whole inventory of a simulated cloud of several pages, and what a refresh reads of it afterwards. */

const GENERATED = { organizations: 3, vdcs: 6, vapps: 300, vms: 600 };
const CLOUD = 'cloud-1';
let database: TestDatabase;
let simulator: Simulator;
let module: TestingModule;
let catalog: CatalogService;
let vcd: VcdClient;

beforeAll(async () => {
  database = await startTestDatabase();
  const demo = JSON.parse(await readFile(new URL('../simulator/seeds/demo.json', import.meta.url), 'utf8'));
  simulator = await startSimulator({
    listen: '127.0.0.1',
    vcdPort: 0,
    vcenterPort: 0,
    controlPort: 0,
    dataDir: join(database.dataDir, 'cloud'),
    seed: parseSeed(smallSeed(demo), 'demo.json'),
    generate: GENERATED,
    taskDelayMs: 5,
  });
  addToCatalog();
  module = await Test.createTestingModule({
    imports: [DatabaseModule.forRoot({ url: database.url, poolSize: 8 }), SettledModule, CatalogModule],
  }).compile();
  await module.init();
  catalog = module.get(CatalogService);
  vcd = await connect('System');
}, 120_000);
afterAll(async () => {
  await vcd?.close();
  await module?.close();
  await simulator?.close();
  await database?.stop();
});

function connect(organization: string): Promise<VcdClient> {
  const { vcd: door, tenants } = simulator.description;
  const login = organization === 'System' ? door : tenants.find((tenant) => tenant.organization === organization);
  if (login === undefined) throw new Error(`no login for ${organization}`);
  const { userName, password } = login;
  return VcdClient.connect({
    url: door.url,
    organization,
    userName,
    password,
    trust: { thumbprint: door.thumbprintSha256 },
    taskPollMs: 10,
  });
}

/** A catalog with a medium and a template of one VM, and a named disk, straight into the cell's state. */
function addToCatalog(): void {
  const { state } = simulator.cloud;
  const [vdc] = state.vdcs;
  const vm = state.vms.find((candidate) => simulator.cloud.vappOf(candidate).vdcId === vdc?.id);
  if (vdc === undefined || vm === undefined) throw new Error('the seed has a VDC with a VM');
  const { organizationId } = vdc;
  const profile = state.storageProfiles.find(({ vdcId }) => vdcId === vdc.id)?.id ?? '';
  const common = { description: '', organizationId, ownerUserId: undefined, createdAt: '2024-01-01T00:00:00.000Z', metadata: [] };
  const [catalogId, templateId, mediaId] = [randomUUID(), randomUUID(), randomUUID()];
  const access = { sharedToEveryone: false, grants: [] };
  state.catalogs.push({ ...common, id: catalogId, name: 'golden', versionNumber: 1, access, storageProfileId: undefined });
  const item = { catalogId, description: '', createdAt: common.createdAt, versionNumber: 1, metadata: [] };
  state.catalogItems.push(
    { ...item, id: randomUUID(), name: 'base', entityKind: 'vappTemplate', entityId: templateId },
    { ...item, id: randomUUID(), name: 'tools.iso', entityKind: 'media', entityId: mediaId },
  );
  const lists = { networks: [], startup: [], productSections: [] };
  const template = { folderMoRef: '', storageLeaseSeconds: 0, goldMaster: true, customizeOnInstantiate: false, transferId: undefined };
  state.vappTemplates.push({ ...common, ...lists, ...template, id: templateId, name: 'base', vdcId: vdc.id, creation: 'done' });
  state.templateVms.push({
    ...structuredClone(vm),
    id: randomUUID(),
    vappId: templateId,
    name: 'base-vm',
    localId: randomUUID(),
    disks: [],
  });
  const transfer = { uploadTransferId: undefined, uploadTaskId: undefined, downloadTransferId: undefined };
  const image = { imageType: 'iso' as const, sizeBytes: 5_000_000_000, storageProfileId: profile, status: 1 as const };
  state.media.push({ ...common, ...transfer, ...image, id: mediaId, name: 'tools.iso', vdcId: vdc.id, receivedRanges: [], fileName: 'x' });
  const shape = { sizeBytes: 2 ** 31, busSubType: 'VirtualSCSI' as const, storageProfileId: profile, creation: 'done' as const };
  const place = { path: '[ds] d/d.vmdk', uuid: randomUUID(), attachedVmId: undefined };
  state.disks.push({ ...common, ...shape, ...place, id: randomUUID(), name: 'data', vdcId: vdc.id });
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function named(kinds: SourceKind[], name?: string) {
  const { items } = await catalog.listVapps({ cloudId: CLOUD, kinds, present: true, limit: 500, ...(name === undefined ? {} : { name }) });
  return items;
}

async function refresh(options = {}): Promise<InventoryCounts> {
  return catalog.saveInventory(CLOUD, vcd, options);
}

describe('the listings of the client', () => {
  it('give every object once, in requests proportional to pages', async () => {
    const { state } = simulator.cloud;
    const before = vcd.requestCount;
    const vms = await all(vcd.vms());
    expect(new Set(vms.map(({ id }) => id)).size).toBe(state.vms.length);
    expect(vms).toHaveLength(state.vms.length);
    expect(vms.every(({ inTemplate }) => !inTemplate)).toBe(true);
    expect(vcd.requestCount - before).toBe(Math.ceil(state.vms.length / 128));
    expect(await vcd.count('vms')).toBe(state.vms.length);
    expect(await vcd.count('vapps')).toBe(state.vapps.length);
  });

  it('stop asking when the reader has enough, also when it is aborted', async () => {
    for await (const _vm of vcd.vms()) break;
    const controller = new AbortController();
    const reading = (async () => {
      for await (const _vm of vcd.vms(undefined, controller.signal)) controller.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('know templates, media, named disks and what stands around them', async () => {
    const [template] = await all(vcd.vappTemplates());
    expect(template).toMatchObject({ name: 'base', catalogName: 'golden', goldMaster: true });
    expect(await all(vcd.templateVms())).toMatchObject([{ name: 'base-vm', inTemplate: true, vappId: template?.id }]);
    expect(await all(vcd.media())).toMatchObject([{ name: 'tools.iso', catalogName: 'golden', sizeBytes: 5_000_000_000 }]);
    expect(await all(vcd.namedDisks())).toMatchObject([{ name: 'data', sizeMib: 2048, attachedVmCount: 0 }]);
    for (const kind of [
      'provider-vdc',
      'vcenter',
      'datastore',
      'storage-profile',
      'compute-policy',
      'organization-network',
      'catalog',
    ] as const) {
      const found = await all(vcd.resources(kind));
      expect(found.length, kind).toBeGreaterThan(0);
      // The simulated cell names datastores by their MoRef: then the address is the id.
      for (const resource of found)
        expect(resource.id, kind).toMatch(kind === 'datastore' ? /datastore/ : /^urn:vcloud:\w+:[0-9a-f-]{36}$/);
    }
    expect(await all(vcd.resources('external-network'))).toBeInstanceOf(Array);
  });

  it('show a tenant its own, and no kind that is the provider’s', async () => {
    const tenant = simulator.description.tenants[0]?.organization ?? '';
    const client = await connect(tenant);
    try {
      const [organization] = await all(client.organizations());
      const vapps = await all(client.vapps());
      expect(vapps.length).toBeGreaterThan(0);
      expect(vapps.every(({ organizationId }) => organizationId === organization?.id)).toBe(true);
      for (const kind of ['provider-vdc', 'vcenter', 'datastore', 'compute-policy'] as const)
        expect(await all(client.resources(kind))).toEqual([]);
    } finally {
      await client.close();
    }
  });
});

describe('an inventory', () => {
  it('reads everything the first time and keeps each kind apart', async () => {
    const { state } = simulator.cloud;
    const counts = await refresh();
    expect(counts).toMatchObject({ mode: 'full', fullReason: 'first', vapps: state.vapps.length, vms: state.vms.length });
    expect(counts).toMatchObject({ vappTemplates: 1, media: 1, namedDisks: 1, vanishedVapps: 0 });
    const objects = state.vapps.length + state.vms.length;
    expect(counts.requests).toBeLessThan(objects / 128 + 40);
    expect(await named(['vapp-template'])).toMatchObject([{ name: 'base', vcdCatalogName: 'golden', vmCount: 1 }]);
    expect(await named(['media'])).toMatchObject([{ name: 'tools.iso', vcdCatalogName: 'golden' }]);
    expect((await named(['vapp', 'standalone-vm'], 'base')).map(({ name }) => name)).not.toContain('base');
    expect((await catalog.listNamedDisks({ cloudId: CLOUD, limit: 10 })).items).toMatchObject([{ name: 'data', sizeBytes: 2 ** 31 }]);
    const first = await catalog.listResources({ cloudId: CLOUD, limit: 2 });
    const second = await catalog.listResources({ cloudId: CLOUD, limit: 500, cursor: first.nextCursor ?? '' });
    expect(first.items.length + second.items.length).toBe(counts.resources);
  });

  it('reads only what events name afterwards', async () => {
    const [vapp] = await all(vcd.vapps('name==shop'));
    await vcd.writeVapp(vapp?.href ?? '', { description: 'changed', name: 'shop renamed' });
    const counts = await refresh();
    expect(counts).toMatchObject({ mode: 'changes', fullReason: null, listingsRead: [], vanishedVapps: 0 });
    expect(counts.recordsRead).toBeLessThan(40);
    expect(counts.requests).toBeLessThan(25);
    expect(await named(['vapp'], 'shop renamed')).toHaveLength(1);
  });

  it('notices what was deleted, with its VMs', async () => {
    const [vapp] = await all(vcd.vapps(`name==${vcd.filterValue('shop renamed')}`));
    await vcd.deleteVapp(vapp?.href ?? '');
    const counts = await refresh();
    expect(counts).toMatchObject({ mode: 'changes', vanishedVapps: 1, listingsRead: [] });
    expect(counts).toMatchObject({ vapps: simulator.cloud.state.vapps.length, vms: simulator.cloud.state.vms.length });
  });

  it('reads a listing again when its count has drifted without an event', async () => {
    const { state } = simulator.cloud;
    const [gone] = state.media.splice(0, 1);
    state.catalogItems = state.catalogItems.filter((item) => item.entityId !== gone?.id);
    expect(await refresh()).toMatchObject({ mode: 'changes', listingsRead: ['media'], media: 0, vanishedVapps: 1 });
  });

  it('reads everything when VCD keeps no events, when it is asked to, and when the last time is long ago', async () => {
    expect(await refresh({ full: true })).toMatchObject({ mode: 'full', fullReason: 'requested' });
    expect(await refresh({ maxAgeMs: 0 })).toMatchObject({ mode: 'full', fullReason: 'age' });
    simulator.cloud.events.keepFor(0);
    expect(await refresh()).toMatchObject({ mode: 'full', fullReason: 'no-events' });
    simulator.cloud.events.keepFor(Number.POSITIVE_INFINITY);
    expect(await refresh()).toMatchObject({ mode: 'changes' });
  });

  it('goes with its cloud', async () => {
    await catalog.forgetCloud(CLOUD);
    expect((await catalog.listResources({ cloudId: CLOUD, limit: 10 })).items).toEqual([]);
    expect(await named(['vapp', 'standalone-vm', 'vapp-template', 'media'])).toEqual([]);
    expect(await refresh()).toMatchObject({ mode: 'full', fullReason: 'first' });
  });
});
