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

  it.each(['physicalSharing', 'virtualSharing'])('leaves out what is on a shared bus: %s', (sharedBus) => {
    expect(excludeReason(ordinary, undefined, { sharedBus })).toContain(sharedBus);
    expect(excludeReason(ordinary, undefined, { sharedBus: 'noSharing' })).toBeUndefined();
    expect(excludeReason(ordinary, undefined, { sharedBus: undefined })).toBeUndefined();
  });

  it.each(['DiskSharing', 'ControllerSharing'])('leaves out a named disk that VMs share, and says so by its name: %s', (sharingType) => {
    const reason = excludeReason(ordinary, { id: 'urn:vcloud:disk:1', name: 'quorum', sharingType });
    expect(reason).toMatch(new RegExp(`"quorum".*${sharingType}`));
    expect(excludeReason(ordinary, { id: 'urn:vcloud:disk:1', name: 'quorum', sharingType: 'None' })).toBeUndefined();
  });

  it('takes ordinary disks and raw mappings in virtual mode', () => {
    expect(excludeReason(ordinary)).toBeUndefined();
    expect(
      excludeReason({ ...ordinary, backingType: 'VirtualDiskRawDiskMappingVer1BackingInfo', compatibilityMode: 'virtualMode' }),
    ).toBeUndefined();
  });
});
