import { SECTOR_BYTES } from '../common/index.js';
import { type AllocatedGrains, GRAIN_BYTES, type Stretch, STRETCH_GRAINS, TABLE_GRAINS } from './allocated-grains.js';
import { type ByteSource, concatenate, fixedBytes, padded } from './byte-source.js';
import { grainWindows } from './grain-data.js';
import { stretchSource } from './stretch-source.js';
import { assertFitsVmdk, capacitySectorsOf, TABLE_SECTORS, tableCountOf, type VmdkLabels } from './vmdk-header.js';
import {
  directoryMarker,
  GRAIN_MARKER_BYTES,
  STREAM_OVERHEAD_SECTORS,
  streamHead,
  streamTail,
  tableBlock,
  tableRuns,
  writeGrainMarker,
} from './vmdk-stream.js';

/** "Stored" blocks of deflate take 65535 bytes at most: two of half a grain each, five bytes before each, six around. */
const STORED_BYTES = GRAIN_BYTES / 2;
const STORED_GRAIN_BYTES = 2 + 2 * (5 + STORED_BYTES) + 4;
const BLOCK_BYTES = Math.ceil((GRAIN_MARKER_BYTES + STORED_GRAIN_BYTES) / SECTOR_BYTES) * SECTOR_BYTES;
const TABLE_BLOCK_BYTES = (1 + TABLE_SECTORS) * SECTOR_BYTES;
const HEAD_BYTES = STREAM_OVERHEAD_SECTORS * SECTOR_BYTES;

/**
 * streamOptimized with grains that are deflated without being made smaller, so that its length is known before the first
 * byte and any part can be made alone: what a tar archive needs, and a download that is resumed (docs/decisions/0016).
 * @throws ImageError as `sparseVmdk`.
 */
export function storedStream(grains: AllocatedGrains, labels: VmdkLabels, what: string): ByteSource {
  const capacitySectors = capacitySectorsOf(grains.reader.capacityBytes, what);
  const offsetOf = (stretchIndex: number) =>
    grains.before(stretchIndex) * BLOCK_BYTES + grains.tablesUsedBefore(stretchIndex) * TABLE_BLOCK_BYTES;
  const bodyBytes = offsetOf(grains.stretchCount);
  const directoryMarkerSector = (HEAD_BYTES + bodyBytes) / SECTOR_BYTES;
  const stream = concatenate([
    fixedBytes(streamHead(capacitySectors, labels)),
    stretchSource({
      grains,
      offsetOf,
      write: (stretch, from, to, signal) => writeBody(grains, stretch, HEAD_BYTES + offsetOf(stretch.index), { from, to }, signal),
    }),
    fixedBytes(directoryMarker(tableCountOf(grains))),
    padded(directory(grains, offsetOf), SECTOR_BYTES),
    fixedBytes(streamTail(capacitySectors, directoryMarkerSector + 1)),
  ]);
  assertFitsVmdk(stream.sizeBytes / SECTOR_BYTES, what);
  return stream;
}

/** Of a stretch: grains and tables that lie between two offsets, the first and the last cut where they must. */
async function* writeBody(
  grains: AllocatedGrains,
  stretch: Stretch,
  baseBytes: number,
  range: { from: number; to: number },
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let atBytes = 0;
  const cut = (block: Buffer, offsetBytes: number) =>
    block.subarray(Math.max(0, range.from - offsetBytes), Math.min(block.length, range.to - offsetBytes));
  for (const run of tableRuns(stretch.grains)) {
    const tableBytes = atBytes + run.length * BLOCK_BYTES;
    const first = Math.max(0, Math.floor((range.from - atBytes) / BLOCK_BYTES));
    const end = Math.min(run.length, Math.ceil((range.to - atBytes) / BLOCK_BYTES));
    let blockBytes = atBytes + first * BLOCK_BYTES;
    for await (const window of grainWindows(grains.reader, first < end ? run.slice(first, end) : [], signal)) {
      const blocks = Buffer.alloc(window.grains.length * BLOCK_BYTES);
      for (const [i, grain] of window.grains.entries())
        writeBlock(
          blocks.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES),
          grain,
          window.memory.subarray(i * GRAIN_BYTES, (i + 1) * GRAIN_BYTES),
        );
      yield cut(blocks, blockBytes);
      blockBytes += blocks.length;
    }
    atBytes = tableBytes + TABLE_BLOCK_BYTES;
    if (atBytes > range.from && tableBytes < range.to) yield cut(tableBlock(grainTable(run, baseBytes + tableBytes)), tableBytes);
    if (atBytes >= range.to) return;
  }
}

