import type { ServerTrust } from '../common/index.js';

export type * from './records.js';

/** How to log in. Without `kind` it is a password. */
export type VcdLogin =
  /** Login name without organization; the provider's is "administrator". */
  | { kind?: 'password'; userName: string; password: string }
  /** A user's API token (VCD 10.3.1, API 36.1): exchanged at /oauth/…/token, stays the same. */
  | { kind: 'api-token'; apiToken: string }
  /** A service account's API token is good for one exchange, which answers with the next one. */
  | { kind: 'service-account'; token: RotatingToken };

/** A token that each use replaces. The keeper serializes uses, over all processes, and stores the new token before it answers. */
export interface RotatingToken {
  /** @param exchange uses the present token and answers with the next one; its value is handed on once that is stored durably. */
  rotate<T>(exchange: (token: string) => Promise<{ nextToken: string | undefined; value: T }>): Promise<T>;
}

export type VcdConnection = VcdEndpoint & VcdLogin;

export interface VcdEndpoint {
  /** https://host[:port], without /api. */
  url: string;
  /** "System" for the provider. */
  organization: string;
  trust: ServerTrust;
  /** Asked at every login, and then wins: a password changed meanwhile reaches sessions that are open. */
  currentLogin?: () => Promise<VcdLogin>;
  /** Pins the API version; otherwise the highest of 33.0 … 39.x both sides know. */
  apiVersion?: string;
  requestTimeoutMs?: number;
  /** How often a task is asked. */
  taskPollMs?: number;
  /** How long one task may take; a full copy of a large VM counts in hours. */
  taskTimeoutMs?: number;
  /** How long a busy entity, an operation limit or a dropped connection is waited out before it becomes an error. */
  retryDeadlineMs?: number;
  retryBaseDelayMs?: number;
  /** Requests in flight at once, over all callers of this client. */
  maxConcurrentRequests?: number;
}

export interface VcdReference {
  href: string;
  /** urn:vcloud:… where the answer carries it. */
  id?: string;
  name?: string;
  type?: string;
}

export interface StartupItem {
  vmName: string;
  order: number;
  startAction: string;
  startDelaySeconds: number;
  stopAction: string;
  stopDelaySeconds: number;
  waitingForGuest?: boolean;
}

export interface AccessGrant {
  subject: VcdReference;
  accessLevel: string;
}
export interface AccessControl {
  sharedToEveryone: boolean;
  everyoneAccessLevel?: string;
  grants: AccessGrant[];
}

export type MetadataType = 'MetadataStringValue' | 'MetadataNumberValue' | 'MetadataBooleanValue' | 'MetadataDateTimeValue';
export interface MetadataEntry {
  key: string;
  type: MetadataType;
  value: string;
  domain: 'GENERAL' | 'SYSTEM';
  visibility: 'READWRITE' | 'READONLY' | 'PRIVATE';
}

export interface VappNetwork {
  name: string;
  description?: string;
  fenceMode: 'bridged' | 'isolated' | 'natRouted';
  parent?: VcdReference;
  /** The NetworkConfig element, as XML, for everything else (IP scopes, DHCP, NAT, firewall). */
  xml: string;
}

export interface NicConnection {
  index: number;
  network: string;
  connected: boolean;
  macAddress?: string;
  allocationMode: string;
  ipAddress?: string;
  adapterType?: string;
  primary: boolean;
}

export interface VmDiskSetting {
  instanceId: string;
  sizeMib: number;
  storageProfile?: VcdReference;
  /** True where the disk has a storage profile of its own, other than its VM's. */
  overridesVmProfile?: boolean;
  /** The named (independent) disk that is attached here. */
  namedDisk?: VcdReference;
  busNumber?: number;
  unitNumber?: number;
  adapterType?: string;
}

