import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AdoptionService } from './adoption.service.js';
import type { Page } from './cursor.js';
import { FirstClassDiskService } from './first-class-disk.service.js';
import { HalfWrittenDisks } from './half-written-disks.js';
import { IdentityService, type VmAliases } from './identity.service.js';
import { type InventoryCounts, type InventoryOptions, InventoryService } from './inventory.service.js';
import { LegalHoldService } from './legal-hold.service.js';
import type { InventorySource } from './listing-writer.js';
import { readManifestContent } from './read-manifest-content.js';
import { type ResourceQuery, ResourceQueryService } from './resource-query.service.js';
import {
  type RestorePointKeeper,
  type RestorePointQuery,
  RestorePointService,
  type RestorePointSummary,
  type RestorePointUse,
} from './restore-point.service.js';
import type {
  CatalogApi,
  CatalogFirstClassDisk,
  CatalogVapp,
  CloudResourceView,
  DiskBase,
  FirstClassDiskListing,
  FirstClassDiskQuery,
  FirstClassDiskRecord,
  FirstClassDiskView,
  NamedDiskView,
  OrganizationView,
  RestorePointRow,
  VappDetail,
  VappView,
  VdcView,
} from './types.js';
import { type SourcesQuery, type VappQuery, VappQueryService, type VmName } from './vapp-query.service.js';

/** The catalog as other rooms see it. */
@Injectable()
export class CatalogService implements CatalogApi {
  constructor(
    private readonly identity: IdentityService,
    private readonly inventory: InventoryService,
    private readonly restorePoints: RestorePointService,
    private readonly vapps: VappQueryService,
    private readonly resources: ResourceQueryService,
    private readonly adoption: AdoptionService,
    private readonly firstClassDisks: FirstClassDiskService,
    private readonly halfWrittenDisks: HalfWrittenDisks,
    private readonly holds: LegalHoldService,
  ) {}

  vapp(vappId: string): Promise<CatalogVapp | undefined> {
    return this.vapps.find(vappId);
  }

  vappDetail(vappId: string): Promise<VappDetail | undefined> {
    return this.vapps.detail(vappId);
  }

  /** @throws CatalogError CURSOR_INVALID. */
  listVapps(query: VappQuery): Promise<Page<VappView>> {
    return this.vapps.list(query);
  }

  /** vApps, standalone VMs, templates, media and first class disks of a cloud, by name, in pages. */
  sourcesOf(cloudId: string, query: SourcesQuery): AsyncGenerator<VappView[]> {
    return this.vapps.sourcesOf(cloudId, query);
  }

  /** VMs of many vApps at once, by our id of the vApp. */
  vmsOfVapps(vappIds: readonly string[]): Promise<Map<string, VmName[]>> {
    return this.vapps.vmsOf(vappIds);
  }

  organizations(cloudId?: string): Promise<OrganizationView[]> {
    return this.vapps.organizations(cloudId);
  }

  vdcs(cloudId?: string): Promise<VdcView[]> {
    return this.vapps.vdcs(cloudId);
  }

  identifyVm(aliases: Required<VmAliases>, name: string): Promise<string> {
    return this.identity.identifyVm(aliases, name);
  }

  addVmAliases(vmId: string, aliases: VmAliases): Promise<void> {
    return this.identity.addVmAliases(vmId, aliases);
  }

  identifyVapp(cloudId: string, vcloudId: string, name: string): Promise<string> {
    return this.identity.identifyVapp(cloudId, vcloudId, name);
  }

  /** Addresses a vApp had before it was restored under another one. */
  formerVappHrefs(vappId: string): Promise<string[]> {
    return this.identity.formerVappHrefs(vappId);
  }

  addVappAlias(vappId: string, cloudId: string, vcloudId: string): Promise<void> {
    return this.identity.addVappAlias(vappId, cloudId, vcloudId);
  }

  identifyDisk(vmId: string, disk: { deviceKey: number; uuid: string | undefined; label: string }): Promise<string> {
    return this.identity.identifyDisk(vmId, disk);
  }

  diskBase(diskId: string): Promise<DiskBase | undefined> {
    return this.restorePoints.diskBase(diskId);
  }

  formerDisks(vmId: string): Promise<{ diskId: string; deviceKey: number; uuid: string }[]> {
    return this.restorePoints.formerDisks(vmId);
  }

  markHalfWritten(diskId: string, runId: string, sentence: string): Promise<void> {
    return this.halfWrittenDisks.mark(diskId, runId, sentence);
  }

  handHalfWrittenTo(vmId: string, runId: string): Promise<void> {
    return this.halfWrittenDisks.handTo(vmId, runId);
  }

  halfWritten(diskIds: readonly string[]): Promise<Map<string, string>> {
    return this.halfWrittenDisks.among(diskIds);
  }

  /** What a run that came to nothing left half written, one sentence each. */
  halfWrittenBy(runId: string): Promise<string[]> {
    return this.halfWrittenDisks.by(runId);
  }

  knownInstanceUuids(cloudId: string, vcloudId: string): Promise<string[]> {
    return this.identity.knownInstanceUuids(cloudId, vcloudId);
  }

