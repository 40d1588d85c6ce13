import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { silentLogger, sleep } from '../../src/common/index.js';
import { identifyProcess } from '../../src/database/embedded/process-identity.js';
import { DatabaseError, migrate, migrations, type RunningDatabase, startDatabase } from '../../src/database/index.js';
import { makeDataDir } from '../harness/database.js';

const folders: string[] = [];
const running: RunningDatabase[] = [];
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const database of running.splice(0)) await database.stop();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

async function dataDir(): Promise<string> {
  const folder = await makeDataDir();
  folders.push(folder);
  return folder;
}

async function start(folder: string, onLost?: (error: DatabaseError) => void): Promise<RunningDatabase> {
  const database = await startDatabase({ url: undefined, dataDir: folder, poolSize: 4, startTimeoutMs: 30_000, log: silentLogger, onLost });
  running.push(database);
  return database;
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

function serverPid(clusterDir: string | undefined): number {
  return Number.parseInt(readFileSync(join(clusterDir ?? '', 'postmaster.pid'), 'utf8'), 10);
}

function isGone(pid: number): boolean {
  return !existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

async function until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + timeoutMs;
  while (performance.now() < deadlineMs) {
    if (condition()) return true;
    await sleep(25);
  }
  return condition();
}

/** A service in a process of its own, so that it can be killed. */
function spawnChild(folder: string): { child: ChildProcess; complaint: () => string } {
  const script = fileURLToPath(new URL('../harness/database-child.ts', import.meta.url));
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', `import { runnerImport } from 'vite'; await runnerImport(${JSON.stringify(script)});`],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, VAPP_VAULT_TEST_DATA_DIR: folder },
    },
  );
  children.push(child);
  let complaint = '';
  child.stderr?.on('data', (text) => {
    complaint += text;
  });
  return { child, complaint: () => complaint };
}

async function startChild(folder: string): Promise<{ child: ChildProcess; url: string; clusterDir: string }> {
  const { child, complaint } = spawnChild(folder);
  const line = await Promise.race([
    once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line').then(([text]) => text as string),
    once(child, 'exit').then(() => Promise.reject(new Error(`The child ended: ${complaint()}`))),
  ]);
  return { child, ...(JSON.parse(line) as { url: string; clusterDir: string }) };
}

