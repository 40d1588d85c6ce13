import { throughPlaces } from '../common/index.js';
import { alignExtents, subtractExtents, totalBytes, type CopyPlan, type Extent } from '../disk/index.js';
import type { DiskWriter } from '../repository/index.js';
import type { IoRequest, VddkDiskApi } from '../vddk/index.js';

export interface CopyDiskOptions {
  disk: Pick<VddkDiskApi, 'read'>;
  /** The part of the host's shared memory this copy may use. */
  memory: { buffer: Buffer; offset: number; length: number };
  plan: CopyPlan;
  writer: DiskWriter;
  maxRequestBytes: number;
  onProgress: (doneBytes: number) => void;
  signal: AbortSignal;
}

/** Bytes of a window: small enough that several are in flight, large enough that a message to the host is cheap. */
const WINDOW_TARGET_BYTES = 4 * 1024 * 1024;

/**
 * Copies what the plan names from an open disk into the repository: reading one window while
 * others are digested, compressed and sealed. Memory is the windows and nothing else, whatever
 * the size of the disk.
 *
 * @returns bytes read over VDDK.
 * @throws the first failure, after every window in flight has come to rest: the memory is shared
 *   with another process, and the disk must not be closed under a running read.
 */
export async function copyDisk(options: CopyDiskOptions): Promise<number> {
  const { plan, writer } = options;
  const chunkBytes = writer.chunkBytes;
  const needed = alignExtents(plan.read, chunkBytes, plan.capacityBytes);
  recordZeroChunks(subtractExtents(plan.touched, needed), writer, chunkBytes);

  const windowBytes = Math.max(chunkBytes, Math.floor(WINDOW_TARGET_BYTES / chunkBytes) * chunkBytes);
  const offsets = windowOffsets(options.memory, windowBytes);
  let doneBytes = 0;
  const stream = windows(needed, plan.read, chunkBytes, windowBytes, plan.capacityBytes);
  await throughPlaces(stream, offsets, options.signal, async (window, offset, signal) => {
    await copyWindow(options, window, offset, signal);
    for (const chunk of window.chunks) doneBytes += totalBytes(chunk.read);
    options.onProgress(doneBytes);
  });
  return totalBytes(plan.read);
}

function windowOffsets(memory: CopyDiskOptions['memory'], windowBytes: number): number[] {
  const count = Math.floor(memory.length / windowBytes);
  if (count < 1) throw new RangeError(`Copying needs at least ${windowBytes} bytes of shared memory`);
  return Array.from({ length: count }, (_, i) => memory.offset + i * windowBytes);
}

/** Whole chunks in order, each with what must be read of it; the rest of it is zero. */
interface Window {
  chunks: { chunkIndex: number; length: number; read: Extent[] }[];
}

async function copyWindow(options: CopyDiskOptions, window: Window, base: number, signal: AbortSignal): Promise<void> {
  const { buffer } = options.memory;
  const chunkBytes = options.writer.chunkBytes;
  const requests: IoRequest[] = [];
  const placed = window.chunks.map((chunk, i) => {
    const startBytes = chunk.chunkIndex * chunkBytes;
    const offset = base + i * chunkBytes;
    // What is not allocated is zero; the memory still holds an earlier window.
    for (const gap of subtractExtents([{ offsetBytes: startBytes, lengthBytes: chunk.length }], chunk.read)) {
      const from = offset + gap.offsetBytes - startBytes;
      buffer.fill(0, from, from + gap.lengthBytes);
    }
    for (const e of chunk.read) {
      pushRequest(requests, { ...e, memoryOffset: offset + e.offsetBytes - startBytes }, options.maxRequestBytes);
    }
    return { chunkIndex: chunk.chunkIndex, offset, length: chunk.length };
  });
  await options.disk.read(requests, signal);
  await options.writer.write(buffer, placed, signal);
}

/** Joins neighbours: chunks next to each other on the disk and in memory become one request. */
function pushRequest(requests: IoRequest[], request: IoRequest, maxRequestBytes: number): void {
  const last = requests.at(-1);
  if (
    last &&
    last.offsetBytes + last.lengthBytes === request.offsetBytes &&
    last.memoryOffset + last.lengthBytes === request.memoryOffset &&
    last.lengthBytes + request.lengthBytes <= maxRequestBytes
  ) {
    last.lengthBytes += request.lengthBytes;
    return;
  }
  for (let done = 0; done < request.lengthBytes; done += maxRequestBytes) {
    requests.push({
      offsetBytes: request.offsetBytes + done,
      lengthBytes: Math.min(maxRequestBytes, request.lengthBytes - done),
      memoryOffset: request.memoryOffset + done,
    });
  }
}

/** Cuts the chunks to be read into windows, walking both lists once. */
function* windows(
  needed: readonly Extent[],
  read: readonly Extent[],
  chunkBytes: number,
  windowBytes: number,
  capacityBytes: number,
): Generator<Window> {
  let readIndex = 0;
  let window: Window = { chunks: [] };
  for (const run of needed) {
    const end = run.offsetBytes + run.lengthBytes;
    for (let offset = run.offsetBytes; offset < end; offset += chunkBytes) {
      const length = Math.min(chunkBytes, capacityBytes - offset);
      const chunk = { chunkIndex: Math.floor(offset / chunkBytes), length, read: [] as Extent[] };
      window.chunks.push(chunk);
      const chunkEnd = offset + length;
      for (let e = read[readIndex]; e && e.offsetBytes < chunkEnd; e = read[readIndex]) {
        const from = Math.max(offset, e.offsetBytes);
        const to = Math.min(chunkEnd, e.offsetBytes + e.lengthBytes);
        if (to > from) chunk.read.push({ offsetBytes: from, lengthBytes: to - from });
        if (e.offsetBytes + e.lengthBytes > chunkEnd) break;
        readIndex += 1;
      }
      if (window.chunks.length * chunkBytes >= windowBytes) {
        yield window;
        window = { chunks: [] };
      }
    }
  }
  if (window.chunks.length > 0) yield window;
}

function recordZeroChunks(extents: readonly Extent[], writer: DiskWriter, chunkBytes: number): void {
  for (const e of extents) writer.zero(Math.floor(e.offsetBytes / chunkBytes), Math.ceil(e.lengthBytes / chunkBytes));
}
