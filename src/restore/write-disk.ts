import { KIB, throughPlaces } from '../common/index.js';
import type { Extent } from '../disk/index.js';
import type { DiskReader } from '../repository/index.js';
import { type IoRequest, type VddkDiskApi, VddkError, WRITES_IN_DOUBT } from '../vddk/index.js';

export interface WriteDiskOptions {
  disk: Pick<VddkDiskApi, 'write' | 'flush'>;
  reader: DiskReader;
  /** Chunks to write, ascending, in pages. Without it those that hold data: right for an empty disk, where all else is zero. */
  chunks?: AsyncIterable<number[]>;
  /**
   * What the disk has allocated, ascending: zeros elsewhere are there already, and writing them would make a thin disk
   * fat. Undefined: nobody can tell, so all zeros are written.
   */
  allocated?: readonly Extent[] | undefined;
  memory: Buffer;
  maxRequestBytes: number;
  onProgress: (doneBytes: number) => void;
  signal: AbortSignal;
}

const WINDOW_TARGET_BYTES = 4 * 1024 * 1024;
/** What may have to be written again when a connection is lost, in windows: some seconds' worth. */
const WINDOWS_PER_FLUSH = 64;
/** Grain in which zeros are left out: the smallest that a thin disk or change tracking counts in. */
const ZERO_GRAIN_BYTES = 64 * KIB;
const ZEROS = Buffer.alloc(ZERO_GRAIN_BYTES);

interface Tally {
  /** Of the chunks: how far it has come. */
  doneBytes: number;
  /** Over VDDK. */
  writtenBytes: number;
}

/**
 * Writes chunks, those without data as zeros, several windows ahead and in no particular order: fetching,
 * checking and decompressing one while another is written. What was written is durable when this resolves.
 *
 * @returns bytes written over VDDK, each counted once.
 * @throws the first failure, after all windows in flight came to rest.
 */
export async function writeDisk(options: WriteDiskOptions): Promise<number> {
  const { reader, memory } = options;
  const { chunkBytes } = reader;
  const windowBytes = Math.max(chunkBytes, Math.floor(WINDOW_TARGET_BYTES / chunkBytes) * chunkBytes);
  const windowCount = Math.floor(memory.length / windowBytes);
  if (windowCount < 1) throw new RangeError(`Writing needs at least ${windowBytes} bytes of shared memory`);
  const offsets = Array.from({ length: windowCount }, (_, i) => i * windowBytes);
  let tally: Tally = { doneBytes: 0, writtenBytes: 0 };
  const windows = inGroups(options.chunks ?? reader.dataChunks(options.signal), windowBytes / chunkBytes);
  for await (const stretch of inGroups(windowsAsPages(windows), WINDOWS_PER_FLUSH)) {
    tally = await writeStretch(stretch, offsets, tally, options);
  }
  return tally.writtenBytes;
}

/** Up to a flush, and all of it again where the connection was lost before: nobody knows what of it has arrived. */
async function writeStretch(
  windows: readonly number[][],
  offsets: readonly number[],
  before: Tally,
  options: WriteDiskOptions,
): Promise<Tally> {
  const { reader, memory, disk } = options;
  const { chunkBytes, capacityBytes } = reader;
  for (;;) {
    const tally = { ...before };
    try {
      await throughPlaces(windows, offsets, options.signal, async (chunkIndices, base, signal) => {
        const chunks = chunkIndices.map((chunkIndex, i) => ({ chunkIndex, offset: base + i * chunkBytes }));
        await reader.read(memory, chunks, signal);
        const requests = requestsFor(chunks, options);
        if (requests.length > 0) await disk.write(requests, signal);
        for (const { lengthBytes } of requests) tally.writtenBytes += lengthBytes;
        for (const { chunkIndex } of chunks) tally.doneBytes += Math.min(chunkBytes, capacityBytes - chunkIndex * chunkBytes);
        options.onProgress(tally.doneBytes);
      });
      await disk.flush(options.signal);
      return tally;
    } catch (error) {
      // The disk counts how often: when it has no more tries, it says what is wrong instead.
      if (!(error instanceof VddkError && error.code === WRITES_IN_DOUBT)) throw error;
    }
  }
}

async function* windowsAsPages(windows: AsyncIterable<number[]>): AsyncGenerator<number[][]> {
  for await (const window of windows) yield [window];
}

async function* inGroups<T>(pages: AsyncIterable<T[]>, size: number): AsyncGenerator<T[]> {
  let group: T[] = [];
  for await (const page of pages) {
    for (const item of page) {
      group.push(item);
      if (group.length < size) continue;
      yield group;
      group = [];
    }
  }
  if (group.length > 0) yield group;
}

/** Neighbours on the disk are neighbours in memory: they become one request up to the limit. */
function requestsFor(chunks: readonly { chunkIndex: number; offset: number }[], options: WriteDiskOptions): IoRequest[] {
  const { memory, allocated, maxRequestBytes } = options;
  const { chunkBytes, capacityBytes } = options.reader;
  const stepBytes = Math.min(ZERO_GRAIN_BYTES, maxRequestBytes);
  const requests: IoRequest[] = [];
  for (const { chunkIndex, offset } of chunks) {
    const startBytes = chunkIndex * chunkBytes;
    const length = Math.min(chunkBytes, capacityBytes - startBytes);
    for (let done = 0; done < length; done += stepBytes) {
      const piece: IoRequest = {
        offsetBytes: startBytes + done,
        lengthBytes: Math.min(stepBytes, length - done),
        memoryOffset: offset + done,
      };
      if (allocated === undefined || !isZero(memory, piece) || touches(allocated, piece)) append(requests, piece, maxRequestBytes);
    }
  }
  return requests;
}

function append(requests: IoRequest[], piece: IoRequest, maxRequestBytes: number): void {
  const last = requests.at(-1);
  const isNext =
    last !== undefined &&
    last.offsetBytes + last.lengthBytes === piece.offsetBytes &&
    last.memoryOffset + last.lengthBytes === piece.memoryOffset;
  if (isNext && last.lengthBytes + piece.lengthBytes <= maxRequestBytes) last.lengthBytes += piece.lengthBytes;
  else requests.push(piece);
}

function isZero(memory: Buffer, { memoryOffset, lengthBytes }: IoRequest): boolean {
  return memory.compare(ZEROS, 0, lengthBytes, memoryOffset, memoryOffset + lengthBytes) === 0;
}

/** Whether a byte of the piece lies in an extent: by bisection, because windows are written in no particular order. */
function touches(extents: readonly Extent[], { offsetBytes, lengthBytes }: IoRequest): boolean {
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const extent = extents[middle] as Extent;
    if (extent.offsetBytes + extent.lengthBytes <= offsetBytes) low = middle + 1;
    else high = middle;
  }
  const first = extents[low];
  return first !== undefined && first.offsetBytes < offsetBytes + lengthBytes;
}
