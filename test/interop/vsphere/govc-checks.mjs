/** govc, VMware's command line client, against the simulated vCenter. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './checks.mjs';

const POOL = '/DC0/host/Cluster0/Resources';
const FOLDER = '/DC0/vm/interop folder';
const VM = `${FOLDER}/govc-1`;

export async function govcChecks(checks, govcPath, description) {
  const home = mkdtempSync(join(tmpdir(), 'vapp-vault-govc-'));
  const { url, userName, password } = description.vcenter;
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    GOVMOMI_HOME: home,
    GOVC_URL: url,
    GOVC_USERNAME: userName,
    GOVC_PASSWORD: password,
    GOVC_INSECURE: '1',
    GOVC_DATACENTER: 'DC0',
    GOVC_DATASTORE: 'san-02',
  };
  const attempt = (args, more = {}) => run(govcPath, args, { env: { ...env, ...more }, timeoutMs: 30_000 });
  const govc = async (...args) => {
    const { code, stdout, stderr } = await attempt(args);
    assert.equal(code, 0, `govc ${args.join(' ')}: ${stderr.slice(0, 300)}`);
    return stdout;
  };
  const refused = async (pattern, ...args) => {
    const { code, stdout, stderr } = await attempt(args);
    assert.notEqual(code, 0, `govc ${args.join(' ')} succeeded`);
    assert.match(stdout + stderr, pattern);
  };
  const json = async (command, ...args) => JSON.parse(await govc(command, '-json', ...args));
  try {
    await reading(checks, { govc, refused, json, attempt, description });
    if (await making(checks, { govc, json })) {
      await running(checks, { govc, refused, json, env, govcPath });
      await files(checks, { govc, refused, home });
      await moving(checks, { govc, refused, json });
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

async function reading(checks, { govc, json, attempt, description }) {
  await checks.check('govc: a wrong password is refused', async () => {
    const { code, stderr } = await attempt(['about'], { GOVC_PASSWORD: 'wrong', GOVC_PERSIST_SESSION: 'false' });
    assert.notEqual(code, 0);
    assert.match(stderr, /incorrect user name or password/);
  });
  await checks.check('govc: about, session.ls', async () => {
    assert.equal((await json('about')).about.instanceUuid, description.vcenter.instanceUuid);
    assert.match(await govc('session.ls'), /administrator@vsphere\.local .* govc\//);
  });
  await checks.check('govc: ls and find, by traversal and by container views', async () => {
    assert.deepEqual((await govc('ls', '/DC0')).trim().split('\n'), ['/DC0/vm', '/DC0/host', '/DC0/datastore', '/DC0/network']);
    const vms = (await govc('find', '/', '-type', 'm')).trim().split('\n');
    assert.equal(vms.length, 6);
    assert.deepEqual(
      (await govc('find', '/', '-type', 'm', '-name', 'erp-*')).trim().split('\n'),
      vms.filter((vm) => /erp-1/.test(vm)),
    );
    assert.match(await govc('find', POOL, '-type', 'p'), /provider-gold/);
    assert.match(await govc('object.collect', '-type', 'm', '/', 'name'), /VirtualMachine:vm-\d+\s+name\s+string\s+erp-1/);
  });
  await checks.check('govc: host.info, pool.info, datastore.info', async () => {
    assert.match(await govc('host.info', '-host', '/DC0/host/Cluster0/esx-01.sim.local'), /Logical CPUs: +16 CPUs @ 2600MHz/);
    assert.match(await govc('pool.info', POOL), /CPU Shares: +normal/);
    const [store] = (await json('datastore.info', 'san-01')).datastores;
    assert.ok(store.summary.freeSpace > 0 && store.summary.freeSpace < store.summary.capacity);
  });
}

function making(checks, { govc, json }) {
  return checks.check('govc: folder.create, vm.create with a disk and a NIC, device.ls', async () => {
    await govc('folder.create', FOLDER);
    await govc('vm.create', '-folder', FOLDER, '-pool', POOL, '-c', '2', '-m', '512', '-g', 'debian12_64Guest', '-disk', '20MB',
      '-disk.controller', 'pvscsi', '-net', 'dvpg-external', '-net.adapter', 'vmxnet3', '-on=false', 'govc-1'); // biome-ignore format: one command
    const devices = await govc('device.ls', '-vm', VM);
    for (const line of [
      /^pvscsi-1000 +ParaVirtualSCSIController/m,
      /^disk-1000-0 +VirtualDisk +20,480 KB/m,
      /^ethernet-0 +VirtualVmxnet3 +dvpg-external/m,
    ])
      assert.match(devices, line);
    const [vm] = (await json('vm.info', VM)).virtualMachines;
    assert.deepEqual([vm.config.hardware.numCPU, vm.config.hardware.memoryMB, vm.runtime.powerState], [2, 512, 'poweredOff']);
    assert.ok(vm.summary.storage.committed > 0);
  });
}

async function running(checks, { govc, refused, json, env, govcPath }) {
  await checks.check('govc: vm.power on and off, and the refusal of what it is already', async () => {
    await govc('vm.power', '-on', VM);
    await refused(/current state \(Powered on\)/, 'vm.power', '-on', VM);
    assert.equal((await govc('object.collect', '-s', VM, 'runtime.powerState')).trim(), 'poweredOn');
  });
  await checks.check('govc: snapshot.create, tree, remove', async () => {
    for (const name of ['one', 'two', 'three']) await govc('snapshot.create', '-vm', VM, '-m=false', name);
    assert.deepEqual((await govc('snapshot.tree', '-vm', VM)).replace(/ /g, '').trim().split('\n'), ['one', 'two', 'three', '.']);
    await govc('snapshot.remove', '-vm', VM, 'two');
    assert.doesNotMatch(await govc('snapshot.tree', '-vm', VM), /two/);
    await govc('snapshot.remove', '-vm', VM, '*');
    assert.equal((await govc('snapshot.tree', '-vm', VM)).trim(), '');
    await refused(/no snapshots/, 'snapshot.remove', '-vm', VM, 'two');
  });
  await checks.check('govc: object.collect waits for a change and sees it', async () => {
    const waiting = run(govcPath, ['object.collect', '-wait', '20s', '-n', '1', VM, 'config.annotation'], { env, timeoutMs: 30_000 });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await govc('vm.change', '-vm', VM, '-annotation', 'seen');
    assert.match((await waiting).stdout, /config\.annotation\s+string\s+seen/);
  });
  await checks.check('govc: tasks', async () => {
    assert.match(await govc('tasks'), /(CreateSnapshot|ReconfigVM|PowerOnVM).* success/);
  });
  await checks.check('govc: vm.change, vm.disk.create, vm.disk.change, device.remove', async () => {
    await govc('vm.power', '-off', VM);
    await govc('vm.change', '-vm', VM, '-c', '4', '-m', '1024', '-e', 'guestinfo.interop=b "c"');
    await govc('vm.disk.create', '-vm', VM, '-name', 'govc-1/second', '-size', '10M');
    await govc('vm.disk.change', '-vm', VM, '-disk.label', 'Hard disk 2', '-size', '20M');
    const [vm] = (await json('vm.info', VM)).virtualMachines;
    const disks = vm.config.hardware.device.filter((device) => device.capacityInBytes !== undefined);
    assert.deepEqual(
      disks.map((disk) => disk.capacityInBytes),
      [20 * 1024 * 1024, 20 * 1024 * 1024],
    );
    assert.deepEqual([vm.config.hardware.numCPU, vm.config.extraConfig.find((o) => o.key === 'guestinfo.interop').value], [4, 'b "c"']);
    await refused(/./, 'vm.disk.change', '-vm', VM, '-disk.label', 'Hard disk 2', '-size', '5M');
    await govc('device.remove', '-vm', VM, 'disk-1000-1');
    assert.doesNotMatch(await govc('device.ls', '-vm', VM), /disk-1000-1/);
  });
}

async function files(checks, { govc, refused, home }) {
  await checks.check('govc: datastore.upload, download, ls, mkdir, rm', async () => {
    const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7 + 1) & 0xff));
    writeFileSync(join(home, 'up'), content);
    await govc('datastore.upload', join(home, 'up'), 'govc-1/name with space & ü.bin');
    await govc('datastore.download', 'govc-1/name with space & ü.bin', join(home, 'down'));
    assert.ok(readFileSync(join(home, 'down')).equals(content));
    assert.match(await govc('datastore.ls', '-l', 'govc-1'), /293\.0KB .* name with space & ü\.bin/);
    await govc('datastore.mkdir', '-p', 'govc-1/a/b');
    assert.match(await govc('datastore.ls', '-R', 'govc-1'), /\[san-02\] govc-1\/a\/b/);
    await govc('datastore.rm', 'govc-1/name with space & ü.bin');
    await govc('datastore.rm', 'govc-1/a');
    await refused(/404/, 'datastore.download', 'govc-1/name with space & ü.bin', '-');
    await refused(/not found/, 'datastore.rm', 'govc-1/nothing');
  });
}

async function moving(checks, { govc, refused, json }) {
  await checks.check('govc: vm.unregister and vm.register bring back the same VM, NIC included', async () => {
    const before = (await json('vm.info', VM)).virtualMachines[0].config;
    await govc('vm.unregister', VM);
    await refused(/not found/, 'vm.destroy', VM);
    await govc('vm.register', '-folder', FOLDER, '-pool', POOL, 'govc-1/govc-1.vmx');
    const after = (await json('vm.info', VM)).virtualMachines[0].config;
    const identity = (config) => [
      config.instanceUuid,
      config.uuid,
      config.extraConfig,
      config.hardware.device
        .filter((device) => device.macAddress)
        .map((device) => [device.key, device.macAddress, device.addressType, device.backing]),
      config.hardware.device
        .filter((device) => device.capacityInBytes !== undefined)
        .map((disk) => [disk.key, disk.backing.fileName, disk.backing.uuid]),
    ];
    assert.deepEqual(identity(after), identity(before));
  });
  await checks.check('govc: object.mv, object.rename, vm.destroy, object.destroy, pool.create', async () => {
    await govc('folder.create', `${FOLDER}/inner`);
    await govc('object.mv', VM, `${FOLDER}/inner`);
    await govc('object.rename', `${FOLDER}/inner/govc-1`, 'govc-2');
    await govc('vm.destroy', `${FOLDER}/inner/govc-2`);
    assert.doesNotMatch(await govc('datastore.ls'), /govc-1/);
    await govc('object.destroy', `${FOLDER}/inner`);
    await govc('object.destroy', FOLDER);
    await govc('pool.create', `${POOL}/interop-pool`);
    await govc('pool.destroy', `${POOL}/interop-pool`);
    assert.doesNotMatch(await govc('find', POOL, '-type', 'p'), /interop-pool/);
  });
}
