import { SECTOR_BYTES } from '../common/index.js';
import { BoundedExtents, type Extent } from '../disk/index.js';
import { encodeBatch, FrameType } from './frames.js';
import type { Answer, CallOptions, HostProcess } from './host-process.js';
import { DiskTurns } from './disk-turns.js';
import { VddkError } from './vddk-error.js';
import type { IoRequest, OnWidened, VddkDiskApi, VddkSettings } from './types.js';

export type HostCallOptions = Omit<CallOptions, 'timeoutMs'> & { timeoutMs?: number };

/** Calls that VDDK wants on its designated thread, one after another (guide, "Multithreading considerations"). */
export interface HostCalls {
  readonly process: HostProcess;
  readonly settings: VddkSettings;
  call(request: object, options: HostCallOptions, signal?: AbortSignal, onLate?: (answer: Answer) => void): Promise<Answer>;
}

/**
 * One open disk. Its calls wait for each other: VDDK allows one at a time on a handle. Batches of
 * reads and writes overlap, because the host submits them all from one thread.
 */
export class VddkDisk implements VddkDiskApi {
  private readonly turns = new DiskTurns();
  private readonly number: string;
  private closing: Promise<void> | undefined;
  readonly capacityBytes: number;
  readonly transportMode: string;

  /** @throws VddkError when the capacity is beyond what this service can address. */
  constructor(
    private readonly host: HostCalls,
    readonly path: string,
    opened: Answer,
  ) {
    this.number = String(opened.disk);
    this.transportMode = String(opened.transportMode);
    this.capacityBytes = Number(opened.capacitySectors) * SECTOR_BYTES;
    if (!Number.isSafeInteger(this.capacityBytes) || this.capacityBytes <= 0) {
      throw new VddkError(`${path} has a capacity of ${String(opened.capacitySectors)} sectors, which cannot be right`, {
        code: 'VDDK_CAPACITY',
        subject: path,
      });
    }
  }

  async metadata(signal?: AbortSignal): Promise<Record<string, string>> {
    const answer = await this.call({ op: 'metadata' }, 'read the metadata of', signal);
    return Object.fromEntries(answer.entries as [string, string][]);
  }

  async writeMetadata(entries: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void> {
    await this.call({ op: 'writeMetadata', entries: Object.entries(entries) }, 'write the metadata of', signal);
  }

  async queryAllocated(signal?: AbortSignal, onWidened?: OnWidened): Promise<Extent[] | undefined> {
    const found = new BoundedExtents();
    const collect = (extents: Extent[]) => found.add(extents);
    const answer = await this.call({ op: 'queryAllocated' }, 'list the allocated blocks of', signal, { onExtents: collect });
    if (answer.known !== true) return undefined;
    const { extents, widenedBytes } = found.take();
    if (widenedBytes > 0) onWidened?.(widenedBytes);
    return extents;
  }

  read(requests: readonly IoRequest[], signal?: AbortSignal): Promise<void> {
    return this.transfer(FrameType.read, requests, 'read', signal);
  }

  write(requests: readonly IoRequest[], signal?: AbortSignal): Promise<void> {
    return this.transfer(FrameType.write, requests, 'write', signal);
  }

  async flush(signal?: AbortSignal): Promise<void> {
    await this.call({ op: 'flush' }, 'flush', signal);
  }

  /** Safe to call twice. What was written is durable only when this (or flush) has resolved. */
  close(hurry?: AbortSignal): Promise<void> {
    this.closing ??= this.call({ op: 'close' }, 'close', undefined, { hurry, hurryMs: this.host.settings.hurry?.closeMs }).then(
      () => undefined,
    );
    return this.closing;
  }

  /** An aborted call keeps its turn until the library has come back from it, or its process is gone. */
  private async call(
    request: object,
    verb: string,
    signal?: AbortSignal,
    more: Pick<HostCallOptions, 'onExtents' | 'hurry' | 'hurryMs'> = {},
  ): Promise<Answer> {
    const onSettled = await this.turns.alone(signal);
    const options = { activity: `${verb} ${this.path}`, subject: this.path, onSettled, ...more };
    return this.host.call({ ...request, disk: this.number }, options, signal);
  }

  private async transfer(type: 3 | 4, requests: readonly IoRequest[], verb: string, signal?: AbortSignal): Promise<void> {
    if (requests.length === 0) return;
    for (const request of requests) this.check(request);
    const { operationTimeoutMs } = this.host.settings;
    const options = { activity: `${verb} ${this.path}`, subject: this.path, timeoutMs: operationTimeoutMs };
    const release = await this.turns.together(signal);
    try {
      await this.host.process.batch(type, this.number, encodeBatch(this.number, requests), options, signal);
    } finally {
      release();
    }
  }

  /** A wrong offset is a defect of ours, found before it becomes somebody's damaged disk. */
  private check({ offsetBytes, lengthBytes, memoryOffset }: IoRequest): void {
    const { memoryBytes, maxRequestBytes } = this.host.settings;
    const whole = [offsetBytes, lengthBytes, memoryOffset].every((n) => Number.isSafeInteger(n) && n >= 0);
    const sectors = offsetBytes % SECTOR_BYTES === 0 && lengthBytes % SECTOR_BYTES === 0;
    const fits =
      lengthBytes > 0 &&
      lengthBytes <= maxRequestBytes &&
      memoryOffset + lengthBytes <= memoryBytes &&
      offsetBytes + lengthBytes <= this.capacityBytes;
    if (whole && sectors && fits) return;
    throw new VddkError(`A request of ${lengthBytes} bytes at ${offsetBytes} (memory ${memoryOffset}) does not fit ${this.path}`, {
      code: 'VDDK_BAD_REQUEST',
      subject: this.path,
    });
  }
}
