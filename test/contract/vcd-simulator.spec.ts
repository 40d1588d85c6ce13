import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  compareVappCaptures,
  type RotatingToken,
  type VappCapture,
  VcdClient,
  type VcdEndpoint,
  VcdError,
  type VdcResources,
} from '../../src/vcd/index.js';
import { type SimVm, type SimVmSpec, VsphereModel } from '../simulator/model/index.js';
import { addVapps, newCloudState, parseSeed } from '../simulator/seeds/index.js';
import { serverCertificate } from '../simulator/tls.js';
import {
  chooseVariants,
  createApiToken,
  defaultVariants,
  OrderedFaults,
  type RecordedExchange,
  VcdCloud,
  VcdServer,
} from '../simulator/vcd/index.js';

/** The client against the simulated cell, which checks bodies against VMware's schemas: the whole way of a restore, without disks' bytes. */

const faults = new OrderedFaults();
const exchanges: RecordedExchange[] = [];
let dataDir: string;
let vsphere: VsphereModel;
let cloud: VcdCloud;
let server: VcdServer;
let vcd: VcdClient;
let connection: VcdEndpoint & { userName: string; password: string };

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vcd-simulator-'));
  const seed = parseSeed(await emptySeed(), 'demo.json');
  vsphere = await VsphereModel.open({ dataDir, datastoreNames: seed.vcenter.datastores, hostNames: seed.vcenter.hosts });
  cloud = new VcdCloud(newCloudState(seed, vsphere, 'administrator@vsphere.local'), vsphere, VcdCloud.stateFile(dataDir), {
    taskDelayMs: 5,
    taskFailure: (operationName) => faults.forTask(operationName),
  });
  await addVapps(cloud, seed);
  const certificate = await serverCertificate(join(dataDir, 'vcd.json'), 'vcd.test', []);
  server = await VcdServer.listen({
    cloud,
    host: '127.0.0.1',
    port: 0,
    certificate,
    sessionIdleMs: 600_000,
    faults,
    onExchange: (exchange) => void exchanges.push(exchange),
  });
  connection = {
    url: server.url,
    organization: 'System',
    userName: seed.administrator.name,
    password: seed.administrator.password,
    trust: { thumbprint: certificate.thumbprintSha256 },
    taskPollMs: 10,
    retryBaseDelayMs: 5,
  };
  vcd = await VcdClient.connect(connection);
});

afterAll(async () => {
  await vcd?.close();
  await server?.close();
  await cloud?.close();
  await vsphere?.close();
  await rm(dataDir, { recursive: true, force: true });
});

