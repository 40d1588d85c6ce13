import { RepositoryError, invalidArgument, isRepositoryError } from './errors.js';
import { FORMAT_VERSION } from './format.js';
import type { Organization } from './organization.js';
import { openBlob, sealBlob } from './sealed-blob.js';
import type { Manifest, ManifestRef } from './types.js';

/** What else lies among the manifests is not ours. */
export function isRestorePointId(text: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,63}$/.test(text);
}

/** Below the organization's folder. @throws RepositoryError for an id that is no safe object name. */
export function manifestName(restorePointId: string): string {
  if (!isRestorePointId(restorePointId)) {
    throw invalidArgument(`"${restorePointId}" is not a valid restore point id (lower-case letters, digits and hyphens)`);
  }
  return `manifests/${restorePointId}`;
}

/** The only commit point: once this object is there, the restore point exists. */
export async function writeManifest(organization: Organization, manifest: Manifest, signal?: AbortSignal): Promise<void> {
  const { lane, place, store } = organization;
  const name = manifestName(manifest.restorePointId);
  const plaintext = Buffer.from(JSON.stringify(manifest));
  const blob = await sealBlob(lane, place.keys, { organizationId: place.organizationId, name, kind: 'manifest' }, plaintext);
  await store.put(place.prefix + name, blob, { ifAbsent: true, signal });
}

export async function readManifest(organization: Organization, ref: ManifestRef, signal?: AbortSignal): Promise<Manifest> {
  const { lane, place, store } = organization;
  const name = manifestName(ref.restorePointId);
  let blob: Buffer;
  try {
    blob = await store.get(place.prefix + name, undefined, signal);
  } catch (error) {
    if (isRepositoryError(error, 'BLOB_NOT_FOUND')) throw restorePointNotFound(ref, error);
    throw error;
  }
  try {
    const blobPlace = { organizationId: place.organizationId, name, kind: 'manifest' } as const;
    return parseManifest(await openBlob(lane, place.keys, blobPlace, blob));
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new RepositoryError(`The manifest of restore point ${ref.restorePointId} is damaged: ${cause.message}`, {
      code: 'MANIFEST_DAMAGED',
      subject: ref.restorePointId,
      cause,
    });
  }
}

/** @throws RangeError saying what is wrong. */
export function parseManifest(bytes: Buffer): Manifest {
  let manifest: Partial<Manifest> | null;
  try {
    manifest = JSON.parse(bytes.toString('utf8')) as Partial<Manifest> | null;
  } catch {
    throw new RangeError('it is not JSON');
  }
  const { formatVersion, disks, documents, createdAt, lockedUntil } = manifest ?? {};
  if (formatVersion !== FORMAT_VERSION) throw new RangeError(`its format version ${String(formatVersion)} is not known to this release`);
  const complete =
    Array.isArray(disks) &&
    disks.every(isDisk) &&
    Array.isArray(documents) &&
    documents.every(isRecordId) &&
    typeof createdAt === 'string' &&
    (lockedUntil === undefined || typeof lockedUntil === 'string');
  if (!complete) throw new RangeError('it is incomplete');
  return manifest as Manifest;
}

function isDisk(disk: Partial<Manifest['disks'][number]> | null): boolean {
  const positive = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0;
  return typeof disk?.diskId === 'string' && isRecordId(disk.indexId) && positive(disk.capacityBytes) && positive(disk.chunkBytes);
}

function isRecordId(id: unknown): boolean {
  return typeof id === 'string' && /^[0-9a-f]{64}$/.test(id);
}

export function restorePointNotFound(ref: ManifestRef, cause?: unknown): RepositoryError {
  return new RepositoryError(`The repository has no restore point ${ref.restorePointId} of organization ${ref.organizationId}`, {
    code: 'RESTORE_POINT_NOT_FOUND',
    subject: ref.restorePointId,
    cause,
  });
}
