import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource, type EntitySchema, type MixedList } from 'typeorm';
import { silentLogger } from '../../src/common/index.js';
import { dataSourceOptions, type RunningDatabase, startDatabase } from '../../src/database/index.js';

export interface TestDatabase {
  /** postgres://… for pg, pg-boss and DatabaseModule.forRoot; every migration is applied. */
  readonly url: string;
  readonly dataDir: string;
  /** An initialized data source on it; closed with the database. */
  connect(entities: MixedList<string | (new () => object) | EntitySchema>): Promise<DataSource>;
  /** Stops the server and removes its folder. */
  stop(): Promise<void>;
}

/** A temporary folder the user who runs PostgreSQL (not root) can enter. */
export async function makeDataDir(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vapp-vault-test-'));
  await chmod(folder, 0o755);
  return folder;
}

/** Specs that start several services on one database: each has a pool of 16 and a few more. */
const CONNECTIONS = 120;

/** One real embedded PostgreSQL for a spec file: about a second. */
export async function startTestDatabase(): Promise<TestDatabase> {
  const dataDir = await makeDataDir();
  let database: RunningDatabase;
  try {
    database = await startDatabase({ url: undefined, dataDir, poolSize: CONNECTIONS, startTimeoutMs: 60_000, log: silentLogger });
  } catch (error) {
    await rm(dataDir, { recursive: true, force: true });
    throw error;
  }
  const sources: DataSource[] = [];
  return {
    url: database.url,
    dataDir,
    async connect(entities) {
      const source = new DataSource({ ...dataSourceOptions({ url: database.url, poolSize: 10 }), entities } as never);
      sources.push(source);
      return await source.initialize();
    },
    async stop() {
      for (const source of sources.splice(0)) if (source.isInitialized) await source.destroy();
      await database.stop();
      await rm(dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}
