import { randomUUID } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { awaitShared, formatBytes, throwIfAborted, withGrace } from '../../common/index.js';
import { RepositoryError, isRepositoryError } from '../errors.js';
import type { BlobEntry, BlobRange, BlobStore, PutOptions } from '../types.js';
import { writeDirectly } from './direct-write.js';
import { OpenFiles } from './open-files.js';
import { CALL_LIMITS, type CallLimits, FolderCalls, type FolderFile, type FolderFiles, SYSTEM_FILES } from './folder-calls.js';
import { folderError } from './folder-errors.js';
import { checkBlobName, checkPrefix, checkRange, isBlobName, retentionUnsupported, truncated } from './blob-names.js';

const TEMPORARY_FOLDER = '.tmp';
const LEFTOVER_AGE_MS = 24 * 60 * 60 * 1000;
/** Entries of a listing that are asked about at once: packs lie in 256 folders, and one question after another is a second where disks are slow. */
const LISTED_AHEAD = 8;

/** Longer than a sound disk takes for a name, and short for a person who cancels. */
const NAMING_GRACE_MS = 5_000;

/** What tells a folder from another one in its place. */
interface Place {
  device: number;
  inode: number;
  /** 0 where the file system does not know. */
  bornMs: number;
}

function placeOf({ dev: device, ino: inode, birthtimeMs: bornMs }: Stats): Place {
  return { device, inode, bornMs };
}

/**
 * Objects as files below one folder, on any POSIX file system.
 *
 * A put is durable when it resolves: temporary file, fdatasync, rename (or link, with ifAbsent),
 * fsync of the folder; without the two syncs where it need not be. Packs go past the page cache where file system and memory
 * allow it. Files are 0600, folders 0700.
 *
 * Each call to the file system has its limit (folder-calls.ts), and a signal ends the wait for it. A put that was given up before it
 * came to the name gets none, and leaves no temporary file where the folder answers again.
 */
export class FolderStore implements BlobStore {
  readonly kind = 'folder';
  /** A file system has nothing that holds against its own administrator. */
  readonly enforcesRetention = false;
  private place: Place | undefined;
  /** At most 256 and a few for each organization. */
  private readonly durableFolders = new Set<string>();
  private readonly openFiles: OpenFiles;

  private constructor(
    readonly root: string,
    private readonly files: FolderCalls,
  ) {
    this.openFiles = new OpenFiles(files);
  }

  /**
   * Opens the folder, making it if it is absent, and removes temporary files older than a day
   * that a killed process left.
   * @throws RepositoryError when the folder cannot be made, entered or written.
   */
  static async open(folder: string, files: FolderFiles = SYSTEM_FILES, limits: CallLimits = CALL_LIMITS): Promise<FolderStore> {
    const root = resolve(folder);
    const store = new FolderStore(root, new FolderCalls(root, files, limits));
    try {
      await store.files.mkdir(join(root, TEMPORARY_FOLDER), { recursive: true, mode: 0o700 });
      store.place = placeOf(await store.files.stat(root));
      await store.syncAncestors();
      await store.removeLeftovers();
    } catch (error) {
      throw store.mapped(error, 'opened');
    }
    return store;
  }

  async put(name: string, data: Buffer | readonly Buffer[], options: PutOptions = {}): Promise<void> {
    const { signal } = options;
    const target = this.path(name);
    throwIfAborted(signal);
    if (options.retainUntil !== undefined) throw retentionUnsupported(name);
    const temporary = join(this.root, TEMPORARY_FOLDER, randomUUID());
    const pieces = Buffer.isBuffer(data) ? [data] : data;
    let writing: Promise<void> | undefined;
    try {
      await awaitShared(this.checkRoot(), signal);
      if (options.leaveFreeBytes) await awaitShared(this.leaveFree(options.leaveFreeBytes, pieces), signal);
      writing = this.write(temporary, pieces, options.durable ?? true);
      await awaitShared(writing, signal);
      await awaitShared(this.makeFolder(dirname(target)), signal);
      // Heard out for a moment: who gave the signal should know whether there is an object now.
      await withGrace(NAMING_GRACE_MS, signal, (late) => awaitShared(this.giveName(temporary, target, options), late));
    } catch (error) {
      if (writing) await this.discard(temporary, writing, signal);
      // Folders that a person removed are made anew by the next try.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') this.durableFolders.clear();
      throw this.mapped(error, 'written', name);
    }
  }

