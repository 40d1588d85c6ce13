import { accessFirstClassDisk, placeOfFirstClassDisk, type VddkUse } from '../clouds/index.js';
import type { ManifestFirstClassDisk } from '../catalog/index.js';
import { type Extent, totalBytes } from '../disk/index.js';
import type { ManifestRef, RepositoryApi } from '../repository/index.js';
import { type FirstClassDisk, type VsphereClientApi, VsphereError } from '../vsphere/index.js';
import type { RunContext } from '../jobs/index.js';
import { RestoreError } from './errors.js';
import { writeDiskMetadata } from './fill-disk.js';
import { changedChunks, possiblyDifferentChunks } from './overwritten-chunks.js';
import { brokenChain, type WholeDiskReason } from './tracking-chain.js';
import { writeDisk } from './write-disk.js';

/** Which blocks are written: all of an empty disk that hold data, what changed since the restore point, or whatever may differ. */
export type BlocksToWrite = { kind: 'empty' } | { kind: 'changed'; changed: Extent[] } | { kind: 'whole'; reason: WholeDiskReason };

export interface DiskToWrite {
  captured: ManifestFirstClassDisk;
  disk: FirstClassDisk;
  datastoreType: string;
  blocks: BlocksToWrite;
}

export interface WriteParts {
  vcenter: VsphereClientApi;
  vddk: VddkUse;
  repository: Pick<RepositoryApi, 'openDisk'>;
  ref: ManifestRef;
  run: Pick<RunContext, 'progress' | 'warn' | 'log' | 'signal'>;
}

/**
 * Writes the content of a restore point to a first class disk that no VM has, through a connection of its own.
 * @returns bytes written. @throws RestoreError DISK_MISMATCH; what VDDK and the repository throw.
 */
export async function writeFirstClassDisk({ captured, disk, datastoreType, blocks }: DiskToWrite, parts: WriteParts): Promise<number> {
  const { vcenter, vddk, repository, ref, run } = parts;
  const { signal, log } = run;
  const warn = run.warn.bind(run);
  const reader = await repository.openDisk(ref, captured, signal);
  // SAN writes below a snapshot of the VM (guide, Table 7-4), and there is no VM.
  const modes = vddk.transport.modes.filter((mode) => mode !== 'san');
  const access = await accessFirstClassDisk({ disk, vcenter, vddk, wish: { modes }, readOnly: false, warn, log, signal });
  try {
    const open = await access.openDisk(disk.id, { place: placeOfFirstClassDisk(disk, datastoreType) }, signal);
    try {
      // vSphere makes disks of whole MiB: a new one may be larger than one that was not, and is zero beyond its end.
      const fits = blocks.kind === 'empty' ? open.capacityBytes >= captured.capacityBytes : open.capacityBytes === captured.capacityBytes;
      if (!fits) throw mismatch(disk.name, open.capacityBytes, captured.capacityBytes);
      if (blocks.kind === 'empty')
        await writeDiskMetadata(
          captured.metadata,
          open,
          { name: `first class disk "${disk.name}"`, sameSize: open.capacityBytes === captured.capacityBytes },
          { warn, signal },
        );
      const grid = { chunkBytes: reader.chunkBytes, capacityBytes: reader.capacityBytes };
      const allocated = blocks.kind === 'empty' ? [] : await open.queryAllocated(signal);
      const chunks =
        blocks.kind === 'changed'
          ? changedChunks(grid, blocks.changed)
          : blocks.kind === 'whole'
            ? possiblyDifferentChunks(grid, reader.dataChunks(signal), allocated)
            : undefined;
      const toWriteBytes =
        blocks.kind === 'empty' ? captured.allocatedBytes : blocks.kind === 'changed' ? totalBytes(blocks.changed) : captured.capacityBytes;
      const writtenBytes = await writeDisk({
        disk: open,
        reader,
        ...(chunks && { chunks }),
        allocated,
        memory: access.memory,
        maxRequestBytes: vddk.maxRequestBytes,
        onProgress: (doneBytes) => run.progress(disk.name, { doneBytes: Math.min(doneBytes, toWriteBytes), totalBytes: toWriteBytes }),
        signal,
      });
      await open.flush(signal);
      run.progress(disk.name, { doneBytes: toWriteBytes, totalBytes: toWriteBytes });
      return writtenBytes;
    } finally {
      await open.close();
    }
  } finally {
    await access.close();
  }
}

/**
 * Which blocks of a disk may differ from the restore point: by change tracking where its chain is unbroken.
 * @param snapshotId of a snapshot taken just now: vSphere tells what changed up to a snapshot of such a disk only
 */
export async function blocksToOverwrite(
  captured: ManifestFirstClassDisk,
  disk: FirstClassDisk,
  snapshotId: string,
  { firstClassDisks }: Pick<VsphereClientApi, 'firstClassDisks'>,
  signal: AbortSignal,
): Promise<BlocksToWrite> {
  const changeId = await firstClassDisks.snapshotChangeId(disk, snapshotId, signal);
  // Its size is held against what VDDK opens; vSphere tells it in whole MiB, rounded down.
  const whole = { ...disk, capacityBytes: captured.capacityBytes };
  const present = { uuid: disk.id, capacityBytes: captured.capacityBytes, changeId };
  const reason = brokenChain(captured, present, disk.changeTrackingEnabled);
  if (reason !== undefined) return { kind: 'whole', reason };
  try {
    return { kind: 'changed', changed: await firstClassDisks.queryChangedAreas(whole, snapshotId, captured.changeId ?? '', signal) };
  } catch (error) {
    if (!(error instanceof VsphereError && error.code === 'CHANGE_TRACKING_LOST')) throw error;
    return { kind: 'whole', reason: 'tracking-lost' };
  }
}

function mismatch(name: string, bytes: number, capturedBytes: number): RestoreError {
  return new RestoreError(
    'DISK_MISMATCH',
    `First class disk "${name}" has ${bytes} bytes, the restore point's disk has ${capturedBytes}; look for what changed it, and restore again.`,
  );
}
