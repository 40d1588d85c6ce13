import { z } from 'zod';
import type { RestorePlanView } from './plan-types.js';
import { RESTORE_MODES } from './restore-request.js';

const CONFORMITIES = ['fits', 'changed', 'missing', 'not-permitted'] as const;

const planItemSchema = z.object({
  attribute: z.string().meta({ description: 'As in the comparison after the restore, such as "vms.web-1.storageProfile"' }),
  conformity: z.enum(CONFORMITIES),
  captured: z.unknown(),
  planned: z.unknown().meta({ description: 'What it will be' }),
  explanation: z.string().meta({ description: "One sentence; '' where it fits" }),
  choice: z
    .object({
      field: z
        .string()
        .meta({ description: 'The field of `choices` that decides; "name", "vdcId" and "catalogId" are those of the request' }),
      chosen: z.string().nullable(),
      options: z.array(z.object({ value: z.string(), label: z.string() })),
    })
    .optional(),
  needsChoice: z.boolean().meta({ description: 'The restore does not start before the request chooses' }),
});

export const restorePlanSchema = z
  .object({
    restorePointId: z.string(),
    mode: z.enum(RESTORE_MODES),
    vappName: z.string().meta({ description: 'Of the vApp, template, medium or first class disk at the end' }),
    organizationName: z.string(),
    vdcName: z.string(),
    catalogName: z.string().nullable().meta({ description: 'VCD catalog of a template or medium' }),
    canStart: z.boolean(),
    vms: z.array(
      z.object({
        name: z.string(),
        action: z.enum(['build', 'overwrite', 'replace']),
        disks: z.array(z.object({ label: z.string(), capacityBytes: z.number().min(0) })),
      }),
    ),
    removals: z.array(z.string()).meta({ description: 'VMs of the present vApp that are deleted' }),
    counts: z.object({ fits: z.int(), changed: z.int(), missing: z.int(), 'not-permitted': z.int() }),
    items: z.array(planItemSchema),
  })
  .meta({ id: 'RestorePlan' });

/** The schema and the type are two texts of one contract; this line fails to compile when they part. */
type Same<A, B> = [A, B] extends [B, A] ? true : never;
export const schemaMatchesView: Same<z.output<typeof restorePlanSchema>, RestorePlanView> = true;
