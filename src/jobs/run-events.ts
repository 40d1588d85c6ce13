import { Inject, Injectable } from '@nestjs/common';
import { CancelledError, joinSignals, sleep } from '../common/index.js';
import { runNotFound } from './run.service.js';
import { type RunChange, RunChanges } from './run-changes.js';
import { errorForLog } from './run-failure.js';
import { RunStore } from './run-store.js';
import { isFinal } from './run-view.js';
import { JOBS_ENVIRONMENT, type JobsEnvironment } from './settings.js';
import { Subscription } from './subscription.js';
import type { RunView } from './types.js';

/** More than that and whoever was away had better read the list again. */
const MOST_MISSED = 1_000;
const VIEWS_AT_ONCE = 50;

/** What a reader of all runs gets. */
export type FeedEvent =
  /** From here on every change comes; `reset`: some were missed that cannot be caught up with. */
  | { kind: 'ready' | 'reset'; cursor: string }
  /** `cursor` where everything before it was given, too. */
  | { kind: 'run'; run: RunView; cursor: string | undefined };

/**
 * Changes of runs, wherever they are carried out. One small query per poll for all readers of this process together; a run is
 * read once per change, however many listen. Nobody asks the database while nobody listens.
 */
@Injectable()
export class RunEvents {
  private readonly subscriptions = new Set<Subscription>();
  private readonly stopping = new AbortController();
  /** Revisions that were delivered and may be found again. */
  private seen = new Map<string, number>();
  private cursor: Promise<string> | undefined;
  private loop: Promise<void> | undefined;

  constructor(
    private readonly store: RunStore,
    private readonly changes: RunChanges,
    @Inject(JOBS_ENVIRONMENT) private readonly environment: JobsEnvironment,
  ) {}

  /**
   * The run as it is, then each change, ending after the final state, on abort, or when the service stops. A slow reader gets
   * the newest and never what was between.
   * @param organizationId whose runs the reader may see.
   * @throws JobsError RUN_NOT_FOUND at the first step.
   */
  async *watch(runId: string, organizationId: string | undefined, signal: AbortSignal): AsyncGenerator<RunView, void, void> {
    // Subscribed before the first read: a change between the two is seen twice rather than never.
    const subscription = await this.subscribe(({ id }) => id === runId);
    const { signal: ended, letGo } = joinSignals(signal, this.stopping.signal);
    try {
      let view = await this.store.view(runId);
      if (view === undefined || (organizationId !== undefined && view.organizationId !== organizationId)) throw runNotFound(runId);
      while (view !== undefined && !ended.aborted) {
        yield view;
        if (isFinal(view.state)) return;
        view = (await subscription.next(ended))?.view;
      }
    } finally {
      letGo();
      this.unsubscribe(subscription);
    }
  }

  /**
   * Every change of every run the reader may see, until abort or until the service stops; and until the reader is so far
   * behind that it would fill the memory.
   * @param since a cursor it got before: what it has missed comes first.
   */
  async *follow(organizationId: string | undefined, since: string | undefined, signal: AbortSignal): AsyncGenerator<FeedEvent, void, void> {
    const subscription = await this.subscribe((change) => organizationId === undefined || change.organizationId === organizationId);
    const { signal: ended, letGo } = joinSignals(signal, this.stopping.signal);
    try {
      const begin = await this.changes.now();
      yield* this.missed(organizationId, since, begin);
      while (!ended.aborted) {
        const next = await subscription.next(ended);
        if (next === undefined) return;
        yield { kind: 'run', run: next.view, cursor: next.cursor };
      }
    } finally {
      letGo();
      this.unsubscribe(subscription);
    }
  }

  async stop(): Promise<void> {
    this.stopping.abort(new CancelledError('The service is stopping'));
    await this.loop;
  }

  private async *missed(
    organizationId: string | undefined,
    since: string | undefined,
    begin: string,
  ): AsyncGenerator<FeedEvent, void, void> {
    if (since === undefined) {
      yield { kind: 'ready', cursor: begin };
      return;
    }
    // A cursor of the future is of another database, or of this one before it was restored.
    const ids = BigInt(since) > BigInt(begin) ? undefined : await this.changes.missed(since, organizationId, MOST_MISSED);
    if (ids === undefined) {
      yield { kind: 'reset', cursor: begin };
      return;
    }
    for (let at = 0; at < ids.length; at += VIEWS_AT_ONCE) {
      const views = await this.store.views(ids.slice(at, at + VIEWS_AT_ONCE));
      for (const run of views.values()) yield { kind: 'run', run, cursor: undefined };
    }
    yield { kind: 'ready', cursor: begin };
  }

  private async subscribe(wants: (change: RunChange) => boolean): Promise<Subscription> {
    const subscription = new Subscription(wants);
    this.subscriptions.add(subscription);
    try {
      // From where the polls begin: known before the caller reads what is there now.
      this.cursor ??= this.changes.now();
      await this.cursor;
    } catch (error) {
      this.cursor = undefined;
      this.unsubscribe(subscription);
      throw error;
    }
    this.loop ??= this.poll();
    return subscription;
  }

  private unsubscribe(subscription: Subscription): void {
    this.subscriptions.delete(subscription);
  }

  private async poll(): Promise<void> {
    const { signal } = this.stopping;
    while (this.subscriptions.size > 0 && !signal.aborted) {
      await sleep(this.environment.settings.eventPollMs, signal).catch(() => undefined);
      if (signal.aborted || this.subscriptions.size === 0) break;
      try {
        await this.deliverChanges();
      } catch (error) {
        this.environment.logger.warn({ error: errorForLog(error) }, 'changes of runs could not be read');
      }
    }
    this.loop = undefined;
    this.cursor = undefined;
    this.seen.clear();
  }

  private async deliverChanges(): Promise<void> {
    const { changes, next } = await this.changes.since((await this.cursor) ?? (await this.changes.now()));
    const readers = [...this.subscriptions];
    const fresh = changes.filter(({ id, revision }) => this.seen.get(id) !== revision);
    const wanted = fresh.filter((change) => readers.some((reader) => reader.wants(change)));
    for (let at = 0; at < wanted.length; at += VIEWS_AT_ONCE) {
      const some = wanted.slice(at, at + VIEWS_AT_ONCE);
      const views = await this.store.views(some.map(({ id }) => id));
      for (const change of some) {
        const view = views.get(change.id);
        if (view === undefined) continue;
        for (const reader of readers) if (reader.wants(change)) reader.offer(view);
      }
    }
    for (const reader of readers) reader.reached(next);
    // Only what the next poll will find again: transactions that were under way at this one.
    this.seen = new Map(changes.map(({ id, revision }) => [id, revision]));
    this.cursor = Promise.resolve(next);
  }
}
