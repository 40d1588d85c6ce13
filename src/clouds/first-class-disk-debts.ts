import type { UnpaidDebt } from '../jobs/index.js';
import { type DiskAddress, type FirstClassDisksApi, VsphereError } from '../vsphere/index.js';
import { CloudError } from './errors.js';
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

/**
 * Half of it is what a restore wrote that failed: a backup would keep that, and what is restored now would be thrown away when
 * the disk goes back.
 * @throws CloudError DISK_REVERT_OWED.
 */
export async function assertNoRevertOwed(
  { id: diskId, name }: { id: string; name: string },
  vcenterInstanceUuid: string,
  oldestUnpaid: (terms: Record<string, unknown>) => Promise<UnpaidDebt | undefined>,
): Promise<void> {
  const debt = await oldestUnpaid({ vcenterInstanceUuid, diskId, revert: true });
  if (debt === undefined) return;
  const reason = debt.lastError === null ? '' : ` (last try: ${debt.lastError.replace(/[.\s]+$/, '')})`;
  throw new CloudError(
    'DISK_REVERT_OWED',
    `First class disk "${name}" is half written over by run ${debt.runId} and has still to go back to the snapshot below it${reason}; that is tried again until it succeeds, so start this run again afterwards.`,
    { subject: `first class disk "${name}"`, retryable: true, details: { runId: debt.runId } },
  );
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
