import { describe, expect, it } from 'vitest';
import type { VmDiskSetting } from '../vcd/index.js';
import { matchNamedDisks } from './named-disk-devices.js';

const MIB = 2 ** 20;
// The second SCSI controller does not have the key its bus would suggest: only the configuration knows.
const config = `<config xmlns="urn:vim25"><hardware>
  <device><key>1000</key><busNumber>0</busNumber></device>
  <device><key>1007</key><busNumber>1</busNumber></device>
  <device><key>15000</key><busNumber>1</busNumber></device>
  <device><key>2000</key><controllerKey>1000</controllerKey></device>
</hardware></config>`;
const disk = (deviceKey: number, controllerKey: number, unitNumber: number, mib: number) => ({
  deviceKey,
  controllerKey,
  unitNumber,
  capacityBytes: mib * MIB,
});
const named = (busNumber: number, unitNumber: number, sizeMib: number, instanceId = '0'): VmDiskSetting => ({
  instanceId,
  busNumber,
  unitNumber,
  sizeMib,
  namedDisk: { href: 'https://vcd/api/disk/0b5b3f7e-1111-2222-3333-444455556666' },
});
const URN = 'urn:vcloud:disk:0b5b3f7e-1111-2222-3333-444455556666';

describe('matchNamedDisks', () => {
  it('finds the device at the same bus and unit', () => {
    const disks = [disk(2000, 1000, 0, 48), disk(2016, 1007, 0, 64)];
    expect([...matchNamedDisks([named(1, 0, 64)], disks, config)]).toEqual([[2016, URN]]);
  });

  it('tells two controllers of one bus number apart by size, then by key', () => {
    const disks = [disk(2016, 1007, 0, 64), disk(16000, 15000, 0, 32)];
    expect([...matchNamedDisks([named(1, 0, 32)], disks, config)]).toEqual([[16000, URN]]);
    const alike = [disk(2016, 1007, 0, 64), disk(16000, 15000, 0, 64)];
    expect([...matchNamedDisks([named(1, 0, 64, '16000')], alike, config)]).toEqual([[16000, URN]]);
  });

  it("takes VCD's own urn where the reference has it", () => {
    const setting = { ...named(0, 0, 48), namedDisk: { href: 'x', id: 'urn:vcloud:disk:7' } };
    expect([...matchNamedDisks([setting], [disk(2000, 1000, 0, 48)], config)]).toEqual([[2000, 'urn:vcloud:disk:7']]);
  });

  it('leaves alone a VM without named disks, and one whose device is not there', () => {
    const { namedDisk: _, ...ordinary } = named(0, 0, 48);
    expect(matchNamedDisks([ordinary], [disk(2000, 1000, 0, 48)], config).size).toBe(0);
    expect(matchNamedDisks([named(1, 5, 48)], [disk(2000, 1000, 0, 48)], config).size).toBe(0);
  });
});
