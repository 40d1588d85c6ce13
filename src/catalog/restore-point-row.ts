import type { ManifestContent } from './manifest-content.js';
import type { RestorePointRow } from './types.js';

/** The catalog's view of a manifest: of one just written, of one whose writer was lost, and of one whose row was. */
export function restorePointRow(id: string, createdAt: string, content: ManifestContent): RestorePointRow {
  const { medium, firstClassDisk } = content;
  const disks = [...content.vms.flatMap((vm) => vm.disks), ...(firstClassDisk ? [firstClassDisk] : [])];
  // A medium's bytes are no disk of a VM, and as large as the medium: what fills its last sector is ours.
  const stored = [...disks, ...(medium ? [{ ...medium, capacityBytes: medium.sizeBytes }] : [])];
  const sum = (pick: (part: (typeof stored)[number]) => number) => stored.reduce((total, part) => total + pick(part), 0);
  return {
    id,
    organizationId: content.organization.id,
    cloudId: content.cloud.id,
    vappId: content.vapp.id,
    vappName: content.vapp.name,
    sourceKind: content.sourceKind ?? 'vapp',
    createdAt,
    kind: content.kind,
    runId: content.runId,
    vmCount: content.vms.length,
    capacityBytes: sum((part) => part.capacityBytes),
    readBytes: sum((part) => part.readBytes),
    newBytes: sum((part) => part.newBytes),
    storedBytes: sum((part) => part.storedBytes),
    warnings: content.warnings,
    complete: content.complete ?? true,
    lockedUntil: content.lockedUntil ?? null,
    // With more than the catalog keeps of a disk: it takes field by field what it does.
    vms: content.vms.map(({ vmId, name, disks: ofVm }) => ({ vmId, name, disks: ofVm })),
  };
}
