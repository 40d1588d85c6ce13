import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rename, stat, statfs, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { throwIfAborted } from '../common/index.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import type { BlobStore } from './types.js';

const TEMPORARY_FOLDER = '.tmp';
const LEFTOVER_AGE_MS = 24 * 60 * 60 * 1000;

/**
 * Objects as files below one folder, on any POSIX file system.
 *
 * A put is durable when it resolves: temporary file, fdatasync, rename (or link, with ifAbsent),
 * fsync of the folder. Writes are buffered, not O_DIRECT: that costs page cache, but works on
 * NFS and every file system alike. Files are 0600, folders 0700.
 */
export class FolderStore implements BlobStore {
  readonly kind = 'folder';
  private device: number | undefined;

  private constructor(readonly root: string) {}

  /**
   * Opens the folder, making it if it is absent, and removes temporary files older than a day
   * that a killed process left.
   * @throws RepositoryError when the folder cannot be made, entered or written.
   */
  static async open(folder: string): Promise<FolderStore> {
    const store = new FolderStore(resolve(folder));
    try {
      await mkdir(join(store.root, TEMPORARY_FOLDER), { recursive: true, mode: 0o700 });
      store.device = (await stat(store.root)).dev;
      await store.removeLeftovers();
    } catch (error) {
      throw store.mapped(error, 'opened');
    }
    return store;
  }

  async put(name: string, data: Buffer | readonly Buffer[], options: { ifAbsent?: boolean; signal?: AbortSignal } = {}): Promise<void> {
    const target = this.path(name);
    throwIfAborted(options.signal);
    const temporary = join(this.root, TEMPORARY_FOLDER, randomUUID());
    try {
      await this.checkRoot();
      await writeDurably(temporary, Buffer.isBuffer(data) ? [data] : data);
      throwIfAborted(options.signal);
      await this.makeFolder(dirname(target));
      if (options.ifAbsent) {
        await link(temporary, target);
        await unlink(temporary);
      } else {
        await rename(temporary, target);
      }
      await syncFolder(dirname(target));
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw this.mapped(error, 'written', name);
    }
  }

  async get(name: string, range?: { offset: number; length: number }, signal?: AbortSignal): Promise<Buffer> {
    throwIfAborted(signal);
    let file: FileHandle | undefined;
    try {
      file = await open(this.path(name), 'r');
      const offset = range?.offset ?? 0;
      const length = range?.length ?? (await file.stat()).size;
      const buffer = Buffer.allocUnsafeSlow(length);
      let done = 0;
      while (done < length) {
        throwIfAborted(signal);
        const { bytesRead } = await file.read(buffer, done, length - done, offset + done);
        if (bytesRead === 0) {
          throw new RepositoryError(`${name} ends at byte ${offset + done}, before the ${length} bytes at ${offset} that were wanted`, {
            code: 'BLOB_TRUNCATED',
            subject: name,
          });
        }
        done += bytesRead;
      }
      return buffer;
    } catch (error) {
      // Absent because it is gone, or because nothing is mounted? Only the first is an answer.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') await this.checkRoot();
      throw this.mapped(error, 'read', name);
    } finally {
      await file?.close().catch(() => undefined);
    }
  }

  async size(name: string, signal?: AbortSignal): Promise<number | undefined> {
    throwIfAborted(signal);
    try {
      return (await stat(this.path(name))).size;
    } catch (error) {
      const mapped = this.mapped(error, 'read', name);
      if (!isRepositoryError(mapped, 'BLOB_NOT_FOUND')) throw mapped;
      await this.checkRoot();
      return undefined;
    }
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<{ name: string; sizeBytes: number; modifiedAt: Date }> {
    throwIfAborted(signal);
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    if (folder !== '') this.path(folder.slice(0, -1));
    await this.checkRoot();
    for await (const entry of this.walk(folder, signal)) if (entry.name.startsWith(prefix)) yield entry;
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const target = this.path(name);
    try {
      await unlink(target);
      await syncFolder(dirname(target));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') await this.checkRoot();
      throw this.mapped(error, 'deleted', name);
    }
  }

  async freeBytes(signal?: AbortSignal): Promise<number | undefined> {
    throwIfAborted(signal);
    try {
      const { bavail, bsize } = await statfs(this.root);
      return bavail * bsize;
    } catch (error) {
      throw this.mapped(error, 'read');
    }
  }

  private async *walk(folder: string, signal?: AbortSignal): AsyncGenerator<{ name: string; sizeBytes: number; modifiedAt: Date }> {
    throwIfAborted(signal);
    let entries: { name: string; folder: boolean }[];
    try {
      const found = await readdir(join(this.root, folder), { withFileTypes: true });
      entries = found.map((entry) => ({ name: entry.name + (entry.isDirectory() ? '/' : ''), folder: entry.isDirectory() }));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw this.mapped(error, 'listed', folder);
    }
    // With its slash, a folder stands where its objects' names do: the order is that of the names.
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const name = folder + entry.name;
      if (name === `${TEMPORARY_FOLDER}/`) continue;
      if (entry.folder) {
        yield* this.walk(name, signal);
        continue;
      }
      const status = await stat(join(this.root, name)).catch((error: NodeJS.ErrnoException) => {
        // Deleted between the listing and the question: it is simply not there.
        if (error.code === 'ENOENT') return undefined;
        throw this.mapped(error, 'listed', name);
      });
      if (status) yield { name, sizeBytes: status.size, modifiedAt: status.mtime };
    }
  }

