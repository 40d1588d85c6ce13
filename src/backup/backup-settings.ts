import { z } from 'zod';

/** Frozen into the run's payload when it is asked for: what a policy says later changes nothing (plan, promise 3). */
export const backupSettingsSchema = z
  .object({
    quiesce: z.enum(['file-system', 'none']).default('file-system').describe('Whether VMware Tools flush the guest before the snapshot'),
    allowCrashConsistent: z.boolean().default(true).describe('Take an unquiesced snapshot when quiescing fails, with a warning'),
    forceFull: z.boolean().default(false).describe('Read every allocated block, whatever change tracking says'),
    maintenance: z
      .enum(['whole-run', 'until-snapshots'])
      .default('whole-run')
      .describe("Until when the vApp stays in maintenance mode: the end of the run (the guide's way), or until its snapshots stand"),
    exclude: z
      .object({
        vms: z.array(z.string()).default([]).describe('VMs left out: ids, or names with * and ?'),
        disks: z
          .array(z.object({ vm: z.string(), disk: z.string() }).strict())
          .default([])
          .describe('Disks left out: VM and disk (label or id)'),
      })
      .strict()
      .prefault({}),
    parallelVms: z.number().int().min(1).max(16).default(2).describe('VMs copied at once'),
    snapshotTimeoutMinutes: z.number().int().min(1).max(240).default(15),
    taskWaitMinutes: z.number().int().min(1).max(240).default(30).describe('How long to wait for tasks that were already running'),
  })
  .strict();

export type BackupSettings = z.infer<typeof backupSettingsSchema>;

export interface BackupPayload {
  vappId: string;
  restorePointId: string;
  settings: BackupSettings;
}
