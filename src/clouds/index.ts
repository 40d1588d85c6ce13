/**
 * The registered clouds: a VCD and its vCenters, with their logins sealed at rest, their sessions
 * shared by this process, their inventories; and how debts to a cloud are paid.
 *
 * It backs up nothing and restores nothing. It promises that a registration was checked against
 * every server it names, that a password leaves the database only to log in, and that sessions
 * are closed when a cloud is removed or the service stops.
 */
export { CloudEntity } from './cloud.entity.js';
export { type CloudRegistration, CloudService } from './cloud.service.js';
export { CloudsModule } from './clouds.module.js';
export { accessDisks, diskPlacesFor, type VddkUse } from './disk-access.js';
export { CloudError, type CloudErrorCode } from './errors.js';
export { accessFirstClassDisk, placeOfFirstClassDisk } from './first-class-disk-access.js';
export { assertNoRevertOwed } from './first-class-disk-debts.js';
export { firstClassDiskRecord, usersOf } from './first-class-disk-listing.js';
export { InventoryAlerts } from './inventory-alerts.js';
export { matchNamedDisks } from './named-disk-devices.js';
export { remedyOf } from './obligation-remedies.js';
export { cloudPayers, follows, type ObligationKind, type ObligationTerms, owe, payerOptions } from './obligations.js';
export { prepareForAccess } from './prepare-for-access.js';
export type * from './types.js';
export { vixDiskTarget, vixTarget } from './vix-target.js';
