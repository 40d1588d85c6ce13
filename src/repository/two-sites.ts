import { describeError, type Logger, TimeoutError, withTimeout } from '../common/index.js';
import { RepositoryError } from './errors.js';
import type { CollectOptions, CollectReport } from './gc.js';
import type { Repository } from './repository.js';
import { ANSWER_TIMEOUT_MS, type SecondSite } from './second-site.js';
import { TwoSiteDiskReader } from './two-site-disk-reader.js';
import type { BackupSession, DiskIndexRef, DiskReader, HoldOptions, Manifest, ManifestRef, RepositoryApi, Site } from './types.js';
import type { VerifyOptions, VerifyReport } from './verify.js';

/** After a failure to reach it, the first site is not asked first again for this long: a read would wait for its retries each time. */
const OUTAGE_MS = 60_000;
const UNREACHABLE = /^REPOSITORY_(UNREACHABLE|TIMEOUT|DENIED|REFUSED)$/;
/** A key that is not there was destroyed, and a restore point that is not there was deleted: those are answers. */
const DAMAGED = /^(?!ORGANIZATION_KEY_MISSING$).*_(DAMAGED|MISSING|TRUNCATED)$/;

/**
 * A repository with a second site. What is written goes to the first; what is read comes from the first, and from the second where
 * the first cannot be reached or holds it damaged - each read by itself.
 */
export class TwoSites implements RepositoryApi {
  private firstOutUntilMs = 0;

  constructor(
    private readonly first: Repository,
    readonly secondSite: SecondSite,
    private readonly log: Logger,
    /** Reads come from here and nowhere else. */
    private readonly only?: Site,
  ) {}

  get repositoryId(): string {
    return this.first.repositoryId;
  }

  get defaultChunkBytes(): number {
    return this.first.defaultChunkBytes;
  }

  get enforcesRetention(): boolean {
    return this.first.enforcesRetention;
  }

  at(site: Site): RepositoryApi {
    return new TwoSites(this.first, this.secondSite, this.log, site);
  }

  beginSession(organizationId: string, restorePointId: string, signal?: AbortSignal): Promise<BackupSession> {
    return this.first.beginSession(organizationId, restorePointId, signal);
  }

  async *listManifests(signal?: AbortSignal, onDamaged?: (error: RepositoryError) => void): AsyncGenerator<ManifestRef> {
    let begun = false;
    try {
      if (this.only !== 'second') {
        for await (const ref of this.first.listManifests(signal, onDamaged)) {
          begun = true;
          yield ref;
        }
        return;
      }
    } catch (error) {
      if (begun || this.only || !isUnreachable(error)) throw error;
      this.noteOutage(error);
    }
    yield* (await this.secondSite.repository(signal)).listManifests(signal, onDamaged);
  }

  readManifest(ref: ManifestRef, signal?: AbortSignal): Promise<Manifest> {
    return this.either((repository) => repository.readManifest(ref, signal), signal);
  }

  readDocument(ref: ManifestRef, documentId: string, signal?: AbortSignal): Promise<Buffer> {
    return this.either((repository) => repository.readDocument(ref, documentId, signal), signal);
  }

  async openDisk(ref: ManifestRef, disk: { diskId: string } & DiskIndexRef, signal?: AbortSignal): Promise<DiskReader> {
    const reader = new TwoSiteDiskReader(disk, (repository, aborted) => repository.openDisk(ref, disk, aborted), {
      either: (ask, aborted) => this.either(ask, aborted),
      elsewhere: isElsewhere,
    });
    await reader.open(signal);
    return reader;
  }

  assertDeletable(ref: ManifestRef, signal?: AbortSignal): Promise<void> {
    return this.first.assertDeletable(ref, signal);
  }

  deleteManifest(ref: ManifestRef, signal?: AbortSignal): Promise<void> {
    return this.first.deleteManifest(ref, signal);
  }

  async lockRestorePoint(ref: ManifestRef, until: Date, signal?: AbortSignal): Promise<Date> {
    const locked = await this.first.lockRestorePoint(ref, until, signal);
    await this.soonAtSecond('The lock', (second, soon) => second.lockRestorePoint(ref, until, soon), signal);
    return locked;
  }

  lockedUntil(ref: ManifestRef, signal?: AbortSignal): Promise<Date | undefined> {
    return this.either((repository) => repository.lockedUntil(ref, signal), signal);
  }

  async setLegalHold(ref: ManifestRef, held: boolean, signal?: AbortSignal): Promise<void> {
    await this.first.setLegalHold(ref, held, signal);
    await this.soonAtSecond('The legal hold', (second, soon) => second.setLegalHold(ref, held, soon), signal);
  }

  heldRestorePoints(organizationId: string, signal?: AbortSignal): Promise<string[]> {
    return this.either((repository) => repository.heldRestorePoints(organizationId, signal), signal);
  }

  async holdRestorePoint(ref: ManifestRef, options?: HoldOptions): Promise<number> {
    const atFirst = await this.first.holdRestorePoint(ref, options);
    const atSecond = await this.alsoAtSecond('The retention', (second) => second.holdRestorePoint(ref, options), options?.signal);
    return atFirst + (atSecond ?? 0);
  }

