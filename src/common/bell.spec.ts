import { describe, expect, it } from 'vitest';
import { Bell } from './bell.js';

const LONG_MS = 60_000;
const quiet = () => new AbortController().signal;

describe('a bell', () => {
  it('wakes everybody who waits', async () => {
    const bell = new Bell();
    const since = bell.rings;
    const woken = Promise.all([bell.next(since, LONG_MS, quiet()), bell.next(since, LONG_MS, quiet())]);
    bell.ring();
    await woken;
  });

  it('is heard by who was looking while it rang', async () => {
    const bell = new Bell();
    const since = bell.rings;
    bell.ring();
    await bell.next(since, LONG_MS, quiet());
  });

  it('lets go of who waits after a while, and of who is told to stop', async () => {
    const bell = new Bell();
    await bell.next(bell.rings, 1, quiet());
    const stop = new AbortController();
    const stopped = bell.next(bell.rings, LONG_MS, stop.signal);
    stop.abort();
    await stopped;
    await bell.next(bell.rings, LONG_MS, stop.signal);
  });

  it('that rang before is not heard again', async () => {
    const bell = new Bell();
    bell.ring();
    let woken = false;
    const stop = new AbortController();
    const waiting = bell.next(bell.rings, LONG_MS, stop.signal).then(() => {
      woken = true;
    });
    await new Promise(setImmediate);
    expect(woken).toBe(false);
    stop.abort();
    await waiting;
  });
});
