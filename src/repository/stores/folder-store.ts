import { randomUUID } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rename, stat, statfs, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { formatBytes, throwIfAborted } from '../../common/index.js';
import { RepositoryError, isRepositoryError } from '../errors.js';
import type { BlobEntry, BlobRange, BlobStore, PutOptions } from '../types.js';
import { writeDirectly } from './direct-write.js';
import { OpenFiles } from './open-files.js';
import { folderError } from './folder-errors.js';
import { checkBlobName, checkPrefix, checkRange, isBlobName, retentionUnsupported, truncated } from './blob-names.js';

const TEMPORARY_FOLDER = '.tmp';
const LEFTOVER_AGE_MS = 24 * 60 * 60 * 1000;
/** Entries of a listing that are asked about at once: packs lie in 256 folders, and one question after another is a second where disks are slow. */
const LISTED_AHEAD = 8;

/** What the store asks of a file system. */
export interface FolderFiles {
  link: typeof link;
  mkdir: typeof mkdir;
  open: typeof open;
  readdir: typeof readdir;
  rename: typeof rename;
  stat: typeof stat;
  statfs: typeof statfs;
  unlink: typeof unlink;
}

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

const SYSTEM_FILES: FolderFiles = { link, mkdir, open, readdir, rename, stat, statfs, unlink };

/**
 * Objects as files below one folder, on any POSIX file system.
 *
 * A put is durable when it resolves: temporary file, fdatasync, rename (or link, with ifAbsent),
 * fsync of the folder; without the two syncs where it need not be. Packs go past the page cache where file system and memory
 * allow it. Files are 0600, folders 0700.
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
    private readonly files: FolderFiles,
  ) {
    this.openFiles = new OpenFiles(files);
  }

  /**
   * Opens the folder, making it if it is absent, and removes temporary files older than a day
   * that a killed process left.
   * @throws RepositoryError when the folder cannot be made, entered or written.
   */
  static async open(folder: string, files: FolderFiles = SYSTEM_FILES): Promise<FolderStore> {
    const store = new FolderStore(resolve(folder), files);
    try {
      await files.mkdir(join(store.root, TEMPORARY_FOLDER), { recursive: true, mode: 0o700 });
      store.place = placeOf(await files.stat(store.root));
      await store.syncAncestors();
      await store.removeLeftovers();
    } catch (error) {
      throw store.mapped(error, 'opened');
    }
    return store;
  }

  async put(name: string, data: Buffer | readonly Buffer[], options: PutOptions = {}): Promise<void> {
    const target = this.path(name);
    throwIfAborted(options.signal);
    if (options.retainUntil !== undefined) throw retentionUnsupported(name);
    const temporary = join(this.root, TEMPORARY_FOLDER, randomUUID());
    const durable = options.durable ?? true;
    const pieces = Buffer.isBuffer(data) ? [data] : data;
    try {
      await this.checkRoot();
      if (options.leaveFreeBytes) await this.leaveFree(options.leaveFreeBytes, pieces);
      await this.write(temporary, pieces, durable);
      throwIfAborted(options.signal);
      await this.makeFolder(dirname(target));
      if (options.ifAbsent) {
        await this.linkOnce(temporary, target);
        await Promise.all([durable && this.syncFolder(dirname(target)), this.files.unlink(temporary)]);
      } else {
        await this.files.rename(temporary, target);
        this.openFiles.forget(target);
        if (durable) await this.syncFolder(dirname(target));
      }
    } catch (error) {
      await this.files.unlink(temporary).catch(() => undefined);
      // Folders that a person removed are made anew by the next try.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') this.durableFolders.clear();
      throw this.mapped(error, 'written', name);
    }
  }

  async get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
    throwIfAborted(signal);
    checkRange(name, range);
    const readInto = async (file: FileHandle): Promise<Buffer> => {
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

  async size(name: string, signal?: AbortSignal): Promise<number | undefined> {
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

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<BlobEntry> {
    throwIfAborted(signal);
    checkPrefix(prefix);
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    await this.checkRoot();
    for await (const entry of this.walk(folder, signal)) if (entry.name.startsWith(prefix)) yield entry;
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const target = this.path(name);
    try {
      await this.files.unlink(target);
      this.openFiles.forget(target);
      await this.syncFolder(dirname(target));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') await this.checkRoot();
      throw this.mapped(error, 'deleted', name);
    }
  }

  retain(name: string): Promise<void> {
    return Promise.reject(retentionUnsupported(name));
  }

  async freeBytes(signal?: AbortSignal): Promise<number> {
    throwIfAborted(signal);
    try {
      const { bavail, bsize } = await this.files.statfs(this.root);
      return bavail * bsize;
    } catch (error) {
      throw this.mapped(error, 'read');
    }
  }

  /** Only files that were read are open between calls, and no longer than it takes to close them. */
  close(): Promise<void> {
    return this.openFiles.closed();
  }

  private async *walk(folder: string, signal?: AbortSignal): AsyncGenerator<BlobEntry> {
    throwIfAborted(signal);
    yield* this.lookThrough(await this.namesIn(folder), signal);
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
      const found = await looking.shift();
      if (Array.isArray(found)) yield* this.lookThrough(found, signal);
      else if (found) yield found;
    }
  }

  /** Folders end with their slash, and so stand where their objects' names do: the order is that of the names. */
  private async namesIn(folder: string): Promise<string[]> {
    try {
      const entries = await this.files.readdir(join(this.root, folder), { withFileTypes: true });
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

  /** Who is told that a name exists may rely on it, and its maker may not have got as far as the sync. */
  private async linkOnce(temporary: string, target: string): Promise<void> {
    try {
      await this.files.link(temporary, target);
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
    for (const name of await this.files.readdir(folder)) {
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
    if ((await this.freeBytes()) - neededBytes >= leaveFreeBytes) return;
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
      if (durable) await file.datasync();
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
