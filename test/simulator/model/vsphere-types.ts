/**
 * What the VCD side of the simulated cloud may ask of its vCenter side. Values handed out are
 * copies: changing one changes nothing in vCenter. Every method that changes something resolves
 * when the change is in the datastore's files too, and rejects with a SimFault.
 */

import type { VimObject } from './vim.js';

export type PowerState = 'poweredOn' | 'poweredOff' | 'suspended';

export interface SimDisk {
  /** VirtualDevice.key, 2000 and up. */
  key: number;
  label: string;
  controllerKey: number;
  /** Bus number of that controller. */
  busNumber: number;
  unitNumber: number;
  /** "[datastore] folder/disk-000001.vmdk": the top of the chain. */
  path: string;
  datastoreMoRef: string;
  capacityBytes: number;
  uuid: string;
  diskMode: string;
  thin: boolean;
  /** lsiLogic | busLogic | lsiLogicSas | paraVirtual */
  adapterType: ScsiAdapter;
  changeId: string | undefined;
}

export type ScsiAdapter = 'lsiLogic' | 'busLogic' | 'lsiLogicSas' | 'paraVirtual';
export type NicAdapter = 'vmxnet3' | 'e1000' | 'e1000e';

export interface SimNic {
  /** VirtualDevice.key, 4000 and up. */
  key: number;
  label: string;
  unitNumber: number;
  adapterType: NicAdapter;
  macAddress: string;
  addressType: 'manual' | 'generated' | 'assigned';
  networkMoRef: string;
  networkName: string;
  connected: boolean;
  startConnected: boolean;
}

export interface SimNicSpec {
  /** Kept when it is the key of a NIC the VM has; otherwise the NIC is new. */
  key?: number;
  adapterType?: NicAdapter;
  /** Absent: generated. */
  macAddress?: string;
  networkMoRef: string;
  connected?: boolean;
}

export interface SimSnapshot {
  moRef: string;
  name: string;
  description: string;
  createdAt: string;
  powerState: PowerState;
  quiesced: boolean;
  parentMoRef: string | undefined;
}

export interface SimVm {
  moRef: string;
  name: string;
  instanceUuid: string;
  biosUuid: string;
  hardwareVersion: string;
  guestId: string;
  guestFullName: string;
  annotation: string;
  firmware: string;
  cpuCount: number;
  coresPerSocket: number;
  memoryMib: number;
  powerState: PowerState;
  hostMoRef: string;
  hostName: string;
  folderMoRef: string;
  resourcePoolMoRef: string;
  datastoreMoRef: string;
  datastoreName: string;
  /** "[datastore] folder/name.vmx" */
  vmPath: string;
  changeTrackingEnabled: boolean;
  disks: SimDisk[];
  nics: SimNic[];
  snapshots: SimSnapshot[];
  currentSnapshotMoRef: string | undefined;
  extraConfig: Record<string, string>;
}

export interface SimDiskSpec {
  capacityBytes: number;
  thin?: boolean;
  /** Which of the spec's controllers; default the first. */
  controllerIndex?: number;
  unitNumber?: number;
  diskMode?: string;
  datastoreName?: string;
}

/** A disk to add to a VM that exists. */
export interface SimAddedDisk {
  /** An existing disk's file; absent: a new one of this capacity. */
  path?: string;
  capacityBytes: number;
  datastoreName: string;
  uuid?: string;
  busNumber: number;
  /** Absent: the next free one. */
  unitNumber?: number;
  adapterType: ScsiAdapter;
  /** Whether a bus with another adapter is refused; otherwise its adapter is used. */
  requireAdapterType?: boolean;
}
export interface SimDiskFile {
  /** "[datastore] folder/name.vmdk" */
  path: string;
  capacityBytes: number;
  uuid: string;
}

export interface SimVmSpec {
  name: string;
  folderMoRef: string;
  resourcePoolMoRef: string;
  hostMoRef?: string;
  datastoreName: string;
  guestId?: string;
  annotation?: string;
  firmware?: 'bios' | 'efi';
  hardwareVersion?: string;
  cpuCount?: number;
  coresPerSocket?: number;
  memoryMib?: number;
  controllers?: { adapterType: ScsiAdapter; busNumber?: number }[];
  disks?: SimDiskSpec[];
  nics?: SimNicSpec[];
  extraConfig?: Record<string, string>;
  instanceUuid?: string;
}

