import type { DiskBacking } from '../vsphere/index.js';

/** Why a disk cannot be in a restore point; undefined when it can. Source: guide, chapters 4 and 7 (snapshots do not cover these). */
export function excludeReason(disk: Pick<DiskBacking, 'diskMode' | 'backingType' | 'compatibilityMode' | 'sharing'>): string | undefined {
  if (disk.diskMode.startsWith('independent')) return 'it is an independent disk, which no snapshot covers.';
  if (disk.compatibilityMode === 'physicalMode') return 'it is a raw device mapping in physical mode, which no snapshot covers.';
  if (disk.sharing === 'sharingMultiWriter') return 'it is shared between VMs (multi-writer), which no snapshot covers.';
  return undefined;
}
