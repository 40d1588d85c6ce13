import { type ChildProcess, spawn } from 'node:child_process';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { type Logger, sleep, throwIfAborted } from '../../common/index.js';
import { DatabaseError } from '../errors.js';
import { findBinaries, type PostgresBinaries } from './binaries.js';
import { type Cluster, openCluster, SUPERUSER } from './cluster.js';
import { clearLeftover } from './leftover.js';
import { identifyProcess } from './process-identity.js';
import { chooseUser, type RunAs, tethered } from './run-as.js';
import { socketParent } from './socket-folder.js';

const DATABASE = 'vapp_vault';
const SIGINT = 2;
const POLL_MS = 20;
const CONNECT_TIMEOUT_MS = 5_000;
const MEMORY_IN_USE_WAIT_MS = 10_000;
/** PostgreSQL's three ways to stop: fast, immediate, and none of its own. */
const STOPPING: readonly [NodeJS.Signals, number][] = [
  ['SIGINT', 10_000],
  ['SIGQUIT', 5_000],
  ['SIGKILL', 5_000],
];

export interface EmbeddedOptions {
  dataDir: string;
  maxConnections: number;
  startTimeoutMs: number;
  log: Logger;
  signal?: AbortSignal;
  /** The server ended although nobody stopped it. */
  onLost?: (error: DatabaseError) => void;
}

/**
 * A PostgreSQL server of our own, tied to this process: it ends when this process does.
 *
 * It listens on a UNIX socket alone, in a folder only its user (and root) may enter: no port to
 * clash with, none to find from outside. The password is asked even so.
 */
export class EmbeddedPostgres {
  private stopping = false;

  private constructor(
    /** postgres://…, with the password. */
    readonly url: string,
    readonly clusterDir: string,
    private readonly homeDir: string,
    private readonly socketDir: string,
    private readonly child: ChildProcess,
    private readonly exited: Promise<string>,
  ) {}

  get pid(): number {
    return this.child.pid ?? -1;
  }

  /** @throws DatabaseError EMBEDDED_UNAVAILABLE, EMBEDDED_IN_USE, EMBEDDED_FAILED. */
  static async start(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
    const { log } = options;
    const user = chooseUser();
    const binaries = await findBinaries(user, log);
    const cluster = await openCluster(options.dataDir, user, binaries, log);
    await clearLeftover(cluster, log, options.signal);
    const socketDir = await mkdtemp(join(socketParent(), 'vapp-vault-pg-'));
    if (user.changesUser) await chown(socketDir, user.uid, user.gid);
    await writeOwner(cluster, socketDir);

    const deadlineMs = performance.now() + options.startTimeoutMs;
    const memoryDeadlineMs = performance.now() + MEMORY_IN_USE_WAIT_MS;
    for (;;) {
      const server = EmbeddedPostgres.spawn(options, user, binaries, cluster, socketDir);
      try {
        await server.ready(deadlineMs, options.signal);
        server.watch(options.onLost);
        return server;
      } catch (error) {
        await server.end();
        // Backends of a killed server may hold its memory for a moment longer.
        const again = error instanceof DatabaseError && /shared memory block/.test(error.message) && performance.now() < memoryDeadlineMs;
        if (!again) {
          await server.clearAway();
          throw error;
        }
        await sleep(250, options.signal);
      }
    }
  }

