import type { ServerTrust } from '../common/index.js';
import type { Extent } from '../disk/index.js';

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
}

export interface SnapshotNode {
  moRef: string;
  name: string;
  description: string;
  createdAt: string;
  parentMoRef: string | undefined;
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
  datastores: { moRef: string; name: string }[];
  snapshots: SnapshotNode[];
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

/** Every failure is a VsphereError. Every wait takes a signal. */
export interface VsphereClientApi {
  /** about.instanceUuid: what VCD calls VimServer/Uuid. */
  readonly instanceUuid: string;
  readonly apiVersion: string;
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

  /**
   * memory is never taken. Quiesce as asked: the caller decides about falling back.
   * @throws VsphereError QUIESCE_FAILED when only the quiescing went wrong (ApplicationQuiesceFault, ToolsUnavailable, FilesystemQuiesceFault …).
   */
  createSnapshot(
    moRef: string,
    options: { name: string; description: string; quiesce: boolean; timeoutMs: number },
    signal?: AbortSignal,
  ): Promise<{ moRef: string; createdAt: string }>;
  /** The disks as the snapshot froze them: paths and change ids. */
  snapshotDisks(snapshotMoRef: string, signal?: AbortSignal): Promise<DiskBacking[]>;
  /** The configuration as the snapshot froze it, XML of VirtualMachineConfigInfo. */
  snapshotConfigXml(snapshotMoRef: string, signal?: AbortSignal): Promise<string>;
  listSnapshots(moRef: string, signal?: AbortSignal): Promise<SnapshotNode[]>;
  /** Verified gone. Absent is success. */
  removeSnapshot(vmMoRef: string, snapshotMoRef: string, signal?: AbortSignal): Promise<void>;
  /** @throws VsphereError CHANGE_TRACKING_LOST when vSphere cannot answer for this change id: the caller copies in full. */
  queryChangedAreas(
    vmMoRef: string,
    /** Undefined: as it is now, for a VM that is off and has no snapshot. */
    snapshotMoRef: string | undefined,
    disk: { deviceKey: number; capacityBytes: number },
    changeId: string,
    signal?: AbortSignal,
  ): Promise<Extent[]>;

  /** Disks come empty, thin where they were. `keepIdentity` keeps instanceUuid and MAC addresses, else vCenter makes new ones. */
  createVm(
    configXml: string,
    name: string,
    placement: VmPlacement,
    options: { keepIdentity: boolean },
    signal?: AbortSignal,
  ): Promise<string>;
  powerOff(moRef: string, signal?: AbortSignal): Promise<void>;
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
    datastores: { moRef: string; name: string; freeBytes: number; accessible: boolean }[];
  }>;
  datastoreName(moRef: string, signal?: AbortSignal): Promise<string>;

  /** NVRAM, vmx: small files over HTTPS /folder. A VM tells which datacenter is meant where several have a datastore of that name. */
  downloadFile(path: string, signal?: AbortSignal, nearVmMoRef?: string): Promise<Buffer>;
  uploadFile(path: string, data: Buffer, signal?: AbortSignal, nearVmMoRef?: string): Promise<void>;
  close(): Promise<void>;
}
