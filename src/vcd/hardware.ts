import type { XmlElement } from '../common/index.js';
import { MIB } from '../common/index.js';
import { optionalReference, whole } from './sections.js';
import type { VmDiskSetting, VmHardware } from './types.js';

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

/** Disks from VmSpecSection where the version has it (32.0 on), else from the items of the OVF hardware section. */
export function disksOf(vm: XmlElement): VmDiskSetting[] {
  const settings = vm.find('VmSpecSection', 'DiskSection')?.childrenNamed('DiskSettings') ?? [];
  const disks = settings.length > 0 ? settings.map(diskFromSettings) : disksFromItems(vm.child('VirtualHardwareSection'));
  return disks.sort((one, other) => (one.busNumber ?? 0) - (other.busNumber ?? 0) || (one.unitNumber ?? 0) - (other.unitNumber ?? 0));
}

function diskFromSettings(disk: XmlElement): VmDiskSetting {
  return {
    instanceId: disk.textAt('DiskId') ?? '',
    sizeMib: whole(disk.textAt('SizeMb')) ?? 0,
    ...optionalReference('storageProfile', disk.child('StorageProfile')),
    ...(disk.textAt('overrideVmDefault') === 'true' ? { overridesVmProfile: true } : {}),
    ...optionalReference('namedDisk', disk.child('Disk')),
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
      const namedDiskHref = host?.attribute('disk');
      return {
        instanceId: item.textAt('InstanceID') ?? '',
        sizeMib: whole(host?.attribute('capacity')) ?? 0,
        ...(profileHref ? { storageProfile: { href: profileHref } } : {}),
        ...(host?.attribute('storageProfileOverrideVmDefault') === 'true' ? { overridesVmProfile: true } : {}),
        ...(namedDiskHref ? { namedDisk: { href: namedDiskHref } } : {}),
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

/** The hardware of a VM: VmSpecSection where it says, else the OVF hardware section; hot-add flags are VmCapabilities'. */
export function hardwareOf(vm: XmlElement): VmHardware {
  const spec = vm.child('VmSpecSection');
  const section = vm.child('VirtualHardwareSection');
  const capabilities = vm.child('VmCapabilities');
  const items = section?.childrenNamed('Item') ?? [];
  const cpu = items.find((item) => item.textAt('ResourceType') === CPU);
  const memory = items.find((item) => item.textAt('ResourceType') === MEMORY);
  return withoutUndefined({
    cpuCount: whole(spec?.textAt('NumCpus')) ?? whole(cpu?.textAt('VirtualQuantity')),
    coresPerSocket: whole(spec?.textAt('NumCoresPerSocket')) ?? whole(cpu?.textAt('CoresPerSocket')),
    memoryMib: whole(spec?.textAt('MemoryResourceMb', 'Configured')) ?? (memory && memoryInMib(memory)),
    hardwareVersion: spec?.textAt('HardwareVersion') || section?.textAt('System', 'VirtualSystemType') || undefined,
    firmware: spec?.textAt('Firmware') || undefined,
    nestedHypervisor: flag(vm.attribute('nestedHypervisorEnabled') ?? capabilities?.textAt('NestedHypervisorEnabled')),
    cpuHotAdd: flag(capabilities?.textAt('CpuHotAddEnabled')),
    memoryHotAdd: flag(capabilities?.textAt('MemoryHotAddEnabled')),
  });
}

function flag(text: string | undefined): boolean | undefined {
  return text === undefined || text === '' ? undefined : text === 'true';
}

function withoutUndefined(hardware: { [K in keyof VmHardware]: VmHardware[K] | undefined }): VmHardware {
  return Object.fromEntries(Object.entries(hardware).filter(([, value]) => value !== undefined));
}

/** VCD writes `byte * 2^20`; the unit is honoured all the same. */
function memoryInMib(item: XmlElement): number | undefined {
  const quantity = whole(item.textAt('VirtualQuantity'));
  if (quantity === undefined) return undefined;
  const exponent = /2\s*\^\s*(\d+)/.exec(item.textAt('AllocationUnits') ?? '')?.[1];
  return (quantity * 2 ** Number(exponent ?? 20)) / MIB;
}
