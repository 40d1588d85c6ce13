import { type Logger, silentLogger } from '../common/index.js';
import { account, type VcdAccountFacts } from './account.js';
import { writeAffinityRules } from './affinity-rules.js';
import { captureVapp } from './capture.js';
import { captureMedia } from './capture-media.js';
import { readNamedDisk } from './capture-named-disks.js';
import { captureVappTemplate } from './capture-template.js';
import { moRefOf } from './capture-vm.js';
import { fingerprintVapp } from './compare.js';
import { createTemplate, deleteTemplate, findInCatalog, isSubscribedCatalog, writeTemplate } from './catalog-items.js';
import { EntityNames, readVapp, type VcdContext } from './context.js';
import { writeDiskProfiles, writeHardware } from './edit-hardware.js';
import { writeNetworkConfig } from './edit-network.js';
import { writeAccess, writeLease, writeOwner, writeStartup, writeVapp, writeVappSections } from './edit-vapp.js';
import { writeVm } from './edit-vm.js';
import { waitForEntityTasks } from './entity-tasks.js';
import { VcdHttp } from './http.js';
import { importStandaloneVm } from './import-standalone.js';
import { importVmAsVapp, importVmIntoExistingVapp } from './imports.js';
import { changedSince } from './events.js';
import { countKind, serverTime } from './counts.js';
import { findVapp, organizations, templateVms, vapps, vdcs, vimServers, vms } from './inventory.js';
import {
  deleteVapp,
  deleteVm,
  enterMaintenanceMode,
  exitMaintenanceMode,
  inMaintenanceMode,
  powerOn,
  undeploy,
  undeployVm,
  waitForRunningTasks,
} from './lifecycle.js';
import { deleteMedia, downloadMedia, endMediaDownload, uploadMedia, writeMedia } from './media.js';
import { metadataFilter, readMetadata, writeMetadata } from './metadata.js';
import { attachNamedDisk, createNamedDisk, deleteNamedDisk, detachNamedDisk, findNamedDisks, writeNamedDisk } from './named-disks.js';
import { filterValue } from './query.js';
import { resources } from './resources.js';
import { whole } from './sections.js';
import { media, namedDisks, vappTemplates } from './storage-inventory.js';
import { findUser, vdcResources } from './target.js';
import type { VcdClientApi } from './client-api.js';
import type * as types from './types.js';

export interface VcdClientOptions {
  logger?: Logger;
  signal?: AbortSignal;
}

const DEFAULT_TASK_POLL_MS = 2_000;
const DEFAULT_TASK_TIMEOUT_MS = 4 * 3_600_000;

/** One logged-in session to one vCloud Director, safe for concurrent use. */
export class VcdClient implements VcdClientApi {
  readonly #context: VcdContext;

  private constructor(context: VcdContext) {
    this.#context = context;
  }

  /**
   * Reads the versions, checks the certificate and logs in.
   * @throws VcdError HOST_UNREACHABLE, CERTIFICATE_UNTRUSTED, NOT_A_VCD, VERSION_UNSUPPORTED, LOGIN_REFUSED, BAD_CONNECTION
   */
  static async connect(connection: types.VcdConnection, options: VcdClientOptions = {}): Promise<VcdClient> {
    const http = await VcdHttp.connect(connection, options.logger ?? silentLogger, options.signal);
    return new VcdClient({
      http,
      names: new EntityNames(),
      taskPollMs: connection.taskPollMs ?? DEFAULT_TASK_POLL_MS,
      taskTimeoutMs: connection.taskTimeoutMs ?? DEFAULT_TASK_TIMEOUT_MS,
    });
  }

  get apiVersion(): string {
    return this.#context.http.session.apiVersion;
  }

