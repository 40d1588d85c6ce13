import { VaultError } from '../common/index.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import { readIndexRoot } from './index-root.js';
import { LiveSet } from './live-set.js';
import type { Organization } from './organization.js';
import { readManifestOf, restorePointIds, walkPages } from './walk.js';

export interface Mark {
  live: LiveSet;
  restorePoints: number;
}

/**
 * What the restore points of an organization refer to.
 * @throws RepositoryError GC_BLOCKED when one cannot be read in full: what it refers to is unknown, so nothing may be called dead.
 */
export async function markLiving(organization: Organization, signal?: AbortSignal): Promise<Mark> {
  const mark: Mark = { live: new LiveSet(organization.index.size), restorePoints: 0 };
  const visited = new Set<string>();
  for (const restorePointId of await restorePointIds(organization, signal)) {
    try {
      await markRestorePoint(organization, restorePointId, mark, visited, signal);
    } catch (error) {
      // Deleted since the listing.
      if (isRepositoryError(error, 'RESTORE_POINT_NOT_FOUND')) continue;
      if (!isDamage(error)) throw error;
      throw new RepositoryError(
        `Nothing is collected while restore point ${restorePointId} cannot be read in full (${error.message}); heal it, or delete it`,
        { code: 'GC_BLOCKED', subject: restorePointId, cause: error },
      );
    }
  }
  return mark;
}

async function markRestorePoint(
  organization: Organization,
  restorePointId: string,
  mark: Mark,
  visited: Set<string>,
  signal?: AbortSignal,
): Promise<void> {
  const manifest = await readManifestOf(organization, restorePointId, signal);
  for (const documentId of manifest.documents) mark.live.add(Buffer.from(documentId, 'hex'));
  for (const disk of manifest.disks) {
    mark.live.add(Buffer.from(disk.indexId, 'hex'));
    if (visited.has(disk.indexId)) continue;
    const pages: string[] = [];
    const unseen = (pageId: Buffer) => {
      const key = pageId.toString('latin1');
      if (visited.has(key)) return false;
      pages.push(key);
      mark.live.add(pageId);
      return true;
    };
    const { pageIds } = await readIndexRoot(organization.reader, disk.diskId, disk, signal);
    for await (const ids of walkPages(organization, disk.diskId, pageIds, (pageId) => !unseen(pageId), signal)) mark.live.add(ids);
    // Only now: a page whose reading failed must not count as followed.
    for (const key of pages) visited.add(key);
    visited.add(disk.indexId);
  }
  mark.restorePoints += 1;
}

function isDamage(error: unknown): error is VaultError {
  return error instanceof RepositoryError && /_(DAMAGED|MISSING)$|^INVALID_ARGUMENT$/.test(error.code);
}
