import type { AllocationTeller } from './choose-blocks.js';
import { type Extent, totalBytes } from '../disk/index.js';
import type { DiskBacking } from '../vsphere/index.js';

/**
 * For the warning that tracking is on and does not work. It "becomes true only after the stun" (guide, "Changed Block
 * Tracking", Troubleshooting): so it is looked at in what the snapshot froze.
 * @param enabled by the configuration that the snapshot froze
 */
export function untrackedNote(
  vmName: string,
  disks: readonly Pick<DiskBacking, 'label' | 'changeId'>[],
  enabled: boolean,
): string | undefined {
  const untracked = disks.filter(({ changeId }) => !enabled || changeId === undefined).map(({ label }) => label);
  if (untracked.length === 0) return undefined;
  return `Change tracking of VM "${vmName}" is on and not in effect for ${untracked.join(', ')}, so the next backup copies in full too; look for another snapshot that keeps it from starting.`;
}

/**
 * For the warning that a full copy read a whole disk: NFS calls all of it allocated, thin or not (seed 000).
 * @param name for people: `Hard disk 1 of VM "web-1"`
 */
export function wholeDiskNote(
  name: string,
  { capacityBytes }: Pick<DiskBacking, 'capacityBytes'>,
  datastoreType: string,
  allocated: readonly Extent[] | undefined,
): string | undefined {
  if (!datastoreType.toUpperCase().startsWith('NFS') || allocated === undefined) return undefined;
  if (totalBytes(allocated) < capacityBytes) return undefined;
  return `All of ${name} was read: ${datastoreType} does not tell which blocks are allocated.`;
}

/** For the warning that VDDK did not tell which blocks are allocated: it can from 6.7 on, over most transports. */
export function allocationNote(what: string, teller: AllocationTeller): string {
  return teller === 'nobody'
    ? `All of ${what} was read: neither VDDK nor change tracking tells which blocks are allocated.`
    : `Which blocks of ${what} are allocated was told by change tracking (change id *), because VDDK could not; update VDDK if it is older than 6.7.`;
}
