import type { CatalogService } from '../catalog/index.js';
import { describeError, throwIfAborted, VaultError } from '../common/index.js';
import { isRepositoryError, type Manifest, type ManifestRef, type RepositoryApi } from '../repository/index.js';

/** Manifests that are read while the one before is written down. */
const READ_AHEAD = 8;
const BATCH = 500;

export interface RebuildReport {
  /** Restore points the repository has. */
  restorePoints: number;
  /** Of these, those the catalog lacked and has now. */
  adopted: number;
  /** Legal holds of which only the repository knew. */
  holdsAdopted: number;
  /** Where the adopted ones come from. Their logins are not in the repository: register these clouds again. */
  clouds: { id: string; name: string; restorePoints: number }[];
  /** What could not be brought back, each with its reason; run again when it is healed. */
  damaged: { organizationId?: string; restorePointId?: string; reason: string }[];
}

interface RebuildOptions {
  onProgress?: (progress: { done: number; restorePoints: number }) => void;
  signal?: AbortSignal;
}

/**
 * Brings every restore point of the repository that the catalog does not have into it, and the legal holds on them. Reads the repository only; in the
 * catalog, adds only. Interrupted, the next one goes on where it ended.
 * @throws RepositoryError when the repository itself does not answer; what is damaged is reported, and the rest goes on.
 */
export async function rebuildCatalog(
  repository: Pick<RepositoryApi, 'listManifests' | 'readManifest' | 'lockedUntil'>,
  catalog: Pick<CatalogService, 'knownRestorePoints' | 'adoptRestorePoint' | 'adoptLegalHolds'>,
  { onProgress, signal }: RebuildOptions = {},
): Promise<RebuildReport> {
  const report: RebuildReport = { restorePoints: 0, adopted: 0, holdsAdopted: 0, clouds: [], damaged: [] };
  const refs: ManifestRef[] = [];
  const damagedKey = (error: VaultError) => report.damaged.push({ reason: error.message });
  for await (const ref of repository.listManifests(signal, damagedKey)) refs.push(ref);
  // The newest first, by the clock in their ids: names of VMs belong to whoever had them last.
  refs.sort((one, other) => (one.restorePointId < other.restorePointId ? 1 : -1));
  report.restorePoints = refs.length;
  for (let first = 0; first < refs.length; first += BATCH) {
    const batch = refs.slice(first, first + BATCH);
    const known = await catalog.knownRestorePoints(batch.map(({ restorePointId }) => restorePointId));
    const missing = batch.filter(({ restorePointId }) => !known.has(restorePointId));
    for await (const { ref, manifest } of readAhead(missing, repository, signal)) {
      throwIfAborted(signal);
      await adopt(ref, manifest, catalog, report);
    }
    onProgress?.({ done: first + batch.length, restorePoints: refs.length });
  }
  report.holdsAdopted = await catalog.adoptLegalHolds(signal);
  return report;
}

type Outcome = { manifest: Manifest; lockedUntil: Date | undefined } | { error: unknown };

async function adopt(
  ref: ManifestRef,
  outcome: Outcome,
  catalog: Pick<CatalogService, 'adoptRestorePoint'>,
  report: RebuildReport,
): Promise<void> {
  try {
    if ('error' in outcome) throw outcome.error;
    const { manifest, lockedUntil } = outcome;
    const { cloud, adopted } = await catalog.adoptRestorePoint(ref.restorePointId, manifest.createdAt, manifest.content, lockedUntil);
    if (!adopted) return;
    report.adopted += 1;
    const counted = report.clouds.find(({ id }) => id === cloud.id);
    if (counted) counted.restorePoints += 1;
    else report.clouds.push({ id: cloud.id, name: cloud.name, restorePoints: 1 });
  } catch (error) {
    // Deleted since the listing.
    if (isRepositoryError(error, 'RESTORE_POINT_NOT_FOUND')) return;
    if (!isDamage(error)) throw error;
    report.damaged.push({ ...ref, reason: describeError(error) });
  }
}

/** In order. What does not read is handed on with its error. */
async function* readAhead(
  refs: readonly ManifestRef[],
  repository: Pick<RepositoryApi, 'readManifest' | 'lockedUntil'>,
  signal?: AbortSignal,
): AsyncGenerator<{ ref: ManifestRef; manifest: Outcome }> {
  const reading: { ref: ManifestRef; manifest: Promise<Outcome> }[] = [];
  const read = async (ref: ManifestRef): Promise<Outcome> => ({
    manifest: await repository.readManifest(ref, signal),
    lockedUntil: await repository.lockedUntil(ref, signal),
  });
  const begin = (ref: ManifestRef) =>
    reading.push({
      ref,
      manifest: read(ref).catch((error: unknown) => ({ error })),
    });
  const rest = refs[Symbol.iterator]();
  for (const ref of refs.slice(0, READ_AHEAD)) {
    rest.next();
    begin(ref);
  }
  for (let next = reading.shift(); next !== undefined; next = reading.shift()) {
    yield { ref: next.ref, manifest: await next.manifest };
    const following = rest.next();
    if (!following.done) begin(following.value);
  }
}

function isDamage(error: unknown): boolean {
  return error instanceof VaultError && !error.retryable && /_(DAMAGED|MISSING|UNKNOWN|TRUNCATED)$|^INVALID_ARGUMENT$/.test(error.code);
}
