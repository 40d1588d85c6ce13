#!/usr/bin/env node
/**
 * Drives the simulated cloud's VCD door with clients that others wrote: pyvcloud, Apache libcloud and
 * go-vcloud-director. They know nothing of this repository, so what they accept is VCD as the world
 * speaks it. Their tools go into a cache outside the repository; a tool that cannot be had skips its part.
 *
 *   node test/interop/vcd/run.mjs        (needs a build: npm run build; VAPP_VAULT_DIST names another)
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { checkRecord, describeResult, findSchemas, prepareLxml } from '../schema/schema-check.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../../../', import.meta.url));
const dist = resolve(process.env.VAPP_VAULT_DIST ?? join(root, 'dist'));
const cache = join(tmpdir(), 'vapp-vault-interop', 'vcd');
const work = mkdtempSync(join(tmpdir(), 'vapp-vault-interop-vcd-'));
/** Every body between the clients and the cell, for VMware's schemas. */
const bodies = join(work, 'bodies');
const INSTALL_TIMEOUT_MS = 150_000;
/** go-vcloud-director asks for most of its tasks every three seconds. */
const CLIENT_TIMEOUT_MS = 240_000;
const READY_TIMEOUT_MS = 60_000;
const PYTHON_PACKAGES = ['pyvcloud==23.0.4', 'apache-libcloud==3.9.1'];
const count = { passed: 0, failed: 0, skipped: 0 };

function skip(part, reason) {
  count.skipped += 1;
  console.log(`skipped ${part}: ${reason}`);
}
function fail(name, reason) {
  count.failed += 1;
  console.log(`FAILED ${name}: ${reason}`);
}

/** Answers undefined when the command ended well, else the last line of what it said. */
function attempt(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: INSTALL_TIMEOUT_MS, ...options });
  if (result.status === 0) return undefined;
  if (result.error) return result.error.message;
  return `${result.stderr}${result.stdout}`.trim().split('\n').at(-1) || `${command} ended with ${result.status ?? result.signal}`;
}

/** The Python of a virtual environment with the clients, or undefined (and a skip). */
function preparePython() {
  const environment = join(cache, 'python');
  const python = join(environment, 'bin', 'python');
  const mark = join(environment, 'installed');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === PYTHON_PACKAGES.join('\n')) return python;
  rmSync(environment, { recursive: true, force: true });
  const reason =
    attempt('python3', ['-m', 'venv', environment]) ??
    attempt(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PYTHON_PACKAGES]);
  if (reason !== undefined) {
    skip('pyvcloud and libcloud', `their packages cannot be installed (${reason})`);
    return undefined;
  }
  writeFileSync(mark, PYTHON_PACKAGES.join('\n'));
  return python;
}

/** The compiled checks, or undefined (and a skip). */
function prepareGo() {
  const folder = join(cache, 'go');
  const program = join(folder, 'checks');
  mkdirSync(folder, { recursive: true });
  if (spawnSync('go', ['version']).status !== 0) {
    skip('go-vcloud-director', 'Go is not installed');
    return undefined;
  }
  for (const file of ['go.mod', 'go.sum', 'main.go', 'resources.go']) cpSync(join(here, 'go', file), join(folder, file));
  const download = attempt('go', ['mod', 'download'], { cwd: folder });
  if (download !== undefined) {
    skip('go-vcloud-director', `its modules cannot be downloaded (${download})`);
    return undefined;
  }
  const build = attempt('go', ['build', '-o', program, '.'], { cwd: folder });
  if (build === undefined) return program;
  fail('govcd: the checks are compiled', build);
  return undefined;
}

/** The cloud of the demo with disks small enough to seed in a moment, with API tokens and a catalog. */
function writeSeed() {
  const seed = JSON.parse(readFileSync(join(root, 'test/simulator/seeds/demo.json'), 'utf8'));
  const MIB = 1024 * 1024;
  for (const disk of seed.vapps.flatMap((vapp) => vapp.vms).flatMap((vm) => vm.disks)) {
    disk.capacityBytes = MIB + (disk.capacityBytes % MIB);
    disk.dataBytes = 0;
  }
  seed.apiTokens = [
    { name: 'checks', kind: 'user', organization: 'System', user: seed.administrator.name, token: 'interop-user-token-0001' },
    { name: 'account', kind: 'service-account', organization: 'acme', user: 'acme-admin', token: 'interop-service-token-0001' },
  ];
  seed.catalogs = [
    {
      ...{ name: 'images', description: 'Images of Acme', organization: 'acme', owner: 'acme-admin' },
      templates: [{ name: 'wiki-template', description: 'The wiki', fromVapp: 'intranet' }],
      media: [{ name: 'installer', description: 'A disc', sizeBytes: MIB + 2048 }],
    },
  ];
  const file = join(work, 'seed.json');
  writeFileSync(file, JSON.stringify(seed));
  return file;
}

