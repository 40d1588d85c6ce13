/**
 * What keeps the repository in order: verifying it and collecting its space, as runs.
 *
 * It promises that what is damaged is named down to the vApp, VM, disk and byte range. How it is
 * found, and why collecting loses nothing, is the repository's business (docs/concurrency.md).
 */
export { MaintenanceModule } from './maintenance.module.js';
