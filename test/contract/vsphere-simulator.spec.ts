import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseXml } from '../../src/common/index.js';
import { VsphereClient } from '../../src/vsphere/index.js';
import { VsphereModel } from '../simulator/model/index.js';
import { serverCertificate } from '../simulator/tls.js';
import { VcenterServer } from '../simulator/vsphere/index.js';

/** The client against the simulated vCenter, which was written apart from it and refuses what the schema does not allow. */
const MIB = 1024 * 1024;
const USER = 'administrator@vsphere.local';
const PASSWORD = 'simulated-pa55word';
let dataDir: string;
let model: VsphereModel;
let server: VcenterServer;
let client: VsphereClient;
let vmMoRef: string;

const connection = () => ({ url: server.url, userName: USER, password: PASSWORD, trust: { thumbprint: server.thumbprintSha1 } });

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vsphere-client-'));
  model = await VsphereModel.open({ dataDir, networkNames: ['VM Network'], portGroupNames: ['shop-net'] });
  const certificate = await serverCertificate(join(dataDir, 'vcenter-certificate.json'), 'vcenter', []);
  server = new VcenterServer({ model, ...certificate, userName: USER, password: PASSWORD, taskTiming: { minMs: 10, maxMs: 40 } });
  await server.listen();
  client = await VsphereClient.connect(connection());
  const [plain] = model.networks().filter((network) => network.kind === 'Network');
  const [group] = model.networks().filter((network) => network.kind === 'DistributedVirtualPortgroup');
  const vm = await model.createVm({
    name: 'web 50% / 1',
    folderMoRef: model.vmFolderMoRef,
    resourcePoolMoRef: model.rootResourcePoolMoRef,
    datastoreName: model.datastores()[0]?.name ?? '',
    guestId: 'debian12_64Guest',
    annotation: 'first <line>\nsecond & last',
    firmware: 'efi',
    cpuCount: 2,
    memoryMib: 1536,
    controllers: [{ adapterType: 'lsiLogic' }, { adapterType: 'paraVirtual' }],
    disks: [
      { capacityBytes: 64 * MIB + 512, thin: true },
      { capacityBytes: 32 * MIB, thin: false, controllerIndex: 1, unitNumber: 3 },
    ],
    nics: [
      { networkMoRef: plain?.moRef ?? '', macAddress: '00:50:56:01:02:03' },
      { networkMoRef: group?.moRef ?? '', adapterType: 'e1000e', macAddress: '00:50:56:01:02:04' },
    ],
    extraConfig: { 'disk.EnableUUID': 'TRUE', 'guestinfo.role': 'a & b' },
  });
  vmMoRef = vm.moRef;
  await model.powerOn(vmMoRef);
});

afterAll(async () => {
  await client?.close();
  await server?.close();
  await model?.close();
  await rm(dataDir, { recursive: true, force: true });
});

