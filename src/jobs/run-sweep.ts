import { Inject, Injectable } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { DataSource } from 'typeorm';
import { CancelledError, inParallel, isRetryable, joinSignals, type Logger, withLogFields } from '../common/index.js';
import { JobsError } from './errors.js';
import { type Lease, LeaseKeeper } from './lease-keeper.js';
import { ObligationService } from './obligation.service.js';
import { pullBackTimes } from './pull-back-times.js';
import type { RunEntity } from './run.entity.js';
import { errorForLog, failureForPeople, isCancellation } from './run-failure.js';
import { RunHistory } from './run-history.js';
import { RunRegistry } from './run-registry.js';
import { RunQueue } from './run-queue.js';
import { type RunOutcome, type RunRecord, RunStore } from './run-store.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';

const INTERVAL = 'jobs.sweep';
/** Lost runs that one process undoes beside each other: as many as a dead worker usually had, and no storm on one VCD. */
const LOST_RUNS_AT_ONCE = 8;
/** Runs whose debts one process pays beside each other at one outside system. */
const INDEBTED_RUNS_AT_ONCE = 2;
/** From one walk through the old runs to the next; a walk takes a batch with each sweep. */
const WALK_PAUSE_MS = 60 * 60_000;
const RESUMED = 'The worker disappeared; another one begins again.';
const REACHED_BEFORE_LOSS = 'The worker disappeared after its work was done; another one did what was left to do.';

/**
 * Finds runs whose worker is gone, debts whose payment failed, and what can be forgotten. Every worker sweeps: whoever
 * finds a lost lease takes it over by compare-and-set, pays by the same code as an ordinary end,
 * and puts the run back into the queue where its kind can be begun again, or ends it.
 */
@Injectable()
export class RunSweep {
  private readonly stopping = new AbortController();
  /** Under way, by what they look for. */
  private readonly rounds = new Map<string, Promise<void>>();
  private readonly ending = new Set<Promise<void>>();
  private nextWalkMs = 0;

