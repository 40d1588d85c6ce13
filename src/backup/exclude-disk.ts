import type { DiskBacking, DiskController } from '../vsphere/index.js';
import type { NamedDisk } from './exclusions.js';

export const NVDIMM_REASON = 'it is persistent memory (NVDIMM), which VDDK does not read.';

/**
 * Why a disk cannot be in a restore point; undefined when it can. Source: guide, chapters 4 and 7 (snapshots do not cover
 * these). What a guest reaches over iSCSI by itself is no device of the VM, and nobody sees it.
 */
export function excludeReason(
  disk: Pick<DiskBacking, 'diskMode' | 'backingType' | 'compatibilityMode' | 'sharing'>,
  namedDisk?: NamedDisk,
  controller?: Pick<DiskController, 'sharedBus'>,
): string | undefined {
  const { name, sharingType = 'None' } = namedDisk ?? {};
  // VCD's DiskSharing is vSphere's multi-writer; ControllerSharing is bus sharing, which the disk's own backing does not tell.
  if (sharingType !== 'None') {
    return `it is the named disk "${name}", which several VMs share (${sharingType}), and no snapshot covers a shared disk.`;
  }
  if (disk.diskMode.startsWith('independent')) return 'it is an independent disk, which no snapshot covers.';
  if (disk.compatibilityMode === 'physicalMode') return 'it is a raw device mapping in physical mode, which no snapshot covers.';
  if (disk.sharing === 'sharingMultiWriter') return 'it is shared between VMs (multi-writer), which no snapshot covers.';
  const { sharedBus = 'noSharing' } = controller ?? {};
  if (sharedBus !== 'noSharing') return `it is on a controller that VMs share (${sharedBus}), and no snapshot covers such a bus.`;
  return undefined;
}
