import type { ServerTrust } from '../common/index.js';

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

export interface OrganizationRecord {
  id: string;
  name: string;
  displayName: string;
  href: string;
  enabled: boolean;
}
export interface VdcRecord {
  id: string;
  name: string;
  href: string;
  organizationId: string;
  organizationName: string;
  enabled: boolean;
}
export interface VappRecord {
  id: string;
  name: string;
  href: string;
  vdcId: string;
  organizationId: string;
  ownerName: string;
  status: string;
  vmCount: number;
  storageKib: number;
  inMaintenanceMode: boolean;
  busy: boolean;
  /** Made by VCD around a standalone VM (isAutoNature): not a vApp of the tenant's. */
  standalone: boolean;
}
export interface VmRecord {
  id: string;
  name: string;
  href: string;
  vappId: string;
  vdcId: string;
  organizationId: string;
  status: string;
  moRef: string;
  vimServerId: string;
  hostName: string;
  datastoreName: string;
  localId: string | undefined;
  /** Of a vApp template, whose id is then in `vappId`. Listed only where asked for. */
  inTemplate: boolean;
}

export interface VappTemplateRecord {
  id: string;
  name: string;
  href: string;
  /** '' where the record does not tell. */
  catalogId: string;
  catalogName: string;
  catalogItemId: string;
  vdcId: string;
  organizationId: string;
  ownerName: string;
  status: string;
  storageKib: number;
  goldMaster: boolean;
  busy: boolean;
}
export interface MediaRecord {
  id: string;
  name: string;
  href: string;
  catalogId: string;
  catalogName: string;
  catalogItemId: string;
  vdcId: string;
  organizationId: string;
  ownerName: string;
  status: string;
  sizeBytes: number;
  busy: boolean;
}
export interface NamedDiskRecord {
  id: string;
  name: string;
  href: string;
  vdcId: string;
  organizationId: string;
  ownerName: string;
  status: string;
  sizeMib: number;
  storageProfileName: string;
  busType: string;
  busSubType: string;
  attachedVmCount: number;
}

/** What stands around vApps: listed for people and for mapping, never changed by us. */
export type CloudResourceKind =
  | 'provider-vdc'
  | 'vcenter'
  | 'datastore'
  | 'storage-profile'
  | 'compute-policy'
  | 'external-network'
  | 'organization-network'
  | 'catalog';
export interface CloudResourceRecord {
  kind: CloudResourceKind;
  /** urn:vcloud:…; made from the href where VCD gives none. */
  id: string;
  name: string;
  href: string;
  /** '' where it belongs to none. */
  organizationId: string;
  vdcId: string;
  /** Attributes of the record worth showing, as VCD names them. */
  details: Record<string, string>;
}
export interface VimServerRecord {
  id: string;
  name: string;
  href: string;
  url: string;
  instanceUuid: string;
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
  /** SnapshotSection, for information: a snapshot of the tenant's is not part of a restore point. */
  metadata: MetadataEntry[];
  /**
   * Element name -> its XML, for what is written back as it was: GuestCustomizationSection, VmCapabilities, BootOptions,
   * OperatingSystemSection, VirtualHardwareSection … Product sections are kept as one ProductSectionList, the form their
   * own resource has, because an entity may carry several.
   */
  sections: Record<string, string>;
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
  leaseLimits?: { maxDeploymentSeconds: number; maxStorageSeconds: number };
}

/** Every failure is a VcdError. Every wait takes a signal. Task-returning calls wait for their task. */
export interface VcdClientApi {
  readonly apiVersion: string;
  organizations(signal?: AbortSignal): AsyncIterable<OrganizationRecord>;
  vdcs(signal?: AbortSignal): AsyncIterable<VdcRecord>;
  vapps(filter?: string, signal?: AbortSignal): AsyncIterable<VappRecord>;
  vms(filter?: string, signal?: AbortSignal): AsyncIterable<VmRecord>;
  vimServers(signal?: AbortSignal): Promise<VimServerRecord[]>;
  vappTemplates(filter?: string, signal?: AbortSignal): AsyncIterable<VappTemplateRecord>;
  /** VMs of vApp templates. */
  templateVms(filter?: string, signal?: AbortSignal): AsyncIterable<VmRecord>;
  media(filter?: string, signal?: AbortSignal): AsyncIterable<MediaRecord>;
  namedDisks(filter?: string, signal?: AbortSignal): AsyncIterable<NamedDiskRecord>;
  resources(kind: CloudResourceKind, signal?: AbortSignal): AsyncIterable<CloudResourceRecord>;
  /** How many there are, by one request. */
  count(kind: 'organizations' | 'vdcs' | 'vapps' | 'vms' | 'vappTemplates' | 'media' | 'namedDisks', signal?: AbortSignal): Promise<number>;
  /** What VCD's events say was touched since then, by VCD's clock (see serverTime): what a refresh has to read again. Undefined where VCD cannot tell that far back. */
  changedSince(
    since: Date,
    signal?: AbortSignal,
  ): Promise<{ vappIds: string[]; vmIds: string[]; templateIds: string[]; mediaIds: string[]; other: boolean } | undefined>;
  /** VCD's own clock: what changedSince() is asked by. */
  serverTime(signal?: AbortSignal): Promise<Date | undefined>;
  /** A filter for the listings: objects of these ids. At most a few dozen: it becomes part of an address. */
  idFilter(ids: readonly string[]): string;
  /** Requests sent by this session so far, repeated ones included. */
  readonly requestCount: number;
  /** A filter for vapps() or vms(): objects that carry this metadata. */
  metadataFilter(entry: Pick<MetadataEntry, 'key' | 'type' | 'value' | 'domain'>): string;
  readMetadata(entityHref: string, signal?: AbortSignal): Promise<MetadataEntry[]>;

