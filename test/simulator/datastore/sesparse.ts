import { open, type FileHandle } from 'node:fs/promises';
import { normalizeExtents, type Extent } from '../../../src/disk/index.js';

/**
 * seSparse, VMware's delta format for VMFS 6. It has no public specification; the layout here is
 * the one qemu reads (block/vmdk.c, vmdk_open_se_sparse and get_cluster_offset):
 * little-endian 64-bit words, everything counted in sectors, 4 KiB grains, grain tables of 4096 entries.
 */
const SECTOR = 512;
export const GRAIN_BYTES = 4096;
const GRAIN_SECTORS = 8;
const TABLE_SECTORS = 64;
const TABLE_BYTES = TABLE_SECTORS * SECTOR;
const TABLE_ENTRIES = TABLE_BYTES / 8;
const TABLE_COVERAGE_BYTES = TABLE_ENTRIES * GRAIN_BYTES;
const CONST_MAGIC = 0xcafebaben;
const VOLATILE_MAGIC = 0xcafecafen;
const VERSION = 0x0000000200000001n;
/** Regions start at multiples of 1 MiB, as ESXi lays them out. */
const ALIGNMENT_SECTORS = 2048;
const VOLATILE_SECTOR = 1;
const TYPE_ZERO = 2;
const TYPE_DATA = 3;
const DIRECTORY_ALLOCATED = 0x10000000;

interface Layout {
  capacitySectors: number;
  directorySector: number;
  directorySectors: number;
  tablesSector: number;
  tablesSectors: number;
  bitmapSector: number;
  bitmapSectors: number;
  backmapSector: number;
  backmapSectors: number;
  grainsSector: number;
  grainsSectors: number;
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

function layoutFor(capacitySectors: number): Layout {
  const grains = Math.ceil(capacitySectors / GRAIN_SECTORS);
  const tables = Math.max(1, Math.ceil(grains / TABLE_ENTRIES));
  const directorySector = 2 * ALIGNMENT_SECTORS;
  const directorySectors = roundUp(Math.ceil((tables * 8) / SECTOR), ALIGNMENT_SECTORS);
  const tablesSector = directorySector + directorySectors;
  const tablesSectors = roundUp(tables * TABLE_SECTORS, ALIGNMENT_SECTORS);
  const bitmapSector = tablesSector + tablesSectors;
  const bitmapSectors = roundUp(Math.ceil(grains / 8 / SECTOR), ALIGNMENT_SECTORS);
  const backmapSector = bitmapSector + bitmapSectors;
  const backmapSectors = roundUp(Math.ceil((grains * 8) / SECTOR), ALIGNMENT_SECTORS);
  const grainsSector = backmapSector + backmapSectors;
  const grainsSectors = roundUp(grains * GRAIN_SECTORS, ALIGNMENT_SECTORS);
  return {
    capacitySectors,
    directorySector,
    directorySectors,
    tablesSector,
    tablesSectors,
    bitmapSector,
    bitmapSectors,
    backmapSector,
    backmapSectors,
    grainsSector,
    grainsSectors,
  };
}

function constHeader(layout: Layout): Buffer {
  const header = Buffer.alloc(SECTOR);
  const words = [
    CONST_MAGIC,
    VERSION,
    layout.capacitySectors,
    GRAIN_SECTORS,
    TABLE_SECTORS,
    0, // flags
    0,
    0,
    0,
    0, // reserved
    VOLATILE_SECTOR,
    1,
    2, // journal header
    2,
    ALIGNMENT_SECTORS, // journal
    ALIGNMENT_SECTORS,
    layout.directorySector,
    layout.directorySectors,
    layout.tablesSector,
    layout.tablesSectors,
    layout.bitmapSector,
    layout.bitmapSectors,
    layout.backmapSector,
    layout.backmapSectors,
    layout.grainsSector,
    layout.grainsSectors,
  ];
  for (const [index, word] of words.entries()) header.writeBigUInt64LE(BigInt(word), index * 8);
  return header;
}

/** What a delta says of a run of bytes: its own data, zero, or nothing (ask the parent). */
export interface GrainRun extends Extent {
  state: 'data' | 'zero' | 'absent';
  /** Where in the file; only for data. */
  fileOffsetBytes: number;
}

interface GrainEntry {
  type: number;
  index: number;
}

/** One open seSparse extent. Not safe for concurrent writers; the model locks the VM around it. */
export class SeSparseExtent {
  private readonly tables = new Map<number, Buffer>();
  private readonly dirtyTables = new Set<number>();

  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
    private readonly layout: Layout,
    private readonly directory: Buffer,
    private nextTable: number,
    private nextGrain: number,
  ) {}

