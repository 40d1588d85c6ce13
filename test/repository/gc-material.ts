import { randomBytes, randomFillSync, randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { silentLogger } from '../../src/common/index.js';
import { CryptoLane } from '../../src/repository/crypto-lane.js';
import { readDescription } from '../../src/repository/description.js';
import { encodeIndexRoot, FORMAT_VERSION, ID_BYTES, PAGE_BYTES, PAGE_IDS } from '../../src/repository/format.js';
import { markLiving } from '../../src/repository/gc-mark.js';
import { FolderStore, Repository } from '../../src/repository/index.js';
import { KeyRing } from '../../src/repository/key-ring.js';
import { writeManifest } from '../../src/repository/manifest.js';
import { Organization } from '../../src/repository/organization.js';
import { PackStream } from '../../src/repository/pack-stream.js';
import { ORGANIZATION } from './fixture.js';

const CHUNK_BYTES = 256 * 1024;
const PAGES_AT_ONCE = 16;

export interface MarkMaterial {
  capacityBytes: number;
  restorePoints: number;
  /** Of the disk, each time: the pages in which something has changed. */
  changedPagesShare: number;
  /** Of a changed page: the chunks that are others. */
  changedChunksShare: number;
}

export interface MarkMeasure {
  seconds: number;
  cpuSeconds: number;
  pages: number;
  /** What the process took more of, at its highest, than before. */
  peakBytes: number;
  records: number;
  /** Of chunks of the disk. */
  diskIds: number;
}

/**
 * Makes a repository of restore points of one disk - their pages, roots and manifests, as backups would write them, without a byte of
 * the chunks - and marks it as the collector does.
 * @param folder is made, and removed afterwards.
 */
export async function measureMark(folder: string, material: MarkMaterial): Promise<MarkMeasure> {
  try {
    const masterKey = randomBytes(32);
    const store = await FolderStore.open(folder);
    await Repository.create({ store, masterKey, log: silentLogger, chunkBytes: CHUNK_BYTES });
    const { repositoryId } = await readDescription(store);
    const keys = await new KeyRing(store, masterKey, repositoryId).findOrMake(ORGANIZATION);
    const open = () => new Organization(ORGANIZATION, keys, store, new CryptoLane(), silentLogger);
    // Held until the end: memory that is freed while the mark runs would hide what the mark takes.
    const written = await write(open(), material);
    const { records } = written;
    const organization = open();
    await organization.index.refresh();
    // The page cache is warm, as far as it goes: what is measured is the collector, not the disk.
    for await (const { name } of store.list('orgs/')) await store.get(name);
    // As many as the chunks would be: the filter is as large as it would be.
    Object.defineProperty(organization.index, 'size', { get: () => records });
    const measured = await mark(organization, material);
    return { ...measured, records, diskIds: written.diskIds.length / ID_BYTES };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function mark(organization: Organization, { restorePoints }: MarkMaterial): Promise<Omit<MarkMeasure, 'records' | 'diskIds'>> {
  const beforeBytes = process.memoryUsage().rss;
  let peakBytes = 0;
  const look = () => {
    peakBytes = Math.max(peakBytes, process.memoryUsage().rss - beforeBytes);
  };
  const timer = setInterval(look, 20);
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  const found = await markLiving(organization);
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  look();
  clearInterval(timer);
  if (found.restorePoints !== restorePoints) throw new Error(`${found.restorePoints} of ${restorePoints} restore points were marked`);
  return { seconds, cpuSeconds: (user + system) / 1e6, pages: found.pages, peakBytes };
}

interface Written {
  /** Different ones, those that were left out included. */
  records: number;
  /** Of the disk's chunks at the last restore point. */
  diskIds: Buffer;
}

async function write(organization: Organization, material: MarkMaterial): Promise<Written> {
  const { place, index, store, lane } = organization;
  const { capacityBytes, restorePoints, changedPagesShare } = material;
  const stream = new PackStream({
    place,
    index,
    store,
    lane,
    packTargetBytes: 32 * 1024 * 1024,
    leaveFreeBytes: 0,
    onIndexed: () => undefined,
  });
  const pages = Math.ceil(capacityBytes / CHUNK_BYTES / PAGE_IDS);
  const pageIds = Buffer.alloc(pages * ID_BYTES);
  const diskIds = Buffer.allocUnsafeSlow(pages * PAGE_BYTES);
  const changedIds = Math.round(PAGE_IDS * material.changedChunksShare);
  let records = pages * PAGE_IDS;
  for (let point = 0; point < restorePoints; point += 1) {
    const changed = point === 0 ? pages : Math.round(pages * changedPagesShare);
    for (let first = 0; first < changed; first += PAGES_AT_ONCE) {
      const numbers = Array.from({ length: Math.min(PAGES_AT_ONCE, changed - first) }, (_, i) => (first + i + point * 7) % pages);
      const memory = Buffer.allocUnsafeSlow(numbers.length * PAGE_BYTES);
      const sealed = numbers.map((number, i) => {
        const offset = i * PAGE_BYTES;
        const ids = diskIds.subarray(number * PAGE_BYTES, (number + 1) * PAGE_BYTES);
        if (point === 0) randomFillSync(ids);
        // Somewhere in the page, next to each other: what a mark meets is how many ids are new, not which.
        else randomFillSync(ids, randomInt(PAGE_IDS - changedIds + 1) * ID_BYTES, changedIds * ID_BYTES);
        ids.copy(memory, offset);
        const digest = place.keys.digest('page', memory.subarray(offset, offset + PAGE_BYTES));
        digest.copy(pageIds, number * ID_BYTES);
        return { offset, length: PAGE_BYTES, digest };
      });
      await stream.append('page', memory, sealed);
    }
    if (point > 0) records += changed * changedIds;
    records += changed + 1;
    const root = encodeIndexRoot({ capacityBytes, chunkBytes: CHUNK_BYTES, pageIds });
    const rootId = place.keys.digest('root', root);
    await stream.append('root', root, [{ offset: 0, length: root.length, digest: rootId }]);
    await stream.flush();
    const disks = [{ diskId: 'disk', indexId: rootId.toString('hex'), capacityBytes, chunkBytes: CHUNK_BYTES }];
    const ref = { organizationId: place.organizationId, restorePointId: `rp-${String(point).padStart(4, '0')}` };
    await writeManifest(organization, {
      formatVersion: FORMAT_VERSION,
      ...ref,
      createdAt: '2026-01-01T00:00:00.000Z',
      disks,
      documents: [],
      content: null,
    });
  }
  return { records, diskIds };
}
