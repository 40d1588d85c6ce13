import { z } from 'zod';

/** A restore as a person asks for it; frozen into the run's payload. */
export const restoreRequestSchema = z
  .object({
    restorePointId: z.uuid(),
    mode: z
      .enum(['missing-vapp', 'copy'])
      .describe('missing-vapp: the vApp is gone, build it again under its name. copy: build it beside under another name'),
    name: z.string().min(1).max(128).optional().describe('Name of the copy; for a missing vApp its own name is used'),
    vdcId: z.string().optional().describe('URN of the VDC to build in; the captured one by default'),
    macAddresses: z
      .enum(['keep', 'new'])
      .optional()
      .describe('keep for a missing vApp, new for a copy, unless said otherwise: two VMs of one MAC address disturb each other'),
    powerOn: z.boolean().default(false).describe('Power the vApp on, in its start order, when all is compared'),
    parallelVms: z.number().int().min(1).max(16).default(2),
  })
  .strict()
  .refine((request) => request.mode !== 'copy' || request.name !== undefined, { message: 'A copy needs a name', path: ['name'] })
  .meta({ id: 'RestoreRequest' });

export type RestoreRequest = z.infer<typeof restoreRequestSchema>;
export type RestorePayload = RestoreRequest & { organizationId: string };
