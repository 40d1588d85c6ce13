import { throughPlaces, VaultError } from '../common/index.js';
import { alignExtents, type CopyPlan, type Extent, normalizeExtents, subtractExtents, totalBytes } from '../disk/index.js';
import type { DiskReader, DiskWriter } from '../repository/index.js';
import type { IoRequest, VddkDiskApi } from '../vddk/index.js';

export interface CopyDiskOptions {
  disk: Pick<VddkDiskApi, 'read'>;
  /** The part of the host's shared memory this copy may use. */
  memory: { buffer: Buffer; offset: number; length: number };
  plan: CopyPlan;
  writer: DiskWriter;
  /** The previous restore point's disk, whose chunks the plan keeps parts of; needed when it keeps any. */
  base?: Pick<DiskReader, 'read'>;
  /** A chunk of the base cannot be read any more: those chunks are read whole from the disk instead. */
  onBaseDamaged?: (error: Error) => void;
  maxRequestBytes: number;
  onProgress: (doneBytes: number) => void;
  signal: AbortSignal;
}

/** Bytes of a window: small enough that several are in flight, large enough that a message to the host is cheap. */
const WINDOW_TARGET_BYTES = 4 * 1024 * 1024;
/** What DiskReader.read says of chunks that are no longer there as they were. */
const BASE_DAMAGE: ReadonlySet<string> = new Set(['CHUNK_DAMAGED', 'CHUNK_MISSING']);

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
  const needed = alignExtents(normalizeExtents([...plan.read, ...plan.keep]), chunkBytes, plan.capacityBytes);
  recordZeroChunks(subtractExtents(plan.touched, needed), writer, chunkBytes);

  const windowBytes = Math.max(chunkBytes, Math.floor(WINDOW_TARGET_BYTES / chunkBytes) * chunkBytes);
  const offsets = windowOffsets(options.memory, windowBytes);
  let readBytes = 0;
  await throughPlaces(windows(needed, plan, windowBytes), offsets, options.signal, async (window, offset, signal) => {
    // Not `+=` over the await: windows run at once.
    const windowReadBytes = await copyWindow(options, window, offset, signal);
    readBytes += windowReadBytes;
    options.onProgress(readBytes);
  });
  return readBytes;
}

function windowOffsets(memory: CopyDiskOptions['memory'], windowBytes: number): number[] {
  const count = Math.floor(memory.length / windowBytes);
  if (count < 1) throw new RangeError(`Copying needs at least ${windowBytes} bytes of shared memory`);
  return Array.from({ length: count }, (_, i) => memory.offset + i * windowBytes);
}

/** A whole chunk: what must be read of it, and what is kept of it; the rest is zero. */
interface WindowChunk {
  chunkIndex: number;
  length: number;
  read: Extent[];
  keep: Extent[];
}

/** @returns bytes read over VDDK. */
async function copyWindow(options: CopyDiskOptions, window: readonly WindowChunk[], base: number, signal: AbortSignal): Promise<number> {
  const { buffer } = options.memory;
  const chunkBytes = options.writer.chunkBytes;
  const placed = window.map((chunk, i) => ({ ...chunk, startBytes: chunk.chunkIndex * chunkBytes, offset: base + i * chunkBytes }));
  const partial = placed.filter((chunk) => chunk.keep.length > 0);
  if (partial.length > 0 && !(await fetchKept(options, partial, signal))) {
    for (const chunk of partial) {
      chunk.keep = [];
      chunk.read = [{ offsetBytes: chunk.startBytes, lengthBytes: chunk.length }];
    }
  }
  const requests: IoRequest[] = [];
  for (const { startBytes, offset, length, read, keep } of placed) {
    // What is neither read nor kept is zero; the memory still holds an earlier window.
    const filled = normalizeExtents([...read, ...keep]);
    for (const gap of subtractExtents([{ offsetBytes: startBytes, lengthBytes: length }], filled)) {
      const from = offset + gap.offsetBytes - startBytes;
      buffer.fill(0, from, from + gap.lengthBytes);
    }
    for (const e of read) pushRequest(requests, { ...e, memoryOffset: offset + e.offsetBytes - startBytes }, options.maxRequestBytes);
  }
  await options.disk.read(requests, signal);
  await options.writer.write(buffer, placed, signal);
  return totalBytes(requests);
}

/** The kept chunks, whole and verified; what changed of them is laid over. @returns false when the base is damaged. */
async function fetchKept(
  options: CopyDiskOptions,
  chunks: { chunkIndex: number; offset: number }[],
  signal: AbortSignal,
): Promise<boolean> {
  if (options.base === undefined) return false;
  try {
    await options.base.read(options.memory.buffer, chunks, signal);
    return true;
  } catch (error) {
    if (!(error instanceof VaultError && BASE_DAMAGE.has(error.code))) throw error;
    options.onBaseDamaged?.(error);
    return false;
  }
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

/** Cuts the chunks that are needed into windows, walking all lists once. */
function* windows(needed: readonly Extent[], plan: CopyPlan, windowBytes: number): Generator<WindowChunk[]> {
  const { chunkBytes, capacityBytes } = plan;
  const readOf = walk(plan.read);
  const keptOf = walk(plan.keep);
  let window: WindowChunk[] = [];
  for (const run of needed) {
    const end = run.offsetBytes + run.lengthBytes;
    for (let offset = run.offsetBytes; offset < end; offset += chunkBytes) {
      const length = Math.min(chunkBytes, capacityBytes - offset);
      window.push({
        chunkIndex: Math.floor(offset / chunkBytes),
        length,
        read: readOf(offset, offset + length),
        keep: keptOf(offset, offset + length),
      });
      if (window.length * chunkBytes < windowBytes) continue;
      yield window;
      window = [];
    }
  }
  if (window.length > 0) yield window;
}

/** @returns a function that cuts out of the list what lies in a range; ranges must be asked in ascending order. */
function walk(extents: readonly Extent[]): (startBytes: number, endBytes: number) => Extent[] {
  let index = 0;
  return (startBytes, endBytes) => {
    const found: Extent[] = [];
    for (let e = extents[index]; e && e.offsetBytes < endBytes; e = extents[index]) {
      const from = Math.max(startBytes, e.offsetBytes);
      const to = Math.min(endBytes, e.offsetBytes + e.lengthBytes);
      if (to > from) found.push({ offsetBytes: from, lengthBytes: to - from });
      if (e.offsetBytes + e.lengthBytes > endBytes) break;
      index += 1;
    }
    return found;
  };
}

function recordZeroChunks(extents: readonly Extent[], writer: DiskWriter, chunkBytes: number): void {
  for (const e of extents) writer.zero(Math.floor(e.offsetBytes / chunkBytes), Math.ceil(e.lengthBytes / chunkBytes));
}
