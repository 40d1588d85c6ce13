import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { joinSignals } from './join-signals.js';
import { inParallel, throughPlaces } from './parallel.js';

/** Listeners, and what Node itself keeps on a signal of those that AbortSignal.any makes of it. */
function traces(signal: AbortSignal): number {
  const kept = Object.getOwnPropertySymbols(signal).find(({ description }) => description === 'kDependantSignals');
  const dependants = kept && (signal as unknown as Record<symbol, Set<unknown> | null>)[kept];
  return getEventListeners(signal, 'abort').length + (dependants?.size ?? 0);
}

describe('a long-lived signal', () => {
  const uses = Array.from({ length: 1_000 }, (_, i) => i);

  it('keeps nothing of what was made of it for windows of work', async () => {
    const { signal } = new AbortController();
    for (const use of uses) await inParallel([use, use], 2, signal, async () => undefined);
    for (const use of uses) await throughPlaces([use, use], ['a', 'b'], signal, async () => undefined);
    for (const use of uses) await inParallel([use], 1, signal, () => Promise.reject(new Error('fails'))).catch(() => undefined);
    expect(traces(signal)).toBe(0);
  });

  it('keeps nothing of joined ones that were let go', () => {
    const [{ signal }, other] = [new AbortController(), new AbortController()];
    const joined = uses.map(() => joinSignals(signal, undefined, other.signal));
    expect(traces(signal)).toBe(uses.length);
    for (const { letGo } of joined) letGo();
    expect([traces(signal), traces(other.signal)]).toEqual([0, 0]);
  });
});

describe('joined signals', () => {
  it('fire with the first of them, and its reason', () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const { signal } = joinSignals(first.signal, second.signal);
    expect(signal.aborted).toBe(false);
    second.abort(new Error('second'));
    first.abort(new Error('first'));
    expect(signal.reason).toEqual(new Error('second'));
    expect([traces(first.signal), traces(second.signal)]).toEqual([0, 0]);
  });

  it('have fired where one of them had', () => {
    const { signal } = joinSignals(new AbortController().signal, AbortSignal.abort(new Error('before')));
    expect(signal.reason).toEqual(new Error('before'));
  });

  it('do not fire once they were let go', () => {
    const source = new AbortController();
    const { signal, letGo } = joinSignals(source.signal);
    letGo();
    source.abort();
    expect(signal.aborted).toBe(false);
  });
});
