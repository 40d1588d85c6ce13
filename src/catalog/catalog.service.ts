import { Injectable } from '@nestjs/common';
import type { Page } from './cursor.js';
import { IdentityService, type VmAliases } from './identity.service.js';
import { type InventoryCounts, type InventoryOptions, InventoryService } from './inventory.service.js';
import type { InventorySource } from './listing-writer.js';
import { type ResourceQuery, ResourceQueryService } from './resource-query.service.js';
import { type RestorePointQuery, RestorePointService, type RestorePointSummary, type RestorePointUse } from './restore-point.service.js';
import type {
  CatalogApi,
  CatalogVapp,
  CloudResourceView,
  DiskBase,
  NamedDiskView,
  OrganizationView,
  RestorePointRow,
  VappDetail,
  VappView,
  VdcView,
} from './types.js';
import { type VappQuery, VappQueryService, type VmName } from './vapp-query.service.js';

/** The catalog as other rooms see it. */
@Injectable()
export class CatalogService implements CatalogApi {
  constructor(
    private readonly identity: IdentityService,
    private readonly inventory: InventoryService,
    private readonly restorePoints: RestorePointService,
    private readonly vapps: VappQueryService,
    private readonly resources: ResourceQueryService,
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

  knownInstanceUuids(cloudId: string, vcloudId: string): Promise<string[]> {
    return this.identity.knownInstanceUuids(cloudId, vcloudId);
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

  restorePoint(id: string): Promise<RestorePointRow | undefined> {
    return this.restorePoints.find(id);
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

  /** What has restore points stays for them; the rest of the cloud's inventory goes. */
  forgetCloud(cloudId: string): Promise<void> {
    return this.inventory.forget(cloudId);
  }
}