  constructor(
    private readonly dataSource: DataSource,
    private readonly store: RunStore,
    private readonly queue: RunQueue,
    private readonly keeper: LeaseKeeper,
    private readonly obligations: ObligationService,
    private readonly registry: RunRegistry,
    private readonly history: RunHistory,
    private readonly scheduler: SchedulerRegistry,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  start(): void {
    this.scheduler.addInterval(
      INTERVAL,
      setInterval(() => this.sweep(), this.environment.settings.sweepMs),
    );
    this.sweep();
  }

  /** A payment under way is aborted; its debt stays and is tried again later. */
  async stop(): Promise<void> {
    this.stopping.abort(new CancelledError('The service is stopping'));
    if (this.scheduler.doesExist('interval', INTERVAL)) this.scheduler.deleteInterval(INTERVAL);
    await Promise.all(this.rounds.values());
    await Promise.all(this.ending);
  }

  /** Never two of the same at once, and none waits for another: a payment may hang for minutes, and a death must be noticed meanwhile. */
  private sweep(): void {
    this.round('times in the future', () => this.pullBackTimes());
    this.round('lost runs', () => this.takeOverLost());
    this.round('debts', () => this.payDue());
    this.round('old runs', () => this.forgetOld());
  }

  /** Never throws. */
  private round(what: string, work: () => Promise<void>): void {
    if (this.stopping.signal.aborted || this.rounds.has(what)) return;
    const round = work()
      .catch((error: unknown) => {
        if (this.stopping.signal.aborted && isCancellation(error)) return;
        this.environment.logger.warn({ error: errorForLog(error) }, `the sweep for ${what} failed`);
      })
      .finally(() => this.rounds.delete(what));
    this.rounds.set(what, round);
  }

  private async pullBackTimes(): Promise<void> {
    const { logger, settings } = this.environment;
    const found = await pullBackTimes(this.dataSource, settings);
    if (found !== undefined) logger.warn({ found }, "the database's clock went back: leases, claims and waits begin anew");
  }

  /** A round for each system: what hangs at one holds up no other one. */
  private async payDue(): Promise<void> {
    for (const [system, runIds] of await this.obligations.due()) this.round(`debts at ${system}`, () => this.payAt(runIds));
  }

  private async payAt(runIds: readonly string[]): Promise<void> {
    const silent = new Set<string>();
    await inParallel(runIds, INDEBTED_RUNS_AT_ONCE, this.stopping.signal, async (runId, signal) => {
      if (await this.obligations.payDue(runId, silent, signal)) await this.store.touch(runId);
    });
  }

  private async forgetOld(): Promise<void> {
    if (performance.now() < this.nextWalkMs) return;
    if (await this.history.forgetSome()) this.nextWalkMs = performance.now() + WALK_PAUSE_MS;
  }

  private async takeOverLost(): Promise<void> {
    while (!this.stopping.signal.aborted && this.ending.size < LOST_RUNS_AT_ONCE) {
      const startedMs = performance.now();
      const owner = this.keeper.newOwner();
      const run = await this.store.takeOverLost(owner, this.environment.settings.leaseExpiryMs);
      if (run === undefined) return;
      const { logger: log } = this.environment;
      const lease = this.keeper.hold(run.id, owner, startedMs);
      const ended = withLogFields({ runId: run.id, kind: run.kind }, () =>
        this.endLost(run, lease, log)
          .catch((error: unknown) => log.warn({ error: errorForLog(error) }, 'the lost run could not be ended yet'))
          .finally(() => this.ending.delete(ended)),
      );
      this.ending.add(ended);
    }
  }

  private async endLost(run: RunEntity, lease: Lease, log: Logger): Promise<void> {
    const { signal } = this.stopping;
    try {
      await this.obligations.lookAgain(run.id);
      const unpaid = await this.obligations.payRun(run.id, signal, log);
      const result = run.result ?? (await this.conclude(run, lease, log));
      // Not ended: its lease runs out again, and the next sweep asks again.
      if (result === 'later' || lease.lost || signal.aborted) return;
      if (result === undefined && (await this.resume(run, lease, unpaid, log))) return;
      const left = result === undefined ? await this.registry.cannotBeUndone(run) : [];
      const outcome: RunOutcome = {
        ...recordOfLost(run, result === undefined ? [...unpaid, ...left] : [REACHED_BEFORE_LOSS, ...unpaid]),
        ...(result === undefined ? lost(run, lease, left) : { state: 'warning', error: null, result }),
      };
      const ended = await this.store.finish(run.id, lease.owner, outcome, true);
      if (ended) log.error({ subject: run.subject, attempt: run.attempt, unpaid: unpaid.length }, 'run ended: its worker was lost');
    } finally {
      this.keeper.release(lease);
    }
  }

  /** What could not be paid is tried again when the next attempt begins, and until then like every debt. */
  private async resume(run: RunEntity, lease: Lease, unpaid: readonly string[], log: Logger): Promise<boolean> {
    const { resumesPerRun } = this.environment.settings;
    // A run that ends its workers (out of memory, a crash of native code) must not end all of them one after the other.
    if (!this.registry.resumable(run) || run.losses >= resumesPerRun) return false;
    const record = recordOfLost(run, [RESUMED, ...unpaid]);
    if (!(await this.store.requeue(run.id, lease.owner, record, this.queue, true))) return false;
    log.warn({ subject: run.subject, attempt: run.attempt, unpaid: unpaid.length }, 'run put back into the queue: its worker was lost');
    this.queue.bell.ring();
    return true;
  }

  /**
   * Whoever cancels waits for the answer, too: what exists counts.
   * @returns 'later' while it cannot be told, such as when the repository is away or hangs: what exists must not be forgotten for that.
   */
  private async conclude(run: RunEntity, lease: Lease, log: Logger): Promise<Record<string, unknown> | 'later' | undefined> {
    const { signal, letGo } = joinSignals(this.stopping.signal, lease.lossSignal);
    try {
      return await this.registry.conclude(run, this.environment.settings.leaseExpiryMs, signal);
    } catch (error) {
      log.warn({ error: errorForLog(error) }, 'whether the lost run had reached its aim could not be told');
      return isRetryable(error) ? 'later' : undefined;
    } finally {
      letGo();
    }
  }
}

/** What a run whose worker is gone has told, and what is to be said of its end. */
export function recordOfLost(run: RunEntity, sentences: readonly string[]): RunRecord {
  const endedAt = new Date().toISOString();
  return {
    steps: run.steps.map((step) =>
      step.state === 'running' ? { ...step, state: 'failed', endedAt, error: 'The worker disappeared.' } : step,
    ),
    progress: run.progress,
    // It may have told some of it before it was lost.
    warnings: [...new Set([...run.warnings, ...sentences])],
  };
}

/** @param left what cannot be undone, one sentence each */
function lost(run: RunEntity, lease: Lease, left: readonly string[]): Pick<RunOutcome, 'state' | 'error' | 'result'> {
  // Asked for before the death was noticed, or since.
  const asked = isCancellation(lease.signal.reason) ? (lease.signal.reason as CancelledError) : undefined;
  if (asked !== undefined || run.cancelRequestedAt !== null) {
    const cancelled = asked ?? new CancelledError(run.cancelReason ?? undefined);
    return { state: 'cancelled', error: failureForPeople(cancelled, run.id), result: null };
  }
  const begun = left.length === 0 ? 'was undone. Start it again.' : `was undone, but for what cannot be. ${left.join(' ')}`;
  const error = new JobsError(`The worker that carried out "${run.subject}" disappeared; what it had begun ${begun}`, {
    code: 'WORKER_LOST',
    subject: run.subject,
    retryable: true,
  });
  return { state: 'failed', error: failureForPeople(error, run.id), result: null };
}
