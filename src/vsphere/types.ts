import type { ServerTrust } from '../common/index.js';
import type { Extent } from '../disk/index.js';
import type { CryptoKey, EncryptionOptions } from './encryption-spec.js';
import type { FirstClassDisksApi } from './first-class-disk-types.js';
import type { StoragePoliciesApi } from './storage-policies.js';
import type { VcenterSurveyApi } from './survey-types.js';

export interface VsphereConnection {
  /** https://host[:port]/sdk or without /sdk. */
  url: string;
  userName: string;
  password: string;
  trust: ServerTrust;
  requestTimeoutMs?: number;
}

export interface DiskBacking {
  /** VirtualDevice.key, e.g. 2000. Stays through snapshots. */
  deviceKey: number;
  label: string;
  /** "[datastore] folder/disk-000001.vmdk" */
  path: string;
  capacityBytes: number;
  /** VirtualDisk backing uuid: the disk's identity for its chain. */
  uuid: string | undefined;
  changeId: string | undefined;
  /** persistent | independent_persistent | independent_nonpersistent … */
  diskMode: string;
  /** xsi:type of the backing: VirtualDiskFlatVer2BackingInfo, VirtualDiskRawDiskMappingVer1BackingInfo … */
  backingType: string;
  compatibilityMode: string | undefined;
  sharing: string | undefined;
  controllerKey: number;
  unitNumber: number;
  thin: boolean;
  /** What it is a delta over, nearest first, down to the base: snapshots of the VM, or the base of a linked clone. */
  parentPaths: string[];
}

export interface SnapshotNode {
  moRef: string;
  name: string;
  description: string;
  createdAt: string;
  parentMoRef: string | undefined;
  /** Whether it was asked for with quiescing, and vCenter says that this was done. */
  quiesced?: boolean;
  /** vSphere's number of it, which names its files. */
  id?: number;
  /** Where vss-manifest.zip of a quiesced Windows guest lies: a datastore path, or relative to the snapshot directory. */
  backupManifest?: string;
}

/** VirtualMachineWindowsQuiesceSpec, vSphere 6.5 and later, VMware Tools 10.1.0 and later. */
export interface WindowsQuiescing {
  /** ctx_backup: applications; ctx_file_share_backup: file systems. */
  context: 'ctx_backup' | 'ctx_file_share_backup';
  backupType: 'copy' | 'full' | 'incremental' | 'differential' | 'log';
  bootableSystemState: boolean;
  partialFileSupport: boolean;
  /** 5 to 240. */
  timeoutMinutes: number;
}

export interface NewSnapshot {
  name: string;
  description: string;
  quiesce: boolean;
  /** With `quiesce`: how VSS does it in a Windows guest. */
  windows?: WindowsQuiescing;
  timeoutMs: number;
}

/** What vCenter knows of VMware Tools in a guest. */
export interface GuestTools {
  /** GuestInfo.toolsStatus: toolsOk, toolsOld, toolsNotRunning, toolsNotInstalled. */
  status: string;
  running: boolean;
  /** major * 1024 + minor * 32 + patch; undefined where vCenter does not know. */
  version: number | undefined;
}

/** Everything VADP tells of a VM's configuration, enough to build it again. */
export interface VmConfiguration {
  name: string;
  moRef: string;
  instanceUuid: string;
  biosUuid: string;
  hardwareVersion: string;
  guestId: string;
  vmPath: string;
  powerState: 'poweredOn' | 'poweredOff' | 'suspended';
  changeTrackingEnabled: boolean;
  changeTrackingSupported: boolean;
  cpuCount: number;
  memoryMib: number;
  disks: DiskBacking[];
  hostMoRef: string | undefined;
  folderMoRef: string | undefined;
  resourcePoolMoRef: string | undefined;
  /** `type` is Datastore.summary.type: VMFS, NFS, NFS41, vsan, VVOL … */
  datastores: { moRef: string; name: string; type?: string }[];
  snapshots: SnapshotNode[];
  tools: GuestTools;
  /** runtime.consolidationNeeded */
  consolidationNeeded: boolean;
  /** VirtualMachineFileInfo.snapshotDirectory */
  snapshotDirectory: string;
  /** VirtualMachineConfigInfo as XML: controllers, NICs, firmware, extraConfig … */
  configXml: string;
}

export interface VmPlacement {
  folderMoRef: string;
  resourcePoolMoRef: string;
  hostMoRef?: string;
  /** Name, not MoRef: it goes into "[name]" paths. */
  datastoreName: string;
}

export interface CreateVmOptions {
  keepIdentity: boolean;
  withoutDisks?: readonly number[];
  /** "vmx-19" where the target does not take the captured one. */
  hardwareVersion?: string;
  /** Of a VM that was encrypted, and storage policies of any. */
  encryption?: EncryptionOptions;
  /** Told once for each part of the captured VM that cannot be made again: `USB 1 (VirtualUSB): plugged into its host`. */
  onOmitted?: (what: string) => void;
}

/** A KMS cluster, or vCenter's own key provider. */
export interface KeyProvider {
  id: string;
  isDefault: boolean;
}

/** Every failure is a VsphereError. Every wait takes a signal. */
export interface VsphereClientApi {
  /** about.instanceUuid: what VCD calls VimServer/Uuid. */
  readonly instanceUuid: string;
  readonly apiVersion: string;
  /** What there is in this vCenter, and what the account may do. */
  readonly survey: VcenterSurveyApi;
  /** For VixTarget. The cookie is vmware_soap_session's value; the thumbprint is SHA-1. */
  vixCredentials(): { host: string; port: number; thumbprint: string; cookie: string; userName: string };

