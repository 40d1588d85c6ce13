/**
 * Whole packages over HTTP from a running service: unpacked by tar, their disks held against the raw ones by QEMU, and a VM imported
 * by govc into vcsim, which know nothing of us.
 */
import assert from 'node:assert/strict';
import { createWriteStream, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { backUp, registerCloud, startCloud } from '../running-service.mjs';
import { run } from '../vsphere/checks.mjs';
import { goTools } from '../vsphere/tools.mjs';
import { withVcsim } from '../vsphere/vcsim.mjs';

const PROGRAM_TIMEOUT_MS = 2 * 60_000;

export async function ovaChecks(checks, folder, product) {
  const { leanEverything } = await product('test/flow/lean-everything.js');
  const cloud = await startCloud(product, { seed: leanEverything() });
  try {
    const { api, url } = await cloud.startService();
    await registerCloud(api, cloud.simulator.description);
    const download = async (path, file) => {
      const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${cloud.apiKey}` } });
      assert.equal(response.status, 200);
      await pipeline(Readable.fromWeb(response.body), createWriteStream(file));
    };
    await packageChecks(checks, { api, download, folder });
    await importChecks(checks, { api, download, folder });
  } finally {
    await cloud.close();
  }
}

async function packageChecks(checks, { api, download, folder }) {
  const unpacked = join(folder, 'unpacked');
  let point;
  const made = await checks.check('OVA: a vApp is exported, and tar unpacks it', async () => {
    point = await backUp(api, 'vapp', (name) => name === 'shop');
    const file = join(folder, 'shop.ova');
    await download(`/api/v1/restore-points/${point.id}/export`, file);
    mkdirSync(unpacked);
    await must('tar', ['-xf', file, '-C', unpacked]);
    assert.ok(readdirSync(unpacked).includes('shop.ovf'));
  });
  if (!made) return;
  await checks.check('OVA: sha256sum finds every file as the manifest says', async () => {
    const lines = readFileSync(join(unpacked, 'shop.mf'), 'utf8').trim().split('\n');
    const sums = lines.map((line) => /^SHA256\((.+)\)= ([0-9a-f]{64})$/.exec(line)).map(([, name, digest]) => `${digest}  ${name}\n`);
    assert.equal(sums.length, readdirSync(unpacked).length - 1);
    await must('sha256sum', ['--check', '--strict', '-'], { cwd: unpacked, input: sums.join('') });
  });
  await checks.check('OVA: qemu-img checks its disks and finds each the same as the raw one', async () => {
    const disks = point.vms.flatMap((vm) => vm.disks);
    for (const [i, disk] of disks.entries()) {
      const [image, raw] = [join(unpacked, `shop-disk${i + 1}.vmdk`), join(folder, 'disk.raw')];
      await download(`/api/v1/restore-points/${point.id}/disks/${disk.diskId}/export?format=raw`, raw);
      await must('qemu-img', ['check', '-f', 'vmdk', image]);
      const { 'virtual-size': sizeBytes } = JSON.parse(await must('qemu-img', ['info', '--output=json', '-f', 'vmdk', image]));
      assert.equal(sizeBytes, disk.capacityBytes);
      await must('qemu-img', ['compare', '-f', 'vmdk', '-F', 'raw', image, raw]);
    }
  });
}

async function importChecks(checks, { api, download, folder }) {
  const { folder: tools, reason } = await goTools();
  if (reason !== undefined) {
    checks.skip(reason);
    return;
  }
  await withVcsim(join(tools, 'vcsim'), [], async ({ url, userName, password }) => {
    const home = join(folder, 'govc');
    mkdirSync(home);
    const env = { PATH: process.env.PATH, HOME: home, GOVMOMI_HOME: home, GOVC_URL: url, GOVC_USERNAME: userName, GOVC_PASSWORD: password };
    const govc = (...args) => must(join(tools, 'govc'), args, { env: { ...env, GOVC_INSECURE: '1' } });
    const file = join(folder, 'vm.ova');
    await checks.check('OVA: govc reads the descriptors of a vApp and of a VM', async () => {
      await govc('import.spec', join(folder, 'shop.ova'));
      const point = await backUp(api, 'standalone-vm');
      await download(`/api/v1/restore-points/${point.id}/export?format=ova`, file);
      const spec = JSON.parse(await govc('import.spec', file));
      assert.ok(Array.isArray(spec.NetworkMapping), 'no networks to be mapped');
    });
    await checks.check('OVA: govc imports a VM into vcsim, with its processors and all its disks', async () => {
      const options = JSON.parse(await govc('import.spec', file));
      options.NetworkMapping = options.NetworkMapping.map(({ Name }) => ({ Name, Network: 'VM Network' }));
      writeFileSync(join(folder, 'options.json'), JSON.stringify(options));
      const place = ['-pool', '/DC0/host/DC0_C0/Resources', '-ds', 'LocalDS_0', '-folder', '/DC0/vm'];
      // Without -m: vcsim tells no digests of what it was sent.
      await govc('import.ova', '-name', 'imported', ...place, '-options', join(folder, 'options.json'), file);
      const { virtualMachines } = JSON.parse(await govc('vm.info', '-json', 'imported'));
      const devices = JSON.parse(await govc('device.info', '-json', '-vm', 'imported', 'disk-*')).devices;
      const descriptor = await must('tar', ['-xOf', file, '--wildcards', '*.ovf']);
      const [, cpus] = /ElementName>(\d+) virtual CPU/.exec(descriptor);
      assert.equal(virtualMachines[0].config.hardware.numCPU, Number(cpus));
      const capacities = [...descriptor.matchAll(/ovf:capacity="(\d+)"/g)].map(([, bytes]) => Number(bytes));
      assert.deepEqual(devices.map((device) => device.capacityInBytes).toSorted(), capacities.toSorted());
    });
  });
}

async function must(program, args, options = {}) {
  const { code, stdout, stderr } = await run(program, args, { timeoutMs: PROGRAM_TIMEOUT_MS, ...options });
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with ${code}: ${stderr || stdout}`);
  return stdout;
}
