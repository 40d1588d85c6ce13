import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { copyDisk } from '../../src/backup/copy-disk.js';
import { GIB, KIB, MIB, SECTOR_BYTES, silentLogger, TIB } from '../../src/common/index.js';
import { type Extent, planCopy } from '../../src/disk/index.js';
import { type DiskIndexRef, FolderStore, Repository } from '../../src/repository/index.js';
import { writeDisk } from '../../src/restore/write-disk.js';
import { pattern, Workshop } from './vddk-fixtures.js';

const workshop = new Workshop();
const signal = new AbortController().signal;
const ORGANIZATION = 'urn:vcloud:org:62';
const DISK = 'd-62';
const PIECE_BYTES = 320 * KIB;
/** The largest virtual disk there is, less a few sectors: its last chunk is short. */
const CAPACITY_BYTES = 62 * TIB - 3 * SECTOR_BYTES;
/** Where 32 bits of bytes, of sectors (2 TiB) and of chunks of 4 KiB (16 TiB) end, and where the disk does; on the grain of a restore, which writes no other zeros. */
const PLACES = [0, 4 * GIB - 64 * KIB, 2 * TIB - 64 * KIB, 16 * TIB - 64 * KIB, 40 * TIB + 64 * KIB, 62 * TIB - PIECE_BYTES];
const lengthAt = (place: number) => Math.min(PIECE_BYTES, CAPACITY_BYTES - place);

let repository: Repository;
beforeAll(async () => {
  const store = await FolderStore.open(join(workshop.dir, 'repository'));
  repository = await Repository.create({ store, masterKey: randomBytes(32), log: silentLogger });
});
afterAll(() => workshop.clear());

/** A disk that is nothing but these pieces: what lies between them has no place where anything could be written. */
function diskOf(name: string, contents: readonly Buffer[]): { path: string; files: string[] } {
  const extents: string[] = [];
  let at = 0;
  const files = contents.map((content, i) => {
    const place = PLACES[i] as number;
    if (place > at) extents.push(`RW ${(place - at) / SECTOR_BYTES} ZERO`);
    extents.push(`RW ${content.length / SECTOR_BYTES} FLAT "${name}-${i}.bin" 0`);
    at = place + content.length;
    return workshop.sparseFile(`${name}-${i}.bin`, content.length, content.every((byte) => byte === 0) ? [] : [[0, content]]);
  });
  return { path: workshop.descriptor(`${name}.vmdk`, extents), files };
}

async function open(path: string, readOnly: boolean) {
  const host = await workshop.startHost();
  return { disk: await (await host.connectHosted({ readOnly })).openDisk(path, { unbuffered: !readOnly }), memory: host.memory };
}

async function backUp(path: string, restorePointId: string, changed?: Extent[], base?: DiskIndexRef) {
  const { disk, memory } = await open(path, true);
  const session = await repository.beginSession(ORGANIZATION, restorePointId);
  const chunkBytes = repository.defaultChunkBytes;
  const writer = await session.openDisk({ diskId: DISK, capacityBytes: disk.capacityBytes, chunkBytes, ...(base && { base }) });
  const previous = base && (await repository.openDisk({ organizationId: ORGANIZATION, restorePointId: 'rp-1' }, { diskId: DISK, ...base }));
  const allocated = await disk.queryAllocated();
  const plan = planCopy({ capacityBytes: disk.capacityBytes, chunkBytes, allocated, changed });
  const readBytes = await copyDisk({
    disk,
    memory: { buffer: memory, offset: 0, length: memory.length },
    plan,
    writer,
    ...(previous && { base: previous }),
    maxRequestBytes: MIB,
    onProgress: () => undefined,
    signal,
  });
  const index = await writer.finish();
  await session.publish({ createdAt: 'now', disks: [{ diskId: DISK, ...index }], documents: [], content: null });
  await disk.close();
  return { index, readBytes, tally: writer.tally };
}

async function restored(restorePointId: string, index: DiskIndexRef): Promise<Buffer[]> {
  const empty = PLACES.map((place) => Buffer.alloc(lengthAt(place)));
  const { path, files } = diskOf(`restored-${restorePointId}`, empty);
  const { disk, memory } = await open(path, false);
  const reader = await repository.openDisk({ organizationId: ORGANIZATION, restorePointId }, { diskId: DISK, ...index });
  await writeDisk({ disk, reader, allocated: [], memory, maxRequestBytes: MIB, onProgress: () => undefined, signal });
  await disk.close();
  return files.map((file) => readFileSync(file));
}

it('a disk of 62 TiB is backed up whole, then what changed of it, and comes back byte for byte', { timeout: 120_000 }, async () => {
  const first = PLACES.map((place) => pattern(`at ${place}`, lengthAt(place)));
  const disk = diskOf('disk', first);
  const rssBefore = process.memoryUsage.rss();
  const full = await backUp(disk.path, 'rp-1');
  expect(full.index.capacityBytes).toBe(CAPACITY_BYTES);
  expect(full.readBytes).toBe(CAPACITY_BYTES - (PLACES.at(-1) as number) + (PLACES.length - 1) * PIECE_BYTES);
  expect(full.tally.chunks).toBe(Math.ceil(CAPACITY_BYTES / repository.defaultChunkBytes));
  expect((process.memoryUsage.rss() - rssBefore) / MIB).toBeLessThan(300);
  for (const [i, bytes] of (await restored('rp-1', full.index)).entries())
    expect(bytes.equals(first[i] as Buffer), `piece ${i}`).toBe(true);

  // The last sectors of the disk, and one sector past 2 TiB.
  const last = pattern('the end', 4 * SECTOR_BYTES);
  const past = pattern('past 2 TiB', SECTOR_BYTES);
  const second = first.map((bytes) => Buffer.from(bytes));
  last.copy(second[5] as Buffer, lengthAt(PLACES[5] as number) - last.length);
  past.copy(second[2] as Buffer, 64 * KIB);
  const changed = [
    { offsetBytes: 2 * TIB, lengthBytes: past.length },
    { offsetBytes: CAPACITY_BYTES - last.length, lengthBytes: last.length },
  ];
  const next = await backUp(diskOf('changed', second).path, 'rp-2', changed, full.index);
  expect(next.readBytes).toBe(last.length + past.length);
  expect(next.tally).toMatchObject({ chunks: 2, newChunks: 2 });
  for (const [i, bytes] of (await restored('rp-2', next.index)).entries())
    expect(bytes.equals(second[i] as Buffer), `piece ${i}`).toBe(true);
});
