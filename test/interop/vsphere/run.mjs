#!/usr/bin/env node
/**
 * The simulated vCenter driven by govc and pyVmomi, its disks read by qemu-img and nbdkit, and the product's vCenter
 * client against vcsim: peers that share no code with this repository. Run after a build: `node test/interop/vsphere/run.mjs`.
 * Their tools go into a cache in the system's temporary folder; what cannot be installed is skipped.
 * VAPP_VAULT_DIST names another build than ../../../dist.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Checks, run } from './checks.mjs';
import { diskChecks } from './disk-checks.mjs';
import { govcChecks } from './govc-checks.mjs';
import { goTools, pythonTools } from './tools.mjs';
import { vcsimChecks } from './vcsim-checks.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = resolve(process.env.VAPP_VAULT_DIST ?? join(here, '../../../dist'));
const product = (file) => import(pathToFileURL(join(dist, file)).href);
/** Somebody who may look and do nothing. */
const READER = { userName: 'reader@vsphere.local', password: 'Reads-0nly!', privileges: [] };
/** Longer than the whole suite ever takes: nothing of it outlives this. */
const OVERALL_TIMEOUT_MS = 25 * 60_000;

async function main() {
  const checks = new Checks();
  if (!existsSync(join(dist, 'test/simulator/server.js'))) {
    console.error('The build is missing: run "npm run build" first.');
    return 2;
  }
  const [go, python] = await Promise.all([goTools(), pythonTools()]);
  if (go.reason !== undefined) checks.skip(go.reason, 2);
  if (python.reason !== undefined) checks.skip(python.reason);
  await againstSimulator(checks, go, python);
  if (go.folder !== undefined) await vcsimChecks(checks, join(go.folder, 'vcsim'), await product('src/vsphere/index.js'));
  return checks.end();
}

async function againstSimulator(checks, go, python) {
  const { startSimulator } = await product('test/simulator/server.js');
  const { smallSeed } = await product('test/simulator/seeds/small-seed.js');
  const seed = smallSeed(JSON.parse(readFileSync(join(here, '../../simulator/seeds/demo.json'), 'utf8')));
  const dataDir = mkdtempSync(join(tmpdir(), 'vapp-vault-interop-data-'));
  const simulator = await startSimulator({
    listen: '127.0.0.1',
    vcdPort: 0,
    vcenterPort: 0,
    controlPort: 0,
    dataDir,
    seed,
    taskDelayMs: 20,
    vcenterAccounts: [READER],
  });
  try {
    if (go.folder !== undefined) await govcChecks(checks, join(go.folder, 'govc'), simulator.description);
    if (python.python !== undefined) await pyvmomiChecks(checks, python.python, simulator.description);
    await diskChecks(checks, simulator, product);
  } finally {
    await simulator.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function pyvmomiChecks(checks, python, { vcenter, control }) {
  const { hostname, port } = new URL(vcenter.url);
  const setup = { ...vcenter, host: hostname, port: Number(port), control: control.url, datastore: 'san-02', reader: READER };
  const script = join(here, 'pyvmomi_checks.py');
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
  const { code, stdout, stderr } = await run(python, [script], { env, input: JSON.stringify(setup), timeoutMs: 120_000 });
  for (const line of stdout.trim().split('\n')) {
    const [, outcome, name, reason] = /^(ok|FAILED) (pyVmomi: .*?)(?:: (.*))?$/.exec(line) ?? [];
    if (outcome === 'ok') checks.ok(name);
    else if (outcome === 'FAILED') checks.fail(name, reason);
  }
  if (code !== 0) checks.fail('pyVmomi: the script', code === null ? 'it took too long' : (stderr.trim().split('\n').at(-1) ?? ''));
}

setTimeout(() => {
  console.error('The suite took too long.');
  process.exit(1);
}, OVERALL_TIMEOUT_MS).unref();
process.exit(await main());
