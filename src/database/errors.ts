import { VaultError, type VaultErrorFields } from '../common/index.js';

export type DatabaseErrorCode =
  | 'DATABASE_UNREACHABLE'
  | 'DATABASE_SCHEMA'
  | 'EMBEDDED_UNAVAILABLE'
  | 'EMBEDDED_IN_USE'
  | 'EMBEDDED_FAILED'
  | 'EMBEDDED_LOST';

/** Everything that can go wrong with PostgreSQL itself; never a query's own failure. */
export class DatabaseError extends VaultError {
  declare readonly code: DatabaseErrorCode;

  constructor(message: string, fields: VaultErrorFields & { code: DatabaseErrorCode }) {
    super(message, fields);
  }
}