/** @param endBytes in the file, of the last of these grains */
function grainTable(run: readonly number[], endBytes: number): Buffer {
  const table = Buffer.alloc(TABLE_GRAINS * 4);
  run.forEach((grain, i) => {
    table.writeUInt32LE((endBytes - (run.length - i) * BLOCK_BYTES) / SECTOR_BYTES, (grain % TABLE_GRAINS) * 4);
  });
  return table;
}

/** Where each table is, without its marker; 0 where no grain of it is there. */
function directory(grains: AllocatedGrains, offsetOf: (stretchIndex: number) => number): ByteSource {
  const tablesPerStretch = STRETCH_GRAINS / TABLE_GRAINS;
  const sizeBytes = tableCountOf(grains) * 4;
  return stretchSource({
    grains,
    offsetOf: (stretchIndex) => Math.min(sizeBytes, stretchIndex * tablesPerStretch * 4),
    write: (stretch, fromBytes, toBytes) => {
      const part = Buffer.alloc(tablesPerStretch * 4);
      let atBytes = HEAD_BYTES + offsetOf(stretch.index);
      for (const run of tableRuns(stretch.grains)) {
        atBytes += run.length * BLOCK_BYTES;
        const table = Math.floor((run[0] as number) / TABLE_GRAINS);
        part.writeUInt32LE(atBytes / SECTOR_BYTES + 1, (table % tablesPerStretch) * 4);
        atBytes += TABLE_BLOCK_BYTES;
      }
      return [part.subarray(fromBytes, toBytes)];
    },
  });
}

/** Grain marker, and a zlib stream of stored blocks (RFC 1950, RFC 1951). */
function writeBlock(block: Buffer, grain: number, plain: Buffer): void {
  writeGrainMarker(block, grain, STORED_GRAIN_BYTES);
  block.writeUInt16BE(0x7801, GRAIN_MARKER_BYTES);
  for (let i = 0; i < 2; i += 1) {
    const at = GRAIN_MARKER_BYTES + 2 + i * (5 + STORED_BYTES);
    block.writeUInt8(i, at);
    block.writeUInt16LE(STORED_BYTES, at + 1);
    block.writeUInt16LE(0xffff - STORED_BYTES, at + 3);
    plain.copy(block, at + 5, i * STORED_BYTES, (i + 1) * STORED_BYTES);
  }
  block.writeUInt32BE(adler32(plain), GRAIN_MARKER_BYTES + STORED_GRAIN_BYTES - 4);
}

/** Sums of so many bytes stay below 2^31, so that they need the remainder only then. */
const ADLER_RUN_BYTES = 2048;
const ADLER_MODULUS = 65521;

function adler32(bytes: Buffer): number {
  let a = 1;
  let b = 0;
  for (let start = 0; start < bytes.length; start += ADLER_RUN_BYTES) {
    const end = Math.min(bytes.length, start + ADLER_RUN_BYTES);
    for (let i = start; i < end; i += 1) {
      // Both stay small integers, which the compiler is told by `| 0`.
      a = (a + (bytes[i] as number)) | 0;
      b = (b + a) | 0;
    }
    a %= ADLER_MODULUS;
    b %= ADLER_MODULUS;
  }
  return b * 65536 + a;
}
