import { describe, expect, it } from 'vitest';
import { silentLogger } from '../common/index.js';
import type { VappCapture } from '../vcd/index.js';
import { sameMachines, StableCapture } from './stable-capture.js';

const disk = (instanceId: string, sizeMib = 48) => ({ instanceId, sizeMib });
const capture = (description: string, disks = [disk('2000')], name = 'web-1') =>
  ({ name: 'shop', description, vms: [{ id: 'vm', name, vim: { vmMoRef: 'vm-1' }, disks, sections: {} }] }) as unknown as VappCapture;

function watch(...readings: VappCapture[]): StableCapture<VappCapture> {
  const next = async () => {
    const reading = readings.shift();
    if (reading === undefined) throw new Error('captured more often than expected');
    return reading;
  };
  const source = { noun: 'vApp', capture: next, fingerprint: (one: VappCapture) => JSON.stringify(one), sameData: sameMachines };
  return new StableCapture(source, silentLogger);
}

describe('StableCapture', () => {
  it('keeps the capture of a vApp nobody touched', async () => {
    const before = capture('a');
    expect(await watch(capture('a')).confirm(before)).toBe(before);
  });

  it('takes a changed description, read twice alike', async () => {
    expect(await watch(capture('b'), capture('b')).confirm(capture('a'))).toEqual(capture('b'));
  });

  it('fails while the description goes on changing', async () => {
    await expect(watch(capture('b'), capture('c')).confirm(capture('a'))).rejects.toMatchObject({ code: 'VAPP_CHANGED', retryable: true });
  });

  it.each([
    ['a disk more', capture('a', [disk('2000'), disk('2001')])],
    ['a larger disk', capture('a', [disk('2000', 64)])],
    ['another name', capture('a', [disk('2000')], 'web-2')],
  ])('asks for new snapshots after %s, once', async (_what, after) => {
    const stable = watch(after, after, capture('x'));
    expect(await stable.confirm(capture('a'))).toBeUndefined();
    expect(await stable.confirm(after)).toBe(after);
    await expect(stable.confirm(after)).rejects.toMatchObject({ code: 'VAPP_CHANGED' });
  });
});
