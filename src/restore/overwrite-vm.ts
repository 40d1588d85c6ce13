import type { ManifestDisk } from '../catalog/index.js';
import type { ManifestRef, RepositoryApi } from '../repository/index.js';
import { type VmConfiguration, VsphereError, type VsphereClientApi } from '../vsphere/index.js';
import { RestoreError } from './errors.js';
import { changedChunks, possiblyDifferentChunks } from './overwritten-chunks.js';
import type { PlannedVm } from './plan-types.js';
import { nvramPathOf } from './rebuild-vm.js';
import { type HostMemory, withWriteAccess, type WritableDisks, type WriteAccessOptions } from './write-access.js';
import { writeDisk } from './write-disk.js';

export interface OverwriteOptions extends WriteAccessOptions {
  repository: RepositoryApi;
  ref: ManifestRef;
  progress: (key: string, value: { doneBytes: number; totalBytes: number }) => void;
  warn: (message: string) => void;
}

/**
 * Writes the disks of the restore point over those of a VM that is off: only blocks that changed since, where
 * change tracking can tell.
 * @returns bytes written.
 * @throws RestoreError DISK_MISMATCH, VM_RUNNING; what vSphere, VDDK and the repository throw; `warn` says so when the VM is half written then.
 */
export async function overwriteVm(planned: PlannedVm, options: OverwriteOptions): Promise<number> {
  const { vcenter, signal } = options;
  const moRef = planned.existing?.moRef ?? '';
  const name = planned.wanted.name;
  // Snapshots stand on the disks that are written: the plan let nobody come here without the word to remove them.
  for (const snapshot of await vcenter.listSnapshots(moRef, signal)) await vcenter.removeSnapshot(moRef, snapshot.moRef, signal);
  const present = await vcenter.readVm(moRef, signal);
  if (present.powerState !== 'poweredOff') {
    throw new RestoreError(
      'VM_RUNNING',
      `VM "${name}" is ${present.powerState} and cannot be written over; power it off and restore again.`,
    );
  }
  let begun = false;
  const onBegun = () => {
    begun = true;
  };
  const work = async (host: HostMemory, connection: WritableDisks) => {
    let writtenBytes = 0;
    for (const disk of planned.disks) writtenBytes += await overwriteDisk(planned, disk, present, host, connection, options, onBegun);
    if (planned.nvram !== undefined) await vcenter.uploadFile(nvramPathOf(present.vmPath), planned.nvram, signal, moRef);
    return writtenBytes;
  };
  try {
    return await withWriteAccess({ moRef, name }, options, work);
  } catch (error) {
    // Only then: a VM that could not be opened is as it was.
    if (begun) options.warn(`VM "${name}" is half written over and must not be started; restore it again.`);
    throw error;
  }
}

async function overwriteDisk(
  planned: PlannedVm,
  captured: ManifestDisk,
  present: VmConfiguration,
  host: HostMemory,
  connection: WritableDisks,
  options: OverwriteOptions,
  onBegun: () => void,
): Promise<number> {
  const { signal, vcenter } = options;
  const backing = present.disks.find((disk) => disk.deviceKey === captured.deviceKey);
  if (backing === undefined || backing.capacityBytes !== captured.capacityBytes) {
    throw new RestoreError(
      'DISK_MISMATCH',
      `${captured.label} of VM "${planned.wanted.name}" is not the disk of the restore point any more (its size or place changed); restore the VM with choices.existingVms "replace".`,
    );
  }
  const reader = await options.repository.openDisk(options.ref, captured, signal);
  const changed = backing.uuid === (captured.uuid ?? undefined) ? await changedSince(captured, present.moRef, vcenter, signal) : undefined;
  const disk = await connection.openDisk(backing.path, {}, signal);
  try {
    const grid = { chunkBytes: reader.chunkBytes, capacityBytes: reader.capacityBytes };
    const chunks =
      changed === undefined
        ? possiblyDifferentChunks(grid, reader.dataChunks(signal), await disk.queryAllocated(signal))
        : changedChunks(grid, changed);
    const key = `${planned.wanted.name}/${captured.label}`;
    const totalBytes = changed?.reduce((sum, extent) => sum + extent.lengthBytes, 0) ?? captured.capacityBytes;
    onBegun();
    const writtenBytes = await writeDisk({
      disk,
      reader,
      chunks,
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

/** Undefined where change tracking cannot tell: it was reset, or was not on when the restore point was made. */
async function changedSince(captured: ManifestDisk, moRef: string, vcenter: VsphereClientApi, signal: AbortSignal) {
  if (captured.changeId === null || captured.changeId === '' || captured.changeId === '*') return undefined;
  try {
    return await vcenter.queryChangedAreas(moRef, undefined, captured, captured.changeId, signal);
  } catch (error) {
    if (error instanceof VsphereError && error.code === 'CHANGE_TRACKING_LOST') return undefined;
    throw error;
  }
}