  private static spawn(
    options: EmbeddedOptions,
    user: RunAs,
    binaries: PostgresBinaries,
    cluster: Cluster,
    socketDir: string,
  ): EmbeddedPostgres {
    const settings: Record<string, string> = {
      listen_addresses: '',
      unix_socket_directories: socketDir,
      port: '5432',
      max_connections: String(options.maxConnections),
      shared_buffers: '64MB',
      logging_collector: 'off',
      log_min_messages: 'warning',
      timezone: 'UTC',
    };
    const line = tethered(user, SIGINT, binaries.postgres, [
      '-D',
      cluster.clusterDir,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ]);
    // Its own session: Ctrl-C in a terminal must reach the service alone, which still needs its database to stop.
    const child = spawn(line.file, line.args, {
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
    });
    const said: string[] = [];
    if (child.stderr) {
      createInterface({ input: child.stderr }).on('line', (text) => {
        said.push(text);
        if (said.length > 20) said.shift();
        options.log.debug({ postgres: text }, 'the embedded PostgreSQL says');
      });
    }
    const exited = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(lastWords(said) ?? `it ended with ${signal ?? `exit code ${code}`}`));
    });
    const url = `postgres://${SUPERUSER}:${cluster.password}@localhost/${DATABASE}?host=${encodeURIComponent(socketDir)}`;
    return new EmbeddedPostgres(url, cluster.clusterDir, cluster.homeDir, socketDir, child, exited);
  }

  /** A server is ready when it lets us in; recovery after a crash may take a while. */
  private async ready(deadlineMs: number, signal: AbortSignal | undefined): Promise<void> {
    let ended: string | undefined;
    void this.exited.then((why) => {
      ended = why;
    });
    let last = '';
    while (performance.now() < deadlineMs) {
      throwIfAborted(signal);
      if (ended !== undefined) {
        throw new DatabaseError(`The embedded PostgreSQL in ${this.clusterDir} did not start: ${ended}`, { code: 'EMBEDDED_FAILED' });
      }
      const refusal = await this.tryDatabase();
      if (refusal === undefined) return;
      last = refusal;
      await sleep(POLL_MS, signal);
    }
    throw new DatabaseError(`The embedded PostgreSQL in ${this.clusterDir} was not ready in time: ${last}`, {
      code: 'EMBEDDED_FAILED',
      retryable: true,
    });
  }

  /** @returns undefined when the database answers, else why it does not yet. */
  private async tryDatabase(): Promise<string | undefined> {
    try {
      await query(this.url, 'SELECT 1');
      return undefined;
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      // 28P01: the kept password is not this cluster's. Waiting will not help.
      if (code === '28P01') {
        throw new DatabaseError(`${join(this.homeDir, 'password')} does not hold the password of the database in ${this.clusterDir}.`, {
          code: 'EMBEDDED_FAILED',
        });
      }
      if (code === '3D000') await query(this.url.replace(`/${DATABASE}?`, '/postgres?'), `CREATE DATABASE ${DATABASE}`);
      return message;
    }
  }

  private watch(onLost: EmbeddedOptions['onLost']): void {
    void this.exited.then((why) => {
      if (this.stopping) return;
      onLost?.(new DatabaseError(`The embedded PostgreSQL in ${this.clusterDir} ended by itself: ${why}`, { code: 'EMBEDDED_LOST' }));
    });
  }

  /** Fast shutdown, then harder ones; never throws and ends within twenty seconds. */
  async stop(): Promise<void> {
    await this.end();
    await this.clearAway();
  }

  private async end(): Promise<void> {
    this.stopping = true;
    for (const [signal, waitMs] of STOPPING) {
      if (this.child.pid === undefined || this.child.exitCode !== null || this.child.signalCode !== null) break;
      this.child.kill(signal);
      await Promise.race([this.exited, sleep(waitMs)]);
    }
  }

  private async clearAway(): Promise<void> {
    await rm(this.socketDir, { recursive: true, force: true }).catch(() => undefined);
    await rm(join(this.homeDir, 'owner.json'), { force: true }).catch(() => undefined);
  }
}

async function writeOwner(cluster: Cluster, socketDir: string): Promise<void> {
  const owner = { ...identifyProcess(process.pid), socketDir };
  await writeFile(join(cluster.homeDir, 'owner.json'), `${JSON.stringify(owner)}\n`, { mode: 0o600 });
}

async function query(connectionString: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, query_timeout: 60_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(text);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function lastWords(lines: readonly string[]): string | undefined {
  const loud = lines.filter((line) => /FATAL|PANIC|tether:|error while loading/.test(line));
  return (loud.at(-1) ?? lines.at(-1))?.replace(/^.*?(FATAL|PANIC):\s*/, '');
}
