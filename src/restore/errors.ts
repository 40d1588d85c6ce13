import { VaultError } from '../common/index.js';

/** What makes a restore impossible and lies in no outside system. */
export class RestoreError extends VaultError {
  constructor(
    code: 'RESTORE_POINT_NOT_FOUND' | 'RESTORE_POINT_UNREADABLE' | 'NAME_TAKEN' | 'VDC_GONE' | 'NO_DATASTORE' | 'DISK_MISMATCH',
    message: string,
    details: Record<string, unknown> = {},
  ) {
    super(message, { code, details });
  }
}
