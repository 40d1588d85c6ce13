import { z } from 'zod';

const site = z.enum(['first', 'second']).default('first').describe('Which site; what is lost at it is healed from the other');
const organizationId = z.string().min(1).optional().describe('Only this organization of the repository; all without');

export const verifyRequestSchema = z
  .object({
    mode: z
      .enum(['structure', 'sample', 'full', 'rolling'])
      .default('sample')
      .describe(
        '`structure` reads no chunk of a disk, `sample` a part of them, `full` every byte, `rolling` what is new and the part whose turn it is',
      ),
    samplePercent: z.number().gt(0).max(100).default(5).describe('Of `sample`: how many percent of the data are read'),
    organizationId,
    site,
  })
  .strict()
  .refine(({ mode, organizationId: only }) => mode !== 'rolling' || only === undefined, {
    path: ['organizationId'],
    message: 'A rolling verification is of all organizations',
  })
  .meta({ id: 'VerifyRequest' });

export type VerifyRequest = z.infer<typeof verifyRequestSchema>;

export const collectRequestSchema = z
  .object({
    graceHours: z
      .number()
      .min(0)
      .max(8760)
      .default(24)
      .describe('How old a pack must be to be condemned, and how long it stays so before it is deleted'),
    organizationId,
    site: site.describe('Which site'),
  })
  .strict()
  .meta({ id: 'CollectRequest' });

export type CollectRequest = z.infer<typeof collectRequestSchema>;

export const copyRequestSchema = z
  .object({
    restorePointId: z
      .string()
      .min(1)
      .optional()
      .describe('Only this one; without it everything the second site lacks, and its rules for what was deleted'),
  })
  .strict()
  .meta({ id: 'CopyRequest' });

export type CopyRequest = z.infer<typeof copyRequestSchema>;

export const lockRequestSchema = z
  .object({
    until: z.iso.datetime({ offset: true }).describe('Nobody can delete it before; an earlier date than the lock has changes nothing'),
  })
  .strict()
  .meta({ id: 'LockRequest' });

export type LockRequest = z.infer<typeof lockRequestSchema>;

export const lockViewSchema = z
  .object({
    restorePointId: z.string(),
    lockedUntil: z.iso.datetime().meta({ description: 'The date that counts' }),
    enforcedByStore: z
      .boolean()
      .meta({ description: 'Whether the store itself keeps its objects until then (object lock); a run of kind `hold` tells it so' }),
  })
  .meta({ id: 'RestorePointLock' });

export type LockView = z.infer<typeof lockViewSchema>;
