import { throwIfAborted } from '../common/index.js';
import type { ManifestDisk } from '../catalog/index.js';
import { owe } from '../clouds/index.js';
import type { ObligationHandle } from '../jobs/index.js';
import { type DiskBacking, diskPlaces, tracksChanges, type VmConfiguration, VsphereError } from '../vsphere/index.js';
import { RestoreError } from './errors.js';
import { fillDisk, type FillOptions } from './fill-disk.js';
import type { PlannedVm } from './plan-types.js';
import { putNvram } from './put-nvram.js';
import { withWriteAccess, type WriteAccessOptions } from './write-access.js';

export interface RebuildOptions extends WriteAccessOptions, Omit<FillOptions, 'vddk' | 'signal'> {
  /** Tells this restore's VMs from all others while they are being built. */
  restoreId: string;
  keepIdentity: boolean;
}

export interface RebuiltVm {
  planned: PlannedVm;
  moRef: string;
  instanceUuid: string;
  writtenBytes: number;
  /** Settled when the VM has become part of the restored vApp. */
  debt: ObligationHandle;
  /** Of its named disks, which are made when VCD has the VM; settled with it. */
  diskDebts: ObligationHandle[];
}

/** All that is settled when the VM is the tenant's. */
export function debtsOf({ debt, diskDebts }: RebuiltVm): ObligationHandle[] {
  return [debt, ...diskDebts];
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
  const { configXml, placement, withoutDisks, made } = planned;
  const onOmitted = (what: string) => options.warn(`VM "${planned.wanted.name}" comes back without ${what}.`);
  const moRef = await vcenter.createVm(configXml, name, placement, { keepIdentity, withoutDisks, ...made, onOmitted });
  await debt.amend({ vmMoRef: moRef });
  throwIfAborted(signal);

  const built = await vcenter.readVm(moRef, signal);
  const { wanted, nvram } = planned;
  if (nvram !== undefined) await putNvram(nvram, { vm: built, name: wanted.name, vcenter, warn: options.warn, signal });
  const writtenBytes = planned.disks.length === 0 ? 0 : await writeDisks(planned, moRef, built, options);
  // The writing of named disks is still to come.
  if (planned.namedDisks.length === 0) await trackAgain({ planned, moRef }, options);
  return { planned, moRef, instanceUuid: built.instanceUuid, writtenBytes, debt, diskDebts: [] };
}

/** A new VM is made without change tracking, which is off while whole disks are written (guide, "General Backup and Restore"). */
export async function trackAgain(
  { planned, moRef }: Pick<RebuiltVm, 'planned' | 'moRef'>,
  { vcenter, warn, signal }: Pick<RebuildOptions, 'vcenter' | 'warn' | 'signal'>,
): Promise<void> {
  if (!tracksChanges(planned.configXml)) return;
  try {
    await vcenter.enableChangeTracking(moRef, signal);
  } catch (error) {
    if (!(error instanceof VsphereError && error.code === 'CHANGE_TRACKING_UNSUPPORTED')) throw error;
    warn(error.message);
  }
}

async function writeDisks(planned: PlannedVm, moRef: string, built: VmConfiguration, options: RebuildOptions): Promise<number> {
  const { name } = planned.manifest;
  const places = { captured: diskPlaces(planned.configXml), built: diskPlaces(built.configXml) };
  return withWriteAccess({ moRef, name }, options, async (host, connection) => {
    let writtenBytes = 0;
    for (const disk of planned.disks) {
      const { path } = matchDisk(disk, built.disks, places, name);
      writtenBytes += await fillDisk(disk, { path, vmName: name, isEmpty: true }, host, connection, options);
    }
    return writtenBytes;
  });
}

/** Same controller bus and unit is the same disk: keys of a new VM are vCenter's to choose. */
function matchDisk(
  captured: ManifestDisk,
  built: readonly DiskBacking[],
  places: { captured: ReadonlyMap<number, string>; built: ReadonlyMap<number, string> },
  vmName: string,
): DiskBacking {
  const place = places.captured.get(captured.deviceKey);
  const found = built.find((disk) => place !== undefined && places.built.get(disk.deviceKey) === place);
  if (found?.capacityBytes === captured.capacityBytes) return found;
  throw new RestoreError('DISK_MISMATCH', `The rebuilt VM "${vmName}" has no disk for ${captured.label} of the restore point.`);
}
