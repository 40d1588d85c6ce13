import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { loadConfig } from '../../src/config/index.js';
import { type Migration, migrate, migrations, startDatabase } from '../../src/database/index.js';
import { type RunningService, startService } from '../../src/service.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { API_KEY, CONVERTED, REWRITTEN, ROWS } from './migration-rows.js';

/** The schema of the first release; those before it are of clones that ran between. */
const FIRST_RELEASE = '0007-second-look';

type Tables = Record<string, Record<string, unknown>[]>;

let server: TestDatabase;
const urlOf = (database: string) => server.url.replace(/@localhost\/\w+/, `@localhost/${database}`);
const nameOf = (migration: Migration) => `at_${migration.name.slice(0, 4)}`;
const earlier = migrations.slice(0, -1);

async function withClient<T>(database: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: urlOf(database) });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

const one = (database: string, question: string) =>
  withClient(database, async (client) => Object.values((await client.query(question)).rows[0] as object)[0] as unknown);

/** Every row as the text PostgreSQL itself would print, so that no digit is lost on the way. */
async function readTables(database: string): Promise<Tables> {
  return await withClient(database, async (client) => {
    const { rows: names } = await client.query<{ name: string }>(
      `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations' ORDER BY 1`,
    );
    const tables: Tables = {};
    for (const { name } of names) {
      const { rows } = await client.query<{ row: Record<string, unknown> }>(
        `SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(to_jsonb(t))) AS row FROM ${name} t`,
      );
      tables[name] = rows.map(({ row }) => row);
    }
    return tables;
  });
}

/** Of `after`, what `before` knew: its tables and its columns. */
function asBefore(before: Tables, after: Tables): Tables {
  return Object.fromEntries(
    Object.entries(before).map(([table, rows]) => {
      const columns = Object.keys(rows[0] ?? {});
      return [table, (after[table] ?? []).map((row) => Object.fromEntries(columns.map((column) => [column, row[column]])))];
    }),
  );
}

/** @param columns as `table.column`. */
function without(tables: Tables, columns: readonly string[]): Tables {
  const kept = (table: string, row: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(row).filter(([column]) => !columns.includes(`${table}.${column}`)));
  return Object.fromEntries(Object.entries(tables).map(([table, rows]) => [table, rows.map((row) => kept(table, row))]));
}

const sorted = (tables: Tables) =>
  Object.fromEntries(
    Object.entries(tables).map(([table, rows]) => [table, rows.map((row) => JSON.stringify(Object.entries(row).toSorted())).toSorted()]),
  );

/** The schema as a person would compare it. */
async function schemaOf(database: string): Promise<unknown> {
  return await withClient(database, async (client) => [
    (
      await client.query(
        `SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2`,
      )
    ).rows,
    (await client.query(`SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`)).rows,
    (
      await client.query(
        `SELECT conrelid::regclass::text AS of, conname, pg_get_constraintdef(oid) AS def FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2`,
      )
    ).rows,
  ]);
}

const configOn = (database: string) =>
  loadConfig({
    VAPP_VAULT_ROLE: 'api',
    VAPP_VAULT_PORT: '0',
    VAPP_VAULT_DATABASE_URL: urlOf(database),
    VAPP_VAULT_DATA_DIR: server.dataDir,
  });

async function itemsOf({ url }: RunningService, path: string): Promise<Record<string, unknown>[]> {
  const answer = await fetch(`${url}/api/v1/${path}`, { headers: { Authorization: `Bearer ${API_KEY}` } });
  expect(answer.status, path).toBe(200);
  return ((await answer.json()) as { items: Record<string, unknown>[] }).items;
}

/** One database grows version by version, each filled as its release would have; after each a copy is put aside. */
beforeAll(async () => {
  server = await startTestDatabase();
  await withClient('postgres', async (client) => {
    // Nobody needs these databases after a crash, and a score of copies is made of them.
    await client.query('ALTER SYSTEM SET fsync = off');
    await client.query('SELECT pg_reload_conf()');
    await client.query('CREATE DATABASE growing TEMPLATE template0');
  });
  for (const [at, migration] of migrations.entries()) {
    await migrate(urlOf('growing'), migrations.slice(0, at + 1), silentLogger);
    await withClient('growing', (client) => client.query(ROWS[migration.name] ?? ''));
    if (at < earlier.length) await copy('growing', nameOf(migration));
    if (migration.name === FIRST_RELEASE) await copy('growing', 'released');
  }
}, 120_000);
afterAll(() => server?.stop());

