import { vim, type VimObject, type VimValue } from './vim.js';

/** What every VM has, whatever its specification says. */
export function defaultDevices(): VimObject[] {
  const device = (type: string, key: number, label: string, more: Record<string, VimValue> = {}) =>
    vim(type, { key, deviceInfo: vim('Description', { label, summary: label }), ...more });
  return [
    device('VirtualIDEController', 200, 'IDE 0', { busNumber: 0 }),
    device('VirtualIDEController', 201, 'IDE 1', { busNumber: 1 }),
    device('VirtualPS2Controller', 300, 'PS2 controller 0', { busNumber: 0 }),
    device('VirtualPCIController', 100, 'PCI controller 0', { busNumber: 0 }),
    device('VirtualSIOController', 400, 'SIO controller 0', { busNumber: 0 }),
    device('VirtualKeyboard', 600, 'Keyboard', { controllerKey: 300, unitNumber: 0 }),
    device('VirtualPointingDevice', 700, 'Pointing device', {
      backing: vim('VirtualPointingDeviceDeviceBackingInfo', { deviceName: '', useAutoDetect: false, hostPointingDevice: 'autodetect' }),
      controllerKey: 300,
      unitNumber: 1,
    }),
    device('VirtualMachineVideoCard', 500, 'Video card', { controllerKey: 100, unitNumber: 0, videoRamSizeInKB: 4096, numDisplays: 1 }),
    device('VirtualMachineVMCIDevice', 12000, 'VMCI device', { controllerKey: 100, unitNumber: 17, allowUnrestrictedCommunication: false }),
  ];
}
