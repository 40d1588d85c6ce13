import { describe, expect, it } from 'vitest';
import { allocationNote, untrackedNote, wholeDiskNote } from './block-notes.js';

describe('untrackedNote', () => {
  const tracked = { label: 'Hard disk 1', changeId: '52 aa/1' };
  const untracked = { label: 'Hard disk 2', changeId: undefined };

  it('names the disks that the stun did not begin to track', () => {
    expect(untrackedNote('web', [tracked], true)).toBeUndefined();
    expect(untrackedNote('web', [], true)).toBeUndefined();
    expect(untrackedNote('web', [tracked, untracked], true)).toMatch(/"web".* for Hard disk 2,/);
    expect(untrackedNote('web', [tracked, untracked], false)).toContain('Hard disk 1, Hard disk 2');
  });
});

describe('wholeDiskNote', () => {
  const disk = { label: 'Hard disk 1', capacityBytes: 131_072 };
  const whole = [{ offsetBytes: 0, lengthBytes: 131_072 }];

  it.each(['NFS', 'NFS41', 'nfs'])('tells of %s, which calls everything allocated', (type) => {
    expect(wholeDiskNote('Hard disk 1 of VM "web"', disk, type, whole)).toContain('Hard disk 1 of VM "web"');
  });

  it('has nothing to tell of other datastores, of a part, or where nobody was asked', () => {
    expect(wholeDiskNote('web', disk, 'VMFS', whole)).toBeUndefined();
    expect(wholeDiskNote('web', disk, 'NFS', [{ offsetBytes: 0, lengthBytes: 65_536 }])).toBeUndefined();
    expect(wholeDiskNote('web', disk, 'NFS', undefined)).toBeUndefined();
  });
});

describe('allocationNote', () => {
  it('says who told what is allocated, or that nobody could', () => {
    expect(allocationNote('Hard disk 1 of VM "web"', 'change-tracking')).toMatch(/^Which blocks of Hard disk 1 of VM "web" .*change id \*/);
    expect(allocationNote('Hard disk 1 of VM "web"', 'nobody')).toMatch(/^All of Hard disk 1 of VM "web" was read/);
  });
});
