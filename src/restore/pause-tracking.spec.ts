import { describe, expect, it } from 'vitest';
import type { VmConfiguration } from '../vsphere/index.js';
import { withoutTracking } from './pause-tracking.js';

/** A VM whose tracking ends at once, or at the next stun. */
function setUp(more: { enabled?: boolean; endsAtOnce?: boolean } = {}) {
  const calls: string[] = [];
  let tracked = true;
  const vcenter = {
    instanceUuid: 'vc',
    disableChangeTracking: async () => {
      calls.push('off');
      if (more.endsAtOnce === true) tracked = false;
    },
    readVm: async () => ({ disks: [{ changeId: tracked ? '52/1' : undefined }] }),
    createSnapshot: async () => {
      calls.push('snapshot');
      tracked = false;
      return {};
    },
  };
  const obligations = {
    owe: async (kind: string) => {
      calls.push(`owe ${kind}`);
      return { pay: async () => void calls.push(`pay ${kind}`) };
    },
  };
  const vm = { moRef: 'vm-1', name: 'web', instanceUuid: 'i', changeTrackingEnabled: more.enabled ?? true } as VmConfiguration;
  const options = { cloud: { cloudId: 'c' }, vcenter, obligations, signal: new AbortController().signal };
  const run = (work: () => Promise<string>) => withoutTracking(vm, options as never, work);
  return { calls, run };
}

describe('writing without change tracking', () => {
  it('owes it before it is turned off, and has it on again afterwards', async () => {
    const { calls, run } = setUp({ endsAtOnce: true });
    expect(await run(async () => String(calls.push('write')))).toBe('3');
    expect(calls).toEqual(['owe vsphere.tracking', 'off', 'write', 'pay vsphere.tracking']);
  });

  it('stuns a VM whose tracking goes on until then', async () => {
    const { calls, run } = setUp();
    await run(async () => 'done');
    expect(calls).toEqual([
      ...['owe vsphere.tracking', 'off', 'owe vsphere.snapshot', 'snapshot', 'pay vsphere.snapshot', 'pay vsphere.tracking'],
    ]);
  });

  it('has it on again when the writing fails', async () => {
    const { calls, run } = setUp({ endsAtOnce: true });
    await expect(run(() => Promise.reject(new Error('disk full')))).rejects.toThrow('disk full');
    expect(calls.at(-1)).toBe('pay vsphere.tracking');
  });

  it('leaves a VM alone that is not tracked', async () => {
    const { calls, run } = setUp({ enabled: false });
    await run(async () => 'done');
    expect(calls).toEqual([]);
  });
});