  readVm(moRef: string, signal?: AbortSignal): Promise<VmConfiguration>;
  /** Survives re-registration, when MoRefs change. */
  findVmByInstanceUuid(instanceUuid: string, signal?: AbortSignal): Promise<string | undefined>;
  /** By inventory name inside a folder; for paying the debt of a VM that was being made. */
  findVmInFolder(folderMoRef: string, name: string, signal?: AbortSignal): Promise<string | undefined>;
  /**
   * Waits until nothing is under way on a VM or folder any more, however it ends: what somebody
   * started and did not wait for shows only afterwards. Not found is nothing under way.
   */
  letTasksEnd(object: { type: 'VirtualMachine' | 'Folder'; moRef: string }, timeoutMs: number, signal?: AbortSignal): Promise<void>;
  /** No-op when on. True change ids appear after the next stun. */
  enableChangeTracking(moRef: string, signal?: AbortSignal): Promise<void>;
  /** No-op when off. It may be in effect only after the next stun: until then the disks have change ids. */
  disableChangeTracking(moRef: string, signal?: AbortSignal): Promise<void>;

  /**
   * memory is never taken. Quiesce as asked: the caller decides about falling back.
   * @throws VsphereError QUIESCE_FAILED when only the quiescing went wrong (ApplicationQuiesceFault, ToolsUnavailable, FilesystemQuiesceFault …).
   */
  createSnapshot(moRef: string, options: NewSnapshot, signal?: AbortSignal): Promise<SnapshotNode>;
  /** The disks as the snapshot froze them: paths and change ids. */
  snapshotDisks(snapshotMoRef: string, signal?: AbortSignal): Promise<DiskBacking[]>;
  /** The configuration as the snapshot froze it, XML of VirtualMachineConfigInfo. */
  snapshotConfigXml(snapshotMoRef: string, signal?: AbortSignal): Promise<string>;
  listSnapshots(moRef: string, signal?: AbortSignal): Promise<SnapshotNode[]>;
  /** Throws away what was written to the VM's disks since. The VM must be off, and stays so. */
  revertToSnapshot(vmMoRef: string, snapshotMoRef: string, signal?: AbortSignal): Promise<void>;
  /** Verified gone. Absent is success. */
  removeSnapshot(vmMoRef: string, snapshotMoRef: string, signal?: AbortSignal): Promise<void>;
  /**
   * Merges what a removed snapshot left unmerged. @returns whether anything was to be done.
   * @throws VsphereError CONSOLIDATION_NEEDED when it is still needed afterwards.
   */
  consolidate(moRef: string, signal?: AbortSignal): Promise<boolean>;
  /** @throws VsphereError CHANGE_TRACKING_LOST when vSphere cannot answer for this change id: the caller copies in full. */
  queryChangedAreas(
    vmMoRef: string,
    /** Undefined: as it is now, for a VM that is off and has no snapshot. */
    snapshotMoRef: string | undefined,
    disk: { deviceKey: number; capacityBytes: number },
    changeId: string,
    signal?: AbortSignal,
  ): Promise<Extent[]>;

  /**
   * Disks come empty, thin where they were. `keepIdentity` keeps instanceUuid and MAC addresses, else vCenter makes new ones.
   * `withoutDisks`: captured device keys of disks the new VM is made without, because somebody else attaches them.
   */
  createVm(configXml: string, name: string, placement: VmPlacement, options: CreateVmOptions, signal?: AbortSignal): Promise<string>;
  /** Off when it returns, whoever switched it off. */
  powerOff(moRef: string, signal?: AbortSignal): Promise<void>;
  /** By vCenter's own updates. @throws TimeoutError; VsphereError NOT_FOUND. */
  waitForPowerState(moRef: string, state: VmConfiguration['powerState'], timeoutMs: number, signal?: AbortSignal): Promise<void>;
  /** Deletes files too. Absent is success. */
  destroyVm(moRef: string, signal?: AbortSignal): Promise<void>;
  unregisterVm(moRef: string, signal?: AbortSignal): Promise<void>;
  /** Where new VMs of a resource pool go: the datacenter's VM folder, its hosts and datastores. */
  placementOptions(
    resourcePoolMoRef: string,
    signal?: AbortSignal,
  ): Promise<{
    vmFolderMoRef: string;
    hosts: { moRef: string; name: string }[];
    /** `type`: VMFS, NFS, NFS41, vsan, VVOL … */
    datastores: { moRef: string; name: string; type: string; freeBytes: number; accessible: boolean }[];
  }>;
  datastoreName(moRef: string, signal?: AbortSignal): Promise<string>;
  /** "vmx-13" …: with which a VM can be made in a resource pool. Empty where vCenter does not tell. */
  hardwareVersions(resourcePoolMoRef: string, signal?: AbortSignal): Promise<string[]>;
  /** Key providers that vCenter knows, whether they answer or not. */
  keyProviders(signal?: AbortSignal): Promise<KeyProvider[]>;
  /** Those of the keys that vCenter says it cannot get from their providers. Empty where it does not say (before 6.7 Update 2). */
  unavailableKeys(keys: readonly CryptoKey[], signal?: AbortSignal): Promise<CryptoKey[]>;
  /** @throws VsphereError PBM_UNAVAILABLE where the vCenter has no storage policies to ask for. */
  readonly storagePolicies: StoragePoliciesApi;
  /** Disks without a VM. */
  readonly firstClassDisks: FirstClassDisksApi;

  /** NVRAM, vmx: small files over HTTPS /folder. A VM tells which datacenter is meant where several have a datastore of that name. */
  downloadFile(path: string, signal?: AbortSignal, nearVmMoRef?: string): Promise<Buffer>;
  uploadFile(path: string, data: Buffer, signal?: AbortSignal, nearVmMoRef?: string): Promise<void>;
  close(): Promise<void>;
}
