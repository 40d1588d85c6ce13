import { describe, expect, it } from 'vitest';
import { parseXml } from '../common/index.js';
import { bootOrderFor, diskPlaces } from './device-places.js';

const config = (devices: string, bootOptions = '') =>
  parseXml(
    `<config xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><hardware>${devices}</hardware>${bootOptions}</config>`,
  );
const device = (type: string, key: number, controllerKey: number, unit: number) =>
  `<device xsi:type="${type}"><key>${key}</key><controllerKey>${controllerKey}</controllerKey><unitNumber>${unit}</unitNumber></device>`;
const controller = (key: number, bus: number) =>
  `<device xsi:type="ParaVirtualSCSIController"><key>${key}</key><busNumber>${bus}</busNumber></device>`;

describe('bootOrderFor', () => {
  it('finds the devices again by their place, and drops those that were not made again', () => {
    const captured = config(
      `${controller(1000, 0)}${controller(1001, 1)}${device('VirtualDisk', 2000, 1000, 0)}${device('VirtualDisk', 2017, 1001, 1)}${device('VirtualVmxnet3', 4002, 100, 9)}`,
      `<bootOptions>${['Disk', 'Ethernet', 'Disk', 'Ethernet']
        .map(
          (kind, n) =>
            `<bootOrder xsi:type="VirtualMachineBootOptionsBootable${kind}Device"><deviceKey>${[2017, 4002, 2000, 4009][n]}</deviceKey></bootOrder>`,
        )
        .join('')}<bootOrder xsi:type="VirtualMachineBootOptionsBootableCdromDevice"/></bootOptions>`,
    );
    const made = config(
      `${controller(1002, 0)}${controller(1003, 1)}${device('VirtualDisk', 2033, 1003, 1)}${device('VirtualDisk', 2040, 1002, 0)}${device('VirtualVmxnet3', 4000, 100, 9)}`,
    );
    expect(bootOrderFor(captured, made).map((entry) => entry.textAt('deviceKey'))).toEqual(['2033', '4000', '2040', undefined]);
  });
});

describe('diskPlaces', () => {
  const xml = (devices: string) =>
    `<config xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><hardware>${devices}</hardware></config>`;

  it('tells a disk by kind and bus of its controller and its unit, whatever the keys', () => {
    const captured = diskPlaces(
      xml(`${controller(1000, 0)}${device('VirtualDisk', 2000, 1000, 0)}${device('VirtualDisk', 2003, 1000, 3)}`),
    );
    const made = diskPlaces(xml(`${controller(1005, 0)}${device('VirtualDisk', 2001, 1005, 3)}${device('VirtualCdrom', 3000, 200, 0)}`));
    expect([...captured.keys()]).toEqual([2000, 2003]);
    expect([...made]).toEqual([[2001, captured.get(2003)]]);
  });
});
