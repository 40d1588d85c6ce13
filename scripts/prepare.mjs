/**
 * Installs and builds what is missing or stale, and nothing when nothing is. Scripts started at the
 * same time in one clone take turns; each looks again when its turn has come.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { Failure, run } from './processes.mjs';

/** Everything of this folder can be made again (.gitignore). */
const STATE_DIR = '.vapp-vault';
const LOCK_WAIT_S = 900;
const INSTALL_STAMP = 'node_modules/.vapp-vault-install';
const BUILD_STAMP = 'dist/.built';

// flock(2) belongs to the open file, which this process and every command it starts share: the lock
// goes when the last of them has ended, however it ended, so it cannot be stale. Node has no flock.
const LOCK_SCRIPT = `
import fcntl, sys, time
deadline = time.monotonic() + ${LOCK_WAIT_S}
waiting = False
while True:
    try:
        fcntl.flock(3, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except BlockingIOError:
        if time.monotonic() > deadline: sys.exit(75)
        if not waiting: print("vapp-vault: another script is preparing this clone; waiting for it ...", file=sys.stderr, flush=True)
        waiting = True
        time.sleep(0.1)
`;

const installing = {
  what: 'installing packages',
  isFresh: () => isStamped(INSTALL_STAMP, wantedInstall()),
  work: installPackages,
};
const buildingNative = {
  what: 'building the native parts',
  // make knows what is stale; -q asks without building.
  isFresh: () => spawnSync('make', ['-q', '-C', 'native'], { stdio: 'ignore' }).status === 0,
  work: buildNative,
};
const compiling = {
  what: 'compiling TypeScript',
  isFresh: () => isStamped(BUILD_STAMP, wantedBuild(sources())),
  work: compile,
};

/** Packages, native parts and dist/. @throws Failure */
export async function prepare() {
  await bringUpToDate([installing, buildingNative, compiling]);
}

/** Packages alone. @throws Failure */
export async function install() {
  await bringUpToDate([installing]);
}

/** @throws Failure with the reason why it is needed. */
export function requirePython(reason) {
  if (spawnSync('python3', ['--version'], { stdio: 'ignore' }).status !== 0) throw new Failure(`"python3" is missing: ${reason}.`);
}

async function bringUpToDate(steps) {
  checkMachine();
  if (steps.every((step) => step.isFresh())) return;
  const lock = await takeLock();
  try {
    for (const { what, isFresh, work } of steps) {
      if (isFresh()) continue;
      process.stderr.write(`vapp-vault: ${what} ...\n`);
      await work(lock);
    }
  } finally {
    closeSync(lock);
  }
}

function checkMachine() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) throw new Failure(`Node 20.19 or newer is needed; this is ${process.version}.`);
  if (process.platform !== 'linux') throw new Failure('vApp Vault runs on Linux: VDDK for other systems has another ABI.');
}

async function takeLock() {
  requirePython('setting up the clone and the simulated cloud need it');
  mkdirSync(STATE_DIR, { recursive: true });
  const lock = openSync(join(STATE_DIR, 'prepare.lock'), 'a');
  const code = await run('python3', ['-c', LOCK_SCRIPT], { stdio: ['ignore', 2, 2, lock] });
  if (code === 75) throw new Failure(`Another script has been preparing this clone for ${LOCK_WAIT_S / 60} minutes; end it and try again.`);
  if (code !== 0) throw new Failure(`The lock ${STATE_DIR}/prepare.lock could not be taken.`, code);
  return lock;
}

async function installPackages(lock) {
  const npm = process.env.npm_execpath;
  const [command, ...first] = npm && basename(npm) === 'npm-cli.js' ? [process.execPath, npm] : ['npm'];
  // Whatever NODE_ENV says: what builds and tests this is among the devDependencies.
  const options = ['--include=dev', '--no-audit', '--no-fund', '--loglevel=error', ...cacheOption()];
  const want = wantedInstall();
  rmSync(INSTALL_STAMP, { force: true });
  await must(lock, command, [...first, 'ci', ...options], 'npm ci failed; its message is above.');
  writeFileSync(INSTALL_STAMP, want);
}

/** npm cannot install without a cache it can write; a home that is read-only or missing gives it none. */
function cacheOption() {
  const cache = process.env.npm_config_cache ?? join(homedir(), '.npm');
  let nearest = cache;
  while (!existsSync(nearest) && nearest !== dirname(nearest)) nearest = dirname(nearest);
  try {
    accessSync(nearest, constants.W_OK);
    return [];
  } catch {
    return [`--cache=${join(process.cwd(), STATE_DIR, 'npm-cache')}`];
  }
}

/** What npm installs is a function of the lock file, its settings in package.json, and the machine's binary interface. */
function wantedInstall() {
  const { dependencies, devDependencies, optionalDependencies, overrides, allowScripts } = JSON.parse(readFileSync('package.json', 'utf8'));
  const declared = JSON.stringify({ dependencies, devDependencies, optionalDependencies, overrides, allowScripts });
  return digest(['package-lock.json'], `${declared} ${process.arch} ${process.versions.modules}`);
}

async function buildNative(lock) {
  for (const tool of ['make', process.env.CXX ?? 'g++', process.env.CC ?? 'cc']) {
    if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).error)
      throw new Failure(`"${tool}" is missing: install a C++ compiler and make.`);
  }
  const parameters = ['-s', '-j', String(availableParallelism()), '-C', 'native'];
  await must(lock, 'make', parameters, "The native build failed; the compiler's message is above.");
}

/** Beside dist and put in its place whole: a script that runs from dist never sees half of one. */
async function compile(lock) {
  const files = sources();
  const want = wantedBuild(files);
  const fresh = join(STATE_DIR, 'dist.new');
  const old = join(STATE_DIR, 'dist.old');
  for (const folder of [fresh, old]) rmSync(folder, { recursive: true, force: true });
  const parameters = ['node_modules/typescript-native/bin/tsc', '-p', '.', '--outDir', fresh, '--incremental', 'false'];
  await must(lock, process.execPath, parameters, 'The TypeScript build failed; the messages are above.');
  // What the compiler leaves: data files that code opens beside itself.
  for (const file of files.filter((name) => /\.(json|wsdl|xml)$/.test(name) && /^(src|test|demo)\//.test(name))) {
    mkdirSync(dirname(join(fresh, file)), { recursive: true });
    copyFileSync(file, join(fresh, file));
  }
  writeFileSync(join(fresh, basename(BUILD_STAMP)), want);
  if (existsSync('dist')) renameSync('dist', old);
  renameSync(fresh, 'dist');
  rmSync(old, { recursive: true, force: true });
}

function sources() {
  return ['tsconfig.json', ...['src', 'test', 'demo'].flatMap(filesBelow)];
}

/** The compiler and the types it reads come with the packages. */
function wantedBuild(files) {
  return digest(files, wantedInstall());
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function isStamped(stamp, want) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === want;
}

function digest(files, salt) {
  const hash = createHash('sha256').update(salt);
  for (const file of files) hash.update(file).update('\0').update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}

async function must(lock, command, parameters, complaint) {
  const code = await run(command, parameters, { stdio: ['ignore', 2, 2, lock] });
  if (code !== 0) throw new Failure(complaint, code > 128 ? code : 1);
}
