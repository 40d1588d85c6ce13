import { promisify } from 'node:util';
import { constants, deflate } from 'node:zlib';
import { inParallel, SECTOR_BYTES } from '../common/index.js';
import { type AllocatedGrains, GRAIN_BYTES, TABLE_GRAINS } from './allocated-grains.js';
import { zeroPieces } from './byte-source.js';
import { grainWindows } from './grain-data.js';
import {
  assertFitsVmdk,
  capacitySectorsOf,
  DESCRIPTOR_SECTOR,
  DIRECTORY_AT_END,
  directorySectorsOf,
  encodeDescriptor,
  encodeSparseHeader,
  GRAIN_SECTORS,
  TABLE_SECTORS,
  tableCountOf,
  type VmdkLabels,
  writeUInt64LE,
} from './vmdk-header.js';

/** Where the first grain's marker is. */
export const STREAM_OVERHEAD_SECTORS = GRAIN_SECTORS;
export const GRAIN_MARKER_BYTES = 12;
/** What a grain takes at most: zlib stores what it cannot make smaller. */
const LARGEST_GRAIN_SECTORS = GRAIN_SECTORS + 2;
/** As many as Node has threads for it. */
const DEFLATES_AT_ONCE = 4;
const ZERO_GRAIN = Buffer.alloc(GRAIN_BYTES);

const MARKER = { endOfStream: 0, table: 1, directory: 2, footer: 3 } as const;

const deflateAsync = promisify<Buffer, { level: number }, Buffer>(deflate);

/**
 * streamOptimized: what OVF packages hold. Each grain deflated behind a marker, each grain table behind its grains, then
 * directory and footer: written in one go, its length known at the end. Grains that are zero are left out.
 * @throws ImageError as `sparseVmdk`, before the first byte.
 */
export async function* deflatedStream(
  grains: AllocatedGrains,
  labels: VmdkLabels,
  what: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const capacitySectors = capacitySectorsOf(grains.reader.capacityBytes, what);
  const directory = Buffer.alloc(tableCountOf(grains) * 4);
  const tailSectors = directorySectorsOf(tableCountOf(grains)) + 4;
  const tables = grains.tablesUsedBefore(grains.stretchCount);
  assertFitsVmdk(STREAM_OVERHEAD_SECTORS + grains.allocated * LARGEST_GRAIN_SECTORS + tables * (1 + TABLE_SECTORS) + tailSectors, what);
  yield streamHead(capacitySectors, labels);
  let sector = STREAM_OVERHEAD_SECTORS;
  for await (const stretch of grains.stretches(0, signal)) {
    for (const run of tableRuns(stretch.grains)) {
      const table = Buffer.alloc(TABLE_GRAINS * 4);
      let used = false;
      for await (const window of grainWindows(grains.reader, run, signal)) {
        const blocks = await deflateWindow(window.grains, window.memory, signal);
        window.grains.forEach((grain, i) => {
          const block = blocks[i];
          if (block === undefined) return;
          used = true;
          table.writeUInt32LE(sector, (grain % TABLE_GRAINS) * 4);
          sector += block.length / SECTOR_BYTES;
        });
        yield* blocks.filter((block) => block !== undefined);
      }
      if (!used) continue;
      yield tableBlock(table);
      directory.writeUInt32LE(sector + 1, Math.floor((run[0] as number) / TABLE_GRAINS) * 4);
      sector += 1 + TABLE_SECTORS;
    }
  }
  yield directoryMarker(tableCountOf(grains));
  yield directory;
  yield* zeroPieces((SECTOR_BYTES - (directory.length % SECTOR_BYTES)) % SECTOR_BYTES);
  yield streamTail(capacitySectors, sector + 1);
}

/** Grains by the table that names them. */
export function* tableRuns(grains: readonly number[]): Generator<number[]> {
  for (let first = 0; first < grains.length; ) {
    const table = Math.floor((grains[first] as number) / TABLE_GRAINS);
    let end = first + 1;
    while (end < grains.length && Math.floor((grains[end] as number) / TABLE_GRAINS) === table) end += 1;
    yield grains.slice(first, end);
    first = end;
  }
}

async function deflateWindow(grains: readonly number[], memory: Buffer, signal: AbortSignal): Promise<(Buffer | undefined)[]> {
  const indices = grains.map((_, i) => i);
  return inParallel(indices, DEFLATES_AT_ONCE, signal, async (i) => {
    const plain = memory.subarray(i * GRAIN_BYTES, (i + 1) * GRAIN_BYTES);
    if (plain.equals(ZERO_GRAIN)) return undefined;
    // Level 1: an export is as fast as its slowest stage, and that is this one.
    return grainBlock(grains[i] as number, await deflateAsync(plain, { level: constants.Z_BEST_SPEED }));
  });
}

/** Grain marker and data, to the end of the sector. */
function grainBlock(grain: number, compressed: Buffer): Buffer {
  const lengthBytes = GRAIN_MARKER_BYTES + compressed.length;
  const block = Buffer.alloc(Math.ceil(lengthBytes / SECTOR_BYTES) * SECTOR_BYTES);
  writeGrainMarker(block, grain, compressed.length);
  compressed.copy(block, GRAIN_MARKER_BYTES);
  return block;
}

/** Where on the disk the grain is, and how long its zlib stream. */
export function writeGrainMarker(block: Buffer, grain: number, compressedBytes: number): void {
  writeUInt64LE(block, grain * GRAIN_SECTORS, 0);
  block.writeUInt32LE(compressedBytes, 8);
}

/** Header, descriptor, and zeros up to the first grain. */
export function streamHead(capacitySectors: number, labels: VmdkLabels): Buffer {
  const head = Buffer.alloc(STREAM_OVERHEAD_SECTORS * SECTOR_BYTES);
  encodeSparseHeader(headerOf(capacitySectors, DIRECTORY_AT_END)).copy(head);
  encodeDescriptor('streamOptimized', capacitySectors, labels).copy(head, DESCRIPTOR_SECTOR * SECTOR_BYTES);
  return head;
}

/** A grain table behind its marker. */
export function tableBlock(table: Buffer): Buffer {
  return Buffer.concat([marker(MARKER.table, TABLE_SECTORS), table]);
}

export function directoryMarker(tableCount: number): Buffer {
  return marker(MARKER.directory, directorySectorsOf(tableCount));
}

/** Footer and end of stream: three sectors. */
export function streamTail(capacitySectors: number, directorySector: number): Buffer {
  const footer = encodeSparseHeader(headerOf(capacitySectors, directorySector));
  return Buffer.concat([marker(MARKER.footer, 1), footer, marker(MARKER.endOfStream, 0)]);
}

function headerOf(capacitySectors: number, directorySector: number | typeof DIRECTORY_AT_END) {
  const overheadSectors = STREAM_OVERHEAD_SECTORS;
  return { kind: 'streamOptimized', capacitySectors, redundantDirectorySector: 0, directorySector, overheadSectors } as const;
}

/** A marker of metadata: how many sectors come behind it, and what they are. */
function marker(type: number, sectors: number): Buffer {
  const bytes = Buffer.alloc(SECTOR_BYTES);
  writeUInt64LE(bytes, sectors, 0);
  bytes.writeUInt32LE(type, 12);
  return bytes;
}