  firstClassDisk(vappId: string): Promise<CatalogFirstClassDisk | undefined> {
    return this.firstClassDisks.find(vappId);
  }

  /** @throws CatalogError CURSOR_INVALID. */
  listFirstClassDisks(query: FirstClassDiskQuery): Promise<Page<FirstClassDiskView>> {
    return this.firstClassDisks.list(query);
  }

  /** All that one vCenter has. */
  saveFirstClassDisks(cloudId: string, listing: FirstClassDiskListing): Promise<void> {
    return this.firstClassDisks.save(cloudId, listing);
  }

  countFirstClassDisks(cloudId: string): Promise<number> {
    return this.firstClassDisks.count(cloudId);
  }

  saveFirstClassDisk(cloudId: string, vcenterInstanceUuid: string, disk: FirstClassDiskRecord): Promise<string> {
    return this.firstClassDisks.saveOne(cloudId, vcenterInstanceUuid, disk);
  }

  async latestRestorePoint(vappId: string, organizationId: string): Promise<string | undefined> {
    return (await this.restorePoints.list({ vappId, organizationId, limit: 1 })).items[0]?.id;
  }

  recordRestorePoint(row: RestorePointRow): Promise<void> {
    return this.restorePoints.record(row);
  }

  /** For whoever is going to restore it. @throws CatalogError RESTORE_POINT_BUSY: it is being deleted. */
  restorePointToRead(id: string): Promise<RestorePointRow | undefined> {
    return this.restorePoints.findToRead(id);
  }

  /** A restore point that something reads cannot be deleted. While the application starts. */
  registerRestorePointUse(use: RestorePointUse): void {
    this.restorePoints.registerUse(use);
  }

  /** A restore point that something wants kept cannot be deleted. While the application starts. */
  registerRestorePointKeeper(keeper: RestorePointKeeper): void {
    this.restorePoints.registerKeeper(keeper);
  }

  restorePoint(id: string): Promise<RestorePointRow | undefined> {
    return this.restorePoints.find(id);
  }

  /** Which of these runs have made restore points that are there, or have half written a disk. */
  async runsNamed(runIds: readonly string[]): Promise<string[]> {
    return [...(await this.restorePoints.runsOf(runIds)), ...(await this.halfWrittenDisks.runsOf(runIds))];
  }

  /** Which of these restore points the catalog has. */
  knownRestorePoints(ids: readonly string[]): Promise<Set<string>> {
    return this.adoption.known(ids);
  }

  /**
   * The rows of a restore point and of all it names, from its manifest; the newest first. What is there stays as it is.
   * @param lockedUntil the lock that is in force, where it was extended since
   * @returns the cloud it came from, and whether the catalog lacked it.
   * @throws CatalogError MANIFEST_UNKNOWN.
   */
  async adoptRestorePoint(
    id: string,
    createdAt: string,
    manifestContent: unknown,
    lockedUntil?: Date,
  ): Promise<{ cloud: { id: string; name: string }; adopted: boolean }> {
    const content = readManifestContent(id, manifestContent);
    return { cloud: content.cloud, adopted: await this.adoption.adoptRestorePoint(id, createdAt, content, lockedUntil) };
  }

  /** Holds that the repository has and the catalog does not. @returns how many there were. */
  adoptLegalHolds(signal?: AbortSignal): Promise<number> {
    return this.holds.adopt(signal);
  }

  /** Clouds that restore points come from and nobody has registered, each with its organizations. */
  formerClouds(registered: readonly string[]): Promise<Map<string, Set<string>>> {
    return this.adoption.formerClouds(registered);
  }

  /** The former cloud turned out to be this one: everything of it is this one's from now on. */
  adoptCloud(formerId: string, cloudId: string): Promise<void> {
    return this.adoption.adoptCloud(formerId, cloudId);
  }

  /** @throws CatalogError CURSOR_INVALID. */
  listRestorePoints(query: RestorePointQuery): Promise<Page<RestorePointSummary>> {
    return this.restorePoints.list(query);
  }

  /** Only after the manifest is gone. @returns false when there was no such row. */
  deleteRestorePointRow(id: string): Promise<boolean> {
    return this.restorePoints.delete(id);
  }

  /** @throws CatalogError CURSOR_INVALID. */
  listResources(query: ResourceQuery): Promise<Page<CloudResourceView>> {
    return this.resources.resources(query);
  }

  /** @throws CatalogError CURSOR_INVALID. */
  listNamedDisks(query: ResourceQuery): Promise<Page<NamedDiskView>> {
    return this.resources.namedDisks(query);
  }

  /** All of the cloud the first time, afterwards what VCD says has changed; see InventoryOptions. */
  saveInventory(cloudId: string, source: InventorySource, options?: InventoryOptions, signal?: AbortSignal): Promise<InventoryCounts> {
    return this.inventory.save(cloudId, source, options, signal);
  }

  /** What has restore points stays for them; the rest of the cloud's inventory goes. @param manager of a transaction it is part of. */
  forgetCloud(cloudId: string, manager?: EntityManager): Promise<void> {
    return this.inventory.forget(cloudId, manager);
  }
}