export interface SimFolder {
  moRef: string;
  name: string;
  parentMoRef: string;
}
export interface SimResourcePool {
  moRef: string;
  name: string;
  parentMoRef: string;
}
export interface SimHost {
  moRef: string;
  name: string;
}
export interface SimDatastore {
  moRef: string;
  name: string;
  /** The folder on this machine that holds its files. */
  directory: string;
  capacityBytes: number;
  freeBytes: number;
}
export interface SimNetwork {
  moRef: string;
  name: string;
  kind: 'Network' | 'DistributedVirtualPortgroup';
}

export interface ByteRange {
  offsetBytes: number;
  lengthBytes: number;
}

/** What the guest's file system is: a real ext4, or, where this machine has no mke2fs, a pattern. */
export type ContentKind = 'ext4' | 'pattern' | 'empty';

export interface GuestAccess {
  /** The bytes the guest sees, through the whole chain. */
  read(moRef: string, diskKey: number, offsetBytes: number, lengthBytes: number): Promise<Buffer>;
  write(moRef: string, diskKey: number, offsetBytes: number, bytes: Uint8Array): Promise<void>;
  /** Reads zero afterwards and is not allocated; counts as changed. */
  unmap(moRef: string, diskKey: number, offsetBytes: number, lengthBytes: number): Promise<void>;
  /** Formats the disk and fills it with `dataBytes` of files, the same for the same seed. */
  makeFileSystem(moRef: string, diskKey: number, options: { seed: string; dataBytes: number; label?: string }): Promise<ContentKind>;
  /** Rewrites `count` 64 KiB blocks inside existing files' data, spread over the disk; the file system stays valid. */
  scatteredWrites(moRef: string, diskKey: number, options: { seed: string; count: number }): Promise<ByteRange[]>;
  /** A new file in the root folder of the file system. */
  writeLargeFile(moRef: string, diskKey: number, options: { seed: string; lengthBytes: number; name?: string }): Promise<ByteRange[]>;
  /** Deletes an existing file of the file system and unmaps its blocks. */
  unmapFile(moRef: string, diskKey: number): Promise<ByteRange[]>;
  /** SHA-256 (hex) of the whole content. */
  contentHash(moRef: string, diskKey: number): Promise<string>;
  /** Remembers what each disk of the VM holds now, outside the datastore, under `name`. */
  keepContent(name: string, moRef: string): Promise<void>;
  /** Compares what `moRef` (any VM; disks by their order) holds with what was kept of `keptMoRef` under `name`. */
  compareContent(name: string, keptMoRef: string, moRef: string): Promise<DiskComparison[]>;
}

export interface DiskComparison {
  diskKey: number;
  label: string;
  keptCapacityBytes: number;
  capacityBytes: number;
  differingBytes: number;
  firstDifferenceBytes: number | undefined;
  contentKind: ContentKind;
  /** Undefined where there is no ext4 or no e2fsck. */
  fileSystemCheck: { clean: boolean; output: string } | undefined;
}

export interface VsphereModelApi {
  /** about.instanceUuid: VCD's VimServer/Uuid. */
  readonly instanceUuid: string;
  readonly dataDir: string;
  readonly guest: GuestAccess;

  vms(): SimVm[];
  vm(moRef: string): SimVm | undefined;
  folders(): SimFolder[];
  /** The datacenter's VM folder. */
  readonly vmFolderMoRef: string;
  resourcePools(): SimResourcePool[];
  /** The cluster's root resource pool. */
  readonly rootResourcePoolMoRef: string;
  hosts(): SimHost[];
  datastores(): SimDatastore[];
  networks(): SimNetwork[];

