import { VaultError, type VaultErrorFields } from '../common/index.js';

export type AlertErrorCode = 'WEBHOOK_FAILED' | 'EMAIL_FAILED' | 'ALERT_SETTINGS';

/** An alert could not be told. Its message names the server and never an address with its query, a password or a secret. */
export class AlertError extends VaultError {
  declare readonly code: AlertErrorCode;

  constructor(message: string, fields: VaultErrorFields & { code: AlertErrorCode }) {
    super(message, fields);
  }
}
