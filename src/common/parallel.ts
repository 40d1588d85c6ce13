import { joinSignals } from './join-signals.js';
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
  const { signal: either, letGo } = joinSignals(signal, stop.signal);
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
  letGo();
  if (stop.signal.aborted) throw stop.signal.reason;
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

/**
 * Works on a stream with a fixed set of places (buffers): an item is taken from the stream when a
 * place is free, and a place serves one item at a time. The first failure aborts the others and is
 * thrown after everything in flight came to rest: only then may the places be used for anything else.
 */
export async function throughPlaces<T, P>(
  items: Iterable<T> | AsyncIterable<T>,
  places: readonly P[],
  signal: AbortSignal,
  work: (item: T, place: P, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const free = [...places];
  const gate = new Semaphore(places.length);
  const stop = new AbortController();
  const { signal: either, letGo } = joinSignals(signal, stop.signal);
  const inFlight = new Set<Promise<void>>();

  const begin = async (item: T): Promise<void> => {
    const release = await gate.acquire(either);
    const place = free.pop() as P;
    const working = work(item, place, either)
      .catch((error: unknown) => stop.abort(error))
      .finally(() => {
        free.push(place);
        inFlight.delete(working);
        release();
      });
    inFlight.add(working);
  };

  try {
    for await (const item of items) await begin(item);
  } catch (error) {
    stop.abort(error);
  }
  await Promise.all(inFlight);
  letGo();
  if (stop.signal.aborted) throw stop.signal.reason;
}
