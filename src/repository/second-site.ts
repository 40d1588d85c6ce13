import { describeError, sleep, withTimeout, type Logger } from '../common/index.js';
import { copyIfAbsent, copyRestorePoint, type CopyProgress } from './copy-restore-point.js';
import { removeDeparted } from './departed.js';
import { DESCRIPTION_NAME, checkDescription, encodeDescription, readDescription } from './description.js';
import { RepositoryError, isDamage, isRepositoryError } from './errors.js';
import { organizationFolder } from './format.js';
import { CollectorLock, type LockHolder, remove } from './gc-lock.js';
import { holdOrganization } from './hold-objects.js';
import { followKeyFile } from './key-file-copy.js';
import { KeyRing } from './key-ring.js';
import { manifestName } from './manifest.js';
import type { Organization } from './organization.js';
import { PageTrail } from './referenced-records.js';
import { Repository, type RepositoryOptions } from './repository.js';
import { SESSION_TIMES } from './session-record.js';
import { forgetShredded, isShredded, shreddedFolders } from './shredded.js';
import type { BlobStore, ManifestRef, SecondSiteApi } from './types.js';
import { restorePointIds } from './walk.js';

const DAY_MS = 24 * 60 * 60_000;
const LOCK_SHARE_OF_SESSION = 4;
/** A collector at the second site ends some time; longer than this the next run tries again. */
const LOCK_PATIENCE_MS = 10 * 60_000;
const LOCK_POLL_MS = 2_000;
/** A person waits for it, and the next copy run makes up for it. */
export const ANSWER_TIMEOUT_MS = 10_000;
/** With the retries of its store, and the key files to be brought up to date. */
const OPEN_TIMEOUT_MS = 10 * 60_000;

export interface SecondSiteOptions {
  /** Opened when it is first needed, and again when that failed: the service runs without it. */
  openStore: () => Promise<BlobStore>;
  /** How long the second site keeps what was deleted at the first; a week by default. */
  keepDeletedMs?: number;
  log: Logger;
}

export interface CopyRunOptions {
  /** Only this one, instead of all that the second site lacks. */
  ref?: ManifestRef;
  /** Whose bytes: "restore point ID". */
  onProgress?: (restorePointId: string, progress: CopyProgress) => void;
  /** Under whose name the collectors' locks there are taken. */
  holder?: LockHolder;
  signal?: AbortSignal;
}

export interface CopyReport {
  restorePoints: number;
  /** At the second site when this ends. */
  present: string[];
  /** Of these, made by this run. */
  copied: string[];
  copiedPacks: number;
  copiedBytes: number;
  failed: { organizationId: string; restorePointId: string; reason: string }[];
  /** Deleted at the first site and kept here for their time. */
  departed: string[];
  /** Removed by this run: deleted at the first site long enough ago, and not locked. */
  removed: string[];
  shreddedOrganizations: number;
}

/**
 * Another blob store with the same restore points, object for object. Whoever writes here keeps its collectors away by their own
 * lock, so that the proof of docs/concurrency.md needs nothing new; collectors of the second site are those of any repository.
 */
export class SecondSite implements SecondSiteApi {
  private opened: Promise<Repository> | undefined;
  private openedStore: BlobStore | undefined;

  constructor(
    private readonly first: Repository,
    private readonly repositoryOptions: Omit<RepositoryOptions, 'store'>,
    private readonly options: SecondSiteOptions,
  ) {}

  /**
   * The second site as a repository of its own, made there if there is none.
   * @throws RepositoryError SITE_FOREIGN when another repository is there; of the store.
   */
  repository(signal?: AbortSignal): Promise<Repository> {
    return withTimeout('Opening the second site of the repository', OPEN_TIMEOUT_MS, signal, () => {
      // Without a caller's signal: others may wait for the same.
      this.opened ??= this.open().catch((error: unknown) => {
        this.opened = undefined;
        throw error;
      });
      return this.opened;
    });
  }

  /**
   * Brings the second site up to date: keys, restore points it lacks, what was shredded, what was deleted long enough ago.
   * @throws RepositoryError REPOSITORY_FULL, INDEX_TOO_LARGE when not everything found room there; all that could go is gone then.
   */
  async copy(options: CopyRunOptions = {}): Promise<CopyReport> {
    const report: CopyReport = {
      restorePoints: 0,
      present: [],
      copied: [],
      copiedPacks: 0,
      copiedBytes: 0,
      failed: [],
      departed: [],
      removed: [],
      shreddedOrganizations: 0,
    };
    const second = await this.repository(options.signal);
    const ofOne = options.ref?.organizationId;
    const onDamaged = (error: RepositoryError) =>
      report.failed.push({ organizationId: '', restorePointId: '', reason: describeError(error) });
    if (ofOne === undefined) report.shreddedOrganizations = await this.followShredded(second, onDamaged, options.signal);
    let full: RepositoryError | undefined;
    for await (const organizationId of this.first.keys.organizationIds(options.signal, onDamaged)) {
      if (ofOne !== undefined && ofOne !== organizationId) continue;
      try {
        await this.copyOrganization(second, organizationId, report, options);
      } catch (error) {
        // What the others have deleted still goes, and makes room.
        if (isRepositoryError(error, 'REPOSITORY_FULL', 'INDEX_TOO_LARGE')) full ??= error;
        // One organization's keys do not keep the others from being copied.
        else if (isRepositoryError(error, 'SITE_FOREIGN', 'ORGANIZATION_KEY_DAMAGED'))
          report.failed.push({ organizationId, restorePointId: '', reason: describeError(error) });
        else throw error;
      }
    }
    if (full) throw full;
    return report;
  }

