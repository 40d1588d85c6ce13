import { z } from 'zod';

/** Frozen into the run's payload when it is asked for: what a policy says later changes nothing (plan, promise 3). */
export const backupSettingsSchema = z
  .object({
    quiesce: z
      .enum(['application', 'file-system', 'crash', 'none'])
      .default('file-system')
      .describe('How consistent the snapshots of running VMs should be; `none` is an older name of `crash`'),
    quiesceAtLeast: z
      .enum(['application', 'file-system', 'crash'])
      .optional()
      .describe('What is still accepted, with a warning, where more cannot be had; by default what allowCrashConsistent says'),
    allowCrashConsistent: z.boolean().default(true).describe('Without quiesceAtLeast: false is `file-system`, true is `crash`'),
    quiesceRetries: z.number().int().min(0).max(5).default(0).describe('How often quiescing is tried again before less is accepted'),
    quiesceTimeoutMinutes: z.number().int().min(5).max(240).default(15).describe('How long a Windows guest may take to quiesce'),
    vss: z
      .object({
        backupType: z.enum(['copy', 'full', 'incremental', 'differential', 'log']).default('copy'),
        bootableSystemState: z.boolean().default(true),
        partialFileSupport: z.boolean().default(false),
      })
      .strict()
      .prefault({})
      .describe('What the writers of a Windows guest are told of an application-consistent backup; all but `copy` may truncate logs'),
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
          .describe('Disks left out: VM, and disk by label or id; a named disk also by its own name or URN'),
      })
      .strict()
      .prefault({}),
    transport: z
      .object({
        modes: z
          .array(z.enum(['san', 'hotadd', 'nbdssl', 'nbd', 'file']))
          .min(1)
          .optional()
          .describe('In order of preference; by default vddk.transportModes'),
        fallback: z.enum(['allow', 'refuse']).optional().describe('What becomes of a disk that VDDK carries by none of them'),
        compression: z.enum(['none', 'zlib', 'fastlz', 'skipz']).optional().describe('Of nbdssl and nbd'),
      })
      .strict()
      .prefault({})
      .describe("How the disks' data travels; what is left out is the service's own setting"),
    parallelVms: z.number().int().min(1).max(16).default(2).describe('VMs copied at once'),
    parallelSnapshots: z.number().int().min(1).max(64).default(16).describe('Snapshots of a vApp taken at once'),
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
