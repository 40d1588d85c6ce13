/** The doors to the database and to the repository: what they count as a step, and what becomes of a request at each fault. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { RequestGate } from '../simulator/request-gate.js';
import { DatabaseDoor } from './database-door.js';
import { RepositoryDoor } from './repository-door.js';

const all = () => true;

describe('the door to the database', () => {
  let database: TestDatabase;
  let door: DatabaseDoor;
  let client: pg.Client;
  const gate = new RequestGate();
  beforeAll(async () => {
    database = await startTestDatabase();
    door = await DatabaseDoor.open(gate, database.url);
    const direct = await connect(database.url);
    await direct.query('CREATE TABLE things (id integer PRIMARY KEY); CREATE TABLE others (id integer)');
    await direct.end();
  });
  afterAll(async () => {
    await door?.close();
    await database?.stop();
  });
  beforeEach(async () => {
    client = await connect(door.environment.VAPP_VAULT_DATABASE_URL as string);
    await client.query('TRUNCATE things');
  });
  afterEach(async () => {
    gate.release(false);
    await client.end().catch(() => undefined);
  });

  async function connect(url: string): Promise<pg.Client> {
    const made = new pg.Client({ connectionString: url });
    made.on('error', () => undefined);
    await made.connect();
    return made;
  }
  /** Beside the door. */
  async function stored(): Promise<number> {
    const direct = await connect(database.url);
    try {
      const { rows } = await direct.query<{ count: number }>('SELECT count(*)::int AS count FROM things');
      return rows[0]?.count as number;
    } finally {
      await direct.end();
    }
  }
  const insert = (id: number) => client.query('INSERT INTO things (id) VALUES ($1)', [id]);

  it('counts what changes something by itself, and the commit of a transaction that did', async () => {
    gate.startNoting();
    await insert(1);
    await client.query('SELECT id FROM things FOR UPDATE');
    await client.query('UPDATE things SET id = 2 WHERE id = 99');
    await client.query('BEGIN');
    await client.query('DELETE FROM others');
    await client.query('COMMIT');
    await client.query('BEGIN');
    await insert(3);
    await client.query(
      'WITH next AS (SELECT id FROM things WHERE id = 1 FOR UPDATE SKIP LOCKED) UPDATE things t SET id = 4 FROM next WHERE t.id = next.id',
    );
    await client.query({ name: 'prepared', text: 'INSERT INTO others (id) VALUES ($1)', values: [1] });
    await client.query('COMMIT');
    await client.query({ name: 'prepared', text: 'INSERT INTO others (id) VALUES ($1)', values: [2] });
    await client.query('UPDATE runs SET lease_expires_at = now() WHERE false');
    expect(gate.stopNoting().map(({ door: of, method, object }) => `${of} ${method} ${object}`)).toEqual([
      'database INSERT things',
      'database UPDATE things',
      'database COMMIT things + others',
      'database INSERT others',
    ]);
  });

  it.each([
    ['before', 'drop', 0, /Connection terminated/],
    ['after', 'drop', 1, /Connection terminated/],
    ['after', 'fail', 1, /administrator command/],
  ] as const)('%s a statement it can %s', async (moment, effect, count, message) => {
    const struck = gate.apply({ number: 1, moment, effect, matching: all });
    await expect(insert(1)).rejects.toThrow(message);
    expect(await struck).toMatchObject({ method: 'INSERT', object: 'things' });
    expect(await stored()).toBe(count);
  });

  it.each([
    ['before', 0],
    ['after', 2],
  ] as const)('%s a commit a client can die', async (moment, count) => {
    const held = gate.hold({ number: 1, moment, matching: ({ method }) => method === 'COMMIT' });
    await client.query('BEGIN');
    await insert(1);
    await insert(2);
    const commit = client.query('COMMIT');
    commit.catch(() => undefined);
    await held;
    expect(await stored()).toBe(count);
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    gate.release(false);
    await expect(commit).rejects.toThrow();
    expect(await stored()).toBe(count);
  });

  it('carries out what is released, though its sender is gone', async () => {
    const held = gate.hold({ number: 1, moment: 'before', matching: all });
    const late = insert(1);
    late.catch(() => undefined);
    await held;
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await expect(late).rejects.toThrow();
    expect(await stored()).toBe(0);
    gate.release(true);
    await expect.poll(stored, { timeout: 20_000 }).toBe(1);
  });
});

/** Does to the folder what a store does, and says what came of it. */
/** Node's signal handler writes into a pipe, on whichever thread the signal comes to: in the middle of another write, too. */
const LISTENER = `
  import { openSync, writeSync } from 'node:fs';
  process.on('SIGUSR2', () => undefined);
  const file = openSync(process.argv[1] + '/busy', 'w');
  process.stdout.write('ready');
  for (const end = performance.now() + 1500; performance.now() < end; ) writeSync(file, 'x');
`;

