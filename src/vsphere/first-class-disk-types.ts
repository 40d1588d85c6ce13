import type { Extent } from '../disk/index.js';

/** Where a first class disk is: its id means something on its datastore only. */
export interface DiskAddress {
  /** UUID; it stays when the disk is moved or snapshotted. */
  id: string;
  datastoreMoRef: string;
  /** For sentences. */
  name?: string;
}

/** BaseConfigInfoDiskFileBackingInfoProvisioningType */
export const PROVISIONINGS = ['thin', 'lazyZeroedThick', 'eagerZeroedThick'] as const;
export type DiskProvisioning = (typeof PROVISIONINGS)[number];

/** A virtual disk with a name and a life of its own, without a VM: VStorageObject, "improved virtual disk". */
export interface FirstClassDisk extends Required<DiskAddress> {
  createdAt: string;
  /** "[datastore] fcd/….vmdk", the top of its chain. */
  path: string;
  /** What it is a delta over, nearest first: its snapshots. */
  parentPaths: string[];
  capacityBytes: number;
  provisioning: DiskProvisioning;
  /** Off by default (guide, "Behavior of FCD With Changed Block Tracking"). */
  changeTrackingEnabled: boolean;
  /** Whether it stays when a VM that has it is deleted. */
  keepAfterDeleteVm: boolean;
  encrypted: boolean;
  /** Told by vSphere 7.0.2 and later. */
  metadata: { key: string; value: string }[];
  /** Who uses it: VMs, or whatever else registered itself. */
  consumerIds: string[];
}

/** Everything a restore needs of a first class disk beside its bytes, as a restore point keeps it. */
export interface FirstClassDiskCapture
  extends Pick<
    FirstClassDisk,
    'name' | 'createdAt' | 'path' | 'capacityBytes' | 'provisioning' | 'keepAfterDeleteVm' | 'encrypted' | 'metadata'
  > {
  kind: 'first-class-disk';
  /** What the catalog knows it by. */
  id: string;
  /** vSphere's UUID of it. */
  diskId: string;
  vcenterInstanceUuid: string;
  datastore: { moRef: string; name: string; type: string };
  changeTrackingEnabled: boolean;
  /** Absent where it has none, or vCenter does not tell. */
  storagePolicy?: { id: string; name: string };
}

export interface DiskAttachment {
  /** MoRef of the VM. */
  vmId: string;
  /** Undefined where it went meanwhile. */
  vmName: string | undefined;
  deviceKey: number;
}

export interface DiskSnapshot {
  id: string;
  description: string;
  createdAt: string;
}

export interface NewFirstClassDisk {
  name: string;
  datastoreMoRef: string;
  /** vSphere counts them in MiB. */
  capacityMib: number;
  provisioning: DiskProvisioning;
  keepAfterDeleteVm: boolean;
  policyId: string | undefined;
  metadata: readonly { key: string; value: string }[];
}

/** VslmVStorageObjectControlFlag */
export type FirstClassDiskFlag = 'keepAfterDeleteVm' | 'enableChangedBlockTracking';

/** Every failure is a VsphereError; NOT_FOUND where the disk is not on that datastore. */
export interface FirstClassDisksApi {
  /** Whether the server has them at all: vSphere 6.5 and later. */
  readonly available: boolean;
  /** Ids of those of one datastore (guide, "Discovering FCDs for Backup"). */
  list(datastoreMoRef: string, signal?: AbortSignal): Promise<string[]>;
  read(at: DiskAddress, signal?: AbortSignal): Promise<FirstClassDisk>;
  /** On the datastore it was last, else on all of the vCenter that can be reached. */
  find(id: string, hintDatastoreMoRef?: string, signal?: AbortSignal): Promise<FirstClassDisk | undefined>;
  /** By id; disks that no VM has may be absent. */
  attachments(disks: readonly DiskAddress[], signal?: AbortSignal): Promise<Map<string, DiskAttachment[]>>;
  createSnapshot(at: DiskAddress, description: string, timeoutMs: number, signal?: AbortSignal): Promise<DiskSnapshot>;
  /** Oldest first. */
  snapshots(at: DiskAddress, signal?: AbortSignal): Promise<DiskSnapshot[]>;
  /** Undefined where the disk is not tracked. */
  snapshotChangeId(at: DiskAddress, snapshotId: string, signal?: AbortSignal): Promise<string | undefined>;
  /** Absent is success. */
  removeSnapshot(at: DiskAddress, snapshotId: string, signal?: AbortSignal): Promise<void>;
  /** Throws away what was written since, and every snapshot taken since. Only of a disk that no VM has. */
  revert(at: DiskAddress, snapshotId: string, signal?: AbortSignal): Promise<void>;
  /** @throws VsphereError CHANGE_TRACKING_LOST when vSphere cannot answer for this change id. */
  queryChangedAreas(
    disk: DiskAddress & { capacityBytes: number },
    snapshotId: string,
    changeId: string,
    signal?: AbortSignal,
  ): Promise<Extent[]>;
  /** Empty. */
  create(wanted: NewFirstClassDisk, signal?: AbortSignal): Promise<FirstClassDisk>;
  rename(at: DiskAddress, name: string, signal?: AbortSignal): Promise<void>;
  setFlag(at: DiskAddress, flag: FirstClassDiskFlag, on: boolean, signal?: AbortSignal): Promise<void>;
  /** Needs vSphere 7.0.2. */
  writeMetadata(at: DiskAddress, entries: FirstClassDisk['metadata'], deleteKeys: readonly string[], signal?: AbortSignal): Promise<void>;
  /** With its files; absent is success. */
  remove(at: DiskAddress, signal?: AbortSignal): Promise<void>;
  /**
   * Waits until no task of first class disks is under way on a datastore any more, however it ends: what somebody started and did
   * not wait for shows only afterwards.
   */
  letTasksEnd(datastoreMoRef: string, timeoutMs: number, signal?: AbortSignal): Promise<void>;
}
