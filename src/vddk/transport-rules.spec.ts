import { describe, expect, it } from 'vitest';
import { assertTransport, restoreSnapshotRule, type Transport, transportModes, transportRules } from './transport-rules.js';

const PLACE = { datastoreType: 'VMFS', bus: 'scsi', encrypted: false } as const;
const ALL: Transport[] = ['san', 'hotadd', 'nbdssl', 'nbd'];

describe('transportModes', () => {
  it.each([
    [PLACE, 'san:hotadd:nbdssl:nbd'],
    [{ ...PLACE, datastoreType: 'VVOL' }, 'hotadd:nbdssl:nbd'],
    [{ ...PLACE, datastoreType: 'vsan' }, 'hotadd:nbdssl:nbd'],
    [{ ...PLACE, datastoreType: 'NFS41' }, 'hotadd:nbdssl:nbd'],
    [{ ...PLACE, bus: 'ide' as const }, 'san:nbdssl:nbd'],
    [{ ...PLACE, encrypted: true }, 'hotadd:nbdssl:nbd'],
    [{ ...PLACE, encrypted: true, bus: 'ide' as const }, 'nbdssl:nbd'],
  ])('%j -> %s', (place, modes) => {
    expect(transportModes(ALL, place, 'Hard disk 1')).toBe(modes);
  });

  it('says of each refused one why', () => {
    expect(transportRules(['san'], { ...PLACE, datastoreType: 'VVOL' })[0]?.refused).toContain('VVOL');
    expect(() => transportModes(['san', 'hotadd'], { datastoreType: 'vsan', bus: 'ide', encrypted: false }, 'Hard disk 1')).toThrow(
      /Hard disk 1: SAN transport does not work on a vsan datastore; HotAdd is a SCSI feature/,
    );
  });
});

describe('assertTransport', () => {
  it('takes a fallback only where it is allowed', () => {
    expect(() => assertTransport('nbd', ['nbdssl'], 'refuse', 'Hard disk 1')).toThrow(/fell back to transport nbd/);
    expect(() => assertTransport('nbd', ['nbdssl'], 'allow', 'Hard disk 1')).not.toThrow();
    expect(() => assertTransport('nbdssl', ['hotadd', 'nbdssl'], 'refuse', 'Hard disk 1')).not.toThrow();
  });
});

describe("the guide's Table 7-4", () => {
  it.each([
    ['nbdssl', 'VMFS', { snapshot: 'optional', writeTo: 'either', revertAndDelete: true }],
    ['hotadd', 'NFS', { snapshot: 'optional', writeTo: 'either', revertAndDelete: true }],
    ['san', 'VMFS', { snapshot: 'required', writeTo: 'base', revertAndDelete: true, changeTrackingOff: true }],
    ['nbdssl', 'VVOL', { snapshot: 'forbidden', writeTo: 'leaf', revertAndDelete: false }],
    ['hotadd', 'VVOL', { snapshot: 'forbidden', writeTo: 'leaf', revertAndDelete: false }],
  ] as const)('%s on %s', (transport, datastoreType, rule) => {
    expect(restoreSnapshotRule(transport, datastoreType)).toMatchObject(rule);
  });

  it('has no SAN on vVols', () => {
    expect(() => restoreSnapshotRule('san', 'VVOL')).toThrow(/vVol/);
  });
});
