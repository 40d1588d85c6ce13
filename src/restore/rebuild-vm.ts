import { throwIfAborted } from '../common/index.js';
import type { ManifestDisk } from '../catalog/index.js';
import { owe } from '../clouds/index.js';
import type { ObligationHandle } from '../jobs/index.js';
import type { ManifestRef, RepositoryApi } from '../repository/index.js';
import type { VddkConnectionApi, VddkHost } from '../vddk/index.js';
import type { DiskBacking } from '../vsphere/index.js';
import { RestoreError } from './errors.js';
import type { PlannedVm } from './plan-types.js';
import { withWriteAccess, type WriteAccessOptions } from './write-access.js';
import { writeDisk } from './write-disk.js';

export interface RebuildOptions extends WriteAccessOptions {
  repository: RepositoryApi;
  ref: ManifestRef;
  /** Tells this restore's VMs from all others while they are being built. */
  restoreId: string;
  keepIdentity: boolean;
  progress: (key: string, value: { doneBytes: number; totalBytes: number }) => void;
}

export interface RebuiltVm {
  planned: PlannedVm;
  moRef: string;
  instanceUuid: string;
  writtenBytes: number;
  /** Settled when the VM has become part of the restored vApp. */
  debt: ObligationHandle;
}

/** Makes the VM in vSphere as it was captured, with empty disks, and fills them. */
export async function rebuildVm(planned: PlannedVm, options: RebuildOptions): Promise<RebuiltVm> {
  const { vcenter, signal } = options;
  // A name nobody else has: should we die before learning the MoRef, the VM is found by it.
  // The import gives the VM its real name.
  const name = `${planned.wanted.name.slice(0, 40)}-${options.restoreId}`;
  const debt = await owe(options.obligations, 'vsphere.vm', {
    cloudId: options.cloud.cloudId,
    vcenterInstanceUuid: vcenter.instanceUuid,
    folderMoRef: planned.placement.folderMoRef,
    vmName: name,
  });
  const keepIdentity = options.keepIdentity && (await vcenter.findVmByInstanceUuid(planned.manifest.instanceUuid, signal)) === undefined;
  throwIfAborted(signal);
  // Without the signal: once vCenter was asked, the VM comes, and must be known before it can be undone.
  const moRef = await vcenter.createVm(planned.configXml, name, planned.placement, { keepIdentity });
  await debt.amend({ vmMoRef: moRef });
  throwIfAborted(signal);

  const built = await vcenter.readVm(moRef, signal);
  if (planned.nvram !== undefined) await vcenter.uploadFile(nvramPathOf(built.vmPath), planned.nvram, signal, moRef);
  const writtenBytes = planned.disks.length === 0 ? 0 : await writeDisks(planned, moRef, built.disks, options);
  return { planned, moRef, instanceUuid: built.instanceUuid, writtenBytes, debt };
}

async function writeDisks(planned: PlannedVm, moRef: string, built: readonly DiskBacking[], options: RebuildOptions): Promise<number> {
  return withWriteAccess({ moRef, name: planned.manifest.name }, options, async (host, connection) => {
    let writtenBytes = 0;
    for (const disk of planned.disks) {
      writtenBytes += await writeOneDisk(disk, matchDisk(disk, built, planned), host, connection, planned, options);
    }
    return writtenBytes;
  });
}

async function writeOneDisk(
  captured: ManifestDisk,
  backing: DiskBacking,
  host: VddkHost,
  connection: VddkConnectionApi,
  planned: PlannedVm,
  options: RebuildOptions,
): Promise<number> {
  const { signal } = options;
  const reader = await options.repository.openDisk(options.ref, captured, signal);
  const disk = await connection.openDisk(backing.path, {}, signal);
  try {
    if (disk.capacityBytes !== captured.capacityBytes) {
      throw new RestoreError(
        'DISK_MISMATCH',
        `The new ${backing.path} has ${disk.capacityBytes} bytes, the restore point's ${captured.label} of VM "${planned.manifest.name}" has ${captured.capacityBytes}.`,
      );
    }
    const key = `${planned.manifest.name}/${captured.label}`;
    // How much there is to write is known when all pages were read; what was allocated is a close bound.
    const totalBytes = captured.allocatedBytes;
    const writtenBytes = await writeDisk({
      disk,
      reader,
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

/** Same controller bus and unit is the same disk: keys of a new VM are vCenter's to choose. */
function matchDisk(captured: ManifestDisk, built: readonly DiskBacking[], planned: PlannedVm): DiskBacking {
  const found =
    built.find((disk) => disk.deviceKey === captured.deviceKey && disk.capacityBytes === captured.capacityBytes) ??
    built.find((disk) => disk.label === captured.label && disk.capacityBytes === captured.capacityBytes);
  if (found) return found;
  throw new RestoreError(
    'DISK_MISMATCH',
    `The rebuilt VM "${planned.manifest.name}" has no disk for ${captured.label} of the restore point.`,
  );
}

/** Beside the VM's own configuration file, which vCenter named after the VM's first name. */
export function nvramPathOf(vmPath: string): string {
  return vmPath.replace(/\.vmx$/, '.nvram');
}
