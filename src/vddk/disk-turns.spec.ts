import { describe, expect, it } from 'vitest';
import { DiskTurns } from './disk-turns.js';

const settled = async (promise: Promise<unknown>) => {
  let done = false;
  promise.then(
    () => {
      done = true;
    },
    () => {
      done = true;
    },
  );
  await new Promise((resolve) => setImmediate(resolve));
  return done;
};

describe('DiskTurns', () => {
  it('lets batches in together, and a call only when it is alone', async () => {
    const turns = new DiskTurns();
    const first = await turns.together();
    const second = await turns.together();
    const call = turns.alone();
    const late = turns.together();
    first();
    expect(await settled(call)).toBe(false);
    second();
    const releaseCall = await call;
    // Later batches do not overtake the call, nor run beside it.
    expect(await settled(late)).toBe(false);
    releaseCall();
    releaseCall();
    (await late)();
    (await turns.alone())();
  });

  it('forgets who stopped waiting, and lets the next in', async () => {
    const turns = new DiskTurns();
    const holder = await turns.together();
    const controller = new AbortController();
    const call = turns.alone(controller.signal);
    const batch = turns.together();
    expect(await settled(batch)).toBe(false);
    controller.abort();
    await expect(call).rejects.toThrow(/cancelled/);
    (await batch)();
    holder();
  });
});
