/**
 * The demo and the tests on other releases of Node: each in a fresh clone of the last commit, so that nothing that another
 * release built is found. A release comes from the npm package that carries it.
 *
 * usage: npm run node-versions [-- VERSION ...] [--demo-only]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Failure, run } from './processes.mjs';

/** The oldest that package.json allows, and the long-term support lines after it. */
const VERSIONS = ['20.19', '22', '24'];
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

const { values, positionals } = parseArgs({ allowPositionals: true, options: { 'demo-only': { type: 'boolean', default: false } } });
const npm = process.env.npm_execpath;
if (npm === undefined) throw new Failure('Start this as npm run node-versions: it needs npm itself.', 2);

const work = mkdtempSync(join(tmpdir(), 'vapp-vault-node-'));
const results = [];
try {
  for (const version of positionals.length > 0 ? positionals : VERSIONS) results.push(await tryVersion(version));
} finally {
  rmSync(work, { recursive: true, force: true });
}
for (const { version, task, code } of results.flat())
  console.log(`Node ${version.padEnd(10)} ${task.padEnd(8)} ${code === 0 ? 'passed' : `FAILED (${code})`}`);
process.exitCode = results.flat().every(({ code }) => code === 0) ? 0 : 1;

/** @returns what each task ended with. */
async function tryVersion(version) {
  const node = await fetchNode(version);
  const clone = join(work, `clone-${version}`);
  await must('git', ['clone', '--quiet', root, clone], {});
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
  for (const name of Object.keys(env)) if (/^npm_|^INIT_CWD$/i.test(name)) delete env[name];
  const done = [];
  for (const task of values['demo-only'] ? ['demo'] : ['demo', 'test']) {
    console.log(`\n── Node ${version}: npm run ${task}`);
    done.push({ version, task, code: await run(node, [npm, 'run', task], { cwd: clone, env, stdio: 'inherit' }) });
  }
  rmSync(clone, { recursive: true, force: true });
  return done;
}

async function fetchNode(version) {
  const folder = join(work, `node-${version}`);
  mkdirSync(folder);
  // Without a package.json npm would install into the nearest folder above that has one.
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const name = `node-linux-${process.arch}`;
  await must(process.execPath, [npm, 'install', '--no-audit', '--no-fund', '--loglevel=error', `${name}@${version}`], { cwd: folder });
  return join(folder, 'node_modules', name, 'bin', 'node');
}

async function must(command, parameters, options) {
  const code = await run(command, parameters, { stdio: 'inherit', ...options });
  if (code !== 0) throw new Failure(`${command} ${parameters.join(' ')} failed; its message is above.`, code);
}
