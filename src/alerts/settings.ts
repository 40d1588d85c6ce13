import type { Logger } from '../common/index.js';
import type { EmailSettings, WebhookSettings } from '../config/index.js';
import type { AlertTimes } from './types.js';

export const defaultAlertTimes: Readonly<AlertTimes> = {
  lookMs: 60_000,
  sourceTimeoutMs: 60_000,
  settleMs: 2 * 60_000,
  deliverMs: 5_000,
  sendTimeoutMs: 60_000,
  retryBaseMs: 15_000,
  retryMaxMs: 30 * 60_000,
  giveUpMs: 24 * 60 * 60_000,
};

/** What the room's classes get. */
export interface AlertsEnvironment {
  readonly logger: Logger;
  readonly times: AlertTimes;
  readonly webhook: WebhookSettings | undefined;
  readonly email: EmailSettings | undefined;
}

export const ALERTS_ENVIRONMENT = Symbol('ALERTS_ENVIRONMENT');
