import { throwIfAborted } from '../../src/common/index.js';
import {
  type BlobEntry,
  type BlobRange,
  type BlobStore,
  type PutOptions,
  RepositoryError,
  StoreWrapper,
} from '../../src/repository/index.js';

export type StoreOperation = 'put' | 'get' | 'size' | 'list' | 'delete' | 'retain';

/**
 * What happens to one call: nothing (undefined); it fails before it reached the store; it is done and its answer lost; it is done in
 * part; or it waits.
 */
export type StoreFault =
  | { fail: 'unreachable' | 'full' | 'read-only' | 'denied' | 'timeout' }
  | { lostAnswer: true }
  /** put: only so many bytes arrive, under the right name, as on a store that breaks its promise. get: so many bytes come back. */
  | { tornAtByte: number }
  | { delayMs: number };

const FAILURES = {
  unreachable: ['REPOSITORY_UNREACHABLE', true],
  timeout: ['REPOSITORY_TIMEOUT', true],
  full: ['REPOSITORY_FULL', false],
  'read-only': ['REPOSITORY_READ_ONLY', false],
  denied: ['REPOSITORY_DENIED', false],
} as const;

/** A store with faults by order, and with a power switch. */
export class FaultStore extends StoreWrapper {
  /** Every call that came, in order. */
  readonly calls: { operation: StoreOperation; name: string }[] = [];
  /** Asked before each call, with its number from 1 on. */
  fault: (operation: StoreOperation, name: string, call: number) => StoreFault | undefined = () => undefined;
  private readonly unsynced: { name: string; data: Buffer }[] = [];
  private dead = false;
  private writeBack = false;

  constructor(inner: BlobStore) {
    super(inner);
  }

  /** Faults of every kind that may pass, one after the other, at each `every`th call. */
  static flaky(inner: BlobStore, every: number): FaultStore {
    const store = new FaultStore(inner);
    const faults: StoreFault[] = [{ fail: 'unreachable' }, { lostAnswer: true }, { fail: 'timeout' }, { delayMs: 2 }];
    store.fault = (_operation, _name, call) => (call % every === 0 ? faults[(call / every) % faults.length] : undefined);
    return store;
  }

  /**
   * From now on a put resolves before it is durable, as on a disk whose cache lies: until `sync` or the loss of power. It shows that a
   * test notices the loss, and what a repository looks like after it.
   */
  cacheWrites(): void {
    this.writeBack = true;
  }

  /** Everything so far is durable. */
  async sync(): Promise<void> {
    for (const { name, data } of this.unsynced.splice(0)) await this.inner.put(name, data);
  }

  /**
   * The power fails: puts that were not durable are lost, each by itself (a cache is written in no order), the last one perhaps
   * halfway; every call from now on fails. What is left is read through the inner store.
   * @param survives whether the write-back of this one had happened.
   */
  async losePower(survives: (name: string, index: number) => boolean = () => false): Promise<void> {
    this.dead = true;
    for (const [index, { name, data }] of this.unsynced.splice(0).entries()) {
      if (survives(name, index)) await this.inner.put(name, data);
    }
  }

  override async put(name: string, data: Buffer | readonly Buffer[], options: PutOptions = {}): Promise<void> {
    const fault = await this.begin('put', name, options.signal);
    const whole = Buffer.isBuffer(data) ? data : Buffer.concat(data);
    if (fault && 'tornAtByte' in fault) {
      await this.inner.put(name, whole.subarray(0, fault.tornAtByte), options);
      return;
    }
    if (this.writeBack) await this.putIntoCache(name, whole, options);
    else await this.inner.put(name, data, options);
    // A put that was under way when the power failed has no answer.
    this.finish(fault, name);
  }

  override async get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
    const fault = await this.begin('get', name, signal);
    const cached = this.unsynced.findLast((entry) => entry.name === name)?.data;
    const bytes = cached
      ? Buffer.from(range ? cached.subarray(range.offset, range.offset + range.length) : cached)
      : await this.inner.get(name, range, signal);
    if (fault && 'tornAtByte' in fault && fault.tornAtByte < bytes.length) {
      throw new RepositoryError(`${name} came with ${fault.tornAtByte} bytes instead of ${bytes.length}`, {
        code: 'BLOB_TRUNCATED',
        retryable: true,
        subject: name,
      });
    }
    this.finish(fault, name);
    return bytes;
  }

  override async size(name: string, signal?: AbortSignal): Promise<number | undefined> {
    const fault = await this.begin('size', name, signal);
    const size = this.unsynced.findLast((entry) => entry.name === name)?.data.length ?? (await this.inner.size(name, signal));
    this.finish(fault, name);
    return size;
  }

  override async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<BlobEntry> {
    const fault = await this.begin('list', prefix, signal);
    const cached = this.unsynced.filter((entry) => entry.name.startsWith(prefix));
    const seen = new Map<string, BlobEntry>();
    for await (const entry of this.inner.list(prefix, signal)) seen.set(entry.name, entry);
    for (const { name, data } of cached) seen.set(name, { name, sizeBytes: data.length, modifiedAt: new Date() });
    const entries = [...seen.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const [index, entry] of entries.entries()) {
      // Halfway: those before have been given already.
      if (index === Math.floor(entries.length / 2)) this.finish(fault, prefix);
      yield entry;
    }
    if (entries.length === 0) this.finish(fault, prefix);
  }

  override async delete(name: string, signal?: AbortSignal): Promise<void> {
    const fault = await this.begin('delete', name, signal);
    const at = this.unsynced.findIndex((entry) => entry.name === name);
    if (at >= 0) this.unsynced.splice(at, 1);
    else await this.inner.delete(name, signal);
    this.finish(fault, name);
  }

  override async retain(name: string, until: Date, signal?: AbortSignal): Promise<void> {
    const fault = await this.begin('retain', name, signal);
    await this.inner.retain(name, until, signal);
    this.finish(fault, name);
  }

  private async putIntoCache(name: string, data: Buffer, options: PutOptions): Promise<void> {
    const taken = this.unsynced.some((entry) => entry.name === name) || (await this.inner.size(name)) !== undefined;
    if (options.ifAbsent && taken) throw new RepositoryError(`${name} exists already`, { code: 'BLOB_EXISTS', subject: name });
    this.unsynced.push({ name, data: Buffer.from(data) });
  }

  private async begin(operation: StoreOperation, name: string, signal?: AbortSignal): Promise<StoreFault | undefined> {
    throwIfAborted(signal);
    this.calls.push({ operation, name });
    const fault = this.fault(operation, name, this.calls.length);
    if (fault && 'delayMs' in fault) await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
    if (fault && 'fail' in fault) throw failure(fault.fail, name);
    if (this.dead) throw failure('unreachable', name);
    throwIfAborted(signal);
    return fault;
  }

  private finish(fault: StoreFault | undefined, name: string): void {
    if (this.dead || (fault && 'lostAnswer' in fault)) throw failure('unreachable', name);
  }
}

function failure(kind: keyof typeof FAILURES, name: string): RepositoryError {
  const [code, retryable] = FAILURES[kind];
  return new RepositoryError(`${name || 'The store'} could not be used: a test made the store ${kind}`, { code, retryable, subject: name });
}
