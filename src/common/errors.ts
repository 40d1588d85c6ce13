/**
 * The root of every error this service raises on purpose.
 *
 * Each outside system has exactly one subclass (VcdError, VsphereError, VddkError,
 * RepositoryError); `retryable` is decided where the system's answer is read, because only
 * there its meaning is known. Nobody looks at `message` to decide anything.
 */
export abstract class VaultError extends Error {
  /** Machine-readable cause, upper snake case, stable across releases. */
  readonly code: string;
  /** True when the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  /** The object the sentence is about, as a person knows it: `vApp "shop"`, `[ds-1] web/web.vmdk`. */
  readonly subject: string | undefined;
  /** Machine-readable facts. Never a credential, a token or a request body. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, fields: VaultErrorFields) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = new.target.name;
    this.code = fields.code;
    this.retryable = fields.retryable ?? false;
    this.subject = fields.subject;
    this.details = fields.details ?? {};
  }
}

export interface VaultErrorFields {
  code: string;
  retryable?: boolean;
  subject?: string;
  details?: Record<string, unknown>;
  cause?: unknown;
}

/** A wait of ours that ran out, whatever it waited for. */
export class TimeoutError extends VaultError {
  constructor(what: string, timeoutMs: number) {
    super(`${what} did not finish within ${Math.round(timeoutMs / 1000)} s`, {
      code: 'TIMEOUT',
      retryable: true,
      details: { timeoutMs },
    });
  }
}

/** Work that was told to stop: a person cancelled the run, or the service is shutting down. */
export class CancelledError extends VaultError {
  constructor(reason = 'The run was cancelled') {
    super(reason, { code: 'CANCELLED' });
  }
}

/** The sentence for a person: ours as it is; anything else without a stack. */
export function describeError(error: unknown): string {
  if (error instanceof Error) return error.message || error.name;
  return String(error);
}

export function isRetryable(error: unknown): boolean {
  return error instanceof VaultError && error.retryable;
}
