/**
 * The disks themselves, read by programs that share no code with this repository: qemu-img reads the files of a
 * datastore, nbdkit's vddk plugin loads our stand-in of libvixDiskLib as it loads VMware's own.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './checks.mjs';

const MIB = 1024 * 1024;
const SECTOR_BYTES = 512;
const CONVERT_TIMEOUT_MS = 60_000;

/** @param simulator a running one; @param product imports a file of the build. */
export async function diskChecks(checks, simulator, product) {
  const qemu = (await run('qemu-img', ['--version'])).code === 0;
  const nbdkit = (await run('nbdkit', ['vddk', '--version'])).code === 0;
  if (!qemu) checks.skip('qemu-img: it is not on this machine (Debian: package qemu-utils).');
  if (!nbdkit)
    checks.skip('nbdkit with its vddk plugin: it is not on this machine (Fedora: package nbdkit-vddk-plugin; Debian builds none).');
  if (!qemu && !nbdkit) return;
  const folder = mkdtempSync(join(tmpdir(), 'vapp-vault-interop-disks-'));
  const { VsphereClient } = await product('src/vsphere/index.js');
  const { vcenter } = simulator.description;
  const trust = { thumbprint: vcenter.thumbprintSha1 };
  const client = await VsphereClient.connect({ url: vcenter.url, userName: vcenter.userName, password: vcenter.password, trust });
  try {
    const frozen = await frozenDisk(simulator, client);
    const expected = await readByVddk(product, simulator, client, frozen, folder);
    if (qemu) await qemuChecks(checks, simulator, frozen, expected, folder);
    if (nbdkit) await nbdkitCheck(checks, simulator, frozen, expected, folder);
    await client.removeSnapshot(frozen.vm, frozen.second);
    await client.removeSnapshot(frozen.vm, frozen.first);
  } finally {
    await client.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A disk under two snapshots, written before, between and after: base, delta and a delta on top of that. */
async function frozenDisk(simulator, client) {
  const machine = simulator.vsphere.vms().find((each) => each.powerState === 'poweredOn' && each.disks.length > 0);
  assert.ok(machine, 'the simulated cloud runs no VM with a disk');
  const vm = machine.moRef;
  const snapshot = async (name) => (await client.createSnapshot(vm, { name, description: '', quiesce: false, timeoutMs: 30_000 })).moRef;
  await guestWrites(simulator, vm, 'before');
  const first = await snapshot('interop first');
  await guestWrites(simulator, vm, 'between');
  const second = await snapshot('interop second');
  await guestWrites(simulator, vm, 'after');
  const [disk] = await client.snapshotDisks(second);
  assert.match(disk.path, /-000001\.vmdk$/);
  return { vm, first, second, ...disk };
}

async function guestWrites(simulator, vm, seed) {
  const body = JSON.stringify({ disk: 0, seed, scatteredBlocks: 6 });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${simulator.description.control.url}/guests/${vm}/write`, { method: 'POST', headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

/** What the product reads: through the vddk-host process, the library and the session of this client. */
async function readByVddk(product, simulator, client, disk, folder) {
  const [{ VddkHost }, { vixTarget }] = await Promise.all([product('src/vddk/index.js'), product('src/clouds/vix-target.js')]);
  const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };
  const settings = {
    libraryDir: simulator.description.vddkLibraryDir,
    temporaryDir: join(folder, 'vddk'),
    nfcAioBufferSizeIn64KiB: 16,
    nfcAioBufferCount: 4,
    ioDepth: 4,
    maxRequestBytes: MIB,
    memoryBytes: 16 * MIB,
    operationTimeoutMs: 30_000,
  };
  const host = await VddkHost.start(settings, { log });
  try {
    const options = { readOnly: true, snapshotMoRef: disk.second, transportModes: 'nbdssl:nbd' };
    const opened = await (await host.connect(vixTarget(client, disk.vm), options)).openDisk(disk.path, {});
    const hash = createHash('sha256');
    for (let offsetBytes = 0; offsetBytes < opened.capacityBytes; offsetBytes += MIB) {
      const lengthBytes = Math.min(MIB, opened.capacityBytes - offsetBytes);
      await opened.read([{ offsetBytes, lengthBytes, memoryOffset: 0 }]);
      hash.update(host.memory.subarray(0, lengthBytes));
    }
    await opened.close();
    return { capacityBytes: opened.capacityBytes, sha256: hash.digest('hex') };
  } finally {
    await host.stop();
  }
}

async function qemuChecks(checks, simulator, disk, expected, folder) {
  const absolute = (path) => simulator.vsphere.inventory.absolutePath(path);
  await checks.check('qemu-img: every VMDK of every VM has the size its descriptor says', async () => {
    const paths = simulator.vsphere.vms().flatMap((vm) => vm.disks.map(({ path }) => absolute(path)));
    assert.ok(paths.length > 3);
    for (const path of paths) {
      const { code, stdout, stderr } = await run('qemu-img', ['info', '-U', '--output=json', path]);
      assert.equal(code, 0, stderr);
      const sectors = Number(/^RW (\d+) /m.exec(readFileSync(path, 'utf8'))?.[1]);
      assert.equal(JSON.parse(stdout)['virtual-size'], sectors * SECTOR_BYTES, path);
    }
  });
  await checks.check('qemu-img: a delta on its base reads as VDDK reads it', async () => {
    const raw = join(folder, 'qemu.raw');
    const done = await run('qemu-img', ['convert', '-U', '-f', 'vmdk', '-O', 'raw', absolute(disk.path), raw], {
      timeoutMs: CONVERT_TIMEOUT_MS,
    });
    assert.equal(done.code, 0, done.stderr);
    assert.equal(await sha256Of(raw, expected.capacityBytes), expected.sha256);
  });
}

async function nbdkitCheck(checks, simulator, disk, expected, folder) {
  const { vcenter, vddkLibraryDir } = simulator.description;
  const { hostname, port } = new URL(vcenter.url);
  await checks.check('nbdkit: its vddk plugin reads a snapshot through our libvixDiskLib as the product does', async () => {
    const raw = join(folder, 'nbdkit.raw');
    const password = join(folder, 'password');
    writeFileSync(password, vcenter.password, { mode: 0o600 });
    const plugin = [
      'vddk',
      `libdir=${vddkLibraryDir}`,
      `server=${hostname}`,
      `port=${port}`,
      `user=${vcenter.userName}`,
      `password=+${password}`,
    ];
    const what = [
      `thumbprint=${vcenter.thumbprintSha1}`,
      `vm=moref=${disk.vm}`,
      `snapshot=${disk.second}`,
      'transports=nbdssl:nbd',
      `file=${disk.path}`,
    ];
    // Any NBD client will do; the one that comes with nbdkit's own library is the likeliest to be there.
    const copy = `nbdcopy "$uri" '${raw}' || qemu-img convert -f raw "$uri" -O raw '${raw}'`;
    const args = ['--readonly', '-U', '-', ...plugin, ...what, '--run', copy];
    const done = await run('nbdkit', args, { timeoutMs: CONVERT_TIMEOUT_MS });
    assert.equal(done.code, 0, done.stderr);
    assert.equal(await sha256Of(raw, expected.capacityBytes), expected.sha256);
  });
}

/** Of the first so many bytes: tools may round a size up. */
async function sha256Of(path, lengthBytes) {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { end: lengthBytes - 1 })) hash.update(part);
  return hash.digest('hex');
}
