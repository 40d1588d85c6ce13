/** A real S3 server: versitygw (Apache-2.0, github.com/versity/versitygw), built once from the Go module proxy, on a folder of this machine. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../vsphere/checks.mjs';

const SOURCES = new URL('./tools/', import.meta.url);
const CACHE = join(tmpdir(), 'vapp-vault-interop');
const BUILD_TIMEOUT_MS = 15 * 60_000;
const START_TIMEOUT_MS = 20_000;
const END_TIMEOUT_MS = 5_000;

/** @returns the program's path, or the sentence that says why there is none. */
export async function buildVersitygw() {
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(new URL(file, SOURCES)));
  const folder = join(CACHE, `s3-${hash.digest('hex').slice(0, 12)}`);
  const program = join(folder, 'versitygw');
  if (existsSync(program)) return { program };
  if ((await run('go', ['version'])).code !== 0) return { reason: 'S3: there is no Go on this machine to build versitygw with.' };
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, 'build-'));
  try {
    // From a copy: the build must leave nothing in the repository.
    cpSync(SOURCES, work, { recursive: true });
    const env = { ...process.env, GOFLAGS: '-mod=readonly', GOTOOLCHAIN: 'local' };
    const parameters = ['build', '-o', join(work, 'built'), 'github.com/versity/versitygw/cmd/versitygw'];
    const built = await run('go', parameters, { cwd: work, env, timeoutMs: BUILD_TIMEOUT_MS });
    if (built.code !== 0) return { reason: `S3: versitygw could not be built here (${lastLine(built.stderr)}).` };
    renameSync(join(work, 'built'), program);
    return { program };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A server of its own folder, over TLS, with versions and object lock. The secret goes by the environment, not by the command line. */
export async function startVersitygw(program, folder, certificate) {
  const port = await freePort();
  const accessKeyId = `AK${randomBytes(9).toString('hex').toUpperCase()}`;
  const secretAccessKey = randomBytes(20).toString('hex');
  for (const part of ['data', 'versions']) mkdirSync(join(folder, part));
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  writeFileSync(files.cert, certificate.certificatePem);
  writeFileSync(files.key, certificate.privateKeyPem, { mode: 0o600 });
  const parameters = ['--port', `127.0.0.1:${port}`, '--cert', files.cert, '--key', files.key, '--quiet'];
  const backend = ['posix', '--versioning-dir', join(folder, 'versions'), join(folder, 'data')];
  const env = { ...process.env, ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey };
  const child = spawn(program, [...parameters, ...backend], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let lastWords = '';
  child.stderr.on('data', (part) => {
    lastWords = `${lastWords}${part}`.slice(-2000);
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  // However this process ends, its server does not outlive it.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  ended.then(() => process.removeListener('exit', kill));
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(kill, END_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  };
  try {
    await Promise.race([listening(port), ended.then(() => Promise.reject(new Error(`versitygw ended: ${lastLine(lastWords)}`)))]);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    endpoint: `https://127.0.0.1:${port}`,
    accessKeyId,
    secretAccessKey,
    caFile: files.cert,
    caPem: certificate.certificatePem,
    stop,
  };
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function listening(port) {
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const open = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    if (Date.now() > deadlineMs) throw new Error('versitygw did not start in time');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Without addresses: which registry a machine uses is its own affair. */
function lastLine(text) {
  const line = text.trim().split('\n').at(-1) ?? '';
  return line.replace(/https?:\/\/\S+/g, '…').slice(0, 200) || 'no reason was given';
}
