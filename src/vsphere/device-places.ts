import type { XmlElement } from '../common/index.js';
import { typeOf } from './vim-xml.js';
import { devicesOf, parseConfiguration } from './vm-configuration.js';

/**
 * The captured boot order in the keys of the new VM. A device is found again by its place
 * (kind and bus of its controller, unit number); one that was not made again is left out.
 * @returns `bootOrder` elements.
 */
export function bootOrderFor(captured: XmlElement, made: XmlElement): XmlElement[] {
  const keyAt = new Map(devicesOf(made).map((device) => [placeOf(device, made), device.textAt('key') ?? '']));
  const placeByKey = new Map(devicesOf(captured).map((device) => [device.textAt('key') ?? '', placeOf(device, captured)]));
  const order = captured.child('bootOptions')?.childrenNamed('bootOrder') ?? [];
  return order.flatMap((entry) => {
    const copy = entry.clone();
    const deviceKey = copy.child('deviceKey');
    // CD-ROM and floppy entries name no device.
    if (deviceKey === undefined) return [copy];
    const key = keyAt.get(placeByKey.get(deviceKey.text()) ?? '');
    if (key === undefined) return [];
    deviceKey.setText(key);
    return [copy];
  });
}

/**
 * Where the guest finds each disk, by device key: the same in a VM that was made anew, whose keys are vCenter's to choose.
 * @param configXml VirtualMachineConfigInfo
 * @throws VsphereError BAD_CONFIGURATION
 */
export function diskPlaces(configXml: string): Map<number, string> {
  const config = parseConfiguration(configXml);
  return new Map(
    devicesOf(config)
      .filter((device) => typeOf(device) === 'VirtualDisk')
      .map((device) => [Number(device.textAt('key')), placeOf(device, config)]),
  );
}

function placeOf(device: XmlElement, config: XmlElement): string {
  const controllerKey = device.textAt('controllerKey');
  const controller = devicesOf(config).find((other) => controllerKey !== undefined && other.textAt('key') === controllerKey);
  return [typeOf(device), typeOf(controller), controller?.textAt('busNumber'), device.textAt('unitNumber')].join('/');
}
