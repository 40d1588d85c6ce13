import { describeError } from '../common/index.js';
import type { ManifestContent } from '../catalog/index.js';
import type { BackupWork } from './backup-source.js';
import { type CopiedVms, copyOrLeave } from './copy-or-leave.js';
import { copyVm } from './copy-vm.js';
import type { SnapshottedVm } from './snapshot-vms.js';

/** Copies the disks of all VMs, several VMs at once, up to what an ESXi host gives. */
export async function copyVms(snapshots: readonly SnapshottedVm[], work: BackupWork): Promise<CopiedVms> {
  const { vapp, session, payload, run, parts, warn } = work;
  const manifests = new Map<string, Promise<ManifestContent | undefined>>();
  const contentOf = (restorePointId: string, signal: AbortSignal) => {
    const known = manifests.get(restorePointId) ?? readContent(restorePointId, work, signal);
    manifests.set(restorePointId, known);
    return known;
  };
  const limit = Math.min(payload.settings.parallelVms, parts.limits.disksPerRun);
  const copy = (vm: SnapshottedVm, signal: AbortSignal) =>
    copyVm(vm, {
      session,
      catalog: parts.catalog,
      settings: payload.settings,
      vddk: parts.vddk,
      defaultChunkBytes: parts.repository.defaultChunkBytes,
      openBase: (diskId, base, baseSignal) =>
        parts.repository.openDisk(
          { organizationId: vapp.organizationId, restorePointId: base.restorePointId },
          { diskId, ...base },
          baseSignal,
        ),
      previousDisk: async (diskId, base, manifestSignal) => {
        const content = await contentOf(base.restorePointId, manifestSignal);
        return content?.vms.flatMap((each) => each.disks).find((disk) => disk.diskId === diskId);
      },
      progress: run.progress,
      expect: run.expect,
      warn,
      log: run.log,
      signal,
    });
  // Which disks they have is known when their turn comes.
  for (const { captured } of snapshots) run.expect(captured.name);
  const onLeft = (vmName: string) => run.expect(vmName, []);
  return copyOrLeave(snapshots, copy, { limit, settings: payload.settings, warn, onLeft, signal: run.signal });
}

/** A restore point that cannot be read is no base: its disks are copied in full, and once is said why. */
async function readContent(restorePointId: string, work: BackupWork, signal: AbortSignal): Promise<ManifestContent | undefined> {
  const { vapp, parts, warn } = work;
  try {
    const manifest = await parts.repository.readManifest({ organizationId: vapp.organizationId, restorePointId }, signal);
    return manifest.content as ManifestContent;
  } catch (error) {
    if (signal.aborted) throw error;
    warn(`Restore point ${restorePointId} cannot be read, so its disks are copied in full: ${describeError(error)}`);
    return undefined;
  }
}
