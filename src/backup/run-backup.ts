import { inParallel, newId } from '../common/index.js';
import type { CatalogVapp, ManifestContent, ManifestVm } from '../catalog/index.js';
import { owe, vixTarget, type CloudSessions } from '../clouds/index.js';
import type { ObligationHandle, RunContext } from '../jobs/index.js';
import type { BackupSession } from '../repository/index.js';
import type { VappCapture, VcdClientApi } from '../vcd/index.js';
import { VddkHost } from '../vddk/index.js';
import type { BackupPayload } from './backup-settings.js';
import { backupResult } from './conclude-lost.js';
import { copyVm } from './copy-vm.js';
import { BackupError } from './errors.js';
import { locateVms } from './locate-vms.js';
import type { BackupParts } from './parts.js';
import { restorePointRow } from './restore-point-row.js';
import { type LocatedVm, type SnapshottedVm, snapshotVms } from './snapshot-vms.js';

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
    const maintenance = await run.step('Enter maintenance mode', () => enterMaintenance(vapp, cloud, vcd, run));
    await run.step('Wait for running tasks', () => vcd.waitForRunningTasks(vapp.href, settings.taskWaitMinutes * 60_000, signal));

    const capture = await run.step('Capture the vApp', () => captureVapp(vcd, vapp, signal));
    const vms = await run.step('Find the VMs in vCenter', () => locateVms(capture, cloud, vcd, signal));
    const access = await run.step('Prepare for access', () => prepareForAccess(vms, cloud, run, parts));
    const snapshots = await run.step('Snapshot the VMs', () =>
      snapshotVms(vms, { cloud, settings, restorePointId, obligations, warn, log: run.log, signal }),
    );

    const copied = await run.step('Copy the disks', () =>
      copyVms(snapshots, vapp.organizationId, cloud, session, payload, run, parts, warn),
    );

    await run.step('Remove the snapshots', () => removeSnapshots(snapshots));
    await run.step('End access', async () => {
      for (const debt of access) await debt.pay();
    });
    await run.step('Check that the vApp did not change', () => assertUnchanged(vcd, capture, signal));

    const content: ManifestContent = {
      contentVersion: 1,
      runId: run.runId,
      kind: copied.some((vm) => vm.disks.some((disk) => disk.kind === 'incremental')) ? 'incremental' : 'full',
      cloud: { id: cloud.cloudId, name: cloud.cloudName },
      organization: { id: vapp.organizationId, name: vapp.organizationName },
      vdc: { id: vapp.vdcId, name: vapp.vdcName },
      vapp: { id: vapp.id, vcloudId: capture.id, name: capture.name },
      vappCaptureDocument: await session.putDocument(Buffer.from(JSON.stringify(capture)), signal),
      maintenance: { enteredAt: maintenance.enteredAt, alreadyOn: maintenance.debt === undefined },
      snapshots: spreadOf(snapshots),
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

    await run.step('Leave maintenance mode', async () => maintenance.debt?.pay());
    return result;
  } finally {
    await session.abandon();
  }
}

async function enterMaintenance(vapp: CatalogVapp, cloud: CloudSessions, vcd: VcdClientApi, run: RunContext) {
  const enteredAt = new Date().toISOString();
  // Somebody else's maintenance mode is not ours to end.
  if (await vcd.inMaintenanceMode(vapp.href, run.signal)) return { enteredAt, debt: undefined };
  const debt = await owe(run.obligations, 'vcd.maintenance', { cloudId: cloud.cloudId, vappHref: vapp.href, vappName: vapp.name });
  await vcd.enterMaintenanceMode(vapp.href, run.signal);
  return { enteredAt, debt };
}

async function captureVapp(vcd: VcdClientApi, vapp: CatalogVapp, signal: AbortSignal): Promise<VappCapture> {
  const capture = await vcd.captureVapp(vapp.href, signal);
  if (capture.vms.length === 0) throw new BackupError('VAPP_EMPTY', `vApp "${capture.name}" has no VM, so there is nothing to back up.`);
  return capture;
}

/**
 * Tells vCenter to keep the VMs where they are (guide, PrepareForAccess). One host process does it
 * for all VMs; the debt's payer starts its own to end it.
 */
async function prepareForAccess(
  vms: readonly LocatedVm[],
  cloud: CloudSessions,
  run: RunContext,
  parts: BackupParts,
): Promise<ObligationHandle[]> {
  const host = await VddkHost.start(parts.vddk, { log: run.log, signal: run.signal });
  try {
    const debts: ObligationHandle[] = [];
    for (const { configuration, vcenter } of vms) {
      // Identity of at most 50 characters; the same again in EndAccess.
      const identity = `vapp-vault-${newId()}`.slice(0, 50);
      const debt = await owe(run.obligations, 'vddk.access', {
        cloudId: cloud.cloudId,
        vcenterInstanceUuid: vcenter.instanceUuid,
        vmMoRef: configuration.moRef,
        vmName: configuration.name,
        identity,
      });
      await host.prepareForAccess(vixTarget(vcenter, configuration.moRef), identity, run.signal);
      debts.push(debt);
    }
    return debts;
  } finally {
    await host.stop();
  }
}

async function copyVms(
  snapshots: readonly SnapshottedVm[],
  organizationId: string,
  cloud: CloudSessions,
  session: BackupSession,
  payload: BackupPayload,
  run: RunContext,
  parts: BackupParts,
  warn: (message: string) => void,
): Promise<ManifestVm[]> {
  const limit = Math.min(payload.settings.parallelVms, parts.limits.disksPerRun);
  return inParallel(snapshots, limit, run.signal, async (vm, signal) => {
    const vmId = await parts.catalog.identifyVm(
      {
        cloudId: cloud.cloudId,
        vcloudId: vm.captured.id,
        instanceUuid: vm.configuration.instanceUuid,
        vcenterInstanceUuid: vm.vcenter.instanceUuid,
        moRef: vm.configuration.moRef,
      },
      vm.captured.name,
    );
    return copyVm(vm, {
      vmId,
      cloudId: cloud.cloudId,
      session,
      catalog: parts.catalog,
      settings: payload.settings,
      vddk: parts.vddk,
      defaultChunkBytes: parts.repository.defaultChunkBytes,
      openBase: (diskId, base, baseSignal) =>
        parts.repository.openDisk({ organizationId, restorePointId: base.restorePointId }, { diskId, ...base }, baseSignal),
      progress: run.progress,
      warn,
      log: run.log,
      signal,
    });
  });
}

async function removeSnapshots(snapshots: readonly SnapshottedVm[]): Promise<void> {
  const outcomes = await Promise.allSettled(snapshots.map((vm) => vm.debt.pay()));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}

/** A provider can still edit a vApp in maintenance mode (vCloud API): then disks and description would not belong together. */
async function assertUnchanged(vcd: VcdClientApi, before: VappCapture, signal: AbortSignal): Promise<void> {
  const after = await vcd.captureVapp(before.href, signal);
  if (vcd.fingerprint(after) === vcd.fingerprint(before)) return;
  throw new BackupError(
    'VAPP_CHANGED',
    `vApp "${before.name}" was changed while it was backed up, so its disks and its description do not belong together; run the backup again.`,
    true,
  );
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
