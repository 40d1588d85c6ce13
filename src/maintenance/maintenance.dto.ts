import { z } from 'zod';

const organizationId = z.string().min(1).optional().describe('Only this organization of the repository; all without');

export const verifyRequestSchema = z
  .object({
    mode: z
      .enum(['structure', 'sample', 'full'])
      .default('sample')
      .describe('`structure` reads no chunk of a disk, `sample` a part of them, `full` every byte'),
    samplePercent: z.number().gt(0).max(100).default(5).describe('Of `sample`: how many percent of the data are read'),
    organizationId,
  })
  .strict()
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
  })
  .strict()
  .meta({ id: 'CollectRequest' });

export type CollectRequest = z.infer<typeof collectRequestSchema>;
