import { inParallel, type Logger } from '../common/index.js';
import type { CloudSessions } from '../clouds/index.js';
import type { ObligationHandle, ObligationLedger } from '../jobs/index.js';
import type { NamedDiskCapture, VmCapture } from '../vcd/index.js';
import type { SnapshotNode, VmConfiguration, VsphereClientApi } from '../vsphere/index.js';
import type { BackupSettings } from './backup-settings.js';
import { type Judgement, judgeSnapshot } from './judge-snapshot.js';
import { makeReady, type ReadyVm } from './ready-vm.js';
import { type SnapshotWish, type TakenSnapshot, takeSnapshot, wishFor } from './take-snapshot.js';

/** A VM of the vApp, found in its vCenter. */
export interface LocatedVm {
  /** Our own id of it. */
  vmId: string;
  captured: VmCapture;
  /** The named disks of the vApp it is in. */
  namedDisks: readonly NamedDiskCapture[];
  vcenter: VsphereClientApi;
  vcenterName: string;
  configuration: VmConfiguration;
}

export interface SnapshottedVm extends ReadyVm, Judgement {
  snapshot: SnapshotNode;
  /** Settled by removing the snapshot. */
  debt: ObligationHandle;
}

export interface SnapshotOptions {
  cloud: CloudSessions;
  settings: BackupSettings;
  restorePointId: string;
  /** Of this run: what is older may be a leftover. */
  startedAt: Date;
  obligations: ObligationLedger;
  /** Whether a run that is under way owes the removal of a snapshot of that name. */
  owedByLivingRun: (snapshotName: string) => Promise<boolean>;
  warn: (message: string) => void;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Makes ready (change tracking on, our leftovers gone), then takes all snapshots as close together as can be: the
 * restore point is one moment of the whole vApp, not of each VM. Quiesced guests take their time before the snapshot
 * stands, so those that need none come after them.
 */
export async function snapshotVms(vms: readonly LocatedVm[], options: SnapshotOptions): Promise<SnapshottedVm[]> {
  const { settings, signal } = options;
  const limit = settings.parallelSnapshots;
  const wishes = await inParallel(vms, limit, signal, async (vm) => wishFor(await makeReady(vm, options), options));
  const take = (wave: SnapshotWish[]) => inParallel(wave, limit, signal, (wish, either) => takeSnapshot(wish, options, either));
  // Should one fail, those that did succeed are debts of this run; its clean-up removes them.
  const taken = [...(await take(wishes.filter(isQuiesced))), ...(await take(wishes.filter((wish) => !isQuiesced(wish))))];
  const byVm = new Map(taken.map((each) => [each.vm, each]));
  // In the order of the vApp, and only now: the look at what was achieved must not come between two snapshots.
  return inParallel(wishes, limit, signal, async ({ vm }) => {
    const own = byVm.get(vm) as TakenSnapshot;
    return { ...vm, snapshot: own.snapshot, debt: own.debt, ...(await judgeSnapshot(own, options)) };
  });
}

function isQuiesced({ plan }: SnapshotWish): boolean {
  return plan.tries[0]?.consistency !== 'crash';
}
