import { type AllocatedGrains, GRAIN_BYTES, STRETCH_BYTES, STRETCH_GRAINS } from './allocated-grains.js';
import { type ByteSource, computedTable, concatenate, fixedBytes, padded } from './byte-source.js';
import { grainData } from './grain-data.js';
import { stretchSource } from './stretch-source.js';
import { capacitySectorsOf } from './vmdk-header.js';

/** docs/interop/qcow2 of QEMU. All numbers are big-endian. */
const MAGIC = 0x514649fb;
const VERSION = 3;
const CLUSTER_BITS = 16;
const CLUSTER_BYTES = GRAIN_BYTES;
const REFCOUNT_ORDER = 4;
const HEADER_BYTES = 104;
const REFCOUNTS_PER_BLOCK = CLUSTER_BYTES / 2;
/** "Exactly one reference": a writer may change the cluster in place. */
const COPIED = 2 ** 31;

interface Layout {
  refcountTableClusters: number;
  refcountBlocks: number;
  /** Entries. */
  levelOne: number;
  levelOneClusters: number;
  levelTwoTables: number;
  clusters: number;
}

/**
 * qcow2, version 3: header, reference counts, level-1 table, level-2 tables of stretches with data, data.
 * @throws ImageError IMAGE_CAPACITY_INVALID.
 */
export function qcow2Image(grains: AllocatedGrains, what: string): ByteSource {
  capacitySectorsOf(grains.reader.capacityBytes, what);
  const layout = layoutOf(grains);
  const { refcountTableClusters, refcountBlocks, levelOne, levelOneClusters, levelTwoTables, clusters } = layout;
  const refcountBlocksAt = (1 + refcountTableClusters) * CLUSTER_BYTES;
  const levelTwoAt = refcountBlocksAt + (refcountBlocks + levelOneClusters) * CLUSTER_BYTES;
  const dataAt = levelTwoAt + levelTwoTables * CLUSTER_BYTES;
  const refcountTable = computedTable(refcountBlocks, 8, (into, offset, i) =>
    writeUInt64BE(into, refcountBlocksAt + i * CLUSTER_BYTES, offset),
  );
  const refcounts = computedTable(refcountBlocks * REFCOUNTS_PER_BLOCK, 2, (into, offset, i) =>
    into.writeUInt16BE(i < clusters ? 1 : 0, offset),
  );
  const levelOneTable = computedTable(levelOne, 8, (into, offset, i) => {
    if (grains.holdsData(i)) writeCopied(into, levelTwoAt + grains.stretchesUsedBefore(i) * CLUSTER_BYTES, offset);
  });
  return concatenate([
    padded(fixedBytes(encodeHeader(grains.reader.capacityBytes, layout)), CLUSTER_BYTES),
    padded(refcountTable, CLUSTER_BYTES),
    refcounts,
    padded(levelOneTable, CLUSTER_BYTES),
    levelTwo(grains, dataAt),
    grainData(grains),
  ]);
}

/** The reference counts count themselves: more of them until they are enough. */
function layoutOf(grains: AllocatedGrains): Layout {
  const levelOne = Math.ceil(grains.reader.capacityBytes / STRETCH_BYTES);
  const levelOneClusters = Math.ceil((levelOne * 8) / CLUSTER_BYTES);
  const levelTwoTables = grains.stretchesUsedBefore(grains.stretchCount);
  const others = 1 + levelOneClusters + levelTwoTables + grains.allocated;
  for (let refcountBlocks = 1; ; ) {
    const refcountTableClusters = Math.ceil((refcountBlocks * 8) / CLUSTER_BYTES);
    const clusters = others + refcountTableClusters + refcountBlocks;
    const needed = Math.ceil(clusters / REFCOUNTS_PER_BLOCK);
    if (needed <= refcountBlocks) return { refcountTableClusters, refcountBlocks, levelOne, levelOneClusters, levelTwoTables, clusters };
    refcountBlocks = needed;
  }
}

function encodeHeader(capacityBytes: number, layout: Layout): Buffer {
  // Behind the header: the end of its extensions, eight zeros.
  const bytes = Buffer.alloc(HEADER_BYTES + 8);
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(VERSION, 4);
  bytes.writeUInt32BE(CLUSTER_BITS, 20);
  writeUInt64BE(bytes, capacityBytes, 24);
  bytes.writeUInt32BE(layout.levelOne, 36);
  writeUInt64BE(bytes, (1 + layout.refcountTableClusters + layout.refcountBlocks) * CLUSTER_BYTES, 40);
  writeUInt64BE(bytes, CLUSTER_BYTES, 48);
  bytes.writeUInt32BE(layout.refcountTableClusters, 56);
  bytes.writeUInt32BE(REFCOUNT_ORDER, 96);
  bytes.writeUInt32BE(HEADER_BYTES, 100);
  return bytes;
}

function levelTwo(grains: AllocatedGrains, dataAt: number): ByteSource {
  return stretchSource({
    grains,
    offsetOf: (stretchIndex) => grains.stretchesUsedBefore(stretchIndex) * CLUSTER_BYTES,
    write: (stretch, fromBytes, toBytes) => {
      const table = Buffer.alloc(STRETCH_GRAINS * 8);
      const firstBytes = dataAt + grains.before(stretch.index) * CLUSTER_BYTES;
      stretch.grains.forEach((grain, i) => {
        writeCopied(table, firstBytes + i * CLUSTER_BYTES, (grain % STRETCH_GRAINS) * 8);
      });
      return [table.subarray(fromBytes, toBytes)];
    },
  });
}

function writeUInt64BE(bytes: Buffer, value: number, offset: number): void {
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), offset);
  bytes.writeUInt32BE(value % 2 ** 32, offset + 4);
}

function writeCopied(bytes: Buffer, offsetBytes: number, at: number): void {
  writeUInt64BE(bytes, offsetBytes, at);
  bytes.writeUInt32BE(bytes.readUInt32BE(at) + COPIED, at);
}
