import { SECTOR_BYTES } from '../common/index.js';
import type { ByteSource } from './byte-source.js';
import type { ChunkReader } from './chunk-reader.js';

/** For specs: a disk of any size of which some chunks hold data, each sector another. */
export class PatternDisk implements ChunkReader {
  readonly chunkBytes: number;
  readonly capacityBytes: number;
  readonly indices: number[];
  reads = 0;

  constructor(options: { capacityBytes: number; chunkBytes: number; chunks: Iterable<number> }) {
    this.capacityBytes = options.capacityBytes;
    this.chunkBytes = options.chunkBytes;
    this.indices = [...new Set(options.chunks)].toSorted((a, b) => a - b);
  }

  async *dataChunks(_signal?: AbortSignal, firstChunkIndex = 0): AsyncGenerator<number[]> {
    // As the repository does: whole pages.
    const first = firstChunkIndex - (firstChunkIndex % 4096);
    const wanted = this.indices.filter((index) => index >= first);
    for (let at = 0; at < wanted.length; at += 7) yield wanted.slice(at, at + 7);
  }

  async read(memory: Buffer, chunks: readonly { chunkIndex: number; offset: number }[]): Promise<void> {
    await Promise.resolve();
    this.reads += chunks.length;
    for (const { chunkIndex, offset } of chunks) {
      const lengthBytes = Math.min(this.chunkBytes, this.capacityBytes - chunkIndex * this.chunkBytes);
      if (lengthBytes <= 0 || offset + lengthBytes > memory.length) throw new RangeError(`chunk ${chunkIndex} does not fit`);
      this.at(chunkIndex * this.chunkBytes, lengthBytes).copy(memory, offset);
    }
  }

  /** What the disk has, from the first byte of a sector on. */
  at(offsetBytes: number, lengthBytes: number): Buffer {
    const bytes = Buffer.alloc(lengthBytes);
    for (let done = 0; done < lengthBytes; done += SECTOR_BYTES) {
      const startBytes = offsetBytes + done;
      const chunkIndex = Math.floor(startBytes / this.chunkBytes);
      if (startBytes < this.capacityBytes && this.holds(chunkIndex)) writeSector(bytes, done, startBytes / SECTOR_BYTES);
    }
    return bytes;
  }

  private holds(chunkIndex: number): boolean {
    let low = 0;
    let high = this.indices.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.indices[middle] as number) < chunkIndex) low = middle + 1;
      else high = middle;
    }
    return this.indices[low] === chunkIndex;
  }
}

/** Never zero, and no two alike. */
function writeSector(into: Buffer, offset: number, index: number): void {
  into.fill(1 + (index % 251), offset, offset + SECTOR_BYTES);
  into.writeDoubleLE(index + 0.5, offset);
  into.writeUInt32LE((index * 2654435761) % 2 ** 32, offset + SECTOR_BYTES / 2);
}

export async function collect(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

export function readSource(source: ByteSource, startBytes = 0, endBytes = source.sizeBytes): Promise<Buffer> {
  return collect(source.read(startBytes, endBytes, new AbortController().signal));
}
