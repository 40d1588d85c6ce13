import type { ApiToken } from './api-tokens.js';
import type { KeptEvent } from './events.js';

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
  /** Of vApps only; those of templates are `templateVms`. */
  vms: Vm[];
  catalogs: Catalog[];
  catalogItems: CatalogItem[];
  vappTemplates: VappTemplate[];
  /** `vappId` is the template's id. */
  templateVms: Vm[];
  media: Media[];
  disks: NamedDisk[];
  affinityRules: AffinityRule[];
  /** Absent in clouds that never had one. */
  apiTokens?: ApiToken[];
  /** What an earlier process of this cloud kept; from then on they are the EventLog's. */
  events?: readonly KeptEvent[];
}

/** What a state kept by an earlier simulator lacks, so that its data folder still opens. */
export function completedState(kept: Partial<CloudState> & Omit<CloudState, keyof typeof NEW_LISTS>): CloudState {
  const state: CloudState = { ...structuredClone(NEW_LISTS), ...kept };
  for (const vapp of state.vapps) vapp.autoNature ??= false;
  for (const vm of [...state.vms, ...state.templateVms]) vm.disks ??= [];
  for (const vdc of state.vdcs) vdc.computePolicyIds ??= state.computePolicies.map((policy) => policy.id);
  return state;
}
const NEW_LISTS = {
  catalogs: [] as Catalog[],
  catalogItems: [] as CatalogItem[],
  vappTemplates: [] as VappTemplate[],
  templateVms: [] as Vm[],
  media: [] as Media[],
  disks: [] as NamedDisk[],
  affinityRules: [] as AffinityRule[],
};

export interface Organization {
  id: string;
  name: string;
  fullName: string;
  description: string;
  enabled: boolean;
  /** What a new or imported vApp gets. */
  lease: Lease;
  /** The longest anybody may set; 0 or absent = no limit. It may be below what a vApp was given earlier. */
  leaseLimit?: Lease;
  /** Default and limit for vApp templates; there is only a storage lease. */
  templateStorageLeaseSeconds?: number;
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
  /** Policies published to it; the first sizing policy is its default. */
  computePolicyIds: string[];
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
  /** Usable by every VDC of the organization. */
  shared?: boolean;
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

/** What organizations have and users own. */
interface OrganizationEntity {
  id: string;
  name: string;
  description: string;
  organizationId: string;
  ownerUserId: string | undefined;
  createdAt: string;
  metadata: MetadataEntry[];
}

interface VdcEntity extends OrganizationEntity {
  vdcId: string;
}

/** What VMs are in: vApps and templates. */
interface VmContainer extends VdcEntity {
  /** Set while it is being made, and left when that failed. */
  creation: 'running' | 'failed' | 'done';
  folderMoRef: string;
  startup: StartupItem[];
  networks: VappNetwork[];
  productSections: string[];
}

export interface Vapp extends VmContainer {
  inMaintenanceMode: boolean;
  deployed: boolean;
  lease: Lease;
  /** Subjects are user or organization ids. */
  access: Access;
  /** Made by VCD around a standalone VM; it goes when the VM goes. */
  autoNature: boolean;
}

export interface Catalog extends OrganizationEntity {
  versionNumber: number;
  access: Access;
  /** Where its templates and media are kept; undefined = wherever the organization has room. */
  storageProfileId: string | undefined;
  /** The catalog of another VCD that this one is a copy of: nothing is put into it here. */
  subscribedTo?: string;
}

export interface CatalogItem {
  id: string;
  catalogId: string;
  name: string;
  description: string;
  createdAt: string;
  versionNumber: number;
  entityKind: 'vappTemplate' | 'media';
  entityId: string;
  metadata: MetadataEntry[];
}

export interface VappTemplate extends VmContainer {
  storageLeaseSeconds: number;
  goldMaster: boolean;
  customizeOnInstantiate: boolean;
  /** Set while enableDownload is in force: what stands in the /transfer/ address. */
  transferId: string | undefined;
}

export interface Media extends VdcEntity {
  imageType: 'iso' | 'floppy';
  sizeBytes: number;
  storageProfileId: string;
  /** 0 = being uploaded, 1 = complete, -1 = the upload failed. */
  status: -1 | 0 | 1;
  /** How much of the image is there; pieces may come in any order. */
  receivedRanges: { startByte: number; endByteExclusive: number }[];
  /** In the data folder, below "media". */
  fileName: string;
  uploadTransferId: string | undefined;
  uploadTaskId: string | undefined;
  downloadTransferId: string | undefined;
}

/** A disk of its own ("named", "independent"). Attached, its file is a VirtualDisk device of the VM. */
export interface NamedDisk extends VdcEntity {
  sizeBytes: number;
  busSubType: 'buslogic' | 'lsilogic' | 'lsilogicsas' | 'VirtualSCSI';
  /** Only a seed makes shared ones, and their files still have one writer. */
  sharingType?: 'DiskSharing' | 'ControllerSharing';
  storageProfileId: string;
  creation: 'running' | 'failed' | 'done';
  /** "[datastore] folder/name.vmdk" while it is detached; attached, the VM's device knows. */
  path: string;
  uuid: string;
  attachedVmId: string | undefined;
}

export interface AffinityRule {
  id: string;
  name: string;
  vdcId: string;
  polarity: 'Affinity' | 'Anti-Affinity';
  enabled: boolean;
  mandatory: boolean;
  vmIds: string[];
}

/** What VCD knows of a disk of a VM beyond vSphere's device; a disk without an entry is on the VM's profile. */
export interface VmDisk {
  /** VirtualDevice.key. */
  deviceKey: number;
  /** Set where it is not the VM's: overrideVmDefault. */
  storageProfileId: string | undefined;
  namedDiskId: string | undefined;
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
  disks: VmDisk[];
}

export const NETWORK_NONE = 'none';
