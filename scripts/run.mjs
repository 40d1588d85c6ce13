#!/usr/bin/env node
/**
 * The door to every npm script: prepares the clone (prepare.mjs), then runs the task. Plain Node,
 * no dependency, because it runs before there are any.
 */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { install, prepare, requirePython } from './prepare.mjs';
import { Failure, run } from './processes.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
// npm changes to the clone before it runs a script; files named on the command line are relative to where the person is.
const callerDir = process.env.npm_lifecycle_event !== undefined && process.env.INIT_CWD ? process.env.INIT_CWD : process.cwd();
process.chdir(root);

const [task, ...args] = process.argv.slice(2);

const tasks = {
  demo: async () => {
    await prepare();
    requirePython('the simulated cloud keeps its disks sparse with it');
    return node(['--enable-source-maps', join(root, 'dist/demo/main.js'), ...args], { cwd: callerDir });
  },
  start: async () => {
    await prepare();
    return node(['--enable-source-maps', 'dist/src/main.js', ...args], { env: serviceEnvironment() });
  },
  simulator: async () => {
    await prepare();
    requirePython('the simulated cloud keeps its disks sparse with it');
    return node(['--enable-source-maps', join(root, 'dist/test/simulator/main.js'), ...args], { cwd: callerDir });
  },
  test: async () => {
    await prepare();
    requirePython('the simulated cloud keeps its disks sparse with it');
    return node(['node_modules/vitest/vitest.mjs', 'run', ...args]);
  },
  bench: async () => {
    await prepare();
    requirePython('the simulated cloud keeps its disks sparse with it');
    return node(['--enable-source-maps', join(root, 'dist/test/bench/main.js'), ...args], { cwd: callerDir });
  },
  /** Mutated input for every parser; `npm test` has a sample. */
  fuzz: async () => {
    await prepare();
    return node(['--enable-source-maps', join(root, 'dist/test/repository/fuzz/main.js'), ...args], { cwd: callerDir });
  },
  /** The catalog from the repository alone, while the service is stopped. */
  catalog: async () => {
    await prepare();
    return node(['--enable-source-maps', 'scripts/catalog.mjs', ...args], { env: serviceEnvironment() });
  },
  /** Every fault at every step of every operation: hours, less with --operation, --fault, --door or --every. `npm test` has a sample of it. */
  'test:fault': async () => {
    await prepare();
    requirePython('the simulated cloud keeps its disks sparse with it');
    const sweep = await node(['--enable-source-maps', join(root, 'dist/test/fault/main.js'), ...args], { cwd: callerDir });
    // Where only some of it was asked for, or nothing that there is.
    const narrowed = args.some((argument) => /^--(?:operation|fault|door|step|every|part)(?:=|$)/.test(argument));
    if (narrowed || sweep === 2) return sweep;
    const env = { ...process.env, ALL_KILLS: '1' };
    const moments = await node(['node_modules/vitest/vitest.mjs', 'run', 'test/fault'], { env });
    return sweep || moments;
  },
  build: async () => {
    await prepare();
    return 0;
  },
  typecheck: async () => {
    await install();
    return node(['node_modules/typescript-native/bin/tsc', '--noEmit', '--incremental', 'false', '-p', '.']);
  },
  /** Peers from other projects, all or those named; each says what it skips on a machine without Go, Python or a registry. */
  interop: async () => {
    await prepare();
    const suites = ['vsphere', 'vcd', 's3', 'export'];
    const unknown = args.find((name) => !suites.includes(name));
    if (unknown !== undefined) throw new Failure(`npm run interop -- [${suites.join('] [')}], not "${unknown}"`, 2);
    let failed = 0;
    for (const suite of args.length > 0 ? args : suites) failed = (await node([`test/interop/${suite}/run.mjs`])) || failed;
    return failed;
  },
  /** The native parts under sanitizers and valgrind, and their fuzzers; minutes, because it builds them a second time. */
  sanitize: async () => {
    await install();
    return node(['scripts/sanitize.mjs', ...args]);
  },
  /** The demo and the tests on the other releases of Node that are supported; a clone and minutes for each. */
  'node-versions': () => node(['scripts/node-versions.mjs', ...args]),
  lint: async () => {
    await install();
    const style = await node(['node_modules/@biomejs/biome/bin/biome', 'ci', '--error-on-warnings', '.']);
    const cruiser = 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs';
    const directions = await node([cruiser, '--config', '.dependency-cruiser.cjs', 'src', 'test', 'demo']);
    return style || directions;
  },
};

try {
  if (!Object.hasOwn(tasks, task ?? '')) throw new Failure(`usage: node scripts/run.mjs ${Object.keys(tasks).join('|')}`, 2);
  process.exitCode = await tasks[task]();
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(`vapp-vault: ${error.message}`);
  process.exitCode = error.exitCode;
}

/** As the units in deploy/systemd have it, which say why. */
function serviceEnvironment() {
  return { UV_THREADPOOL_SIZE: '16', ...process.env };
}

/** Runs Node in the foreground, tied to this process where the tether is built: a task does not outlive its door. */
function node(parameters, options = {}) {
  const tether = join(root, 'native/build/tether');
  const command = existsSync(tether) ? [tether, '15', '-', process.execPath] : [process.execPath];
  return run(command[0], [...command.slice(1), ...parameters], { stdio: 'inherit', ...options });
}
