import { newId } from '../common/index.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import type { BlobStore } from './types.js';

const LOCK_NAME = 'gc/lock';
/** A lock is renewed many times before it could expire. */
const RENEWALS_PER_EXPIRY = 15;

/**
 * One collector an organization at a time. An expired lock is taken over; a collector that stood
 * still that long sees so before its next step. docs/concurrency.md says why even one step too late
 * costs no restore point.
 */
export class CollectorLock {
  private readonly owner = newId();
  private renewedMs = 0;
  private storeTime = new Date(0);

  private constructor(
    private readonly store: BlobStore,
    private readonly name: string,
    private readonly expiryMs: number,
  ) {}

  /**
   * @param expiryMs a lock that was not renewed for this long, by the store's clock, is anybody's.
   * @throws RepositoryError GC_RUNNING when another collector is at work.
   */
  static async take(store: BlobStore, prefix: string, expiryMs: number, signal?: AbortSignal): Promise<CollectorLock> {
    const lock = new CollectorLock(store, prefix + LOCK_NAME, expiryMs);
    const probe = `${prefix}gc/time-${lock.owner}`;
    await store.put(probe, Buffer.from('{}\n'), { signal });
    try {
      lock.storeTime = (await modifiedAt(store, probe, signal)) ?? new Date(0);
    } finally {
      await store.delete(probe).catch(() => undefined);
    }
    const held = await modifiedAt(store, lock.name, signal);
    if (held && lock.storeTime.getTime() - held.getTime() > expiryMs) await remove(store, lock.name, signal);
    try {
      await store.put(lock.name, Buffer.from(lock.owner), { ifAbsent: true, signal });
    } catch (cause) {
      if (!isRepositoryError(cause, 'BLOB_EXISTS')) throw cause;
      throw new RepositoryError('Another collector is at work in this organization of the repository; let it end', {
        code: 'GC_RUNNING',
        retryable: true,
        cause,
      });
    }
    lock.renewedMs = Date.now();
    return lock;
  }

  /** The store's own clock, as of the beginning. */
  get now(): Date {
    return this.storeTime;
  }

  /** Before every step that takes something away. @throws RepositoryError GC_LOCK_LOST. */
  async hold(signal?: AbortSignal): Promise<void> {
    const asked = Date.now();
    const ageMs = asked - this.renewedMs;
    if (ageMs > this.expiryMs / 2 || !(await this.isOurs(signal))) {
      throw new RepositoryError('This collector stood still for too long and stops; the next run goes on', {
        code: 'GC_LOCK_LOST',
        retryable: true,
      });
    }
    if (ageMs < this.expiryMs / RENEWALS_PER_EXPIRY) return;
    await this.store.put(this.name, Buffer.from(this.owner), { signal });
    this.renewedMs = asked;
  }

  /** Never throws: a lock that stays expires. */
  async release(): Promise<void> {
    if (await this.isOurs().catch(() => false)) await this.store.delete(this.name).catch(() => undefined);
  }

  private async isOurs(signal?: AbortSignal): Promise<boolean> {
    try {
      return (await this.store.get(this.name, undefined, signal)).toString('utf8') === this.owner;
    } catch (error) {
      if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return false;
      throw error;
    }
  }
}

async function modifiedAt(store: BlobStore, name: string, signal?: AbortSignal): Promise<Date | undefined> {
  for await (const entry of store.list(name, signal)) if (entry.name === name) return entry.modifiedAt;
  return undefined;
}

/** @returns false when it was not there. */
export async function remove(store: BlobStore, name: string, signal?: AbortSignal): Promise<boolean> {
  try {
    await store.delete(name, signal);
    return true;
  } catch (error) {
    if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return false;
    throw error;
  }
}
