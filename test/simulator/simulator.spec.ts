import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type VappCapture, VcdClient } from '../../src/vcd/index.js';
import { type Simulator, type SimulatorOptions, startSimulator } from './index.js';
import type { SimVm } from './model/index.js';
import { DEFAULT_SEED, type Seed } from './seeds/index.js';
import { smallSeed } from './seeds/small-seed.js';

/** The product's own VCD client, written independently, against the whole simulated cloud. */
describe('the simulated cloud', () => {
  let options: SimulatorOptions;
  let dataDir: string;
  let simulator: Simulator;

  const connect = async (): Promise<VcdClient> => {
    const { url, userName, password, organization, thumbprintSha256 } = simulator.description.vcd;
    return VcdClient.connect({ url, userName, password, organization, trust: { thumbprint: thumbprintSha256 }, taskPollMs: 20 });
  };
  const control = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${simulator.description.control.url}${path}`, {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    return (await response.json()) as T;
  };

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'simulator-'));
    const seed = smallSeed(JSON.parse(await readFile(DEFAULT_SEED, 'utf8'))) as Seed;
    options = {
      listen: '127.0.0.1',
      vcdPort: 0,
      vcenterPort: 0,
      controlPort: 0,
      dataDir,
      seed,
      taskDelayMs: 20,
      recordDir: join(dataDir, 'record'),
    };
    simulator = await startSimulator(options);
  });
  afterAll(async () => {
    await simulator.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('goes on after a restart with the same state and thumbprints', async () => {
    const before = simulator.description;
    const vapps = simulator.cloud.state.vapps.map((vapp) => vapp.id);
    const client = await connect();
    await client.close();
    const events = structuredClone(simulator.cloud.events.all());
    expect(events.map((event) => event.type)).toContain('com/vmware/vcloud/event/session/login');
    await simulator.close();
    simulator = await startSimulator(options);
    expect(simulator.description.vcd.thumbprintSha256).toBe(before.vcd.thumbprintSha256);
    expect(simulator.description.vcenter.instanceUuid).toBe(before.vcenter.instanceUuid);
    expect(simulator.cloud.state.vapps.map((vapp) => vapp.id)).toEqual(vapps);
    expect(simulator.cloud.events.all()).toEqual(events);
    expect(simulator.cloud.state.vimServer.url).toBe(simulator.description.vcenter.url);
  });

  it('lets a client capture shop, lose it, import its VMs and put every attribute back', async () => {
    const client = await connect();
    const { vsphere, cloud } = simulator;
    const shop = cloud.state.vapps.find((vapp) => vapp.name === 'shop');
    const href = `${simulator.description.vcd.url}/api/vApp/vapp-${shop?.id}`;
    const capture = await client.captureVapp(href);
    const old = new Map(capture.vms.map((vm) => [vm.name, vsphere.vm(vm.vim.vmMoRef) as SimVm]));
    await control('POST', '/checkpoints', { name: 'before', vapp: 'shop' });
    await client.deleteVapp(href);
    expect(vsphere.vms().some((vm) => [...old.values()].some((gone) => gone.moRef === vm.moRef))).toBe(false);

    const restored = await restore(client, simulator, capture, old);
    const comparison = await control<{ attributes: unknown[] }>('POST', '/checkpoints/before/compare', { vapp: 'shop' });
    expect(comparison.attributes).toEqual([]);
    await client.writeVapp(restored, { description: 'another' });
    const changed = await control<{ attributes: unknown[] }>('POST', '/checkpoints/before/compare', { vapp: 'shop' });
    expect(changed.attributes).toEqual([{ path: 'description', expected: capture.description, actual: 'another' }]);
    await client.close();
  });

  it('records bodies without passwords and tokens', async () => {
    const folder = join(dataDir, 'record');
    const names = await readdir(folder);
    const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    expect(names.some((name) => name.includes('importVmAsVApp'))).toBe(true);
    const all = texts.join('\n');
    expect(all).not.toContain(simulator.description.vcd.password);
    expect(all).not.toMatch(/eyJ[\w-]+\.[\w-]+\.|Basic [A-Za-z0-9+/]{8}/);
  });
});

/** What the product's restore does, with empty disks: VMs in vCenter, imports, edits. */
async function restore(client: VcdClient, simulator: Simulator, capture: VappCapture, old: ReadonlyMap<string, SimVm>): Promise<string> {
  const { vsphere, cloud } = simulator;
  const vdc = cloud.state.vdcs.find((candidate) => candidate.name === capture.vdc.name);
  let vappHref: string | undefined;
  const vmHrefs: string[] = [];
  for (const vm of capture.vms) {
    const hardware = old.get(vm.name) as SimVm;
    const source = await vsphere.createVm({
      name: `restored-${vm.name}`,
      folderMoRef: vsphere.vmFolderMoRef,
      resourcePoolMoRef: vdc?.resourcePoolMoRef ?? '',
      datastoreName: hardware.datastoreName,
      guestId: hardware.guestId,
      hardwareVersion: hardware.hardwareVersion,
      cpuCount: hardware.cpuCount,
      coresPerSocket: hardware.coresPerSocket,
      memoryMib: hardware.memoryMib,
      controllers: [...new Map(hardware.disks.map((disk) => [disk.busNumber, disk])).values()].map(({ adapterType, busNumber }) => ({
        adapterType,
        busNumber,
      })),
      disks: hardware.disks.map(({ capacityBytes, busNumber, unitNumber }) => ({
        capacityBytes,
        controllerIndex: busNumber,
        unitNumber,
        thin: true,
      })),
      nics: hardware.nics.map(({ adapterType, macAddress }) => ({
        adapterType,
        macAddress,
        networkMoRef: vsphere.networks()[0]?.moRef ?? '',
      })),
    });
    const common = {
      vimServerHref: vm.vim.vimServer.href,
      vmMoRef: source.moRef,
      vmName: vm.name,
      computerName: vm.computerName,
      localId: vm.localId,
      storageProfileHref: vm.storageProfile?.href,
    };
    if (vappHref === undefined) {
      const imported = await client.importVmAsVapp({
        ...common,
        vdcHref: capture.vdc.href,
        vappName: capture.name,
        vappDescription: capture.description,
      });
      vappHref = imported.vappHref;
      vmHrefs.push(imported.vmHref);
    } else {
      vmHrefs.push((await client.importVmIntoExistingVapp({ ...common, vappHref, vmDescription: vm.description })).vmHref);
    }
  }
  if (vappHref === undefined) throw new Error('nothing was imported');
  const parents = capture.networks.flatMap(({ parent }) => (parent ? [[parent.href, parent.href] as const] : []));
  await client.writeNetworkConfig(vappHref, capture.networks, new Map(parents));
  for (const [index, vm] of capture.vms.entries()) await client.writeVm(vmHrefs[index] ?? '', vm, { keepMacAddresses: true });
  for (const [index, vm] of capture.vms.entries()) await client.writeMetadata(vmHrefs[index] ?? '', vm.metadata);
  await client.writeStartup(vappHref, capture.startup);
  await client.writeLease(vappHref, capture.lease);
  await client.writeMetadata(vappHref, capture.metadata);
  await client.writeVappSections(vappHref, capture.sections);
  await client.writeAccess(vappHref, capture.access);
  await client.writeOwner(vappHref, capture.owner.href);
  return vappHref;
}
