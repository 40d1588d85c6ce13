import { type Logger, sleep, throwIfAborted } from '../common/index.js';
import { retryOf } from './vddk-error.js';
import { RETRIES, type RetryRule, type VixRetry } from './vix-codes.js';

/** The failures of one piece of work: each kind has a patience of its own, so that what can never succeed ends. */
export class Tries {
  private readonly failures = new Map<VixRetry, number>();

  constructor(private readonly rule: (kind: VixRetry) => RetryRule) {}

  /** @returns how the failure is met; undefined when no try is left. */
  next(error: unknown): VixRetry | undefined {
    const kind = retryOf(error);
    if (kind === undefined) return undefined;
    const count = (this.failures.get(kind) ?? 0) + 1;
    this.failures.set(kind, count);
    return count >= this.rule(kind).attempts ? undefined : kind;
  }
}

/** @param retries those of RETRIES hold where it says nothing. */
export function ruleOf(retries: Partial<Record<VixRetry, RetryRule>> | undefined, kind: VixRetry): RetryRule {
  return retries?.[kind] ?? RETRIES[kind];
}

export interface Retrying {
  retries: Partial<Record<VixRetry, RetryRule>> | undefined;
  /** Makes sure that the session with vCenter lives. */
  renewSession: (signal: AbortSignal) => Promise<void>;
  /** Met otherwise by whoever asked. */
  except?: (error: unknown) => boolean;
  log: Logger;
  signal: AbortSignal;
}

/** One piece of work, again as often and as long apart as its failures allow. @throws what the last try threw. */
export async function withTries<T>(work: () => Promise<T>, { retries, renewSession, except, log, signal }: Retrying): Promise<T> {
  const rule = (kind: VixRetry) => ruleOf(retries, kind);
  const tries = new Tries(rule);
  for (;;) {
    throwIfAborted(signal);
    try {
      return await work();
    } catch (error) {
      throwIfAborted(signal);
      const kind = except?.(error) === true ? undefined : tries.next(error);
      if (kind === undefined) throw error;
      log.warn({ error, retry: kind }, 'VDDK is asked again');
      await sleep(rule(kind).delayMs, signal);
      if (kind === 'login') await renewSession(signal);
    }
  }
}
