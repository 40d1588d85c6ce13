import { describe, expect, it } from 'vitest';
import { inParallel } from './parallel.js';
import { sleep } from './wait.js';

const never = new AbortController().signal;

describe('inParallel', () => {
  it('keeps the order of results and the limit', async () => {
    let running = 0;
    let most = 0;
    const results = await inParallel([5, 1, 3, 2], 2, never, async (n) => {
      running += 1;
      most = Math.max(most, running);
      await sleep(n);
      running -= 1;
      return n * 10;
    });
    expect(results).toEqual([50, 10, 30, 20]);
    expect(most).toBe(2);
  });

  it('throws the first failure after the others were aborted and came to rest', async () => {
    const ended: string[] = [];
    const work = inParallel(['slow', 'bad', 'waiting'], 2, never, async (name, signal) => {
      if (name === 'bad') throw new Error('first failure');
      try {
        await sleep(10_000, signal);
      } finally {
        ended.push(name);
      }
    });
    await expect(work).rejects.toThrow('first failure');
    expect(ended).toEqual(['slow']);
  });

  it('stops when its signal does', async () => {
    const controller = new AbortController();
    const work = inParallel([1, 2], 1, controller.signal, (_, signal) => sleep(10_000, signal));
    controller.abort();
    await expect(work).rejects.toThrow(/cancelled/);
  });
});
