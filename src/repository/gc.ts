import { throwIfAborted, type Logger } from '../common/index.js';
import { compactSegments } from './compact-segments.js';
import { type CondemnedList, readCondemnedLists, writeCondemnedList } from './condemned.js';
import { isDamage, isRepositoryError } from './errors.js';
import { packPath } from './format.js';
import { CollectorLock, type LockHolder, remove } from './gc-lock.js';
import { markLiving } from './gc-mark.js';
import { rewritePacks } from './gc-rewrite.js';
import { survey, type Survey, type SurveyedPack } from './gc-survey.js';
import type { Organization } from './organization.js';
import { packsUnderLock } from './hold-objects.js';
import { listPacks, type ListedPack } from './pack-listing.js';
import type { RestorePointLocks } from './restore-point-locks.js';
import { readSessions, type OpenSession } from './session-record.js';
import { restorePointIds } from './walk.js';

const DEFAULT_GRACE_MS = 24 * 60 * 60_000;
/** A quarter of an hour, with the usual hour for sessions. */
const LOCK_SHARE_OF_SESSION = 4;
/** A pack with a larger share of dead bytes is rewritten. */
const REWRITE_ABOVE_DEAD_SHARE = 0.3;

export interface CollectOptions {
  /** How long a pack stays condemned, and how old it must be to become so; by the store's clock. A day by default. */
  graceMs?: number;
  /** Only this organization. */
  organizationId?: string;
  /** Under whose name the lock is taken. */
  holder?: LockHolder;
  signal?: AbortSignal;
}

export interface CollectReport {
  restorePoints: number;
  packs: number;
  packBytes: number;
  liveBytes: number;
  /** Deleted by this run: condemned by an earlier one, and dead in a second mark. */
  deletedPacks: number;
  freedBytes: number;
  /** Condemned by an earlier run and alive after all. */
  rescuedPacks: number;
  /** Condemned by this run, for a later one to delete. */
  condemnedPacks: number;
  /** Of these, packs whose living records were copied out first. */
  rewrittenPacks: number;
  /** Packs that are left to a later run: there was no room for copies of their living records. */
  packsWaitingForRoom: number;
  /** Packs under retention that cannot be deleted yet. */
  lockedPacks: number;
  /** Packs that are neither deleted nor rewritten because they cannot be read. */
  unreadablePacks: string[];
  /** Restore points in the making that older condemned packs wait for. */
  waitingFor: string[];
  removedSegments: number;
  newSegments: number;
}

export interface CollectorParts {
  /** With an index of its own, loaded afresh: collectors must not act on what a process remembers. */
  organization: Organization;
  packTargetBytes: number;
  sessionExpiryMs: number;
  locks: RestorePointLocks;
  log: Logger;
}

export function emptyReport(): CollectReport {
  const counts = { restorePoints: 0, packs: 0, packBytes: 0, liveBytes: 0, deletedPacks: 0, freedBytes: 0, rescuedPacks: 0 };
  const more = { condemnedPacks: 0, rewrittenPacks: 0, packsWaitingForRoom: 0, lockedPacks: 0, removedSegments: 0, newSegments: 0 };
  return { ...counts, ...more, unreadablePacks: [], waitingFor: [] };
}

/**
 * One run over one organization: what an earlier run condemned is deleted where it is still dead,
 * and what is dead now is condemned. docs/concurrency.md has the proof, step by step; interrupted
 * anywhere, only work stays undone.
 * @throws RepositoryError GC_RUNNING, GC_BLOCKED, GC_LOCK_LOST, or of the store.
 */
