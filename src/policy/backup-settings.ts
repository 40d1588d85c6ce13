import { z } from 'zod';

/** Frozen into the run's payload when it is asked for: what a policy says later changes nothing (plan, promise 3). */
export const backupSettingsSchema = z
  .object({
    quiesce: z
      .enum(['application', 'file-system', 'crash', 'none'])
      .default('application')
      .describe(
        'How consistent the snapshots of running VMs should be: the best that each guest can give; `none` is an older name of `crash`',
      ),
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
    trackFirstClassDisks: z
      .boolean()
      .default(false)
      .describe('Turn change tracking of a first class disk on; a VM without change tracking cannot attach it any more then'),
    retryVms: z
      .object({ attempts: z.number().int().min(0).max(10).default(1), delaySeconds: z.number().int().min(0).max(3600).default(5) })
      .strict()
      .prefault({})
      .describe('How often the copy of a VM is begun again in the same run, from the same snapshot, when it failed in a way that may pass'),
    whenVmFails: z
      .enum(['fail', 'keep-others'])
      .default('fail')
      .describe(
        'What becomes of the backup when a VM cannot be copied: it fails, or a restore point of the others is kept, marked as not complete',
      ),
    parallelVms: z.number().int().min(1).max(16).default(2).describe('VMs copied at once'),
    parallelSnapshots: z.number().int().min(1).max(64).default(16).describe('Snapshots of a vApp taken at once'),
    snapshotTimeoutMinutes: z.number().int().min(1).max(240).default(15),
    lockDays: z.number().int().min(0).max(36_500).default(0).describe('For how long after it was made nobody can delete the restore point'),
    taskWaitMinutes: z.number().int().min(1).max(240).default(30).describe('How long to wait for tasks that were already running'),
  })
  .strict();

export type BackupSettings = z.infer<typeof backupSettingsSchema>;

export interface BackupPayload {
  vappId: string;
  restorePointId: string;
  settings: BackupSettings;
  /** Of a retry: the VMs (vCloud ids) that the restore point lacks which it completes. */
  retries?: { restorePointId: string; vms: string[] };
  /** Which due time of which policy it is; absent where somebody asked. */
  policy?: { id: string; name: string; dueAt: string };
}