export interface VmCapture {
  href: string;
  id: string;
  name: string;
  description?: string;
  status: number;
  deployed: boolean;
  localId?: string;
  /** Where vSphere has it: the guide's Figure 8-2. */
  vim: {
    vimServer: VcdReference;
    vmMoRef: string;
    hostMoRef?: string;
    datastoreMoRef?: string;
    diskDatastores: { instanceId: string; moRef: string }[];
    maxChainLength?: number;
  };
  storageProfile?: VcdReference;
  placementPolicy?: VcdReference;
  sizingPolicy?: VcdReference;
  nics: NicConnection[];
  disks: VmDiskSetting[];
  computerName?: string;
  /** VmSpecSection where the version has it, else the OVF hardware section. */
  hardware?: VmHardware;
  /** SnapshotSection, for information: a snapshot of the tenant's is not part of a restore point. */
  snapshot?: SnapshotInformation;
  /** The template it was made from (SYSTEM metadata vm.origin.*). */
  origin?: TemplateOrigin;
  metadata: MetadataEntry[];
  /**
   * Element name -> its XML, for what is written back as it was: GuestCustomizationSection, VmCapabilities, BootOptions,
   * OperatingSystemSection, VirtualHardwareSection … Product sections are kept as one ProductSectionList, the form their
   * own resource has, because an entity may carry several.
   */
  sections: Record<string, string>;
}

export interface VmHardware {
  cpuCount?: number;
  coresPerSocket?: number;
  memoryMib?: number;
  /** vmx-19 … */
  hardwareVersion?: string;
  /** bios | efi; VmSpecSection only. */
  firmware?: string;
  /** VmCapabilities / NestedHypervisorEnabled. */
  nestedHypervisor?: boolean;
  cpuHotAdd?: boolean;
  memoryHotAdd?: boolean;
}

/** What VCD tells of the one snapshot a VM may have there. */
export interface SnapshotInformation {
  createdAt: string;
  poweredOn: boolean;
  sizeBytes: number;
}

export interface TemplateOrigin {
  id?: string;
  name?: string;
  type?: string;
}

/** A VM affinity rule of the VDC that names a VM of the vApp. */
export interface AffinityRule {
  href: string;
  name: string;
  polarity: 'Affinity' | 'Anti-Affinity';
  enabled: boolean;
  mandatory: boolean;
  /** Also VMs of other vApps. */
  vms: VcdReference[];
}

/** A rule as it is to be. */
export interface WantedAffinityRule extends Pick<AffinityRule, 'name' | 'polarity' | 'enabled' | 'mandatory'> {
  vmHrefs: string[];
}

/** A named (independent) disk: an object of the VDC that a VM borrows. */
export interface NamedDiskCapture {
  href: string;
  id: string;
  name: string;
  description?: string;
  sizeMib: number;
  busType: string;
  busSubType?: string;
  sharingType?: string;
  storageProfile?: VcdReference;
  owner?: VcdReference;
  metadata: MetadataEntry[];
  /** Where it was attached in this vApp. */
  attachments: { vmId: string; busNumber?: number; unitNumber?: number }[];
}

export interface VappCapture {
  /** Absent in captures of before content version 2: a vApp. */
  kind?: 'vapp' | 'standalone-vm' | 'vapp-template';
  namedDisks?: NamedDiskCapture[];
  affinityRules?: AffinityRule[];
  origin?: TemplateOrigin;
  /** The VDC's resource pool, where the login's view shows it. Where a restore builds is the target VDC's. */
  resourcePool?: { moRef: string; vimServer?: VcdReference };
  /** Only of a vApp template: where it stands in its catalog. */
  catalogEntry?: CatalogEntry;
  /** Only of a vApp template. */
  goldMaster?: boolean;
  href: string;
  id: string;
  name: string;
  description?: string;
  status: number;
  deployed: boolean;
  organization: VcdReference;
  vdc: VcdReference;
  owner: VcdReference;
  inMaintenanceMode: boolean;
  lease: { deploymentSeconds: number; storageSeconds: number };
  startup: StartupItem[];
  networks: VappNetwork[];
  access: AccessControl;
  metadata: MetadataEntry[];
  vms: VmCapture[];
  sections: Record<string, string>;
  apiVersion: string;
  /** Resource path -> the answer as it came, kept beside the typed form. */
  raw: Record<string, string>;
}

