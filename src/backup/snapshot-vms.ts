import { describeError, type Logger, throwIfAborted } from '../common/index.js';
import { owe, type CloudSessions } from '../clouds/index.js';
import type { ObligationHandle, ObligationLedger } from '../jobs/index.js';
import type { VmCapture } from '../vcd/index.js';
import { VsphereError, type VmConfiguration, type VsphereClientApi } from '../vsphere/index.js';
import type { BackupSettings } from './backup-settings.js';

export const SNAPSHOT_NAME_PREFIX = 'vApp Vault ';

/** A VM of the vApp, found in its vCenter. */
export interface LocatedVm {
  /** Our own id of it. */
  vmId: string;
  captured: VmCapture;
  vcenter: VsphereClientApi;
  vcenterName: string;
  configuration: VmConfiguration;
}

export interface SnapshottedVm extends LocatedVm {
  snapshot: { moRef: string; createdAt: string };
  quiesced: 'file-system' | 'none';
  changeTrackingEnabledByUs: boolean;
  /** Settled by removing the snapshot. */
  debt: ObligationHandle;
}

export interface SnapshotOptions {
  cloud: CloudSessions;
  settings: BackupSettings;
  restorePointId: string;
  obligations: ObligationLedger;
  warn: (message: string) => void;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Makes ready (change tracking on, our leftovers gone), then takes all snapshots as close
 * together as can be: the restore point is one moment of the whole vApp, not of each VM.
 */
export async function snapshotVms(vms: readonly LocatedVm[], options: SnapshotOptions): Promise<SnapshottedVm[]> {
  const ready = await Promise.all(vms.map((vm) => makeReady(vm, options)));
  const outcomes = await Promise.allSettled(ready.map((vm) => snapshotVm(vm, options)));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  // The snapshots that did succeed are debts of this run; its clean-up removes them.
  if (failed) throw failed.reason;
  return outcomes.map((outcome) => (outcome as PromiseFulfilledResult<SnapshottedVm>).value);
}

type ReadyVm = LocatedVm & Pick<SnapshottedVm, 'changeTrackingEnabledByUs'>;

async function makeReady(vm: LocatedVm, { signal, log, warn }: SnapshotOptions): Promise<ReadyVm> {
  const { moRef, name, snapshots, changeTrackingEnabled, changeTrackingSupported } = vm.configuration;
  for (const snapshot of snapshots) {
    if (!snapshot.name.startsWith(SNAPSHOT_NAME_PREFIX)) continue;
    log.info({ vm: name, snapshot: snapshot.name }, 'removing a snapshot an earlier run left behind');
    await vm.vcenter.removeSnapshot(moRef, snapshot.moRef, signal);
  }
  // Tracking starts at the next stun, which is the snapshot below (seed 001; guide, "Changed Block
  // Tracking"). It stays on after the run: the next backup is incremental because of it.
  const enable = changeTrackingSupported && !changeTrackingEnabled;
  if (enable) await vm.vcenter.enableChangeTracking(moRef, signal);
  if (!changeTrackingSupported)
    warn(
      `VM "${name}" cannot track changed blocks (hardware version ${vm.configuration.hardwareVersion}); it is copied in full each time.`,
    );
  return { ...vm, changeTrackingEnabledByUs: enable };
}

async function snapshotVm(vm: ReadyVm, options: SnapshotOptions): Promise<SnapshottedVm> {
  const { settings, signal } = options;
  const { configuration, vcenter } = vm;
  const name = `${SNAPSHOT_NAME_PREFIX}${options.restorePointId}`;
  const debt = await owe(options.obligations, 'vsphere.snapshot', {
    cloudId: options.cloud.cloudId,
    vcenterInstanceUuid: vcenter.instanceUuid,
    vmMoRef: configuration.moRef,
    vmInstanceUuid: configuration.instanceUuid,
    vmName: configuration.name,
    snapshotName: name,
  });
  const take = async (quiesce: boolean) => {
    throwIfAborted(signal);
    // Without the signal: once vCenter was asked, the snapshot comes, and the clean-up of a cancelled run
    // that did not wait for it would look for it too early and find nothing to remove.
    const snapshot = await vcenter.createSnapshot(configuration.moRef, {
      name,
      description: 'Made by vApp Vault for a backup; removed when it ends.',
      quiesce,
      timeoutMs: settings.snapshotTimeoutMinutes * 60_000,
    });
    throwIfAborted(signal);
    return snapshot;
  };
  // A VM that is off has nothing to flush: its disks are as quiet as they can be.
  const quiesce = settings.quiesce === 'file-system' && configuration.powerState === 'poweredOn';
  if (!quiesce) return { ...vm, debt, snapshot: await take(false), quiesced: 'none' };
  try {
    return { ...vm, debt, snapshot: await take(true), quiesced: 'file-system' };
  } catch (error) {
    if (!(settings.allowCrashConsistent && isQuiesceFailure(error))) throw error;
    options.warn(`VM "${configuration.name}" could not be quiesced, so its state is as after a power cut: ${describeError(error)}`);
    return { ...vm, debt, snapshot: await take(false), quiesced: 'none' };
  }
}

function isQuiesceFailure(error: unknown): boolean {
  return error instanceof VsphereError && error.code === 'QUIESCE_FAILED';
}
