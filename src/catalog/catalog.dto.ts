import { z } from 'zod';
import { SOURCE_KINDS } from './manifest-content.js';
import { RESOURCE_KINDS } from './types.js';

const time = z.iso.datetime();
const bytes = z.int().min(0);
const limit = z.coerce.number().int().min(1).max(500).default(100).meta({ description: 'Items of one page' });
const cursor = z.string().optional().meta({ description: 'nextCursor of the page before' });

/** A page and how to ask for the next one. */
export function pageSchema<T extends z.ZodType>(item: T, id: string) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() }).meta({ id });
}

// Query schemas carry no id: @nestjs/swagger describes the parameters only of a schema that is no reference.
export const cloudQuerySchema = z.strictObject({ cloudId: z.string().optional() });
export type CloudQuery = z.output<typeof cloudQuerySchema>;

const sourceKind = z.enum(SOURCE_KINDS);
const inventoryQuery = z.strictObject({
  cloudId: z.string().optional(),
  organizationId: z.string().optional(),
  vdcId: z.string().optional(),
  name: z.string().min(1).optional().meta({ description: 'Part of the name, in any case' }),
  present: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional()
    .meta({ description: 'Whether the last inventory saw it' }),
  limit,
  cursor,
});

export const vappQuerySchema = inventoryQuery.extend({
  kind: sourceKind.optional().meta({ description: 'vApps and standalone VMs where nothing is said' }),
});
export type VappQueryDto = z.output<typeof vappQuerySchema>;

export const restorePointQuerySchema = z.strictObject({
  vappId: z.string().optional(),
  vmId: z.string().optional().meta({ description: 'The history of one VM, whichever vApp it was in' }),
  cloudId: z.string().optional(),
  organizationId: z.string().optional(),
  limit,
  cursor,
});
export type RestorePointQueryDto = z.output<typeof restorePointQuerySchema>;

const organizationSchema = z
  .object({
    id: z.string().meta({ description: "VCD's id, urn:vcloud:org:…" }),
    cloudId: z.string(),
    name: z.string(),
    displayName: z.string(),
    enabled: z.boolean(),
    present: z.boolean(),
  })
  .meta({ id: 'Organization' });
export const organizationListSchema = z.object({ items: z.array(organizationSchema) }).meta({ id: 'OrganizationList' });

const vdcSchema = z
  .object({
    id: z.string().meta({ description: "VCD's id, urn:vcloud:vdc:…" }),
    cloudId: z.string(),
    name: z.string(),
    organizationId: z.string(),
    organizationName: z.string(),
    enabled: z.boolean(),
    present: z.boolean(),
  })
  .meta({ id: 'Vdc' });
export const vdcListSchema = z.object({ items: z.array(vdcSchema) }).meta({ id: 'VdcList' });

const vappSchema = z
  .object({
    id: z.string().meta({ description: 'Our id; it stays through restores' }),
    cloudId: z.string(),
    name: z.string(),
    organizationId: z.string(),
    organizationName: z.string(),
    vdcId: z.string(),
    vdcName: z.string(),
    vcloudId: z.string().meta({ description: "VCD's id of today" }),
    href: z.string(),
    present: z.boolean().meta({ description: 'Whether the last inventory saw it' }),
    ownerName: z.string(),
    status: z.string(),
    vmCount: z.int().min(0),
    storageBytes: bytes,
    inMaintenanceMode: z.boolean(),
    kind: sourceKind,
    vcdCatalogId: z.string().meta({ description: 'VCD catalog of a template or medium; empty for others' }),
    vcdCatalogName: z.string(),
    lastSeenAt: time,
    lastRestorePointAt: time.nullable(),
  })
  .meta({ id: 'Vapp' });
export const vappPageSchema = pageSchema(vappSchema, 'VappPage');
export const vappDetailSchema = vappSchema
  .extend({
    vms: z.array(
      z
        .object({
          id: z.string(),
          name: z.string(),
          vcloudId: z.string(),
          status: z.string(),
          moRef: z.string(),
          hostName: z.string(),
          datastoreName: z.string(),
          present: z.boolean(),
        })
        .meta({ id: 'Vm' }),
    ),
  })
  .meta({ id: 'VappDetail' });

export const namedDiskQuerySchema = inventoryQuery;
export type NamedDiskQueryDto = z.output<typeof namedDiskQuerySchema>;

const resourceKind = z.enum(RESOURCE_KINDS);
export const resourceQuerySchema = namedDiskQuerySchema.extend({ kind: resourceKind.optional() });
export type ResourceQueryDto = z.output<typeof resourceQuerySchema>;

