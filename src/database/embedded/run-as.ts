import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DatabaseError } from '../errors.js';

const run = promisify(execFile);
const PROBE_TIMEOUT_MS = 15_000;

/** Who runs PostgreSQL: ourselves, or (it refuses to run as root) another user. */
export interface RunAs {
  readonly userName: string;
  readonly uid: number;
  readonly gid: number;
  /** False when it is the user this process already is. */
  readonly changesUser: boolean;
}

/** @throws DatabaseError EMBEDDED_UNAVAILABLE when root finds neither user postgres nor nobody. */
export function chooseUser(): RunAs {
  const uid = process.getuid?.() ?? -1;
  if (uid !== 0) return { userName: `uid ${uid}`, uid, gid: process.getgid?.() ?? -1, changesUser: false };
  const users = new Map(
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .map(([name, , id, group]) => [name, { uid: Number(id), gid: Number(group) }]),
  );
  for (const userName of ['postgres', 'nobody']) {
    const user = users.get(userName);
    if (user !== undefined && user.uid > 0 && Number.isInteger(user.gid)) return { userName, ...user, changesUser: true };
  }
  throw new DatabaseError(
    'The embedded PostgreSQL cannot run as root and this machine has neither a user postgres nor nobody; ' +
      'start vApp Vault as an ordinary user, or set VAPP_VAULT_DATABASE_URL.',
    { code: 'EMBEDDED_UNAVAILABLE' },
  );
}

/**
 * The command line that runs `command` as that user and ends it with `signal` when this process
 * dies, however it dies. The kernel ties it to the thread that spawns, so only Node's main thread may.
 */
export function tethered(user: RunAs, signal: number, command: string, args: readonly string[]): { file: string; args: string[] } {
  return { file: tetherPath(), args: [String(signal), user.changesUser ? `${user.uid}:${user.gid}` : '-', command, ...args] };
}

/** Whether that user can do it, asked by doing it: modes, ACLs, mount options and missing libraries all count. */
export async function canRun(user: RunAs, command: string, args: readonly string[]): Promise<boolean> {
  const line = tethered(user, 9, command, args);
  try {
    await run(line.file, line.args, { cwd: '/', timeout: PROBE_TIMEOUT_MS });
    return true;
  } catch (error) {
    // A number is the command's own exit code; a string (ENOENT, ETIMEDOUT) is ours to report.
    if (typeof (error as { code?: unknown }).code === 'string') {
      throw new DatabaseError(`${line.file} cannot be run: ${(error as Error).message}`, { code: 'EMBEDDED_UNAVAILABLE', cause: error });
    }
    return false;
  }
}

export function canEnter(user: RunAs, folder: string): Promise<boolean> {
  return canRun(user, '/bin/sh', ['-c', 'cd -- "$1"', 'sh', folder]);
}

let knownTether: string | undefined;

/** native/build/tether of this package, from src/ as from dist/src/. */
function tetherPath(): string {
  if (knownTether !== undefined) return knownTether;
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    const candidate = join(folder, 'native', 'build', 'tether');
    if (existsSync(candidate)) {
      knownTether = candidate;
      return candidate;
    }
  }
  throw new DatabaseError('native/build/tether is missing; build the native parts with: npm run build', { code: 'EMBEDDED_UNAVAILABLE' });
}
