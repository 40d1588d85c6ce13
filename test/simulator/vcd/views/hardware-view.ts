import type { XmlElement } from '../../../../src/common/index.js';
import { MIB } from '../../../../src/common/index.js';
import type { ScsiAdapter, SimDisk, SimVm } from '../../model/vsphere-types.js';
import { containerOf } from '../operations/entities.js';
import type { Vm, VmDisk } from '../state.js';
import { type Attributes, build, links, MEDIA, optional } from '../xml-names.js';
import { namedDiskReference, profileOfDisk } from './disk-view.js';
import { storageProfileReference, type Viewer } from './viewer.js';

/** ResourceSubType of a controller in OVF, and the AdapterType number of DiskSettings. */
const ADAPTERS: Readonly<Record<ScsiAdapter, { subType: string; number: string }>> = {
  busLogic: { subType: 'buslogic', number: '2' },
  lsiLogic: { subType: 'lsilogic', number: '3' },
  lsiLogicSas: { subType: 'lsilogicsas', number: '4' },
  paraVirtual: { subType: 'VirtualSCSI', number: '5' },
};

/** Fields of a RASD item; written in the alphabetical order of its schema. */
interface RasdFields {
  address?: string | number;
  addressOnParent?: number;
  allocationUnits?: string;
  automaticAllocation?: boolean;
  connection?: XmlElement;
  description: string;
  elementName: string;
  hostResource?: XmlElement;
  instanceId: number;
  parent?: number;
  reservation?: number;
  resourceSubType?: string;
  resourceType: number;
  virtualQuantity?: number;
  virtualQuantityUnits?: string;
  weight?: number;
}

function item(name: string, fields: RasdFields, attributes: Attributes = {}, ...others: (XmlElement | XmlElement[])[]): XmlElement {
  return build(
    name,
    attributes,
    optional('rasd:Address', fields.address),
    optional('rasd:AddressOnParent', fields.addressOnParent),
    optional('rasd:AllocationUnits', fields.allocationUnits),
    optional('rasd:AutomaticAllocation', fields.automaticAllocation),
    fields.connection,
    build('rasd:Description', {}, fields.description),
    build('rasd:ElementName', {}, fields.elementName),
    fields.hostResource,
    build('rasd:InstanceID', {}, fields.instanceId),
    optional('rasd:Parent', fields.parent),
    optional('rasd:Reservation', fields.reservation),
    optional('rasd:ResourceSubType', fields.resourceSubType),
    build('rasd:ResourceType', {}, fields.resourceType),
    optional('rasd:VirtualQuantity', fields.virtualQuantity),
    optional('rasd:VirtualQuantityUnits', fields.virtualQuantityUnits),
    optional('rasd:Weight', fields.weight),
    others,
  );
}

export function networkCardItems(viewer: Viewer, vm: Vm, hardware: SimVm, element = 'ovf:Item'): XmlElement[] {
  return viewer.cloud.nics(vm, hardware).map(({ record, device }, position) =>
    item(element, {
      address: device.macAddress,
      addressOnParent: record.index,
      automaticAllocation: record.connected,
      connection: build(
        'rasd:Connection',
        {
          'vcloud:ipAddressingMode': record.allocationMode,
          'vcloud:ipAddress': record.ipAddress,
          'vcloud:primaryNetworkConnection': record.index === (vm.primaryNicIndex ?? 0),
        },
        record.network,
      ),
      description: `${device.adapterType} ethernet adapter on "${record.network}"`,
      elementName: `Network adapter ${record.index}`,
      instanceId: position + 1,
      resourceSubType: device.adapterType.toUpperCase(),
      resourceType: 10,
    }),
  );
}

interface Controller {
  key: number;
  busNumber: number;
  adapterType: ScsiAdapter;
}

