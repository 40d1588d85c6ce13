import type { CloudResourceKind } from '../vcd/index.js';
import type { SourceKind } from './manifest-content.js';

/** A restore point as the catalog shows it. The manifest in the repository is the truth; this row follows it. */
export interface RestorePointRow {
  id: string;
  organizationId: string;
  cloudId: string;
  vappId: string;
  vappName: string;
  sourceKind: SourceKind;
  createdAt: string;
  kind: 'full' | 'incremental';
  runId: string;
  vmCount: number;
  capacityBytes: number;
  readBytes: number;
  newBytes: number;
  storedBytes: number;
  warnings: string[];
  /** False where a VM that was to be backed up is not in it. Absent: true. */
  complete?: boolean;
  /** Until then nobody can delete it. */
  lockedUntil?: string | null;
  /** Since when it is known to be at the repository's second site; null while it is not. */
  copiedAt?: string | null;
  vms: { vmId: string; name: string; disks: DiskPointRow[] }[];
}

export interface DiskPointRow {
  diskId: string;
  label: string;
  deviceKey: number;
  /** VirtualDisk backing uuid when it was copied; null where vSphere has none. DiskBase.diskUuid is this value ('' for null). */
  uuid: string | null;
  capacityBytes: number;
  allocatedBytes: number;
  changedBytes: number;
  readBytes: number;
  newBytes: number;
  storedBytes: number;
  durationMs: number;
  kind: 'full' | 'incremental';
  fullReason: string | null;
  transportMode: string;
  changeId: string | null;
  indexId: string;
  chunkBytes: number;
}

/** Where an incremental copy of a disk may start from. */
export interface DiskBase {
  restorePointId: string;
  indexId: string;
  chunkBytes: number;
  capacityBytes: number;
  changeId: string;
  diskUuid: string;
}

export interface CatalogApi {
  /** A vApp by our id. */
  vapp(vappId: string): Promise<CatalogVapp | undefined>;
  /**
   * Our own id of a VM: kept through restores by alias (vCloud URN, instanceUuid, MoRef at a vCenter).
   * Makes one on first sight.
   */
  identifyVm(
    aliases: { cloudId: string; vcloudId: string; instanceUuid: string; vcenterInstanceUuid: string; moRef: string },
    name: string,
  ): Promise<string>;
  /** Adds aliases after a restore: the VM's chain goes on under its own id. */
  addVmAliases(
    vmId: string,
    aliases: { cloudId: string; vcloudId?: string; instanceUuid?: string; vcenterInstanceUuid?: string; moRef?: string },
  ): Promise<void>;
  identifyVapp(cloudId: string, vcloudId: string, name: string): Promise<string>;
  addVappAlias(vappId: string, cloudId: string, vcloudId: string): Promise<void>;
  /** Our id of a disk: VM plus device key, and its uuid. */
  identifyDisk(vmId: string, disk: { deviceKey: number; uuid: string | undefined; label: string }): Promise<string>;
  diskBase(diskId: string): Promise<DiskBase | undefined>;
  /** The disks of a VM that restore points have, with or without a change id. */
  formerDisks(vmId: string): Promise<{ diskId: string; deviceKey: number; uuid: string }[]>;
  /** Before its first byte is written over. @param sentence for people, should the run come to nothing */
  markHalfWritten(diskId: string, runId: string, sentence: string): Promise<void>;
  /** From the run's commit on, the VM is another one, of which nothing is half written. */
  handHalfWrittenTo(vmId: string, runId: string): Promise<void>;
  /** Of these disks, those that a run began to write over and that came to nothing since: by disk, the run. */
  halfWritten(diskIds: readonly string[]): Promise<Map<string, string>>;
  /** The instance UUIDs a VM is known by, of this VCD's id of it. */
  knownInstanceUuids(cloudId: string, vcloudId: string): Promise<string[]>;
  /** Undefined where it is no first class disk. */
  firstClassDisk(vappId: string): Promise<CatalogFirstClassDisk | undefined>;
  /** One that a restore made, or found elsewhere. @returns our id of it. */
  saveFirstClassDisk(cloudId: string, vcenterInstanceUuid: string, disk: FirstClassDiskRecord): Promise<string>;
  /** The newest restore point of an object, in one organization's part of the repository. */
  latestRestorePoint(vappId: string, organizationId: string): Promise<string | undefined>;
  recordRestorePoint(row: RestorePointRow): Promise<void>;
  restorePoint(id: string): Promise<RestorePointRow | undefined>;
}

