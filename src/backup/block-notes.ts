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

/** For the warning that a full copy read a whole disk: NFS calls all of it allocated, thin or not (seed 000). */
export function wholeDiskNote(
  vmName: string,
  disk: Pick<DiskBacking, 'label' | 'capacityBytes'>,
  datastoreType: string,
  allocated: readonly Extent[] | undefined,
): string | undefined {
  if (!datastoreType.toUpperCase().startsWith('NFS') || allocated === undefined) return undefined;
  if (totalBytes(allocated) < disk.capacityBytes) return undefined;
  return `All of ${disk.label} of VM "${vmName}" was read: ${datastoreType} does not tell which blocks are allocated.`;
}
