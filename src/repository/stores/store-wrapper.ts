import type { BlobEntry, BlobRange, BlobStore, PutOptions } from '../types.js';

/** Passes every call on; a wrapper overrides what it changes. */
export class StoreWrapper implements BlobStore {
  constructor(protected readonly inner: BlobStore) {}

  get kind(): string {
    return this.inner.kind;
  }

  get enforcesRetention(): boolean {
    return this.inner.enforcesRetention;
  }

  put(name: string, data: Buffer | readonly Buffer[], options?: PutOptions): Promise<void> {
    return this.inner.put(name, data, options);
  }

  get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
    return this.inner.get(name, range, signal);
  }

  size(name: string, signal?: AbortSignal): Promise<number | undefined> {
    return this.inner.size(name, signal);
  }

  list(prefix: string, signal?: AbortSignal): AsyncIterable<BlobEntry> {
    return this.inner.list(prefix, signal);
  }

  delete(name: string, signal?: AbortSignal): Promise<void> {
    return this.inner.delete(name, signal);
  }

  retain(name: string, until: Date, signal?: AbortSignal): Promise<void> {
    return this.inner.retain(name, until, signal);
  }

  freeBytes(signal?: AbortSignal): Promise<number | undefined> {
    return this.inner.freeBytes(signal);
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
