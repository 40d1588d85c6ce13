#!/usr/bin/env node
/**
 * The door to every npm script: installs and builds what is missing or stale, and nothing when
 * nothing is, then runs the task. Plain Node, no dependency, because it runs before there are any.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);

const [task, ...args] = process.argv.slice(2);

const tasks = {
  demo: () => {
    prepare();
    return exec(process.execPath, ['--enable-source-maps', 'dist/demo/main.js', ...args]);
  },
  start: () => {
    prepare();
    return exec(process.execPath, ['--enable-source-maps', 'dist/src/main.js', ...args]);
  },
  simulator: () => {
    prepare();
    return exec(process.execPath, ['--enable-source-maps', 'dist/test/simulator/main.js', ...args]);
  },
  test: () => {
    prepare();
    return exec(process.execPath, [bin('vitest/vitest.mjs'), 'run', ...args]);
  },
  build: () => {
    prepare();
    return 0;
  },
  typecheck: () => {
    install();
    return exec(process.execPath, [bin('typescript-native/bin/tsc'), '--noEmit', '-p', '.']);
  },
  lint: async () => {
    install();
    const style = await exec(process.execPath, [bin('@biomejs/biome/bin/biome'), 'ci', '--error-on-warnings', '.']);
    const directions = await exec(process.execPath, [
      bin('dependency-cruiser/bin/dependency-cruise.mjs'),
      '--config',
      '.dependency-cruiser.cjs',
      'src',
      'test',
      'demo',
    ]);
    return style || directions;
  },
};

if (!Object.hasOwn(tasks, task ?? '')) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(tasks).join('|')}`);
  process.exit(2);
}
process.exitCode = await tasks[task]();

function prepare() {
  checkMachine();
  install();
  buildNative();
  buildTypeScript();
}

function checkMachine() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) die(`Node 20.19 or newer is needed; this is ${process.version}.`);
  if (process.platform !== 'linux') die('vApp Vault runs on Linux: VDDK for other systems has another ABI.');
  for (const tool of ['make', process.env.CXX ?? 'g++', process.env.CC ?? 'gcc']) {
    if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).error) die(`"${tool}" is missing: install a C++ compiler and make.`);
  }
}

function install() {
  // What npm would install is a function of the lock file and of the Node version (native binaries).
  const want = digest(['package.json', 'package-lock.json'], process.version);
  const stamp = 'node_modules/.vapp-vault-install';
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === want) return;
  step('installing packages');
  const npm = process.env.npm_execpath;
  const command = npm && /\.c?js$/.test(npm) ? [process.execPath, [npm]] : ['npm', []];
  must(command[0], [...command[1], 'ci', '--no-audit', '--no-fund', '--loglevel=error'], 'npm ci failed; its message is above.');
  writeFileSync(stamp, want);
}

function buildNative() {
  // make knows what is stale; -q asks without building.
  if (spawnSync('make', ['-q', '-C', 'native'], { stdio: 'ignore' }).status === 0) return;
  step('building the native parts');
  must('make', ['-s', '-j', String(availableParallelism()), '-C', 'native'], "The native build failed; the compiler's message is above.");
}

function buildTypeScript() {
  const sources = ['tsconfig.json', 'package-lock.json', ...['src', 'test', 'demo'].flatMap((folder) => list(folder))];
  const want = digest(sources);
  const stamp = 'dist/.built';
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === want) return;
  step('compiling TypeScript');
  rmSync('dist', { recursive: true, force: true });
  must(process.execPath, [bin('typescript-native/bin/tsc'), '-p', '.'], 'The TypeScript build failed; the messages are above.');
  // What the compiler leaves: data files that code opens beside itself.
  for (const file of sources.filter((f) => /\.(json|wsdl|xml)$/.test(f) && /^(src|test|demo)\//.test(f))) {
    mkdirSync(dirname(join('dist', file)), { recursive: true });
    writeFileSync(join('dist', file), readFileSync(file));
  }
  writeFileSync(stamp, want);
}

function list(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .sort();
}

function digest(files, salt = '') {
  const hash = createHash('sha256').update(salt);
  for (const file of files) hash.update(file).update('\0').update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}

function bin(path) {
  return join('node_modules', path);
}

function step(what) {
  process.stderr.write(`vapp-vault: ${what} ...\n`);
}

function must(command, parameters, complaint) {
  const result = spawnSync(command, parameters, { stdio: ['ignore', 2, 2] });
  if (result.status !== 0) die(complaint);
}

/** Runs the task in the foreground; signals reach it, and its outcome becomes ours. */
function exec(command, parameters) {
  return new Promise((done) => {
    const child = spawn(command, parameters, { stdio: 'inherit' });
    const forward = (signal) => child.kill(signal);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward);
    child.on('error', (error) => {
      console.error(error.message);
      done(1);
    });
    child.on('exit', (code, signal) => done(code ?? (signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : 1)));
  });
}

function die(message) {
  console.error(`vapp-vault: ${message}`);
  process.exit(1);
}
