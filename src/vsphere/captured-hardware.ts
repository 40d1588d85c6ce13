import type { XmlElement } from '../common/index.js';
import { integerOf, isTrue, typeOf } from './vim-xml.js';
import { devicesOf, parseConfiguration } from './vm-configuration.js';

/** The hardware of a captured VM, as another product would have to build it. */
export interface CapturedHardware {
  /** "vmx-19" */
  hardwareVersion: string;
  /** debian12_64Guest … */
  guestId: string;
  guestFullName: string;
  cpuCount: number;
  coresPerSocket: number;
  memoryMib: number;
  cpuHotAdd: boolean;
  memoryHotAdd: boolean;
  /** bios | efi */
  firmware: string;
  secureBoot: boolean;
  annotation: string;
  devices: CapturedDevice[];
}

export interface CapturedDevice {
  key: number;
  /** xsi:type: VirtualVmxnet3, ParaVirtualSCSIController … */
  type: string;
  label: string;
  controllerKey: number | undefined;
  unitNumber: number | undefined;
  /** Of a controller. */
  busNumber: number | undefined;
  /** Of a network adapter. */
  macAddress: string | undefined;
}

/**
 * @param configXml VirtualMachineConfigInfo
 * @throws VsphereError BAD_CONFIGURATION
 */
export function capturedHardware(configXml: string): CapturedHardware {
  const config = parseConfiguration(configXml);
  const hardware = config.child('hardware');
  return {
    hardwareVersion: config.textAt('version') ?? '',
    guestId: config.textAt('guestId') ?? '',
    guestFullName: config.textAt('guestFullName') ?? '',
    cpuCount: integerOf(hardware?.child('numCPU')) ?? 1,
    coresPerSocket: integerOf(hardware?.child('numCoresPerSocket')) ?? 1,
    memoryMib: integerOf(hardware?.child('memoryMB')) ?? 0,
    cpuHotAdd: isTrue(config.child('cpuHotAddEnabled')),
    memoryHotAdd: isTrue(config.child('memoryHotAddEnabled')),
    firmware: config.textAt('firmware') ?? 'bios',
    secureBoot: isTrue(config.find('bootOptions', 'efiSecureBootEnabled')),
    annotation: config.textAt('annotation') ?? '',
    devices: devicesOf(config).map(readDevice),
  };
}

function readDevice(device: XmlElement): CapturedDevice {
  const type = typeOf(device) ?? '';
  return {
    key: integerOf(device.child('key')) ?? 0,
    type,
    label: device.textAt('deviceInfo', 'label') ?? type,
    controllerKey: integerOf(device.child('controllerKey')),
    unitNumber: integerOf(device.child('unitNumber')),
    busNumber: integerOf(device.child('busNumber')),
    macAddress: device.textAt('macAddress') || undefined,
  };
}
