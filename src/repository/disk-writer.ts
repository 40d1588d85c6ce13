import { throwIfAborted } from '../common/index.js';
import { invalidArgument } from './errors.js';
import { chunkCount, chunkLength } from './format.js';
import { IndexPages, type ChunkId } from './index-pages.js';
import type { Organization } from './organization.js';
import type { NewRecord, RepositorySession } from './session.js';
import type { DiskIndexRef, DiskWriter, WriteTally } from './types.js';

/** One native batch: smaller ones keep the event loop busier than the threads (measured: docs/decisions/0014). */
const BATCH_BYTES = 4 * 1024 * 1024;

interface Chunk {
  chunkIndex: number;
  offset: number;
  length: number;
}

export interface DiskOptions {
  diskId: string;
  capacityBytes: number;
  chunkBytes: number;
  basePageIds: Buffer | undefined;
}

export class DiskWriterSession implements DiskWriter {
  readonly tally: WriteTally = emptyTally();
  private readonly pages: IndexPages;
  private finished = false;
  /** What became of chunks that were not stored: the disk has a hole, and no restore point may have it. */
  private failure: { reason: unknown } | undefined;

  constructor(
    private readonly session: RepositorySession,
    private readonly organization: Organization,
    private readonly disk: DiskOptions,
  ) {
    this.pages = new IndexPages(session, disk);
  }

  get chunkBytes(): number {
    return this.disk.chunkBytes;
  }

  async write(memory: Buffer, chunks: readonly Chunk[], signal?: AbortSignal): Promise<WriteTally> {
    this.checkOpen();
    for (const chunk of chunks) this.checkChunk(memory, chunk);
    const outcomes = await Promise.allSettled(batches(chunks).map((batch) => this.writeBatch(memory, batch, signal)));
    // All have settled: none still reads from the caller's memory when an error is thrown.
    const sum = emptyTally();
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        this.failure = { reason: outcome.reason };
        throw outcome.reason;
      }
      addTally(sum, outcome.value);
    }
    addTally(this.tally, sum);
    return sum;
  }

  zero(firstChunkIndex: number, count: number): void {
    this.checkOpen();
    const total = chunkCount(this.disk.capacityBytes, this.disk.chunkBytes);
    if (
      !Number.isSafeInteger(firstChunkIndex) ||
      !Number.isSafeInteger(count) ||
      firstChunkIndex < 0 ||
      count < 0 ||
      firstChunkIndex + count > total
    ) {
      throw invalidArgument(`Disk "${this.disk.diskId}" has ${total} chunks; ${count} from ${firstChunkIndex} on are not all among them`);
    }
    this.pages.zero(firstChunkIndex, count);
    this.tally.chunks += count;
    this.tally.zeroChunks += count;
  }

  async finish(signal?: AbortSignal): Promise<DiskIndexRef> {
    this.checkOpen();
    if (this.failure) throw this.failure.reason;
    this.finished = true;
    const { capacityBytes, chunkBytes } = this.disk;
    const id = await this.pages.finish(signal);
    return { indexId: id.toString('hex'), capacityBytes, chunkBytes };
  }

  private async writeBatch(memory: Buffer, chunks: readonly Chunk[], signal?: AbortSignal): Promise<WriteTally> {
    throwIfAborted(signal);
    const { lane, place } = this.organization;
    const { zero, digests } = await lane.inspect(memory, chunks, place.keys.digestKey('data'), signal);
    const ids: ChunkId[] = [];
    const records: NewRecord[] = [];
    for (const [i, { chunkIndex, offset, length }] of chunks.entries()) {
      const digest = zero[i] === 1 ? undefined : Buffer.from(digests.subarray(i * 32, i * 32 + 32));
      ids.push({ chunkIndex, digest });
      if (digest) records.push({ offset, length, digest });
    }
    const tally = await this.session.storeChunks(memory, records, signal);
    await this.pages.assign(ids, signal);
    tally.chunks = chunks.length;
    tally.zeroChunks = chunks.length - records.length;
    return tally;
  }

  private checkOpen(): void {
    this.session.checkOpen();
    if (this.finished) throw invalidArgument(`Disk "${this.disk.diskId}" is finished and takes no more chunks`);
  }

  private checkChunk(memory: Buffer, { chunkIndex, offset, length }: Chunk): void {
    const { capacityBytes, chunkBytes, diskId } = this.disk;
    if (!Number.isSafeInteger(chunkIndex) || chunkIndex < 0 || chunkIndex >= chunkCount(capacityBytes, chunkBytes)) {
      throw invalidArgument(`Disk "${diskId}" has no chunk ${chunkIndex}`);
    }
    if (length !== chunkLength(chunkIndex, capacityBytes, chunkBytes)) {
      throw invalidArgument(`Chunk ${chunkIndex} of disk "${diskId}" was given as ${length} bytes, which is not a whole chunk`);
    }
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + length > memory.length) {
      throw invalidArgument(`Chunk ${chunkIndex} of disk "${diskId}" lies outside the memory it was given in`);
    }
  }
}

function batches(chunks: readonly Chunk[]): Chunk[][] {
  const result: Chunk[][] = [];
  let bytes = BATCH_BYTES;
  for (const chunk of chunks) {
    if (bytes + chunk.length > BATCH_BYTES) {
      result.push([]);
      bytes = 0;
    }
    result.at(-1)?.push(chunk);
    bytes += chunk.length;
  }
  return result;
}

function emptyTally(): WriteTally {
  return { chunks: 0, zeroChunks: 0, knownChunks: 0, newChunks: 0, newBytes: 0, storedBytes: 0 };
}

function addTally(sum: WriteTally, more: Readonly<WriteTally>): void {
  for (const field of Object.keys(sum) as (keyof WriteTally)[]) sum[field] += more[field];
}
