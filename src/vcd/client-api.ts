import type { VcdAccountFacts } from './account.js';
import type {
  AccessControl,
  DiskProfile,
  ImportStandaloneVm,
  MediaCapture,
  NamedDiskCapture,
  NewMedia,
  NewNamedDisk,
  NewTemplate,
  VmHardware,
  WantedAffinityRule,
  CloudResourceKind,
  CloudResourceRecord,
  ImportVmAsVapp,
  ImportVmIntoVapp,
  MediaRecord,
  MetadataEntry,
  NamedDiskRecord,
  OrganizationRecord,
  StartupItem,
  VappCapture,
  VappNetwork,
  VappRecord,
  VappTemplateRecord,
  VcdReference,
  VdcRecord,
  VdcResources,
  VimServerRecord,
  VmCapture,
  VmRecord,
} from './types.js';

/** Every failure is a VcdError. Every wait takes a signal. Task-returning calls wait for their task. */
export interface VcdClientApi {
  readonly apiVersion: string;
  organizations(signal?: AbortSignal): AsyncIterable<OrganizationRecord>;
  vdcs(signal?: AbortSignal): AsyncIterable<VdcRecord>;
  vapps(filter?: string, signal?: AbortSignal): AsyncIterable<VappRecord>;
  vms(filter?: string, signal?: AbortSignal): AsyncIterable<VmRecord>;
  vimServers(signal?: AbortSignal): Promise<VimServerRecord[]>;
  /** Who is logged in, and what VCD lets them do with its vCenters. */
  account(signal?: AbortSignal): Promise<VcdAccountFacts>;
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
  /** A vApp template, in the form of a vApp: kind 'vapp-template'. @throws VcdError TEMPLATE_NOT_FOUND */
  captureVappTemplate(templateHref: string, signal?: AbortSignal): Promise<VappCapture>;
  /** @throws VcdError MEDIA_NOT_FOUND */
  captureMedia(mediaHref: string, signal?: AbortSignal): Promise<MediaCapture>;
  /** The tasks of a template or medium, as of a vApp. */
  waitForEntityTasks(href: string, timeoutMs: number, signal?: AbortSignal): Promise<void>;
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

  /** A VM that stands alone: VCD makes a hidden vApp (isAutoNature) around it. A half-made one is deleted. */
  importStandaloneVm(params: ImportStandaloneVm, signal?: AbortSignal): Promise<{ vappHref: string; vmHref: string }>;

  /** Named disks of that name in a VDC. */
  findNamedDisks(vdcHref: string, name: string, signal?: AbortSignal): Promise<VcdReference[]>;
  /** Undefined when it is gone. */
  readNamedDisk(diskHref: string, signal?: AbortSignal): Promise<NamedDiskCapture | undefined>;
  /** A failed task's half-made disk is deleted. */
  createNamedDisk(vdcHref: string, disk: NewNamedDisk, signal?: AbortSignal): Promise<{ href: string; id: string }>;
  /** VCD chooses the place where none is given. @throws VcdError */
  attachNamedDisk(
    vmHref: string,
    diskHref: string,
    place: { busNumber?: number; unitNumber?: number },
    signal?: AbortSignal,
  ): Promise<void>;
  /** Not attached is success. */
  detachNamedDisk(vmHref: string, diskHref: string, signal?: AbortSignal): Promise<void>;
  /** Name and description, which VCD changes only while the disk is attached to nothing; owner where given; metadata. */
  writeNamedDisk(
    diskHref: string,
    wanted: { name: string; description?: string; ownerHref?: string; metadata: readonly MetadataEntry[] },
    signal?: AbortSignal,
  ): Promise<void>;
  /** Absent is success; an attached one is refused. */
  deleteNamedDisk(diskHref: string, signal?: AbortSignal): Promise<void>;

  /** Each rule is there afterwards, found by name, polarity and a VM in common, with (at least) these VMs; other rules are left alone. */
  writeAffinityRules(vdcHref: string, rules: readonly WantedAffinityRule[], signal?: AbortSignal): Promise<void>;
  /** CPU, cores per socket and memory of a VM that is off. */
  writeHardware(vmHref: string, hardware: VmHardware, signal?: AbortSignal): Promise<void>;
  /** Storage profiles of single disks (DiskSettings, overrideVmDefault). */
  writeDiskProfiles(vmHref: string, disks: readonly DiskProfile[], signal?: AbortSignal): Promise<void>;

  /** By exact name; undefined when the catalog has no such item. */
  findInCatalog(
    catalogHref: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<{ itemHref: string; entityHref: string; kind: 'vapp-template' | 'media' } | undefined>;
  /** A copy of what another VCD publishes: nothing is put into it here. */
  isSubscribedCatalog(catalogHref: string, signal?: AbortSignal): Promise<boolean>;
  /** Copies a vApp into a catalog (captureVApp, customizeOnInstantiate as captured). A half-made one is deleted. */
  createTemplate(params: NewTemplate, signal?: AbortSignal): Promise<{ templateHref: string }>;
  /** Name, description, gold master, lease, customization, metadata of the template, its item and its VMs, product sections. The owner: writeOwner. */
  writeTemplate(templateHref: string, captured: VappCapture, signal?: AbortSignal): Promise<void>;
  /** Absent is success. */
  deleteTemplate(templateHref: string, signal?: AbortSignal): Promise<void>;
  /**
   * The bytes of a medium, in order. VCD makes a file for it to be fetched from (enableDownload); `endMediaDownload` gives
   * it back, and is owed from before this call.
   */
  downloadMedia(
    mediaHref: string,
    signal?: AbortSignal,
  ): Promise<{
    sizeBytes: number;
    /** Somebody else had VCD make that file: it is theirs to give back. */
    alreadyEnabled: boolean;
    body: AsyncIterable<Buffer>;
  }>;
  /** Not enabled, or gone, is success. */
  endMediaDownload(mediaHref: string, signal?: AbortSignal): Promise<void>;
  /**
   * @param created is told the address as soon as there is one, before bytes are sent
   * @param body the bytes from an offset on: a broken upload goes on from what VCD has
   */
  uploadMedia(
    media: NewMedia,
    body: (offsetBytes: number) => AsyncIterable<Buffer>,
    created: (mediaHref: string) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<{ mediaHref: string; itemHref: string }>;
  /** Name, description, owner where given, metadata of the medium and its item. */
  writeMedia(mediaHref: string, captured: MediaCapture, ownerHref: string | undefined, signal?: AbortSignal): Promise<void>;
  /** Absent is success. */
  deleteMedia(mediaHref: string, signal?: AbortSignal): Promise<void>;

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
  /** Of a vApp, template, medium or named disk. */
  writeOwner(entityHref: string, ownerHref: string, signal?: AbortSignal): Promise<void>;
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