  get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
    return awaitShared(this.read(name, range, signal), signal);
  }

  size(name: string, signal?: AbortSignal): Promise<number | undefined> {
    return awaitShared(this.sizeOf(name, signal), signal);
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<BlobEntry> {
    throwIfAborted(signal);
    checkPrefix(prefix);
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    await awaitShared(this.checkRoot(), signal);
    for await (const entry of this.walk(folder, signal)) if (entry.name.startsWith(prefix)) yield entry;
  }

  delete(name: string, signal?: AbortSignal): Promise<void> {
    return awaitShared(this.remove(name, signal), signal);
  }

  retain(name: string): Promise<void> {
    return Promise.reject(retentionUnsupported(name));
  }

  freeBytes(signal?: AbortSignal): Promise<number> {
    return awaitShared(this.bytesLeft(signal), signal);
  }

  /** Only files that were read are open between calls, and no longer than it takes to close them. */
  close(): Promise<void> {
    return this.openFiles.closed();
  }

  private async read(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
    throwIfAborted(signal);
    checkRange(name, range);
    const readInto = async (file: FolderFile): Promise<Buffer> => {
      const offset = range?.offset ?? 0;
      const length = range?.length ?? (await file.stat()).size;
      const buffer = range?.into?.subarray(0, length) ?? Buffer.allocUnsafeSlow(length);
      let done = 0;
      while (done < length) {
        throwIfAborted(signal);
        const { bytesRead } = await file.read(buffer, done, length - done, offset + done);
        if (bytesRead === 0) {
          throw truncated(name, { offset, length }, offset + done);
        }
        done += bytesRead;
      }
      return buffer;
    };
    const path = this.path(name);
    try {
      return range ? await this.openFiles.readTogether(path, readInto) : await this.openFiles.readAlone(path, readInto);
    } catch (error) {
      // Absent because it is gone, or because nothing is mounted? Only the first is an answer.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') await this.checkRoot();
      throw this.mapped(error, 'read', name);
    }
  }

  private async sizeOf(name: string, signal?: AbortSignal): Promise<number | undefined> {
    throwIfAborted(signal);
    try {
      return (await this.files.stat(this.path(name))).size;
    } catch (error) {
      const mapped = this.mapped(error, 'read', name);
      if (!isRepositoryError(mapped, 'BLOB_NOT_FOUND')) throw mapped;
      await this.checkRoot();
      return undefined;
    }
  }

  private async remove(name: string, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const target = this.path(name);
    try {
      await this.files.unlink(target, signal);
      this.openFiles.forget(target);
      await this.syncFolder(dirname(target));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') await this.checkRoot();
      throw this.mapped(error, 'deleted', name);
    }
  }

  private async bytesLeft(signal?: AbortSignal): Promise<number> {
    throwIfAborted(signal);
    try {
      const { bavail, bsize } = await this.files.statfs(this.root);
      return bavail * bsize;
    } catch (error) {
      throw this.mapped(error, 'read');
    }
  }

  private async *walk(folder: string, signal?: AbortSignal): AsyncGenerator<BlobEntry> {
    throwIfAborted(signal);
    yield* this.lookThrough(await awaitShared(this.namesIn(folder), signal), signal);
  }

  /** In the order of the names; some are asked about ahead. */
  private async *lookThrough(names: readonly string[], signal?: AbortSignal): AsyncGenerator<BlobEntry> {
    const looking: Promise<BlobEntry | string[] | undefined>[] = [];
    for (let next = 0; next < names.length || looking.length > 0; ) {
      throwIfAborted(signal);
      for (; next < names.length && looking.length < LISTED_AHEAD; next += 1) {
        const name = names[next] as string;
        const look = name.endsWith('/') ? this.namesIn(name) : this.look(name);
        // Thrown where it is awaited.
        look.catch(() => undefined);
        looking.push(look);
      }
      const found = await awaitShared(looking.shift() as (typeof looking)[number], signal);
      if (Array.isArray(found)) yield* this.lookThrough(found, signal);
      else if (found) yield found;
    }
  }

  /** Folders end with their slash, and so stand where their objects' names do: the order is that of the names. */
  private async namesIn(folder: string): Promise<string[]> {
    try {
      const entries = await this.files.readdir(join(this.root, folder));
      const names = entries.filter((entry) => isBlobName(folder + entry.name));
      return names.map((entry) => folder + entry.name + (entry.isDirectory() ? '/' : '')).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw this.mapped(error, 'listed', folder);
    }
  }

  /** @returns undefined when it was deleted since the listing: it is simply not there. */
  private async look(name: string): Promise<BlobEntry | undefined> {
    try {
      const { size, mtime } = await this.files.stat(join(this.root, name));
      return { name, sizeBytes: size, modifiedAt: mtime };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.mapped(error, 'listed', name);
    }
  }

  /**
   * A mount that went away leaves an empty folder of the same name; writing there would fill the
   * wrong disk and hide the data when the mount returns. One that came back may have another device number: NFS and
   * everything without a block device get theirs anew with each mount.
   */
  private async checkRoot(): Promise<void> {
    const status = await this.files.stat(this.root).catch((error: unknown) => {
      throw this.mapped(error, 'read');
    });
    const { device, inode, bornMs } = placeOf(status);
    if (device === this.place?.device) return;
    if (inode !== this.place?.inode || bornMs !== this.place.bornMs) {
      throw new RepositoryError(
        `The repository folder ${this.root} is on another file system than when it was opened; check that it is mounted`,
        {
          code: 'REPOSITORY_UNREACHABLE',
          retryable: true,
          subject: this.root,
        },
      );
    }
    this.place = { device, inode, bornMs };
  }

  private async giveName(temporary: string, target: string, { ifAbsent, durable = true, signal }: PutOptions): Promise<void> {
    if (ifAbsent) {
      await this.linkOnce(temporary, target, signal);
      await Promise.all([durable && this.syncFolder(dirname(target)), this.files.unlink(temporary)]);
    } else {
      await this.files.rename(temporary, target, signal);
      this.openFiles.forget(target);
      if (durable) await this.syncFolder(dirname(target));
    }
  }

  /** Of a put that came to nothing. Where the signal ended the wait for its writing, that comes to rest first. */
  private async discard(temporary: string, writing: Promise<void>, signal?: AbortSignal): Promise<void> {
    const settled = writing.catch(() => undefined);
    const gone = settled.then(() => this.files.discard(temporary)).catch(() => undefined);
    await awaitShared(gone, signal).catch(() => undefined);
  }

  /** Who is told that a name exists may rely on it, and its maker may not have got as far as the sync. */
  private async linkOnce(temporary: string, target: string, signal?: AbortSignal): Promise<void> {
    try {
      await this.files.link(temporary, target, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') await this.syncFolder(dirname(target));
      throw error;
    }
  }

  /**
   * The root and the folders above it, up to the mount point: we may have made them just now, or another process that has not got
   * as far as this.
   */
  private async syncAncestors(): Promise<void> {
    const syncs: Promise<void>[] = [];
    for (let folder = this.root; (await this.files.stat(folder)).dev === this.place?.device; folder = dirname(folder)) {
      syncs.push(
        this.syncFolder(folder).catch((error: NodeJS.ErrnoException) => {
          // A folder we may pass through but not read was there before us: its names are not ours.
          if (error.code !== 'EACCES') throw error;
        }),
      );
      if (folder === dirname(folder)) break;
    }
    await Promise.all(syncs);
  }

  /**
   * Makes missing folders below the root, never the root, and makes each durable in its parent. One that is there already is made
   * durable too, once: another process may have made it a moment ago and lose it with the power.
   */
  private async makeFolder(folder: string): Promise<void> {
    const unsure: string[] = [];
    // One that a person removed meanwhile is found out by the name that cannot be made.
    for (let each = folder; each !== this.root && !this.durableFolders.has(each); each = dirname(each)) unsure.unshift(each);
    for (const each of unsure) {
      try {
        await this.files.mkdir(each, { mode: 0o700 });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
    await Promise.all(unsure.map((each) => this.syncFolder(dirname(each))));
    for (const each of unsure) this.durableFolders.add(each);
  }

  private async removeLeftovers(): Promise<void> {
    const folder = join(this.root, TEMPORARY_FOLDER);
    for (const { name } of await this.files.readdir(folder)) {
      const path = join(folder, name);
      const status = await this.files.stat(path).catch(() => undefined);
      if (status && Date.now() - status.mtimeMs > LEFTOVER_AGE_MS) await this.files.unlink(path).catch(() => undefined);
    }
  }

  private path(name: string): string {
    checkBlobName(name);
    return join(this.root, name);
  }

  private async leaveFree(leaveFreeBytes: number, pieces: readonly Buffer[]): Promise<void> {
    const neededBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if ((await this.bytesLeft()) - neededBytes >= leaveFreeBytes) return;
    throw new RepositoryError(
      `The file system of the repository folder ${this.root} would have less than ${formatBytes(leaveFreeBytes)} left, which are kept for freeing space; delete restore points or add storage`,
      { code: 'REPOSITORY_FULL', subject: this.root },
    );
  }

  private mapped(error: unknown, verb: string, name?: string): Error {
    return folderError(error, { root: this.root, verb, name });
  }

  private async write(path: string, pieces: readonly Buffer[], durable: boolean): Promise<void> {
    const file = await this.files.open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
    try {
      // Both descriptors are of one file, and the data of both is durable after datasync.
      let position = pieces[0] === undefined ? 0 : await writeDirectly(this.files, path, pieces[0]);
      let written = position;
      for (const piece of pieces) {
        let done = written;
        written = 0;
        while (done < piece.length) {
          const { bytesWritten } = await file.write(piece, done, piece.length - done, position);
          done += bytesWritten;
          position += bytesWritten;
        }
      }
      if (durable) await file.datasync(position);
    } finally {
      await file.close();
    }
  }

  private async syncFolder(path: string): Promise<void> {
    const folder = await this.files.open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}
