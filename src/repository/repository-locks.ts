import { isRepositoryError } from './errors.js';
import { organizationFolder } from './format.js';
import { holdObjects, holdOrganization } from './hold-objects.js';
import { manifestName, readManifest, restorePointNotFound } from './manifest.js';
import type { Organization } from './organization.js';
import { PageTrail } from './referenced-records.js';
import { RestorePointLocks, lockedRestorePoint } from './restore-point-locks.js';
import type { BlobStore, HoldOptions, ManifestRef } from './types.js';
import { VaultClock, type TimeSource } from './vault-clock.js';

/** The locks of all organizations of a repository, by one clock. */
export class RepositoryLocks {
  private clock: Promise<VaultClock> | undefined;

  constructor(
    private readonly store: BlobStore,
    private readonly time: TimeSource | undefined,
  ) {}

  of(organization: Pick<Organization, 'place'>, signal?: AbortSignal): Promise<RestorePointLocks> {
    return this.at(organization.place.prefix, signal);
  }

  /** @throws RepositoryError RESTORE_POINT_NOT_FOUND, also when it is deleted at this very moment. */
  async lock(organization: Organization, ref: ManifestRef, until: Date, signal?: AbortSignal): Promise<Date> {
    await this.assertThere(organization, ref, signal);
    const locked = await (await this.of(organization, signal)).lock(ref.restorePointId, until, signal);
    await this.assertThere(organization, ref, signal);
    return locked;
  }

  /** @returns how many objects the store keeps until the end of the lock. */
  async hold(organization: Organization, { restorePointId }: ManifestRef, options: HoldOptions): Promise<number> {
    const locks = await this.of(organization, options.signal);
    const { until } = await locks.find(restorePointId, options.signal);
    if (until === undefined || locks.isOver({ until, held: false })) return 0;
    return holdObjects(organization, restorePointId, until, new PageTrail(), options.onProgress ?? (() => undefined), options.signal);
  }

  async holdAll(organizations: AsyncIterable<Organization>, options: HoldOptions): Promise<{ restorePoints: number; objects: number }> {
    const sum = { restorePoints: 0, objects: 0 };
    for await (const organization of organizations) {
      const held = await holdOrganization(organization, await this.of(organization, options.signal), options);
      sum.restorePoints += held.restorePoints;
      sum.objects += held.objects;
    }
    return sum;
  }

  /** @throws RepositoryError RESTORE_POINT_LOCK_CONFLICT. */
  async assertUnlocked(organization: Organization, ref: ManifestRef, signal?: AbortSignal): Promise<void> {
    const atLeast = await publishedLock(organization, ref, signal);
    await (await this.of(organization, signal)).assertOver(ref.restorePointId, atLeast, signal);
  }

  /** Without the organization's key. @throws RepositoryError RESTORE_POINT_LOCK_CONFLICT naming one that is locked. */
  async assertAllUnlocked(organizationId: string, signal?: AbortSignal): Promise<void> {
    const prefix = `orgs/${organizationFolder(organizationId)}/`;
    const locks = await this.at(prefix, signal);
    for (const [restorePointId, lock] of await locks.all(signal)) {
      if (locks.isOver(lock)) continue;
      // A lock whose restore point was never published keeps nothing.
      if ((await this.store.size(prefix + manifestName(restorePointId), signal)) !== undefined)
        throw lockedRestorePoint(restorePointId, lock);
    }
  }

  private async assertThere(organization: Organization, ref: ManifestRef, signal?: AbortSignal): Promise<void> {
    const name = organization.place.prefix + manifestName(ref.restorePointId);
    if ((await this.store.size(name, signal)) === undefined) throw restorePointNotFound(ref);
  }

  private async at(prefix: string, signal?: AbortSignal): Promise<RestorePointLocks> {
    this.clock ??= VaultClock.load(this.store, this.time, signal).catch((error: unknown) => {
      this.clock = undefined;
      throw error;
    });
    return new RestorePointLocks(this.store, prefix, await this.clock);
  }
}

/** The date a restore point was published with: it counts even where somebody has removed the objects that say so. */
export async function publishedLock(organization: Organization, ref: ManifestRef, signal?: AbortSignal): Promise<Date | undefined> {
  try {
    const { lockedUntil } = await readManifest(organization, ref, signal);
    return lockedUntil === undefined ? undefined : new Date(lockedUntil);
  } catch (error) {
    if (isRepositoryError(error, 'MANIFEST_DAMAGED')) return undefined;
    throw error;
  }
}