  static async create(path: string, capacityBytes: number): Promise<void> {
    const layout = layoutFor(Math.ceil(capacityBytes / SECTOR));
    const file = await open(path, 'wx');
    try {
      await file.write(constHeader(layout), 0, SECTOR, 0);
      await file.write(volatileHeader(0), 0, SECTOR, VOLATILE_SECTOR * SECTOR);
      await file.truncate(layout.grainsSector * SECTOR);
    } finally {
      await file.close();
    }
  }

  /** @throws Error when the header is not that of a clean seSparse extent. */
  static async open(path: string, mode: 'r' | 'r+'): Promise<SeSparseExtent> {
    const file = await open(path, mode);
    try {
      const header = Buffer.alloc(2 * SECTOR);
      await file.read(header, 0, header.length, 0);
      const word = (index: number) => Number(header.readBigUInt64LE(index * 8));
      if (header.readBigUInt64LE(0) !== CONST_MAGIC || header.readBigUInt64LE(8) !== VERSION)
        throw new Error(`${path} is not a seSparse extent`);
      if (header.readBigUInt64LE(SECTOR) !== VOLATILE_MAGIC || word(67) !== 0) throw new Error(`${path} has a damaged volatile header`);
      const layout = layoutFor(word(2));
      if (word(16) !== layout.directorySector || word(18) !== layout.tablesSector || word(24) !== layout.grainsSector) {
        throw new Error(`${path} has a layout this simulator does not write`);
      }
      const directory = Buffer.alloc(layout.directorySectors * SECTOR);
      await file.read(directory, 0, directory.length, layout.directorySector * SECTOR);
      const { size } = await file.stat();
      const nextGrain = Math.max(0, Math.ceil((size - layout.grainsSector * SECTOR) / GRAIN_BYTES));
      return new SeSparseExtent(path, file, layout, directory, word(65), nextGrain);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get capacityBytes(): number {
    return this.layout.capacitySectors * SECTOR;
  }

  /** The runs of [offsetBytes, +lengthBytes), in order, neighbours merged where also their place in the file continues. */
  async runs(offsetBytes: number, lengthBytes: number): Promise<GrainRun[]> {
    const result: GrainRun[] = [];
    const end = offsetBytes + lengthBytes;
    let at = offsetBytes;
    while (at < end) {
      const table = await this.table(Math.floor(at / TABLE_COVERAGE_BYTES), false);
      const tableEnd = Math.min(end, (Math.floor(at / TABLE_COVERAGE_BYTES) + 1) * TABLE_COVERAGE_BYTES);
      if (!table) {
        appendRun(result, { offsetBytes: at, lengthBytes: tableEnd - at, state: 'absent', fileOffsetBytes: 0 });
        at = tableEnd;
        continue;
      }
      while (at < tableEnd) {
        const inGrain = at % GRAIN_BYTES;
        const length = Math.min(GRAIN_BYTES - inGrain, tableEnd - at);
        const entry = readEntry(table, Math.floor(at / GRAIN_BYTES) % TABLE_ENTRIES);
        const state = entry.type === TYPE_DATA ? 'data' : entry.type === 0 ? 'absent' : 'zero';
        const fileOffsetBytes = state === 'data' ? this.layout.grainsSector * SECTOR + entry.index * GRAIN_BYTES + inGrain : 0;
        appendRun(result, { offsetBytes: at, lengthBytes: length, state, fileOffsetBytes });
        at += length;
      }
    }
    return result;
  }

  /** Every run that is not absent. */
  async ownRuns(): Promise<GrainRun[]> {
    return (await this.runs(0, this.capacityBytes)).filter((run) => run.state !== 'absent');
  }

  async ownExtents(): Promise<{ data: Extent[]; zero: Extent[] }> {
    const runs = await this.ownRuns();
    const pick = (state: GrainRun['state']) =>
      normalizeExtents(runs.filter((r) => r.state === state).map(({ offsetBytes, lengthBytes }) => ({ offsetBytes, lengthBytes })));
    return { data: pick('data'), zero: pick('zero') };
  }

  async readRun(run: GrainRun, target: Buffer, targetOffset: number): Promise<void> {
    await readOrZero(this.file, target, targetOffset, run.lengthBytes, run.fileOffsetBytes);
  }

  /** Whole grains only: the chain above has merged what the parent holds of a partial one. */
  async writeGrains(offsetBytes: number, bytes: Uint8Array): Promise<void> {
    if (offsetBytes % GRAIN_BYTES !== 0 || bytes.length % GRAIN_BYTES !== 0) throw new RangeError('seSparse writes whole grains');
    for (let done = 0; done < bytes.length; done += GRAIN_BYTES) {
      const grain = (offsetBytes + done) / GRAIN_BYTES;
      const table = await this.writableTable(Math.floor(grain / TABLE_ENTRIES));
      const slot = grain % TABLE_ENTRIES;
      const entry = readEntry(table, slot);
      let index = entry.index;
      if (entry.type !== TYPE_DATA) {
        index = this.nextGrain;
        this.nextGrain += 1;
        writeEntry(table, slot, { type: TYPE_DATA, index });
      }
      await this.file.write(bytes, done, GRAIN_BYTES, this.layout.grainsSector * SECTOR + index * GRAIN_BYTES);
    }
  }

  /** Whole grains become zero and mask the parent. Their file space is not taken again. */
  async zeroGrains(offsetBytes: number, lengthBytes: number): Promise<void> {
    for (let at = offsetBytes; at < offsetBytes + lengthBytes; at += GRAIN_BYTES) {
      const grain = at / GRAIN_BYTES;
      const table = await this.writableTable(Math.floor(grain / TABLE_ENTRIES));
      writeEntry(table, grain % TABLE_ENTRIES, { type: TYPE_ZERO, index: 0 });
    }
  }

  /** Grains first, then tables, then the directory: a reader never meets a pointer to nothing. */
  async flush(): Promise<void> {
    if (this.dirtyTables.size === 0) return;
    for (const number of this.dirtyTables) {
      const place = this.directory.readUInt32LE(number * 8);
      const table = this.tables.get(number);
      if (table) await this.file.write(table, 0, TABLE_BYTES, this.layout.tablesSector * SECTOR + place * TABLE_BYTES);
    }
    this.dirtyTables.clear();
    await this.file.write(this.directory, 0, this.directory.length, this.layout.directorySector * SECTOR);
    await this.file.write(volatileHeader(this.nextTable), 0, SECTOR, VOLATILE_SECTOR * SECTOR);
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.file.close();
    }
  }

  private async table(number: number, create: boolean): Promise<Buffer | undefined> {
    const cached = this.tables.get(number);
    if (cached) return cached;
    const high = this.directory.readUInt32LE(number * 8 + 4);
    if (high !== DIRECTORY_ALLOCATED && !create) return undefined;
    const table = Buffer.alloc(TABLE_BYTES);
    if (high === DIRECTORY_ALLOCATED) {
      const place = this.directory.readUInt32LE(number * 8);
      await readOrZero(this.file, table, 0, TABLE_BYTES, this.layout.tablesSector * SECTOR + place * TABLE_BYTES);
    } else {
      this.directory.writeUInt32LE(this.nextTable, number * 8);
      this.directory.writeUInt32LE(DIRECTORY_ALLOCATED, number * 8 + 4);
      this.nextTable += 1;
    }
    this.tables.set(number, table);
    return table;
  }

  private async writableTable(number: number): Promise<Buffer> {
    this.dirtyTables.add(number);
    return (await this.table(number, true)) as Buffer;
  }
}

function volatileHeader(nextTable: number): Buffer {
  const header = Buffer.alloc(SECTOR);
  header.writeBigUInt64LE(VOLATILE_MAGIC, 0);
  header.writeBigUInt64LE(BigInt(nextTable), 8);
  return header;
}

// Type in the top nibble; of the grain's index the low 12 bits stand in bits 48..59, the rest in bits 0..47.
function readEntry(table: Buffer, slot: number): GrainEntry {
  const low = table.readUInt32LE(slot * 8);
  const high = table.readUInt32LE(slot * 8 + 4);
  const rest = (high & 0xffff) * 2 ** 32 + low;
  return { type: high >>> 28, index: rest * 4096 + ((high >>> 16) & 0xfff) };
}

function writeEntry(table: Buffer, slot: number, entry: GrainEntry): void {
  const rest = Math.floor(entry.index / 4096);
  table.writeUInt32LE(rest % 2 ** 32, slot * 8);
  table.writeUInt32LE(entry.type * 2 ** 28 + (entry.index % 4096) * 2 ** 16 + Math.floor(rest / 2 ** 32), slot * 8 + 4);
}

function appendRun(runs: GrainRun[], run: GrainRun): void {
  const last = runs.at(-1);
  const continues = last?.state === run.state && (run.state !== 'data' || last.fileOffsetBytes + last.lengthBytes === run.fileOffsetBytes);
  if (last && continues) last.lengthBytes += run.lengthBytes;
  else runs.push(run);
}

async function readOrZero(file: FileHandle, target: Buffer, targetOffset: number, lengthBytes: number, position: number): Promise<void> {
  let done = 0;
  while (done < lengthBytes) {
    const { bytesRead } = await file.read(target, targetOffset + done, lengthBytes - done, position + done);
    if (bytesRead === 0) {
      target.fill(0, targetOffset + done, targetOffset + lengthBytes);
      return;
    }
    done += bytesRead;
  }
}