  vdcResources(vdcHref: string, signal?: AbortSignal): Promise<VdcResources>;
  /** A user of the organization by name; undefined when there is none (any more). @param organization reference with href or id */
  findUser(organization: VcdReference, name: string, signal?: AbortSignal): Promise<VcdReference | undefined>;
  /** The whole vApp. @throws VcdError VAPP_NOT_FOUND (VCD answers 403 for what is gone). */
  captureVapp(vappHref: string, signal?: AbortSignal): Promise<VappCapture>;
  /** Undefined when there is none. */
  findVapp(
    vdcHref: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<{ href: string; id: string; status: number; vmMoRefs: string[] } | undefined>;
  inMaintenanceMode(vappHref: string, signal?: AbortSignal): Promise<boolean>;
  enterMaintenanceMode(vappHref: string, signal?: AbortSignal): Promise<void>;
  /** A vApp that is gone, or not in maintenance mode, is success. */
  exitMaintenanceMode(vappHref: string, signal?: AbortSignal): Promise<void>;
  /** Waits until neither the vApp nor any of its VMs has a running task (guide: entering does not stop them). */
  waitForRunningTasks(vappHref: string, timeoutMs: number, signal?: AbortSignal): Promise<void>;
  /** Stable under a concurrent read: equal before and after means nobody changed the vApp. */
  fingerprint(capture: VappCapture): string;

  /** 201, then the embedded task. sourceMove=true, deploy=false, powerOn=false. A failed task's half vApp is deleted. */
  importVmAsVapp(params: ImportVmAsVapp, signal?: AbortSignal): Promise<{ vappHref: string; vmHref: string }>;
  importVmIntoExistingVapp(params: ImportVmIntoVapp, signal?: AbortSignal): Promise<{ vmHref: string }>;

  /** Reads, changes, writes back; each answers when VCD has it. */
  writeVapp(vappHref: string, change: { name?: string; description?: string }, signal?: AbortSignal): Promise<void>;
  /** @param parents captured parent network href -> href of today's; a network whose parent is not in it becomes isolated. */
  writeNetworkConfig(
    vappHref: string,
    networks: readonly VappNetwork[],
    parents: ReadonlyMap<string, string>,
    signal?: AbortSignal,
  ): Promise<void>;
  writeStartup(vappHref: string, items: readonly StartupItem[], signal?: AbortSignal): Promise<void>;
  writeLease(vappHref: string, lease: { deploymentSeconds: number; storageSeconds: number }, signal?: AbortSignal): Promise<void>;
  writeOwner(vappHref: string, ownerHref: string, signal?: AbortSignal): Promise<void>;
  writeAccess(vappHref: string, access: AccessControl, signal?: AbortSignal): Promise<void>;
  /** Makes the entity's metadata equal to `entries`: adds, replaces, removes. */
  writeMetadata(entityHref: string, entries: readonly MetadataEntry[], signal?: AbortSignal): Promise<void>;
  /** vApp-level sections kept as XML (ProductSection …). */
  writeVappSections(vappHref: string, sections: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void>;
  /**
   * Name, description, NICs (order, MAC, mode, address, primary), guest customization, capabilities, boot options, policies, product sections.
   */
  writeVm(vmHref: string, captured: VmCapture, options: { keepMacAddresses: boolean }, signal?: AbortSignal): Promise<void>;

  /** Undeploys first when needed; its disks go with it, named disks do not. Absent is success. */
  deleteVm(vmHref: string, signal?: AbortSignal): Promise<void>;
  undeployVm(vmHref: string, action: 'powerOff' | 'shutdown' | 'suspend', signal?: AbortSignal): Promise<void>;

  powerOn(vappHref: string, signal?: AbortSignal): Promise<void>;
  undeploy(vappHref: string, action: 'powerOff' | 'shutdown' | 'suspend', signal?: AbortSignal): Promise<void>;
  /** Undeploys first when needed. Absent is success. */
  deleteVapp(vappHref: string, signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