/** Instance ids of controllers follow those of the NICs; disks keep the key they have in vSphere. */
export function diskItems(viewer: Viewer, vm: Vm, hardware: SimVm, element = 'ovf:Item'): XmlElement[] {
  const controllers = new Map<number, Controller>();
  for (const disk of hardware.disks) {
    controllers.set(disk.controllerKey, { key: disk.controllerKey, busNumber: disk.busNumber, adapterType: disk.adapterType });
  }
  const ordered = [...controllers.values()].sort((a, b) => a.busNumber - b.busNumber);
  const idOf = (key: number): number => hardware.nics.length + 1 + ordered.findIndex((controller) => controller.key === key);
  const items = ordered.map((controller) =>
    item(element, {
      address: controller.busNumber,
      description: 'SCSI Controller',
      elementName: `SCSI Controller ${controller.busNumber}`,
      instanceId: idOf(controller.key),
      resourceSubType: ADAPTERS[controller.adapterType].subType,
      resourceType: 6,
    }),
  );
  for (const disk of hardware.disks) {
    const record = diskRecord(vm, disk.key);
    const { profileId, overrides } = profileOfDisk(viewer, vm, record);
    const hostResource = build('rasd:HostResource', {
      'vcloud:storageProfileHref': viewer.hrefs.api(`vdcStorageProfile/${profileId}`),
      'vcloud:disk': record?.namedDiskId === undefined ? undefined : viewer.hrefs.disk(record.namedDiskId),
      'vcloud:busType': 6,
      'vcloud:busSubType': ADAPTERS[disk.adapterType].subType,
      'vcloud:capacity': Math.floor(disk.capacityBytes / MIB),
      'vcloud:storageProfileOverrideVmDefault': overrides,
    });
    items.push(
      item(element, {
        addressOnParent: disk.unitNumber,
        description: 'Hard disk',
        elementName: disk.label,
        hostResource,
        instanceId: disk.key,
        parent: idOf(disk.controllerKey),
        resourceType: 17,
        virtualQuantity: disk.capacityBytes,
        virtualQuantityUnits: 'byte',
      }),
    );
  }
  return items;
}

const ITEM_CPU = 4;
const ITEM_MEMORY = 5;

export function cpuItem(viewer: Viewer, vm: Vm, hardware: SimVm, element = 'ovf:Item'): XmlElement {
  const href = `${viewer.hrefs.vm(vm.id)}/virtualHardwareSection/cpu`;
  return item(
    element,
    {
      allocationUnits: 'hertz * 10^6',
      description: 'Number of Virtual CPUs',
      elementName: `${hardware.cpuCount} virtual CPU(s)`,
      instanceId: 100 + ITEM_CPU,
      reservation: 0,
      resourceType: 3,
      virtualQuantity: hardware.cpuCount,
      weight: 0,
    },
    { 'vcloud:href': href, 'vcloud:type': `${MEDIA.rasdItem}+xml` },
    build('vmw:CoresPerSocket', { 'ovf:required': false }, hardware.coresPerSocket),
    links('edit', href, MEDIA.rasdItem),
  );
}

export function memoryItem(viewer: Viewer, vm: Vm, hardware: SimVm, element = 'ovf:Item'): XmlElement {
  const href = `${viewer.hrefs.vm(vm.id)}/virtualHardwareSection/memory`;
  return item(
    element,
    {
      allocationUnits: 'byte * 2^20',
      description: 'Memory Size',
      elementName: `${hardware.memoryMib} MB of memory`,
      instanceId: 100 + ITEM_MEMORY,
      reservation: 0,
      resourceType: 4,
      virtualQuantity: hardware.memoryMib,
      weight: 0,
    },
    { 'vcloud:href': href, 'vcloud:type': `${MEDIA.rasdItem}+xml` },
    links('edit', href, MEDIA.rasdItem),
  );
}

export function virtualHardwareSection(viewer: Viewer, vm: Vm, hardware: SimVm): XmlElement {
  const href = `${viewer.hrefs.vm(vm.id)}/virtualHardwareSection/`;
  return build(
    'ovf:VirtualHardwareSection',
    { 'ovf:transport': '', 'vcloud:href': href, 'vcloud:type': `${MEDIA.virtualHardware}+xml` },
    build('ovf:Info', {}, 'Virtual hardware requirements'),
    build(
      'ovf:System',
      {},
      build('vssd:ElementName', {}, 'Virtual Hardware Family'),
      build('vssd:InstanceID', {}, 0),
      build('vssd:VirtualSystemIdentifier', {}, vm.name),
      build('vssd:VirtualSystemType', {}, hardware.hardwareVersion),
    ),
    networkCardItems(viewer, vm, hardware),
    diskItems(viewer, vm, hardware),
    cpuItem(viewer, vm, hardware),
    memoryItem(viewer, vm, hardware),
    links('edit', href, MEDIA.virtualHardware),
    links('down', `${href}cpu`, MEDIA.rasdItem),
    links('edit', `${href}cpu`, MEDIA.rasdItem),
    links('down', `${href}memory`, MEDIA.rasdItem),
    links('edit', `${href}memory`, MEDIA.rasdItem),
    links('down', `${href}disks`, MEDIA.rasdItemsList),
    links('edit', `${href}disks`, MEDIA.rasdItemsList),
    links('down', `${href}networkCards`, MEDIA.rasdItemsList),
    links('edit', `${href}networkCards`, MEDIA.rasdItemsList),
  );
}

