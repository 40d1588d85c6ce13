import { z } from 'zod';
import { CatalogError } from './errors.js';
import { MANIFEST_CONTENT_VERSION, type ManifestContent, SOURCE_KINDS } from './manifest-content.js';

const id = z.string().min(1);
const named = z.looseObject({ id, name: z.string() });
const bytes = z.number().min(0);

/** Only what a catalog row is made of: the rest belongs to restore. */
const disk = z.looseObject({
  diskId: id,
  deviceKey: z.number().int(),
  label: z.string(),
  uuid: z.string().nullable(),
  changeId: z.string().nullable(),
  kind: z.enum(['full', 'incremental']),
  fullReason: z.string().nullable(),
  transportMode: z.string(),
  indexId: z.string(),
  chunkBytes: bytes,
  capacityBytes: bytes,
  allocatedBytes: bytes,
  changedBytes: bytes,
  readBytes: bytes,
  newBytes: bytes,
  storedBytes: bytes,
  durationMs: bytes,
});

const contentSchema = z.looseObject({
  contentVersion: z.literal(MANIFEST_CONTENT_VERSION),
  runId: z.string(),
  kind: z.enum(['full', 'incremental']),
  cloud: named,
  organization: named,
  // A first class disk belongs to no VDC.
  vdc: z.looseObject({ id: z.string(), name: z.string() }),
  vapp: z.looseObject({ id, vcloudId: z.string(), name: z.string() }),
  sourceKind: z.enum(SOURCE_KINDS).optional(),
  vms: z.array(
    z.looseObject({
      vmId: id,
      name: z.string(),
      vcloudId: z.string(),
      instanceUuid: z.string(),
      vcenterInstanceUuid: z.string(),
      moRef: z.string(),
      disks: z.array(disk),
    }),
  ),
  medium: z.looseObject({ diskId: id, capacityBytes: bytes, sizeBytes: bytes }).optional(),
  firstClassDisk: disk.omit({ deviceKey: true }).extend({ uuid: id, vcenterInstanceUuid: id }).optional(),
  warnings: z.array(z.string()),
});

/**
 * What a manifest says of the cloud, from whatever wrote it.
 * @throws CatalogError MANIFEST_UNKNOWN naming the restore point: of another release, or not written by this service.
 */
export function readManifestContent(restorePointId: string, content: unknown): ManifestContent {
  const read = contentSchema.safeParse(content);
  if (read.success) return read.data as unknown as ManifestContent;
  const version = (content as { contentVersion?: unknown } | null)?.contentVersion;
  const [issue] = read.error.issues;
  const reason =
    typeof version === 'number' && version > MANIFEST_CONTENT_VERSION
      ? `was written by a later release (content version ${version}); install that release`
      : `is not one this release understands (${issue?.path.join('.') || 'content'}: ${issue?.message ?? 'invalid'})`;
  throw new CatalogError(
    'MANIFEST_UNKNOWN',
    `The manifest of restore point ${restorePointId} ${reason}.`,
    `restore point ${restorePointId}`,
  );
}