  createVm(spec: SimVmSpec): Promise<SimVm>;
  /** A full copy with new identity and new MAC addresses; snapshots are not copied. */
  cloneVm(moRef: string, options: { name: string; folderMoRef?: string; resourcePoolMoRef?: string }): Promise<SimVm>;
  /** Files too. @throws SimFault InvalidPowerState when it runs. */
  destroyVm(moRef: string): Promise<void>;
  powerOn(moRef: string): Promise<void>;
  powerOff(moRef: string): Promise<void>;
  suspend(moRef: string): Promise<void>;
  renameVm(moRef: string, name: string): Promise<void>;
  moveVm(moRef: string, target: { folderMoRef?: string; resourcePoolMoRef?: string }): Promise<void>;
  /** Makes the VM's NICs equal to this list, in this order. */
  setNics(moRef: string, nics: readonly SimNicSpec[]): Promise<void>;
  setHardware(
    moRef: string,
    change: { cpuCount?: number; coresPerSocket?: number; memoryMib?: number; annotation?: string; guestId?: string },
  ): Promise<void>;
  setExtraConfig(moRef: string, entries: Readonly<Record<string, string>>): Promise<void>;
  /** @returns the new disk, on the first free unit where none is asked for. @throws SimFault for a unit that is taken. */
  addDisk(moRef: string, disk: SimAddedDisk): Promise<SimDisk>;
  /** @throws SimFault InvalidState while the VM has snapshots. */
  removeDisk(moRef: string, key: number, fate: 'keep-file' | 'destroy-file'): Promise<void>;
  growDisk(moRef: string, key: number, capacityBytes: number): Promise<void>;
  /** A disk that belongs to no VM. */
  createDiskFile(request: { datastoreName: string; name: string; capacityBytes: number; uuid: string }): Promise<SimDiskFile>;
  /** @throws SimFault FileLocked while a VM has it. */
  growDiskFile(path: string, capacityBytes: number): Promise<void>;
  deleteDiskFile(path: string): Promise<void>;
  createSnapshot(moRef: string, options: { name: string; description?: string; quiesce?: boolean }): Promise<SimSnapshot>;
  removeSnapshot(snapshotMoRef: string, options?: { removeChildren?: boolean }): Promise<void>;
  removeAllSnapshots(moRef: string): Promise<void>;
  /** The VM is as its newest snapshot has it, and off; the snapshot stays. @throws SimFault NotFound without a snapshot. */
  revertToCurrentSnapshot(moRef: string): Promise<void>;

  /** VMware Tools in the guest. */
  setTools(moRef: string, tools: { installed: boolean; running: boolean; version: number }): Promise<void>;
  /** As after a snapshot's removal that could not merge everything: runtime.consolidationNeeded. */
  needConsolidation(moRef: string): Promise<void>;
  /** Its disks become deltas over bases in another folder, as VCD's fast provisioning makes them. The VM is off, without snapshots. */
  makeLinkedClone(moRef: string): Promise<void>;
  /** vCenter's key providers, and the keys that can be had from each. */
  setKeyProviders(providers: readonly { id: string; isDefault?: boolean; keyIds?: readonly string[] }[]): void;
  /** VMs on whose moving somebody has put his hand, with the identity he did it under: VixDiskLib_PrepareForAccess. */
  preparedForAccess(): { moRef: string; identity: string }[];
  /** Devices as no operation here makes them: RDMs, shared buses, NVDIMMs. */
  editDevices(moRef: string, edit: (devices: VimObject[]) => void): Promise<void>;
  /** Out of the inventory and in again: the same VM under another MoRef. It is off. */
  reregister(moRef: string): Promise<SimVm>;
  /** As in a vCenter whose database was made anew: its MoRefs begin again, and mean others. */
  renumber(moRef: string, newMoRef: string): Promise<void>;

  createFolder(parentMoRef: string, name: string): SimFolder;
  createResourcePool(parentMoRef: string, name: string): SimResourcePool;
  /** A DV port group, as VCD makes one for each organization or vApp network. */
  createPortGroup(name: string): SimNetwork;
  /** Folder, resource pool or port group; must be empty. */
  remove(moRef: string): void;

  /** Called after each change with the moRefs it touched; returns the unsubscribe function. */
  onChange(listener: (moRefs: readonly string[]) => void): () => void;
  /** Writes state.json now. */
  save(): Promise<void>;
  close(): Promise<void>;
}

/** A vim25 fault by its type name, with the text a person reads. */
export class SimFault extends Error {
  override readonly name = 'SimFault';
  constructor(
    readonly faultType: string,
    message: string,
    /** The fault's own properties in schema order, as vim25 data. */
    readonly detail: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}
