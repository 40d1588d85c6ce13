import { VaultError, type VaultErrorFields } from '../common/index.js';

export type AccessErrorCode = 'API_KEY_REQUIRED' | 'API_KEY_INVALID' | 'ACCESS_DENIED' | 'API_KEY_NOT_FOUND' | 'API_KEY_LAST_CONFLICT';

/** Somebody may not do what they asked for. Never carries the key that was presented. */
export class AccessError extends VaultError {
  declare readonly code: AccessErrorCode;

  constructor(message: string, fields: VaultErrorFields & { code: AccessErrorCode }) {
    super(message, fields);
  }
}