describe('the client against the simulated vCenter', () => {
  it('reads a VM and finds it by instance UUID and by name', async () => {
    const vm = await client.readVm(vmMoRef);
    const truth = model.vm(vmMoRef);
    expect(vm).toMatchObject({
      name: 'web 50% / 1',
      powerState: 'poweredOn',
      cpuCount: 2,
      memoryMib: 1536,
      guestId: 'debian12_64Guest',
      changeTrackingEnabled: false,
    });
    expect([vm.instanceUuid, vm.hostMoRef, vm.folderMoRef, vm.resourcePoolMoRef]).toEqual([
      truth?.instanceUuid,
      truth?.hostMoRef,
      truth?.folderMoRef,
      truth?.resourcePoolMoRef,
    ]);
    expect(vm.disks.map((disk) => [disk.deviceKey, disk.capacityBytes, disk.uuid, disk.path, disk.thin])).toEqual(
      truth?.disks.map((disk) => [disk.key, disk.capacityBytes, disk.uuid, disk.path, disk.thin]),
    );
    expect(await client.findVmByInstanceUuid(vm.instanceUuid)).toBe(vmMoRef);
    expect(await client.findVmByInstanceUuid('00000000-1111-2222-3333-444444444444')).toBeUndefined();
    expect(await client.findVmInFolder(model.vmFolderMoRef, 'web 50% / 1')).toBe(vmMoRef);
  });

  it('waits for what somebody else has under way on a VM or a folder, whatever its outcome', async () => {
    const certificate = await serverCertificate(join(dataDir, 'slow-certificate.json'), 'vcenter', []);
    const slow = new VcenterServer({ model, ...certificate, userName: USER, password: PASSWORD, taskTiming: { minMs: 600, maxMs: 600 } });
    await slow.listen();
    const patient = await VsphereClient.connect({ ...connection(), url: slow.url, trust: { thumbprint: slow.thumbprintSha1 } });
    const other = await VsphereClient.connect({ ...connection(), url: slow.url, trust: { thumbprint: slow.thumbprintSha1 } });
    try {
      const snapshot = other.createSnapshot(vmMoRef, { name: 'of another', description: '', quiesce: false, timeoutMs: 20_000 });
      const { configXml } = await patient.readVm(vmMoRef);
      await patient.letTasksEnd({ type: 'VirtualMachine', moRef: vmMoRef }, 20_000);
      expect((await patient.listSnapshots(vmMoRef)).map((node) => node.name)).toEqual(['of another']);
      await patient.removeSnapshot(vmMoRef, (await snapshot).moRef);

      const placement = {
        folderMoRef: model.vmFolderMoRef,
        resourcePoolMoRef: model.rootResourcePoolMoRef,
        datastoreName: model.datastores()[0]?.name ?? '',
      };
      const created = other.createVm(configXml, 'on its way', placement, { keepIdentity: false });
      // Until the task stands in vCenter there is nothing to wait for.
      await expect.poll(() => slow.rules.requests.some(({ method }) => method === 'CreateVM_Task'), { timeout: 10_000 }).toBe(true);
      await patient.letTasksEnd({ type: 'Folder', moRef: model.vmFolderMoRef }, 20_000);
      expect(await patient.findVmInFolder(model.vmFolderMoRef, 'on its way')).toBe(await created);
      await patient.destroyVm(await created);

      const nowhere = { ...placement, datastoreName: 'no such datastore' };
      await expect(other.createVm(configXml, 'nowhere', nowhere, { keepIdentity: false })).rejects.toThrow();
      await patient.letTasksEnd({ type: 'Folder', moRef: model.vmFolderMoRef }, 20_000);
      await patient.letTasksEnd({ type: 'VirtualMachine', moRef: 'vm-999999' }, 20_000);
    } finally {
      await Promise.all([patient.close(), other.close()]);
      await slow.close();
    }
  });

  it('tracks changes from snapshot to snapshot', async () => {
    await client.enableChangeTracking(vmMoRef);
    await client.enableChangeTracking(vmMoRef);
    const first = await client.createSnapshot(vmMoRef, { name: 'backup 1', description: 'd & d', quiesce: true, timeoutMs: 20_000 });
    const before = await client.snapshotDisks(first.moRef);
    expect(before.every((disk) => disk.changeId !== undefined)).toBe(true);
    expect((await client.readVm(vmMoRef)).changeTrackingEnabled).toBe(true);
    expect((await client.listSnapshots(vmMoRef)).map((node) => [node.moRef, node.name, node.description])).toEqual([
      [first.moRef, 'backup 1', 'd & d'],
    ]);
    expect(parseXml(await client.snapshotConfigXml(first.moRef)).textAt('guestId')).toBe('debian12_64Guest');
    await client.removeSnapshot(vmMoRef, first.moRef);
    expect(await client.listSnapshots(vmMoRef)).toEqual([]);

    const [disk] = before;
    await model.guest.write(vmMoRef, disk?.deviceKey ?? 0, 3 * MIB + 100, Buffer.alloc(70_000, 0x5a));
    await model.guest.write(vmMoRef, disk?.deviceKey ?? 0, 64 * MIB, Buffer.alloc(512, 0xa5));
    const second = await client.createSnapshot(vmMoRef, { name: 'backup 2', description: '', quiesce: false, timeoutMs: 20_000 });
    const question = { deviceKey: disk?.deviceKey ?? 0, capacityBytes: disk?.capacityBytes ?? 0 };
    const areas = await client.queryChangedAreas(vmMoRef, second.moRef, question, disk?.changeId ?? '');
    expect(areas).toEqual([
      { offsetBytes: 3 * MIB, lengthBytes: 131_072 },
      { offsetBytes: 64 * MIB, lengthBytes: 512 },
    ]);
    await expect(client.queryChangedAreas(vmMoRef, second.moRef, question, '52 00 00 00/999')).rejects.toMatchObject({
      code: 'CHANGE_TRACKING_LOST',
    });
    await client.removeSnapshot(vmMoRef, second.moRef);
    await client.removeSnapshot(vmMoRef, second.moRef);
  });

  it('makes the VM again from its captured configuration, and deletes it', async () => {
    const captured = await client.readVm(vmMoRef);
    const place = await client.placementOptions(model.rootResourcePoolMoRef);
    expect(place.vmFolderMoRef).toBe(model.vmFolderMoRef);
    expect(place.hosts.map((host) => host.moRef)).toEqual(model.hosts().map((host) => host.moRef));
    const [datastore] = place.datastores;
    expect(datastore).toMatchObject({ name: await client.datastoreName(datastore?.moRef ?? ''), accessible: true });
    const placement = {
      folderMoRef: place.vmFolderMoRef,
      resourcePoolMoRef: model.rootResourcePoolMoRef,
      datastoreName: datastore?.name ?? '',
    };
    const copyMoRef = await client.createVm(captured.configXml, 'copy', placement, { keepIdentity: false });
    const copy = await client.readVm(copyMoRef);
    const place2 = (vm: typeof copy) =>
      vm.disks.map((disk) => [
        disk.deviceKey,
        disk.controllerKey,
        disk.unitNumber,
        disk.capacityBytes,
        disk.thin,
        disk.uuid,
        disk.diskMode,
      ]);
    expect(place2(copy)).toEqual(place2(captured));
    expect([copy.name, copy.powerState, copy.cpuCount, copy.memoryMib, copy.changeTrackingEnabled]).toEqual([
      'copy',
      'poweredOff',
      2,
      1536,
      false,
    ]);
    expect(copy.instanceUuid).not.toBe(captured.instanceUuid);
    const config = parseXml(copy.configXml);
    expect([config.textAt('annotation'), config.textAt('firmware')]).toEqual(['first <line>\nsecond & last', 'efi']);
    expect(config.childrenNamed('extraConfig').map((option) => [option.textAt('key'), option.textAt('value')])).toEqual(
      expect.arrayContaining([
        ['disk.EnableUUID', 'TRUE'],
        ['guestinfo.role', 'a & b'],
      ]),
    );
    expect(model.vm(copyMoRef)?.nics.map((nic) => [nic.adapterType, nic.networkName])).toEqual(
      model.vm(vmMoRef)?.nics.map((nic) => [nic.adapterType, nic.networkName]),
    );

    await client.powerOff(vmMoRef);
    await client.powerOff(vmMoRef);
    await client.destroyVm(vmMoRef);
    await client.destroyVm(vmMoRef);
    expect(await client.findVmInFolder(model.vmFolderMoRef, 'web 50% / 1')).toBeUndefined();
    await client.destroyVm(copyMoRef);

    const againMoRef = await client.createVm(
      captured.configXml,
      captured.name,
      { ...placement, hostMoRef: model.hosts()[0]?.moRef },
      { keepIdentity: true },
    );
    const again = await client.readVm(againMoRef);
    expect([again.name, again.instanceUuid, again.biosUuid]).toEqual([captured.name, captured.instanceUuid, captured.biosUuid]);
    expect(model.vm(againMoRef)?.nics.map((nic) => nic.macAddress)).toEqual(['00:50:56:01:02:03', '00:50:56:01:02:04']);
    vmMoRef = againMoRef;
  });

  it('snapshots many VMs at one moment, each wait with a collector of its own', async () => {
    const spec = {
      folderMoRef: model.vmFolderMoRef,
      resourcePoolMoRef: model.rootResourcePoolMoRef,
      datastoreName: model.datastores()[0]?.name ?? '',
    };
    const disks = [{ capacityBytes: MIB, thin: true }];
    const vms = await Promise.all(Array.from({ length: 6 }, (_, n) => model.createVm({ ...spec, name: `many-${n}`, disks })));
    const made = await Promise.all(
      vms.map((vm) => client.createSnapshot(vm.moRef, { name: 'backup', description: '', quiesce: false, timeoutMs: 20_000 })),
    );
    expect(new Set(made.map((snapshot) => snapshot.moRef)).size).toBe(6);
    await Promise.all(vms.map((vm, n) => client.removeSnapshot(vm.moRef, made[n]?.moRef ?? '')));
    expect((await Promise.all(vms.map((vm) => client.listSnapshots(vm.moRef)))).flat()).toEqual([]);
    await Promise.all(vms.map((vm) => client.destroyVm(vm.moRef)));
  });

  it('tells a snapshot that vCenter refused, and leaves none', async () => {
    server.rules.add({ door: 'vcenter', method: 'CreateSnapshot_Task', effect: 'taskError', fault: 'ApplicationQuiesceFault', times: 1 });
    const options = { name: 'backup', description: '', quiesce: true, timeoutMs: 20_000 };
    await expect(client.createSnapshot(vmMoRef, options)).rejects.toMatchObject({ code: 'QUIESCE_FAILED', retryable: false });
    expect(await client.listSnapshots(vmMoRef)).toEqual([]);
  });

  it('moves small files', async () => {
    const { vmPath } = await client.readVm(vmMoRef);
    const path = vmPath.replace(/\.vmx$/, '.nvram');
    const data = Buffer.from(Array.from({ length: 1000 }, (_, n) => (n * 7) % 256));
    await client.uploadFile(path, data);
    expect(await client.downloadFile(path)).toEqual(data);
    await expect(client.downloadFile(`${path}.none`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('logs in again when the session has expired', async () => {
    const { cookie } = client.vixCredentials();
    server.expireSessions();
    const [one, two] = await Promise.all([client.readVm(vmMoRef), client.findVmInFolder(model.vmFolderMoRef, 'web 50% / 1')]);
    expect([one.moRef, two]).toEqual([vmMoRef, vmMoRef]);
    expect(client.vixCredentials().cookie).not.toBe(cookie);
  });

  it('is refused with a wrong password, and says so', async () => {
    await expect(VsphereClient.connect({ ...connection(), password: 'no' })).rejects.toMatchObject({ code: 'LOGIN_REFUSED' });
  });

  it('says when a VM is gone', async () => {
    await expect(client.readVm('vm-99999')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
