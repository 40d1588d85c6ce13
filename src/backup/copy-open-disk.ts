import { describeError } from '../common/index.js';
import type { DiskBase, ManifestDisk } from '../catalog/index.js';
import { type Extent, planCopy, totalBytes } from '../disk/index.js';
import type { BackupSession, DiskIndexRef, DiskReader } from '../repository/index.js';
import type { VddkDiskApi } from '../vddk/index.js';
import { allocationNote, wholeDiskNote } from './block-notes.js';
import { allocatedBlocks, type AllocationQuestion, type AllocationTeller, type BlockChoice } from './choose-blocks.js';
import { copyDisk } from './copy-disk.js';

export interface CopyOptions {
  session: BackupSession;
  vddk: { maxRequestBytes: number };
  defaultChunkBytes: number;
  /** The disk as an earlier restore point has it. */
  openBase: (diskId: string, base: DiskBase, signal: AbortSignal) => Promise<DiskReader>;
  progress: (key: string, value: { doneBytes: number; totalBytes: number }) => void;
  warn: (message: string) => void;
  signal: AbortSignal;
}

export interface DiskToCopy {
  /** Ours. */
  diskId: string;
  disk: VddkDiskApi;
  choice: BlockChoice;
  /** Who is asked which blocks are allocated where VDDK cannot tell. */
  allocation: Omit<AllocationQuestion, 'disk' | 'full' | 'onFallback' | 'signal'>;
  /** For people: `Hard disk 1 of VM "web-1"` */
  name: string;
  /** VMFS, NFS … */
  datastoreType: string;
  /** Shared with VDDK's process. */
  memory: Buffer;
  progressKey: string;
}

/** What of a disk's part of the manifest comes from the copy. */
export type DiskCopy = DiskIndexRef &
  Pick<ManifestDisk, 'kind' | 'fullReason' | 'allocatedBytes' | 'changedBytes' | 'readBytes' | 'newBytes' | 'storedBytes'>;

/** Copies what was chosen of an open disk into the repository. @throws what VDDK and the repository throw. */
export async function copyOpenDisk(copy: DiskToCopy, options: CopyOptions): Promise<DiskCopy> {
  const { disk, memory, progressKey } = copy;
  const { signal } = options;
  const { writer, kind, reason, changed, base: previous } = await openWriter(copy, options);
  const allocated = await allocatedOf(copy, kind, options);
  const plan = planCopy({ capacityBytes: disk.capacityBytes, chunkBytes: writer.chunkBytes, allocated, changed });
  let damaged = false;
  const onBaseDamaged = (error: Error) => {
    // Once for a disk: a lost pack would fill the list of warnings.
    if (!damaged) options.warn(`Chunks of ${disk.path} are read whole, because the previous restore point is damaged: ${error.message}`);
    damaged = true;
  };
  const toReadBytes = totalBytes(plan.read);
  options.progress(progressKey, { doneBytes: 0, totalBytes: toReadBytes });
  const readBytes = await copyDisk({
    disk,
    memory: { buffer: memory, offset: 0, length: memory.length },
    plan,
    writer,
    ...(previous && { base: previous }),
    onBaseDamaged,
    maxRequestBytes: options.vddk.maxRequestBytes,
    onProgress: (doneBytes) => options.progress(progressKey, { doneBytes: Math.min(doneBytes, toReadBytes), totalBytes: toReadBytes }),
    signal,
  });
  options.progress(progressKey, { doneBytes: toReadBytes, totalBytes: toReadBytes });
  const index = await writer.finish(signal);
  const { allocatedBytes, changedBytes } = plan;
  const { newBytes, storedBytes } = writer.tally;
  return { ...index, kind, fullReason: reason, allocatedBytes, changedBytes, readBytes, newBytes, storedBytes };
}

/** Undefined when nobody can tell. Of a full copy it is said who told, and when nothing was spared. */
async function allocatedOf(
  { disk, allocation, name, datastoreType }: DiskToCopy,
  kind: ManifestDisk['kind'],
  { warn, signal }: CopyOptions,
): Promise<Extent[] | undefined> {
  if (kind === 'incremental') return allocatedBlocks({ ...allocation, disk, full: false, signal });
  const onFallback = (teller: AllocationTeller) => warn(allocationNote(name, teller));
  const allocated = await allocatedBlocks({ ...allocation, disk, full: true, onFallback, signal });
  const note = wholeDiskNote(name, allocation.backing, datastoreType, allocated);
  if (note !== undefined) warn(note);
  return allocated;
}

/** A base whose index cannot be opened any more (damaged, deleted) is no base: the copy becomes full. */
async function openWriter({ diskId, disk, choice }: DiskToCopy, options: CopyOptions) {
  const { session, signal } = options;
  const { capacityBytes } = disk;
  if (choice.kind === 'incremental') {
    const base: DiskBase = choice.base;
    const chunkBytes = base.chunkBytes;
    try {
      const previous = await options.openBase(diskId, base, signal);
      const writer = await session.openDisk({ diskId, capacityBytes, chunkBytes, base, signal });
      return { writer, kind: 'incremental' as const, reason: null, changed: choice.changed, base: previous };
    } catch (error) {
      if (signal.aborted) throw error;
      options.warn(`The previous index of ${disk.path} cannot be used, so the disk is copied in full: ${describeError(error)}`);
      const writer = await session.openDisk({ diskId, capacityBytes, chunkBytes, signal });
      return { writer, kind: 'full' as const, reason: 'previous-index-missing', changed: undefined, base: undefined };
    }
  }
  const writer = await session.openDisk({ diskId, capacityBytes, chunkBytes: options.defaultChunkBytes, signal });
  return { writer, kind: 'full' as const, reason: choice.reason, changed: undefined, base: undefined };
}
