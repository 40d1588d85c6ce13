import { CancelledError, isRetryable, TimeoutError } from './errors.js';

/** Resolves after `ms`; rejects with CancelledError (or the signal's own reason) when aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortReason(signal));
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(abortReason(signal as AbortSignal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** What an aborted signal means to a caller: the VaultError it was aborted with, else CancelledError. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  if (reason instanceof Error && reason.name !== 'AbortError') return reason;
  return new CancelledError();
}

export function throwIfAborted(signal?: AbortSignal): void {
  if (signal?.aborted) throw abortReason(signal);
}

/** Waits for what others wait for, too: who is aborted ends his own wait, and what is waited for goes on. */
export async function awaitShared<T>(shared: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return shared;
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(abortReason(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([aborted, shared]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * Runs `work` with a signal that fires at the deadline or when `signal` does, and rejects at that
 * moment even if `work` does not listen.
 * @throws TimeoutError naming `what`.
 */
export async function withTimeout<T>(
  what: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  throwIfAborted(signal);
  const controller = new AbortController();
  const onAbort = () => controller.abort(abortReason(signal as AbortSignal));
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => controller.abort(new TimeoutError(what, timeoutMs)), timeoutMs);
  const aborted = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(abortReason(controller.signal)), { once: true });
  });
  try {
    return await Promise.race([work(controller.signal), aborted]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Runs `work` with a signal that fires `graceMs` after `signal` does: what makes something outside is heard out for a little, because only
 * what is known can be taken back.
 */
export async function withGrace<T>(
  graceMs: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  if (signal === undefined) return work(undefined);
  throwIfAborted(signal);
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    timer = setTimeout(() => controller.abort(abortReason(signal)), graceMs);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

export interface RetryOptions {
  /** Tries altogether, the first included. */
  attempts: number;
  baseDelayMs: number;
  maxDelayMs: number;
  /** No new try begins after this. */
  deadlineMs: number;
  signal?: AbortSignal;
  /** Defaults to the error's own `retryable`. */
  retryIf?: (error: unknown) => boolean;
  /** What the other side asked to be left alone for (Retry-After): waited in full, with the jitter on top. */
  leastDelayMs?: (error: unknown) => number;
  onRetry?: (error: unknown, attempt: number, delayMs: number) => void;
}

/**
 * Repeats `work` with jitter: many workers refused at one moment must not come back at one moment. A wait
 * that would end after the deadline is not begun.
 */
export async function retry<T>(options: RetryOptions, work: (attempt: number) => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const retryIf = options.retryIf ?? isRetryable;
  for (let attempt = 1; ; attempt += 1) {
    throwIfAborted(options.signal);
    try {
      return await work(attempt);
    } catch (error) {
      const ceilingMs = Math.min(options.maxDelayMs, options.baseDelayMs * 2 ** (attempt - 1));
      const delayMs = Math.round(ceilingMs * (0.5 + Math.random() / 2) + (options.leastDelayMs?.(error) ?? 0));
      const late = performance.now() - startedMs + delayMs > options.deadlineMs;
      if (attempt >= options.attempts || late || !retryIf(error)) throw error;
      options.onRetry?.(error, attempt, delayMs);
      await sleep(delayMs, options.signal);
    }
  }
}
