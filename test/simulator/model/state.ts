import type { VimObject } from './vim.js';
import type { PowerState } from './vsphere-types.js';

/** Everything of the simulated vCenter that outlives the process, as it stands in state.json. Tasks and sessions do not. */
export interface VcenterState {
  version: 1;
  instanceUuid: string;
  nextId: number;
  nextMac: number;
  datacenter: EntityState;
  cluster: EntityState;
  dvSwitch: EntityState & { uuid: string };
  rootFolderMoRef: string;
  vmFolderMoRef: string;
  rootResourcePoolMoRef: string;
  folders: FolderState[];
  resourcePools: EntityState[];
  hosts: HostState[];
  datastores: (EntityState & { directory: string })[];
  /** Storage policies; absent in clouds of before: one that every datastore keeps. */
  storagePolicies?: StoragePolicyState[];
  keyProviders?: KeyProviderState[];
  firstClassDisks?: FirstClassDiskState[];
  networks: (EntityState & { kind: 'Network' | 'DistributedVirtualPortgroup' })[];
  vms: VmState[];
}

export interface EntityState {
  moRef: string;
  name: string;
  parentMoRef: string;
}

export interface StoragePolicyState {
  id: string;
  name: string;
  /** Where it can be kept; absent: everywhere. */
  datastoreNames?: string[];
  /** VMs that have it are encrypted. */
  encrypts?: boolean;
}

/** A disk of its own, without a VM: "improved virtual disk". */
export interface FirstClassDiskState {
  id: string;
  name: string;
  createdAt: string;
  datastoreMoRef: string;
  /** The top of its chain. */
  path: string;
  capacityBytes: number;
  thin: boolean;
  /** Only of a thick one: zeroed when it was made. */
  eager?: boolean;
  /** Absent: vSphere's default, true. */
  keepAfterDeleteVm?: boolean;
  relocationDisabled?: boolean;
  /** Off until a control flag turns it on (guide, "Behavior of FCD With Changed Block Tracking"). */
  changeTracking?: boolean;
  metadata?: { key: string; value: string }[];
  /** Storage policy; absent: none. */
  policyId?: string;
  attachedTo?: { vmMoRef: string; deviceKey: number };
  /** Oldest first; each with the link it froze. */
  snapshots: { id: string; description: string; createdAt: string; path: string; changeId: string | undefined }[];
}

export interface KeyProviderState {
  id: string;
  isDefault: boolean;
  keyIds: string[];
}

export interface HostState extends EntityState {
  inMaintenanceMode?: boolean;
}

export interface FolderState extends EntityState {
  childTypes: string[];
}

export interface VmState {
  moRef: string;
  /** VirtualMachineConfigInfo. */
  config: VimObject;
  powerState: PowerState;
  hostMoRef: string;
  folderMoRef: string;
  resourcePoolMoRef: string;
  datastoreMoRef: string;
  /** Oldest first. A revert is to the newest only, so the tree is one branch. */
  snapshots: SnapshotState[];
  nextSnapshotId: number;
  consolidationNeeded: boolean;
  /** Snapshots that are gone while their disks were not merged: links of the chain that no snapshot names. Oldest first. */
  unmerged?: SnapshotState[];
  /** Ids of storage policies; disks by device key. */
  policies?: { home?: string; disks: Record<string, string> };
  /** Who has taken which operations from everybody; gone with who disabled them. */
  disabledMethods?: MethodBlock[];
  bootTime?: string;
  /** VMware Tools in the guest; absent: current ones, running while the VM runs. */
  tools?: ToolsState;
}

/** AuthorizationManager.DisableMethods, as VixDiskLib_PrepareForAccess calls it. */
export interface MethodBlock {
  /** The identity it was disabled under. */
  sourceId: string;
  methods: string[];
  /** The client's process, for those that never come back to enable them. */
  processId?: number;
}

export interface ToolsState {
  installed: boolean;
  running: boolean;
  /** As GuestInfo.toolsVersion counts: major * 1024 + minor * 32 + patch. */
  version: number;
}

export interface SnapshotState {
  moRef: string;
  id: number;
  name: string;
  description: string;
  createdAt: string;
  powerState: PowerState;
  quiesced: boolean;
  /** "[datastore] folder/name-vss_manifestsN.zip" */
  backupManifest?: string;
  /** VirtualMachineConfigInfo as it was: disks' frozen paths and change ids. */
  config: VimObject;
}
