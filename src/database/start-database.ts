import type { Logger } from '../common/index.js';
import { EmbeddedPostgres } from './embedded/server.js';
import type { DatabaseError } from './errors.js';
import { migrate } from './migrate.js';
import { migrations } from './migrations/index.js';

export interface DatabaseOptions {
  /** postgres://…; undefined starts the embedded server in `dataDir`. */
  url: string | undefined;
  dataDir: string;
  poolSize: number;
  startTimeoutMs: number;
  log: Logger;
  signal?: AbortSignal;
  /** The embedded server ended by itself: the service cannot go on. */
  onLost?: (error: DatabaseError) => void;
}

export interface RunningDatabase {
  /** Carries a password: never log it. Good for pg and pg-boss as it is. */
  readonly url: string;
  /** Where the embedded server keeps its files; undefined for a database of somebody else's. */
  readonly clusterDir: string | undefined;
  /** Stops the embedded server, if there is one. After everything that uses it; safe to call twice. */
  stop(): Promise<void>;
}

/** Connections beside TypeORM's pool: the queue's, migrations, a person looking. */
const SPARE_CONNECTIONS = 20;

/**
 * A database that answers and has today's schema.
 * @throws DatabaseError
 */
export async function startDatabase(options: DatabaseOptions): Promise<RunningDatabase> {
  const { log } = options;
  const startedMs = performance.now();
  const embedded = options.url === undefined ? await startEmbedded(options) : undefined;
  const url = embedded?.url ?? (options.url as string);
  try {
    await migrate(url, migrations, log);
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
  log.info({ embedded: embedded !== undefined, ms: Math.round(performance.now() - startedMs) }, 'database ready');
  return { url, clusterDir: embedded?.clusterDir, stop: async () => embedded?.stop() };
}

function startEmbedded(options: DatabaseOptions): Promise<EmbeddedPostgres> {
  return EmbeddedPostgres.start({
    dataDir: options.dataDir,
    maxConnections: options.poolSize + SPARE_CONNECTIONS,
    startTimeoutMs: options.startTimeoutMs,
    log: options.log,
    signal: options.signal,
    onLost: options.onLost,
  });
}
