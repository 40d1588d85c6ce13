import { isRepositoryError } from './errors.js';
import type { BlobStore } from './types.js';

const CLOCK_NAME = 'clock.json';
/** How much faster than a running process its clock may catch up with the machine's. */
const CATCH_UP = 2;
/** A statement of the time that is no older needs no new one. */
const KEEP_EVERY_MS = 10 * 60_000;

/** Where the time comes from; a test has its own. */
export interface TimeSource {
  /** Of the machine, which anybody may set. */
  wallMs(): number;
  /** Of this process alone; only differences mean something. */
  elapsedMs(): number;
}

export const MACHINE_TIME: TimeSource = { wallMs: () => Date.now(), elapsedMs: () => performance.now() };

/**
 * The time by which locks end. It is never ahead of the machine's clock, and goes on from the time that was last seen in this
 * repository (`clock.json`) at twice the speed of a running process at most: a clock that was set forward by ten years, by accident or
 * by somebody who wants locks to end, gains an hour for an hour of service. After a standstill of a week it is right again a week
 * later, and until then locks last longer, never shorter. Against who can write to the folder itself only the retention of the store helps.
 */
export class VaultClock {
  private readonly startedMs: number;
  private keptMs = Number.NEGATIVE_INFINITY;

  private constructor(
    private readonly store: BlobStore,
    private readonly seenMs: number,
    private readonly time: TimeSource,
  ) {
    this.startedMs = time.elapsedMs();
  }

  static async load(store: BlobStore, time: TimeSource = MACHINE_TIME, signal?: AbortSignal): Promise<VaultClock> {
    return new VaultClock(store, (await lastSeen(store, signal)) ?? time.wallMs(), time);
  }

  now(): Date {
    const { time } = this;
    return new Date(Math.min(time.wallMs(), this.seenMs + CATCH_UP * (time.elapsedMs() - this.startedMs)));
  }

  /** States the time for who comes after; several may, and the latest counts. */
  async keep(signal?: AbortSignal): Promise<void> {
    const elapsedMs = this.time.elapsedMs();
    if (elapsedMs - this.keptMs < KEEP_EVERY_MS) return;
    const seenMs = Math.max(this.now().getTime(), (await lastSeen(this.store, signal)) ?? 0);
    await this.store.put(CLOCK_NAME, Buffer.from(`${JSON.stringify({ seen: new Date(seenMs).toISOString() })}\n`), { signal });
    this.keptMs = elapsedMs;
  }
}

/** A statement that cannot be read counts as none: it protects, and must not stop anything. */
async function lastSeen(store: BlobStore, signal?: AbortSignal): Promise<number | undefined> {
  try {
    const stated = JSON.parse((await store.get(CLOCK_NAME, undefined, signal)).toString('utf8')) as { seen?: unknown } | null;
    const seenMs = Date.parse(String(stated?.seen));
    return Number.isNaN(seenMs) ? undefined : seenMs;
  } catch (error) {
    if (error instanceof SyntaxError || isRepositoryError(error, 'BLOB_NOT_FOUND')) return undefined;
    throw error;
  }
}
