import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { WaitQueue } from './wait-queue.js';

/** Ten units; `overtaking` decides whether a small demand may pass a large one that waits. */
function tenUnits({ overtaking }: { overtaking: boolean }) {
  let used = 0;
  return new WaitQueue<number>({
    look: () => {
      let blocked = false;
      return (demand) => {
        const enters = !blocked && used + demand <= 10;
        if (enters) used += demand;
        else blocked = !overtaking;
        return enters;
      };
    },
    leave: (demand) => {
      used -= demand;
    },
  });
}

async function isWaiting(promise: Promise<unknown>): Promise<boolean> {
  let waiting = true;
  const settle = () => {
    waiting = false;
  };
  promise.then(settle, settle);
  await turn();
  return waiting;
}

describe('WaitQueue', () => {
  it('asks the rule in order of arrival, and leaves overtaking to it', async () => {
    for (const overtaking of [false, true]) {
      const queue = tenUnits({ overtaking });
      const release = await queue.enter(8);
      const large = queue.enter(8);
      const small = queue.enter(2);
      expect(await isWaiting(small)).toBe(!overtaking);
      expect(await isWaiting(large)).toBe(true);
      release();
      expect(await isWaiting(large)).toBe(false);
      expect(await isWaiting(small)).toBe(false);
    }
  });

  it('counts a release once', async () => {
    const queue = tenUnits({ overtaking: false });
    const release = await queue.enter(6);
    await queue.enter(4);
    release();
    release();
    await queue.enter(6);
    expect(await isWaiting(queue.enter(1))).toBe(true);
  });

  it('lets an aborted waiter go, and those behind it in', async () => {
    const queue = tenUnits({ overtaking: false });
    await queue.enter(8);
    const abort = new AbortController();
    const large = queue.enter(8, abort.signal);
    const small = queue.enter(2);
    expect(await isWaiting(small)).toBe(true);
    abort.abort();
    await expect(large).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await isWaiting(small)).toBe(false);
    await expect(queue.enter(1, abort.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('takes nothing back from who entered before the abort', async () => {
    const queue = tenUnits({ overtaking: false });
    const abort = new AbortController();
    const release = await queue.enter(10, abort.signal);
    abort.abort();
    const next = queue.enter(1);
    expect(await isWaiting(next)).toBe(true);
    release();
    expect(await isWaiting(next)).toBe(false);
  });
});
