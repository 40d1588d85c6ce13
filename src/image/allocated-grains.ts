import { KIB } from '../common/index.js';
import type { ChunkReader } from './chunk-reader.js';

/** A grain of VMDK and a cluster of qcow2, both formats' usual size. */
export const GRAIN_BYTES = 64 * KIB;
/** Grains of a stretch, 512 MiB of disk: one level-2 table of qcow2, sixteen grain tables of VMDK. */
export const STRETCH_GRAINS = 8192;
export const STRETCH_BYTES = STRETCH_GRAINS * GRAIN_BYTES;
/** Grains of one grain table of VMDK. */
export const TABLE_GRAINS = 512;

export interface Stretch {
  index: number;
  /** Of the disk, ascending; at least one. */
  grains: number[];
}

/**
 * Which grains of a disk an image has to hold, and at which place each of them comes: counted once, by stretches, so
 * that any part of an image can be made without what is before it. Takes 20 bytes for 512 MiB of disk.
 */
export class AllocatedGrains {
  private constructor(
    readonly reader: ChunkReader,
    /** Before each stretch, and at the end in all. */
    private readonly grainsBefore: Float64Array,
    private readonly tablesBefore: Float64Array,
    private readonly stretchesBefore: Uint32Array,
  ) {}

  /** Reads the whole index of the disk, and none of its data. */
  static async survey(reader: ChunkReader, signal?: AbortSignal): Promise<AllocatedGrains> {
    const count = Math.ceil(reader.capacityBytes / STRETCH_BYTES);
    const grainsBefore = new Float64Array(count + 1);
    const tablesBefore = new Float64Array(count + 1);
    const stretchesBefore = new Uint32Array(count + 1);
    let seen = -1;
    for await (const page of reader.dataChunks(signal)) {
      for (const chunkIndex of page) {
        const { first, end } = grainsOf(reader, chunkIndex, seen);
        if (end <= first) continue;
        const next = Math.floor(first / STRETCH_GRAINS) + 1;
        const tables =
          Math.floor((end - 1) / TABLE_GRAINS) - Math.max(Math.floor(first / TABLE_GRAINS) - 1, Math.floor(seen / TABLE_GRAINS));
        grainsBefore[next] = (grainsBefore[next] as number) + end - first;
        tablesBefore[next] = (tablesBefore[next] as number) + tables;
        stretchesBefore[next] = 1;
        seen = end - 1;
      }
    }
    for (const counts of [grainsBefore, tablesBefore, stretchesBefore]) {
      for (let i = 1; i <= count; i += 1) counts[i] = (counts[i] as number) + (counts[i - 1] as number);
    }
    return new AllocatedGrains(reader, grainsBefore, tablesBefore, stretchesBefore);
  }

  /** The same counts for another reader of the same index. */
  over(reader: ChunkReader): AllocatedGrains {
    return new AllocatedGrains(reader, this.grainsBefore, this.tablesBefore, this.stretchesBefore);
  }

  get stretchCount(): number {
    return this.grainsBefore.length - 1;
  }

  /** Of the disk, allocated or not; the last one may reach past its end. */
  get diskGrains(): number {
    return Math.ceil(this.reader.capacityBytes / GRAIN_BYTES);
  }

  get allocated(): number {
    return this.before(this.stretchCount);
  }

  get allocatedBytes(): number {
    return this.allocated * GRAIN_BYTES;
  }

  /** Allocated grains before a stretch. */
  before(stretchIndex: number): number {
    return this.grainsBefore[stretchIndex] as number;
  }

  /** Runs of `TABLE_GRAINS` grains before a stretch of which one at least is allocated. */
  tablesUsedBefore(stretchIndex: number): number {
    return this.tablesBefore[stretchIndex] as number;
  }

  /** Stretches with data before a stretch. */
  stretchesUsedBefore(stretchIndex: number): number {
    return this.stretchesBefore[stretchIndex] as number;
  }

  holdsData(stretchIndex: number): boolean {
    return this.before(stretchIndex + 1) > this.before(stretchIndex);
  }

  /** Those with data. */
  stretches(firstStretch: number, signal?: AbortSignal): AsyncGenerator<Stretch> {
    return stretchesOf(this.reader, firstStretch, signal);
  }
}

async function* stretchesOf(reader: ChunkReader, firstStretch: number, signal?: AbortSignal): AsyncGenerator<Stretch> {
  const { chunkBytes } = reader;
  const firstChunk = firstStretch * (STRETCH_BYTES / chunkBytes);
  let stretch: Stretch = { index: firstStretch, grains: [] };
  for await (const page of reader.dataChunks(signal, firstChunk)) {
    for (const chunkIndex of page) {
      if (chunkIndex < firstChunk) continue;
      const index = Math.floor((chunkIndex * chunkBytes) / STRETCH_BYTES);
      if (index !== stretch.index) {
        if (stretch.grains.length > 0) yield stretch;
        stretch = { index, grains: [] };
      }
      const { first, end } = grainsOf(reader, chunkIndex, stretch.grains.at(-1) ?? -1);
      for (let grain = first; grain < end; grain += 1) stretch.grains.push(grain);
    }
  }
  if (stretch.grains.length > 0) yield stretch;
}

/** Those that a chunk adds to the ones up to `seen`: chunks smaller than a grain share one. */
function grainsOf({ chunkBytes, capacityBytes }: ChunkReader, chunkIndex: number, seen: number): { first: number; end: number } {
  const startBytes = chunkIndex * chunkBytes;
  return {
    first: Math.max(Math.floor(startBytes / GRAIN_BYTES), seen + 1),
    end: Math.ceil(Math.min(startBytes + chunkBytes, capacityBytes) / GRAIN_BYTES),
  };
}