export interface CatalogVapp {
  id: string;
  cloudId: string;
  name: string;
  organizationId: string;
  organizationName: string;
  vdcId: string;
  vdcName: string;
  vcloudId: string;
  href: string;
  /** False once an inventory no longer shows it; its restore points stay. */
  present: boolean;
  /** Templates and media are kept beside vApps, because restore points are made of them too. */
  kind: SourceKind;
  /** VCD catalog of a template or medium; '' for others. */
  vcdCatalogId: string;
  vcdCatalogName: string;
}

/** A vApp as a list shows it. */
export interface VappView extends CatalogVapp {
  ownerName: string;
  status: string;
  vmCount: number;
  storageBytes: number;
  inMaintenanceMode: boolean;
  lastSeenAt: string;
  lastRestorePointAt: string | null;
}

export interface VappDetail extends VappView {
  vms: VmView[];
}

export interface VmView {
  id: string;
  name: string;
  vcloudId: string;
  status: string;
  moRef: string;
  hostName: string;
  datastoreName: string;
  present: boolean;
}

export interface OrganizationView {
  /** VCD's own id, urn:vcloud:org:… */
  id: string;
  cloudId: string;
  name: string;
  displayName: string;
  enabled: boolean;
  present: boolean;
}

export interface VdcView {
  /** VCD's own id, urn:vcloud:vdc:… */
  id: string;
  cloudId: string;
  name: string;
  organizationId: string;
  organizationName: string;
  enabled: boolean;
  present: boolean;
}

/** A named (independent) disk, VCD's. */
export interface NamedDiskView {
  /** VCD's own id, urn:vcloud:disk:… */
  id: string;
  cloudId: string;
  name: string;
  href: string;
  organizationId: string;
  vdcId: string;
  ownerName: string;
  status: string;
  sizeBytes: number;
  storageProfileName: string;
  busType: string;
  busSubType: string;
  attachedVmCount: number;
  present: boolean;
}

/** Who has a first class disk attached. */
export interface FirstClassDiskUse {
  vmMoRef: string;
  /** Null where vCenter does not tell. */
  vmName: string | null;
}

/** A first class disk as a vCenter shows it. */
export interface FirstClassDiskRecord {
  /** VStorageObject's UUID. */
  diskId: string;
  name: string;
  datastoreMoRef: string;
  datastoreName: string;
  /** "[datastore] fcd/….vmdk" */
  path: string;
  /** thin, lazyZeroedThick, eagerZeroedThick */
  provisioning: string;
  changeTracking: boolean;
  sizeBytes: number;
  attachedTo: FirstClassDiskUse[];
}

/** What one vCenter has. */
export interface FirstClassDiskListing {
  vcenterInstanceUuid: string;
  disks: FirstClassDiskRecord[];
  /** MoRefs of datastores that could not be looked at: nothing on them counts as gone. */
  unlistedDatastores: string[];
}

/** Where a first class disk was last seen. */
export type CatalogFirstClassDisk = Pick<FirstClassDiskRecord, 'diskId' | 'datastoreMoRef' | 'datastoreName' | 'attachedTo'> & {
  vcenterInstanceUuid: string;
};

export interface FirstClassDiskQuery {
  cloudId?: string;
  organizationId?: string;
  vdcId?: string;
  vcenterInstanceUuid?: string;
  /** Name or MoRef. */
  datastore?: string;
  name?: string;
  present?: boolean;
  /** Whether a VM has it. */
  attached?: boolean;
  limit: number;
  cursor?: string;
}

/** A first class disk as a list shows it. */
export interface FirstClassDiskView extends FirstClassDiskRecord {
  /** Ours; what a backup is asked for with. */
  id: string;
  cloudId: string;
  organizationId: string;
  vcenterInstanceUuid: string;
  /** VCD's id of the named disk that it is; null where it is none. */
  namedDiskId: string | null;
  present: boolean;
  lastSeenAt: string;
  lastRestorePointAt: string | null;
}

/** What stands around vApps, in the order it is listed. */
export const RESOURCE_KINDS = [
  'provider-vdc',
  'vcenter',
  'datastore',
  'storage-profile',
  'compute-policy',
  'external-network',
  'organization-network',
  'catalog',
] as const satisfies readonly CloudResourceKind[];

export interface CloudResourceView {
  id: string;
  cloudId: string;
  kind: CloudResourceKind;
  name: string;
  href: string;
  /** '' where it belongs to none. */
  organizationId: string;
  vdcId: string;
  details: Record<string, string>;
  present: boolean;
}
