import type { FirstClassDiskListing, FirstClassDiskRecord } from '../catalog/index.js';
import { describeError, inParallel, type Logger } from '../common/index.js';
import type { DatastoreListing, DiskAddress, DiskAttachment, FirstClassDisk, VsphereClientApi } from '../vsphere/index.js';
import { VsphereError } from '../vsphere/index.js';

/** Disks read at once: vCenter has no call that reads several. */
const PARALLEL_READS = 8;

type Vcenter = Pick<VsphereClientApi, 'instanceUuid' | 'firstClassDisks' | 'survey'>;

/**
 * The first class disks of one vCenter: "iterate across the list of datastores from vCenter, get the FCDs for each datastore"
 * (guide, "Discovering FCDs for Backup"). Undefined where the vCenter has no manager of them.
 * @throws VsphereError where no datastore could be asked for.
 */
export async function listFirstClassDisks(vcenter: Vcenter, log: Logger, signal?: AbortSignal): Promise<FirstClassDiskListing | undefined> {
  if (!vcenter.firstClassDisks.available) return undefined;
  const listing: FirstClassDiskListing = { vcenterInstanceUuid: vcenter.instanceUuid, disks: [], unlistedDatastores: [] };
  for (const datastore of await vcenter.survey.datastores(signal)) {
    const found = datastore.accessible ? await listDatastore(vcenter, datastore, log, signal) : undefined;
    if (found === undefined) listing.unlistedDatastores.push(datastore.moRef);
    else listing.disks.push(...found);
  }
  return listing;
}

/** Undefined where it cannot be listed: an NFS share that hangs must not hide the disks of all others. */
async function listDatastore(
  vcenter: Vcenter,
  datastore: DatastoreListing,
  log: Logger,
  signal?: AbortSignal,
): Promise<FirstClassDiskRecord[] | undefined> {
  const { firstClassDisks } = vcenter;
  try {
    const ids = await firstClassDisks.list(datastore.moRef, signal);
    const addresses = ids.map((id): DiskAddress => ({ id, datastoreMoRef: datastore.moRef }));
    const disks = await inParallel(addresses, PARALLEL_READS, signal ?? new AbortController().signal, (at, either) =>
      readUnlessGone(vcenter, at, either),
    );
    const there = disks.filter((disk) => disk !== undefined);
    const attachments = there.length === 0 ? new Map<string, DiskAttachment[]>() : await firstClassDisks.attachments(there, signal);
    return there.map((disk) => firstClassDiskRecord(disk, datastore.name, attachments.get(disk.id) ?? []));
  } catch (error) {
    if (signal?.aborted) throw error;
    log.warn({ error: describeError(error), datastore: datastore.name }, 'the first class disks of a datastore cannot be listed');
    return undefined;
  }
}

async function readUnlessGone(vcenter: Vcenter, at: DiskAddress, signal: AbortSignal): Promise<FirstClassDisk | undefined> {
  try {
    return await vcenter.firstClassDisks.read(at, signal);
  } catch (error) {
    if (error instanceof VsphereError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

/** As the catalog keeps it. @param attachments those of this disk */
export function firstClassDiskRecord(
  disk: FirstClassDisk,
  datastoreName: string,
  attachments: readonly DiskAttachment[],
): FirstClassDiskRecord {
  const { id: diskId, name, datastoreMoRef, path, provisioning, changeTrackingEnabled: changeTracking, capacityBytes: sizeBytes } = disk;
  const place = { datastoreMoRef, datastoreName, path, provisioning };
  const attachedTo = usersOf(disk, attachments);
  return { diskId, name, ...place, changeTracking, sizeBytes, attachedTo };
}

/** A consumer that no VM's device explains counts as well: whoever uses the disk has it open. */
export function usersOf({ consumerIds }: Pick<FirstClassDisk, 'consumerIds'>, attachments: readonly DiskAttachment[]) {
  const users = attachments.map(({ vmId, vmName }) => ({ vmMoRef: vmId, vmName: vmName ?? null }));
  return users.length > 0 ? users : consumerIds.map((id) => ({ vmMoRef: id, vmName: null }));
}
