import { element, type XmlElement } from '../../common/index.js';
import type { NicConnection } from '../../vcd/index.js';
import type { CapturedDevice, CapturedHardware } from '../../vsphere/index.js';
import { item, OVF, ovf, qualified, section, VMW, VSSD, vmwConfig } from './elements.js';

/** CIM_ResourceAllocationSettingData.ResourceType */
const RESOURCE = { cpu: 3, memory: 4, ide: 5, scsi: 6, ethernet: 10, cdrom: 15, disk: 17, otherStorage: 20 } as const;

/** What a controller is called in OVF; ResourceSubType as VMware writes it. */
const CONTROLLERS: readonly { pattern: RegExp; resource: number; subType?: string }[] = [
  { pattern: /^VirtualIDEController$/, resource: RESOURCE.ide },
  { pattern: /^ParaVirtualSCSIController$/, resource: RESOURCE.scsi, subType: 'VirtualSCSI' },
  { pattern: /^VirtualLsiLogicSASController$/, resource: RESOURCE.scsi, subType: 'lsilogicsas' },
  { pattern: /^VirtualLsiLogicController$/, resource: RESOURCE.scsi, subType: 'lsilogic' },
  { pattern: /^VirtualBusLogicController$/, resource: RESOURCE.scsi, subType: 'buslogic' },
  { pattern: /AHCI|SATA/, resource: RESOURCE.otherStorage, subType: 'vmware.sata.ahci' },
  { pattern: /NVME/, resource: RESOURCE.otherStorage, subType: 'vmware.nvme.controller' },
];

const ADAPTERS: Readonly<Record<string, string>> = {
  VirtualE1000: 'E1000',
  VirtualE1000e: 'E1000e',
  VirtualPCNet32: 'PCNet32',
  VirtualVmxnet2: 'VmxNet2',
  VirtualVmxnet3: 'VmxNet3',
  VirtualVmxnet3Vrdma: 'VmxNet3',
};

export interface OvfVmHardware {
  vmName: string;
  hardware: CapturedHardware;
  nics: readonly NicConnection[];
  /** Device key of a disk -> its id in the disk section. */
  diskIds: ReadonlyMap<number, string>;
}

/** The VM's hardware: what another product can build, that is processors, memory, controllers, disks, CD drives and networks. */
export function virtualHardware(vm: OvfVmHardware): XmlElement {
  const { hardware } = vm;
  const instances = new Instances();
  const controllers = controllersOf(hardware.devices, vm.diskIds);
  return section(
    'VirtualHardwareSection',
    'Virtual hardware',
    {},
    system(vm),
    ...processorsAndMemory(hardware, instances),
    ...controllers.map((controller) => controllerItem(controller, instances)),
    ...hardware.devices.flatMap((device) => deviceItem(device, vm, instances)),
    ...vm.nics.map((nic) => ethernetItem(nic, hardware.devices, instances)),
    vmwConfig('firmware', hardware.firmware),
    ...(hardware.secureBoot ? [vmwConfig('bootOptions.efiSecureBootEnabled', true)] : []),
    vmwConfig('cpuHotAddEnabled', hardware.cpuHotAdd),
    vmwConfig('memoryHotAddEnabled', hardware.memoryHotAdd),
  );
}

/** InstanceIDs: each once in the section, and those of controllers known to what hangs on them. */
class Instances {
  private last = 0;
  private readonly byKey = new Map<number, number>();

  next(deviceKey?: number): number {
    this.last += 1;
    if (deviceKey !== undefined) this.byKey.set(deviceKey, this.last);
    return this.last;
  }

  of(deviceKey: number | undefined): number | undefined {
    return deviceKey === undefined ? undefined : this.byKey.get(deviceKey);
  }
}

function system({ vmName, hardware }: OvfVmHardware): XmlElement {
  const text = (name: string, value: string) => element(name, VSSD, {}, value);
  return ovf(
    'System',
    {},
    text('ElementName', 'Virtual Hardware Family'),
    text('InstanceID', '0'),
    text('VirtualSystemIdentifier', vmName),
    text('VirtualSystemType', hardware.hardwareVersion),
  );
}

function processorsAndMemory({ cpuCount, coresPerSocket, memoryMib }: CapturedHardware, instances: Instances): XmlElement[] {
  const cores = qualified(element('CoresPerSocket', VMW, {}, String(coresPerSocket)), OVF, { required: false });
  return [
    item(
      {
        AllocationUnits: 'hertz * 10^6',
        Description: 'Number of virtual CPUs',
        ElementName: `${cpuCount} virtual CPU(s)`,
        InstanceID: instances.next(),
        ResourceType: RESOURCE.cpu,
        VirtualQuantity: cpuCount,
      },
      ...(coresPerSocket > 1 ? [cores] : []),
    ),
    item({
      AllocationUnits: 'byte * 2^20',
      Description: 'Memory size',
      ElementName: `${memoryMib} MB of memory`,
      InstanceID: instances.next(),
      ResourceType: RESOURCE.memory,
      VirtualQuantity: memoryMib,
    }),
  ];
}

/** Those that carry something we tell of: a product makes of its own what it needs besides. */
function controllersOf(devices: readonly CapturedDevice[], diskIds: ReadonlyMap<number, string>): CapturedDevice[] {
  const needed = new Set(
    devices.filter((device) => diskIds.has(device.key) || device.type === 'VirtualCdrom').map((device) => device.controllerKey),
  );
  return devices.filter((device) => needed.has(device.key) && controllerKind(device) !== undefined);
}

function controllerKind({ type }: CapturedDevice) {
  return CONTROLLERS.find(({ pattern }) => pattern.test(type));
}

function controllerItem(controller: CapturedDevice, instances: Instances): XmlElement {
  const kind = controllerKind(controller);
  return item({
    Address: controller.busNumber ?? 0,
    ElementName: controller.label,
    InstanceID: instances.next(controller.key),
    ResourceSubType: kind?.subType,
    ResourceType: kind?.resource,
  });
}

function deviceItem(device: CapturedDevice, { diskIds }: OvfVmHardware, instances: Instances): XmlElement[] {
  const diskId = diskIds.get(device.key);
  const common = {
    AddressOnParent: device.unitNumber,
    ElementName: device.label,
    Parent: instances.of(device.controllerKey),
  };
  if (diskId !== undefined) {
    const disk = { ...common, HostResource: `ovf:/disk/${diskId}`, InstanceID: instances.next(), ResourceType: RESOURCE.disk };
    return [item(disk)];
  }
  if (device.type !== 'VirtualCdrom' || common.Parent === undefined) return [];
  return [item({ ...common, AutomaticAllocation: false, InstanceID: instances.next(), ResourceType: RESOURCE.cdrom })];
}

/** Without its MAC address: where both the VM and its copy run, they would be in each other's way. */
function ethernetItem(nic: NicConnection, devices: readonly CapturedDevice[], instances: Instances): XmlElement {
  const device = devices.find(({ macAddress }) => macAddress !== undefined && macAddress.toLowerCase() === nic.macAddress?.toLowerCase());
  const plugged = nic.network !== 'none';
  return item({
    AddressOnParent: nic.index,
    AutomaticAllocation: plugged && nic.connected,
    Connection: plugged ? nic.network : undefined,
    Description: plugged ? `Network adapter on "${nic.network}"` : 'Network adapter on no network',
    ElementName: device?.label ?? `Network adapter ${nic.index}`,
    InstanceID: instances.next(),
    ResourceSubType: (device && ADAPTERS[device.type]) ?? nic.adapterType ?? 'VmxNet3',
    ResourceType: RESOURCE.ethernet,
  });
}
