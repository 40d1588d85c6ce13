import { type Logger, newId } from '../common/index.js';
import type { ManifestDisk } from '../catalog/index.js';
import { type CloudSessions, owe, vixTarget } from '../clouds/index.js';
import type { ObligationLedger } from '../jobs/index.js';
import type { ManifestRef, RepositoryApi } from '../repository/index.js';
import { VddkHost, type VddkConnectionApi, type VddkSettings } from '../vddk/index.js';
import { type VmConfiguration, VsphereError, type VsphereClientApi } from '../vsphere/index.js';
import { RestoreError } from './errors.js';
import { changedChunks, possiblyDifferentChunks } from './overwritten-chunks.js';
import type { PlannedVm } from './plan-types.js';
import { nvramPathOf } from './rebuild-vm.js';
import { writeDisk } from './write-disk.js';

export interface OverwriteOptions {
  cloud: CloudSessions;
  vcenter: VsphereClientApi;
  repository: RepositoryApi;
  ref: ManifestRef;
  vddk: VddkSettings & { transportModes: string };
  obligations: ObligationLedger;
  progress: (key: string, value: { doneBytes: number; totalBytes: number }) => void;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Writes the disks of the restore point over those of a VM that is off: only blocks that changed since, where
 * change tracking can tell.
 * @returns bytes written.
 * @throws RestoreError DISK_MISMATCH, VM_RUNNING; what vSphere, VDDK and the repository throw. The VM is then half written.
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
  const identity = `vapp-vault-${newId()}`.slice(0, 50);
  const access = await owe(options.obligations, 'vddk.access', {
    cloudId: options.cloud.cloudId,
    vcenterInstanceUuid: vcenter.instanceUuid,
    vmMoRef: moRef,
    vmName: name,
    identity,
  });
  const host = await VddkHost.start(options.vddk, { log: options.log, signal });
  try {
    const target = vixTarget(vcenter, moRef);
    await host.prepareForAccess(target, identity, signal);
    const connection = await host.connect(target, { readOnly: false, transportModes: options.vddk.transportModes }, signal);
    try {
      let writtenBytes = 0;
      for (const disk of planned.disks) writtenBytes += await overwriteDisk(planned, disk, present, host, connection, options);
      if (planned.nvram !== undefined) await vcenter.uploadFile(nvramPathOf(present.vmPath), planned.nvram, signal, moRef);
      return writtenBytes;
    } finally {
      await connection.disconnect();
    }
  } finally {
    await host.stop();
    await access.pay();
  }
}

async function overwriteDisk(
  planned: PlannedVm,
  captured: ManifestDisk,
  present: VmConfiguration,
  host: VddkHost,
  connection: VddkConnectionApi,
  options: OverwriteOptions,
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
