import type { XmlElement } from '../common/index.js';
import { integerOf, isTrue, typeOf } from './vim-xml.js';
import { devicesOf, parseConfiguration } from './vm-configuration.js';

/** What a disk hangs on. */
export interface DiskController {
  /** xsi:type: ParaVirtualSCSIController, VirtualIDEController … */
  type: string;
  bus: 'scsi' | 'ide' | 'sata' | 'nvme' | 'other';
  busNumber: number;
  /** noSharing, virtualSharing, physicalSharing; undefined where its kind cannot be shared. */
  sharedBus: string | undefined;
}

export interface StorageDevices {
  /** By the disk's device key. */
  controllers: Map<number, DiskController>;
  /** Device keys of disks whose backing has an encryption key. */
  encrypted: ReadonlySet<number>;
  /** Units that are still free on all SCSI controllers together. */
  freeScsiUnits: number;
  /** disk.EnableUUID: whether the guest sees the disks' UUIDs, which VSS needs. */
  diskUuidEnabled: boolean;
  /** Persistent memory: a device of its own, not a disk. */
  nvdimms: { label: string; path: string }[];
}

/** A controller takes one unit of its bus itself. */
const UNITS: Readonly<Record<string, number>> = { ParaVirtualSCSIController: 64 };
const SCSI_UNITS = 15;

/**
 * How the disks of a captured configuration are attached.
 * @param configXml VirtualMachineConfigInfo
 * @throws VsphereError BAD_CONFIGURATION
 */
export function storageDevices(configXml: string): StorageDevices {
  const config = parseConfiguration(configXml);
  const devices = devicesOf(config);
  const byKey = new Map(devices.map((device) => [device.textAt('key') ?? '', device]));
  const controllers = new Map<number, DiskController>();
  const encrypted = new Set<number>();
  for (const disk of devices.filter((device) => typeOf(device) === 'VirtualDisk')) {
    const controller = byKey.get(disk.textAt('controllerKey') ?? '');
    const key = integerOf(disk.child('key'));
    if (controller !== undefined && key !== undefined) controllers.set(key, readController(controller));
    if (key !== undefined && disk.find('backing', 'keyId') !== undefined) encrypted.add(key);
  }
  return {
    controllers,
    encrypted,
    freeScsiUnits: freeScsiUnits(devices),
    diskUuidEnabled: diskUuidEnabled(config),
    nvdimms: devices
      .filter((device) => typeOf(device) === 'VirtualNVDIMM')
      .map((device) => ({ label: device.textAt('deviceInfo', 'label') ?? 'NVDIMM', path: device.textAt('backing', 'fileName') ?? '' })),
  };
}

/** Set by either of two ways. */
function diskUuidEnabled(config: XmlElement): boolean {
  if (isTrue(config.find('flags', 'diskUuidEnabled'))) return true;
  const option = config.childrenNamed('extraConfig').find((entry) => entry.textAt('key')?.toLowerCase() === 'disk.enableuuid');
  return option?.textAt('value')?.toLowerCase() === 'true';
}

function readController(device: XmlElement): DiskController {
  const type = typeOf(device) ?? '';
  return { type, bus: busOf(type), busNumber: integerOf(device.child('busNumber')) ?? 0, sharedBus: device.textAt('sharedBus') };
}

function busOf(type: string): DiskController['bus'] {
  if (/IDE/.test(type)) return 'ide';
  if (/NVME/.test(type)) return 'nvme';
  // LSI Logic controllers do not say so in their names, SATA ones are AHCI.
  if (/SCSI|Logic/.test(type)) return 'scsi';
  return /SATA|AHCI/.test(type) ? 'sata' : 'other';
}

function freeScsiUnits(devices: readonly XmlElement[]): number {
  const scsi = devices.filter((device) => busOf(typeOf(device) ?? '') === 'scsi');
  const keys = new Set(scsi.map((controller) => controller.textAt('key')));
  const taken = devices.filter((device) => keys.has(device.textAt('controllerKey'))).length;
  return scsi.reduce((sum, controller) => sum + (UNITS[typeOf(controller) ?? ''] ?? SCSI_UNITS), 0) - taken;
}
