import { SECTOR_BYTES } from '../common/index.js';
import { alignExtents, intersectExtents, normalizeExtents, subtractExtents, totalBytes, type Extent } from './extents.js';

/**
 * What a backup has to do with each byte of a disk, in whole chunks of the repository's grid.
 *
 * Why whole chunks: a chunk is stored under the digest of all of its bytes. What did not change of
 * a chunk is kept from the previous restore point, not read again over VDDK (docs/decisions/0003).
 */
export interface CopyPlan {
  kind: 'full' | 'incremental';
  capacityBytes: number;
  chunkBytes: number;
  /** Chunks to look at again; everything else is taken from the previous index (incremental) or is zero (full). */
  touched: Extent[];
  /** What goes over VDDK: changed and allocated. */
  read: Extent[];
  /** Changed and not allocated: zero without reading. */
  zero: Extent[];
  /** Not changed, of chunks of which something did: from the previous restore point. Empty in a full copy. */
  keep: Extent[];
  allocatedBytes: number;
  /** As vSphere reported it, before alignment; equal to the capacity in a full backup. */
  changedBytes: number;
}

export interface CopyPlanInput {
  capacityBytes: number;
  chunkBytes: number;
  /** From QueryAllocatedBlocks; undefined when the library cannot tell, which means all of it. */
  allocated: readonly Extent[] | undefined;
  /** From QueryChangedDiskAreas since the previous restore point; undefined for a full backup. */
  changed: readonly Extent[] | undefined;
}

export function planCopy(input: CopyPlanInput): CopyPlan {
  const { capacityBytes, chunkBytes } = input;
  const whole: Extent[] = capacityBytes === 0 ? [] : [{ offsetBytes: 0, lengthBytes: capacityBytes }];
  const allocated = input.allocated === undefined ? whole : intersectExtents(normalizeExtents(input.allocated), whole);
  const changed = input.changed === undefined ? whole : intersectExtents(normalizeExtents(input.changed), whole);
  const changedSectors = alignExtents(changed, SECTOR_BYTES, capacityBytes);
  const touched = alignExtents(changedSectors, chunkBytes, capacityBytes);
  return {
    kind: input.changed === undefined ? 'full' : 'incremental',
    capacityBytes,
    chunkBytes,
    touched,
    read: intersectExtents(changedSectors, allocated),
    zero: subtractExtents(changedSectors, allocated),
    keep: subtractExtents(touched, changedSectors),
    allocatedBytes: totalBytes(allocated),
    changedBytes: totalBytes(changed),
  };
}
