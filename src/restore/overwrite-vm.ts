import type { CatalogApi } from '../catalog/index.js';
import type { ManifestRef, RepositoryApi } from '../repository/index.js';
import { RestoreError } from './errors.js';
import { halfWrittenVm, writtenOverVm } from './half-written.js';
import { decideBlocks, type DiskToOverwrite, overwriteDisk, type OverwrittenDisk } from './overwrite-disk.js';
import { withoutTracking } from './pause-tracking.js';
import type { PlannedVm } from './plan-types.js';
import { putNvram } from './put-nvram.js';
import { assertRoomToGrow } from './room-to-grow.js';
import { withWriteAccess, type WriteAccessOptions } from './write-access.js';

export interface OverwriteOptions extends WriteAccessOptions {
  repository: RepositoryApi;
  ref: ManifestRef;
  catalog: Pick<CatalogApi, 'identifyDisk' | 'markHalfWritten'>;
  runId: string;
  progress: (key: string, value: { doneBytes: number; totalBytes: number }) => void;
}

/**
 * Writes the disks of the restore point over those of a VM that is off: only blocks that changed since, where
 * change tracking can tell.
 * @returns what was done to each disk.
 * @throws RestoreError DISK_MISMATCH, VM_RUNNING; what vSphere, VDDK, the repository and the catalog throw; `warn` says so when the VM is half written then.
 */
export async function overwriteVm(planned: PlannedVm, options: OverwriteOptions): Promise<OverwrittenDisk[]> {
  const { vcenter, signal } = options;
  const moRef = planned.existing?.moRef ?? '';
  const name = planned.wanted.name;
  // Snapshots stand on the disks that are written: the plan let nobody come here without the word to remove them.
  for (const snapshot of await vcenter.listSnapshots(moRef, signal)) await vcenter.removeSnapshot(moRef, snapshot.moRef, signal);
  const present = await vcenter.readVm(moRef, signal);
  if (present.powerState !== 'poweredOff') {
    throw new RestoreError(
      'VM_RUNNING',
      `VM "${name}" is ${present.powerState} and cannot be written over; power it off and restore again.`,
    );
  }
  const disks: DiskToOverwrite[] = [];
  for (const disk of planned.disks) disks.push(await decideBlocks(disk, present, name, vcenter, signal));
  let begun = false;
  // Told in the database before the first byte: should this process die, nobody else knows of it.
  const mark = async ({ backing }: DiskToOverwrite, sentence: string) => {
    const diskId = await options.catalog.identifyDisk(planned.manifest.vmId, backing);
    await options.catalog.markHalfWritten(diskId, options.runId, sentence);
  };
  const onBegin = async (disk: DiskToOverwrite) => {
    await mark(disk, halfWrittenVm(name));
    begun = true;
  };
  const write = () =>
    withWriteAccess({ moRef, name }, options, async (host, connection) => {
      const growing = disks.map(({ captured, backing: { path, thin }, blocks }) => ({
        ...{ captured, path, thin },
        changed: blocks.kind === 'changed' ? blocks.changed : undefined,
      }));
      await assertRoomToGrow(growing, connection, { ...options, vm: { ...present, name } });
      const written: OverwrittenDisk[] = [];
      for (const disk of disks) written.push(await overwriteDisk(disk, name, host, connection, { ...options, onBegin }));
      if (planned.nvram !== undefined) await putNvram(planned.nvram, { vm: present, name, vcenter, warn: options.warn, signal });
      return written;
    });
  try {
    // What SAN writes, `withWriteAccess` writes untracked. Otherwise tracking stays on where only changes are written, and records
    // them: the chain of backups goes on.
    const whole = disks.some(({ blocks }) => blocks.kind === 'whole');
    const written = whole ? await withoutTracking(present, options, write) : await write();
    for (const disk of disks) await mark(disk, writtenOverVm(name));
    return written;
  } catch (error) {
    // Only then: a VM that could not be opened is as it was.
    if (begun) options.warn(halfWrittenVm(name));
    throw error;
  }
}
