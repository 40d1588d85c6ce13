import { inParallel } from '../common/index.js';
import type { ManifestVm } from '../catalog/index.js';
import type { RunContext } from '../jobs/index.js';
import type { BackupSession } from '../repository/index.js';
import type { BackupPayload } from './backup-settings.js';
import { copyVm } from './copy-vm.js';
import type { BackupParts } from './parts.js';
import type { SnapshottedVm } from './snapshot-vms.js';

export interface CopyVmsOptions {
  organizationId: string;
  cloudId: string;
  session: BackupSession;
  payload: BackupPayload;
  run: RunContext;
  parts: BackupParts;
  warn: (message: string) => void;
}

/** Copies the disks of all VMs, several VMs at once, up to what an ESXi host gives. */
export async function copyVms(snapshots: readonly SnapshottedVm[], options: CopyVmsOptions): Promise<ManifestVm[]> {
  const { organizationId, payload, run, parts } = options;
  const limit = Math.min(payload.settings.parallelVms, parts.limits.disksPerRun);
  return inParallel(snapshots, limit, run.signal, (vm, signal) =>
    copyVm(vm, {
      cloudId: options.cloudId,
      session: options.session,
      catalog: parts.catalog,
      settings: payload.settings,
      vddk: parts.vddk,
      defaultChunkBytes: parts.repository.defaultChunkBytes,
      openBase: (diskId, base, baseSignal) =>
        parts.repository.openDisk({ organizationId, restorePointId: base.restorePointId }, { diskId, ...base }, baseSignal),
      progress: run.progress,
      warn: options.warn,
      log: run.log,
      signal,
    }),
  );
}
