/** Installs the peers into a cache outside the repository, once for each of their versions. */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './checks.mjs';

const SOURCES = new URL('./tools/', import.meta.url);
const CACHE = join(tmpdir(), 'vapp-vault-interop');
const PYVMOMI = 'pyvmomi==9.1.1.0';
const INSTALL_TIMEOUT_MS = 10 * 60_000;

/** govc and vcsim. @returns their folder, or the sentence that says why not. */
export async function goTools() {
  const files = ['go.mod', 'go.sum', 'govc/main.go', 'vcsim/main.go'];
  const contents = files.map((file) => readFileSync(new URL(file, SOURCES)));
  const folder = join(CACHE, `go-${digest(contents)}`);
  if (existsSync(join(folder, 'ready'))) return { folder };
  if ((await run('go', ['version'])).code !== 0) return { reason: 'govc and vcsim: there is no Go on this machine.' };
  return install(folder, async (at) => {
    // Built from a copy: the build must leave nothing in the repository.
    cpSync(SOURCES, join(at, 'source'), { recursive: true });
    const env = { ...process.env, GOFLAGS: '-mod=readonly', GOTOOLCHAIN: 'local' };
    const options = { cwd: join(at, 'source'), env, timeoutMs: INSTALL_TIMEOUT_MS };
    const built = await run('go', ['build', '-o', `${at}/`, './govc', './vcsim'], options);
    return built.code === 0 ? undefined : `govc and vcsim: they could not be built here (${lastLine(built.stderr)}).`;
  });
}

/** pyVmomi in a virtual environment. @returns its Python, or the sentence that says why not. */
export async function pythonTools() {
  const folder = join(CACHE, `python-${digest([PYVMOMI])}`);
  const python = join(folder, 'venv', 'bin', 'python');
  if (existsSync(join(folder, 'ready'))) return { python };
  if ((await run('python3', ['-c', 'import venv, ensurepip'])).code !== 0) {
    return { reason: 'pyVmomi: there is no Python 3 with venv and pip on this machine.' };
  }
  // A virtual environment knows its own path, so it is made where it stays.
  const installed = await install(folder, async (at) => {
    const made = await run('python3', ['-m', 'venv', join(at, 'venv')], { timeoutMs: INSTALL_TIMEOUT_MS });
    if (made.code !== 0) return `pyVmomi: no virtual environment could be made (${lastLine(made.stderr)}).`;
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', PYVMOMI];
    const done = await run(join(at, 'venv', 'bin', 'python'), pip, { timeoutMs: INSTALL_TIMEOUT_MS });
    return done.code === 0 ? undefined : `pyVmomi: it could not be installed here (${lastLine(done.stderr)}).`;
  });
  return installed.reason === undefined ? { python } : installed;
}

async function install(folder, work) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const reason = await work(folder);
  if (reason !== undefined) {
    rmSync(folder, { recursive: true, force: true });
    return { reason };
  }
  writeFileSync(join(folder, 'ready.new'), '');
  renameSync(join(folder, 'ready.new'), join(folder, 'ready'));
  return { folder };
}

function digest(parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex').slice(0, 12);
}

/** Without addresses: which registry a machine uses is its own affair. */
function lastLine(text) {
  const line = text.trim().split('\n').at(-1) ?? '';
  return line.replace(/https?:\/\/\S+/g, '…').slice(0, 200) || 'no reason was given';
}
