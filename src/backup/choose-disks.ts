import type { ManifestVm } from '../catalog/index.js';
import type { DiskBacking, StorageDevices } from '../vsphere/index.js';
import type { CopyVmOptions } from './copy-vm.js';
import { excludeReason, NVDIMM_REASON } from './exclude-disk.js';
import { excludedByRequest, type NamedDisk } from './exclusions.js';
import type { SnapshottedVm } from './snapshot-vms.js';

/**
 * Left out is what no snapshot covers, with a warning, and what somebody wanted left out, without one.
 * @param namedDiskIds device key -> urn:vcloud:disk:…
 */
export async function chooseDisks(
  vm: SnapshottedVm,
  devices: readonly DiskBacking[],
  { controllers, nvdimms }: StorageDevices,
  namedDiskIds: ReadonlyMap<number, string>,
  options: CopyVmOptions,
): Promise<{ backings: DiskBacking[]; excludedDisks: ManifestVm['excludedDisks'] }> {
  const excludedDisks: ManifestVm['excludedDisks'] = [];
  const leaveOut = (disk: { label: string; path: string }, reason: string, wanted: boolean) => {
    excludedDisks.push({ label: disk.label, path: disk.path, reason });
    if (!wanted) options.warn(`${disk.label} of VM "${vm.captured.name}" is not in this restore point: ${reason}`);
  };
  const backings: DiskBacking[] = [];
  for (const disk of devices) {
    const namedDisk = namedDiskOf(vm, namedDiskIds.get(disk.deviceKey));
    const wish = await wishToExclude(vm, disk, namedDisk, options);
    const reason = wish ?? excludeReason(disk, namedDisk, controllers.get(disk.deviceKey));
    if (reason === undefined) backings.push(disk);
    else leaveOut(disk, reason, wish !== undefined);
  }
  for (const nvdimm of nvdimms) leaveOut(nvdimm, NVDIMM_REASON, false);
  return { backings, excludedDisks };
}

/** The disk in VCD's words, as far as the description of the vApp has them. */
function namedDiskOf(vm: SnapshottedVm, id: string | undefined): NamedDisk | undefined {
  return id === undefined ? undefined : (vm.namedDisks.find((disk) => disk.id === id) ?? { id });
}

async function wishToExclude(
  vm: SnapshottedVm,
  disk: DiskBacking,
  namedDisk: NamedDisk | undefined,
  options: CopyVmOptions,
): Promise<string | undefined> {
  const { exclude } = options.settings;
  if (exclude.disks.length === 0) return undefined;
  const diskId = await options.catalog.identifyDisk(vm.vmId, disk);
  return excludedByRequest(vm.captured, vm.vmId, { label: disk.label, diskId, ...(namedDisk && { namedDisk }) }, exclude);
}
