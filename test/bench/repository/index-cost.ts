import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../../../src/common/index.js';
import { createChunkTable } from '../../../src/native/index.js';
import { decodePackFooter, ENTRY_BYTES, ID_BYTES, PACK_FOOTER_BYTES, readEntry, RECORD_KINDS } from '../../../src/repository/format.js';
import { atMost, type BenchOptions, type BenchRow } from '../bench.js';
import { filesIn } from './files.js';

const CHUNK_BYTES = 256 * 1024;
const TIB = 2 ** 40;
const BATCH = 8192;
const MOST_ON_DISK_MIB = 512;
const MOST_IN_MEMORY_MIB = 384;

/** What finding chunks again costs a repository on disk, in the files as they are: segments, trailers, pages and roots. */
export interface IndexOnDisk {
  chunks: number;
  /** Of those, as they were read from the disk. */
  chunkBytes: number;
  indexBytes: number;
}

/** Reads the packs and segments of a repository in a folder. */
export function indexOnDisk(repositoryFolder: string): IndexOnDisk {
  const found: IndexOnDisk = { chunks: 0, chunkBytes: 0, indexBytes: 0 };
  for (const path of filesIn(join(repositoryFolder, 'orgs'))) {
    const folders = path.split('/');
    if (folders.at(-2) === 'index') found.indexBytes += statSync(path).size;
    if (folders.at(-3) === 'packs') addPack(found, path);
  }
  return found;
}

function addPack(found: IndexOnDisk, path: string): void {
  const packLength = statSync(path).size;
  const footer = readPart(path, packLength - PACK_FOOTER_BYTES, PACK_FOOTER_BYTES);
  const { entryCount, trailerOffset } = decodePackFooter(footer, packLength);
  const entries = readPart(path, trailerOffset, entryCount * ENTRY_BYTES);
  found.indexBytes += packLength - trailerOffset;
  for (let i = 0; i < entryCount; i += 1) {
    const { kind, length, plainLength } = readEntry(entries, i * ENTRY_BYTES);
    if (kind === RECORD_KINDS.page || kind === RECORD_KINDS.root) found.indexBytes += length;
    if (kind !== RECORD_KINDS.data) continue;
    found.chunks += 1;
    found.chunkBytes += plainLength;
  }
}

function readPart(path: string, offset: number, length: number): Buffer {
  const file = openSync(path, 'r');
  const part = Buffer.alloc(length);
  readSync(file, part, 0, length, offset);
  closeSync(file);
  return part;
}

/**
 * What a TiB of unique data costs: on disk as many times what this repository's index takes, and in the table of a process.
 * @param share of a TiB that is tried in memory; the table grows by doubling, so a power of two is as good as the whole.
 */
export function indexCost({ chunks, chunkBytes, indexBytes }: IndexOnDisk, share: number, say: BenchOptions['say']): BenchRow[] {
  say(`The index of ${chunks} chunks takes ${(indexBytes / 1024).toFixed(1)} KiB on disk, ${(indexBytes / chunks).toFixed(1)} bytes each.`);
  return [
    atMost('index on disk, scaled to a TiB of unique data', (indexBytes * (TIB / chunkBytes)) / MIB, 'MiB', MOST_ON_DISK_MIB),
    atMost('index in memory, per TiB of unique data', memoryOf((TIB * share) / CHUNK_BYTES, say) / share / MIB, 'MiB', MOST_IN_MEMORY_MIB),
  ];
}

function memoryOf(chunks: number, say: BenchOptions['say']): number {
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
  say(`A table of ${table.size} chunks was filled in ${seconds.toFixed(1)} s; ${residentMib.toFixed(0)} MiB of it are resident.`);
  return table.memoryBytes;
}
