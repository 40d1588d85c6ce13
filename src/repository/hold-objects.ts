import { DESCRIPTION_NAME } from './description.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import { organizationFolder, packPath } from './format.js';
import { manifestName } from './manifest.js';
import type { Organization } from './organization.js';
import { PageTrail, packsOf } from './referenced-records.js';
import type { RestorePointLocks } from './restore-point-locks.js';
import type { HoldOptions } from './types.js';
import { readManifestOf } from './walk.js';

/** Requests under way at once: each is a small one. */
const IN_FLIGHT = 8;

export interface HoldProgress {
  doneObjects: number;
  objects: number;
}

/**
 * Has the store itself keep every object a restore point needs until the date: its packs, also those it shares with others, its
 * manifest, the organization's key and the description. Index segments are not needed to read it: the packs' trailers say the same.
 * To be called again after a collection, which may have moved records to other packs, and after a change of the master key.
 * @returns how many objects are held.
 */
export async function holdObjects(
  organization: Organization,
  restorePointId: string,
  until: Date,
  trail: PageTrail,
  onProgress: (progress: HoldProgress) => void,
  signal?: AbortSignal,
): Promise<number> {
  const { place, store } = organization;
  const manifest = await readManifestOf(organization, restorePointId, signal);
  await organization.index.refresh(signal);
  const packs = [...(await packsOf(organization, manifest, trail, signal))].map((packId) => place.prefix + packPath(packId));
  const names = [
    DESCRIPTION_NAME,
    `keys/${organizationFolder(place.organizationId)}.json`,
    place.prefix + manifestName(restorePointId),
    ...packs,
  ];
  const objects = names.length;
  let doneObjects = 0;
  const lane = async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      try {
        await store.retain(name, until, signal);
      } catch (error) {
        // Lost, or moved by a collector since: its records are elsewhere, and the next call finds them.
        if (!isRepositoryError(error, 'BLOB_NOT_FOUND')) throw error;
      }
      doneObjects += 1;
      onProgress({ doneObjects, objects });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return objects;
}

/** All that are locked, the longest first: what it shares with others is then held until the latest date, and looked at once. */
export async function holdOrganization(
  organization: Organization,
  locks: RestorePointLocks,
  options: HoldOptions,
): Promise<{ restorePoints: number; objects: number }> {
  const sum = { restorePoints: 0, objects: 0 };
  const trail = new PageTrail();
  for (const [restorePointId, until] of await locked(locks, options.signal)) {
    try {
      sum.objects += await holdObjects(organization, restorePointId, until, trail, options.onProgress ?? (() => undefined), options.signal);
      sum.restorePoints += 1;
    } catch (error) {
      // Damage is verify's to report, and what can be read of the others is held.
      if (!(error instanceof RepositoryError) || error.retryable) throw error;
    }
  }
  return sum;
}

/** Packs the store keeps until a date anyway: to rewrite them would only cost space. */
export async function packsUnderLock(organization: Organization, locks: RestorePointLocks, signal?: AbortSignal): Promise<Set<string>> {
  const packIds = new Set<string>();
  const trail = new PageTrail();
  for (const [restorePointId] of await locked(locks, signal)) {
    try {
      const manifest = await readManifestOf(organization, restorePointId, signal);
      for (const packId of await packsOf(organization, manifest, trail, signal)) packIds.add(packId);
    } catch (error) {
      // A lock whose restore point was never published, or is damaged: then the mark has ended the collection.
      if (!isRepositoryError(error, 'RESTORE_POINT_NOT_FOUND')) throw error;
    }
  }
  return packIds;
}

async function locked(locks: RestorePointLocks, signal?: AbortSignal): Promise<[string, Date][]> {
  const dated: [string, Date][] = [];
  for (const [restorePointId, lock] of await locks.all(signal)) {
    if (lock.until && !locks.isOver({ until: lock.until, held: false })) dated.push([restorePointId, lock.until]);
  }
  return dated.sort(([, a], [, b]) => b.getTime() - a.getTime());
}
