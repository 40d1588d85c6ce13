import { Inject, Injectable } from '@nestjs/common';
import { CancelledError, describeError, type Logger, retry, sleep } from '../common/index.js';
import { JobsError } from './errors.js';
import { type Lease, LeaseKeeper } from './lease-keeper.js';
import { ObligationService } from './obligation.service.js';
import type { RunEntity } from './run.entity.js';
import { errorForLog, failureForPeople, isCancellation } from './run-failure.js';
import { RunQueue } from './run-queue.js';
import type { RunLedger } from './run-ledger.js';
import { RunRecorder } from './run-recorder.js';
import { RunRegistry } from './run-registry.js';
import { type RunOutcome, RunStore } from './run-store.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';
import type { RunContext } from './types.js';

type HandlerEnd = { result: Record<string, unknown> } | { error: unknown };

/** Takes runs from the queue and carries them out, a fixed number at once. */
@Injectable()
export class RunWorker {
  private readonly stopTaking = new AbortController();
  private readonly graceOver = new AbortController();
  private readonly executions = new Map<Lease, Promise<void>>();
  private lanes: Promise<void>[] = [];

  constructor(
    private readonly store: RunStore,
    private readonly queue: RunQueue,
    private readonly keeper: LeaseKeeper,
    private readonly registry: RunRegistry,
    private readonly obligations: ObligationService,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  start(): void {
    if (this.lanes.length > 0) return;
    this.lanes = Array.from({ length: this.environment.settings.concurrency }, () => this.lane());
  }

  /**
   * Takes no more runs, aborts those under way and lets them clean up within the grace time. What
   * is not finished then keeps its row and debts; the sweep of another worker, or of the next
   * start, finds the lease lost.
   */
  async stop(): Promise<void> {
    this.stopTaking.abort(new CancelledError('The service is stopping'));
    for (const lease of this.executions.keys()) lease.abort(serviceStopping());
    const finished = Promise.all(this.lanes);
    const graceMs = this.environment.settings.shutdownGraceMs;
    const timer = new AbortController();
    await Promise.race([finished, sleep(graceMs, timer.signal).catch(() => undefined)]);
    timer.abort();
    this.graceOver.abort(serviceStopping());
  }

  private async lane(): Promise<void> {
    const { signal } = this.stopTaking;
    while (!signal.aborted) {
      const claimed = await this.claim();
      if (claimed === undefined) await this.queue.nextRing(this.environment.settings.queuePollMs, signal);
      else if (claimed !== 'gone') await this.carryOut(claimed.run, claimed.lease);
    }
  }

  private async claim(): Promise<{ run: RunEntity; lease: Lease } | 'gone' | undefined> {
    const startedMs = performance.now();
    try {
      const run = await this.store.claim(this.queue, this.environment.workerId, this.environment.settings.leaseExpiryMs);
      if (run === undefined || run === 'gone') return run;
      return { run, lease: this.keeper.hold(run.id, startedMs) };
    } catch (error) {
      this.environment.logger.warn({ error: errorForLog(error) }, 'the run queue could not be asked');
      return undefined;
    }
  }

  private async carryOut(run: RunEntity, lease: Lease): Promise<void> {
    const log = this.environment.logger.child({ runId: run.id, kind: run.kind });
    const execution = this.execute(run, lease, log).catch((error: unknown) => {
      log.error({ error: errorForLog(error) }, `the end of the run could not be recorded: ${describeError(error)}`);
    });
    this.executions.set(lease, execution);
    if (this.stopTaking.signal.aborted) lease.abort(serviceStopping());
    await execution;
    this.executions.delete(lease);
    this.keeper.release(lease);
  }

  private async execute(run: RunEntity, lease: Lease, log: Logger): Promise<void> {
    log.info({ subject: run.subject, attempt: run.attempt }, 'run started');
    const recorder = new RunRecorder(this.store, lease, log, this.environment.settings.progressMs);
    const ledger = this.obligations.ledger(lease, log);
    const end = await this.handle(run, lease, recorder, ledger, log);
    // Cancelled, cut off or timed out in the middle of a request: nobody waits for its answer, and it may still be done.
    if ('error' in end && !lease.lost) await this.obligations.lookAgain(run.id);
    const unpaid = lease.lost ? [] : await this.obligations.payRun(run.id, this.graceOver.signal, log);
    for (const sentence of unpaid) recorder.warn(sentence);
    const outcome = this.judge(run, lease, end, ledger, await recorder.close());
    if (lease.lost) {
      await this.retry(
        () => true,
        () => ledger.reopen(),
      );
      log.error({ error: errorForLog(lease.signal.reason) }, 'run lost: another worker pays its debts and ends it');
      return;
    }
    const recorded = await this.finish(run.id, lease, outcome);
    if (!recorded) throw new JobsError(`Run ${run.id} was taken over while it ended.`, { code: 'LEASE_LOST', subject: run.subject });
    const facts = { subject: run.subject, state: outcome.state, warnings: outcome.warnings.length };
    if ('error' in end) log.error({ ...facts, error: errorForLog(end.error) }, 'run ended');
    else log.info(facts, 'run ended');
  }

  private async handle(run: RunEntity, lease: Lease, recorder: RunRecorder, ledger: RunLedger, log: Logger): Promise<HandlerEnd> {
    const context: RunContext = {
      runId: run.id,
      signal: lease.signal,
      log,
      step: (name, work) => recorder.step(name, work),
      progress: (key, value) => recorder.progress(key, value),
      warn: (message) => recorder.warn(message),
      obligations: ledger,
      commit: (result, kept, follows) => ledger.commit(result, kept, follows),
    };
    try {
      for (const sentence of await this.obligations.payEarlier(run.id, lease.signal, log)) recorder.warn(`An earlier run: ${sentence}`);
      const handler = this.registry.handler(run.kind);
      // Each kind's room wrote the payload it reads; the registry cannot know its type.
      return { result: await handler(run.payload as never, context) };
    } catch (error) {
      return { error };
    }
  }

  private judge(
    run: RunEntity,
    lease: Lease,
    end: HandlerEnd,
    ledger: RunLedger,
    record: Pick<RunOutcome, 'steps' | 'progress' | 'warnings'>,
  ): RunOutcome {
    if ('result' in end) {
      const state = record.warnings.length > 0 ? 'warning' : 'succeeded';
      return { ...record, state, result: end.result, error: null };
    }
    // An abort surfaces as whatever the interrupted call made of it; the reason is the truth.
    const cause: unknown = lease.signal.aborted ? lease.signal.reason : end.error;
    if (ledger.committed !== undefined) {
      const warnings = [...record.warnings, `What came after the aim was reached went wrong: ${failureForPeople(cause, run.id).message}`];
      return { ...record, state: 'warning', warnings, result: ledger.committed, error: null };
    }
    const state = isCancellation(cause) ? 'cancelled' : 'failed';
    return { ...record, state, result: null, error: failureForPeople(cause, run.id) };
  }

  /** A passing fault of the database must not turn a finished run into a lost one. */
  private async finish(runId: string, lease: Lease, outcome: RunOutcome): Promise<boolean> {
    return await this.retry(
      () => !lease.lost,
      () => this.store.finish(runId, lease.owner, outcome),
    );
  }

  private async retry<T>(retryIf: () => boolean, work: () => Promise<T>): Promise<T> {
    const deadlineMs = this.environment.settings.leaseExpiryMs;
    const patience = { attempts: 8, baseDelayMs: 200, maxDelayMs: 3_000, deadlineMs, signal: this.graceOver.signal, retryIf };
    return await retry(patience, work);
  }
}

function serviceStopping(): JobsError {
  return new JobsError('The service was stopped while the run was under way; start the run again.', {
    code: 'SERVICE_STOPPING',
    retryable: true,
  });
}