export async function collectOrganization(parts: CollectorParts, options: CollectOptions, report: CollectReport): Promise<void> {
  const { organization } = parts;
  const { store, place } = organization;
  const { holder, signal } = options;
  const lock = await CollectorLock.take(store, place.prefix, { expiryMs: parts.sessionExpiryMs / LOCK_SHARE_OF_SESSION, holder, signal });
  try {
    await new Collection(parts, options, report, lock).run();
  } catch (error) {
    // What is missing was deleted by another one where it took the lock over, or with the organization. That is no damage.
    if (isDamage(error) || isRepositoryError(error, 'BLOB_NOT_FOUND', 'GC_BLOCKED')) await lock.hold(signal);
    throw error;
  } finally {
    await lock.release();
  }
}

class Collection {
  private readonly organization: Organization;
  private readonly signal: AbortSignal | undefined;
  private readonly graceMs: number;

  constructor(
    private readonly parts: CollectorParts,
    options: CollectOptions,
    private readonly report: CollectReport,
    private readonly lock: CollectorLock,
  ) {
    this.organization = parts.organization;
    this.signal = options.signal;
    this.graceMs = options.graceMs ?? DEFAULT_GRACE_MS;
  }

  async run(): Promise<void> {
    const { organization, report, signal } = this;
    const { store, place } = organization;
    // Lists, then sessions, then manifests: a session that ended in between has published before.
    const lists = await readCondemnedLists(store, place.prefix, signal);
    const sessions = await this.openSessions();
    await organization.index.refresh(signal);
    const listed = await listPacks(organization, signal);
    const mark = await markLiving(organization, signal);
    const condemned = new Set(lists.flatMap((list) => list.packIds ?? []));
    const found = await survey(organization, listed, mark.live, condemned, signal);
    report.restorePoints += mark.restorePoints;
    report.packs += listed.size;
    report.unreadablePacks.push(...found.unreadable);
    for (const pack of found.packs) {
      report.packBytes += pack.sizeBytes;
      report.liveBytes += pack.liveBytes;
    }
    await this.deleteDead(lists, sessions, found, listed);
    await this.condemn(found, condemned, sessions, mark.live);
    await this.parts.locks.removeEnded(new Set(await restorePointIds(organization, signal)), signal);
  }

  /** Those that are silent for too long are ended: their record goes first, so that they notice. */
  private async openSessions(): Promise<OpenSession[]> {
    const open: OpenSession[] = [];
    for (const session of await readSessions(this.organization.store, this.organization.place.prefix, this.signal)) {
      if (this.lock.now.getTime() - session.lastSeenAt.getTime() <= this.parts.sessionExpiryMs) {
        open.push(session);
        continue;
      }
      await remove(this.organization.store, session.name, this.signal);
      this.parts.log.warn({ restorePointId: session.restorePointId }, 'A backup session that died was ended');
    }
    return open;
  }

  /** Second mark: of the lists that are old enough and known to every open session. */
  private async deleteDead(
    lists: readonly CondemnedList[],
    sessions: readonly OpenSession[],
    found: Survey,
    listed: ReadonlyMap<string, ListedPack>,
  ): Promise<void> {
    const due: CondemnedList[] = [];
    for (const list of lists) {
      const waitingFor = sessions.filter((session) => !session.knows.has(list.name));
      if (list.packIds === undefined) due.push(list);
      else if (this.lock.now.getTime() - list.modifiedAt.getTime() < this.graceMs) continue;
      else if (waitingFor.length > 0) this.waitFor(waitingFor);
      else due.push(list);
    }
    const packs = new Map(found.packs.map((pack) => [pack.packId, pack]));
    const named = new Set(due.flatMap((list) => list.packIds ?? []));
    const dead = [...named].map((packId) => packs.get(packId)).filter((pack) => pack !== undefined && !pack.needed) as SurveyedPack[];
    const leaving = new Set(dead.map((pack) => pack.packId));
    await this.compact(listed, leaving);
    const locked = new Set<string>();
    for (const pack of dead) if (!(await this.deletePack(pack))) locked.add(pack.packId);
    this.report.rescuedPacks += [...named].filter((packId) => packs.get(packId)?.needed).length;
    for (const list of due) {
      // A pack that its retention still holds stays condemned, or backups would begin to rely on it again.
      if (list.packIds?.some((packId) => locked.has(packId))) continue;
      await this.step();
      await remove(this.organization.store, list.name, this.signal);
    }
  }

