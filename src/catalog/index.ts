/**
 * Our record of what a cloud has and of what can be restored: organizations, VDCs, vApps, VMs,
 * vApp templates, media, disks, what stands around them, restore points, and who is who among them. It
 * talks to no cloud, and to the repository only to delete a restore point.
 *
 * It promises that an object keeps its id here through restores, that a restore point's row
 * outlives the object it came from, and that nothing counts as vanished before a whole inventory
 * was read. The truth about restore points is in the repository's manifests; rows follow them.
 */
export { CatalogModule } from './catalog.module.js';
export { CatalogService } from './catalog.service.js';
export { decodeCursor, encodeCursor, type Page, pageOf } from './cursor.js';
export { catalogEntities } from './entities.js';
export { CatalogError, type CatalogErrorCode } from './errors.js';
export { knowsRestorePoints } from './knows-restore-points.js';
export { isAttachedDisk } from './first-class-disk.service.js';
export { firstClassDiskUrn, isProviderOrganization, PROVIDER_NAME, providerOrganizationId } from './first-class-disk-id.js';
export type { VmAliases } from './identity.service.js';
export type { InventoryCounts, InventoryOptions } from './inventory.service.js';
export type { InventorySource } from './listing-writer.js';
export * from './manifest-content.js';
export type { ResourceQuery } from './resource-query.service.js';
export { restorePointRow } from './restore-point-row.js';
export { readManifestContent } from './read-manifest-content.js';
export { type RestorePointHold, RestorePointHolds } from './restore-point-holds.js';
export { RestorePointRemoval } from './restore-point-removal.js';
export type { RestorePointQuery, RestorePointSummary } from './restore-point.service.js';
export { type RetainedPoint, RetentionQueryService, type VanishedObject, type Vanishing } from './retention-query.service.js';
export { nounOf, subjectOf } from './source-noun.js';
export type * from './types.js';
export type { VappQuery } from './vapp-query.service.js';
