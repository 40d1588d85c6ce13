import { describeError } from '../common/index.js';
import type { ManifestDisk } from '../catalog/index.js';
import type { ManifestRef, RepositoryApi } from '../repository/index.js';
import type { VddkDiskApi } from '../vddk/index.js';
import { restorableMetadata } from './disk-metadata.js';
import { RestoreError } from './errors.js';
import { possiblyDifferentChunks } from './overwritten-chunks.js';
import type { HostMemory, WritableDisks } from './write-access.js';
import { writeDisk } from './write-disk.js';

export interface FillOptions {
  repository: Pick<RepositoryApi, 'openDisk'>;
  ref: ManifestRef;
  vddk: { maxRequestBytes: number };
  progress: (key: string, value: { doneBytes: number; totalBytes: number }) => void;
  /** Into the run's report. */
  warn: (message: string) => void;
  signal: AbortSignal;
}

/**
 * Writes a whole disk of a restore point through an open connection.
 *
 * @param target.path vSphere's path of the disk
 * @param target.isEmpty a new disk, of which what holds no data is zero already; another one is written over
 * @returns bytes written.
 * @throws RestoreError DISK_MISMATCH; what VDDK and the repository throw.
 */
export async function fillDisk(
  captured: ManifestDisk,
  target: { path: string; vmName: string; isEmpty: boolean },
  host: HostMemory,
  connection: WritableDisks,
  options: FillOptions,
): Promise<number> {
  const { signal } = options;
  const { path, vmName, isEmpty } = target;
  const reader = await options.repository.openDisk(options.ref, captured, signal);
  const disk = await connection.openDisk(path, {}, signal);
  try {
    // VCD makes named disks of whole MiB: a new one may be larger than a disk that was not one, and is zero beyond its end.
    const fits = isEmpty ? disk.capacityBytes >= captured.capacityBytes : disk.capacityBytes === captured.capacityBytes;
    if (!fits) {
      throw new RestoreError(
        'DISK_MISMATCH',
        `${path} has ${disk.capacityBytes} bytes, the restore point's ${captured.label} of VM "${vmName}" has ${captured.capacityBytes}.`,
      );
    }
    if (isEmpty) {
      const name = `${captured.label} of VM "${vmName}"`;
      await writeDiskMetadata(captured.metadata, disk, { name, sameSize: disk.capacityBytes === captured.capacityBytes }, options);
    }
    const grid = { chunkBytes: reader.chunkBytes, capacityBytes: reader.capacityBytes };
    const allocated = isEmpty ? [] : await disk.queryAllocated(signal);
    const chunks = isEmpty ? undefined : possiblyDifferentChunks(grid, reader.dataChunks(signal), allocated);
    const key = `${vmName}/${captured.label}`;
    // How much there is to write is known when all pages were read; what was allocated is a close bound.
    const totalBytes = isEmpty ? captured.allocatedBytes : captured.capacityBytes;
    const writtenBytes = await writeDisk({
      disk,
      reader,
      ...(chunks && { chunks }),
      allocated,
      memory: host.memory,
      maxRequestBytes: options.vddk.maxRequestBytes,
      onProgress: (doneBytes) => options.progress(key, { doneBytes: Math.min(doneBytes, totalBytes), totalBytes }),
      signal,
    });
    await disk.flush(signal);
    options.progress(key, { doneBytes: totalBytes, totalBytes });
    return writtenBytes;
  } finally {
    await disk.close();
  }
}

/**
 * "You must call VixDiskLib_WriteMetadata() to write all the disk configuration key/value data into the virtual disk
 * before restoring any backed-up data" (guide, "Creating a Virtual Machine").
 * @param name for people
 */
export async function writeDiskMetadata(
  captured: ManifestDisk['metadata'],
  disk: Pick<VddkDiskApi, 'metadata' | 'writeMetadata'>,
  { name, sameSize }: { name: string; sameSize: boolean },
  { warn, signal }: Pick<FillOptions, 'warn' | 'signal'>,
): Promise<void> {
  const entries = restorableMetadata(captured, await disk.metadata(signal), sameSize);
  if (Object.keys(entries).length === 0) return;
  try {
    await disk.writeMetadata(entries, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    // The guest does not need them: a disk without its data would be worse than one without these.
    warn(`The metadata of ${name} could not be put back: ${describeError(error)}`);
  }
}
