import { z } from 'zod';
import { SOURCE_KINDS } from '../catalog/index.js';
import type { Scope, ScopeMetadata } from './scope-types.js';

const MAX_ENTRIES = 1000;
/** VCD lets no name and no metadata value be longer. */
const MAX_TEXT = 1024;

const sourceKind = z.enum(SOURCE_KINDS);
const text = z.string().min(1).max(MAX_TEXT);
const list = (what: string) => z.array(text).min(1).max(MAX_ENTRIES).optional().meta({ description: what });

const metadataSchema = z
  .strictObject({
    key: text,
    type: z.enum(['MetadataStringValue', 'MetadataNumberValue', 'MetadataBooleanValue', 'MetadataDateTimeValue']),
    value: z.string().max(MAX_TEXT).meta({ description: 'Compared as its type says, as VCD does: text in any case' }),
    domain: z.enum(['GENERAL', 'SYSTEM']).default('GENERAL'),
  })
  .superRefine((entry, context) => {
    const fault = valueFault(entry);
    if (fault !== undefined) context.addIssue({ code: 'custom', path: ['value'], message: fault });
  });

const exclusionSchema = z.strictObject({
  organizations: list('URNs, or names with * and ?'),
  vdcs: list('URNs, or names with * and ?'),
  vappNames: list('Names with * and ?'),
  ids: list('Our ids, or URNs'),
  vcdCatalogs: list('VCD catalogs, by URN or name with * and ?: what is in them'),
  vms: list('VMs left out of what is matched: our ids, URNs, or names with * and ?'),
  disks: z
    .array(z.strictObject({ vm: text, disk: text }))
    .min(1)
    .max(MAX_ENTRIES)
    .optional()
    .meta({
      description: 'Disks left out: VM as in `vms`, and disk by label with * and ?, or id; a named disk also by its own name or URN',
    }),
});

/** A scope as it is sent and kept: a list that is given has an entry, for an empty one would match nothing. */
export const scopeSchema = z
  .strictObject({
    cloudId: text,
    organizations: list('URNs, or names with * and ?'),
    vdcs: list('URNs, or names with * and ?'),
    vappNames: list('Names with * and ?, of vApps, standalone VMs, templates and media'),
    ids: list('Our ids, or URNs; a standalone VM also by the URN of the VM'),
    owners: list('Login names with * and ?, in any case'),
    vcdCatalogs: list('VCD catalogs, by URN or name with * and ?: their templates and media'),
    kinds: z
      .array(sourceKind)
      .min(1)
      .optional()
      .meta({ description: 'vApps and standalone VMs where nothing is said; all kinds where `ids` or `vcdCatalogs` are given' }),
    metadata: z.array(metadataSchema).min(1).max(20).optional().meta({ description: 'All of them must be there' }),
    exclude: exclusionSchema.optional(),
  })
  .meta({ id: 'Scope' }) satisfies z.ZodType<Loose<Scope>>;

/** zod's optional properties may be present and undefined. */
type Loose<T> = T extends readonly (infer E)[]
  ? Loose<E>[]
  : T extends object
    ? { [K in keyof T]: Loose<T[K]> | Extract<undefined, T[K]> }
    : T;

export const previewRequestSchema = z
  .strictObject({
    scope: scopeSchema,
    limit: z.int().min(1).max(10_000).default(1000).meta({ description: 'Objects shown, of each list; the counts are of all' }),
  })
  .meta({ id: 'ScopePreviewRequest' });
export type PreviewRequest = z.output<typeof previewRequestSchema>;

const object = {
  vappId: z.string().meta({ description: 'Our id: what POST /backups takes' }),
  name: z.string(),
  kind: sourceKind,
  organizationName: z.string(),
  vdcName: z.string(),
};
const count = z.int().min(0);
export const previewSchema = z
  .object({
    matchedCount: count,
    excludedCount: count,
    items: z.array(
      z.object({
        ...object,
        why: z.array(z.string()).meta({ description: 'Which conditions it meets' }),
        exclude: z
          .object({ vms: z.array(z.string()), disks: z.array(z.object({ vm: z.string(), disk: z.string() })) })
          .meta({ description: 'What its backup leaves out: the `exclude` of its settings' }),
        excludedVms: z
          .array(z.object({ id: z.string(), name: z.string(), why: z.string() }))
          .meta({ description: 'Its VMs of today that are left out' }),
      }),
    ),
    excluded: z.array(z.object({ ...object, why: z.array(z.string()) })).meta({ description: 'What would match and is excluded' }),
    warnings: z.array(z.string()).meta({ description: 'Conditions that nothing in the inventory meets' }),
  })
  .meta({ id: 'ScopePreview' });

function valueFault({ type, value }: Omit<ScopeMetadata, 'domain'>): string | undefined {
  if (type === 'MetadataNumberValue' && !/^[+-]?\d+(\.\d+)?$/.test(value))
    return 'must be a number, because the type is MetadataNumberValue';
  if (type === 'MetadataBooleanValue' && !/^(true|false)$/i.test(value)) {
    return 'must be true or false, because the type is MetadataBooleanValue';
  }
  if (type === 'MetadataDateTimeValue' && !(/^\d{4}-\d\d-\d\dT/.test(value) && !Number.isNaN(Date.parse(value)))) {
    return 'must be an ISO 8601 date and time, because the type is MetadataDateTimeValue';
  }
  return undefined;
}
