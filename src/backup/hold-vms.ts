import type { ManifestContent } from '../catalog/index.js';
import { describeError } from '../common/index.js';
import type { VappCapture } from '../vcd/index.js';
import { prepareVms } from './access.js';
import type { BackupWork, HeldData, VcdBackupWork } from './backup-source.js';
import { copyVms } from './copy-vms.js';
import { locateVms } from './locate-vms.js';
import { type SnapshottedVm, snapshotVms } from './snapshot-vms.js';

/**
 * The VMs of a vApp or template at one moment: found in their vCenters, kept where they are, snapshotted
 * (guide, chapter 8, steps 3 to 7 of "To back up a vApp").
 * @throws BackupError VAPP_EMPTY, VM_NOT_IN_VCENTER, ALL_VMS_EXCLUDED.
 */
export async function holdVms(capture: VappCapture, work: VcdBackupWork): Promise<HeldData> {
  const { cloud, vcd, payload, run, parts, warn } = work;
  const { settings, restorePointId } = payload;
  const { signal, obligations, log } = run;
  const startedAt = new Date();
  const { vms, excluded } = await run.step('Find the VMs in vCenter', () =>
    locateVms(capture, { cloud, vcd, catalog: parts.catalog, exclude: settings.exclude, retries: payload.retries, signal }),
  );
  const access = await run.step('Prepare for access', () => prepareVms(vms, cloud, run, parts));
  const snapshots = await run.step('Snapshot the VMs', () =>
    snapshotVms(vms, {
      ...{ cloud, settings, restorePointId, obligations, warn, log, signal, startedAt },
      owedByLivingRun: (snapshotName) => parts.debts.owedByLivingRun({ snapshotName }, run.runId),
    }),
  );
  return {
    frozen: true,
    copy: async () => {
      const copied = await run.step('Copy the disks', () => copyVms(snapshots, work));
      const left = [...excluded, ...copied.failed];
      return { vms: copied.vms, ...(left.length > 0 && { excludedVms: left }), snapshots: spreadOf(snapshots) };
    },
    release: async () => {
      await run.step('Remove the snapshots', async () => {
        await removeSnapshots(snapshots);
        for (const vm of snapshots) await consolidate(vm, work);
      });
      await run.step('End access', async () => {
        for (const debt of access) await debt.pay();
      });
    },
  };
}

async function removeSnapshots(snapshots: readonly SnapshottedVm[]): Promise<void> {
  const outcomes = await Promise.allSettled(snapshots.map((vm) => vm.debt.pay()));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}

/** Redo logs that stay grow until the datastore is full: worth a warning and an alert, and not the backup. */
async function consolidate({ vcenter, configuration }: SnapshottedVm, { run, warn, degradation }: BackupWork): Promise<void> {
  try {
    if (await vcenter.consolidate(configuration.moRef, run.signal)) run.log.info({ vm: configuration.name }, 'consolidated its disks');
    // Captured again, it may go well the second time.
    degradation.consolidationFailed.delete(configuration.name);
  } catch (error) {
    if (run.signal.aborted) throw error;
    degradation.consolidationFailed.add(configuration.name);
    warn(`The disks of VM "${configuration.name}" need consolidation, and it failed; consolidate them in vCenter: ${describeError(error)}`);
  }
}

function spreadOf(vms: readonly SnapshottedVm[]): ManifestContent['snapshots'] {
  const times = vms.map((vm) => Date.parse(vm.snapshot.createdAt)).sort((a, b) => a - b);
  const first = times[0] as number;
  const last = times.at(-1) as number;
  return { firstAt: new Date(first).toISOString(), lastAt: new Date(last).toISOString(), spreadMs: last - first };
}
