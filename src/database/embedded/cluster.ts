import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, link, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describeError, type Logger } from '../../common/index.js';
import { DatabaseError } from '../errors.js';
import type { PostgresBinaries } from './binaries.js';
import { identifyProcess, isAlive } from './process-identity.js';
import { canEnter, type RunAs, tethered } from './run-as.js';

const run = promisify(execFile);
const INITDB_TIMEOUT_MS = 120_000;
const PG_VERSION = '18';
export const SUPERUSER = 'vapp_vault';

export interface Cluster {
  /** In the data folder, owned by us: password, pointer, owner. */
  readonly homeDir: string;
  /** PGDATA, owned by the user that runs PostgreSQL. */
  readonly clusterDir: string;
  readonly password: string;
}

/** Finds the cluster of a data folder, or makes it. */
export async function openCluster(dataDir: string, user: RunAs, binaries: PostgresBinaries, log: Logger): Promise<Cluster> {
  const homeDir = join(dataDir, 'postgres');
  await makeFolders(homeDir, user);
  await clearUnfinished(homeDir, log);
  const password = (await kept(join(homeDir, 'password'), randomBytes(24).toString('base64url'))).trim();
  const chosenDir = await clusterParent(homeDir, user, log);
  if (!existsSync(join(chosenDir, 'cluster'))) await makeCluster(join(chosenDir, 'cluster'), password, user, binaries);
  // Only now: a pointer always leads to a whole cluster.
  const parentDir = chosenDir === homeDir ? homeDir : await pointTo(chosenDir, pointerPath(homeDir));
  const clusterDir = join(parentDir, 'cluster');
  const version = (await readFile(join(clusterDir, 'PG_VERSION'), 'utf8')).trim();
  if (version !== PG_VERSION) {
    throw new DatabaseError(
      `The embedded database in ${clusterDir} was made by PostgreSQL ${version}, this is PostgreSQL ${PG_VERSION}; ` +
        'move it with pg_upgrade, or start the release that made it.',
      { code: 'EMBEDDED_UNAVAILABLE' },
    );
  }
  return { homeDir, clusterDir, password };
}

/** Folders made here let PostgreSQL's user pass, whatever the umask; folders that were there keep their modes. */
async function makeFolders(folder: string, user: RunAs): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o755 });
  if (first === undefined || !user.changesUser) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await chmod(made, 0o711);
}

/** A name beside that one which says who is making it: a start that dies has no time to clear up. */
function making(path: string): string {
  const { pid, startTicks } = identifyProcess(process.pid) ?? { pid: 0, startTicks: '0' };
  return `${path}.making-${pid}-${startTicks}-`;
}

/** Removes what starts that died half-way were making: a cluster that nobody finished, and its password in clear. */
async function clearUnfinished(folder: string, log: Logger): Promise<void> {
  const clear = async (name: string) => {
    const [, pid, startTicks] = /\.making-(\d+)-(\d+)-\w+(?:\.password)?$/.exec(name) ?? [];
    if (pid === undefined || startTicks === undefined || isAlive({ pid: Number(pid), startTicks })) return;
    const path = join(folder, name);
    // A child of the initdb that died with it may write for a moment longer.
    await rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }).catch((error: unknown) =>
      log.warn({ path, reason: describeError(error) }, 'what an earlier start had begun to make cannot be removed; remove it by hand'),
    );
  };
  await Promise.all((await readdir(folder)).map(clear));
}

/**
 * Written once, whole or not at all: a password lost half-written would lock us out of the cluster made with it, and a pointer
 * would lead nowhere. @returns what the file holds, which is another's where another start was faster.
 */
