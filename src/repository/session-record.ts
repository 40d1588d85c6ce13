import { newId, withTimeout } from '../common/index.js';
import { RepositoryError, isCutShort, isRepositoryError } from './errors.js';
import { SPARE_ROOM_BYTES } from './spare-room.js';
import type { BlobStore } from './types.js';

export interface SessionTimes {
  /** How often a session says that it lives. */
  heartbeatMs: number;
  /** Silent for this long, by the store's clock, a session is dead and collectors no longer wait for it. */
  expiryMs: number;
}

export const SESSION_TIMES: SessionTimes = { heartbeatMs: 60_000, expiryMs: 60 * 60_000 };

/** Whoever ends a session has a cloud to clean up, whether the store answers or not. */
const END_TIMEOUT_MS = 30_000;

/** What a record says, as a collector reads it. */
export interface OpenSession {
  name: string;
  restorePointId: string;
  /** By the store's clock. */
  startedAt: Date;
  lastSeenAt: Date;
  /** The condemned lists it knew before it relied on anything. */
  knows: ReadonlySet<string>;
}

interface RecordText {
  /** The last part of its name: under another name it says nothing. */
  id: string;
  restorePointId: string;
  startedAt?: string;
  knows: string[];
}

/**
 * The sign of an open session (docs/concurrency.md): there before the session relies on any
 * chunk, gone only after its manifest is there. Until `confirm` it knows no condemned list.
 *
 * It need not outlive a loss of power: the session itself does not where it runs on the machine that has the files, and elsewhere it
 * finds its record missing and does not publish (docs/concurrency.md, Clocks and sleepers).
 */
export class SessionRecord {
  private readonly name: string;
  private text: RecordText;
  private timer: NodeJS.Timeout | undefined;
  private beating: Promise<void> | undefined;
  private lastSeenMs = Date.now();
  private lost = false;

  private constructor(
    private readonly store: BlobStore,
    prefix: string,
    restorePointId: string,
    private readonly times: SessionTimes,
  ) {
    const id = newId();
    this.name = `${prefix}sessions/${id}`;
    this.text = { id, restorePointId, knows: [] };
  }

  static async begin(
    store: BlobStore,
    prefix: string,
    restorePointId: string,
    times: SessionTimes,
    signal?: AbortSignal,
  ): Promise<SessionRecord> {
    const record = new SessionRecord(store, prefix, restorePointId, times);
    // Where there is no room for packs, it is said before anything is asked of a cloud for them.
    await store.put(record.name, record.encode(), { ifAbsent: true, durable: false, leaveFreeBytes: SPARE_ROOM_BYTES, signal });
    return record;
  }

  /** @param knows names of the condemned lists that were read after this record was there. */
  async confirm(knows: readonly string[], signal?: AbortSignal): Promise<void> {
    let startedAt: string | undefined;
    for await (const entry of this.store.list(this.name, signal)) startedAt = entry.modifiedAt.toISOString();
    this.text = { ...this.text, ...(startedAt !== undefined && { startedAt }), knows: [...knows] };
    await this.store.put(this.name, this.encode(), { durable: false, signal });
    this.seen(Date.now());
    this.timer = setInterval(() => {
      this.beating ??= this.beat()
        .catch(() => undefined)
        .finally(() => {
          this.beating = undefined;
        });
    }, this.times.heartbeatMs);
    this.timer.unref();
  }

  /**
   * Half the expiry is left for the store's clock and for what is under way.
   * @throws RepositoryError SESSION_EXPIRED when collectors may have taken the session for dead.
   */
  check(): void {
    if (this.lost || Date.now() - this.lastSeenMs > this.times.expiryMs / 2) throw this.expired();
  }

  /** Asks the store itself. @throws RepositoryError SESSION_EXPIRED. */
  async assertOpen(signal?: AbortSignal): Promise<void> {
    this.check();
    // A collector that gave this session up has removed its record.
    this.lost ||= (await this.store.size(this.name, signal)) === undefined;
    this.check();
  }

  /** Never throws: a record that stays costs collectors a wait until it expires. */
  async end(): Promise<void> {
    clearInterval(this.timer);
    const removed = withTimeout('Ending the session', END_TIMEOUT_MS, undefined, async (signal) => {
      // Or its put would bring the record back after the deletion.
      await this.beating;
      await this.store.delete(this.name, signal);
    });
    await removed.catch(() => undefined);
  }

  private async beat(): Promise<void> {
    const asked = Date.now();
    // First: putting back a record that a collector has removed would undo that.
    await this.assertOpen();
    await this.store.put(this.name, this.encode(), { durable: false });
    this.seen(asked);
  }

  private seen(atMs: number): void {
    this.lastSeenMs = atMs;
  }

  private encode(): Buffer {
    return Buffer.from(`${JSON.stringify(this.text)}\n`);
  }

  private expired(): RepositoryError {
    return new RepositoryError(
      `The session of restore point ${this.text.restorePointId} could not reach the repository for too long, so its chunks may have been collected; start the backup again`,
      { code: 'SESSION_EXPIRED', retryable: true, subject: this.text.restorePointId },
    );
  }
}

/** A record that cannot be understood counts as a session that knows nothing: it makes collectors wait, never delete. */
export async function readSessions(store: BlobStore, prefix: string, signal?: AbortSignal): Promise<OpenSession[]> {
  const sessions: OpenSession[] = [];
  for await (const { name, modifiedAt } of store.list(`${prefix}sessions/`, signal)) {
    let text: Buffer = Buffer.alloc(0);
    try {
      text = await store.get(name, undefined, signal);
    } catch (error) {
      // Ended since the listing: what it made is in a manifest, which whoever asks reads after this.
      if (isRepositoryError(error, 'BLOB_NOT_FOUND')) continue;
      if (!isCutShort(error)) throw error;
    }
    sessions.push({ name, lastSeenAt: modifiedAt, ...decodeSessionRecord(name, text, modifiedAt) });
  }
  return sessions;
}

export const UNKNOWN_SESSION = 'unknown';

export function decodeSessionRecord(
  name: string,
  bytes: Buffer,
  modifiedAt: Date,
): Pick<OpenSession, 'restorePointId' | 'startedAt' | 'knows'> {
  try {
    const { id, restorePointId, startedAt, knows } = JSON.parse(bytes.toString('utf8')) as Partial<RecordText>;
    if (id !== undefined && !name.endsWith(`/${id}`)) throw new RangeError('of another session');
    const started = startedAt === undefined ? modifiedAt : new Date(startedAt);
    if (typeof restorePointId !== 'string' || !Array.isArray(knows) || Number.isNaN(started.getTime())) throw new RangeError('incomplete');
    return { restorePointId, startedAt: started, knows: new Set(knows) };
  } catch {
    return { restorePointId: UNKNOWN_SESSION, startedAt: new Date(0), knows: new Set() };
  }
}
