import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Logger, sleep } from '../../common/index.js';
import { DatabaseError } from '../errors.js';
import type { Cluster } from './cluster.js';
import { commandLine, identifyProcess, isAlive, type ProcessIdentity } from './process-identity.js';

const POLL_MS = 25;
const STOPPING: readonly [NodeJS.Signals, number][] = [
  ['SIGINT', 10_000],
  ['SIGQUIT', 5_000],
  ['SIGKILL', 5_000],
];

/**
 * Makes way for a new server on a cluster: a server whose service died is stopped, its socket
 * folder and lock file removed. The server of a service that lives is left alone.
 * @throws DatabaseError EMBEDDED_IN_USE when a living service owns the cluster.
 */
export async function clearLeftover(cluster: Cluster, log: Logger, signal?: AbortSignal): Promise<void> {
  const ownerFile = join(cluster.homeDir, 'owner.json');
  const owner = await readOwner(ownerFile);
  const server = await runningServer(cluster.clusterDir);
  if (owner !== undefined && isAlive(owner) && (server !== undefined || owner.pid !== process.pid)) {
    throw new DatabaseError(
      `The data folder of ${cluster.homeDir} is in use by another vApp Vault, process ${owner.pid}; stop it, or choose another VAPP_VAULT_DATA_DIR.`,
      { code: 'EMBEDDED_IN_USE', details: { pid: owner.pid } },
    );
  }
  if (server !== undefined) {
    log.warn({ pid: server.pid, clusterDir: cluster.clusterDir }, 'stopping the embedded PostgreSQL a dead service left behind');
    await stopServer(server, cluster.clusterDir, signal);
  }
  if (owner?.socketDir !== undefined && /^vapp-vault-pg-\w+$/.test(basename(owner.socketDir))) {
    await rm(owner.socketDir, { recursive: true, force: true }).catch(() => undefined);
  }
  await rm(ownerFile, { force: true });
}

interface Owner extends ProcessIdentity {
  socketDir?: string;
}

async function readOwner(path: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Owner;
  } catch {
    // None, or half-written by a service that died: either way nobody to ask.
    return undefined;
  }
}

/**
 * The server postmaster.pid names, if that process really is a postgres on this cluster. A lock
 * file whose number now belongs to somebody else would stop every later start, so it goes; one
 * whose process is dead stays, because PostgreSQL still learns from it whether backends live on.
 */
async function runningServer(clusterDir: string): Promise<ProcessIdentity | undefined> {
  const lockFile = join(clusterDir, 'postmaster.pid');
  let pid: number;
  try {
    pid = Number.parseInt((await readFile(lockFile, 'utf8')).split('\n')[0] ?? '', 10);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const identity = Number.isInteger(pid) ? identifyProcess(pid) : undefined;
  if (identity === undefined) return undefined;
  const command = commandLine(pid);
  // A server in its last moments has no command line any more; it still is the one we look for.
  if (command.length === 0 || (basename(command[0] ?? '') === 'postgres' && command.includes(clusterDir))) return identity;
  await rm(lockFile, { force: true });
  return undefined;
}

async function stopServer(server: ProcessIdentity, clusterDir: string, signal: AbortSignal | undefined): Promise<void> {
  for (const [name, waitMs] of STOPPING) {
    try {
      process.kill(server.pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
      throw new DatabaseError(
        `A PostgreSQL left behind (process ${server.pid}) still runs on ${clusterDir} and may not be stopped by this user; stop it by hand.`,
        { code: 'EMBEDDED_IN_USE', cause: error },
      );
    }
    const deadlineMs = performance.now() + waitMs;
    while (performance.now() < deadlineMs) {
      if (!isAlive(server)) return;
      await sleep(POLL_MS, signal);
    }
  }
  throw new DatabaseError(`A PostgreSQL left behind (process ${server.pid}) on ${clusterDir} does not end; stop it by hand.`, {
    code: 'EMBEDDED_IN_USE',
  });
}