const namedDiskSchema = z
  .object({
    id: z.string().meta({ description: "VCD's id, urn:vcloud:disk:…" }),
    cloudId: z.string(),
    name: z.string(),
    href: z.string(),
    organizationId: z.string(),
    vdcId: z.string(),
    ownerName: z.string(),
    status: z.string(),
    sizeBytes: bytes,
    storageProfileName: z.string(),
    busType: z.string(),
    busSubType: z.string(),
    attachedVmCount: z.int().min(0),
    present: z.boolean().meta({ description: 'Whether the last inventory saw it' }),
  })
  .meta({ id: 'NamedDisk' });
export const namedDiskPageSchema = pageSchema(namedDiskSchema, 'NamedDiskPage');

export const firstClassDiskQuerySchema = inventoryQuery.extend({
  vcenterInstanceUuid: z.string().optional(),
  datastore: z.string().optional().meta({ description: 'Name or MoRef' }),
  attached: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional()
    .meta({ description: 'Whether a VM has it; it is backed up with that VM then' }),
});
export type FirstClassDiskQueryDto = z.output<typeof firstClassDiskQuerySchema>;

const firstClassDiskSchema = z
  .object({
    id: z.string().meta({ description: 'Our id, with which a backup is asked for' }),
    cloudId: z.string(),
    vcenterInstanceUuid: z.string(),
    diskId: z.string().meta({ description: "vSphere's UUID of it" }),
    name: z.string(),
    organizationId: z.string().meta({ description: 'Of the named disk that it is; of the provider where it is none' }),
    datastoreMoRef: z.string(),
    datastoreName: z.string(),
    path: z.string(),
    provisioning: z.string(),
    sizeBytes: bytes,
    changeTracking: z.boolean(),
    namedDiskId: z.string().nullable().meta({ description: "VCD's named disk that it is; null where it is none" }),
    attachedTo: z
      .array(z.object({ vmMoRef: z.string(), vmName: z.string().nullable() }))
      .meta({ description: 'VMs that have it; it is backed up with them, and by itself when there is none' }),
    present: z.boolean().meta({ description: 'Whether the last inventory saw it' }),
    lastSeenAt: time,
    lastRestorePointAt: time.nullable(),
  })
  .meta({ id: 'FirstClassDisk' });
export const firstClassDiskPageSchema = pageSchema(firstClassDiskSchema, 'FirstClassDiskPage');

const resourceSchema = z
  .object({
    id: z.string().meta({ description: "VCD's id, urn:vcloud:…" }),
    cloudId: z.string(),
    kind: resourceKind,
    name: z.string(),
    href: z.string(),
    organizationId: z.string().meta({ description: 'Empty where it belongs to none' }),
    vdcId: z.string(),
    details: z.record(z.string(), z.string()).meta({ description: "Attributes of VCD's record, by VCD's names" }),
    present: z.boolean().meta({ description: 'Whether the last inventory saw it' }),
  })
  .meta({ id: 'CloudResource' });
export const resourcePageSchema = pageSchema(resourceSchema, 'CloudResourcePage');

const kind = z.enum(['full', 'incremental']);
const restorePointSchema = z
  .object({
    complete: z.boolean().optional().meta({ description: 'False where a VM that was to be backed up is not in it' }),
    lockedUntil: time.nullable().optional().meta({ description: 'Until then nobody can delete it' }),
    copiedAt: time.nullable().optional().meta({ description: "Since when it is known to be at the repository's second site" }),
    id: z.string(),
    organizationId: z.string(),
    cloudId: z.string(),
    vappId: z.string(),
    vappName: z.string(),
    sourceKind,
    createdAt: time,
    kind,
    runId: z.string(),
    vmCount: z.int().min(0),
    capacityBytes: bytes,
    readBytes: bytes.meta({ description: 'Read from the cloud' }),
    newBytes: bytes.meta({ description: 'New to the repository, before compression' }),
    storedBytes: bytes.meta({ description: 'What the new data takes in the repository' }),
    warnings: z.array(z.string()),
  })
  .meta({ id: 'RestorePoint' });
export const restorePointPageSchema = pageSchema(restorePointSchema, 'RestorePointPage');

const restorePointDiskSchema = z
  .object({
    diskId: z.string(),
    label: z.string(),
    deviceKey: z.int(),
    uuid: z.string().nullable(),
    capacityBytes: bytes,
    allocatedBytes: bytes,
    changedBytes: bytes,
    readBytes: bytes,
    newBytes: bytes,
    storedBytes: bytes,
    durationMs: z.int().min(0),
    kind,
    fullReason: z.string().nullable().meta({ description: 'Why it was copied in full' }),
    transportMode: z.string(),
    changeId: z.string().nullable(),
    indexId: z.string(),
    chunkBytes: z.int().min(1),
  })
  .meta({ id: 'RestorePointDisk' });
export const restorePointDetailSchema = restorePointSchema
  .extend({ vms: z.array(z.object({ vmId: z.string(), name: z.string(), disks: z.array(restorePointDiskSchema) })) })
  .meta({ id: 'RestorePointDetail' });