/** A fresh cloud in a process of its own. */
async function startCloud(name) {
  const data = join(work, name);
  const record = process.env.VAPP_VAULT_INTEROP_RECORD;
  const child = spawn(
    process.execPath,
    [
      join(dist, 'test/simulator/main.js'),
      ...['--data', data, '--seed', join(work, 'seed.json')],
      ...(record ? ['--record', join(record, name)] : []),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, VAPP_VAULT_RECORD_DIR: bodies } },
  );
  let errors = '';
  child.stderr.on('data', (text) => {
    errors = `${errors}${text}`.slice(-20_000);
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const line = await new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), READY_TIMEOUT_MS);
    const settle = (value) => {
      clearTimeout(timer);
      resolve(value);
    };
    createInterface({ input: child.stdout })
      .once('line', settle)
      .once('close', () => settle(undefined));
  });
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(timer);
    return errors;
  };
  if (line === undefined) {
    await stop();
    throw new Error(`The simulated cloud did not start: ${errors.trim().split('\n').at(-1)}`);
  }
  const description = JSON.parse(line);
  const state = await json(`${description.control.url}/state`);
  const vapp = (wanted) => state.vapps.find((candidate) => candidate.name === wanted);
  const certificate = join(work, `${name}.pem`);
  writeFileSync(certificate, JSON.parse(readFileSync(join(data, 'tls', 'vcd.json'), 'utf8')).certificatePem);
  const cloud = {
    ...description,
    shopMoRefs: Object.fromEntries(vapp('shop').vms.map((vm) => [vm.name, vm.moRef])),
    foreignVappHref: `${description.vcd.url}/api/vApp/vapp-${vapp('erp').id}`,
  };
  return { cloud, certificate, stop };
}

function json(url) {
  return new Promise((resolve, reject) => {
    get(url, { timeout: 10_000 }, (response) => {
      let text = '';
      response.on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve(JSON.parse(text)));
    }).on('error', reject);
  });
}

/** Runs one client against a cloud of its own; each of its lines is a check. */
async function drive(name, command, args) {
  const { cloud, certificate, stop } = await startCloud(name);
  let lines = 0;
  const child = spawn(command, args, {
    cwd: work,
    // The account's password travels in the environment, never in the arguments. The certificate is trusted, not skipped.
    env: {
      ...process.env,
      VAPP_VAULT_INTEROP_CLOUD: JSON.stringify(cloud),
      REQUESTS_CA_BUNDLE: certificate,
      SSL_CERT_FILE: certificate,
      PYTHONDONTWRITEBYTECODE: '1',
      NO_PROXY: '*',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text) => {
    errors = `${errors}${text}`.slice(-20_000);
    if (process.env.VAPP_VAULT_INTEROP_TRACE) process.stderr.write(text);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const verdict = /^(ok|FAILED) /.exec(line)?.[1];
    if (verdict === undefined) return;
    lines += 1;
    count[verdict === 'ok' ? 'passed' : 'failed'] += 1;
    console.log(line);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), CLIENT_TIMEOUT_MS);
  const [code, signal] = await new Promise((resolve) => {
    child.once('error', (error) => {
      errors = error.message;
      resolve([1, null]);
    });
    child.once('close', (...how) => resolve(how));
  });
  clearTimeout(timer);
  if (code !== 0)
    fail(`${name} runs to its end`, signal ? `it took longer than ${CLIENT_TIMEOUT_MS / 1000} s` : errors.trim().split('\n').at(-1));
  else if (lines === 0) fail(`${name} makes checks`, 'it printed none');
  const trouble = await stop();
  if (trouble.includes('simulator:')) fail(`${name} makes the cloud stumble nowhere`, trouble.trim().split('\n')[0]);
  else count.passed += 1;
  if (!trouble.includes('simulator:')) console.log(`ok ${name} makes the cloud stumble nowhere`);
}

/** What the clients were answered, and what of theirs was taken, is VCD's to the letter. */
function schemaChecks() {
  const schemas = findSchemas();
  const { python, reason } = schemas.folder === undefined ? schemas : prepareLxml();
  if (python === undefined) return skip('the schemas of VCD', reason);
  const result = checkRecord(python, schemas.folder, bodies);
  const [summary, ...faults] = describeResult(result, bodies);
  if (result.invalid.length > 0) return fail('the bodies are those of the schemas', [summary, ...faults].join('\n'));
  count.passed += 1;
  return console.log(`ok ${summary}`);
}

async function main() {
  if (!existsSync(join(dist, 'test/simulator/main.js'))) {
    console.error('The simulated cloud is not built; run: npm run build');
    return 2;
  }
  mkdirSync(cache, { recursive: true });
  writeSeed();
  const python = preparePython();
  const checks = prepareGo();
  const clients = [];
  if (python !== undefined) {
    clients.push(drive('pyvcloud', python, [join(here, 'pyvcloud-checks.py')]));
    clients.push(drive('libcloud', python, [join(here, 'libcloud-checks.py')]));
  }
  if (checks !== undefined) clients.push(drive('go-vcloud-director', checks, []));
  await Promise.all(clients);
  if (clients.length > 0) schemaChecks();
  return count.failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  fail('the run', error.message);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