  /**
   * A mount that went away leaves an empty folder of the same name; writing there would fill the
   * wrong disk and hide the data when the mount returns.
   */
  private async checkRoot(): Promise<void> {
    const status = await stat(this.root).catch((error: unknown) => {
      throw this.mapped(error, 'read');
    });
    if (status.dev !== this.device) {
      throw new RepositoryError(
        `The repository folder ${this.root} is on another file system than when it was opened; check that it is mounted`,
        {
          code: 'REPOSITORY_UNREACHABLE',
          retryable: true,
          subject: this.root,
        },
      );
    }
  }

  /** Makes missing folders below the root, never the root, and makes each durable in its parent. */
  private async makeFolder(folder: string): Promise<void> {
    if (folder === this.root) return;
    try {
      await mkdir(folder, { mode: 0o700 });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return;
      if (code !== 'ENOENT') throw error;
      await this.makeFolder(dirname(folder));
      return this.makeFolder(folder);
    }
    await syncFolder(dirname(folder));
  }

  private async removeLeftovers(): Promise<void> {
    const folder = join(this.root, TEMPORARY_FOLDER);
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      const status = await stat(path).catch(() => undefined);
      if (status && Date.now() - status.mtimeMs > LEFTOVER_AGE_MS) await unlink(path).catch(() => undefined);
    }
  }

  private path(name: string): string {
    if (!/^[a-z0-9_-][a-z0-9._-]*(\/[a-z0-9_-][a-z0-9._-]*)*$/.test(name)) {
      throw new RepositoryError(`"${name}" is not a valid object name`, { code: 'BLOB_NAME_INVALID', subject: name });
    }
    return join(this.root, name);
  }

  private mapped(error: unknown, verb: string, name?: string): Error {
    const { code, message } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string' || error instanceof RepositoryError || !/^E[A-Z0-9]+$/.test(code)) return error as Error;
    const subject = name ?? this.root;
    const what = name === undefined ? `The repository folder ${this.root}` : `${name} in the repository folder ${this.root}`;
    const make = (errorCode: string, reason: string, retryable: boolean) =>
      new RepositoryError(`${what} could not be ${verb}: ${reason}`, { code: errorCode, retryable, subject, cause: error });
    switch (code) {
      case 'ENOSPC':
      case 'EDQUOT':
        return make('REPOSITORY_FULL', 'there is no space left; free some or add storage', false);
      case 'EROFS':
        return make('REPOSITORY_READ_ONLY', 'the file system is mounted read-only', false);
      case 'EACCES':
      case 'EPERM':
        return make('REPOSITORY_DENIED', 'this user may not; check owner and mode of the folder', false);
      case 'EEXIST':
        return make('BLOB_EXISTS', 'it exists already', false);
      case 'ENOENT':
      case 'ENOTDIR':
        return name !== undefined && verb !== 'written'
          ? make('BLOB_NOT_FOUND', 'it does not exist', false)
          : make('REPOSITORY_UNREACHABLE', 'the folder does not exist; check that it is mounted', true);
      default:
        return make('REPOSITORY_UNREACHABLE', `the file system answered ${message}`, true);
    }
  }
}

async function writeDurably(path: string, pieces: readonly Buffer[]): Promise<void> {
  const file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
  try {
    for (const piece of pieces) {
      let done = 0;
      while (done < piece.length) done += (await file.write(piece, done, piece.length - done)).bytesWritten;
    }
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