describe('embedded PostgreSQL', () => {
  it('starts on an empty folder with every migration, and keeps its data over a restart', async () => {
    const folder = await dataDir();
    const first = await start(folder);
    expect(await query(first.url, 'SELECT name FROM schema_migrations ORDER BY name')).toEqual(migrations.map(({ name }) => ({ name })));
    await query(first.url, 'CREATE TABLE kept AS SELECT 4711 AS answer');
    const pid = serverPid(first.clusterDir);
    await first.stop();
    expect(isGone(pid)).toBe(true);

    const second = await start(folder);
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 4711 }]);
    expect(await query(second.url, `SHOW listen_addresses`)).toEqual([{ listen_addresses: '' }]);
    await expect(query(second.url.replace(/:[^:@]+@/, ':wrong@'), 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
  });

  it('runs beside another on its own folder, and refuses a folder that is in use', async () => {
    const [one, two] = [await dataDir(), await dataDir()];
    const [a, b] = await Promise.all([start(one), start(two)]);
    await query(a.url, 'CREATE TABLE only_in_a (n int)');
    await expect(query(b.url, 'SELECT * FROM only_in_a')).rejects.toMatchObject({ code: '42P01' });
    await expect(start(one)).rejects.toMatchObject({ code: 'EMBEDDED_IN_USE', message: expect.stringContaining(one) });
    expect(await query(a.url, 'SELECT 1 AS still')).toEqual([{ still: 1 }]);
  });

  it('dies with a service killed by SIGKILL, and the next start finds what was committed', async () => {
    const folder = await dataDir();
    const { child, url, clusterDir } = await startChild(folder);
    await query(url, 'CREATE TABLE committed AS SELECT 17 AS n');
    await expect(start(folder)).rejects.toMatchObject({ code: 'EMBEDDED_IN_USE' });
    const pid = serverPid(clusterDir);
    child.kill('SIGKILL');
    expect(await until(() => isGone(pid), 8_000)).toBe(true);
    const next = await start(folder);
    expect(await query(next.url, 'SELECT n FROM committed')).toEqual([{ n: 17 }]);
  });

  it('takes over at once from a service that was killed a moment ago', async () => {
    const folder = await dataDir();
    const { child, url } = await startChild(folder);
    await query(url, 'CREATE TABLE committed AS SELECT 18 AS n');
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    const next = await start(folder);
    expect(await query(next.url, 'SELECT n FROM committed')).toEqual([{ n: 18 }]);
  });

  it('clears away what a first start that was killed has left, the password in clear above all', async () => {
    const folder = await dataDir();
    const home = join(folder, 'postgres');
    const { child } = spawnChild(folder);
    // The password lies beside the unfinished cluster for as long as initdb works. A machine that stalls may show the whole one.
    const making = () => existsSync(home) && readdirSync(home).some((name) => name === 'cluster' || /^cluster\..+\.password$/.test(name));
    expect(await until(making, 60_000)).toBe(true);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    await start(folder);
    expect((await readdir(home)).sort()).toEqual(['cluster', 'owner.json', 'password']);
  });

  it('leaves alone what another start is making, and what a person has put beside it', async () => {
    const folder = await dataDir();
    const home = join(folder, 'postgres');
    await (await start(folder)).stop();
    const making = async (pid: number, startTicks: string) => {
      const name = `cluster.making-${pid}-${startTicks}-AbC123`;
      await mkdir(join(home, name, 'base'), { recursive: true });
      await writeFile(join(home, name, 'base', 'file'), '');
      await writeFile(join(home, `${name}.password`), 'secret');
      return [name, `${name}.password`];
    };
    const { pid, startTicks } = identifyProcess(process.pid) as { pid: number; startTicks: string };
    // A number that was given out again is not the process it was.
    await making(pid, '1');
    await writeFile(join(home, `password.making-${pid}-1-0123456789ab`), 'secret');
    const alive = await making(pid, startTicks);
    const others = ['cluster.backup', 'cluster.old', 'password.bak'];
    for (const name of others) await mkdir(join(home, name));
    await (await start(folder)).stop();
    expect((await readdir(home)).sort()).toEqual(['cluster', 'password', ...alive, ...others].sort());
  });

  it('recovers when the server itself was killed, and reports the loss', async () => {
    const folder = await dataDir();
    const lost: DatabaseError[] = [];
    const first = await start(folder, (error) => lost.push(error));
    await query(first.url, 'CREATE TABLE committed AS SELECT 19 AS n');
    process.kill(serverPid(first.clusterDir), 'SIGKILL');
    expect(await until(() => lost.length === 1, 5_000)).toBe(true);
    expect(lost[0]).toMatchObject({ code: 'EMBEDDED_LOST' });
    await first.stop();
    const next = await start(folder);
    expect(await query(next.url, 'SELECT n FROM committed')).toEqual([{ n: 19 }]);
  });

  it('is not stopped by a lock file whose process number is somebody else today', async () => {
    const folder = await dataDir();
    const first = await start(folder);
    const clusterDir = first.clusterDir as string;
    await first.stop();
    await writeFile(join(clusterDir, 'postmaster.pid'), `${process.pid}\n${clusterDir}\n1\n5432\n/nowhere\n\n0 0\nready\n`);
    await start(folder);
  });

  it('works below a folder nobody else may enter, and finds its files there again', async () => {
    const closed = await mkdtemp(join(tmpdir(), 'vapp-vault-closed-'));
    folders.push(closed);
    await chmod(closed, 0o700);
    const folder = join(closed, 'data');
    const first = await start(folder);
    folders.push(join(first.clusterDir as string, '..'));
    await query(first.url, 'CREATE TABLE kept AS SELECT 23 AS n');
    await first.stop();
    const second = await start(folder);
    expect(await query(second.url, 'SELECT n FROM kept')).toEqual([{ n: 23 }]);
    await second.stop();
    if (process.getuid?.() === 0) {
      await rm(first.clusterDir as string, { recursive: true });
      await expect(start(folder)).rejects.toThrow(/are gone from/);
    }
  });

  // Others than root run PostgreSQL as themselves, and need no pointer.
  it.runIf(process.getuid?.() === 0)('writes down once where its files are, and says so where that note is harmed', async () => {
    const closed = await mkdtemp(join(tmpdir(), 'vapp-vault-closed-'));
    folders.push(closed);
    await chmod(closed, 0o700);
    const folder = join(closed, 'data');
    const pointer = join(folder, 'postgres', 'location.json');
    const first = await start(folder);
    const parentDir = join(first.clusterDir as string, '..');
    folders.push(parentDir);
    await first.stop();
    const written = await stat(pointer, { bigint: true });
    const second = await start(folder);
    await second.stop();
    const found = await stat(pointer, { bigint: true });
    expect([found.ino, found.mtimeNs]).toEqual([written.ino, written.mtimeNs]);
    expect(await readdir(join(folder, 'postgres'))).toEqual(['location.json', 'password']);

    for (const harmed of ['', '{}', 'null', '{"parentDir"']) {
      await writeFile(pointer, harmed);
      await expect(start(folder)).rejects.toMatchObject({ code: 'EMBEDDED_UNAVAILABLE', message: expect.stringContaining(pointer) });
    }
    await writeFile(pointer, JSON.stringify({ parentDir }));
    await start(folder);
  });

  it('says why it cannot start, and leaves nothing running or lying about', async () => {
    const folder = await dataDir();
    const first = await start(folder);
    await first.stop();
    await writeFile(join(first.clusterDir as string, 'postgresql.conf'), "shared_preload_libraries = 'no_such_library'\n");
    // Other specs start databases at the same time: this one leaves its socket's folder where nobody else does.
    const own = await mkdtemp(join(tmpdir(), 'vault-own-'));
    folders.push(own);
    await chmod(own, 0o755);
    vi.stubEnv('TMPDIR', own);
    try {
      await expect(start(folder)).rejects.toThrow(/did not start: .*no_such_library/);
    } finally {
      vi.unstubAllEnvs();
    }
    // Where its user cannot enter node_modules, the programs are copied once, and stay.
    const leftovers = (await readdir(own)).filter((name) => !name.startsWith('vapp-vault-postgres-'));
    expect(leftovers).toEqual([]);
  });

  it('names a data folder that cannot be made', async () => {
    const folder = await dataDir();
    await writeFile(join(folder, 'file'), '');
    await expect(start(join(folder, 'file'))).rejects.toThrow(folder);
    await mkdir(join(folder, 'old', 'postgres', 'cluster'), { recursive: true });
    await writeFile(join(folder, 'old', 'postgres', 'cluster', 'PG_VERSION'), '9.6\n');
    await expect(start(join(folder, 'old'))).rejects.toThrow(/made by PostgreSQL 9.6/);
  });
});

