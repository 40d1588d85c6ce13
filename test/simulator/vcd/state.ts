/**
 * What VCD itself keeps in its database. Everything about a VM's hardware and power is vSphere's
 * and is asked there each time; here are only the links (moRefs) and what vSphere does not know.
 * Plain JSON: this is also the form on disk and the form of a seed.
 */
export interface CloudState {
  organizations: Organization[];
  users: User[];
  vimServer: VimServer;
  providerVdcs: ProviderVdc[];
  vdcs: Vdc[];
  storageProfiles: StorageProfile[];
  computePolicies: ComputePolicy[];
  orgNetworks: OrgNetwork[];
  vapps: Vapp[];
  vms: Vm[];
}

export interface Organization {
  id: string;
  name: string;
  fullName: string;
  description: string;
  enabled: boolean;
  /** What a new or imported vApp gets. */
  lease: Lease;
  folderMoRef: string | undefined;
}

export type Role = 'System Administrator' | 'Organization Administrator' | 'vApp Author' | 'vApp User';
export interface User {
  id: string;
  organizationId: string;
  name: string;
  fullName: string;
  password: string;
  role: Role;
  enabled: boolean;
}

export interface VimServer {
  id: string;
  name: string;
  url: string;
  userName: string;
  version: string;
}

export interface ProviderVdc {
  id: string;
  name: string;
  resourcePoolMoRef: string;
}

export interface Vdc {
  id: string;
  name: string;
  description: string;
  organizationId: string;
  providerVdcId: string;
  resourcePoolMoRef: string;
  folderMoRef: string;
  enabled: boolean;
  allocationModel: string;
}

export interface StorageProfile {
  id: string;
  name: string;
  vdcId: string;
  datastoreMoRef: string;
  limitMib: number;
  isDefault: boolean;
}

export interface ComputePolicy {
  id: string;
  name: string;
  kind: 'sizing' | 'placement';
}

export interface OrgNetwork {
  id: string;
  name: string;
  description: string;
  vdcId: string;
  /** The port group that carries it: how an imported VM's NIC finds its network. */
  portGroupMoRef: string;
  gateway: string;
  netmask: string;
  dns1: string;
  dnsSuffix: string;
  ranges: { start: string; end: string }[];
}

export interface Lease {
  deploymentSeconds: number;
  storageSeconds: number;
}

export interface VappNetwork {
  id: string;
  name: string;
  /** Of an own (natRouted, isolated) network; a bridged one uses its parent's. */
  portGroupMoRef: string | undefined;
  /** The parent is kept by id: its href depends on who asks and where the cell listens. */
  parentId: string | undefined;
  /** NetworkConfig as it was given, without Link, href and type. */
  xml: string;
}

export interface StartupItem {
  vmName: string;
  order: number;
  startAction: string;
  startDelaySeconds: number;
  stopAction: string;
  stopDelaySeconds: number;
}

export type MetadataType = 'MetadataStringValue' | 'MetadataNumberValue' | 'MetadataBooleanValue' | 'MetadataDateTimeValue';
export interface MetadataEntry {
  key: string;
  type: MetadataType;
  value: string;
  domain: 'GENERAL' | 'SYSTEM';
  visibility: 'READWRITE' | 'READONLY' | 'PRIVATE';
}

export interface Access {
  sharedToEveryone: boolean;
  everyoneAccessLevel?: string;
  grants: { subjectKind: 'user' | 'org'; subjectId: string; accessLevel: string }[];
}

export interface Vapp {
  id: string;
  name: string;
  description: string;
  organizationId: string;
  vdcId: string;
  ownerUserId: string | undefined;
  createdAt: string;
  inMaintenanceMode: boolean;
  deployed: boolean;
  /** Set while it is being made, and left when that failed. */
  creation: 'running' | 'failed' | 'done';
  folderMoRef: string;
  lease: Lease;
  /** Subjects are user or organization ids. */
  access: Access;
  startup: StartupItem[];
  networks: VappNetwork[];
  metadata: MetadataEntry[];
  productSections: string[];
}

export interface VmNic {
  /** VirtualDevice.key of the NIC in vSphere, which holds MAC and adapter. */
  deviceKey: number;
  index: number;
  /** A vApp network's name, or "none". */
  network: string;
  allocationMode: string;
  ipAddress: string | undefined;
  connected: boolean;
  needsCustomization: boolean;
}

export interface Vm {
  id: string;
  vappId: string;
  moRef: string;
  name: string;
  description: string;
  localId: string;
  createdAt: string;
  deployed: boolean;
  storageProfileId: string;
  placementPolicyId: string | undefined;
  sizingPolicyId: string | undefined;
  needsCustomization: boolean;
  nics: VmNic[];
  primaryNicIndex: number | undefined;
  /** Element name -> text, in no order; written in schema order. */
  guestCustomization: Record<string, string>;
  capabilities: { memoryHotAdd: boolean; cpuHotAdd: boolean };
  bootOptions: Record<string, string>;
  metadata: MetadataEntry[];
  productSections: string[];
}

export const NETWORK_NONE = 'none';
