import { assertNoRevertOwed, owe } from '../clouds/index.js';
import { throwIfAborted } from '../common/index.js';
import type { ObligationHandle } from '../jobs/index.js';
import type { BackupWork } from './backup-source.js';
import type { LocatedDisk } from './first-class-disk-source.js';
import { SNAPSHOT_NAME_PREFIX } from './ready-vm.js';

export interface DiskSnapshotOfOurs {
  id: string;
  createdAt: string;
  /** Whether the disk was tracked when it was taken. */
  trackingEnabled: boolean;
  /** What the disk's writes are counted from; undefined where it is not tracked. */
  changeId: string | undefined;
  /** Paid by removing it. */
  debt: ObligationHandle;
}

/**
 * Our leftovers gone, change tracking on where that was asked for, then the snapshot. A snapshot of a first class disk has an
 * id and a description and no name: the description is unique, because the id is not known before it is made.
 * @throws CloudError DISK_REVERT_OWED.
 */
export async function snapshotFirstClassDisk(located: LocatedDisk, work: BackupWork): Promise<DiskSnapshotOfOurs> {
  const { vcenter, disk } = located;
  const { cloud, payload, run, parts } = work;
  const { firstClassDisks } = vcenter;
  await assertNoRevertOwed(disk, vcenter.instanceUuid, (terms) => parts.debts.oldestUnpaid(terms));
  await removeLeftovers(located, work);
  if (payload.settings.trackFirstClassDisks && !disk.changeTrackingEnabled)
    await firstClassDisks.setFlag(disk, 'enableChangedBlockTracking', true, run.signal);
  const description = `${SNAPSHOT_NAME_PREFIX}${payload.restorePointId}`;
  const debt = await owe(run.obligations, 'vsphere.disk-snapshot', {
    cloudId: cloud.cloudId,
    vcenterInstanceUuid: vcenter.instanceUuid,
    datastoreMoRef: disk.datastoreMoRef,
    diskId: disk.id,
    diskName: disk.name,
    description,
  });
  throwIfAborted(run.signal);
  // Without the signal: once vCenter was asked, the snapshot comes, and the clean-up of a cancelled run that did not wait for it
  // would look for it too early and find nothing to remove.
  const { id, createdAt } = await firstClassDisks.createSnapshot(disk, description, payload.settings.snapshotTimeoutMinutes * 60_000);
  throwIfAborted(run.signal);
  const changeId = await firstClassDisks.snapshotChangeId(disk, id, run.signal);
  const { changeTrackingEnabled: trackingEnabled } = await firstClassDisks.read(disk, run.signal);
  return { id, createdAt, trackingEnabled, changeId, debt };
}

/** Ours by their description, and nobody's debt: it may still be reverted to. Others' are left alone: the disk is read through them. */
async function removeLeftovers({ vcenter, disk }: LocatedDisk, { run, parts }: BackupWork): Promise<void> {
  for (const { id, description } of await vcenter.firstClassDisks.snapshots(disk, run.signal)) {
    if (!description.startsWith(SNAPSHOT_NAME_PREFIX)) continue;
    if ((await parts.debts.oldestOpen({ description })) !== undefined) continue;
    run.log.info({ disk: disk.name, snapshot: description }, 'removing a snapshot an earlier run left behind');
    await vcenter.firstClassDisks.removeSnapshot(disk, id, run.signal);
  }
}
