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
  hosts: EntityState[];
  datastores: (EntityState & { directory: string })[];
  networks: (EntityState & { kind: 'Network' | 'DistributedVirtualPortgroup' })[];
  vms: VmState[];
}

export interface EntityState {
  moRef: string;
  name: string;
  parentMoRef: string;
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
  bootTime?: string;
}

export interface SnapshotState {
  moRef: string;
  id: number;
  name: string;
  description: string;
  createdAt: string;
  powerState: PowerState;
  quiesced: boolean;
  /** VirtualMachineConfigInfo as it was: disks' frozen paths and change ids. */
  config: VimObject;
}
