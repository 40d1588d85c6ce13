import type { ManifestContent, ManifestVm } from '../catalog/index.js';
import type { RunContext } from '../jobs/index.js';
import type { VappCapture, VcdClientApi } from '../vcd/index.js';
import { prepareForAccess } from './access.js';
import type { BackupPayload } from './backup-settings.js';
import { backupResult } from './conclude-lost.js';
import { copyVms } from './copy-vms.js';
import { BackupError } from './errors.js';
import { locateVms } from './locate-vms.js';
import { enterMaintenance } from './maintenance.js';
import type { BackupParts } from './parts.js';
import { restorePointRow } from './restore-point-row.js';
import { type SnapshottedVm, snapshotVms } from './snapshot-vms.js';
import { StableCapture } from './stable-capture.js';

/**
 * One backup of one vApp: the guide's nine steps (chapter 8, "To back up a vApp"), read from top
 * to bottom. Whatever fails, the run's obligations undo what was done to the cloud; nothing is
 * visible in the repository before `publish`.
 */
export async function runBackup(payload: BackupPayload, run: RunContext, parts: BackupParts): Promise<Record<string, unknown>> {
  const { catalog, repository } = parts;
  const { settings, restorePointId } = payload;
  const { signal, obligations } = run;
  const warnings: string[] = [];
  const warn = (message: string) => {
    warnings.push(message);
    run.warn(message);
  };

  const vapp = await catalog.vapp(payload.vappId);
  if (vapp === undefined) throw new BackupError('VAPP_NOT_FOUND', `There is no vApp with id ${payload.vappId} in the catalog.`);
  const cloud = await parts.sessions(vapp.cloudId);
  const vcd = await cloud.vcd();
  const session = await repository.beginSession(vapp.organizationId, restorePointId, signal);
  try {
    const maintenance = await run.step('Enter maintenance mode', () =>
      enterMaintenance(vapp, cloud, vcd, run, { window: settings.maintenance, warn }),
    );
    await run.step('Wait for running tasks', () => vcd.waitForRunningTasks(vapp.href, settings.taskWaitMinutes * 60_000, signal));

    const stable = new StableCapture({ vcd, capture: () => vcd.captureVapp(vapp.href, signal), log: run.log });
    const confirm = (capture: VappCapture) => run.step('Check that the vApp did not change', () => stable.confirm(capture));

    /** Description and disks of one moment; undefined when the VMs were changed meanwhile and it must be done again. */
    const captureAndCopy = async () => {
      let capture: VappCapture | undefined = await run.step('Capture the vApp', () => captureVapp(vcd, vapp.href, signal));
      const before = capture;
      const { vms, excluded } = await run.step('Find the VMs in vCenter', () =>
        locateVms(before, { cloud, vcd, catalog, exclude: settings.exclude, signal }),
      );
      const access = await run.step('Prepare for access', () => prepareForAccess(vms, cloud, run, parts));
      const snapshots = await run.step('Snapshot the VMs', () =>
        snapshotVms(vms, { cloud, settings, restorePointId, obligations, warn, log: run.log, signal }),
      );

      if (settings.maintenance === 'until-snapshots') {
        // Before it is left: afterwards its tenants may change it.
        capture = await confirm(before);
        if (capture !== undefined) await run.step('Leave maintenance mode', () => maintenance.leave());
      }
      const copied =
        capture &&
        (await run.step('Copy the disks', () =>
          copyVms(snapshots, { organizationId: vapp.organizationId, cloudId: cloud.cloudId, session, payload, run, parts, warn }),
        ));

      await run.step('Remove the snapshots', () => removeSnapshots(snapshots));
      await run.step('End access', async () => {
        for (const debt of access) await debt.pay();
      });
      if (settings.maintenance === 'whole-run') capture = await confirm(before);
      return capture && copied && { capture, copied, excluded, snapshots: spreadOf(snapshots) };
    };
    // A second change makes `confirm` throw, so there is no third time.
    const point = (await captureAndCopy()) ?? (await captureAndCopy());
    if (point === undefined) throw new BackupError('VAPP_CHANGED', `vApp "${vapp.name}" was changed while it was backed up.`, true);

    const { capture, copied } = point;
    const content: ManifestContent = {
      contentVersion: 1,
      runId: run.runId,
      kind: copied.some((vm) => vm.disks.some((disk) => disk.kind === 'incremental')) ? 'incremental' : 'full',
      cloud: { id: cloud.cloudId, name: cloud.cloudName },
      organization: { id: vapp.organizationId, name: vapp.organizationName },
      vdc: { id: vapp.vdcId, name: vapp.vdcName },
      vapp: { id: vapp.id, vcloudId: capture.id, name: capture.name },
      sourceKind: vapp.kind,
      vappCaptureDocument: await session.putDocument(Buffer.from(JSON.stringify(capture)), signal),
      ...(point.excluded.length > 0 && { excludedVms: point.excluded }),
      maintenance: maintenance.describe(),
      snapshots: point.snapshots,
      vms: copied,
      warnings,
    };
    const createdAt = content.snapshots.lastAt;
    await run.step('Publish the restore point', async () => {
      const disks = copied.flatMap((vm) =>
        vm.disks.map(({ diskId, indexId, capacityBytes, chunkBytes }) => ({ diskId, indexId, capacityBytes, chunkBytes })),
      );
      const documents = [content.vappCaptureDocument, ...copied.flatMap(documentsOf)];
      await session.publish({ createdAt, disks, documents, content }, signal);
      // After the manifest: the database follows the repository, it never leads (plan, promise 1).
      await catalog.recordRestorePoint(restorePointRow(restorePointId, createdAt, content));
    });
    const result = backupResult(restorePointId, content);
    await run.commit(result, []);

    if (settings.maintenance === 'whole-run') await run.step('Leave maintenance mode', () => maintenance.leave());
    return result;
  } finally {
    await session.abandon();
  }
}

/** @throws BackupError VAPP_EMPTY. */
async function captureVapp(vcd: VcdClientApi, vappHref: string, signal: AbortSignal): Promise<VappCapture> {
  const capture = await vcd.captureVapp(vappHref, signal);
  if (capture.vms.length === 0) throw new BackupError('VAPP_EMPTY', `vApp "${capture.name}" has no VM, so there is nothing to back up.`);
  return capture;
}

async function removeSnapshots(snapshots: readonly SnapshottedVm[]): Promise<void> {
  const outcomes = await Promise.allSettled(snapshots.map((vm) => vm.debt.pay()));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}

function documentsOf({ configurationDocument, nvramDocument }: ManifestVm): string[] {
  return nvramDocument === null ? [configurationDocument] : [configurationDocument, nvramDocument];
}

function spreadOf(vms: readonly SnapshottedVm[]): ManifestContent['snapshots'] {
  const times = vms.map((vm) => Date.parse(vm.snapshot.createdAt)).sort((a, b) => a - b);
  const first = times[0] as number;
  const last = times.at(-1) as number;
  return { firstAt: new Date(first).toISOString(), lastAt: new Date(last).toISOString(), spreadMs: last - first };
}
