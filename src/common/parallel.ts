import { Semaphore } from './semaphore.js';

/**
 * Works on all items, at most `limit` at once. The first failure aborts the others; it is thrown
 * after every one of them came to rest, so that nothing still runs when the caller cleans up.
 * @returns results in the order of the items.
 */
export async function inParallel<T, R>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const gate = new Semaphore(limit);
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const working = items.map((item) =>
    gate.run(async () => {
      try {
        return await work(item, either);
      } catch (error) {
        // Before the place is free: what waits for it must not begin.
        stop.abort(error);
        throw error;
      }
    }, either),
  );
  const outcomes = await Promise.allSettled(working);
  if (stop.signal.aborted) throw stop.signal.reason;
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
