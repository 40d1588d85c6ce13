import { describe, expect, it } from 'vitest';
import { storageDevices } from './storage-devices.js';

const XSI = 'xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';
const device = (type: string, inner: string) => `<device xsi:type="${type}">${inner}</device>`;
const disk = (key: number, controllerKey: number) =>
  device('VirtualDisk', `<key>${key}</key><controllerKey>${controllerKey}</controllerKey>`);
const config = (devices: string, more = '') => `<config ${XSI}><hardware>${devices}</hardware>${more}</config>`;

describe('storageDevices', () => {
  it.each([
    ['ParaVirtualSCSIController', 'scsi'],
    ['VirtualLsiLogicController', 'scsi'],
    ['VirtualLsiLogicSASController', 'scsi'],
    ['VirtualBusLogicController', 'scsi'],
    ['VirtualIDEController', 'ide'],
    ['VirtualAHCIController', 'sata'],
    ['VirtualNVMEController', 'nvme'],
    ['VirtualUSBController', 'other'],
  ])('knows the bus of a %s: %s', (type, bus) => {
    const controller = device(type, '<key>1000</key><busNumber>2</busNumber><sharedBus>virtualSharing</sharedBus>');
    const { controllers } = storageDevices(config(controller + disk(2000, 1000)));
    expect(controllers.get(2000)).toEqual({ type, bus, busNumber: 2, sharedBus: 'virtualSharing' });
  });

  it('counts the SCSI slots that are free, over all controllers and devices', () => {
    const controllers = device('ParaVirtualSCSIController', '<key>1000</key>') + device('VirtualLsiLogicController', '<key>1001</key>');
    const cdrom = device('VirtualCdrom', '<key>3000</key><controllerKey>1001</controllerKey>');
    expect(storageDevices(config(controllers + disk(2000, 1000) + cdrom)).freeScsiUnits).toBe(64 + 15 - 2);
    expect(storageDevices(config(disk(2000, 200))).freeScsiUnits).toBe(0);
  });

  it.each([
    ['by its flag', '<flags><diskUuidEnabled>true</diskUuidEnabled></flags>', true],
    ['by its option', '<extraConfig><key>Disk.EnableUUID</key><value>TRUE</value></extraConfig>', true],
    ['not at all', '<extraConfig><key>disk.enableUUID</key><value>FALSE</value></extraConfig>', false],
    ['not by anything else', '', false],
  ])('sees disk UUIDs enabled %s', (_, more, enabled) => {
    expect(storageDevices(config('', more)).diskUuidEnabled).toBe(enabled);
  });

  it('names persistent memory', () => {
    const nvdimm = device(
      'VirtualNVDIMM',
      '<deviceInfo><label>NVDIMM 1</label></deviceInfo><backing><fileName>[pmem] a.vmdk</fileName></backing>',
    );
    expect(storageDevices(config(nvdimm)).nvdimms).toEqual([{ label: 'NVDIMM 1', path: '[pmem] a.vmdk' }]);
  });
});
