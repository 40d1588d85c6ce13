import type { ManifestContent, ManifestVm, RestorePointRow } from '../catalog/index.js';

/** The catalog's view of a manifest; also what a catalog rebuild writes. */
export function restorePointRow(id: string, createdAt: string, content: ManifestContent): RestorePointRow {
  const disks = content.vms.flatMap((vm) => vm.disks);
  const sum = (pick: (disk: ManifestVm['disks'][number]) => number) => disks.reduce((total, disk) => total + pick(disk), 0);
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
    capacityBytes: sum((disk) => disk.capacityBytes),
    readBytes: sum((disk) => disk.readBytes),
    newBytes: sum((disk) => disk.newBytes),
    storedBytes: sum((disk) => disk.storedBytes),
    warnings: content.warnings,
    vms: content.vms.map((vm) => ({
      vmId: vm.vmId,
      name: vm.name,
      disks: vm.disks.map(
        ({ path: _path, diskMode: _mode, thin: _thin, controllerKey: _controller, unitNumber: _unit, metadata: _metadata, ...disk }) =>
          disk,
      ),
    })),
  };
}
