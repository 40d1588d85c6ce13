import { describe, expect, it } from 'vitest';
import { brokenChain } from './tracking-chain.js';

describe('the chain of changes since a restore point', () => {
  const captured = { changeId: '52 ab-cd/7', uuid: 'u', capacityBytes: 4096 };
  const present = { changeId: '52 ab-cd/9', uuid: 'u', capacityBytes: 4096 };
  const why = (then: Partial<{ changeId: string | null; uuid: string | null }>, now: Partial<typeof present> = {}, enabled = true) =>
    brokenChain({ ...captured, ...then }, { ...present, ...now }, enabled);

  it('is whole for the same disk, tracked all the time', () => {
    expect(why({})).toBeUndefined();
    expect(why({}, { changeId: '52 ab-cd/7' })).toBeUndefined();
  });

  it('is broken by anything else, and says by what', () => {
    for (const changeId of [null, '', '*', '52 ab-cd']) expect(why({ changeId })).toBe('never-tracked');
    expect(why({}, { uuid: 'other' })).toBe('disk-replaced');
    // Two disks nobody can tell apart are not known to be one.
    expect(brokenChain({ ...captured, uuid: null }, { ...present, uuid: undefined }, true)).toBe('disk-replaced');
    expect(why({}, { capacityBytes: 8192 })).toBe('size-changed');
    expect(why({}, {}, false)).toBe('tracking-off');
    expect(brokenChain(captured, { ...present, changeId: undefined }, true)).toBe('no-change-id');
    expect(why({}, { changeId: '52 ab-ce/9' })).toBe('tracking-restarted');
    expect(why({}, { changeId: '52 ab-cd/6' })).toBe('disk-went-back');
  });
});