/** The place of a template or medium in a catalog: the catalog item is an entity of its own, with its own metadata. */
export interface CatalogEntry {
  catalog: VcdReference;
  item: VcdReference;
  description?: string;
  metadata: MetadataEntry[];
}

export interface MediaCapture {
  kind: 'media';
  href: string;
  id: string;
  name: string;
  description?: string;
  /** iso | floppy */
  imageType: string;
  sizeBytes: number;
  organization: VcdReference;
  vdc: VcdReference;
  owner?: VcdReference;
  storageProfile?: VcdReference;
  metadata: MetadataEntry[];
  catalogEntry: CatalogEntry;
  apiVersion: string;
  raw: Record<string, string>;
}

/** A difference between two captures in what a person would call the vApp's attributes. */
export interface AttributeDifference {
  path: string;
  expected: unknown;
  actual: unknown;
}

/** One attribute held against another capture: what a restore reports of each. */
export interface AttributeComparison {
  path: string;
  expected: unknown;
  actual: unknown;
  equal: boolean;
}

export interface ImportVmAsVapp {
  vimServerHref: string;
  vmMoRef: string;
  vdcHref: string;
  vappName: string;
  vappDescription?: string;
  vmName: string;
  computerName?: string;
  localId?: string;
  storageProfileHref?: string;
}
export interface ImportVmIntoVapp {
  vimServerHref: string;
  vmMoRef: string;
  vappHref: string;
  vmName: string;
  vmDescription?: string;
  computerName?: string;
  localId?: string;
  storageProfileHref?: string;
}

/** A storage profile of one disk of an imported VM, where it is not its VM's. */
export interface DiskProfile {
  /** By place, because instance ids of an imported VM are VCD's to choose. */
  busNumber: number;
  unitNumber: number;
  adapterType?: string;
  storageProfileHref: string;
}

export interface ImportStandaloneVm {
  vimServerHref: string;
  vmMoRef: string;
  vdcHref: string;
  vmName: string;
  vmDescription?: string;
  computerName?: string;
  localId?: string;
  storageProfileHref?: string;
}

export interface NewNamedDisk {
  name: string;
  description?: string;
  sizeMib: number;
  busType: string;
  busSubType?: string;
  sharingType?: string;
  storageProfileHref?: string;
}

export interface NewTemplate {
  catalogHref: string;
  /** The vApp that is copied into the catalog; powered off. */
  vappHref: string;
  name: string;
  description?: string;
  /** Whether its VMs are customized when it is instantiated; VCD's default where it is left out. */
  customizeOnInstantiate?: boolean;
}

export interface NewMedia {
  catalogHref: string;
  name: string;
  description?: string;
  imageType: string;
  sizeBytes: number;
  storageProfileHref?: string;
}

/** What a restore must find in the VDC it builds in. */
export interface VdcResources {
  href: string;
  id: string;
  name: string;
  organization: VcdReference;
  /** The VDC's resource pool (admin view, VCloudExtension/VimObjectRef or ResourcePoolRefs) and the vCenter that has it. */
  vimServerHref: string;
  resourcePoolMoRef: string;
  storageProfiles: (VcdReference & { isDefault: boolean; enabled: boolean })[];
  /** Organization networks a vApp network may have as parent. */
  networks: VcdReference[];
  /** Of this VDC; the default first. */
  sizingPolicies?: VcdReference[];
  placementPolicies?: VcdReference[];
  /** The organization's limits on leases, in seconds; 0 is "never expires". */
  leaseLimits?: { maxDeploymentSeconds: number; maxStorageSeconds: number; maxTemplateStorageSeconds?: number };
}
