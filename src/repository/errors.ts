import { VaultError } from '../common/index.js';

/**
 * Everything that can go wrong with the backup repository.
 *
 * Codes of the store: REPOSITORY_FULL, REPOSITORY_READ_ONLY, REPOSITORY_DENIED, REPOSITORY_REFUSED,
 * REPOSITORY_UNREACHABLE, REPOSITORY_TIMEOUT, BLOB_NOT_FOUND, BLOB_EXISTS, BLOB_LOCKED, BLOB_TRUNCATED,
 * BLOB_NAME_INVALID, RETENTION_UNSUPPORTED.
 * Codes of the format: REPOSITORY_NOT_FOUND, REPOSITORY_IN_USE, REPOSITORY_EXISTS, REPOSITORY_DAMAGED,
 * FORMAT_UNSUPPORTED, WRONG_MASTER_KEY, ORGANIZATION_KEY_MISSING, ORGANIZATION_KEY_DAMAGED,
 * RESTORE_POINT_NOT_FOUND, RESTORE_POINT_EXISTS, MANIFEST_DAMAGED, INDEX_DAMAGED, INDEX_MISSING,
 * INDEX_TOO_LARGE, CHUNK_DAMAGED, CHUNK_MISSING, DOCUMENT_DAMAGED, DOCUMENT_MISSING,
 * BASE_MISMATCH, BASE_INCOMPLETE, SESSION_CLOSED, SESSION_EXPIRED, INVALID_ARGUMENT.
 * Codes of its upkeep: RESTORE_POINT_LOCK_CONFLICT, SITE_FOREIGN, SITE_NOT_CONFIGURED, SHRED_INCOMPLETE, PACK_DAMAGED, GC_RUNNING, GC_BLOCKED, GC_LOCK_LOST, RECOVERY_KEY_INVALID, RECOVERY_KEY_WRONG, OUTPUT_UNUSABLE.
 */
export class RepositoryError extends VaultError {}

export function isRepositoryError(error: unknown, ...codes: string[]): error is RepositoryError {
  return error instanceof RepositoryError && codes.includes(error.code);
}

/** The object itself is too short. An answer that was cut short on its way is retryable, and proves nothing about the object. */
export function isCutShort(error: unknown): error is RepositoryError {
  return isRepositoryError(error, 'BLOB_TRUNCATED') && !error.retryable;
}

/** What was asked for is lost or not what it should be, and asking again does not help. */
export function isDamage(error: unknown): error is RepositoryError {
  return error instanceof RepositoryError && !error.retryable && /_(DAMAGED|MISSING|TRUNCATED)$|^INVALID_ARGUMENT$/.test(error.code);
}

export function invalidArgument(message: string): RepositoryError {
  return new RepositoryError(message, { code: 'INVALID_ARGUMENT' });
}
