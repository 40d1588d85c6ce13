import { throwIfAborted } from '../../src/common/index.js';
import { type BlobEntry, type BlobRange, type BlobStore, type PutOptions, RepositoryError } from '../../src/repository/index.js';
import {
  checkBlobName,
  checkPrefix,
  checkRange,
  isBlobName,
  retentionUnsupported,
  truncated,
} from '../../src/repository/stores/blob-names.js';

/**
 * Objects in memory: a repository that a test can copy, harm and look at a thousand times a second. Held to the same conformance
 * suite as the real ones; durable only in the sense that nothing here loses power.
 */
export class MemoryStore implements BlobStore {
  readonly kind = 'memory';
  readonly enforcesRetention = false;
  /** How far the store's clock is ahead of the machine's. */
  skewMs = 0;
  /** To be harmed by tests. */
  readonly objects = new Map<string, { data: Buffer; modifiedAt: Date }>();

  static from(contents: Iterable<readonly [string, Buffer]>, modifiedAt = new Date()): MemoryStore {
    const store = new MemoryStore();
    for (const [name, data] of contents) if (isBlobName(name)) store.objects.set(name, { data, modifiedAt });
    return store;
  }

  copy(): MemoryStore {
    const store = new MemoryStore();
    for (const [name, { data, modifiedAt }] of this.objects) store.objects.set(name, { data, modifiedAt });
    return store;
  }

  async put(name: string, data: Buffer | readonly Buffer[], options: PutOptions = {}): Promise<void> {
    checkBlobName(name);
    throwIfAborted(options.signal);
    if (options.retainUntil !== undefined) throw retentionUnsupported(name);
    if (options.ifAbsent && this.objects.has(name))
      throw new RepositoryError(`${name} exists already`, { code: 'BLOB_EXISTS', subject: name });
    this.objects.set(name, {
      data: Buffer.isBuffer(data) ? Buffer.from(data) : Buffer.concat(data),
      modifiedAt: new Date(Date.now() + this.skewMs),
    });
  }

  async get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
    checkBlobName(name);
    checkRange(name, range);
    throwIfAborted(signal);
    const data = this.objects.get(name)?.data;
    if (data === undefined) throw notFound(name);
    const { offset, length } = range ?? { offset: 0, length: data.length };
    if (offset + length > data.length) throw truncated(name, { offset, length }, data.length);
    return Buffer.from(data.subarray(offset, offset + length));
  }

  async size(name: string, signal?: AbortSignal): Promise<number | undefined> {
    checkBlobName(name);
    throwIfAborted(signal);
    return this.objects.get(name)?.data.length;
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<BlobEntry> {
    checkPrefix(prefix);
    throwIfAborted(signal);
    const names = [...this.objects.keys()].filter((name) => name.startsWith(prefix)).sort();
    for (const name of names) {
      throwIfAborted(signal);
      const object = this.objects.get(name);
      if (object) yield { name, sizeBytes: object.data.length, modifiedAt: object.modifiedAt };
    }
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkBlobName(name);
    throwIfAborted(signal);
    if (!this.objects.delete(name)) throw notFound(name);
  }

  retain(name: string): Promise<void> {
    return Promise.reject(retentionUnsupported(name));
  }

  async freeBytes(signal?: AbortSignal): Promise<number | undefined> {
    throwIfAborted(signal);
    return undefined;
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}

function notFound(name: string): RepositoryError {
  return new RepositoryError(`${name} does not exist`, { code: 'BLOB_NOT_FOUND', subject: name });
}
