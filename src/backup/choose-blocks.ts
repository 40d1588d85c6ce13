import type { DiskBase } from '../catalog/index.js';
import type { Extent } from '../disk/index.js';
import { type DiskBacking, VsphereError, type VsphereClientApi } from '../vsphere/index.js';

/** Which blocks changed, or why all must be copied. */
export type BlockChoice = { kind: 'incremental'; base: DiskBase; changed: Extent[] } | { kind: 'full'; reason: FullReason };

export type FullReason =
  | 'requested'
  | 'first-backup'
  | 'no-change-id'
  | 'disk-replaced'
  | 'size-changed'
  | 'tracking-restarted'
  | 'tracking-lost'
  | 'previous-index-missing';

export interface BlockQuestion {
  vcenter: Pick<VsphereClientApi, 'queryChangedAreas'>;
  vmMoRef: string;
  snapshotMoRef: string;
  /** As the snapshot froze it. */
  disk: DiskBacking;
  base: DiskBase | undefined;
  forceFull: boolean;
  signal: AbortSignal;
}

/**
 * The rule of the whole service: the previous index is used only when the change id it was made
 * with is the one vSphere answers for, on the same disk of the same size. Anything else is a
 * full copy with its reason, which costs time and never data.
 */
export async function chooseBlocks(question: BlockQuestion): Promise<BlockChoice> {
  const { disk, base } = question;
  const obstacle = obstacleToIncremental(disk, base, question.forceFull);
  if (obstacle !== undefined || base === undefined) return { kind: 'full', reason: obstacle ?? 'first-backup' };
  try {
    const changed = await question.vcenter.queryChangedAreas(
      question.vmMoRef,
      question.snapshotMoRef,
      disk,
      base.changeId,
      question.signal,
    );
    return { kind: 'incremental', base, changed };
  } catch (error) {
    if (error instanceof VsphereError && error.code === 'CHANGE_TRACKING_LOST') return { kind: 'full', reason: 'tracking-lost' };
    throw error;
  }
}

function obstacleToIncremental(disk: DiskBacking, base: DiskBase | undefined, forceFull: boolean): FullReason | undefined {
  if (forceFull) return 'requested';
  if (base === undefined) return 'first-backup';
  if (disk.changeId === undefined) return 'no-change-id';
  if ((disk.uuid ?? '') !== base.diskUuid) return 'disk-replaced';
  if (disk.capacityBytes !== base.capacityBytes) return 'size-changed';
  // "uuid/sequence": another uuid is another tracking epoch (VMware KB 1020128).
  if (trackingEpoch(disk.changeId) !== trackingEpoch(base.changeId)) return 'tracking-restarted';
  return undefined;
}

function trackingEpoch(changeId: string): string {
  return changeId.split('/')[0] as string;
}
