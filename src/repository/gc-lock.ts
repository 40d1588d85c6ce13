import { newId } from '../common/index.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import type { BlobStore } from './types.js';

const LOCK_NAME = 'gc/lock';
const TIME_PREFIX = 'gc/time-';
/** A lock is renewed many times before it could expire. */
const RENEWALS_PER_EXPIRY = 15;

/** Who takes the lock, for those who can find out what became of another holder; else only its silence tells. */
export interface LockHolder {
  /** Nobody else's, such as a run's id; without a space. */
  readonly name: string;
  /** Whether the holder of that name has ended, or died and is known to be dead. */
  isGone(name: string): Promise<boolean>;
}

export interface LockOptions {
  /** A lock that was not renewed for this long, by the store's clock, is anybody's. */
  expiryMs: number;
  holder?: LockHolder | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * One collector an organization at a time. A lock that expired, or whose holder is known to be gone, is taken over; a collector that
 * stood still that long sees so before its next step. docs/concurrency.md says why even one step too late
 * costs no restore point.
 */
export class CollectorLock {
  private readonly owner = newId();
  /** `OWNER` or `OWNER HOLDER`. */
  private readonly text: string;
  private readonly name: string;
  private renewedMs = 0;
  private storeTime = new Date(0);

  private constructor(
    private readonly store: BlobStore,
    private readonly prefix: string,
    private readonly options: LockOptions,
  ) {
    this.name = prefix + LOCK_NAME;
    this.text = [this.owner, ...(options.holder ? [options.holder.name] : [])].join(' ');
  }

  /** @throws RepositoryError GC_RUNNING when another collector is at work. */
  static async take(store: BlobStore, prefix: string, options: LockOptions): Promise<CollectorLock> {
    const { expiryMs, signal } = options;
    const lock = new CollectorLock(store, prefix, options);
    await lock.askTheTime();
    const held = await modifiedAt(store, lock.name, signal);
    if (held && (lock.now.getTime() - held.getTime() > expiryMs || (await lock.isLeftBehind()))) await remove(store, lock.name, signal);
    try {
      await store.put(lock.name, Buffer.from(lock.text), { ifAbsent: true, signal });
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
    const { expiryMs } = this.options;
    if (ageMs > expiryMs / 2 || !(await this.isOurs(signal))) {
      throw new RepositoryError('This collector stood still for too long and stops; the next run goes on', {
        code: 'GC_LOCK_LOST',
        retryable: true,
      });
    }
    if (ageMs < expiryMs / RENEWALS_PER_EXPIRY) return;
    await this.store.put(this.name, Buffer.from(this.text), { signal });
    this.renewedMs = asked;
  }

  /** Never throws: a lock that stays expires. */
  async release(): Promise<void> {
    if (await this.isOurs().catch(() => false)) await this.store.delete(this.name).catch(() => undefined);
  }

  /** An object put just now has the store's time. Those of collectors that died in between are removed when they are old. */
  private async askTheTime(): Promise<void> {
    const { store, prefix } = this;
    const { expiryMs, signal } = this.options;
    const probe = `${prefix}${TIME_PREFIX}${this.owner}`;
    await store.put(probe, Buffer.from('{}\n'), { signal });
    const others: { name: string; modifiedAt: Date }[] = [];
    try {
      for await (const entry of store.list(prefix + TIME_PREFIX, signal)) {
        if (entry.name === probe) this.storeTime = entry.modifiedAt;
        else others.push(entry);
      }
    } finally {
      await store.delete(probe).catch(() => undefined);
    }
    for (const other of others) if (this.now.getTime() - other.modifiedAt.getTime() > expiryMs) await remove(store, other.name, signal);
  }

  /** Of an earlier attempt of ours, or of somebody who is known to work no more. */
  private async isLeftBehind(): Promise<boolean> {
    const { holder, signal } = this.options;
    const [, other] = (await this.read(signal))?.split(' ') ?? [];
    if (holder === undefined || other === undefined) return false;
    return other === holder.name || (await holder.isGone(other));
  }

  private async isOurs(signal?: AbortSignal): Promise<boolean> {
    return (await this.read(signal)) === this.text;
  }

  private async read(signal?: AbortSignal): Promise<string | undefined> {
    try {
      return (await this.store.get(this.name, undefined, signal)).toString('utf8');
    } catch (error) {
      if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return undefined;
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
