/**
 * The native parts under AddressSanitizer, UndefinedBehaviorSanitizer and, where it is installed, valgrind: vddk-host with
 * the stand-in library through a fixed set of operations, then the fuzzers. Usage: sanitize.mjs [--seconds N] [--seed N] [--quick]
 * seconds of each fuzzer, 5 by default; the same seed tries the same inputs; quick leaves valgrind out.
 */
import { spawn, spawnSync } from 'node:child_process';
import { availableParallelism, tmpdir } from 'node:os';
import { copyFileSync, existsSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { exerciseHost } from './exercise-host.mjs';

const native = resolve(dirname(fileURLToPath(import.meta.url)), '..', 'native');
const MEMORY_BYTES = 4 * 1024 * 1024;
const FUZZ_LIMIT_MS = 120_000;
/** A host that answers everything and then does not end is not waited for. */
const EXERCISE_LIMIT_MS = 600_000;
const SANITIZED = join(native, 'build', 'sanitize');
const FLAGS = '-fsanitize=address,undefined -fno-sanitize-recover=undefined';
/** Leaks: the host says so itself and ends with _exit; its own counters are those of the stand-in (ledger.h). */
const ENVIRONMENT = {
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0:detect_stack_use_after_return=1',
  UBSAN_OPTIONS: 'print_stacktrace=1',
};
const WAYS = [
  { name: 'as VDDK 8 does', configuration: '' },
  { name: 'completions inline', configuration: 'standin.callbacks=inline\n' },
  { name: 'completions late, four threads that log', configuration: 'standin.callbacks=late\nstandin.logThreads=4\n' },
  { name: 'completions reversed, high bits', configuration: 'standin.callbacks=reversed\nstandin.highBits=1\n' },
  { name: 'as VDDK 6.7 does', configuration: '', major: 6 },
  { name: 'as VDDK 9 does', configuration: '', major: 9 },
];

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
  },
});
const work = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'vapp-vault-sanitize-'));
let failures = 0;
try {
  make(['BUILD=build/sanitize', `CXX=${process.env.CXX ?? 'g++'} ${FLAGS}`, 'CXXFLAGS=-O1 -g', 'fuzz']);
  for (const way of WAYS) await exercise(`sanitizers, ${way.name}`, [join(SANITIZED, 'vddk-host')], SANITIZED, way);
  for (const fuzzer of ['protocol', 'disk']) fuzz(`sanitizers, fuzz-${fuzzer}`, [], SANITIZED, fuzzer, values.seconds);
  if (values.quick) {
    console.log('skipped: valgrind, as --quick says');
  } else if (spawnSync('valgrind', ['--version']).status === 0) {
    make(['fuzz']);
    const plain = join(native, 'build');
    const valgrind = ['valgrind', '-q', '--error-exitcode=97', '--leak-check=no'];
    for (const way of WAYS.slice(0, 4)) await exercise(`valgrind, ${way.name}`, [...valgrind, join(plain, 'vddk-host')], plain, way);
    fuzz('valgrind, fuzz-disk', valgrind, plain, 'disk', '2');
  } else {
    console.log('skipped: valgrind is not installed');
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exitCode = failures > 0 ? 1 : 0;

function make(parameters) {
  const built = spawnSync('make', ['-C', native, `-j${availableParallelism()}`, ...parameters], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (built.status !== 0) throw new Error(`make ${parameters.join(' ')} failed`);
}

function report(name, problem) {
  if (problem === undefined) {
    console.log(`ok       ${name}`);
    return;
  }
  failures += 1;
  console.log(`FAILED   ${name}\n${problem}`);
}

/** One vddk-host through everything it can do, from its hello to its exit. */
async function exercise(name, command, build, { configuration, major }) {
  const folder = mkdtempSync(join(work, 'exercise-'));
  const library = join(build, 'vddk-standin', 'lib64', 'libvixDiskLib.so.8');
  const libraryDir = join(folder, 'vddk');
  mkdirSync(join(libraryDir, 'lib64'), { recursive: true });
  symlinkSync(library, join(libraryDir, 'lib64', `libvixDiskLib.so.${major ?? 8}`));
  const configFile = join(folder, 'vddk.conf');
  writeFileSync(configFile, configuration);
  const memory = openSync(join(folder, 'memory'), 'w+');
  ftruncateSync(memory, MEMORY_BYTES);
  const child = spawn(command[0], command.slice(1), {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', memory],
    env: { ...process.env, ...ENVIRONMENT },
    timeout: EXERCISE_LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  let log = '';
  child.stderr.on('data', (piece) => {
    log += piece;
  });
  const ended = new Promise((done) => child.once('close', (code, signal) => done(signal ?? code)));
  let problem;
  try {
    await exerciseHost(child.stdio[3], { libraryDir, configFile, folder, memory, memoryBytes: MEMORY_BYTES });
  } catch (error) {
    problem = error.message;
    child.kill('SIGKILL');
  }
  const outcome = await ended;
  if (outcome !== 0) problem = `${problem ?? ''} vddk-host ended with ${outcome}`;
  // What the stand-in notes of broken rules and of leaks at Exit stands in its log.
  const noted = log.split('\n').filter((line) => /^(warning )?(Rule broken|Left at Exit)|runtime error|ERROR: AddressSanitizer/.test(line));
  if (noted.length > 0) problem = `${problem ?? ''}\n${noted.join('\n')}`;
  report(name, problem === undefined ? undefined : `${problem}\n${log.split('\n').slice(-60).join('\n')}`);
}

function fuzz(name, prefix, build, fuzzer, seconds) {
  const folder = mkdtempSync(join(work, 'fuzz-'));
  const corpus = join(native, 'fuzz', 'corpus', fuzzer === 'disk' ? 'descriptor' : fuzzer);
  const command = [...prefix, join(build, 'fuzz', `fuzz-${fuzzer}`), seconds, values.seed, corpus, folder];
  const env = { ...process.env, ...ENVIRONMENT, VDDK_LIBRARY_DIR: join(build, 'vddk-standin') };
  const limit = FUZZ_LIMIT_MS + Number(seconds) * 1000;
  const run = spawnSync(command[0], command.slice(1), {
    env,
    encoding: 'utf8',
    timeout: limit,
    killSignal: 'SIGKILL',
    maxBuffer: 256 * 1024 * 1024,
  });
  if (run.status === 0) {
    report(`${name}: ${run.stdout.trim()}`);
    return;
  }
  const kept = join(native, 'build', `fuzz-${fuzzer}-failure`);
  copyFileSync(join(folder, 'input'), kept);
  report(
    name,
    `${run.stderr.split('\n').slice(-60).join('\n')}\nended with ${run.signal ?? run.status}; the input (u64 length, bytes) is in ${kept}`,
  );
}
