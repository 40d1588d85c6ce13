import type { XmlElement } from '../common/index.js';
import { typeOf } from './vim-xml.js';
import { devicesOf } from './vm-configuration.js';

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

function placeOf(device: XmlElement, config: XmlElement): string {
  const controllerKey = device.textAt('controllerKey');
  const controller = devicesOf(config).find((other) => controllerKey !== undefined && other.textAt('key') === controllerKey);
  return [typeOf(device), typeOf(controller), controller?.textAt('busNumber'), device.textAt('unitNumber')].join('/');
}