  /** @throws RepositoryError RESTORE_POINT_LOCK_CONFLICT while a copy of one of its restore points is locked. */
  async shred(organizationId: string, signal?: AbortSignal): Promise<void> {
    const second = await this.repository(signal);
    await second.shredOrganization(organizationId, signal);
    await forgetShredded(second.store, organizationId, signal);
    await forgetShredded(this.first.store, organizationId, signal);
  }

  async enforcesRetention(): Promise<boolean> {
    const asked = withTimeout('Opening the second site of the repository', ANSWER_TIMEOUT_MS, undefined, (signal) =>
      this.repository(signal),
    );
    return asked.then(
      (second) => second.enforcesRetention,
      () => false,
    );
  }

  /** Never throws. */
  async close(): Promise<void> {
    await this.openedStore?.close().catch(() => undefined);
  }

  private async open(): Promise<Repository> {
    this.openedStore ??= await this.options.openStore();
    const store = this.openedStore;
    await this.followKeys(store);
    return Repository.open({ ...this.repositoryOptions, store });
  }

  /**
   * `repository.json` and the key files, after a change of the master key too: first every key file there opens with both keys, then the
   * description changes, the one instant, then what the former key wrapped goes. Interrupted anywhere, exactly one key opens all.
   */
  private async followKeys(store: BlobStore): Promise<void> {
    const description = await readDescription(this.first.store);
    const there = await readDescription(store).catch((error: unknown) => {
      if (isRepositoryError(error, 'REPOSITORY_NOT_FOUND')) return undefined;
      throw error;
    });
    if (there && there.repositoryId !== description.repositoryId) {
      throw new RepositoryError(
        `The second site holds repository ${there.repositoryId}, not ${description.repositoryId}; give it a place of its own`,
        { code: 'SITE_FOREIGN', subject: there.repositoryId },
      );
    }
    // With another one than the first site's, nothing here could tell which of its wrappings is the one that counts.
    checkDescription(description, this.repositoryOptions.masterKey);
    const second = new KeyRing(store, this.repositoryOptions.masterKey, description.repositoryId);
    const changed = there !== undefined && there.masterKeyCheck !== description.masterKeyCheck;
    const passedOver = changed ? await this.followKeyFiles(second, 'both') : new Set<string>();
    if (there === undefined || changed) await store.put(DESCRIPTION_NAME, encodeDescription(description));
    await this.followKeyFiles(second, 'first', passedOver);
  }

  /**
   * A file that must not become the copy is passed over, and the second site keeps its own: one bad file does not keep the others' away.
   * @returns the names of those, each logged once.
   */
  private async followKeyFiles(second: KeyRing, wrapping: 'both' | 'first', passedOver = new Set<string>()): Promise<Set<string>> {
    for await (const { name } of this.first.store.list('keys/')) {
      if (passedOver.has(name)) continue;
      try {
        await followKeyFile(this.first.keys, second, name, wrapping);
      } catch (error) {
        if (!isRepositoryError(error, 'ORGANIZATION_KEY_DAMAGED', 'SITE_FOREIGN')) throw error;
        passedOver.add(name);
        this.options.log.warn(
          { name, reason: describeError(error) },
          wrapping === 'both'
            ? 'A key file of the first site is not copied; the second site keeps its own, wrapped by the former master key: keep that key'
            : 'A key file of the first site is not copied; the second site keeps its own',
        );
      }
    }
    return passedOver;
  }

  /** @param onDamaged told of a key file there whose organization is to be shredded and which does not say which that is. */
  private async followShredded(second: Repository, onDamaged: (error: RepositoryError) => void, signal?: AbortSignal): Promise<number> {
    const due = new Set(await shreddedFolders(this.first.store, signal));
    if (due.size === 0) return 0;
    let followed = 0;
    const passOver = (error: RepositoryError) => {
      if (due.delete(error.subject?.slice('keys/'.length, -'.json'.length) ?? '')) onDamaged(error);
    };
    for await (const organizationId of second.keys.organizationIds(signal, passOver)) {
      if (!due.delete(organizationFolder(organizationId))) continue;
      await this.shred(organizationId, signal);
      followed += 1;
    }
    // Shredded before anything of them was copied.
    for (const folder of due) await remove(this.first.store, `shredded/${folder}.json`, signal);
    return followed;
  }

