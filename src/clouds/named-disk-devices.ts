import { parseXml, type XmlElement } from '../common/index.js';
import type { VmDiskSetting } from '../vcd/index.js';
import type { DiskBacking } from '../vsphere/index.js';

const MIB = 2 ** 20;

/**
 * Which devices are named (independent) disks of VCD's: VCD tells bus and unit of each, vSphere tells the same by
 * controller and unit number (vCloud API, DiskSettings BusNumber and UnitNumber). Disks on controllers of several
 * kinds may share a place; then the size has to agree too, and after that the key VCD took over as InstanceID.
 * @param configXml the VM's configuration, which alone knows the controllers' buses
 * @returns device key -> urn:vcloud:disk:…
 */
export function matchNamedDisks(
  settings: readonly VmDiskSetting[],
  disks: readonly Pick<DiskBacking, 'deviceKey' | 'controllerKey' | 'unitNumber' | 'capacityBytes'>[],
  configXml: string,
): Map<number, string> {
  const named = settings.filter((setting) => setting.namedDisk !== undefined);
  const found = new Map<number, string>();
  if (named.length === 0) return found;
  const buses = busNumbers(configXml);
  for (const setting of named) {
    const id = setting.namedDisk && idOf(setting.namedDisk);
    if (id === undefined) continue;
    const inPlace = disks.filter((disk) => buses.get(disk.controllerKey) === setting.busNumber && disk.unitNumber === setting.unitNumber);
    const ofSize = inPlace.filter((disk) => Math.ceil(disk.capacityBytes / MIB) === setting.sizeMib);
    const candidates = ofSize.length > 0 ? ofSize : inPlace;
    const one = candidates.length === 1 ? candidates[0] : candidates.find((disk) => String(disk.deviceKey) === setting.instanceId);
    if (one !== undefined) found.set(one.deviceKey, id);
  }
  return found;
}

function busNumbers(configXml: string): Map<number, number> {
  const devices: XmlElement[] = parseXml(configXml).child('hardware')?.childrenNamed('device') ?? [];
  return new Map(
    devices.flatMap((device): [number, number][] => {
      const bus = device.textAt('busNumber');
      return bus === undefined ? [] : [[Number(device.textAt('key')), Number(bus)]];
    }),
  );
}

function idOf(reference: { id?: string; href: string }): string | undefined {
  if (reference.id !== undefined) return reference.id;
  const uuid = /\/disk\/([0-9a-f-]{36})\/?$/i.exec(reference.href)?.[1];
  return uuid === undefined ? undefined : `urn:vcloud:disk:${uuid}`;
}
