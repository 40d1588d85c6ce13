/**
 * What keeps the repository in order, by schedule and by request, as runs: verifying it, collecting its space, copying to the
 * second site, keeping locked restore points; and what brings the catalog back from it.
 *
 * It promises that what is damaged is named down to the vApp, VM, disk and byte range, and that a due time makes exactly one run,
 * however many instances there are. How it is
 * found, and why collecting loses nothing, is the repository's business (docs/concurrency.md).
 */
export { MaintenanceModule } from './maintenance.module.js';
export { type RebuildReport, rebuildCatalog } from './rebuild-catalog.js';
