/** Where VMware's schemas and a Python with lxml are, and the check itself: what run.mjs and schema-reporter.mjs share. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const MASTER = '1.5/schemas/master/master.xsd';
const LXML = 'lxml==6.1.3';
const INSTALL_TIMEOUT_MS = 150_000;
const CHECK_TIMEOUT_MS = 120_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const SHOWN_BODIES = 20;
/** Virtual environments of the interop suites; the first is this suite's own. */
const ENVIRONMENTS = ['schema', 'vcd'].map((suite) => join(tmpdir(), 'vapp-vault-interop', suite, 'python'));

/**
 * The "etc" folder of the schemas of API 37.1, which VCD_SCHEMAS_DIR names, or the sentence that says why there is none: `reason` where
 * nobody has named one, `broken` where it is not what it is said to be.
 */
export function findSchemas() {
  const named = process.env.VCD_SCHEMAS_DIR;
  if (!named) return { reason: `VCD_SCHEMAS_DIR is not set; it names the "etc" folder of VMware's schema files.` };
  const folder = resolve(named);
  if (existsSync(join(folder, MASTER))) return { folder };
  return { broken: `VCD_SCHEMAS_DIR names ${folder}, which is not the "etc" folder of VMware's schema files: it has no ${MASTER}.` };
}

/** A Python that has lxml already, working or not: a broken one must show. Nothing is installed. */
export function findLxml() {
  const candidates = [...ENVIRONMENTS.map((environment) => join(environment, 'bin', 'python')).filter(existsSync), 'python3'];
  const present = 'import importlib.util, sys; sys.exit(importlib.util.find_spec("lxml") is None)';
  const python = candidates.find((candidate) => spawnSync(candidate, ['-c', present], { stdio: 'ignore' }).status === 0);
  return python === undefined ? { reason: 'no Python here has lxml; "npm run interop" installs one.' } : { python };
}

/** As findLxml, and where there is none, one is made in the cache. */
export function prepareLxml() {
  const found = findLxml();
  if (found.python !== undefined) return found;
  const [environment] = ENVIRONMENTS;
  rmSync(environment, { recursive: true, force: true });
  mkdirSync(environment, { recursive: true });
  const python = join(environment, 'bin', 'python');
  const pip = [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', LXML];
  for (const [command, ...args] of [['python3', '-m', 'venv', environment], pip]) {
    const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: INSTALL_TIMEOUT_MS });
    if (status === 0) continue;
    rmSync(environment, { recursive: true, force: true });
    const why = error?.message ?? stderr?.trim().split('\n').at(-1) ?? '';
    return { reason: `lxml cannot be installed (${why.replace(/https?:\/\/\S+/g, '…').slice(0, 200)}).` };
  }
  return { python };
}

/**
 * Holds what was recorded against the schemas.
 * @returns how many bodies of each kind are valid, and those that are not (file, kind, method, path, errors)
 */
export function checkRecord(python, schemas, record) {
  if (!existsSync(join(record, 'index.jsonl'))) return { valid: { request: 0, response: 0 }, invalid: [] };
  const { stdout, stderr, error } = spawnSync(python, ['-B', join(here, 'validate.py'), schemas, record], {
    encoding: 'utf8',
    timeout: CHECK_TIMEOUT_MS,
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  const lines = (stdout ?? '').split('\n').filter((line) => line.startsWith('{'));
  const last = lines.length > 0 ? JSON.parse(lines[lines.length - 1]) : {};
  if (last.valid === undefined)
    throw new Error(`The schema check did not end: ${error?.message ?? stderr?.trim().split('\n').at(-1) ?? 'no reason was given'}`);
  return { valid: last.valid, invalid: lines.slice(0, -1).map((line) => JSON.parse(line)) };
}

/** Lines for people: the count, then each body that is not valid, with what is wrong and its file. */
export function describeResult({ valid, invalid }, record) {
  const count = `${valid.request} request bodies and ${valid.response} answers are valid against VMware's schemas of API 37.1`;
  const shown = invalid
    .slice(0, SHOWN_BODIES)
    .flatMap((body) => [
      `FAILED schema: ${body.kind} of ${body.method} ${body.path} (${body.status}${body.fromService ? ', the service' : ''}): ${join(record, body.file)}`,
      ...body.errors.map((error) => `  ${error}`),
    ]);
  const more = invalid.length > SHOWN_BODIES ? [`… and ${invalid.length - SHOWN_BODIES} more`] : [];
  return [`${count}${invalid.length === 0 ? '' : `; ${invalid.length} are not`}.`, ...shown, ...more];
}
