import type { ManifestDisk } from '../catalog/index.js';
import { type Extent, totalBytes } from '../disk/index.js';
import { type DiskBacking, type VmConfiguration, VsphereError, type VsphereClientApi } from '../vsphere/index.js';
import { RestoreError } from './errors.js';
import type { OverwriteOptions } from './overwrite-vm.js';
import { changedChunks, possiblyDifferentChunks } from './overwritten-chunks.js';
import { brokenChain, type WholeDiskReason } from './tracking-chain.js';
import type { HostMemory, WritableDisks } from './write-access.js';
import { writeDisk } from './write-disk.js';

/** A disk of today that is to be as it was: by what changed since, or as a whole with the reason why. */
export interface DiskToOverwrite {
  captured: ManifestDisk;
  backing: DiskBacking;
  blocks: { kind: 'changed'; changed: Extent[] } | { kind: 'whole'; reason: WholeDiskReason };
}

/** What a run says of it. */
export interface OverwrittenDisk {
  vm: string;
  disk: string;
  blocks: 'changed' | 'whole';
  /** Why all of it. */
  reason: WholeDiskReason | null;
  capacityBytes: number;
  writtenBytes: number;
  /** Of the data of the restore point, what needed no writing. */
  sparedBytes: number;
  /** 0 to 100, with one decimal. */
  sparedPercent: number;
}

/**
 * Which blocks of a disk may differ from the restore point. Asked before anything is written or change tracking is
 * turned off: afterwards nobody can tell.
 * @throws RestoreError DISK_MISMATCH where the disk is not the one of the restore point any more; VsphereError
 */
export async function decideBlocks(
  captured: ManifestDisk,
  present: VmConfiguration,
  vmName: string,
  vcenter: Pick<VsphereClientApi, 'queryChangedAreas'>,
  signal: AbortSignal,
): Promise<DiskToOverwrite> {
  const backing = present.disks.find((disk) => disk.deviceKey === captured.deviceKey);
  if (backing === undefined || backing.capacityBytes !== captured.capacityBytes) {
    throw new RestoreError(
      'DISK_MISMATCH',
      `${captured.label} of VM "${vmName}" is not the disk of the restore point any more (its size or place changed); restore the VM with choices.existingVms "replace".`,
    );
  }
  const reason = brokenChain(captured, backing, present.changeTrackingEnabled);
  if (reason !== undefined) return { captured, backing, blocks: { kind: 'whole', reason } };
  try {
    const changed = await vcenter.queryChangedAreas(present.moRef, undefined, captured, captured.changeId ?? '', signal);
    return { captured, backing, blocks: { kind: 'changed', changed } };
  } catch (error) {
    if (!(error instanceof VsphereError && error.code === 'CHANGE_TRACKING_LOST')) throw error;
    return { captured, backing, blocks: { kind: 'whole', reason: 'tracking-lost' } };
  }
}

/** @throws what VDDK, the repository and `onBegin` throw, which is called before the first byte is written. */
export async function overwriteDisk(
  target: DiskToOverwrite,
  vmName: string,
  host: HostMemory,
  connection: WritableDisks,
  options: OverwriteOptions & { onBegin: (disk: DiskToOverwrite) => Promise<void> },
): Promise<OverwrittenDisk> {
  const { captured, backing, blocks } = target;
  const { signal } = options;
  const reader = await options.repository.openDisk(options.ref, captured, signal);
  const disk = await connection.openDisk(backing.path, {}, signal);
  try {
    const grid = { chunkBytes: reader.chunkBytes, capacityBytes: reader.capacityBytes };
    const allocated = await disk.queryAllocated(signal);
    const chunks =
      blocks.kind === 'changed' ? changedChunks(grid, blocks.changed) : possiblyDifferentChunks(grid, reader.dataChunks(signal), allocated);
    const key = `${vmName}/${captured.label}`;
    const toWriteBytes = blocks.kind === 'changed' ? totalBytes(blocks.changed) : captured.capacityBytes;
    await options.onBegin(target);
    const writtenBytes = await writeDisk({
      disk,
      reader,
      chunks,
      allocated,
      memory: host.memory,
      maxRequestBytes: options.vddk.maxRequestBytes,
      onProgress: (doneBytes) => options.progress(key, { doneBytes: Math.min(doneBytes, toWriteBytes), totalBytes: toWriteBytes }),
      signal,
    });
    await disk.flush(signal);
    options.progress(key, { doneBytes: toWriteBytes, totalBytes: toWriteBytes });
    return describe(vmName, captured, blocks, writtenBytes);
  } finally {
    await disk.close();
  }
}

/** Held against the data that a restore of the whole disk has to write at least. */
function describe(vm: string, captured: ManifestDisk, blocks: DiskToOverwrite['blocks'], writtenBytes: number): OverwrittenDisk {
  const sparedBytes = Math.max(0, captured.allocatedBytes - writtenBytes);
  return {
    vm,
    disk: captured.label,
    blocks: blocks.kind,
    reason: blocks.kind === 'whole' ? blocks.reason : null,
    capacityBytes: captured.capacityBytes,
    writtenBytes,
    sparedBytes,
    sparedPercent: captured.allocatedBytes === 0 ? 0 : Math.round((sparedBytes / captured.allocatedBytes) * 1000) / 10,
  };
}