  async holdLocked(options?: HoldOptions): Promise<{ restorePoints: number; objects: number }> {
    const held = await this.first.holdLocked(options);
    const atSecond = await this.alsoAtSecond('The retention', (second) => second.holdLocked(options), options?.signal);
    return { restorePoints: Math.max(held.restorePoints, atSecond?.restorePoints ?? 0), objects: held.objects + (atSecond?.objects ?? 0) };
  }

  async collectGarbage(options: CollectOptions & { site?: Site } = {}): Promise<CollectReport> {
    const { site, ...rest } = options;
    return (site === 'second' ? await this.secondSite.repository(options.signal) : this.first).collectGarbage(rest);
  }

  /** What is lost at the one site is healed from the other, where that can be reached. */
  async verify(options: VerifyOptions & { site?: Site }): Promise<VerifyReport> {
    const { site, ...rest } = options;
    if (site === 'second') return (await this.secondSite.repository(options.signal)).verify(rest, this.first);
    const second = await this.secondSite.repository(options.signal).catch((error: unknown) => {
      if (!(error instanceof RepositoryError || error instanceof TimeoutError)) throw error;
      this.log.warn({ reason: describeError(error) }, 'The second site cannot be reached: damage is found, and healed another time');
      return undefined;
    });
    return this.first.verify(rest, second);
  }

  /** @throws RepositoryError SHRED_INCOMPLETE when the second site cannot be reached: the next copy run completes it. */
  async shredOrganization(organizationId: string, signal?: AbortSignal): Promise<void> {
    const second = await this.secondSite.repository(signal).catch((error: unknown) => error);
    if (!(second instanceof Error)) await (second as Repository).locks.assertAllUnlocked(organizationId, signal);
    await this.first.shredOrganization(organizationId, signal);
    try {
      await this.secondSite.shred(organizationId, signal);
    } catch (cause) {
      throw new RepositoryError(
        `Organization ${organizationId} is shredded at the first site; the second one could not be reached (${describeError(cause)}) and follows with the next copy run`,
        { code: 'SHRED_INCOMPLETE', retryable: true, subject: organizationId, cause },
      );
    }
  }

  check(signal?: AbortSignal): Promise<void> {
    return this.first.check(signal);
  }

  usage(signal?: AbortSignal): Promise<{ packBytes: number; freeBytes: number | undefined }> {
    return this.first.usage(signal);
  }

  private async either<T>(ask: (repository: Repository) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const fromSecond = async () => ask(await this.secondSite.repository(signal));
    if (this.only === 'first') return ask(this.first);
    if (this.only === 'second') return fromSecond();
    const firstIsOut = performance.now() < this.firstOutUntilMs;
    const [preferred, other] = firstIsOut ? [fromSecond, () => ask(this.first)] : [() => ask(this.first), fromSecond];
    try {
      return await preferred();
    } catch (error) {
      if (!isElsewhere(error)) throw error;
      if (!firstIsOut && isUnreachable(error)) this.noteOutage(error);
      else this.log.warn({ reason: describeError(error) }, 'Read from the other site of the repository');
      try {
        return await other();
      } catch (second) {
        // Neither has it: what the first one says is what a person should act on.
        if (second instanceof RepositoryError || second instanceof TimeoutError) throw firstIsOut ? second : error;
        throw second;
      }
    }
  }

  private noteOutage(error: unknown): void {
    this.firstOutUntilMs = performance.now() + OUTAGE_MS;
    this.log.warn({ reason: describeError(error) }, 'The first site of the repository cannot be reached; reads come from the second');
  }

  /** What a person waits for is not held up by a second site that does not answer. */
  private async soonAtSecond(what: string, work: (second: Repository, soon: AbortSignal) => Promise<unknown>, signal?: AbortSignal) {
    const now = (soon: AbortSignal) => this.alsoAtSecond(what, (second) => work(second, soon), soon);
    await withTimeout('Reaching the second site of the repository', ANSWER_TIMEOUT_MS, signal, now).catch((error: unknown) => {
      if (!(error instanceof TimeoutError)) throw error;
      this.log.warn({ reason: describeError(error) }, `${what} is not at the second site yet; the next copy run brings it there`);
    });
  }

  /** What the next copy run does as well, sooner. */
  private async alsoAtSecond<T>(what: string, work: (second: Repository) => Promise<T>, signal?: AbortSignal): Promise<T | undefined> {
    try {
      return await work(await this.secondSite.repository(signal));
    } catch (error) {
      if (!(error instanceof RepositoryError || error instanceof TimeoutError)) throw error;
      // Not copied yet.
      if (/^(RESTORE_POINT_NOT_FOUND|ORGANIZATION_KEY_MISSING)$/.test(error.code)) return undefined;
      this.log.warn({ reason: describeError(error) }, `${what} is not at the second site yet; the next copy run brings it there`);
      return undefined;
    }
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof RepositoryError && UNREACHABLE.test(error.code);
}

/** Whether the other site may well answer. */
export function isElsewhere(error: unknown): boolean {
  return error instanceof RepositoryError && (UNREACHABLE.test(error.code) || DAMAGED.test(error.code));
}
