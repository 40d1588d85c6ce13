/**
 * Runs: made in one transaction with their job, taken by exactly one worker, carried out under a
 * lease with a heartbeat, watched, cancelled, and ended with their obligations paid.
 *
 * It does not know what a backup is, and resumes nothing yet: a run whose worker died is undone
 * and failed as WORKER_LOST, unless it had committed or its kind finds that its aim was reached.
 * It promises that a run is carried out by at most one worker at a time, that a debt is in the
 * database before `owe` answers, and that every debt is tried until it is paid, by whoever is there.
 */
export { JobsError, type JobsErrorCode } from './errors.js';
export { JobsModule } from './jobs.module.js';
export { ObligationService } from './obligation.service.js';
export { RunService } from './run.service.js';
export { runViewSchema } from './runs.dto.js';
export { defaultJobsSettings, type JobsOptions, type JobsSettings } from './settings.js';
export type * from './types.js';
