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
 * One collector an organization at a time. It renews its lock while it holds it, also while it only reads. A lock that expired, or whose
 * holder is known to be gone, is taken over; a collector that stood still that long sees so before its next step. docs/concurrency.md says
 * why even one step too late costs no restore point.
 */
export class CollectorLock {
  private readonly owner = newId();
  /** `OWNER` or `OWNER HOLDER`. */
  private readonly text: string;
  private readonly name: string;
  private renewedMs = 0;
  private lost = false;
  private timer: NodeJS.Timeout | undefined;
  private renewing: Promise<void> | undefined;
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
    const asked = Date.now();
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
    lock.renewedMs = asked;
    lock.keepRenewing();
    return lock;
  }

  /** The store's own clock, as of the beginning. */
  get now(): Date {
    return this.storeTime;
  }

  /** Before every step that takes something away. @throws RepositoryError GC_LOCK_LOST. */
  async hold(signal?: AbortSignal): Promise<void> {
    if (await this.isHeld(signal)) return;
    throw new RepositoryError('This collector stood still for too long and stops; the next run goes on', {
      code: 'GC_LOCK_LOST',
      retryable: true,
    });
  }

  /** Never throws: a lock that stays expires. */
  async release(): Promise<void> {
    clearInterval(this.timer);
    // Or its put would bring the lock back after the deletion.
    await this.renewing;
    if (await this.isOurs().catch(() => false)) await this.store.delete(this.name).catch(() => undefined);
  }

  private keepRenewing(): void {
    this.timer = setInterval(() => {
      // One that fails is made up for by the next, as long as there is time.
      this.renewing ??= this.renew()
        .catch(() => undefined)
        .finally(() => {
          this.renewing = undefined;
        });
    }, this.options.expiryMs / RENEWALS_PER_EXPIRY);
    this.timer.unref();
  }

  private async renew(): Promise<void> {
    const asked = Date.now();
    // First: a lock that was taken over meanwhile is another's.
    if (!(await this.isHeld())) return;
    await this.store.put(this.name, Buffer.from(this.text));
    this.renewedMs = asked;
  }

  /** Half the expiry is left for the store's clock and for what is under way. Once lost, it stays so. */
  private async isHeld(signal?: AbortSignal): Promise<boolean> {
    const isLate = () => Date.now() - this.renewedMs > this.options.expiryMs / 2;
    if (isLate() || !(await this.isOurs(signal)) || isLate()) this.lost = true;
    return !this.lost;
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
