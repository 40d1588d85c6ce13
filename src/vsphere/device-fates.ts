import type { XmlElement } from '../common/index.js';
import type { EncryptionOptions } from './encryption-spec.js';
import { typeOf } from './vim-xml.js';

/** Made again as it was, less what is named here. */
export interface CopiedDevice {
  kind: 'copied';
  /** Of its own type, in schema order; what every device has is written anyway. */
  fields: readonly string[];
  withoutBacking: readonly string[];
}

/** On the administrator's own machine, that is, empty: the captured ISO or image need not exist here. */
interface EmptiedDevice {
  kind: 'emptied';
  backing: string;
  exclusive: boolean;
}

export type MadeDevice = { kind: 'controller' } | { kind: 'nic' } | { kind: 'disk' } | CopiedDevice | EmptiedDevice;

/** What becomes of a captured device in the new VM. */
export type DeviceFate = MadeDevice | { kind: 'default' } | { kind: 'omitted'; why: string };

const DEFAULT: DeviceFate = { kind: 'default' };
const CONTROLLER: DeviceFate = { kind: 'controller' };
const NIC: DeviceFate = { kind: 'nic' };

function copied(...fields: string[]): CopiedDevice {
  return { kind: 'copied', fields, withoutBacking: [] };
}

function omitted(why: string): DeviceFate {
  return { kind: 'omitted', why };
}

/** By type alone. Default devices vSphere gives to every VM itself; a specification that names them fails (guide, "Default Devices"). */
const FATES: Readonly<Record<string, DeviceFate>> = {
  VirtualIDEController: DEFAULT,
  VirtualPS2Controller: DEFAULT,
  VirtualPCIController: DEFAULT,
  VirtualSIOController: DEFAULT,
  VirtualKeyboard: DEFAULT,
  VirtualPointingDevice: DEFAULT,
  VirtualMachineVMCIDevice: DEFAULT,
  VirtualVMCIDevice: DEFAULT,

  VirtualBusLogicController: CONTROLLER,
  VirtualLsiLogicController: CONTROLLER,
  VirtualLsiLogicSASController: CONTROLLER,
  ParaVirtualSCSIController: CONTROLLER,
  VirtualAHCIController: CONTROLLER,
  VirtualNVMEController: CONTROLLER,
  VirtualUSBController: CONTROLLER,
  VirtualUSBXHCIController: CONTROLLER,

  VirtualE1000: NIC,
  VirtualE1000e: NIC,
  VirtualPCNet32: NIC,
  VirtualVmxnet: NIC,
  VirtualVmxnet2: NIC,
  VirtualVmxnet3: NIC,
  VirtualVmxnet3Vrdma: NIC,
  VirtualSriovEthernetCard: NIC,

  VirtualCdrom: { kind: 'emptied', backing: 'VirtualCdromRemotePassthroughBackingInfo', exclusive: true },
  VirtualFloppy: { kind: 'emptied', backing: 'VirtualFloppyRemoteDeviceBackingInfo', exclusive: false },

  // Every VM has one, and a specification that names it sets its memory and displays.
  VirtualMachineVideoCard: copied(
    ...['videoRamSizeInKB', 'numDisplays', 'useAutoDetect', 'enable3DSupport', 'use3dRenderer', 'graphicsMemorySizeInKB'],
  ),
  VirtualHdAudioCard: copied(),
  VirtualEnsoniq1371: copied(),
  VirtualSoundBlaster16: copied(),
  VirtualWDT: copied('runOnBoot', 'running'),
  VirtualPrecisionClock: copied(),

  VirtualUSB: omitted('plugged into its host, or into the machine of somebody who looked at it'),
  VirtualSCSIPassthrough: omitted('a device of its host'),
  VirtualNVDIMM: omitted('persistent memory takes no part in snapshots, so no backup has it'),
  VirtualNVDIMMController: omitted('its persistent memory takes no part in snapshots, so no backup has it'),
  VirtualVMIROM: omitted('paravirtualization by VMI, which vSphere does not have any more'),
};

/** Where the backing decides: by type of the device, then of its backing. */
const FATES_BY_BACKING: Readonly<Record<string, Readonly<Record<string, DeviceFate>>>> = {
  VirtualSerialPort: {
    VirtualSerialPortURIBackingInfo: copied('yieldOnPoll'),
    VirtualSerialPortPipeBackingInfo: copied('yieldOnPoll'),
    VirtualSerialPortThinPrintBackingInfo: copied('yieldOnPoll'),
    VirtualSerialPortDeviceBackingInfo: omitted('connected to a serial port of its host'),
    VirtualSerialPortFileBackingInfo: omitted('it writes to a file of the old VM'),
  },
  VirtualParallelPort: {
    VirtualParallelPortDeviceBackingInfo: omitted('connected to a parallel port of its host'),
    VirtualParallelPortFileBackingInfo: omitted('it writes to a file of the old VM'),
  },
  VirtualPCIPassthrough: {
    // Any card of a kind, wherever there is one.
    VirtualPCIPassthroughVmiopBackingInfo: copied(),
    VirtualPCIPassthroughDvxBackingInfo: copied(),
    VirtualPCIPassthroughDynamicBackingInfo: { kind: 'copied', fields: [], withoutBacking: ['assignedId'] },
    VirtualPCIPassthroughDeviceBackingInfo: omitted('one certain card of its host'),
  },
};

const UNKNOWN = omitted('a kind of device that this version does not know; add it by hand');

/**
 * What becomes of a device when its VM is made again.
 * @param keys how an encrypted VM is made again; undefined for one that is not encrypted
 */
export function fateOf(device: XmlElement, keys?: EncryptionOptions['keys']): DeviceFate {
  const type = typeOf(device) ?? '';
  if (type === 'VirtualDisk') return diskFate(device);
  if (type === 'VirtualTPM') return tpmFate(keys);
  const byBacking = FATES_BY_BACKING[type];
  if (byBacking !== undefined) return byBacking[typeOf(device.child('backing')) ?? ''] ?? UNKNOWN;
  return FATES[type] ?? UNKNOWN;
}

export function isDefaultDevice(device: XmlElement): boolean {
  return fateOf(device).kind === 'default';
}

function diskFate(device: XmlElement): DeviceFate {
  if (device.textAt('backing', 'compatibilityMode') !== 'physicalMode') return { kind: 'disk' };
  return omitted('a LUN mapped in physical mode takes no part in snapshots, and belongs to one VM');
}

/** Its secrets are in the NVRAM, readable with the captured keys alone; its certificates are of those secrets. */
function tpmFate(keys: EncryptionOptions['keys'] | undefined): DeviceFate {
  if (keys === 'captured') return copied('endorsementKeyCertificateSigningRequest', 'endorsementKeyCertificate');
  if (keys === 'new') return copied();
  return omitted('a TPM needs an encrypted VM');
}
