import type { ServerTrust } from '../common/index.js';

export interface VcdConnection {
  /** https://host[:port], without /api. */
  url: string;
  /** Login name without organization; the provider's is "administrator". */
  userName: string;
  password: string;
  /** "System" for the provider. */
  organization: string;
  trust: ServerTrust;
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
  metadata: MetadataEntry[];
  /**
   * Element name -> its XML, for what is written back as it was: GuestCustomizationSection, VmCapabilities, BootOptions,
   * OperatingSystemSection, VirtualHardwareSection … Product sections are kept as one ProductSectionList, the form their
   * own resource has, because an entity may carry several.
   */
  sections: Record<string, string>;
}

export interface VappCapture {
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
}

/** Every failure is a VcdError. Every wait takes a signal. Task-returning calls wait for their task. */
export interface VcdClientApi {
  readonly apiVersion: string;
  organizations(signal?: AbortSignal): AsyncIterable<OrganizationRecord>;
  vdcs(signal?: AbortSignal): AsyncIterable<VdcRecord>;
  vapps(filter?: string, signal?: AbortSignal): AsyncIterable<VappRecord>;
  vms(filter?: string, signal?: AbortSignal): AsyncIterable<VmRecord>;
  vimServers(signal?: AbortSignal): Promise<VimServerRecord[]>;

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
  /** Name, description, NICs (order, MAC, mode, address, primary), guest customization, capabilities, boot options, policies, product sections. */
  writeVm(vmHref: string, captured: VmCapture, options: { keepMacAddresses: boolean }, signal?: AbortSignal): Promise<void>;

  powerOn(vappHref: string, signal?: AbortSignal): Promise<void>;
  undeploy(vappHref: string, action: 'powerOff' | 'shutdown' | 'suspend', signal?: AbortSignal): Promise<void>;
  /** Undeploys first when needed. Absent is success. */
  deleteVapp(vappHref: string, signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