describe('migrations', () => {
  it('are applied once when several services start together, and whole or not at all', async () => {
    const { url } = await start(await dataDir());
    const extra = [...migrations, { name: '9000-one', sql: 'CREATE TABLE one (n int)' }];
    const results = await Promise.all([1, 2, 3, 4].map(() => migrate(url, extra, silentLogger)));
    expect(results.flat()).toEqual(['9000-one']);

    const broken = [...extra, { name: '9001-broken', sql: 'CREATE TABLE half (n int); SELECT 1/0' }];
    await expect(migrate(url, broken, silentLogger)).rejects.toThrow(/9001-broken failed: division by zero/);
    expect(await query(url, `SELECT to_regclass('half') AS half`)).toEqual([{ half: null }]);
    await expect(migrate(url, migrations, silentLogger)).rejects.toThrow(/newer vApp Vault \(it has 9000-one\)/);
    const edited = extra.map((m) => (m.name === '9000-one' ? { ...m, sql: 'CREATE TABLE one (n bigint)' } : m));
    await expect(migrate(url, edited, silentLogger)).rejects.toThrow(/9000-one of this release is not the one/);
  });

  it('report an unreachable database without its password', async () => {
    const attempt = migrate('postgres://u:sesame@127.0.0.1:1/db', migrations, silentLogger);
    const error = await attempt.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(DatabaseError);
    expect(error).toMatchObject({ code: 'DATABASE_UNREACHABLE', retryable: true });
    expect(String(error)).not.toContain('sesame');
  });
});
