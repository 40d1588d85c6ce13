import type { ManifestContent } from '../../catalog/index.js';
import type { RepositoryApi } from '../../repository/index.js';
import type { VappCapture } from '../../vcd/index.js';
import { RestoreError } from '../errors.js';
import type { RestorePayload } from '../restore-request.js';
import type { ReadPoint } from './today.js';

/** @throws RestoreError RESTORE_POINT_UNREADABLE where a newer vApp Vault wrote it; RepositoryError. */
export async function readPoint(
  payload: RestorePayload,
  repository: Pick<RepositoryApi, 'readManifest' | 'readDocument'>,
  signal: AbortSignal,
): Promise<ReadPoint> {
  const ref = { organizationId: payload.sourceOrganizationId, restorePointId: payload.restorePointId };
  const manifest = await repository.readManifest(ref, signal);
  const content = manifest.content as ManifestContent;
  if (content.contentVersion !== 1) {
    throw new RestoreError(
      'RESTORE_POINT_UNREADABLE',
      `Restore point ${ref.restorePointId} was written by a newer vApp Vault (content version ${content.contentVersion}).`,
    );
  }
  const document = await repository.readDocument(ref, content.vappCaptureDocument, signal);
  return { manifest, content, captured: JSON.parse(document.toString('utf8')) as VappCapture };
}