/** The demo's cloud with empty disks: contents are other specs' business. */
async function emptySeed(): Promise<unknown> {
  const text = await readFile(new URL('../simulator/seeds/demo.json', import.meta.url), 'utf8');
  return JSON.parse(text, (key: string, value: unknown) => (key === 'dataBytes' ? 0 : value));
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function shop(): Promise<string> {
  for await (const vapp of vcd.vapps(`name==${vcd.filterValue('shop')}`)) return vapp.href;
  throw new Error('the seed has a vApp "shop"');
}

/** What a restore rebuilds in vCenter: the same hardware as a new VM. */
async function rebuild(vm: SimVm, name: string, keepMacAddresses: boolean, resources: VdcResources): Promise<SimVm> {
  const buses = [...new Set(vm.disks.map((disk) => disk.busNumber))];
  const spec: SimVmSpec = {
    name,
    folderMoRef: vsphere.vmFolderMoRef,
    resourcePoolMoRef: resources.resourcePoolMoRef,
    datastoreName: vm.datastoreName,
    guestId: vm.guestId,
    hardwareVersion: vm.hardwareVersion,
    cpuCount: vm.cpuCount,
    coresPerSocket: vm.coresPerSocket,
    memoryMib: vm.memoryMib,
    controllers: buses.map((busNumber) => ({
      busNumber,
      adapterType: vm.disks.find((disk) => disk.busNumber === busNumber)?.adapterType ?? 'paraVirtual',
    })),
    disks: vm.disks.map((disk) => ({
      capacityBytes: disk.capacityBytes,
      unitNumber: disk.unitNumber,
      controllerIndex: buses.indexOf(disk.busNumber),
    })),
    nics: vm.nics.map((nic) => ({
      adapterType: nic.adapterType,
      networkMoRef: vsphere.networks()[0]?.moRef ?? '',
      ...(keepMacAddresses ? { macAddress: nic.macAddress } : {}),
    })),
  };
  return vsphere.createVm(spec);
}

/** The way of src/restore, in short. */
async function restore(captured: VappCapture, hardware: readonly SimVm[], vappName: string, keepMacAddresses: boolean): Promise<string> {
  const resources = await vcd.vdcResources(captured.vdc.href);
  let vappHref = '';
  for (const [index, vm] of captured.vms.entries()) {
    const rebuilt = await rebuild(hardware[index] as SimVm, `restore-${vappName}-${vm.name}`, keepMacAddresses, resources);
    const common = {
      vimServerHref: resources.vimServerHref,
      vmMoRef: rebuilt.moRef,
      vmName: vm.name,
      computerName: vm.computerName,
      localId: vm.localId,
    };
    const storageProfileHref = resources.storageProfiles.find((profile) => profile.name === vm.storageProfile?.name)?.href;
    if (index === 0) ({ vappHref } = await vcd.importVmAsVapp({ ...common, storageProfileHref, vdcHref: resources.href, vappName }));
    else await vcd.importVmIntoExistingVapp({ ...common, storageProfileHref, vappHref, vmDescription: vm.description });
  }
  const parents = new Map(captured.networks.flatMap(({ parent }) => (parent ? [[parent.href, parent.href] as const] : [])));
  await vcd.writeVapp(vappHref, { description: captured.description });
  await vcd.writeNetworkConfig(vappHref, captured.networks, parents);
  const present = await vcd.captureVapp(vappHref);
  for (const vm of captured.vms) {
    const href = present.vms.find((candidate) => candidate.name === vm.name)?.href ?? '';
    await vcd.writeVm(href, vm, { keepMacAddresses });
    await vcd.writeMetadata(href, vm.metadata);
  }
  await vcd.writeStartup(vappHref, captured.startup);
  await vcd.writeLease(vappHref, captured.lease);
  await vcd.writeVappSections(vappHref, captured.sections);
  await vcd.writeMetadata(vappHref, captured.metadata);
  await vcd.writeAccess(vappHref, captured.access);
  const owner = await vcd.findUser(resources.organization, captured.owner.name ?? '');
  await vcd.writeOwner(vappHref, owner?.href ?? '');
  return vappHref;
}

describe('the client against the simulated cell', () => {
  it('lists the inventory', async () => {
    const organizations = await all(vcd.organizations());
    expect(organizations.map((organization) => organization.name)).toEqual(expect.arrayContaining(['acme', 'globex']));
    const vdcs = await all(vcd.vdcs());
    expect(vdcs.find((vdc) => vdc.name === 'acme-production')?.organizationId).toBe(
      organizations.find((organization) => organization.name === 'acme')?.id,
    );
    const vapps = await all(vcd.vapps());
    const found = vapps.find((vapp) => vapp.name === 'shop');
    const vms = (await all(vcd.vms())).filter((vm) => vm.vappId === found?.id);
    expect(vms.length).toBe(found?.vmCount);
    const [vimServer] = await vcd.vimServers();
    expect(vimServer?.instanceUuid).toBe(vsphere.instanceUuid);
    expect(vms.every((vm) => vsphere.vm(vm.moRef) !== undefined && vm.vimServerId === vimServer?.id && vm.localId !== undefined)).toBe(
      true,
    );
  });

  it('enters and leaves maintenance mode, and the capture stays the same meanwhile', async () => {
    const href = await shop();
    const before = vcd.fingerprint(await vcd.captureVapp(href));
    await vcd.enterMaintenanceMode(href);
    expect(await vcd.inMaintenanceMode(href)).toBe(true);
    await vcd.waitForRunningTasks(href, 5_000);
    expect(vcd.fingerprint(await vcd.captureVapp(href))).toBe(before);
    await vcd.exitMaintenanceMode(href);
    expect(await vcd.inMaintenanceMode(href)).toBe(false);
  });

  it('brings a deleted vApp back with every attribute, and once more beside it as a copy', async () => {
    const href = await shop();
    const captured = await vcd.captureVapp(href);
    const hardware = captured.vms.map((vm) => vsphere.vm(vm.vim.vmMoRef) as SimVm);
    expect(captured.vms.length).toBeGreaterThan(1);
    await vcd.deleteVapp(href);
    await expect(vcd.captureVapp(href)).rejects.toMatchObject({ code: 'VAPP_NOT_FOUND' });
    await vcd.deleteVapp(href);

    const restored = await vcd.captureVapp(await restore(captured, hardware, 'shop', true));
    expect(compareVappCaptures(captured, restored)).toEqual([]);
    expect(restored.id).not.toBe(captured.id);

    const copy = await vcd.captureVapp(await restore(captured, hardware, 'shop-before', false));
    expect(compareVappCaptures(captured, copy, { ignoreName: true, ignoreMacAddresses: true })).toEqual([]);
    const macAddresses = [...restored.vms, ...copy.vms].flatMap((vm) => vm.nics.map((nic) => nic.macAddress));
    expect(new Set(macAddresses).size).toBe(macAddresses.length);
  });

  it('deletes what a failed import left, and tells why it failed', async () => {
    const captured = await vcd.captureVapp(await shop());
    const resources = await vcd.vdcResources(captured.vdc.href);
    const hardware = vsphere.vm(captured.vms[0]?.vim.vmMoRef ?? '') as SimVm;
    const rebuilt = await rebuild(hardware, 'restore-failing', false, resources);
    faults.add({ operationName: 'importSingletonVapp', minorErrorCode: 'VC_ERROR', message: 'The datastore is full' });
    const error = await vcd
      .importVmAsVapp({
        vimServerHref: resources.vimServerHref,
        vmMoRef: rebuilt.moRef,
        vdcHref: resources.href,
        vappName: 'failing',
        vmName: 'web',
      })
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(VcdError);
    expect(error).toMatchObject({ code: 'TASK_FAILED', message: expect.stringContaining('The datastore is full') });
    expect(await vcd.findVapp(resources.href, 'failing')).toBeUndefined();
  });

  it.each(['33.0', '34.0', '36.0'])('speaks API %s as well', async (apiVersion) => {
    const old = await VcdClient.connect({ ...connection, apiVersion });
    try {
      const capture = await old.captureVapp(await shop());
      expect(capture.apiVersion).toBe(apiVersion);
      expect(compareVappCaptures(await vcd.captureVapp(await shop()), capture)).toEqual([]);
      expect(await old.findVapp(capture.vdc.href, 'shop')).toMatchObject({ id: capture.id });
    } finally {
      await old.close();
    }
  });

  it('shows a tenant its own organization only', async () => {
    const tenant = await VcdClient.connect({ ...connection, organization: 'acme', userName: 'acme-admin', password: 'Acme-Adm1n!' });
    try {
      expect((await all(tenant.organizations())).map((organization) => organization.name)).toEqual(['acme']);
      const names = new Set((await all(tenant.vdcs())).map((vdc) => vdc.organizationName));
      expect([...names]).toEqual(['acme']);
      expect((await all(tenant.vapps())).every((vapp) => vapp.organizationId.startsWith('urn:vcloud:org:'))).toBe(true);
      await expect(tenant.captureVapp(await shop())).rejects.toMatchObject({ code: 'VIM_INFO_MISSING' });
    } finally {
      await tenant.close();
    }
  });

  it('logs in again when its session has ended', async () => {
    server.sessions.endAll();
    expect((await vcd.captureVapp(await shop())).name).toBe('shop');
  });

  it('repeats a dropped request', async () => {
    faults.add({ path: '/vApp/vapp-', effect: 'drop' });
    expect((await vcd.captureVapp(await shop())).name).toBe('shop');
    expect(faults.list()).toEqual([]);
  });
});

describe('where cells differ', () => {
  afterEach(() => {
    Object.assign(cloud.variants, defaultVariants());
  });

  it.each([
    [{ prefixes: 'numbered' }],
    [{ mediaTypeCase: 'lower' }],
    [{ mediaTypeCase: 'upper' }],
    [{ links: 'xml' }],
    [{ prefixes: 'numbered', mediaTypeCase: 'upper', links: 'xml', unknownContent: 'added' }],
  ])('reads and writes all the same with %o', async (variants) => {
    const href = await shop();
    const ordinary = await vcd.captureVapp(href);
    chooseVariants(cloud.variants, variants);
    const captured = await vcd.captureVapp(href);
    const known = compareVappCaptures(ordinary, captured).filter(({ path }) => !/addedByALaterVersion/i.test(path));
    expect(known).toEqual([]);
    await vcd.writeLease(href, { ...captured.lease, storageSeconds: captured.lease.storageSeconds + 60 });
    await vcd.writeLease(href, captured.lease);
    await vcd.writeStartup(href, captured.startup);
    Object.assign(cloud.variants, defaultVariants());
    expect(compareVappCaptures(ordinary, await vcd.captureVapp(href))).toEqual([]);
  });

  it('keeps what it does not know wherever it reads, changes and writes back', async () => {
    const href = await shop();
    const ordinary = await vcd.captureVapp(href);
    chooseVariants(cloud.variants, { unknownContent: 'added' });
    exchanges.length = 0;
    await vcd.writeLease(href, ordinary.lease);
    await vcd.writeStartup(href, ordinary.startup);
    const parents = new Map(ordinary.networks.flatMap(({ parent }) => (parent ? [[parent.href, parent.href] as const] : [])));
    await vcd.writeNetworkConfig(href, ordinary.networks, parents);
    for (const vm of ordinary.vms) await vcd.writeVm(vm.href, vm, { keepMacAddresses: true });
    const written = exchanges.filter(({ method, path }) => method === 'PUT' || path.endsWith('/action/reconfigureVm'));
    const lost = written.filter(({ requestBody }) => !requestBody.includes('AddedByALaterVersion'));
    expect(written.length).toBeGreaterThan(ordinary.vms.length + 2);
    expect(lost.map(({ path }) => path.replace(/[0-9a-f-]{36}/, 'ID'))).toEqual([]);
    Object.assign(cloud.variants, defaultVariants());
    expect(compareVappCaptures(ordinary, await vcd.captureVapp(href))).toEqual([]);
  });

  it.each(['401', '403'])('logs in again once when an ended session is answered with %s', async (expiredSession) => {
    chooseVariants(cloud.variants, { expiredSession });
    server.sessions.endAll();
    exchanges.length = 0;
    expect((await vcd.captureVapp(await shop())).name).toBe('shop');
    expect(exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });
});

describe('tokens', () => {
  it('logs in with an API token, as provider and as tenant', async () => {
    const { url, trust } = connection;
    for (const [organization, user] of [
      ['System', 'administrator'],
      ['acme', 'acme-admin'],
    ] as const) {
      const { token: apiToken } = createApiToken(cloud, { name: `token of ${user}`, kind: 'user', user, organization });
      const client = await VcdClient.connect({ url, trust, organization, kind: 'api-token', apiToken });
      server.sessions.endAll();
      const names = (await all(client.organizations())).map(({ name }) => name);
      expect(names).toContain('acme');
      await client.close();
    }
  });

  it("spends a service account's token once and goes on with the next", async () => {
    const { token: first } = createApiToken(cloud, {
      name: 'backup',
      kind: 'service-account',
      user: 'administrator',
      organization: 'System',
    });
    const { url, trust } = connection;
    const given: string[] = [first];
    const token: RotatingToken = {
      rotate: async (exchange) => {
        const { nextToken, value } = await exchange(given.at(-1) as string);
        given.push(nextToken ?? '');
        return value;
      },
    };
    const client = await VcdClient.connect({ url, trust, organization: 'System', kind: 'service-account', token });
    server.sessions.endAll();
    expect((await all(client.organizations())).length).toBeGreaterThan(1);
    expect(new Set(given).size).toBe(3);
    await client.close();
    const copy: RotatingToken = { rotate: async (exchange) => (await exchange(first)).value };
    await expect(VcdClient.connect({ url, trust, organization: 'System', kind: 'service-account', token: copy })).rejects.toMatchObject({
      code: 'TOKEN_USED',
    });
  });
});
