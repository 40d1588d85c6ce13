import { type DiskAddress, type FirstClassDisksApi, VsphereError } from '../vsphere/index.js';
import type { ObligationTerms } from './obligations.js';

type Outcome = 'undone' | undefined;

/** Removes the snapshot that a run took of a first class disk, wherever the disk is by now; reverts to it first where that is owed. */
export async function undoDiskSnapshot(
  terms: ObligationTerms['vsphere.disk-snapshot'],
  disks: FirstClassDisksApi,
  tasksTimeoutMs: number,
  signal: AbortSignal,
): Promise<Outcome> {
  // Whoever died may have asked for it and not seen it made.
  await disks.letTasksEnd(terms.datastoreMoRef, tasksTimeoutMs, signal);
  const disk = await disks.find(terms.diskId, terms.datastoreMoRef, signal);
  if (disk === undefined) return undefined;
  const ours = (await disks.snapshots(disk, signal)).filter(({ description }) => description === terms.description);
  for (const { id } of ours) {
    if (terms.revert === true) await disks.revert(disk, id, signal);
    await disks.removeSnapshot(disk, id, signal);
  }
  return ours.length > 0 ? 'undone' : undefined;
}

/** Deletes the first class disk that a run was making. By its id where that is known: its name changes before the end. */
export async function undoDisk(
  { datastoreMoRef, diskId, diskName }: ObligationTerms['vsphere.disk'],
  disks: FirstClassDisksApi,
  tasksTimeoutMs: number,
  signal: AbortSignal,
): Promise<Outcome> {
  await disks.letTasksEnd(datastoreMoRef, tasksTimeoutMs, signal);
  const found =
    diskId === undefined ? await byName(disks, datastoreMoRef, diskName, signal) : await disks.find(diskId, datastoreMoRef, signal);
  if (found === undefined) return undefined;
  await disks.remove(found, signal);
  return 'undone';
}

/** The name is unique: it was made up for this disk. */
async function byName(
  disks: FirstClassDisksApi,
  datastoreMoRef: string,
  name: string,
  signal: AbortSignal,
): Promise<DiskAddress | undefined> {
  for (const id of await disks.list(datastoreMoRef, signal)) {
    try {
      const disk = await disks.read({ id, datastoreMoRef }, signal);
      if (disk.name === name) return disk;
    } catch (error) {
      if (!(error instanceof VsphereError && error.code === 'NOT_FOUND')) throw error;
    }
  }
  return undefined;
}
