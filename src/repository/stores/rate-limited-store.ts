import { sleep } from '../../common/index.js';
import type { BlobRange, BlobStore, PutOptions } from '../types.js';
import { StoreWrapper } from './store-wrapper.js';

export interface RateLimits {
  uploadBytesPerSecond?: number | undefined;
  downloadBytesPerSecond?: number | undefined;
}

/**
 * Keeps to a number of bytes a second each way, on average over whole objects: one goes at the speed of the line, and the next waits
 * until the time of those before has passed. Objects are packs of some 32 MiB at most, so that the average is that of a few seconds.
 */
export class RateLimitedStore extends StoreWrapper {
  private readonly up: Pace | undefined;
  private readonly down: Pace | undefined;

  constructor(inner: BlobStore, limits: RateLimits) {
    super(inner);
    this.up = limits.uploadBytesPerSecond === undefined ? undefined : new Pace(limits.uploadBytesPerSecond);
    this.down = limits.downloadBytesPerSecond === undefined ? undefined : new Pace(limits.downloadBytesPerSecond);
  }

  override async put(name: string, data: Buffer | readonly Buffer[], options: PutOptions = {}): Promise<void> {
    const bytes = Buffer.isBuffer(data) ? data.length : data.reduce((sum, piece) => sum + piece.length, 0);
    await this.up?.turn(bytes, options.signal);
    return this.inner.put(name, data, options);
  }

  override async get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
    // The size of a whole object is known only when it is here: its time is taken from those after it.
    await this.down?.turn(range?.length ?? 0, signal);
    const bytes = await this.inner.get(name, range, signal);
    if (range === undefined) this.down?.charge(bytes.length);
    return bytes;
  }
}

/** When the line is free again, as if every byte so far had gone at the allowed speed. */
class Pace {
  private freeAtMs = 0;

  constructor(private readonly bytesPerSecond: number) {
    if (!(bytesPerSecond > 0)) throw new RangeError(`A rate of ${bytesPerSecond} bytes per second lets nothing through`);
  }

  /** Waits for the end of what was before; first come, first served. */
  async turn(bytes: number, signal?: AbortSignal): Promise<void> {
    const waitMs = this.freeAtMs - performance.now();
    this.charge(bytes);
    if (waitMs > 0) await sleep(waitMs, signal);
  }

  charge(bytes: number): void {
    this.freeAtMs = Math.max(this.freeAtMs, performance.now()) + (bytes / this.bytesPerSecond) * 1000;
  }
}
