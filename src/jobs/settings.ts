import type { Logger } from '../common/index.js';

/** All times in milliseconds. */
export interface JobsSettings {
  /** Runs carried out at once in this process. */
  concurrency: number;
  /** How often an idle worker asks the queue; a run made in this process is taken at once. */
  queuePollMs: number;
  leaseRenewMs: number;
  /** A lease not renewed for this long is lost. At least twice `leaseRenewMs`. */
  leaseExpiryMs: number;
  /** How often running runs look for a cancel. */
  cancelPollMs: number;
  sweepMs: number;
  /** For how long a run that has ended is remembered, where nothing needs it any more. */
  rememberMs: number;
  /** How long after its end, or its worker's, a request of a run may still arrive at the outside system. */
  lateRequestMs: number;
  /** Runs of one organization at once, over all workers. */
  runsPerOrganization: number;
  /** How often a run is begun again after a worker died with it, before it counts as the cause. */
  resumesPerRun: number;
  /** For a handler to end once its run was told to; then the run is given up to the sweep, and its place to others. */
  handlerEndMs: number;
  /** For paying one obligation. */
  payTimeoutMs: number;
  payRetryBaseMs: number;
  payRetryMaxMs: number;
  /** After the word to stop, how long runs under way may still go on; then they are aborted and handed over. 0: not at all. */
  drainMs: number;
  /** Between that and the end of the process: aborted runs clean up in it. */
  shutdownGraceMs: number;
  progressMs: number;
  eventPollMs: number;
  eventHeartbeatMs: number;
  /** A client that takes nothing of its events for so long is cut off. */
  eventStallMs: number;
}

/** `lateRequestMs` is three lease times: whoever needs longer leases has slower ways to its clouds, too. */
export const defaultJobsSettings: Readonly<Omit<JobsSettings, 'lateRequestMs'>> = {
  concurrency: 2,
  queuePollMs: 1_000,
  leaseRenewMs: 5_000,
  leaseExpiryMs: 20_000,
  cancelPollMs: 500,
  sweepMs: 5_000,
  rememberMs: 400 * 24 * 60 * 60_000,
  runsPerOrganization: 16,
  resumesPerRun: 3,
  handlerEndMs: 15 * 60_000,
  payTimeoutMs: 5 * 60_000,
  payRetryBaseMs: 30_000,
  payRetryMaxMs: 60 * 60_000,
  drainMs: 0,
  shutdownGraceMs: 20_000,
  progressMs: 1_000,
  eventPollMs: 500,
  eventHeartbeatMs: 15_000,
  eventStallMs: 30_000,
};

export interface JobsOptions {
  /** False in the role `api`: runs are made and shown here, and carried out elsewhere. */
  worker: boolean;
  /** postgres://…; the queue keeps a small pool of its own beside TypeORM's. */
  databaseUrl: string;
  logger: Logger;
  settings?: Partial<JobsSettings>;
}

/** What the rooms' classes get: options with every setting filled in. */
export interface JobsEnvironment {
  readonly worker: boolean;
  readonly databaseUrl: string;
  readonly logger: Logger;
  readonly settings: JobsSettings;
  /** Names this process in leases and claims; never the same twice. */
  readonly workerId: string;
}

export const JOBS_ENVIRONMENT = Symbol('JOBS_ENVIRONMENT');

/** @throws RangeError when the lease could not survive one missed renewal. */
export function resolveJobsSettings(given: Partial<JobsSettings> = {}): JobsSettings {
  const leaseExpiryMs = given.leaseExpiryMs ?? defaultJobsSettings.leaseExpiryMs;
  const settings: JobsSettings = { ...defaultJobsSettings, lateRequestMs: 3 * leaseExpiryMs, ...given };
  for (const [name, value] of Object.entries(settings)) {
    const least = name === 'drainMs' ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < least)
      throw new RangeError(`jobs.${name} must be a whole number from ${least}, not ${value}`);
  }
  if (settings.leaseExpiryMs < 2 * settings.leaseRenewMs) {
    throw new RangeError(
      `jobs.leaseExpiryMs (${settings.leaseExpiryMs}) must be at least twice jobs.leaseRenewMs (${settings.leaseRenewMs})`,
    );
  }
  return settings;
}
