import { MIB } from '../common/index.js';
import { type AllocatedGrains, GRAIN_BYTES } from './allocated-grains.js';
import { type ByteSource, zeroPieces } from './byte-source.js';
import type { ChunkReader } from './chunk-reader.js';
import { stretchSource } from './stretch-source.js';

const WINDOW_BYTES = 4 * MIB;

/** The allocated grains of a disk, one after the other; what the last one has past the disk's end is zero. */
export function grainData(grains: AllocatedGrains): ByteSource {
  return stretchSource({
    grains,
    offsetOf: (stretchIndex) => grains.before(stretchIndex) * GRAIN_BYTES,
    write: async function* (stretch, fromBytes, toBytes, signal) {
      const first = Math.floor(fromBytes / GRAIN_BYTES);
      const wanted = stretch.grains.slice(first, Math.ceil(toBytes / GRAIN_BYTES));
      let atBytes = first * GRAIN_BYTES;
      for await (const { memory } of grainWindows(grains.reader, wanted, signal)) {
        yield memory.subarray(Math.max(0, fromBytes - atBytes), Math.min(memory.length, toBytes - atBytes));
        atBytes += memory.length;
      }
    },
  });
}

export interface GrainWindow {
  grains: readonly number[];
  /** Their bytes, one after the other. */
  memory: Buffer;
}

/** Reads grains, some 4 MiB at a time. @throws what the reader throws: what was yielded before is right. */
export async function* grainWindows(reader: ChunkReader, grains: readonly number[], signal?: AbortSignal): AsyncGenerator<GrainWindow> {
  const { chunkBytes, capacityBytes } = reader;
  // A window is read in whole units: chunks, or grains where those are larger.
  const unitBytes = Math.max(chunkBytes, GRAIN_BYTES);
  const unitsPerWindow = Math.max(1, Math.floor(WINDOW_BYTES / unitBytes));
  const unitOf = (grain: number) => Math.floor((grain * GRAIN_BYTES) / unitBytes);
  for (let first = 0; first < grains.length; ) {
    const units: number[] = [];
    let end = first;
    for (; end < grains.length; end += 1) {
      const unit = unitOf(grains[end] as number);
      if (unit === units.at(-1)) continue;
      if (units.length === unitsPerWindow) break;
      units.push(unit);
    }
    const chunks: { chunkIndex: number; offset: number }[] = [];
    const memory = Buffer.allocUnsafeSlow(units.length * unitBytes);
    units.forEach((unit, i) => {
      const lengthBytes = Math.min(unitBytes, capacityBytes - unit * unitBytes);
      for (let done = 0; done < lengthBytes; done += chunkBytes) {
        chunks.push({ chunkIndex: (unit * unitBytes + done) / chunkBytes, offset: i * unitBytes + done });
      }
      if (lengthBytes < unitBytes) memory.fill(0, i * unitBytes + lengthBytes, (i + 1) * unitBytes);
    });
    await reader.read(memory, chunks, signal);
    // Of the first and the last unit, parts only may be wanted.
    const skippedBytes = (grains[first] as number) * GRAIN_BYTES - (units[0] as number) * unitBytes;
    const wanted = grains.slice(first, end);
    yield { grains: wanted, memory: memory.subarray(skippedBytes, skippedBytes + wanted.length * GRAIN_BYTES) };
    first = end;
  }
}

/** The disk itself, byte for byte. @param sizeBytes less than the disk where what fills the last sector is not wanted. */
export function rawImage(reader: ChunkReader, sizeBytes: number = reader.capacityBytes): ByteSource {
  const { chunkBytes, capacityBytes } = reader;
  const windowChunks = Math.max(1, Math.floor(WINDOW_BYTES / chunkBytes));
  return {
    sizeBytes,
    async *read(startBytes, endBytes, signal) {
      let atBytes = startBytes;
      const firstChunk = Math.floor(startBytes / chunkBytes);
      for await (const run of runsOf(reader.dataChunks(signal, firstChunk), firstChunk, windowChunks)) {
        const baseBytes = run.first * chunkBytes;
        if (baseBytes >= endBytes) break;
        yield* zeroPieces(baseBytes - atBytes);
        const memory = Buffer.allocUnsafeSlow(Math.min(run.count * chunkBytes, capacityBytes - baseBytes));
        const chunks = Array.from({ length: run.count }, (_, i) => ({ chunkIndex: run.first + i, offset: i * chunkBytes }));
        await reader.read(memory, chunks, signal);
        const from = Math.max(0, startBytes - baseBytes);
        const to = Math.min(memory.length, endBytes - baseBytes);
        yield memory.subarray(from, to);
        atBytes = baseBytes + to;
      }
      yield* zeroPieces(endBytes - atBytes);
    },
  };
}

/** Neighbours together, up to a window. */
async function* runsOf(pages: AsyncIterable<number[]>, firstChunk: number, most: number): AsyncGenerator<{ first: number; count: number }> {
  let run = { first: firstChunk, count: 0 };
  for await (const page of pages) {
    for (const chunkIndex of page) {
      if (chunkIndex < firstChunk) continue;
      if (chunkIndex === run.first + run.count && run.count < most) {
        run.count += 1;
        continue;
      }
      if (run.count > 0) yield run;
      run = { first: chunkIndex, count: 1 };
    }
  }
  if (run.count > 0) yield run;
}
