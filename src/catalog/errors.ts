import { VaultError } from '../common/index.js';

export type CatalogErrorCode =
  | 'VAPP_NOT_FOUND'
  | 'RESTORE_POINT_NOT_FOUND'
  | 'RESTORE_POINT_IN_USE'
  | 'RESTORE_POINT_BUSY'
  | 'RESTORE_POINT_HOLD_CONFLICT'
  | 'RESTORE_POINT_LOCK_CONFLICT'
  | 'HOLD_NOT_FOUND'
  | 'MANIFEST_UNKNOWN'
  | 'RESTORE_POINT_HOLD_LOST'
  | 'CURSOR_INVALID';

/** A question to the catalog that has no answer. */
export class CatalogError extends VaultError {
  declare readonly code: CatalogErrorCode;

  constructor(code: CatalogErrorCode, message: string, subject?: string) {
    super(message, { code, subject });
  }
}
