import { type CatalogApi, type ManifestContent, type ManifestDisk, restorePointRow } from '../catalog/index.js';
import { isRepositoryError, type Manifest, type RepositoryApi } from '../repository/index.js';
import type { BackupPayload } from './backup-settings.js';

/**
 * A restore point exists when its manifest exists (plan, promise 1), whatever became of the worker
 * that wrote it: the catalog's row is made from it, and the run has reached its aim.
 * @returns the run's result; undefined when nothing was published.
 */
export async function concludeLostBackup(
  payload: BackupPayload,
  parts: { catalog: CatalogApi; repository: RepositoryApi },
  signal: AbortSignal,
): Promise<Record<string, unknown> | undefined> {
  const { catalog, repository } = parts;
  const { restorePointId } = payload;
  const vapp = await catalog.vapp(payload.vappId);
  if (vapp === undefined) return undefined;
  let manifest: Manifest;
  try {
    manifest = await repository.readManifest({ organizationId: vapp.organizationId, restorePointId }, signal);
  } catch (error) {
    if (isRepositoryError(error, 'RESTORE_POINT_NOT_FOUND', 'ORGANIZATION_KEY_MISSING')) return undefined;
    throw error;
  }
  const content = manifest.content as ManifestContent;
  await catalog.recordRestorePoint(restorePointRow(restorePointId, manifest.createdAt, content));
  return backupResult(restorePointId, content);
}

/** What a run that published a restore point tells of it. */
export function backupResult(restorePointId: string, content: ManifestContent): Record<string, unknown> {
  const left = content.excludedVms ?? [];
  const excludedVms = left.filter(({ failed }) => !failed).map(({ name }) => name);
  const failedVms = left.filter(({ failed }) => failed).map(({ name, vcloudId, reason }) => ({ name, vcloudId, reason }));
  const { kind, medium, firstClassDisk } = content;
  if (firstClassDisk !== undefined) {
    const { capacityBytes, fullReason } = firstClassDisk;
    return { restorePointId, kind, capacityBytes, ...sumOf([firstClassDisk]), fullReason };
  }
  if (medium !== undefined) return { restorePointId, kind, sizeBytes: medium.sizeBytes, sha256: medium.sha256, ...sumOf([medium]) };
  const bytes = sumOf(content.vms.flatMap((vm) => vm.disks));
  return {
    restorePointId,
    kind,
    vms: content.vms.length,
    ...bytes,
    ...(excludedVms.length > 0 && { excludedVms }),
    ...(failedVms.length > 0 && { failedVms }),
  };
}

type Moved = Pick<ManifestDisk, 'readBytes' | 'newBytes' | 'storedBytes'>;

/** What was read, what of it the repository did not have, and what that took up there. */
function sumOf(parts: readonly Moved[]): Moved {
  const sum = (name: keyof Moved) => parts.reduce((bytes, part) => bytes + part[name], 0);
  return { readBytes: sum('readBytes'), newBytes: sum('newBytes'), storedBytes: sum('storedBytes') };
}
