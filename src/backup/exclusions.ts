import { matchesPattern } from '../common/index.js';
import type { VmCapture } from '../vcd/index.js';
import type { DiskBacking } from '../vsphere/index.js';
import type { BackupSettings } from './backup-settings.js';

export type Exclusions = BackupSettings['exclude'];

/** The reason the manifest gives for what is left out because somebody wanted it so. */
export const EXCLUDED_BY_REQUEST = 'excluded by request';

/** @param vmId our own id, where it is known already. */
export function isVmExcluded(vm: Pick<VmCapture, 'id' | 'name'>, vmId: string | undefined, exclude: Exclusions): boolean {
  return exclude.vms.some((entry) => namesVm(entry, vm, vmId));
}

/** Why a disk is left out on request; undefined when it is not. @param diskId our own id of the disk */
export function excludedByRequest(
  vm: Pick<VmCapture, 'id' | 'name'>,
  vmId: string,
  disk: Pick<DiskBacking, 'label'>,
  diskId: string,
  exclude: Exclusions,
): string | undefined {
  const found = exclude.disks.some(
    (entry) => namesVm(entry.vm, vm, vmId) && (entry.disk === diskId || matchesPattern(disk.label, entry.disk)),
  );
  return found ? EXCLUDED_BY_REQUEST : undefined;
}

function namesVm(entry: string, vm: Pick<VmCapture, 'id' | 'name'>, vmId: string | undefined): boolean {
  return entry === vm.id || (vmId !== undefined && entry === vmId) || matchesPattern(vm.name, entry);
}
