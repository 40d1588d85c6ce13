/**
 * What keeps the repository in order, by schedule and by request, as runs: verifying it, collecting its space, copying to the
 * second site, keeping locked restore points; and what brings the catalog back from it.
 *
 * It promises that what is damaged is named down to the vApp, VM, disk and byte range, and that a due time makes exactly one run,
 * however many instances there are; and that
 * somebody is told of damage for as long as it is there. How it is found, and why collecting loses nothing, is the repository's business (docs/concurrency.md).
 */
export { DamageAlerts } from './damage-alerts.js';
export { MaintenanceModule } from './maintenance.module.js';
export { MaintenanceSchedule } from './maintenance-schedule.js';
export { type RebuildReport, rebuildCatalog } from './rebuild-catalog.js';
