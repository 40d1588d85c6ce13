import { Inject, Injectable } from '@nestjs/common';
import { CancelledError, sleep } from '../common/index.js';
import { runNotFound } from './run.service.js';
import { errorForLog } from './run-failure.js';
import { RunStore } from './run-store.js';
import { isFinal } from './run-view.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';
import type { RunView } from './types.js';

/** One reader's slot: only the newest view is kept, so a slow reader skips and never piles up. */
class Subscription {
  private latest: RunView | undefined;
  private wake: (() => void) | undefined;

  offer(view: RunView): void {
    this.latest = view;
    this.wake?.();
  }

  /** @returns undefined on abort. */
  async next(signal: AbortSignal): Promise<RunView | undefined> {
    if (this.latest === undefined && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = () => {
          signal.removeEventListener('abort', done);
          this.wake = undefined;
          resolve();
        };
        this.wake = done;
        signal.addEventListener('abort', done);
      });
    }
    const view = signal.aborted ? undefined : this.latest;
    this.latest = undefined;
    return view;
  }
}

/**
 * Changes of runs, wherever they are carried out. One small query per poll for all watched runs of
 * this process together; a run is read once per change, however many listen.
 */
@Injectable()
export class RunEvents {
  private readonly subscriptions = new Map<string, Set<Subscription>>();
  private readonly seen = new Map<string, number>();
  private readonly stopping = new AbortController();
  private loop: Promise<void> | undefined;

  constructor(
    private readonly store: RunStore,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  /**
   * The run as it is, then each change, ending after the final state, on abort, or when the service stops.
   * @throws JobsError RUN_NOT_FOUND at the first step.
   */
  async *watch(runId: string, signal: AbortSignal): AsyncGenerator<RunView, void, void> {
    const ended = AbortSignal.any([signal, this.stopping.signal]);
    const subscription = this.subscribe(runId);
    try {
      // Subscribed before the first read: a change between the two is seen twice rather than never.
      let view = await this.store.view(runId);
      if (view === undefined) throw runNotFound(runId);
      while (view !== undefined && !ended.aborted) {
        yield view;
        if (isFinal(view.state)) return;
        view = await subscription.next(ended);
      }
    } finally {
      this.unsubscribe(runId, subscription);
    }
  }

  async stop(): Promise<void> {
    this.stopping.abort(new CancelledError('The service is stopping'));
    await this.loop;
  }

  private subscribe(runId: string): Subscription {
    const subscription = new Subscription();
    const others = this.subscriptions.get(runId);
    if (others === undefined) this.subscriptions.set(runId, new Set([subscription]));
    else others.add(subscription);
    this.loop ??= this.poll();
    return subscription;
  }

  private unsubscribe(runId: string, subscription: Subscription): void {
    const all = this.subscriptions.get(runId);
    all?.delete(subscription);
    if (all?.size === 0) {
      this.subscriptions.delete(runId);
      this.seen.delete(runId);
    }
  }

  private async poll(): Promise<void> {
    const { signal } = this.stopping;
    while (this.subscriptions.size > 0 && !signal.aborted) {
      await sleep(this.environment.settings.eventPollMs, signal).catch(() => undefined);
      try {
        await this.deliverChanges();
      } catch (error) {
        this.environment.logger.warn({ error: errorForLog(error) }, 'changes of runs could not be read');
      }
    }
    this.loop = undefined;
  }

  private async deliverChanges(): Promise<void> {
    const watched = [...this.subscriptions.keys()];
    if (watched.length === 0 || this.stopping.signal.aborted) return;
    const revisions = await this.store.revisions(watched);
    const changed = watched.filter((id) => revisions.get(id) !== undefined && revisions.get(id) !== this.seen.get(id));
    for (const [id, view] of await this.store.views(changed)) {
      // The revision read before the view: a change between them is delivered again, not missed.
      const revision = revisions.get(id);
      const listeners = this.subscriptions.get(id);
      if (revision === undefined || listeners === undefined) continue;
      this.seen.set(id, revision);
      for (const subscription of listeners) subscription.offer(view);
    }
  }
}
