import type { XmlElement } from '../common/index.js';
import { MIB } from '../common/index.js';
import { referenceOf } from './links.js';
import { whole } from './sections.js';
import type { VmDiskSetting } from './types.js';

/** CIM_ResourceAllocationSettingData.ResourceType */
const CPU = '3';
const MEMORY = '4';
const DISK = '17';

/** VCD's words for bus subtypes against those of DiskSettings/AdapterType: numbers there, names here. */
const ADAPTER_NAMES: Readonly<Record<string, string>> = {
  '1': 'IDE',
  '2': 'BusLogic',
  '3': 'LsiLogic',
  '4': 'LsiLogicSAS',
  '5': 'ParaVirtual',
  '6': 'SATA',
  '7': 'NVME',
  lsilogic: 'LsiLogic',
  lsilogicsas: 'LsiLogicSAS',
  buslogic: 'BusLogic',
  virtualscsi: 'ParaVirtual',
  paravirtual: 'ParaVirtual',
  'vmware.sata.ahci': 'SATA',
  ahci: 'SATA',
  'vmware.nvme.controller': 'NVME',
  ide: 'IDE',
};

export interface HardwareSummary {
  cpuCount?: number;
  coresPerSocket?: number;
  memoryMib?: number;
  hardwareVersion?: string;
}

/** Disks from VmSpecSection where the version has it (32.0 on), else from the items of the OVF hardware section. */
export function disksOf(vm: XmlElement): VmDiskSetting[] {
  const settings = vm.find('VmSpecSection', 'DiskSection')?.childrenNamed('DiskSettings') ?? [];
  const disks = settings.length > 0 ? settings.map(diskFromSettings) : disksFromItems(vm.child('VirtualHardwareSection'));
  return disks.sort((one, other) => (one.busNumber ?? 0) - (other.busNumber ?? 0) || (one.unitNumber ?? 0) - (other.unitNumber ?? 0));
}

function diskFromSettings(disk: XmlElement): VmDiskSetting {
  const profile = referenceOf(disk.child('StorageProfile'));
  return {
    instanceId: disk.textAt('DiskId') ?? '',
    sizeMib: whole(disk.textAt('SizeMb')) ?? 0,
    ...(profile ? { storageProfile: profile } : {}),
    ...placement(whole(disk.textAt('BusNumber')), whole(disk.textAt('UnitNumber')), disk.textAt('AdapterType')),
  };
}

function disksFromItems(section: XmlElement | undefined): VmDiskSetting[] {
  const items = section?.childrenNamed('Item') ?? [];
  const controllers = new Map(items.map((item) => [item.textAt('InstanceID') ?? '', item]));
  return items
    .filter((item) => item.textAt('ResourceType') === DISK)
    .map((item) => {
      const host = item.child('HostResource');
      const controller = controllers.get(item.textAt('Parent') ?? '');
      const profileHref = host?.attribute('storageProfileHref');
      return {
        instanceId: item.textAt('InstanceID') ?? '',
        sizeMib: whole(host?.attribute('capacity')) ?? 0,
        ...(profileHref ? { storageProfile: { href: profileHref } } : {}),
        ...placement(
          whole(controller?.textAt('Address')),
          whole(item.textAt('AddressOnParent')),
          host?.attribute('busSubType') ?? controller?.textAt('ResourceSubType'),
        ),
      };
    });
}

function placement(busNumber: number | undefined, unitNumber: number | undefined, adapter: string | undefined) {
  const adapterType = adapter === undefined || adapter === '' ? undefined : (ADAPTER_NAMES[adapter.toLowerCase()] ?? adapter);
  return {
    ...(busNumber === undefined ? {} : { busNumber }),
    ...(unitNumber === undefined ? {} : { unitNumber }),
    ...(adapterType === undefined ? {} : { adapterType }),
  };
}

export function hardwareOf(section: XmlElement | undefined): HardwareSummary {
  const items = section?.childrenNamed('Item') ?? [];
  const cpu = items.find((item) => item.textAt('ResourceType') === CPU);
  const memory = items.find((item) => item.textAt('ResourceType') === MEMORY);
  const version = section?.textAt('System', 'VirtualSystemType');
  const summary: HardwareSummary = {};
  const cpuCount = whole(cpu?.textAt('VirtualQuantity'));
  const coresPerSocket = whole(cpu?.textAt('CoresPerSocket'));
  const memoryMib = memory && memoryInMib(memory);
  if (cpuCount !== undefined) summary.cpuCount = cpuCount;
  if (coresPerSocket !== undefined) summary.coresPerSocket = coresPerSocket;
  if (memoryMib !== undefined) summary.memoryMib = memoryMib;
  if (version) summary.hardwareVersion = version;
  return summary;
}

/** VCD writes `byte * 2^20`; the unit is honoured all the same. */
function memoryInMib(item: XmlElement): number | undefined {
  const quantity = whole(item.textAt('VirtualQuantity'));
  if (quantity === undefined) return undefined;
  const exponent = /2\s*\^\s*(\d+)/.exec(item.textAt('AllocationUnits') ?? '')?.[1];
  return (quantity * 2 ** Number(exponent ?? 20)) / MIB;
}
