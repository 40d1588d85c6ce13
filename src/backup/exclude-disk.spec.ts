import { describe, expect, it } from 'vitest';
import { excludeReason } from './exclude-disk.js';

const ordinary = {
  diskMode: 'persistent',
  backingType: 'VirtualDiskFlatVer2BackingInfo',
  compatibilityMode: undefined,
  sharing: 'sharingNone',
};

describe('excludeReason', () => {
  it.each([
    ['independent', { diskMode: 'independent_persistent' }],
    ['independent', { diskMode: 'independent_nonpersistent' }],
    ['physical mode', { backingType: 'VirtualDiskRawDiskMappingVer1BackingInfo', compatibilityMode: 'physicalMode' }],
    ['multi-writer', { sharing: 'sharingMultiWriter' }],
  ])('leaves out and says why: %s', (word, change) => {
    expect(excludeReason({ ...ordinary, ...change })).toContain(word);
  });

  it('takes ordinary disks and raw mappings in virtual mode', () => {
    expect(excludeReason(ordinary)).toBeUndefined();
    expect(
      excludeReason({ ...ordinary, backingType: 'VirtualDiskRawDiskMappingVer1BackingInfo', compatibilityMode: 'virtualMode' }),
    ).toBeUndefined();
  });
});
