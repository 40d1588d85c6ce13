/**
 * What a restore point's manifest says about the cloud it came from: written by backup, read by
 * restore and by a catalog rebuild. The repository keeps it sealed and does not look inside.
 * Bulky parts (captures, NVRAM) are documents of the same restore point, named by id.
 */
export const MANIFEST_CONTENT_VERSION = 1;

export interface ManifestContent {
  contentVersion: typeof MANIFEST_CONTENT_VERSION;
  runId: string;
  kind: 'full' | 'incremental';
  cloud: { id: string; name: string };
  organization: { id: string; name: string };
  /** Empty for a first class disk that is no named disk: it belongs to no VDC. */
  vdc: { id: string; name: string };
  vapp: { id: string; vcloudId: string; name: string };
  /** What was backed up. Absent in restore points made before others than vApps could be: a vApp. */
  sourceKind?: SourceKind;
  /**
   * Document: VappCapture as JSON, also of a standalone VM and of a template; MediaCapture of a medium, FirstClassDiskCapture of a
   * first class disk.
   */
  vappCaptureDocument: string;
  /** VMs left out on purpose, or because they failed, each with its reason. */
  excludedVms?: { name: string; vcloudId: string; reason: string; failed?: boolean }[];
  /** Of a retry: the restore point whose failed VMs are in this one, each of them of its own moment. */
  completes?: string;
  /** How long the tenant was kept from changing the vApp; `leftAt` only where it was left before the end of the run. A template or medium has none. */
  maintenance?: { enteredAt: string; alreadyOn: boolean; window?: 'whole-run' | 'until-snapshots'; leftAt?: string };
  /** First and last snapshot, by vCenter's clock: how far apart the VMs' states are. */
  snapshots: { firstAt: string; lastAt: string; spreadMs: number };
  vms: ManifestVm[];
  /** Only of a medium, which has no VM: its bytes, stored like a disk's. */
  medium?: ManifestMedium;
  /** Only of a first class disk, which has no VM either. */
  firstClassDisk?: ManifestFirstClassDisk;
  /** Only where it is false: a VM that was to be backed up is not in it. */
  complete?: boolean;
  /** ISO: nobody deletes it before. The manifest itself says so too, for the repository. */
  lockedUntil?: string;
  warnings: string[];
}

export interface ManifestMedium {
  diskId: string;
  indexId: string;
  /** Whole sectors; the bytes past `sizeBytes` are zero. */
  capacityBytes: number;
  chunkBytes: number;
  sizeBytes: number;
  /** Of the medium's bytes, hexadecimal: what a restore holds its upload against. */
  sha256: string;
  readBytes: number;
  newBytes: number;
  storedBytes: number;
  durationMs: number;
}

/** The content of a first class disk, as a snapshot of its own froze it. */
export interface ManifestFirstClassDisk
  extends Omit<ManifestDisk, 'deviceKey' | 'controllerKey' | 'unitNumber' | 'diskMode' | 'namedDiskId' | 'thin' | 'uuid'> {
  /** vSphere's UUID of it: the disk's identity for its chain of changes. */
  uuid: string;
  vcenterInstanceUuid: string;
  datastore: { moRef: string; name: string; type: string };
}

/** What a restore point can be of. A standalone VM is a vApp of VCD's own making with one VM in it. */
export type SourceKind = (typeof SOURCE_KINDS)[number];
export const SOURCE_KINDS = ['vapp', 'standalone-vm', 'vapp-template', 'media', 'first-class-disk'] as const;

export interface ManifestVm {
  /** Our own id; the rest are aliases. */
  vmId: string;
  name: string;
  vcloudId: string;
  instanceUuid: string;
  biosUuid: string;
  vcenterInstanceUuid: string;
  vcenterName: string;
  moRef: string;
  /** Where in vSphere it was, for people: a restore places anew. */
  resourcePoolMoRef?: string;
  folderMoRef?: string;
  hostMoRef?: string;
  datastores?: { moRef: string; name: string; type?: string }[];
  /** Document: VirtualMachineConfigInfo as XML, as the snapshot froze it. */
  configurationDocument: string;
  /** Document: the VM's .nvram file, where it has one. */
  nvramDocument: string | null;
  /** What the snapshot really achieved; `none` is crash-consistent, or of a VM that was off. */
  quiesced: 'application' | 'file-system' | 'none';
  /** How that came about. Absent in older restore points. */
  quiescing?: {
    wished: 'application' | 'file-system' | 'crash';
    achieved: 'application' | 'file-system' | 'crash' | 'powered-off';
    obstacles: string[];
    failures: string[];
    /** VMware Tools in the guest. */
    tools: { status: string; version?: string };
    /** Document: vss-manifest.zip of a Windows guest. */
    vssManifestDocument?: string;
  };
  /** Storage policy of the VM's home; absent where vCenter named none. */
  storagePolicy?: { id: string; name: string };
  /** Snapshots of somebody else that the VM had: read through, not restored. */
  foreignSnapshots?: { name: string; createdAt: string }[];
  changeTrackingEnabledByUs: boolean;
  disks: ManifestDisk[];
  /** Disks left out, each with its reason. */
  excludedDisks: { label: string; path: string; reason: string }[];
}

export interface ManifestDisk {
  diskId: string;
  deviceKey: number;
  label: string;
  path: string;
  uuid: string | null;
  changeId: string | null;
  diskMode: string;
  /** The named disk of VCD's that this was (urn:vcloud:disk:…). */
  namedDiskId?: string;
  thin: boolean;
  /** As `ManifestVm.storagePolicy`. */
  storagePolicy?: { id: string; name: string };
  controllerKey: number;
  unitNumber: number;
  /** What it was a delta over, nearest first, down to the base: all of it was read. Absent: a base disk. */
  parentPaths?: string[];
  kind: 'full' | 'incremental';
  /** Why a copy was full although an earlier restore point exists, or 'first-backup'. */
  fullReason: string | null;
  transportMode: string;
  allocatedBytes: number;
  changedBytes: number;
  readBytes: number;
  newBytes: number;
  storedBytes: number;
  durationMs: number;
  /** VDDK's disk database entries (GetMetadataKeys). */
  metadata: Record<string, string>;
  indexId: string;
  capacityBytes: number;
  chunkBytes: number;
}