async function kept(path: string, text: string): Promise<string> {
  if (!existsSync(path)) {
    const temporary = `${making(path)}${randomBytes(6).toString('hex')}`;
    try {
      await writeFile(temporary, text, { mode: 0o600, flag: 'wx', flush: true });
      await link(temporary, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      await rm(temporary, { force: true });
    }
  }
  return await readFile(path, 'utf8');
}

function pointerPath(homeDir: string): string {
  return join(homeDir, 'location.json');
}

async function pointTo(parentDir: string, pointer: string): Promise<string> {
  return parentDirIn(await kept(pointer, `${JSON.stringify({ parentDir })}\n`), pointer);
}

/** @throws DatabaseError EMBEDDED_UNAVAILABLE. */
function parentDirIn(text: string, pointer: string): string {
  let parentDir: unknown;
  try {
    parentDir = (JSON.parse(text) as { parentDir?: unknown }).parentDir;
  } catch {
    // Said below.
  }
  if (typeof parentDir === 'string') return parentDir;
  throw new DatabaseError(
    `${pointer} is damaged: it should say where the embedded database's files are. Put it back (it holds {"parentDir": "FOLDER"}, and ` +
      `FOLDER, made as ${join(tmpdir(), 'vapp-vault-database-')}…, has the folder "cluster" in it), or delete it to begin with an empty catalog.`,
    { code: 'EMBEDDED_UNAVAILABLE' },
  );
}

/**
 * The data folder, or, where PostgreSQL's user cannot enter it (root's home), a folder of its own
 * under the system's temporary folder; a pointer in the data folder then says where.
 */
async function clusterParent(homeDir: string, user: RunAs, log: Logger): Promise<string> {
  const pointer = pointerPath(homeDir);
  if (existsSync(pointer)) {
    const parentDir = parentDirIn(await readFile(pointer, 'utf8'), pointer);
    if (existsSync(join(parentDir, 'cluster'))) return parentDir;
    throw new DatabaseError(
      `The embedded database's files are gone from ${parentDir}, where ${pointer} says they are; ` +
        'put them back, or delete that file to begin with an empty catalog.',
      { code: 'EMBEDDED_UNAVAILABLE' },
    );
  }
  if (existsSync(join(homeDir, 'cluster')) || (await canEnter(user, homeDir))) return homeDir;
  const parentDir = await mkdtemp(join(tmpdir(), 'vapp-vault-database-'));
  await chown(parentDir, user.uid, user.gid);
  if (!(await canEnter(user, parentDir))) {
    throw new DatabaseError(
      `User ${user.userName}, who runs the embedded PostgreSQL, can enter neither ${homeDir} nor ${tmpdir()}; ` +
        'choose a data folder every user may enter, or set VAPP_VAULT_DATABASE_URL.',
      { code: 'EMBEDDED_UNAVAILABLE' },
    );
  }
  log.warn(
    { folder: parentDir, user: user.userName },
    `the embedded database is kept in ${parentDir}, because ${user.userName} cannot enter ${homeDir}; ` +
      'choose a data folder every user may enter to keep it with the rest',
  );
  return parentDir;
}

/** Made beside its place and renamed: a start that dies half-way leaves nothing that looks like a database. */
async function makeCluster(clusterDir: string, password: string, user: RunAs, binaries: PostgresBinaries): Promise<void> {
  const fresh = await mkdtemp(making(clusterDir));
  const passwordFile = `${fresh}.password`;
  try {
    await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
    if (user.changesUser) for (const path of [fresh, passwordFile]) await chown(path, user.uid, user.gid);
    await chmod(fresh, 0o700);
    const line = tethered(user, 9, binaries.initdb, [
      `--pgdata=${fresh}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      // Case mapping beyond ASCII without depending on the machine's locales.
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-instructions',
    ]);
    await run(line.file, line.args, { cwd: '/', timeout: INITDB_TIMEOUT_MS, env: { PATH: process.env.PATH, TZ: 'UTC', LC_ALL: 'C' } });
    await rename(fresh, clusterDir);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    if (existsSync(clusterDir)) return;
    const said = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1) ?? (error as Error).message;
    throw new DatabaseError(`The embedded database could not be made in ${clusterDir}: ${said}`, { code: 'EMBEDDED_FAILED', cause: error });
  } finally {
    await rm(passwordFile, { force: true });
  }
}
