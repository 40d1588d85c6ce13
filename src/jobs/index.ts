/**
 * Runs: made in one transaction with their job, taken by exactly one worker, fairly among
 * organizations, carried out under a lease with a heartbeat, watched, cancelled, retried, and ended
 * with their obligations paid; and permits for what all workers together may take of others.
 *
 * It does not know what a backup is. A run whose worker died is undone, then queued again where its
 * kind says so, else failed as WORKER_LOST; unless it had committed or its kind finds that its aim was reached.
 * It promises that a run is carried out by at most one worker at a time, that a debt is in the
 * database before `owe` answers, that every debt is tried until it is paid, by whoever is there, and
 * that what a dead worker held comes back with the end of its lease. Only in a database that was put back
 * from a dump, debts of what may be somebody's by now are left, and runs that write such things are ended.
 */
export { JobsError, type JobsErrorCode } from './errors.js';
export { JobsModule } from './jobs.module.js';
export { ObligationService } from './obligation.service.js';
export { type PermitAccount, PermitService } from './permit.service.js';
export type { RunStanding } from './run-store.js';
export { type AwaitedRun, type FailedRun, type RunFigures, RunHealthService, type StuckDebts } from './run-health.service.js';
export { RunService } from './run.service.js';
export { runViewSchema } from './runs.dto.js';
export { defaultJobsSettings, type JobsOptions, type JobsSettings } from './settings.js';
export type * from './types.js';
