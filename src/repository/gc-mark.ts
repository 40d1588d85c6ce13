import { throughPlaces, type VaultError } from '../common/index.js';
import { createChunkTable } from '../native/index.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import { ID_BYTES, PAGE_BYTES, ZERO_ID } from './format.js';
import { readIndexRoot } from './index-root.js';
import { LiveSet } from './live-set.js';
import type { Organization } from './organization.js';
import type { Manifest } from './types.js';
import { readManifestOf, restorePointIds } from './walk.js';

/** 2 MiB of pages are read at a time, and that many batches are under way: all the memory that pages take. */
const PAGES_PER_BATCH = 16;
const BATCHES_IN_FLIGHT = 6;
const MANIFESTS_AHEAD = 8;
/** Some 90 million pages: 90 PiB of disk images without two pages in common. */
const MAXIMUM_FOLLOWED_BYTES = 8 * 1024 ** 3;

export interface Mark {
  live: LiveSet;
  restorePoints: number;
  /** Read; those that restore points share, once. */
  pages: number;
}

interface PageBatch {
  restorePointId: string;
  diskId: string;
  /** ID_BYTES each. */
  pageIds: Buffer;
}

/**
 * What the restore points of an organization refer to. Pages are followed once, however many restore points share them.
 * @throws RepositoryError GC_BLOCKED when one cannot be read in full: what it refers to is unknown, so nothing may be called dead.
 */
export async function markLiving(organization: Organization, signal?: AbortSignal): Promise<Mark> {
  const walk = new MarkingWalk(organization);
  const places = Array.from({ length: BATCHES_IN_FLIGHT }, () => Buffer.allocUnsafeSlow(PAGES_PER_BATCH * PAGE_BYTES));
  await throughPlaces(walk.batches(signal), places, signal ?? new AbortController().signal, async (batch, memory, either) => {
    await walk.follow(batch, memory, either);
  });
  return walk.mark;
}

class MarkingWalk {
  readonly mark: Mark;
  /** Roots and pages that are followed, or about to be: should that fail, there is no mark at all. */
  private readonly followed = createChunkTable(MAXIMUM_FOLLOWED_BYTES);

  constructor(private readonly organization: Organization) {
    this.mark = { live: new LiveSet(organization.index.size), restorePoints: 0, pages: 0 };
  }

  async *batches(signal?: AbortSignal): AsyncGenerator<PageBatch> {
    for await (const { restorePointId, manifest } of this.manifests(signal)) {
      for (const documentId of manifest.documents) this.mark.live.add(Buffer.from(documentId, 'hex'));
      for (const disk of manifest.disks) {
        const rootId = Buffer.from(disk.indexId, 'hex');
        this.mark.live.add(rootId);
        if (this.unfollowed(rootId).length === 0) continue;
        const { pageIds } = await unlessDamaged(restorePointId, () => readIndexRoot(this.organization.reader, disk.diskId, disk, signal));
        this.mark.live.add(pageIds);
        const fresh = this.unfollowed(pageIds);
        for (let at = 0; at < fresh.length; at += PAGES_PER_BATCH * ID_BYTES)
          yield { restorePointId, diskId: disk.diskId, pageIds: fresh.subarray(at, at + PAGES_PER_BATCH * ID_BYTES) };
      }
      this.mark.restorePoints += 1;
    }
  }

  /** Reads the pages into `memory`, and marks what they refer to. */
  async follow({ restorePointId, diskId, pageIds }: PageBatch, memory: Buffer, signal: AbortSignal): Promise<void> {
    const pages = pageIds.length / ID_BYTES;
    const wanted = Array.from({ length: pages }, (_, i) => ({
      digest: pageIds.subarray(i * ID_BYTES, (i + 1) * ID_BYTES),
      targetOffset: i * PAGE_BYTES,
      plainLength: PAGE_BYTES,
      what: `a page of the index of disk "${diskId}"`,
    }));
    await unlessDamaged(restorePointId, () => this.organization.reader.read('page', wanted, memory, signal));
    await this.mark.live.addBatch(memory.subarray(0, pages * PAGE_BYTES));
    this.mark.pages += pages;
  }

  /** In order; some are read ahead. */
  private async *manifests(signal?: AbortSignal): AsyncGenerator<{ restorePointId: string; manifest: Manifest }> {
    const ids = await restorePointIds(this.organization, signal);
    const reading: { restorePointId: string; manifest: Promise<Manifest | undefined> }[] = [];
    for (let next = 0; next < ids.length || reading.length > 0; ) {
      for (; next < ids.length && reading.length < MANIFESTS_AHEAD; next += 1) {
        const restorePointId = ids[next] as string;
        const manifest = this.manifest(restorePointId, signal);
        // Thrown where it is awaited.
        manifest.catch(() => undefined);
        reading.push({ restorePointId, manifest });
      }
      const { restorePointId, manifest } = reading.shift() as (typeof reading)[number];
      const read = await manifest;
      if (read) yield { restorePointId, manifest: read };
    }
  }

  /** @returns undefined when it was deleted since the listing. */
  private async manifest(restorePointId: string, signal?: AbortSignal): Promise<Manifest | undefined> {
    try {
      return await unlessDamaged(restorePointId, () => readManifestOf(this.organization, restorePointId, signal));
    } catch (error) {
      if (isRepositoryError(error, 'RESTORE_POINT_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** @returns those of the ids that nobody has followed, without zero ids; from now on they count as followed. */
  private unfollowed(ids: Buffer): Buffer {
    const rows = this.followed.lookup(ids);
    const fresh: Buffer[] = [];
    const seen = new Set<string>();
    for (let i = 0; i < rows.length / 4; i += 1) {
      const id = ids.subarray(i * ID_BYTES, (i + 1) * ID_BYTES);
      if (rows[i * 4 + 2] !== 0 || id.equals(ZERO_ID)) continue;
      // Two equal pages of one disk.
      const key = id.toString('latin1');
      if (seen.has(key)) continue;
      seen.add(key);
      fresh.push(id);
    }
    const result = Buffer.concat(fresh);
    this.followed.insert(result, new Uint32Array(fresh.length * 4).fill(1));
    return result;
  }
}

async function unlessDamaged<T>(restorePointId: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isDamage(error)) throw error;
    throw new RepositoryError(
      `Nothing is collected while restore point ${restorePointId} cannot be read in full (${error.message}); heal it, or delete it`,
      { code: 'GC_BLOCKED', subject: restorePointId, cause: error },
    );
  }
}

function isDamage(error: unknown): error is VaultError {
  return error instanceof RepositoryError && /_(DAMAGED|MISSING)$|^INVALID_ARGUMENT$/.test(error.code);
}