  private async copyOrganization(second: Repository, organizationId: string, report: CopyReport, options: CopyRunOptions): Promise<void> {
    const { signal, ref } = options;
    // Its key there is that of before, and must go before a new one comes.
    if (await isShredded(this.first.store, organizationId, signal)) await this.shred(organizationId, signal);
    await followKeyFile(this.first.keys, second.keys, second.keys.nameOf(organizationId), 'first', signal);
    const source = await this.first.fresh(organizationId, signal);
    const target = await second.fresh(organizationId, signal);
    if (!source || !target) return;
    const lock = await this.lock(target, options);
    try {
      await source.index.refresh(signal);
      await target.index.refresh(signal);
      const wanted = ref ? [ref.restorePointId] : await restorePointIds(source, signal);
      const full = await this.copyAll(source, target, wanted, lock, report, options);
      if (ref) {
        if (full) throw full;
        await second.holdRestorePoint(ref, { signal });
        return;
      }
      const locks = await second.locks.of(target, signal);
      await locks.stateTime(signal);
      if (target.store.enforcesRetention) await holdOrganization(target, locks, { signal });
      const keepMs = this.options.keepDeletedMs ?? 7 * DAY_MS;
      const departed = await removeDeparted(source, target, { lock, locks, keepMs, signal });
      report.departed.push(...departed.kept);
      report.removed.push(...departed.removed);
      if (full) throw full;
    } finally {
      await lock.release();
    }
  }

  /** @returns REPOSITORY_FULL or INDEX_TOO_LARGE where no more had room: what was deleted at the first site goes even so, or a full second site would stay full. */
  private async copyAll(
    source: Organization,
    target: Organization,
    restorePointIdsWanted: readonly string[],
    lock: CollectorLock,
    report: CopyReport,
    options: CopyRunOptions,
  ): Promise<RepositoryError | undefined> {
    const { organizationId } = source.place;
    const trail = new PageTrail();
    for (const restorePointId of restorePointIdsWanted) {
      report.restorePoints += 1;
      const ref = { organizationId, restorePointId };
      try {
        if (await this.isThere(source, target, restorePointId, options.signal)) {
          report.present.push(restorePointId);
          continue;
        }
        const onProgress = (progress: CopyProgress) => options.onProgress?.(restorePointId, progress);
        const { copiedPacks, copiedBytes } = await copyRestorePoint(source, target, ref, {
          lock,
          trail,
          onProgress,
          signal: options.signal,
        });
        report.present.push(restorePointId);
        report.copied.push(restorePointId);
        report.copiedPacks += copiedPacks;
        report.copiedBytes += copiedBytes;
      } catch (error) {
        if (isRepositoryError(error, 'RESTORE_POINT_NOT_FOUND')) continue;
        if (isRepositoryError(error, 'REPOSITORY_FULL', 'INDEX_TOO_LARGE')) return error;
        if (!isDamage(error)) throw error;
        report.failed.push({ organizationId, restorePointId, reason: describeError(error) });
      }
    }
    return undefined;
  }

  /** Its later locks follow, whenever it was copied. */
  private async isThere(source: Organization, target: Organization, restorePointId: string, signal?: AbortSignal): Promise<boolean> {
    const name = target.place.prefix + manifestName(restorePointId);
    if ((await target.store.size(name, signal)) === undefined) return false;
    for await (const entry of source.store.list(`${source.place.prefix}locks/${restorePointId}/`, signal)) {
      if ((await target.store.size(entry.name, signal)) === undefined) await copyIfAbsent(source, target, entry.name, signal);
    }
    // Dates only grow; a hold is lifted.
    const hold = `${source.place.prefix}locks/${restorePointId}/hold`;
    if ((await source.store.size(hold, signal)) === undefined) await remove(target.store, hold, signal);
    return true;
  }

  /** @throws RepositoryError GC_RUNNING when a collector there does not end. */
  private async lock(target: Organization, { holder, signal }: CopyRunOptions): Promise<CollectorLock> {
    const { expiryMs } = this.repositoryOptions.sessionTimes ?? SESSION_TIMES;
    const deadline = Date.now() + LOCK_PATIENCE_MS;
    for (;;) {
      try {
        return await CollectorLock.take(target.store, target.place.prefix, { expiryMs: expiryMs / LOCK_SHARE_OF_SESSION, holder, signal });
      } catch (error) {
        if (!isRepositoryError(error, 'GC_RUNNING') || Date.now() > deadline) throw error;
        await sleep(LOCK_POLL_MS, signal);
      }
    }
  }
}
