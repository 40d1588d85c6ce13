import { isRetryable, type Logger, retry, sleep, throwIfAborted } from '../../common/index.js';
import { isRepositoryError } from '../errors.js';
import type { BlobEntry, BlobRange, BlobStore, PutOptions } from '../types.js';
import { StoreWrapper } from './store-wrapper.js';

export interface RetryingStoreOptions {
  /** Tries altogether, the first included. */
  attempts: number;
  baseDelayMs: number;
  maxDelayMs: number;
  /** No new try of a call begins after this. */
  deadlineMs: number;
  log: Logger;
}

/**
 * Repeats what failed in a way that may pass (RepositoryError.retryable), with jitter and a deadline.
 *
 * A try whose answer was lost may have done its work. So a repeated `put` with ifAbsent that finds the name taken looks whether the
 * bytes are its own - every object of the repository holds random ones: a salt, a nonce, an id - and a repeated `delete` that
 * finds nothing has deleted.
 */
export class RetryingStore extends StoreWrapper {
  constructor(
    inner: BlobStore,
    private readonly options: RetryingStoreOptions,
  ) {
    super(inner);
  }

  override put(name: string, data: Buffer | readonly Buffer[], options: PutOptions = {}): Promise<void> {
    return this.repeated('put', name, options.signal, async (attempt) => {
      try {
        await this.inner.put(name, data, options);
      } catch (error) {
        if (attempt === 1 || !isRepositoryError(error, 'BLOB_EXISTS') || !(await this.holds(name, data, options.signal))) throw error;
      }
    });
  }

  override get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
    return this.repeated('get', name, signal, () => this.inner.get(name, range, signal));
  }

  override size(name: string, signal?: AbortSignal): Promise<number | undefined> {
    return this.repeated('size', name, signal, () => this.inner.size(name, signal));
  }

  /** Begins anew after a failure and passes over what was given already: names come in ascending order. */
  override async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<BlobEntry> {
    let last: string | undefined;
    let failures = 0;
    for (;;) {
      try {
        for await (const entry of this.inner.list(prefix, signal)) {
          if (last !== undefined && entry.name <= last) continue;
          last = entry.name;
          failures = 0;
          yield entry;
        }
        return;
      } catch (error) {
        throwIfAborted(signal);
        failures += 1;
        // A consumer that throws into the generator ends it; only the store's own failures come here.
        if (!isRetryable(error) || failures >= this.options.attempts) throw error;
        const delayMs = Math.min(this.options.maxDelayMs, this.options.baseDelayMs * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
        this.report('list', prefix, error, failures, delayMs);
        await sleep(delayMs, signal);
      }
    }
  }

  override delete(name: string, signal?: AbortSignal): Promise<void> {
    return this.repeated('delete', name, signal, async (attempt) => {
      try {
        await this.inner.delete(name, signal);
      } catch (error) {
        if (attempt === 1 || !isRepositoryError(error, 'BLOB_NOT_FOUND')) throw error;
      }
    });
  }

  override retain(name: string, until: Date, signal?: AbortSignal): Promise<void> {
    return this.repeated('retain', name, signal, () => this.inner.retain(name, until, signal));
  }

  override freeBytes(signal?: AbortSignal): Promise<number | undefined> {
    return this.repeated('freeBytes', '', signal, () => this.inner.freeBytes(signal));
  }

  private repeated<T>(operation: string, name: string, signal: AbortSignal | undefined, work: (attempt: number) => Promise<T>): Promise<T> {
    const { attempts, baseDelayMs, maxDelayMs, deadlineMs } = this.options;
    const onRetry = (error: unknown, attempt: number, delayMs: number) => this.report(operation, name, error, attempt, delayMs);
    return retry({ attempts, baseDelayMs, maxDelayMs, deadlineMs, onRetry, ...(signal ? { signal } : {}) }, work);
  }

  private report(operation: string, name: string, error: unknown, attempt: number, delayMs: number): void {
    this.options.log.warn(
      { operation, blob: name, attempt, delayMs: Math.round(delayMs), reason: (error as Error).message },
      'The repository store failed and is asked again',
    );
  }

  private async holds(name: string, data: Buffer | readonly Buffer[], signal?: AbortSignal): Promise<boolean> {
    const pieces = Buffer.isBuffer(data) ? [data] : data;
    const wantedBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if ((await this.inner.size(name, signal)) !== wantedBytes) return false;
    const there = await this.inner.get(name, undefined, signal);
    let at = 0;
    return pieces.every((piece) => {
      at += piece.length;
      return piece.equals(there.subarray(at - piece.length, at));
    });
  }
}
