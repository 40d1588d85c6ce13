import { RepositoryError, invalidArgument, isRepositoryError } from './errors.js';
import { remove } from './gc-lock.js';
import { manifestName } from './manifest.js';
import type { BlobStore } from './types.js';
import type { VaultClock } from './vault-clock.js';

/** Beyond it a date is a typing error: nobody could undo it. */
const LONGEST_LOCK_MS = 100 * 366 * 24 * 3600_000;
const HOLD = 'hold';

/** What keeps one restore point from being removed. */
export interface RestorePointLock {
  /** Undefined without a date. */
  until: Date | undefined;
  /** Until somebody lifts it. */
  held: boolean;
}

/**
 * The locks of one organization's restore points: an object `locks/RESTOREPOINTID/SECONDS` for each date that was ever asked for, of
 * which the latest counts. So a lock can be extended and nothing can shorten it; a person who deletes restore points by this service's
 * means finds them in the way, whatever rights that person has.
 */
export class RestorePointLocks {
  constructor(
    private readonly store: BlobStore,
    private readonly prefix: string,
    private readonly clock: VaultClock,
  ) {}

  async find(restorePointId: string, signal?: AbortSignal): Promise<RestorePointLock> {
    const found = await this.list(`${restorePointId}/`, signal);
    return found.get(restorePointId) ?? { until: undefined, held: false };
  }

  /** Of all restore points that have one, ended ones included. */
  all(signal?: AbortSignal): Promise<Map<string, RestorePointLock>> {
    return this.list('', signal);
  }

  /**
   * In force when it resolves. A later date that is there already stays.
   * @returns the date that counts.
   */
  async lock(restorePointId: string, until: Date, signal?: AbortSignal): Promise<Date> {
    const ms = until.getTime();
    if (!Number.isFinite(ms) || ms < 0 || ms > Date.now() + LONGEST_LOCK_MS)
      throw invalidArgument('A lock ends at a date within the next hundred years');
    const { until: former } = await this.find(restorePointId, signal);
    if (former && former >= until) return former;
    // Whole seconds, upwards: a lock may last longer than was asked, not shorter.
    const seconds = Math.ceil(ms / 1000);
    await this.clock.keep(signal);
    await this.put(`${restorePointId}/${seconds}`, signal);
    return new Date(seconds * 1000);
  }

  async setHold(restorePointId: string, held: boolean, signal?: AbortSignal): Promise<void> {
    // An id that is no object name is refused.
    manifestName(restorePointId);
    if (held) await this.put(`${restorePointId}/${HOLD}`, signal);
    else await remove(this.store, `${this.prefix}locks/${restorePointId}/${HOLD}`, signal);
  }

  /** By the clock that only goes forward as fast as time does. */
  isOver({ until, held }: RestorePointLock): boolean {
    return !held && (until === undefined || until <= this.clock.now());
  }

  /** @throws RepositoryError RESTORE_POINT_LOCK_CONFLICT. */
  async assertOver(restorePointId: string, atLeast?: Date, signal?: AbortSignal): Promise<void> {
    const found = await this.find(restorePointId, signal);
    const until = atLeast && (!found.until || atLeast > found.until) ? atLeast : found.until;
    if (!this.isOver({ ...found, until })) throw lockedRestorePoint(restorePointId, { ...found, until });
    if (until) await this.clock.keep(signal);
  }

  /** What is left of restore points that are not there any more; locks that still last stay, and harm nobody. */
  async removeEnded(existing: ReadonlySet<string>, signal?: AbortSignal): Promise<void> {
    const all = await this.stateTime(signal);
    for (const [restorePointId, lock] of all) {
      if (existing.has(restorePointId) || !this.isOver(lock)) continue;
      for await (const { name } of this.store.list(`${this.prefix}locks/${restorePointId}/`, signal))
        await remove(this.store, name, signal);
    }
  }

  /** Where there are locks, says in the repository what time it is, for who starts later. @returns the locks. */
  async stateTime(signal?: AbortSignal): Promise<Map<string, RestorePointLock>> {
    const all = await this.all(signal);
    if (all.size > 0) await this.clock.keep(signal);
    return all;
  }

  private async list(prefix: string, signal?: AbortSignal): Promise<Map<string, RestorePointLock>> {
    const found = new Map<string, RestorePointLock>();
    const folder = `${this.prefix}locks/`;
    for await (const { name } of this.store.list(folder + prefix, signal)) {
      const [restorePointId = '', date = ''] = name.slice(folder.length).split('/');
      const lock = found.get(restorePointId) ?? { until: undefined, held: false };
      const until = /^\d{1,12}$/.test(date) ? new Date(Number(date) * 1000) : undefined;
      if (until && (!lock.until || until > lock.until)) lock.until = until;
      if (date === HOLD) lock.held = true;
      found.set(restorePointId, lock);
    }
    return found;
  }

  private async put(name: string, signal?: AbortSignal): Promise<void> {
    const text = `${JSON.stringify({ madeAt: new Date().toISOString() })}\n`;
    try {
      await this.store.put(`${this.prefix}locks/${name}`, Buffer.from(text), { ifAbsent: true, signal });
    } catch (error) {
      if (!isRepositoryError(error, 'BLOB_EXISTS')) throw error;
    }
  }
}

export function lockedRestorePoint(restorePointId: string, { until, held }: RestorePointLock): RepositoryError {
  const why = held ? 'is held until the hold is lifted' : `is locked until ${until?.toISOString()}`;
  return new RepositoryError(`Restore point ${restorePointId} ${why}, and nobody can remove it before`, {
    code: 'RESTORE_POINT_LOCK_CONFLICT',
    subject: restorePointId,
  });
}
