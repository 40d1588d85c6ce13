import { accessFirstClassDisk, placeOfFirstClassDisk } from '../clouds/index.js';
import type { DiskBase, ManifestContent, ManifestFirstClassDisk } from '../catalog/index.js';
import { describeError } from '../common/index.js';
import type { VddkDiskApi } from '../vddk/index.js';
import type { VsphereClientApi } from '../vsphere/index.js';
import type { BackupWork, CopiedData } from './backup-source.js';
import { chooseBlocks } from './choose-blocks.js';
import { copyOpenDisk, type DiskCopy } from './copy-open-disk.js';
import type { LocatedDisk } from './first-class-disk-source.js';
import type { DiskSnapshotOfOurs } from './snapshot-first-class-disk.js';

/** It has no controller and no device: where a rule asks for those, they are the same at all times. */
const NO_DEVICE = { deviceKey: 0, controllerKey: 0, unitNumber: 0 } as const;

/** Reads what the snapshot froze: allocated blocks, and of those what changed where that is known. */
export async function copyFirstClassDisk(located: LocatedDisk, snapshot: DiskSnapshotOfOurs, work: BackupWork): Promise<CopiedData> {
  const { vcenter, disk, datastore } = located;
  const { payload, run, parts, warn } = work;
  const { signal, log } = run;
  const startedMs = performance.now();
  const wish = payload.settings.transport;
  const access = await accessFirstClassDisk({
    ...{ disk, vcenter, vddk: parts.vddk, wish, readOnly: true, snapshotId: snapshot.id, warn, log, signal },
  });
  try {
    const open = await access.openDisk(disk.id, { place: placeOfFirstClassDisk(disk, datastore.type) }, signal);
    try {
      const copied = await copyBlocks(open, { ...located, snapshot, memory: access.memory }, work);
      const metadata = await open.metadata(signal);
      const firstClassDisk: ManifestFirstClassDisk = {
        diskId: work.vapp.id,
        label: disk.name,
        path: disk.path,
        uuid: disk.id,
        vcenterInstanceUuid: vcenter.instanceUuid,
        datastore,
        changeId: snapshot.changeId ?? null,
        ...(disk.parentPaths.length > 0 && { parentPaths: disk.parentPaths }),
        transportMode: open.transportMode,
        ...copied,
        durationMs: Math.round(performance.now() - startedMs),
        metadata,
      };
      const at = new Date(snapshot.createdAt).toISOString();
      return { vms: [], firstClassDisk, snapshots: { firstAt: at, lastAt: at, spreadMs: 0 } };
    } finally {
      await open.close();
    }
  } finally {
    await access.close();
  }
}

interface OpenedDisk extends LocatedDisk {
  snapshot: DiskSnapshotOfOurs;
  memory: Buffer;
}

async function copyBlocks(open: VddkDiskApi, opened: OpenedDisk, work: BackupWork): Promise<DiskCopy> {
  const { disk, datastore, snapshot, memory } = opened;
  const { vapp, payload, session, run, parts, warn } = work;
  const { signal } = run;
  const base = await baseOf(work);
  const asked = { vcenter: asVm(opened), vmMoRef: '', snapshotMoRef: snapshot.id, signal };
  const { id: uuid, parentPaths } = disk;
  // vSphere tells its size in whole MiB, rounded down.
  const backing = { ...NO_DEVICE, uuid, capacityBytes: open.capacityBytes, changeId: snapshot.changeId, parentPaths };
  const choice = await chooseBlocks({
    ...asked,
    diskId: vapp.id,
    disk: backing,
    base,
    previous: base && { indexId: base.indexId, changeId: base.changeId, ...NO_DEVICE },
    // The base says it all: where there is none, there was no restore point.
    formerDisks: [],
    hardwareVersion: '',
    trackingSupported: true,
    trackingEnabled: snapshot.trackingEnabled,
    forceFull: payload.settings.forceFull,
  });
  const name = `first class disk "${disk.name}"`;
  const allocation = { ...asked, backing };
  return copyOpenDisk(
    { diskId: vapp.id, disk: open, choice, allocation, name, datastoreType: datastore.type, memory, progressKey: disk.name },
    {
      session,
      vddk: parts.vddk,
      defaultChunkBytes: parts.repository.defaultChunkBytes,
      openBase: (diskId, { restorePointId, ...index }, baseSignal) =>
        parts.repository.openDisk({ organizationId: vapp.organizationId, restorePointId }, { diskId, ...index }, baseSignal),
      progress: run.progress,
      warn,
      signal,
    },
  );
}

/** The rules of which blocks are copied are the same as for a VM's disk; who is asked is another. */
function asVm({ vcenter, disk }: LocatedDisk): Pick<VsphereClientApi, 'queryChangedAreas'> {
  return {
    queryChangedAreas: (_vmMoRef, snapshotId = '', { capacityBytes }, changeId, signal) =>
      vcenter.firstClassDisks.queryChangedAreas({ ...disk, capacityBytes }, snapshotId, changeId, signal),
  };
}

/** What the newest restore point says of the disk: the manifest is the truth, and no row has a disk that no VM has. */
async function baseOf({ vapp, parts, run, warn }: BackupWork): Promise<DiskBase | undefined> {
  const restorePointId = await parts.catalog.latestRestorePoint(vapp.id, vapp.organizationId);
  if (restorePointId === undefined) return undefined;
  try {
    const manifest = await parts.repository.readManifest({ organizationId: vapp.organizationId, restorePointId }, run.signal);
    const { firstClassDisk } = manifest.content as ManifestContent;
    if (firstClassDisk === undefined) return undefined;
    const { indexId, chunkBytes, capacityBytes, changeId, uuid } = firstClassDisk;
    return { restorePointId, indexId, chunkBytes, capacityBytes, changeId: changeId ?? '', diskUuid: uuid };
  } catch (error) {
    if (run.signal.aborted) throw error;
    warn(`Restore point ${restorePointId} cannot be read, so the disk is copied in full: ${describeError(error)}`);
    return undefined;
  }
}