export function rasdItemsList(href: string, items: readonly XmlElement[]): XmlElement {
  return build('RasdItemsList', { href, type: `${MEDIA.rasdItemsList}+xml` }, links('edit', href, MEDIA.rasdItemsList), items);
}

export function vmSpecSection(viewer: Viewer, vm: Vm, hardware: SimVm): XmlElement {
  return build(
    'VmSpecSection',
    { Modified: false },
    build('ovf:Info', {}, 'Virtual Machine specification (read only section)'),
    build('OsType', {}, hardware.guestId),
    build('Firmware', {}, hardware.firmware),
    build('NumCpus', {}, hardware.cpuCount),
    build('NumCoresPerSocket', {}, hardware.coresPerSocket),
    build('CpuResourceMhz', {}, build('Configured', {}, 0)),
    build('MemoryResourceMb', {}, build('Configured', {}, hardware.memoryMib)),
    build('MediaSection', {}),
    build(
      'DiskSection',
      {},
      hardware.disks.map((disk) => diskSettings(viewer, vm, disk)),
    ),
    build(
      'HardwareVersion',
      {
        href: viewer.hrefs.api(`vdc/${containerOf(viewer.cloud, vm).vdcId}/hwv/${hardware.hardwareVersion}`),
        type: 'application/vnd.vmware.vcloud.virtualHardwareVersion+xml',
      },
      hardware.hardwareVersion,
    ),
    build('VmToolsVersion', {}, '12352'),
    build('VirtualCpuType', {}, 'VM64'),
    build('TimeSyncWithHost', {}, false),
  );
}

function diskSettings(viewer: Viewer, vm: Vm, disk: SimDisk): XmlElement {
  const record = diskRecord(vm, disk.key);
  const { profileId, overrides } = profileOfDisk(viewer, vm, record);
  const sharing = viewer.cloud.state.disks.find((candidate) => candidate.id === record?.namedDiskId)?.sharingType;
  return build(
    'DiskSettings',
    {},
    build('DiskId', {}, disk.key),
    build('SizeMb', {}, Math.floor(disk.capacityBytes / MIB)),
    build('UnitNumber', {}, disk.unitNumber),
    build('BusNumber', {}, disk.busNumber),
    build('AdapterType', {}, ADAPTERS[disk.adapterType].number),
    build('ThinProvisioned', {}, disk.thin),
    namedDiskReference(viewer, record),
    storageProfileReference(viewer, 'StorageProfile', profileId),
    build('overrideVmDefault', {}, overrides),
    build('VirtualQuantityUnit', {}, 'byte'),
    build('VirtualQuantity', {}, disk.capacityBytes),
    viewer.apiVersion >= 34 ? [build('resizable', {}, record?.namedDiskId === undefined), build('encrypted', {}, false)] : [],
    viewer.apiVersion >= 35 ? build('shareable', {}, sharing !== undefined) : undefined,
    viewer.apiVersion >= 36 ? build('sharingType', {}, sharing ?? 'None') : undefined,
  );
}

export function diskRecord(vm: Vm, deviceKey: number): VmDisk | undefined {
  return vm.disks.find((candidate) => candidate.deviceKey === deviceKey);
}

/** DiskSettings/AdapterType -> the controller it means; busSubType of a named disk -> the same. */
export const adapterOfNumber = (number: string): ScsiAdapter | undefined => adapterWith((names) => names.number === number);
export const adapterOfSubType = (subType: string): ScsiAdapter | undefined =>
  adapterWith((names) => names.subType.toLowerCase() === subType.toLowerCase());

function adapterWith(test: (names: { subType: string; number: string }) => boolean): ScsiAdapter | undefined {
  return (Object.keys(ADAPTERS) as ScsiAdapter[]).find((adapter) => test(ADAPTERS[adapter]));
}