  organizations(signal?: AbortSignal): AsyncIterable<types.OrganizationRecord> {
    return organizations(this.#context, signal);
  }

  vdcs(signal?: AbortSignal): AsyncIterable<types.VdcRecord> {
    return vdcs(this.#context, signal);
  }

  vapps(filter?: string, signal?: AbortSignal): AsyncIterable<types.VappRecord> {
    return vapps(this.#context, filter, signal);
  }

  vms(filter?: string, signal?: AbortSignal): AsyncIterable<types.VmRecord> {
    return vms(this.#context, filter, signal);
  }

  vimServers(signal?: AbortSignal): Promise<types.VimServerRecord[]> {
    return vimServers(this.#context, signal);
  }

  account(signal?: AbortSignal): Promise<VcdAccountFacts> {
    return account(this.#context, signal);
  }

  vappTemplates(filter?: string, signal?: AbortSignal): AsyncIterable<types.VappTemplateRecord> {
    return vappTemplates(this.#context, filter, signal);
  }

  templateVms(filter?: string, signal?: AbortSignal): AsyncIterable<types.VmRecord> {
    return templateVms(this.#context, filter, signal);
  }

  media(filter?: string, signal?: AbortSignal): AsyncIterable<types.MediaRecord> {
    return media(this.#context, filter, signal);
  }

  namedDisks(filter?: string, signal?: AbortSignal): AsyncIterable<types.NamedDiskRecord> {
    return namedDisks(this.#context, filter, signal);
  }

  resources(kind: types.CloudResourceKind, signal?: AbortSignal): AsyncIterable<types.CloudResourceRecord> {
    return resources(this.#context, kind, signal);
  }

  count(kind: Parameters<VcdClientApi['count']>[0], signal?: AbortSignal): Promise<number> {
    return countKind(this.#context, kind, signal);
  }

  changedSince(since: Date, signal?: AbortSignal): ReturnType<VcdClientApi['changedSince']> {
    return changedSince(this.#context, since, signal);
  }

  serverTime(signal?: AbortSignal): Promise<Date | undefined> {
    return serverTime(this.#context, signal);
  }

  get requestCount(): number {
    return this.#context.http.requestCount;
  }

  idFilter(ids: readonly string[]): string {
    return ids.map((id) => `id==${filterValue(id, this.apiVersion)}`).join(',');
  }

  metadataFilter(entry: Pick<types.MetadataEntry, 'key' | 'type' | 'value' | 'domain'>): string {
    return metadataFilter(entry, this.apiVersion);
  }

  readMetadata(entityHref: string, signal?: AbortSignal): Promise<types.MetadataEntry[]> {
    return readMetadata(this.#context, entityHref, signal);
  }

  /** A value for `filter` of vapps() and vms(), escaped as this API version wants it. */
  filterValue(value: string): string {
    return filterValue(value, this.apiVersion);
  }

  vdcResources(vdcHref: string, signal?: AbortSignal): Promise<types.VdcResources> {
    return vdcResources(this.#context, vdcHref, signal);
  }

  findUser(organization: types.VcdReference, name: string, signal?: AbortSignal): Promise<types.VcdReference | undefined> {
    return findUser(this.#context, organization, name, signal);
  }

  captureVapp(vappHref: string, signal?: AbortSignal): Promise<types.VappCapture> {
    return captureVapp(this.#context, vappHref, signal);
  }

  captureVappTemplate(templateHref: string, signal?: AbortSignal): Promise<types.VappCapture> {
    return captureVappTemplate(this.#context, templateHref, signal);
  }

  captureMedia(mediaHref: string, signal?: AbortSignal): Promise<types.MediaCapture> {
    return captureMedia(this.#context, mediaHref, signal);
  }

  waitForEntityTasks(href: string, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    return waitForEntityTasks(this.#context, href, timeoutMs, signal);
  }

  readNamedDisk(diskHref: string, signal?: AbortSignal): Promise<types.NamedDiskCapture | undefined> {
    return readNamedDisk(this.#context, diskHref, signal);
  }

  async findVapp(
    vdcHref: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<{ href: string; id: string; status: number; vmMoRefs: string[] } | undefined> {
    const record = await findVapp(this.#context, vdcHref, name, signal);
    if (record === undefined) return undefined;
    const { root } = await readVapp(this.#context, record.href, signal);
    const moRefs = (root.child('Children')?.childrenNamed('Vm') ?? []).flatMap((vm) => moRefOf(vm) ?? []);
    return { href: record.href, id: record.id, status: whole(root.attribute('status')) ?? 0, vmMoRefs: moRefs };
  }

  inMaintenanceMode(vappHref: string, signal?: AbortSignal): Promise<boolean> {
    return inMaintenanceMode(this.#context, vappHref, signal);
  }

  enterMaintenanceMode(vappHref: string, signal?: AbortSignal): Promise<void> {
    return enterMaintenanceMode(this.#context, vappHref, signal);
  }

  exitMaintenanceMode(vappHref: string, signal?: AbortSignal): Promise<void> {
    return exitMaintenanceMode(this.#context, vappHref, signal);
  }

  async waitForRunningTasks(vappHref: string, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    await waitForRunningTasks(this.#context, vappHref, timeoutMs, signal);
  }

  fingerprint(capture: types.VappCapture): string {
    return fingerprintVapp(capture);
  }

  importVmAsVapp(params: types.ImportVmAsVapp, signal?: AbortSignal): Promise<{ vappHref: string; vmHref: string }> {
    return importVmAsVapp(this.#context, params, signal);
  }

  importVmIntoExistingVapp(params: types.ImportVmIntoVapp, signal?: AbortSignal): Promise<{ vmHref: string }> {
    return importVmIntoExistingVapp(this.#context, params, signal);
  }

  importStandaloneVm(params: types.ImportStandaloneVm, signal?: AbortSignal): Promise<{ vappHref: string; vmHref: string }> {
    return importStandaloneVm(this.#context, params, signal);
  }

  findNamedDisks(vdcHref: string, name: string, signal?: AbortSignal): Promise<types.VcdReference[]> {
    return findNamedDisks(this.#context, vdcHref, name, signal);
  }

  createNamedDisk(vdcHref: string, disk: types.NewNamedDisk, signal?: AbortSignal): Promise<{ href: string; id: string }> {
    return createNamedDisk(this.#context, vdcHref, disk, signal);
  }

  attachNamedDisk(
    vmHref: string,
    diskHref: string,
    place: { busNumber?: number; unitNumber?: number },
    signal?: AbortSignal,
  ): Promise<void> {
    return attachNamedDisk(this.#context, vmHref, diskHref, place, signal);
  }

  detachNamedDisk(vmHref: string, diskHref: string, signal?: AbortSignal): Promise<void> {
    return detachNamedDisk(this.#context, vmHref, diskHref, signal);
  }

  writeNamedDisk(diskHref: string, wanted: Parameters<VcdClientApi['writeNamedDisk']>[1], signal?: AbortSignal): Promise<void> {
    return writeNamedDisk(this.#context, diskHref, wanted, signal);
  }

  deleteNamedDisk(diskHref: string, signal?: AbortSignal): Promise<void> {
    return deleteNamedDisk(this.#context, diskHref, signal);
  }

  writeAffinityRules(vdcHref: string, rules: readonly types.WantedAffinityRule[], signal?: AbortSignal): Promise<void> {
    return writeAffinityRules(this.#context, vdcHref, rules, signal);
  }

  writeHardware(vmHref: string, hardware: types.VmHardware, signal?: AbortSignal): Promise<void> {
    return writeHardware(this.#context, vmHref, hardware, signal);
  }

  writeDiskProfiles(vmHref: string, disks: readonly types.DiskProfile[], signal?: AbortSignal): Promise<void> {
    return writeDiskProfiles(this.#context, vmHref, disks, signal);
  }

  findInCatalog(catalogHref: string, name: string, signal?: AbortSignal): ReturnType<VcdClientApi['findInCatalog']> {
    return findInCatalog(this.#context, catalogHref, name, signal);
  }

  isSubscribedCatalog(catalogHref: string, signal?: AbortSignal): Promise<boolean> {
    return isSubscribedCatalog(this.#context, catalogHref, signal);
  }

  createTemplate(params: types.NewTemplate, signal?: AbortSignal): Promise<{ templateHref: string }> {
    return createTemplate(this.#context, params, signal);
  }

  writeTemplate(templateHref: string, captured: types.VappCapture, signal?: AbortSignal): Promise<void> {
    return writeTemplate(this.#context, templateHref, captured, signal);
  }

  deleteTemplate(templateHref: string, signal?: AbortSignal): Promise<void> {
    return deleteTemplate(this.#context, templateHref, signal);
  }

  downloadMedia(mediaHref: string, signal?: AbortSignal): ReturnType<VcdClientApi['downloadMedia']> {
    return downloadMedia(this.#context, mediaHref, signal);
  }

  endMediaDownload(mediaHref: string, signal?: AbortSignal): Promise<void> {
    return endMediaDownload(this.#context, mediaHref, signal);
  }

  uploadMedia(
    media: types.NewMedia,
    body: (offsetBytes: number) => AsyncIterable<Buffer>,
    created: (mediaHref: string) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<{ mediaHref: string; itemHref: string }> {
    return uploadMedia(this.#context, media, body, created, signal);
  }

  writeMedia(mediaHref: string, captured: types.MediaCapture, ownerHref: string | undefined, signal?: AbortSignal): Promise<void> {
    return writeMedia(this.#context, mediaHref, captured, ownerHref, signal);
  }

  deleteMedia(mediaHref: string, signal?: AbortSignal): Promise<void> {
    return deleteMedia(this.#context, mediaHref, signal);
  }

  writeVapp(vappHref: string, change: { name?: string; description?: string }, signal?: AbortSignal): Promise<void> {
    return writeVapp(this.#context, vappHref, change, signal);
  }

  writeNetworkConfig(
    vappHref: string,
    networks: readonly types.VappNetwork[],
    parents: ReadonlyMap<string, string>,
    signal?: AbortSignal,
  ): Promise<void> {
    return writeNetworkConfig(this.#context, vappHref, networks, parents, signal);
  }

  writeStartup(vappHref: string, items: readonly types.StartupItem[], signal?: AbortSignal): Promise<void> {
    return writeStartup(this.#context, vappHref, items, signal);
  }

  writeLease(vappHref: string, lease: { deploymentSeconds: number; storageSeconds: number }, signal?: AbortSignal): Promise<void> {
    return writeLease(this.#context, vappHref, lease, signal);
  }

  writeOwner(entityHref: string, ownerHref: string, signal?: AbortSignal): Promise<void> {
    return writeOwner(this.#context, entityHref, ownerHref, signal);
  }

  writeAccess(vappHref: string, access: types.AccessControl, signal?: AbortSignal): Promise<void> {
    return writeAccess(this.#context, vappHref, access, signal);
  }

  writeMetadata(entityHref: string, entries: readonly types.MetadataEntry[], signal?: AbortSignal): Promise<void> {
    return writeMetadata(this.#context, entityHref, entries, signal);
  }

  writeVappSections(vappHref: string, sections: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void> {
    return writeVappSections(this.#context, vappHref, sections, signal);
  }

  writeVm(vmHref: string, captured: types.VmCapture, options: { keepMacAddresses: boolean }, signal?: AbortSignal): Promise<void> {
    return writeVm(this.#context, vmHref, captured, options, signal);
  }

  powerOn(vappHref: string, signal?: AbortSignal): Promise<void> {
    return powerOn(this.#context, vappHref, signal);
  }

  undeploy(vappHref: string, action: 'powerOff' | 'shutdown' | 'suspend', signal?: AbortSignal): Promise<void> {
    return undeploy(this.#context, vappHref, action, signal);
  }

  undeployVm(vmHref: string, action: 'powerOff' | 'shutdown' | 'suspend', signal?: AbortSignal): Promise<void> {
    return undeployVm(this.#context, vmHref, action, signal);
  }

  deleteVm(vmHref: string, signal?: AbortSignal): Promise<void> {
    return deleteVm(this.#context, vmHref, signal);
  }

  deleteVapp(vappHref: string, signal?: AbortSignal): Promise<void> {
    return deleteVapp(this.#context, vappHref, signal);
  }

  close(): Promise<void> {
    return this.#context.http.close();
  }
}
