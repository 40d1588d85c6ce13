import { matchesPattern } from '../common/index.js';
import type { NamedDiskCapture, VmCapture } from '../vcd/index.js';
import type { BackupSettings } from './backup-settings.js';

export type Exclusions = BackupSettings['exclude'];

/** A disk that is a named disk of VCD's too: only its id is sure. */
export type NamedDisk = Pick<NamedDiskCapture, 'id'> & Partial<Pick<NamedDiskCapture, 'name' | 'sharingType'>>;

/** What a disk goes by: a person may name it by any of it. */
export interface DiskNames {
  label: string;
  /** Our own id. */
  diskId: string;
  namedDisk?: NamedDisk;
}

/** The reason the manifest gives for what is left out because somebody wanted it so. */
export const EXCLUDED_BY_REQUEST = 'excluded by request';

/** @param vmId our own id, where it is known already. */
export function isVmExcluded(vm: Pick<VmCapture, 'id' | 'name'>, vmId: string | undefined, exclude: Exclusions): boolean {
  return exclude.vms.some((entry) => namesVm(entry, vm, vmId));
}

/** Why a disk is left out on request; undefined when it is not. */
export function excludedByRequest(
  vm: Pick<VmCapture, 'id' | 'name'>,
  vmId: string,
  disk: DiskNames,
  exclude: Exclusions,
): string | undefined {
  const found = exclude.disks.some((entry) => namesVm(entry.vm, vm, vmId) && namesDisk(entry.disk, disk));
  return found ? EXCLUDED_BY_REQUEST : undefined;
}

function namesVm(entry: string, vm: Pick<VmCapture, 'id' | 'name'>, vmId: string | undefined): boolean {
  return entry === vm.id || (vmId !== undefined && entry === vmId) || matchesPattern(vm.name, entry);
}

function namesDisk(entry: string, { label, diskId, namedDisk }: DiskNames): boolean {
  if (entry === diskId || entry === namedDisk?.id || matchesPattern(label, entry)) return true;
  return namedDisk?.name !== undefined && matchesPattern(namedDisk.name, entry);
}