const WORKER = `
  import { link, mkdir, open, rename, unlink, writeFile, readFile } from 'node:fs/promises';
  const [folder, what] = process.argv.slice(1);
  const put = async (name) => {
    const file = await open(folder + '/.tmp', 'wx');
    try {
      await file.write(Buffer.alloc(10));
      await file.write(Buffer.alloc(10), 0, 10, 10);
      await file.datasync();
    } finally { await file.close(); }
    await link(folder + '/.tmp', folder + '/' + name);
    await unlink(folder + '/.tmp');
    const parent = await open(folder, 'r');
    await parent.sync();
    await parent.close();
  };
  try {
    if (what === 'put') { await mkdir(folder + '/d'); await put('d/a'); await readFile(folder + '/d/a'); }
    if (what === 'again') await put('d/a').catch((error) => { if (error.code !== 'EEXIST') throw error; });
    await writeFile(folder + '-beside', 'not ours');
    console.log('done');
  } catch (error) { console.log(error.code + ' ' + error.syscall); }
`;

describe('the door to the repository', () => {
  let place: string;
  let folder: string;
  let door: RepositoryDoor;
  let gate: RequestGate;
  beforeEach(async () => {
    place = await mkdtemp(join(tmpdir(), 'vapp-vault-door-'));
    folder = join(place, 'repository');
    await mkdir(folder);
    gate = new RequestGate();
    door = await RepositoryDoor.open(gate, folder);
  });
  afterEach(async () => {
    gate.release(false);
    await door.close();
    await rm(place, { recursive: true, force: true });
  });

  function start(what: 'put' | 'again'): ChildProcess {
    return spawn(process.execPath, ['--input-type=module', '-e', WORKER, folder, what], {
      env: { ...door.environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }
  async function said(child: ChildProcess): Promise<string> {
    let text = '';
    child.stdout?.on('data', (piece) => {
      text += piece;
    });
    await once(child, 'close');
    return text.trim();
  }
  const names = async () => (await readdir(folder, { recursive: true })).toSorted();

  it('counts what changes something there and nothing else, the first byte of a file among it', async () => {
    gate.startNoting();
    expect(await said(start('put'))).toBe('done');
    expect(gate.stopNoting().map(({ method, object }) => `${method} ${object}`)).toEqual([
      'mkdir d',
      'create .tmp',
      'write .tmp',
      'fdatasync .tmp',
      'link d/a',
      'unlink .tmp',
      'fsync .',
    ]);
    expect(await names()).toEqual(['d', 'd/a']);
  });

  it.each([
    ['before', 'drop', 'EIO link', ['.tmp', 'd']],
    ['after', 'drop', 'EIO link', ['.tmp', 'd', 'd/a']],
    ['after', 'fail', 'EIO link', ['.tmp', 'd', 'd/a']],
  ] as const)('%s a call it can %s', async (moment, effect, answer, left) => {
    const struck = gate.apply({ number: 1, moment, effect, matching: ({ method }) => method === 'link' });
    expect(await said(start('put'))).toBe(answer);
    expect(await struck).toMatchObject({ door: 'repository', object: 'd/a' });
    expect(await names()).toEqual(left);
  });

  it('holds a call while its process is killed', async () => {
    const held = gate.hold({ number: 1, moment: 'after', matching: ({ method }) => method === 'unlink' });
    const child = start('put');
    await held;
    child.kill('SIGKILL');
    await once(child, 'exit');
    gate.release(false);
    expect(await names()).toEqual(['d', 'd/a']);
  });

  it('leaves the file system its own answers', async () => {
    expect(await said(start('put'))).toBe('done');
    const struck = gate.apply({ number: 1, moment: 'after', effect: 'drop', matching: ({ method }) => method === 'link' });
    expect(await said(start('again'))).toBe('done');
    expect(await Promise.race([struck, Promise.resolve('not struck')])).toBe('not struck');
  });

  it('leaves a process alone that hears of its children while it writes', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', LISTENER, folder], {
      env: { ...door.environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const stuck = setTimeout(() => child.kill('SIGKILL'), 20_000);
    await once(child.stdout as Readable, 'data');
    const ended = once(child, 'exit');
    for (let signals = 0; signals < 3_000 && child.exitCode === null; signals += 1) {
      child.kill('SIGUSR2');
      await setImmediate();
    }
    expect(await ended).toEqual([0, null]);
    clearTimeout(stuck);
  });

  it.each([
    ['full', 'ENOSPC mkdir'],
    ['read-only', 'EROFS mkdir'],
  ] as const)('is %s from one call on, and as it was again', async (condition, answer) => {
    door.condition = condition;
    expect(await said(start('put'))).toBe(answer);
    expect(await names()).toEqual([]);
    door.condition = 'well';
    expect(await said(start('put'))).toBe('done');
  });
});
