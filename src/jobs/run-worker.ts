import { Inject, Injectable } from '@nestjs/common';
import {
  CancelledError,
  describeError,
  isRetryable,
  type Logger,
  retry,
  sleep,
  VaultError,
  withLogFields,
  withTimeout,
} from '../common/index.js';
import { JobsError } from './errors.js';
import { type Lease, LeaseKeeper } from './lease-keeper.js';
import { ObligationService } from './obligation.service.js';
import type { RunEntity } from './run.entity.js';
import { errorForLog, failureForPeople, isCancellation } from './run-failure.js';
import { RunQueue } from './run-queue.js';
import type { RunLedger } from './run-ledger.js';
import { RunRecorder } from './run-recorder.js';
import { RunRegistry } from './run-registry.js';
import { type RunOutcome, type RunRecord, RunStore } from './run-store.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';
import type { RunContext } from './types.js';

/** `reached`: the error came after the run had reached its aim. */
type HandlerEnd = { result: Record<string, unknown> } | { error: unknown; reached?: Record<string, unknown> | undefined };
type Release = () => Promise<void>;

/** Takes runs from the queue and carries them out, a fixed number at once. */
@Injectable()
export class RunWorker {
  private readonly stopTaking = new AbortController();
  /** Fired when runs under way have had their time to end by themselves. */
  private readonly drained = new AbortController();
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
   * Takes no more runs and gives those under way time to end. Then they are aborted, clean up within the grace time and go
   * back into the queue where their kind allows it. What is not finished then keeps its row and debts; the sweep of another
   * worker, or of the next start, finds the lease lost.
   */
  async stop(): Promise<void> {
    this.stopTaking.abort(new CancelledError('The service is stopping'));
    const { drainMs, shutdownGraceMs } = this.environment.settings;
    await this.finishedWithin(drainMs);
    this.drained.abort(serviceStopping());
    for (const lease of this.executions.keys()) lease.abort(serviceStopping());
    await this.finishedWithin(shutdownGraceMs);
    this.graceOver.abort(serviceStopping());
  }

  private async finishedWithin(timeoutMs: number): Promise<void> {
    const timer = new AbortController();
    await Promise.race([Promise.all(this.lanes), sleep(timeoutMs, timer.signal).catch(() => undefined)]);
    timer.abort();
  }

  private async lane(): Promise<void> {
    const { signal } = this.stopTaking;
    while (!signal.aborted) {
      const { rings } = this.queue.bell;
      const claimed = await this.claim();
      if (claimed === undefined) await this.queue.bell.next(rings, this.environment.settings.queuePollMs, signal);
      else if (claimed !== 'gone') await this.carryOut(claimed.run, claimed.lease);
    }
  }

  private async claim(): Promise<{ run: RunEntity; lease: Lease } | 'gone' | undefined> {
    const startedMs = performance.now();
    try {
      const { leaseExpiryMs, runsPerOrganization } = this.environment.settings;
      const owner = this.keeper.newOwner();
      const run = await this.store.claim(this.queue, { owner, leaseExpiryMs, runsPerOrganization, kinds: this.registry.kinds });
      if (run === undefined || run === 'gone') return run;
      return { run, lease: this.keeper.hold(run.id, owner, startedMs) };
    } catch (error) {
      this.environment.logger.warn({ error: errorForLog(error) }, 'the run queue could not be asked');
      return undefined;
    }
  }

  private async carryOut(run: RunEntity, lease: Lease): Promise<void> {
    const { logger: log } = this.environment;
    const releases: Release[] = [];
    let giveUp = (): void => undefined;
    const givenUp = new Promise<void>((resolve) => (giveUp = resolve));
    const execution = withLogFields({ runId: run.id, kind: run.kind }, () =>
      this.execute(run, lease, log, releases, giveUp)
        .catch((error: unknown) => {
          log.error({ error: errorForLog(error) }, `the end of the run could not be recorded: ${describeError(error)}`);
        })
        .finally(() => releaseAll(releases, log)),
    );
    this.executions.set(lease, execution);
    if (this.drained.signal.aborted) lease.abort(serviceStopping());
    // One that is given up goes on by itself, as in a worker that was taken for dead, and lets go of what it holds when it ends.
    await Promise.race([execution, givenUp]);
    this.executions.delete(lease);
    this.keeper.release(lease);
  }

