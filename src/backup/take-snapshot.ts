import { owe } from '../clouds/index.js';
import { describeError, throwIfAborted } from '../common/index.js';
import type { ObligationHandle } from '../jobs/index.js';
import { type SnapshotNode, storageDevices, VsphereError } from '../vsphere/index.js';
import { BackupError } from './errors.js';
import { excludeReason } from './exclude-disk.js';
import { type Consistency, type GuestFacts, guestFacts, type QuiescePlan, quiescePlan } from './quiescing.js';
import { type ReadyVm, SNAPSHOT_DESCRIPTION, SNAPSHOT_NAME_PREFIX } from './ready-vm.js';
import type { SnapshotOptions } from './snapshot-vms.js';

/** What is going to be asked of one VM. */
export interface SnapshotWish {
  vm: ReadyVm;
  guest: GuestFacts;
  plan: QuiescePlan;
}

export interface TakenSnapshot extends SnapshotWish {
  snapshot: SnapshotNode;
  /** What the snapshot was asked for with. */
  asked: Consistency;
  /** Why more could not be had. */
  failures: string[];
  /** Settled by removing the snapshot. */
  debt: ObligationHandle;
}

/** Faults that vCenter gives for a guest that did not quiesce, among other reasons: without quiescing it shows which. */
const PERHAPS_QUIESCING = new Set(['GenericVmConfigFault', 'SnapshotFault']);

/** @throws BackupError QUIESCE_IMPOSSIBLE when nothing of what is accepted can be tried: before any VM has a snapshot. */
export function wishFor(vm: ReadyVm, options: SnapshotOptions): SnapshotWish {
  const { configuration, vcenter } = vm;
  const guest = guestFacts(configuration, vcenter.apiVersion);
  const plan = quiescePlan(guest, options.settings);
  if (plan.tries.length === 0) {
    throw new BackupError(
      'QUIESCE_IMPOSSIBLE',
      `VM "${configuration.name}" cannot be quiesced as the backup asks (quiesce, quiesceAtLeast): ${plan.obstacles.join('; ')}.`,
    );
  }
  return { vm, guest, plan };
}

/**
 * One snapshot, as consistent as can be had of what is accepted.
 * @throws VsphereError of the last try.
 */
export async function takeSnapshot(wish: SnapshotWish, options: SnapshotOptions, signal: AbortSignal): Promise<TakenSnapshot> {
  const { vm, plan } = wish;
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
  const failures: string[] = [];
  let lastFailure: unknown;
  for (const { consistency, windows } of withRetries(plan, options)) {
    const quiesce = consistency !== 'crash';
    throwIfAborted(signal);
    try {
      // Without the signal: once vCenter was asked, the snapshot comes, and the clean-up of a cancelled run
      // that did not wait for it would look for it too early and find nothing to remove.
      const request = { name, description: SNAPSHOT_DESCRIPTION, quiesce, ...(windows && { windows }), timeoutMs: timeoutMs(options) };
      const snapshot = await vcenter.createSnapshot(configuration.moRef, request);
      throwIfAborted(signal);
      return { ...wish, snapshot, asked: consistency, failures, debt };
    } catch (error) {
      if (!quiesce || !isQuiesceFailure(error)) {
        explainRefusal(error, vm, options);
        throw error;
      }
      failures.push(describeError(error));
      lastFailure = error;
    }
  }
  explainRefusal(lastFailure, vm, options);
  throw lastFailure;
}

function withRetries({ tries }: QuiescePlan, { settings }: SnapshotOptions): QuiescePlan['tries'] {
  return tries.flatMap((each) => (each.consistency === 'crash' ? [each] : Array.from({ length: 1 + settings.quiesceRetries }, () => each)));
}

/** vCenter refuses every snapshot of a VM that has such a disk and does not have it independent, and need not say why. */
function explainRefusal(error: unknown, { configuration }: ReadyVm, { warn }: SnapshotOptions): void {
  if (!(error instanceof VsphereError) || error.retryable) return;
  const { controllers } = storageDevices(configuration.configXml);
  const inTheWay = configuration.disks
    .filter((disk) => !disk.diskMode.startsWith('independent'))
    .flatMap((disk) => {
      const reason = excludeReason(disk, undefined, controllers.get(disk.deviceKey));
      return reason === undefined ? [] : [`${disk.label} (${reason.replace(/\.$/, '')})`];
    });
  if (inTheWay.length === 0) return;
  warn(`VM "${configuration.name}" can have no snapshot as long as these disks are not independent: ${inTheWay.join('; ')}`);
}

/** VSS may take its own time, and the snapshot comes after it. */
function timeoutMs({ settings }: SnapshotOptions): number {
  const forVss = settings.quiesce === 'crash' || settings.quiesce === 'none' ? 0 : settings.quiesceTimeoutMinutes + 5;
  return Math.max(settings.snapshotTimeoutMinutes, forVss) * 60_000;
}

function isQuiesceFailure(error: unknown): boolean {
  return error instanceof VsphereError && (error.code === 'QUIESCE_FAILED' || PERHAPS_QUIESCING.has(error.faultType ?? ''));
}
