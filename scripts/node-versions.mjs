/**
 * The demo and the tests on other releases of Node: each in a fresh clone of the last commit, so that nothing that another
 * release built is found. A release comes from the npm package that carries it.
 *
 * usage: npm run node-versions [-- VERSION ...] [--demo-only] [--again] [--logs FOLDER]
 *
 * --again   spec files that failed run once more, alone: on a busy machine one that waits for something may come too late
 * --logs    where the output of each task goes; otherwise a folder of its own, which stays when something failed
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Failure, run } from './processes.mjs';

/** The oldest that package.json allows, and the long-term support lines after it. */
const VERSIONS = ['20.19', '22', '24'];
const INTERRUPTED = [129, 130, 143];
const LINES_OF_A_FAILURE = 40;
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(`vapp-vault: ${error.message}`);
  process.exitCode = error.exitCode;
}

async function main() {
  const { values, positionals } = readArguments();
  const npm = process.env.npm_execpath;
  if (npm === undefined) throw new Failure('Start this as npm run node-versions: it needs npm itself.', 2);
  const wanted = positionals.length > 0 ? positionals : VERSIONS;
  const strange = wanted.find((version) => !/^\d+(\.\d+){0,2}$/.test(version));
  if (strange !== undefined) throw new Failure(`"${strange}" is no version of Node, such as 22 or 20.19.`, 2);

  const work = mkdtempSync(join(tmpdir(), 'vapp-vault-node-'));
  const logs = values.logs === undefined ? mkdtempSync(join(tmpdir(), 'vapp-vault-node-logs-')) : resolve(callerFolder(), values.logs);
  mkdirSync(logs, { recursive: true });
  console.log(`What each task says is in ${logs}`);
  const rows = [];
  try {
    for (const version of wanted) {
      const place = { work, logs, npm, version };
      const ended = await tryVersion(place, values);
      rows.push(...ended);
      if (ended.some(({ code }) => INTERRUPTED.includes(code))) break;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  console.log(`\n${['Node', 'task', 'outcome', 'minutes'].map((title) => title.padEnd(12)).join('')}`);
  for (const { node, task, code, minutes } of rows)
    console.log(`${node.padEnd(12)}${task.padEnd(12)}${(code === 0 ? 'passed' : `FAILED ${code}`).padEnd(12)}${minutes.toFixed(1)}`);
  const good = wanted.every((version) => isGood(rows.filter((row) => row.version === version)));
  if (good && values.logs === undefined) rmSync(logs, { recursive: true, force: true });
  return good ? 0 : 1;
}

function readArguments() {
  const options = {
    'demo-only': { type: 'boolean', default: false },
    again: { type: 'boolean', default: false },
    logs: { type: 'string' },
  };
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    throw new Failure(`${error.message} (npm run node-versions [-- VERSION ...] [--demo-only] [--again] [--logs FOLDER])`, 2);
  }
}

function callerFolder() {
  return process.env.INIT_CWD ?? process.cwd();
}

/** A second try stands for the first one of the same task. */
function isGood(rows) {
  const last = new Map(rows.map(({ task, code }) => [task.replace(/ again$/, ''), code]));
  return rows.length > 0 && [...last.values()].every((code) => code === 0);
}

/** @returns what each task ended with; a release that cannot be tried does not keep the next from it. */
async function tryVersion(place, { 'demo-only': demoOnly, again }) {
  const { version, work, npm } = place;
  const rows = [];
  const clone = join(work, `clone-${version}`);
  let node = version;
  const attempt = async (task, command, parameters, options) => {
    console.log(`Node ${node}: ${task} …`);
    const { code, minutes, log } = await logged(place, task, command, parameters, options);
    rows.push({ version, node, task, code, minutes });
    if (code !== 0) console.log(`${tail(log)}\nNode ${node}: ${task} FAILED (${code}); all of it is in ${log}`);
    return { code, log };
  };
  try {
    const folder = join(work, `node-${version}`);
    mkdirSync(folder);
    // Without a package.json npm would install into the nearest folder above that has one.
    writeFileSync(join(folder, 'package.json'), '{"private":true}');
    const name = `node-linux-${process.arch}`;
    const install = [npm, 'install', '--no-audit', '--no-fund', '--loglevel=error', `${name}@${version}`];
    if ((await attempt('install', process.execPath, install, { cwd: folder })).code !== 0) return rows;
    const packageFolder = join(folder, 'node_modules', name);
    node = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')).version;
    const binary = join(packageFolder, 'bin', 'node');
    if ((await attempt('clone', 'git', ['clone', '--quiet', root, clone], {})).code !== 0) return rows;
    const options = { cwd: clone, env: environmentFor(binary) };
    if (INTERRUPTED.includes((await attempt('demo', binary, [npm, 'run', 'demo'], options)).code) || demoOnly) return rows;
    const test = await attempt('test', binary, [npm, 'test'], options);
    const failed = test.code === 0 ? [] : failedFiles(test.log);
    if (again && failed.length > 0) await attempt('test again', binary, [npm, 'test', '--', ...failed], options);
  } finally {
    rmSync(clone, { recursive: true, force: true });
  }
  return rows;
}

/** That release first in the path, and nothing of the npm that started this. */
function environmentFor(binary) {
  const env = { ...process.env, NO_COLOR: '1', PATH: `${dirname(binary)}${delimiter}${process.env.PATH}` };
  for (const name of Object.keys(env)) if (/^npm_|^INIT_CWD$/i.test(name)) delete env[name];
  return env;
}

async function logged({ logs, version }, task, command, parameters, options) {
  const log = join(logs, `node-${version}-${task.replace(' ', '-')}.log`);
  const out = openSync(log, 'w');
  const startedMs = performance.now();
  try {
    const code = await run(command, parameters, { ...options, stdio: ['ignore', out, out] });
    return { code, log, minutes: (performance.now() - startedMs) / 60_000 };
  } finally {
    closeSync(out);
  }
}

function tail(log) {
  return readFileSync(log, 'utf8').trimEnd().split('\n').slice(-LINES_OF_A_FAILURE).join('\n');
}

/** As vitest names them: ` FAIL  |servers| test/contract/permits.spec.ts > …`. */
function failedFiles(log) {
  const lines = readFileSync(log, 'utf8').matchAll(/^ *FAIL +(?:\|\w+\| +)?(\S+\.spec\.ts)/gm);
  return [...new Set([...lines].map(([, file]) => file))];
}
