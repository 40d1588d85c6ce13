import { VaultError } from '../common/index.js';

export type ExportErrorCode =
  /** What a restore point is of cannot be put into this form. */
  | 'EXPORT_FORMAT_UNFIT'
  | 'DISK_NOT_FOUND'
  /** As many exports as the service allows are under way. */
  | 'EXPORT_LIMIT_REACHED'
  | 'RANGE_NOT_SATISFIABLE'
  /** The one who asked takes nothing any more. */
  | 'EXPORT_STALLED';

export class ExportError extends VaultError {
  declare readonly code: ExportErrorCode;

  constructor(code: ExportErrorCode, message: string, fields: { subject?: string; retryable?: boolean } = {}) {
    super(message, { code, ...fields });
  }
}
