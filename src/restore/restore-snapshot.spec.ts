import { describe, expect, it } from 'vitest';
import type { DiskPlace } from '../vddk/index.js';
import { writingTransports } from './restore-snapshot.js';

const vmfs: DiskPlace = { datastoreType: 'VMFS', bus: 'scsi', encrypted: false };
const vvol: DiskPlace = { ...vmfs, datastoreType: 'VVOL' };

describe('writingTransports', () => {
  it('writes below a snapshot where SAN may carry every disk of the VM', () => {
    expect(writingTransports(['san', 'nbdssl'], [vmfs, vmfs], 'web')).toEqual({ modes: ['san', 'nbdssl'], belowSnapshot: true });
    expect(writingTransports(['hotadd', 'san'], [vmfs], 'web')).toEqual({ modes: ['hotadd', 'san'], belowSnapshot: true });
  });

  it('leaves SAN out where one disk cannot be written by it, or the network comes first', () => {
    expect(writingTransports(['san', 'nbdssl'], [vmfs, vvol], 'web')).toEqual({ modes: ['nbdssl'], belowSnapshot: false });
    expect(writingTransports(['san', 'hotadd'], [{ ...vmfs, encrypted: true }], 'web')).toEqual({
      modes: ['hotadd'],
      belowSnapshot: false,
    });
    expect(writingTransports(['nbdssl', 'san'], [vmfs], 'web')).toEqual({ modes: ['nbdssl'], belowSnapshot: false });
    expect(writingTransports(['nbdssl', 'nbd'], [vvol], 'web')).toEqual({ modes: ['nbdssl', 'nbd'], belowSnapshot: false });
  });

  it('writes no disk by SAN that has a parent: SAN does not write redo logs', () => {
    expect(writingTransports(['san', 'nbdssl'], [vmfs, { ...vmfs, isChild: true }], 'web')).toEqual({
      modes: ['nbdssl'],
      belowSnapshot: false,
    });
    expect(() => writingTransports(['san'], [{ ...vmfs, isChild: true }], 'web')).toThrow(/linked clone/);
  });

  it('says why nothing is left', () => {
    expect(() => writingTransports(['san'], [vvol], 'web')).toThrow(/VM "web".*VVOL.*Allow nbdssl/);
  });
});
