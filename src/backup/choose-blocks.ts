import type { DiskBase } from '../catalog/index.js';
import type { Extent } from '../disk/index.js';
import type { VddkDiskApi } from '../vddk/index.js';
import { type DiskBacking, VsphereError, type VsphereClientApi } from '../vsphere/index.js';
import { type FullQuestion, type FullReason, whyFull } from './why-full.js';

/** Which blocks changed, or why all must be copied. */
export type BlockChoice = { kind: 'incremental'; base: DiskBase; changed: Extent[] } | { kind: 'full'; reason: FullReason };

export interface BlockQuestion extends FullQuestion {
  vcenter: Pick<VsphereClientApi, 'queryChangedAreas'>;
  vmMoRef: string;
  snapshotMoRef: string;
  signal: AbortSignal;
}

export async function chooseBlocks(question: BlockQuestion): Promise<BlockChoice> {
  const { disk, base } = question;
  const reason = whyFull(question);
  if (reason !== undefined || base === undefined) return { kind: 'full', reason: reason ?? 'first-backup' };
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
    if (isLoss(error)) return { kind: 'full', reason: 'tracking-lost' };
    throw error;
  }
}

/** `change-tracking`: by the change id `*`. */
export type AllocationTeller = 'change-tracking' | 'nobody';

export interface AllocationQuestion {
  disk: Pick<VddkDiskApi, 'queryAllocated'>;
  backing: Pick<DiskBacking, 'deviceKey' | 'capacityBytes' | 'changeId' | 'parentPaths'>;
  vcenter: Pick<VsphereClientApi, 'queryChangedAreas'>;
  vmMoRef: string;
  snapshotMoRef: string;
  /** Only a full copy is worth the second question. */
  full: boolean;
  /** Of a full copy: who told instead, where VDDK cannot. */
  onFallback?: (teller: AllocationTeller) => void;
  signal: AbortSignal;
}

/**
 * Which blocks are allocated; undefined when nobody can tell, and then all count. Where VDDK cannot (before 6.7, or without
 * NFC), change tracking can by the change id `*`, which is deprecated because it is slow on large disks and wrong over
 * snapshots that were there before it (seed 000): so it is asked of a disk without parents only.
 */
export async function allocatedBlocks(question: AllocationQuestion): Promise<Extent[] | undefined> {
  const { disk, backing, signal } = question;
  const allocated = await disk.queryAllocated(signal);
  if (allocated !== undefined || !question.full) return allocated;
  const tracked = backing.changeId === undefined || backing.parentPaths.length > 0 ? undefined : await allocatedByTracking(question);
  question.onFallback?.(tracked === undefined ? 'nobody' : 'change-tracking');
  return tracked;
}

async function allocatedByTracking({
  vcenter,
  vmMoRef,
  snapshotMoRef,
  backing,
  signal,
}: AllocationQuestion): Promise<Extent[] | undefined> {
  try {
    return await vcenter.queryChangedAreas(vmMoRef, snapshotMoRef, backing, '*', signal);
  } catch (error) {
    if (isLoss(error)) return undefined;
    throw error;
  }
}

function isLoss(error: unknown): boolean {
  return error instanceof VsphereError && error.code === 'CHANGE_TRACKING_LOST';
}