  private async execute(run: RunEntity, lease: Lease, log: Logger, releases: Release[], giveUp: () => void): Promise<void> {
    log.info({ subject: run.subject, attempt: run.attempt }, 'run started');
    const recorder = new RunRecorder(this.store, lease, log, this.environment.settings.progressMs, run);
    const ledger = this.obligations.ledger(lease, log);
    const stopWatching = this.watch(run, lease, log, giveUp);
    const end = await this.handle(run, lease, recorder, ledger, log, releases).finally(stopWatching);
    // Cancelled, cut off or timed out in the middle of a request: nobody waits for its answer, and it may still be done.
    if ('error' in end && !lease.lost) await this.obligations.lookAgain(run.id);
    const unpaid = lease.lost ? [] : await this.obligations.payRun(run.id, this.graceOver.signal, log);
    await releaseAll(releases, log);
    for (const sentence of unpaid) recorder.warn(sentence);
    const record = await recorder.close();
    let cancelled: CancelledError | undefined;
    if (this.handsOver(run, lease, end)) {
      if (await this.handOver(run, lease, record, log)) return;
      cancelled = await this.cancelledMeanwhile(lease);
    }
    const outcome = this.judge(run, lease, end, record, cancelled);
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

  /**
   * A handler that does not hear that it is to end keeps its run's debts from being paid, its object from other runs, and
   * a place from all.
   * @returns what ends the watch.
   */
  private watch(run: RunEntity, lease: Lease, log: Logger, giveUp: () => void): () => void {
    const { handlerEndMs } = this.environment.settings;
    let timer: NodeJS.Timeout | undefined;
    const onTimeout = () => {
      log.error(
        { runId: run.id, kind: run.kind, subject: run.subject, attempt: run.attempt, error: errorForLog(lease.signal.reason) },
        `run given up: it was told to end ${Math.round(handlerEndMs / 1000)} s ago and has not; it is undone without it`,
      );
      lease.lose();
      giveUp();
    };
    const onAbort = () => {
      timer = setTimeout(onTimeout, handlerEndMs).unref();
    };
    if (lease.signal.aborted) onAbort();
    else lease.signal.addEventListener('abort', onAbort, { once: true });
    return () => {
      clearTimeout(timer);
      lease.signal.removeEventListener('abort', onAbort);
    };
  }

  private async handle(
    run: RunEntity,
    lease: Lease,
    recorder: RunRecorder,
    ledger: RunLedger,
    log: Logger,
    releases: Release[],
  ): Promise<HandlerEnd> {
    const context: RunContext = {
      runId: run.id,
      attempt: run.attempt,
      signal: lease.signal,
      log,
      step: (name, work) => recorder.step(name, work),
      progress: (key, value) => recorder.progress(key, value),
      expect: (vm, disks) => recorder.expect(vm, disks),
      warn: (message) => recorder.warn(message),
      obligations: ledger,
      atEnd: (release) => releases.push(release),
      commit: (result, kept, follows) => ledger.commit(result, kept, follows),
    };
    try {
      for (const sentence of await this.obligations.payEarlier(run.id, lease.signal, log)) recorder.warn(`An earlier run: ${sentence}`);
      const { leaseExpiryMs } = this.environment.settings;
      const reached = run.attempt > 1 ? await this.registry.conclude(run, leaseExpiryMs, lease.signal) : undefined;
      // A worker that was taken for dead has ended it after all.
      if (reached !== undefined) return { result: reached };
      const handler = this.registry.handler(run.kind);
      // Each kind's room wrote the payload it reads; the registry cannot know its type.
      return { result: await handler(run.payload as never, context) };
    } catch (error) {
      return { error, reached: ledger.committed ?? (await this.reachedAllTheSame(run, lease, log)) };
    }
  }

  /**
   * An answer that was lost - of the commit, or of the row of a restore point whose manifest is there - says nothing of what it was
   * about. A run whose aim exists must not end as failed: nobody would know of what there is.
   */
  private async reachedAllTheSame(run: RunEntity, lease: Lease, log: Logger): Promise<Record<string, unknown> | undefined> {
    if (lease.lost) return undefined;
    const { leaseExpiryMs } = this.environment.settings;
    const ask = async (signal: AbortSignal) =>
      (await this.store.source(run.id))?.result ?? (await this.registry.conclude(run, leaseExpiryMs, signal));
    try {
      return await withTimeout('Asking whether the run had reached its aim', leaseExpiryMs, this.graceOver.signal, (signal) =>
        this.retry(
          (error) => !lease.lost && !signal.aborted && !(error instanceof VaultError && !isRetryable(error)),
          () => ask(signal),
        ),
      );
    } catch (error) {
      log.warn({ error: errorForLog(error) }, 'whether the run had reached its aim could not be told');
      return undefined;
    }
  }

  /** Stopped in the middle by this service's own end: another worker can go on with it. */
  private handsOver(run: RunEntity, lease: Lease, end: HandlerEnd): boolean {
    if (!('error' in end) || lease.lost || end.reached !== undefined || !this.registry.resumable(run)) return false;
    return lease.signal.reason instanceof JobsError && lease.signal.reason.code === 'SERVICE_STOPPING';
  }

  /** @returns false when somebody has asked to cancel the run: then it ends here. */
  private async handOver(run: RunEntity, lease: Lease, record: RunRecord, log: Logger): Promise<boolean> {
    const handedOver = await this.retry(
      () => !lease.lost,
      () => this.store.requeue(run.id, lease.owner, record, this.queue, false),
    );
    if (handedOver) log.info({ subject: run.subject, attempt: run.attempt }, 'run handed over: it waits for another worker');
    return handedOver;
  }

  /** Asked for while the service was stopping already: the lease heard of the stop first. */
  private async cancelledMeanwhile(lease: Lease): Promise<CancelledError | undefined> {
    const held = await this.retry(
      () => !lease.lost,
      () => this.store.look([lease.owner]),
    );
    const { cancelled = false, cancelReason } = held.get(lease.owner) ?? {};
    return cancelled ? new CancelledError(cancelReason ?? undefined) : undefined;
  }

  private judge(run: RunEntity, lease: Lease, end: HandlerEnd, record: RunRecord, cancelled?: CancelledError): RunOutcome {
    if ('result' in end) {
      const state = record.warnings.length > 0 ? 'warning' : 'succeeded';
      return { ...record, state, result: end.result, error: null };
    }
    // An abort surfaces as whatever the interrupted call made of it; the reason is the truth.
    const cause: unknown = cancelled ?? (lease.signal.aborted ? lease.signal.reason : end.error);
    if (end.reached !== undefined) {
      const warnings = [...record.warnings, `What came after the aim was reached went wrong: ${failureForPeople(cause, run.id).message}`];
      return { ...record, state: 'warning', warnings, result: end.reached, error: null };
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

  private async retry<T>(retryIf: (error: unknown) => boolean, work: () => Promise<T>): Promise<T> {
    const deadlineMs = this.environment.settings.leaseExpiryMs;
    const patience = { attempts: 8, baseDelayMs: 200, maxDelayMs: 3_000, deadlineMs, signal: this.graceOver.signal, retryIf };
    return await retry(patience, work);
  }
}

async function releaseAll(releases: Release[], log: Logger): Promise<void> {
  for (let release = releases.pop(); release !== undefined; release = releases.pop()) {
    await release().catch((error: unknown) =>
      log.warn({ error: errorForLog(error) }, 'something a run held in this process was not released'),
    );
  }
}

function serviceStopping(): JobsError {
  return new JobsError('The service was stopped while the run was under way; start the run again.', {
    code: 'SERVICE_STOPPING',
    retryable: true,
  });
}
