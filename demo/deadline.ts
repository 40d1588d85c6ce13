import { TimeoutError } from '../src/common/index.js';

/** Unlike `AbortSignal.timeout`, whose "The operation was aborted due to timeout" names nothing, it says what took too long. */
export function deadline(what: string, timeoutMs: number): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new TimeoutError(what, timeoutMs)), timeoutMs).unref();
  return controller.signal;
}
