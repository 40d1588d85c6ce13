import { describe, expect, it } from 'vitest';
import { adapterTypeTrouble } from './adapter-type.js';

describe('adapterTypeTrouble', () => {
  const disk = { label: 'Hard disk 1', vmName: 'web', transportMode: 'san' };

  it('names disks read over SAN whose adapter type breaks consolidation', () => {
    const sentence = adapterTypeTrouble(disk, { adapterType: 'legacyESX' });
    expect(sentence).toContain('Hard disk 1 of VM "web"');
    expect(sentence).toContain('legacyESX');
  });

  it('finds nothing wrong with valid types, other transports and disks that do not say', () => {
    for (const adapterType of ['lsilogic', 'LSILogic', 'ide', 'buslogic'])
      expect(adapterTypeTrouble(disk, { adapterType })).toBeUndefined();
    expect(adapterTypeTrouble({ ...disk, transportMode: 'nbdssl' }, { adapterType: 'legacyESX' })).toBeUndefined();
    expect(adapterTypeTrouble(disk, {})).toBeUndefined();
  });
});
