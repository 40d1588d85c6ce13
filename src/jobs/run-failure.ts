import { CancelledError, VaultError } from '../common/index.js';
import { connectionLost } from '../database/index.js';
import type { RunView } from './types.js';

/**
 * What a person is told of a failure. Only our own errors have been written for people and are
 * known to be free of secrets; anything else may carry a request body in its message and stays
 * in the log.
 */
export function failureForPeople(error: unknown, runId: string): NonNullable<RunView['error']> {
  const told = error instanceof VaultError ? error : connectionLost(error);
  if (told !== undefined) return { code: told.code, message: told.message, subject: told.subject ?? null, retryable: told.retryable };
  return {
    code: 'INTERNAL',
    message: `An unexpected error stopped the work; the service's log tells more under run ${runId}.`,
    subject: null,
    retryable: false,
  };
}

export function isCancellation(error: unknown): boolean {
  return error instanceof CancelledError;
}

interface LoggedError {
  type: string;
  message: string;
  code: string | undefined;
  stack: string | undefined;
  details: Readonly<Record<string, unknown>> | undefined;
  cause: LoggedError | undefined;
}

/**
 * The fields of an error that may be logged. Not the error itself: pino writes every enumerable
 * property, and those of a SOAP or HTTP client's error hold the request with its password.
 */
export function errorForLog(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) {
    return { type: typeof error, message: String(error), code: undefined, stack: undefined, details: undefined, cause: undefined };
  }
  const code: unknown = 'code' in error ? error.code : undefined;
  return {
    type: error.name,
    message: error.message,
    code: typeof code === 'string' ? code : undefined,
    stack: error.stack,
    details: error instanceof VaultError ? error.details : undefined,
    cause: error.cause === undefined || depth >= 4 ? undefined : errorForLog(error.cause, depth + 1),
  };
}