  private async compact(listed: ReadonlyMap<string, ListedPack>, leaving: ReadonlySet<string>): Promise<void> {
    const compaction = await compactSegments(this.organization, listed, leaving, () => this.step(), this.signal);
    this.report.removedSegments += compaction.removedSegments;
    this.report.newSegments += compaction.newSegments;
  }

  /** @returns false when its retention holds it. */
  private async deletePack({ packId, sizeBytes }: SurveyedPack): Promise<boolean> {
    const { store, place } = this.organization;
    await this.step();
    try {
      await remove(store, place.prefix + packPath(packId), this.signal);
    } catch (error) {
      if (!isRepositoryError(error, 'BLOB_LOCKED')) throw error;
      this.report.lockedPacks += 1;
      return false;
    }
    for await (const { name } of store.list(`${place.prefix}bad/`, this.signal))
      if (name.includes(packId)) await remove(store, name, this.signal);
    this.report.deletedPacks += 1;
    this.report.freedBytes += sizeBytes;
    return true;
  }

  private async condemn(
    found: Survey,
    condemned: ReadonlySet<string>,
    sessions: readonly OpenSession[],
    live: Parameters<typeof rewritePacks>[2],
  ) {
    const { organization, parts, report, signal } = this;
    const candidates = found.packs.filter((pack) => !condemned.has(pack.packId) && this.isOld(pack, sessions));
    const dead = candidates.filter((pack) => pack.liveBytes === 0 && !pack.damaged);
    // First: what follows may need more room than there is.
    await this.writeList(dead.map((pack) => pack.packId));
    const kept = organization.store.enforcesRetention ? await packsUnderLock(organization, parts.locks, signal) : new Set<string>();
    const sparse = candidates.filter((pack) => {
      if (kept.has(pack.packId)) return false;
      const deadShare = 1 - pack.liveBytes / Math.max(1, pack.recordBytes);
      return pack.liveBytes > 0 && !pack.damaged && deadShare > REWRITE_ABOVE_DEAD_SHARE;
    });
    if (sparse.length === 0) return;
    const onDamage = async (packId: string, reason: string) => {
      await this.step();
      report.unreadablePacks.push(packId);
      parts.log.warn({ packId, reason }, 'A pack with damage is left as it is');
    };
    const { packTargetBytes } = parts;
    const options = { packTargetBytes, onDamage, beforePack: () => this.step() };
    const { rewritten, waitingForRoom } = await rewritePacks(organization, sparse, live, options, signal);
    await this.writeList(rewritten);
    report.rewrittenPacks += rewritten.length;
    report.packsWaitingForRoom += waitingForRoom;
  }

  private async writeList(packIds: readonly string[]): Promise<void> {
    if (packIds.length === 0) return;
    const { store, place } = this.organization;
    await this.step();
    await writeCondemnedList(store, place.prefix, packIds, this.signal);
    this.report.condemnedPacks += packIds.length;
  }

  /** What open sessions have written is in no manifest yet; what a dead one wrote, its retry finds again. */
  private isOld(pack: SurveyedPack, sessions: readonly OpenSession[]): boolean {
    const oldestStartMs = Math.min(...sessions.map((session) => session.startedAt.getTime()));
    return pack.modifiedAt.getTime() < oldestStartMs && this.lock.now.getTime() - pack.modifiedAt.getTime() >= this.graceMs;
  }

  private waitFor(sessions: readonly OpenSession[]): void {
    for (const { restorePointId } of sessions)
      if (!this.report.waitingFor.includes(restorePointId)) this.report.waitingFor.push(restorePointId);
  }

  private async step(): Promise<void> {
    throwIfAborted(this.signal);
    await this.lock.hold(this.signal);
  }
}
