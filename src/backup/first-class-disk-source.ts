import { firstClassDiskUrn, nounOf } from '../catalog/index.js';
import { usersOf } from '../clouds/index.js';
import type { FirstClassDisk, FirstClassDiskCapture, VsphereClientApi } from '../vsphere/index.js';
import { VsphereError } from '../vsphere/index.js';
import type { BackupSource, BackupWork } from './backup-source.js';
import { copyFirstClassDisk } from './copy-first-class-disk.js';
import { BackupError } from './errors.js';
import { snapshotFirstClassDisk } from './snapshot-first-class-disk.js';

/** A first class disk of today, in its vCenter. */
export interface LocatedDisk {
  vcenter: VsphereClientApi;
  disk: FirstClassDisk;
  datastore: FirstClassDiskCapture['datastore'];
}

/**
 * A first class disk that no VM has: a snapshot of its own, read through a connection of its own (guide, "First Class Disk
 * (FCD) Backup"). VCD has no say in it: neither maintenance mode nor tasks to wait for. One that a VM has is a disk of that VM,
 * and backed up with it.
 */
export function firstClassDiskSource(work: BackupWork): BackupSource<FirstClassDiskCapture> {
  const { vapp, run } = work;
  return {
    noun: nounOf(vapp.kind),
    waitForTasks: async () => {},
    capture: async () => describeDisk(await locateDisk(work), work),
    fingerprint,
    sameData: (one, other) => one.diskId === other.diskId && one.capacityBytes === other.capacityBytes,
    hold: async () => {
      const located = await locateDisk(work);
      await run.step('Check that no VM has the disk', () => assertDetached(located, run.signal));
      const snapshot = await run.step('Snapshot the disk', () => snapshotFirstClassDisk(located, work));
      return {
        frozen: true,
        copy: () => run.step('Copy the disk', () => copyFirstClassDisk(located, snapshot, work)),
        release: () => run.step('Remove the snapshot', () => snapshot.debt.pay()),
      };
    },
  };
}

/** @throws BackupError VAPP_GONE where none of the vCenter's datastores has it. */
async function locateDisk({ vapp, cloud, parts, run }: BackupWork): Promise<LocatedDisk> {
  const known = await parts.catalog.firstClassDisk(vapp.id);
  if (known === undefined) throw gone(vapp.name);
  const vcenter = await cloud.vcenter(known.vcenterInstanceUuid, run.signal);
  const disk = await vcenter.firstClassDisks.find(known.diskId, known.datastoreMoRef, run.signal);
  if (disk === undefined) throw gone(vapp.name);
  const listed = (await vcenter.survey.datastores(run.signal)).find(({ moRef }) => moRef === disk.datastoreMoRef);
  const datastore = { moRef: disk.datastoreMoRef, name: listed?.name ?? '', type: listed?.type ?? 'unknown' };
  return { vcenter, disk, datastore };
}

async function describeDisk(located: LocatedDisk, work: BackupWork): Promise<FirstClassDiskCapture> {
  const { vcenter, disk, datastore } = located;
  const { name, createdAt, path, capacityBytes, provisioning, keepAfterDeleteVm, encrypted, metadata } = disk;
  const storagePolicy = await policyOf(located, work);
  return {
    kind: 'first-class-disk',
    id: firstClassDiskUrn(vcenter.instanceUuid, disk.id),
    diskId: disk.id,
    ...{ name, createdAt, path, capacityBytes, provisioning, keepAfterDeleteVm, encrypted, metadata },
    vcenterInstanceUuid: vcenter.instanceUuid,
    datastore,
    changeTrackingEnabled: disk.changeTrackingEnabled,
    ...(storagePolicy && { storagePolicy }),
  };
}

/** A vCenter without storage policies, or one that knows none of such disks, is no reason against a backup. */
async function policyOf({ vcenter, disk }: LocatedDisk, { run }: BackupWork): Promise<FirstClassDiskCapture['storagePolicy']> {
  try {
    return await vcenter.storagePolicies.ofFirstClassDisk(disk.id, run.signal);
  } catch (error) {
    if (!(error instanceof VsphereError)) throw error;
    run.log.info({ error: error.message }, 'the storage policy of a first class disk is not known');
    return undefined;
  }
}

/** Its path changes with every snapshot, ours included. */
function fingerprint({ path: _path, metadata, ...told }: FirstClassDiskCapture): string {
  return JSON.stringify([told, metadata.map((entry) => JSON.stringify(entry)).sort()]);
}

/** @throws BackupError DISK_ATTACHED. */
async function assertDetached({ vcenter, disk }: LocatedDisk, signal: AbortSignal): Promise<void> {
  const attachments = await vcenter.firstClassDisks.attachments([disk], signal);
  const users = usersOf(disk, attachments.get(disk.id) ?? []);
  if (users.length > 0) throw diskAttached(disk.name, users);
}

export function diskAttached(name: string, users: readonly { vmMoRef: string; vmName: string | null }[]): BackupError {
  const vms = users.map(({ vmMoRef, vmName }) => `VM ${vmName === null ? vmMoRef : `"${vmName}"`}`).join(' and ');
  return new BackupError(
    'DISK_ATTACHED',
    `First class disk "${name}" is attached to ${vms}, so it is backed up with that VM and not by itself; back up the VM, or detach the disk and refresh the cloud.`,
  );
}

function gone(name: string): BackupError {
  return new BackupError(
    'VAPP_GONE',
    `First class disk "${name}" is on no datastore of its vCenter any more, so it cannot be backed up; its restore points remain.`,
  );
}
