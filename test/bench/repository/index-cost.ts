import { MIB } from '../../../src/common/index.js';
import { createChunkTable } from '../../../src/native/index.js';
import { ENTRY_BYTES, ID_BYTES } from '../../../src/repository/format.js';
import { atMost, type BenchOptions, type BenchRow } from '../bench.js';

const CHUNK_BYTES = 256 * 1024;
const TIB = 2 ** 40;
const BATCH = 8192;

/**
 * What a TiB of unique data costs at the default chunk size: in packs and segments, and in the table of a process.
 * @param share of a TiB that is tried; the table grows by doubling, so a power of two is as good as the whole.
 */
export function indexCost(share: number, say: BenchOptions['say']): BenchRow[] {
  const chunks = (TIB * share) / CHUNK_BYTES;
  const table = createChunkTable(4 * 1024 * MIB);
  const before = process.memoryUsage.rss();
  const digests = Buffer.alloc(BATCH * ID_BYTES);
  const locations = new Uint32Array(BATCH * 4).fill(1);
  const started = performance.now();
  for (let chunk = 0; chunk < chunks; chunk += BATCH) {
    for (let i = 0; i < BATCH; i += 1) digests.writeDoubleLE((chunk + i + 1) * Math.PI, i * ID_BYTES);
    table.insert(digests, locations);
  }
  const seconds = (performance.now() - started) / 1000;
  const residentMib = (process.memoryUsage.rss() - before) / MIB;
  say(`An index of ${table.size} chunks was filled in ${seconds.toFixed(1)} s; ${residentMib.toFixed(0)} MiB of it are resident.`);
  // An entry in the pack's trailer and one in a segment, and the id in a page; pages without changes are shared by restore points.
  const bytesPerChunk = 2 * ENTRY_BYTES + ID_BYTES;
  return [
    atMost('index on disk, per TiB of unique data', ((TIB / CHUNK_BYTES) * bytesPerChunk) / MIB, 'MiB', 512),
    atMost('index in memory, per TiB of unique data', table.memoryBytes / share / MIB, 'MiB', 384),
  ];
}