async function copy(of: string, name: string): Promise<void> {
  await withClient('postgres', (client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${of}`));
}

describe('migrations', () => {
  it('have ascending numbers, and each has rows here', () => {
    const names = migrations.map(({ name }) => name);
    expect(names).toEqual(names.toSorted());
    expect(new Set(names.map((name) => name.slice(0, 4))).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^\d{4}-[a-z-]+$/);
    expect(Object.keys(ROWS)).toEqual(names);
  });

  it.each(earlier.map((migration) => [migration.name, migration] as const))(
    'bring a database of %s with data in every table to today, and every row with it',
    async (name, migration) => {
      const database = nameOf(migration);
      const found = await readTables(database);
      expect(Object.entries(found).filter(([, rows]) => rows.length === 0)).toEqual([]);
      const missing = migrations.slice(migrations.indexOf(migration) + 1).map((later) => later.name);
      const before = without(
        found,
        missing.flatMap((later) => REWRITTEN[later] ?? []),
      );
      expect(await migrate(urlOf(database), migrations, silentLogger)).toEqual(missing);
      expect(sorted(asBefore(before, await readTables(database)))).toEqual(sorted(before));
      for (const later of missing) {
        for (const [question, answer] of CONVERTED[later] ?? []) expect(await one(database, question), `${name}: ${question}`).toBe(answer);
      }
      expect(await migrate(urlOf(database), migrations, silentLogger)).toEqual([]);
    },
    30_000,
  );

  it('end at one schema, wherever they began', async () => {
    expect(await schemaOf(nameOf(migrations[0] as Migration))).toEqual(await schemaOf(new URL(server.url).pathname.slice(1)));
  });

  it('leave no table of the latest schema without rows here', async () => {
    const tables = await readTables('growing');
    expect(Object.keys(tables).filter((table) => tables[table]?.length === 0)).toEqual([]);
  });

  it('are applied once, however many services start at the same moment', async () => {
    await copy('growing', 'busy');
    const late: Migration = { name: '9000-late', sql: 'SELECT pg_sleep(0.3); CREATE TABLE late (n integer)' };
    const done = await Promise.all([1, 2, 3].map(() => migrate(urlOf('busy'), [...migrations, late], silentLogger)));
    expect(done.flat()).toEqual(['9000-late']);
  });

  it('that fail leave nothing of themselves, and go on when they are repaired', async () => {
    await copy('growing', 'broken');
    const failing: Migration = { name: '9000-late', sql: 'CREATE TABLE late (n integer); SELECT 1 / 0' };
    await expect(migrate(urlOf('broken'), [...migrations, failing], silentLogger)).rejects.toMatchObject({
      code: 'DATABASE_SCHEMA',
      message: expect.stringMatching(/^Migration 9000-late failed: .*division by zero/),
    });
    expect(await migrate(urlOf('broken'), [...migrations, { ...failing, sql: 'CREATE TABLE late (n integer)' }], silentLogger)).toEqual([
      '9000-late',
    ]);
  });

  it('refuse a database of a newer release, or of another text of a migration, in one sentence and untouched', async () => {
    await copy('growing', 'newer');
    const options = { url: urlOf('newer'), dataDir: server.dataDir, poolSize: 2, startTimeoutMs: 10_000, log: silentLogger };
    await withClient('newer', (client) =>
      client.query(`INSERT INTO schema_migrations (name, checksum) VALUES ('9999-from-tomorrow', 'x')`),
    );
    await expect(startDatabase(options)).rejects.toMatchObject({
      code: 'DATABASE_SCHEMA',
      message: 'The database was written by a newer vApp Vault (it has 9999-from-tomorrow); start that release.',
    });
    await withClient('newer', (client) =>
      client.query(
        `DELETE FROM schema_migrations WHERE name = '9999-from-tomorrow'; UPDATE schema_migrations SET checksum = 'x' WHERE name = '0003-jobs'`,
      ),
    );
    await expect(startDatabase(options)).rejects.toMatchObject({
      code: 'DATABASE_SCHEMA',
      message: 'Migration 0003-jobs of this release is not the one this database was made with.',
    });
    expect(sorted(await readTables('newer'))).toEqual(sorted(await readTables('growing')));
  });

  it('let the service start on a database of the first release, with its keys, objects, restore points and runs', async () => {
    // The repository, which is not begun anew for a database that knows restore points.
    await withClient('postgres', (client) => client.query('CREATE DATABASE beginning TEMPLATE template0'));
    await expect(startService(configOn('released'), { log: silentLogger })).rejects.toMatchObject({ code: 'REPOSITORY_NOT_FOUND' });
    await (await startService(configOn('beginning'), { log: silentLogger, showFirstKey: () => {} })).close();
    const service = await startService(configOn('released'), { log: silentLogger });
    try {
      const list = (path: string) => itemsOf(service, path);
      expect((await list('clouds')).map(({ name }) => name)).toEqual(['prod', 'spare „2“']);
      expect((await list('vapps')).map(({ name }) => name)).toContain('shop');
      expect(await list('restore-points?vappId=vapp-1')).toHaveLength(2);
      expect((await list('runs')).map(({ state }) => state)).toEqual(expect.arrayContaining(['succeeded', 'failed', 'running', 'queued']));
    } finally {
      await service.close();
    }
  }, 60_000);

  it('let the service see that a database was put back, and leave alone what its restores had made', async () => {
    await copy('growing', 'put_back');
    await withClient('put_back', (client) =>
      client.query(`INSERT INTO obligations (id, run_id, kind, terms) VALUES
        ('debt-made', 'run-3', 'vcd.vapp', '{"cloudId": "cloud-1", "vappName": "shop-0197"}'),
        ('debt-mode', 'run-3', 'vcd.maintenance', '{"cloudId": "cloud-1", "vappName": "shop"}')`),
    );
    const service = await startService(configOn('put_back'), { log: silentLogger });
    try {
      expect((await itemsOf(service, 'runs')).find(({ id }) => id === 'run-3')).toMatchObject({
        state: 'failed',
        error: { code: 'DATABASE_PUT_BACK' },
        warnings: [expect.stringContaining('vApp "shop-0197" (debt "vcd.vapp")')],
      });
      expect(await one('put_back', `SELECT array_agg(id ORDER BY id) FROM obligations WHERE settled_at IS NULL`)).toEqual([
        'debt-1',
        'debt-mode',
      ]);
    } finally {
      await service.close();
    }
  }, 60_000);
});
