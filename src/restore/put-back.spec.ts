import { describe, expect, it } from 'vitest';
import type { VmDiskSetting } from '../vcd/index.js';
import { vmCapture } from './plan/testing.js';
import { diskProfilesOf } from './put-back.js';

describe('storage profiles of single disks', () => {
  const gold = { href: 'sp-gold', name: 'gold' };
  const silver = { href: 'sp-silver', name: 'silver' };
  const disk = (more: Partial<VmDiskSetting> = {}): VmDiskSetting => ({
    instanceId: '0',
    sizeMib: 48,
    busNumber: 0,
    unitNumber: 1,
    ...more,
  });
  const written = (
    captured: Partial<VmDiskSetting>,
    present: VmDiskSetting[] = [disk({ storageProfile: gold, overridesVmProfile: false })],
  ) => diskProfilesOf(vmCapture('web', { storageProfile: gold, disks: [disk(captured)] }), present).map((each) => each.storageProfileHref);

  it.each([
    ['its own', { storageProfile: silver, overridesVmProfile: true }, undefined, ['sp-silver']],
    ["its VM's", { storageProfile: gold, overridesVmProfile: false }, undefined, []],
    ['another one, in a capture of before', { storageProfile: silver }, undefined, ['sp-silver']],
    ["its VM's, in a capture of before", { storageProfile: gold }, undefined, []],
    [
      "its VM's, and one of its own since",
      { overridesVmProfile: false },
      [disk({ storageProfile: silver, overridesVmProfile: true })],
      ['sp-gold'],
    ],
    ["a named disk's", { storageProfile: silver, overridesVmProfile: true, namedDisk: { href: 'd' } }, undefined, []],
    ['of a disk that could not be made again', { storageProfile: silver, overridesVmProfile: true }, [], []],
  ])('%s', (_, captured, present, expected) => {
    expect(written(captured, present)).toEqual(expected);
  });
});
