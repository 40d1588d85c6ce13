import { createHash } from 'node:crypto';
import pg from 'pg';
import { describeError, type Logger } from '../common/index.js';
import { plainConnectionTo } from './connection.js';
import { DatabaseError } from './errors.js';
import type { Migration } from './migrations/index.js';

/** Any constant will do; it must only be the same in every release. */
const LOCK = 7_241_890_351;
const LOCK_TIMEOUT_MS = 120_000;
/** An index on the largest table takes minutes; a server that hangs would hold the start for ever. */
const STATEMENT_TIMEOUT_MS = 6 * 3_600_000;

/**
 * Brings the schema up to date. Several services may start at once: an advisory lock lets one
 * work while the others wait, and each migration is one transaction.
 * @returns the names of the migrations applied now.
 * @throws DatabaseError DATABASE_UNREACHABLE, DATABASE_SCHEMA.
 */
export async function migrate(url: string, migrations: readonly Migration[], log: Logger): Promise<string[]> {
  const client = new pg.Client({ ...plainConnectionTo(url), application_name: 'vapp-vault-migrate', query_timeout: STATEMENT_TIMEOUT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw new DatabaseError(`The database cannot be reached: ${describeError(error)}`, {
      code: 'DATABASE_UNREACHABLE',
      retryable: true,
      cause: error,
    });
  }
  try {
    // Ends with the session, so a service that dies here holds up nobody.
    await client.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await client.query('SELECT pg_advisory_lock($1)', [LOCK]);
    return await applyMissing(client, migrations, log);
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    throw new DatabaseError(`The database's schema cannot be brought up to date: ${describeError(error)}`, {
      code: 'DATABASE_SCHEMA',
      cause: error,
    });
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function applyMissing(client: pg.Client, migrations: readonly Migration[], log: Logger): Promise<string[]> {
  await client.query(`
    CREATE TABLE IF NOT EXISTS schema_migrations (
      name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
    )`);
  const { rows } = await client.query<{ name: string; checksum: string }>('SELECT name, checksum FROM schema_migrations ORDER BY name');
  const applied = new Map(rows.map((row) => [row.name, row.checksum]));
  const unknown = rows.filter((row) => !migrations.some((m) => m.name === row.name)).map((row) => row.name);
  if (unknown.length > 0) {
    throw new DatabaseError(`The database was written by a newer vApp Vault (it has ${unknown.join(', ')}); start that release.`, {
      code: 'DATABASE_SCHEMA',
    });
  }
  const done: string[] = [];
  for (const migration of migrations) {
    const checksum = createHash('sha256').update(migration.sql.replace(/\s+/g, ' ').trim()).digest('hex');
    const before = applied.get(migration.name);
    if (before === checksum) continue;
    if (before !== undefined) {
      throw new DatabaseError(`Migration ${migration.name} of this release is not the one this database was made with.`, {
        code: 'DATABASE_SCHEMA',
      });
    }
    await applyOne(client, migration, checksum);
    log.info({ migration: migration.name }, 'database migration applied');
    done.push(migration.name);
  }
  return done;
}

async function applyOne(client: pg.Client, migration: Migration, checksum: string): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(migration.sql);
    await client.query('INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)', [migration.name, checksum]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw new DatabaseError(`Migration ${migration.name} failed: ${describeError(error)}`, { code: 'DATABASE_SCHEMA', cause: error });
  }
}
