import { Inject, Injectable } from '@nestjs/common';
import { Bell, CancelledError, CLOCK_TOLERANCE_MS, describeError, type Logger, VaultError, withTimeout } from '../common/index.js';
import { AlertStore, type DueMessage } from './alert-store.js';
import { Email } from './email.js';
import { ALERTS_ENVIRONMENT, type AlertsEnvironment } from './settings.js';
import type { AlertChannel, AlertMessage, Channel } from './types.js';
import { Webhook } from './webhook.js';

/** Longer than a delivery may take, so that nobody else begins with what is under way. */
const CLAIM_FACTOR = 2;

/** Sends what the outbox holds, by whichever process finds it; at least once, and the receiver can tell a second time. */
@Injectable()
export class AlertDelivery {
  private readonly ways: readonly Channel[];
  private readonly bell = new Bell();
  private readonly stopping = new AbortController();
  private readonly log: Logger;
  private loops: Promise<void>[] | undefined;

  /** @throws AlertError ALERT_SETTINGS. */
  constructor(
    private readonly store: AlertStore,
    @Inject(ALERTS_ENVIRONMENT) private readonly environment: AlertsEnvironment,
  ) {
    const { webhook, email } = environment;
    this.log = environment.logger;
    this.ways = [...(webhook === undefined ? [] : [new Webhook(webhook)]), ...(email === undefined ? [] : [new Email(email)])];
  }

  get channels(): AlertChannel[] {
    return this.ways.map(({ name }) => name);
  }

  /** Each channel for itself: a mail server that hangs must not hold up the webhook. */
  start(): void {
    this.loops ??= this.ways.map((way) => this.deliver(way));
  }

  /** What is not delivered stays in the outbox. */
  async stop(): Promise<void> {
    this.stopping.abort(new CancelledError('The service is stopping'));
    await Promise.all(this.loops ?? []);
    for (const way of this.ways) way.close();
  }

  /** There is something to deliver. */
  ring(): void {
    this.bell.ring();
  }

  private async deliver(way: Channel): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const { rings } = this.bell;
      let found = false;
      try {
        found = await this.deliverNext(way);
      } catch (error) {
        this.log.warn({ channel: way.name, reason: describeError(error) }, 'the messages of alerts could not be read');
      }
      if (!found) await this.bell.next(rings, this.environment.times.deliverMs, signal);
    }
  }

  /** One delivery at a time: what waits behind it would outlive its claim. @returns whether there was one. */
  private async deliverNext(way: Channel): Promise<boolean> {
    const { times } = this.environment;
    const claimMs = times.sendTimeoutMs * CLAIM_FACTOR;
    const longestWaitMs = Math.max(claimMs, times.retryMaxMs) + CLOCK_TOLERANCE_MS;
    const [first, ...others] = await this.store.takeDue(way.name, way.atOnce, claimMs, longestWaitMs);
    if (first !== undefined) await this.send(way, [first, ...others]);
    return first !== undefined;
  }

  private async send(way: Channel, due: readonly [DueMessage, ...DueMessage[]]): Promise<void> {
    const { times } = this.environment;
    const [{ event, alert }] = due;
    const facts = { alertId: alert.id, alerts: due.length, kind: alert.kind, event, channel: way.name };
    const ids = due.map(({ id }) => id);
    const [first, ...others] = due.map((message) => ({ id: message.id, event: message.event, alert: message.alert }));
    try {
      const refused = await withTimeout(`Telling of an alert by ${way.name}`, times.sendTimeoutMs, this.stopping.signal, (signal) =>
        way.send([first as AlertMessage, ...others], signal),
      );
      await this.store.sent(ids, refused);
      if (refused === undefined) this.log.info(facts, 'an alert was told');
      else this.log.warn({ ...facts, reason: refused }, 'an alert was not told to all');
    } catch (error) {
      const attempts = Math.max(...due.map((message) => message.attempts));
      const retryMs = Math.min(times.retryMaxMs, times.retryBaseMs * 2 ** Math.min(attempts - 1, 30));
      const reason = error instanceof VaultError ? error.message : 'An unexpected error; the log tells more.';
      const givenUp = await this.store.failed(ids, reason, retryMs, times.giveUpMs);
      this.log.warn(
        { ...facts, attempts, givenUp, reason: describeError(error) },
        givenUp > 0 ? 'an alert could not be told and is given up' : 'an alert could not be told yet',
      );
    }
  }
}
