import { setMaxListeners } from 'node:events';
import { Inject, Injectable } from '@nestjs/common';
import { CancelledError, describeError, type Logger, sleep, withTimeout } from '../common/index.js';
import { AlertDelivery } from './alert-delivery.js';
import { type AlertFilter, AlertStore, type MessageCounts } from './alert-store.js';
import { lasting } from './lasting.js';
import { ALERTS_ENVIRONMENT, type AlertsEnvironment } from './settings.js';
import type { AlertFact, AlertSeverity, AlertSource, AlertView } from './types.js';

/** Asks the sources what is wrong, again and again, and keeps the alerts accordingly. */
@Injectable()
export class AlertService {
  private readonly sources = new Map<string, AlertSource>();
  /** Kinds whose source could not answer the last time it was asked. */
  private readonly failing = new Set<string>();
  private readonly stopping = new AbortController();
  private readonly log: Logger;
  private loop: Promise<void> | undefined;

  constructor(
    private readonly store: AlertStore,
    private readonly delivery: AlertDelivery,
    @Inject(ALERTS_ENVIRONMENT) private readonly environment: AlertsEnvironment,
  ) {
    this.log = environment.logger;
    // A listener for each source that is being asked.
    setMaxListeners(0, this.stopping.signal);
  }

  /**
   * Once per kind, while the application starts.
   * @param kind a short constant: it is a label of a metric.
   * @param options.mustLast of what a start of the service ends in a moment: it counts once it has lasted.
   * @throws Error when the kind has a source: two would resolve each other's alerts.
   */
  registerSource(kind: string, look: AlertSource, options: { mustLast?: boolean } = {}): void {
    if (this.sources.has(kind)) throw new Error(`Alerts of kind "${kind}" already have a source`);
    this.sources.set(kind, options.mustLast ? lasting(look, this.environment.times.settleMs) : look);
  }

  start(): void {
    this.loop ??= this.keepLooking();
  }

  async stop(): Promise<void> {
    this.stopping.abort(new CancelledError('The service is stopping'));
    await this.loop;
  }

  /** One look at everything; what it saw counts unless another process's look was kept meanwhile. */
  async look(): Promise<void> {
    const before = await this.store.looksKept();
    const answers = await this.askSources();
    let written = 0;
    await this.store.aloneOrNot(async (manager) => {
      // A source may hang for a minute: what the others said by then is older than what another look has seen.
      if (await this.store.keepLook(manager, before)) {
        for (const [kind, facts] of answers) written += await this.store.apply(manager, kind, facts);
      }
      written += await this.store.tellUntold(manager, this.delivery.channels);
      await this.store.forgetOld(manager);
    });
    if (written > 0) this.delivery.ring();
  }

  /** Newest first. */
  async list(filter: AlertFilter): Promise<{ items: AlertView[]; nextCursor: string | null }> {
    const views = await this.store.list(filter);
    const items = views.slice(0, filter.limit);
    return { items, nextCursor: views.length > filter.limit ? (items.at(-1)?.id ?? null) : null };
  }

  countFiring(): Promise<{ kind: string; severity: AlertSeverity; count: number }[]> {
    return this.store.countFiring();
  }

  countMessages(): Promise<MessageCounts[]> {
    return this.store.countMessages();
  }

  /** Of each kind, whether its source could not answer this process the last time: what it said before stays, and nothing new is told. */
  sourceStates(): { kind: string; isFailing: boolean }[] {
    return [...this.sources.keys()].map((kind) => ({ kind, isFailing: this.failing.has(kind) }));
  }

  private async keepLooking(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        await this.look();
      } catch (error) {
        this.log.warn({ reason: describeError(error) }, 'alerts could not be looked after');
      }
      await sleep(this.environment.times.lookMs, signal).catch(() => undefined);
    }
  }

  /** All at once: one that hangs is waited for alone. A source that fails has said nothing: what it said before stays. */
  private async askSources(): Promise<Map<string, AlertFact[]>> {
    const answers = new Map<string, AlertFact[]>();
    const { sourceTimeoutMs } = this.environment.times;
    const ask = async ([kind, look]: [string, AlertSource]) => {
      try {
        const facts = await withTimeout(`Looking for alerts of kind "${kind}"`, sourceTimeoutMs, this.stopping.signal, look);
        if (facts !== undefined) answers.set(kind, facts);
        this.failing.delete(kind);
      } catch (error) {
        this.failing.add(kind);
        if (!this.stopping.signal.aborted) this.log.warn({ kind, reason: describeError(error) }, 'an alert source could not be asked');
      }
    };
    await Promise.all([...this.sources].map(ask));
    return answers;
  }
}
