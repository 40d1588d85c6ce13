import { randomUUID } from 'node:crypto';
import { schema } from '../vsphere/schema/schema.js';
import { changedKey, generateKey, wantedPolicy } from './encryption.js';
import type { Inventory } from './inventory.js';
import type { VmState } from './state.js';
import { isObject, listAt, moRef, numberAt, objectAt, referenceAt, stringAt, vim, type VimObject } from './vim.js';
import { SimFault } from './vsphere-types.js';

/** Where a VM's new files go. */
export interface VmHome {
  datastoreName: string;
  folder: string;
}

export interface DiskToMake {
  path: string;
  capacityBytes: number;
  uuid: string;
  thin: boolean;
  controllerType: string;
}

/** What a list of device changes comes to: checked as a whole before a file is touched. */
export interface DevicePlan {
  devices: VimObject[];
  create: DiskToMake[];
  grow: { path: string; capacityBytes: number }[];
  destroy: string[];
  /** Storage policies that disks get, by device key. */
  policies: Record<string, string>;
}

const DISK_MODES = new Set(['persistent', 'nonpersistent', 'undoable', 'independent_persistent', 'independent_nonpersistent', 'append']);
/** The SCSI controller itself sits at 7. */
const SCSI_CONTROLLER_UNIT = 7;
const SINGLETONS = new Set([
  'VirtualPCIController',
  'VirtualPS2Controller',
  'VirtualSIOController',
  'VirtualKeyboard',
  'VirtualPointingDevice',
  'VirtualMachineVideoCard',
  'VirtualMachineVMCIDevice',
]);

const isController = (device: VimObject): boolean => schema.isData(device.$type, 'VirtualController');
export const isNic = (device: VimObject): boolean => schema.isData(device.$type, 'VirtualEthernetCard');
export const isDisk = (device: VimObject): boolean => device.$type === 'VirtualDisk';

/** Applies deviceChange to a copy of `devices`. @throws SimFault naming the element at fault, as vCenter does. */
export class DeviceChanges {
  private readonly plan: DevicePlan;
  /** The key a specification used, and the key the device got. */
  private readonly keys = new Map<number, number>();

  constructor(
    private readonly inventory: Inventory,
    private readonly home: VmHome,
    devices: readonly VimObject[],
    private readonly vm: VmState | undefined,
  ) {
    this.plan = { devices: structuredClone([...devices]), create: [], grow: [], destroy: [], policies: {} };
  }

  apply(changes: readonly VimObject[]): DevicePlan {
    // Controllers first: a disk may stand before its controller in the list.
    const order = changes.map((change, index) => ({ change, index }));
    const rank = (change: VimObject) => (isController(objectAt(change, 'device') as VimObject) ? 0 : 1);
    order.sort((a, b) => rank(a.change) - rank(b.change) || a.index - b.index);
    for (const { change, index } of order) this.applyOne(change, index);
    this.refreshControllers();
    return this.plan;
  }

  private applyOne(change: VimObject, index: number): void {
    const device = objectAt(change, 'device') as VimObject;
    const operation = stringAt(change, 'operation');
    const fileOperation = stringAt(change, 'fileOperation');
    switch (operation) {
      case 'add':
        this.add(device, fileOperation, index);
        if (isDisk(device)) this.protectDisk(this.plan.devices.at(-1) as VimObject, change, index);
        return;
      case 'edit':
        this.edit(device, index);
        if (isDisk(device)) this.protectDisk(this.plan.devices.find(({ key }) => key === device.key) as VimObject, change, index);
        return;
      case 'remove':
        this.remove(device, fileOperation, index);
        return;
      default:
        throw invalidDevice(index, 'operation', 'A device change needs an operation.');
    }
  }

  private add(source: VimObject, fileOperation: string | undefined, index: number): void {
    const device = structuredClone(source);
    const requested = numberAt(device, 'key') ?? 0;
    const existing = SINGLETONS.has(device.$type) && this.plan.devices.find((d) => d.$type === device.$type);
    if (existing) {
      this.keys.set(requested, numberAt(existing, 'key') as number);
      return;
    }
    if (fileOperation !== undefined && !isDisk(device)) throw invalidDevice(index, 'fileOperation', 'Only disks have files to create.');
    if (isController(device)) this.placeController(device, requested, index);
    else this.placeOnController(device, index);
    if (isDisk(device)) this.addDisk(device, fileOperation, index);
    if (isNic(device)) this.checkNic(device, index);
    device.key = this.freeKey(device);
    this.keys.set(requested, device.key);
    describe(device, this.plan.devices, this.inventory);
    this.plan.devices.push(device);
  }

  /** The policy of a disk, and the key that it or the request asks for. */
  private protectDisk(disk: VimObject, change: VimObject, index: number): void {
    const backing = objectAt(disk, 'backing') as VimObject;
    const current = objectAt(backing, 'keyId');
    const crypto = objectAt(objectAt(change, 'backing') ?? vim('VirtualDeviceConfigSpecBackingSpec'), 'crypto');
    const policy = wantedPolicy(this.inventory, listAt(change, 'profile'));
    if (policy) this.plan.policies[String(disk.key)] = policy.id;
    let key = current;
    if (crypto) key = changedKey(this.inventory, current, crypto, `deviceChange[${index}].backing.crypto`);
    else if (policy?.encrypts === true && !current) key = generateKey(this.inventory, undefined);
    if (key) backing.keyId = key;
    else delete backing.keyId;
  }

  private placeController(device: VimObject, requested: number, index: number): void {
    const bus = numberAt(device, 'busNumber') ?? 0;
    const kin = this.plan.devices.filter((other) => controllerFamily(other) === controllerFamily(device));
    const twin = kin.find((other) => numberAt(other, 'busNumber') === bus);
    if (twin && controllerFamily(device) !== 'VirtualIDEController')
      throw invalidDevice(index, 'device.busNumber', `Bus ${bus} has a controller already.`);
    if (twin) this.keys.set(requested, numberAt(twin, 'key') as number);
    if (controllerFamily(device) === 'VirtualSCSIController') {
      if (bus > 3) throw invalidDevice(index, 'device.busNumber', 'A VM has SCSI buses 0 to 3.');
      device.hotAddRemove = true;
      device.scsiCtlrUnitNumber = SCSI_CONTROLLER_UNIT;
    }
    device.controllerKey ??= controllerFamily(device) === 'VirtualIDEController' ? undefined : 100;
  }

  private placeOnController(device: VimObject, index: number): void {
    if (device.controllerKey === undefined) {
      if (isDisk(device) || device.$type === 'VirtualCdrom')
        throw invalidDevice(index, 'device.controllerKey', `A ${device.$type} needs a controller.`);
      device.controllerKey = 100;
    }
    const key = this.keys.get(device.controllerKey as number) ?? (device.controllerKey as number);
    const controller = this.plan.devices.find((d) => d.key === key && isController(d));
    if (!controller) throw invalidDevice(index, 'device.controllerKey', `There is no controller with key ${String(device.controllerKey)}.`);
    device.controllerKey = key;
    const taken = new Set(this.plan.devices.filter((d) => d.controllerKey === key).map((d) => d.unitNumber));
    const scsi = schema.isData(controller.$type, 'VirtualSCSIController');
    if (scsi) taken.add(SCSI_CONTROLLER_UNIT);
    const asked = numberAt(device, 'unitNumber');
    const limit = scsi
      ? controller.$type === 'ParaVirtualSCSIController'
        ? 64
        : 16
      : controller.$type === 'VirtualIDEController'
        ? 2
        : 64;
    if (asked !== undefined && asked >= 0) {
      if (asked >= limit || (taken.has(asked) && (isDisk(device) || scsi)))
        throw invalidDevice(index, 'device.unitNumber', `Unit ${asked} is not free.`);
      if (!taken.has(asked)) return;
    }
    let unit = isNic(device) ? SCSI_CONTROLLER_UNIT : 0;
    while (taken.has(unit)) unit += 1;
    if (unit >= limit) throw invalidDevice(index, 'device.unitNumber', 'The controller is full.');
    device.unitNumber = unit;
  }

  private addDisk(device: VimObject, fileOperation: string | undefined, index: number): void {
    const backing = objectAt(device, 'backing');
    if (backing?.$type !== 'VirtualDiskFlatVer2BackingInfo')
      throw invalidDevice(index, 'device.backing', 'A disk needs a VirtualDiskFlatVer2BackingInfo.');
    if (!DISK_MODES.has(stringAt(backing, 'diskMode') ?? '')) {
      throw new SimFault('InvalidArgument', 'A specified parameter was not correct: deviceChange.device.backing.diskMode', {
        invalidProperty: `spec.deviceChange[${index}].device.backing.diskMode`,
      });
    }
    backing.uuid ??= `6000C29${randomUUID().slice(7)}`;
    delete backing.changeId;
    delete backing.parent;
    if (fileOperation !== undefined && fileOperation !== 'create')
      throw invalidDevice(index, 'fileOperation', `A disk cannot be added with ${fileOperation}.`);
    if (fileOperation === 'create') {
      device.capacityInBytes = diskCapacity(device, index);
      device.capacityInKB = Math.floor((device.capacityInBytes as number) / 1024);
      backing.fileName = this.newDiskPath(stringAt(backing, 'fileName') ?? '');
      const controller = this.plan.devices.find((d) => d.key === device.controllerKey);
      this.plan.create.push({
        path: backing.fileName,
        capacityBytes: device.capacityInBytes as number,
        uuid: backing.uuid as string,
        thin: backing.thinProvisioned === true,
        controllerType: controller?.$type ?? '',
      });
    } else if (!stringAt(backing, 'fileName'))
      throw invalidDevice(index, 'device.backing.fileName', 'An existing disk needs its file name.');
    const datastore = /^\[([^\]]+)\]/.exec(backing.fileName as string)?.[1] ?? '';
    backing.datastore = moRef('Datastore', this.inventory.datastoreMoRef(datastore));
  }

  /** "" and "[ds]" mean: name it yourself, in the VM's folder. */
  private newDiskPath(fileName: string): string {
    const match = /^\[([^\]]+)\]\s*(.*)$/.exec(fileName.trim());
    const datastore = this.inventory.datastore(match?.[1] ?? this.home.datastoreName);
    if (match?.[2]) return `[${datastore.name}] ${match[2]}`;
    const taken = new Set(this.plan.create.map((disk) => disk.path));
    for (const device of this.plan.devices) {
      const backing = objectAt(device, 'backing');
      if (isDisk(device) && backing) taken.add((stringAt(backing, 'fileName') ?? '').replace(/-\d{6}\.vmdk$/, '.vmdk'));
    }
    const name = this.home.folder;
    for (let n = 0; ; n += 1) {
      const path = `[${datastore.name}] ${this.home.folder}/${name}${n === 0 ? '' : `_${n}`}.vmdk`;
      if (!taken.has(path)) return path;
    }
  }

  private checkNic(device: VimObject, index: number): void {
    this.checkNicBacking(device, index);
    const type = stringAt(device, 'addressType') || 'assigned';
    const address = stringAt(device, 'macAddress')?.toLowerCase();
    if (type === 'manual') {
      if (!address || !/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(address))
        throw invalidDevice(index, 'device.macAddress', 'A manual address is a unicast MAC address.');
      device.macAddress = address;
    } else {
      device.macAddress = this.inventory.newMacAddress();
    }
    device.addressType = type;
    device.wakeOnLanEnabled ??= true;
    device.connectable ??= vim('VirtualDeviceConnectInfo', { startConnected: true, allowGuestControl: true, connected: false });
  }

  private checkNicBacking(device: VimObject, index: number): void {
    const backing = objectAt(device, 'backing');
    const networks = this.inventory.state.networks;
    if (backing?.$type === 'VirtualEthernetCardNetworkBackingInfo') {
      const wanted = referenceAt(backing, 'network');
      const network = networks.find(
        (n) => n.kind === 'Network' && (wanted === undefined ? n.name === backing.deviceName : n.moRef === wanted),
      );
      if (!network)
        throw invalidDevice(index, 'device.backing', `There is no network "${String(backing.deviceName)}".`, 'InvalidDeviceBacking');
      backing.network = moRef('Network', network.moRef);
      backing.deviceName = network.name;
      return;
    }
    if (backing?.$type === 'VirtualEthernetCardDistributedVirtualPortBackingInfo') {
      const port = objectAt(backing, 'port');
      const group = networks.find((n) => n.kind === 'DistributedVirtualPortgroup' && n.moRef === port?.portgroupKey);
      if (!group || port?.switchUuid !== this.inventory.state.dvSwitch.uuid) {
        throw invalidDevice(index, 'device.backing.port', 'There is no such distributed port group.', 'InvalidDeviceBacking');
      }
      return;
    }
    throw invalidDevice(index, 'device.backing', 'A NIC needs a network.', 'InvalidDeviceBacking');
  }

  private edit(change: VimObject, index: number): void {
    const current = this.plan.devices.find((device) => device.key === change.key);
    if (!current) throw invalidDevice(index, 'device.key', `There is no device with key ${String(change.key)}.`);
    if (current.$type !== change.$type)
      throw invalidDevice(index, 'device', `Device ${String(change.key)} is a ${current.$type}, not a ${change.$type}.`);
    if (isDisk(current)) this.editDisk(current, change, index);
    for (const [field, value] of Object.entries(change)) {
      if (value === undefined || field === '$type' || field === 'key' || field === 'deviceInfo' || (isDisk(current) && field !== 'shares'))
        continue;
      current[field] = structuredClone(value);
    }
    if (isNic(current)) {
      this.checkNicBacking(current, index);
      describe(current, this.plan.devices, this.inventory);
    }
  }

  private editDisk(current: VimObject, change: VimObject, index: number): void {
    const oldBytes = numberAt(current, 'capacityInBytes') as number;
    const capacityBytes = diskCapacity(editedCapacity(current, change), index);
    const backing = objectAt(current, 'backing') as VimObject;
    if (capacityBytes === oldBytes) return;
    if (capacityBytes < oldBytes) throw invalidDevice(index, 'device.capacityInKB', 'A disk cannot shrink.');
    if (this.vm && this.vm.snapshots.length > 0) throw invalidDevice(index, 'device.capacityInKB', 'A disk with snapshots cannot grow.');
    current.capacityInBytes = capacityBytes;
    current.capacityInKB = Math.floor(capacityBytes / 1024);
    // The tracked blocks of another size mean nothing: tracking begins anew at the next stun.
    delete backing.changeId;
    this.plan.grow.push({ path: backing.fileName as string, capacityBytes });
  }

  private remove(change: VimObject, fileOperation: string | undefined, index: number): void {
    const at = this.plan.devices.findIndex((device) => device.key === change.key);
    const current = this.plan.devices[at];
    if (!current) throw invalidDevice(index, 'device.key', `There is no device with key ${String(change.key)}.`);
    if (isController(current) && this.plan.devices.some((device) => device.controllerKey === current.key)) {
      throw new SimFault('ResourceInUse', `Controller ${String(current.key)} still has devices.`, {});
    }
    this.plan.devices.splice(at, 1);
    const path = stringAt(objectAt(current, 'backing'), 'fileName');
    if (isDisk(current) && fileOperation === 'destroy' && path !== undefined) this.plan.destroy.push(path);
  }

  private freeKey(device: VimObject): number {
    const taken = new Set(this.plan.devices.map((other) => other.key));
    let key = firstKey(device, this.plan.devices);
    while (taken.has(key)) key += 1;
    return key;
  }

  private refreshControllers(): void {
    for (const controller of this.plan.devices.filter(isController)) {
      const keys = this.plan.devices.filter((d) => d.controllerKey === controller.key).map((d) => d.key as number);
      controller.device = keys.length > 0 ? keys : undefined;
    }
  }
}

function controllerFamily(device: VimObject): string {
  return schema.isData(device.$type, 'VirtualSCSIController') ? 'VirtualSCSIController' : device.$type;
}

/** vCenter's own numbering. */
function firstKey(device: VimObject, devices: readonly VimObject[]): number {
  const bus = numberAt(device, 'busNumber') ?? 0;
  if (schema.isData(device.$type, 'VirtualSCSIController')) return 1000 + bus;
  if (device.$type === 'VirtualIDEController') return 200 + bus;
  if (schema.isData(device.$type, 'VirtualSATAController')) return 15000 + bus;
  if (device.$type === 'VirtualNVMEController') return 31000 + bus;
  if (isNic(device)) return 4000;
  if (isDisk(device)) {
    const controller = devices.find((other) => other.key === device.controllerKey);
    return 2000 + (numberAt(controller, 'busNumber') ?? 0) * 16 + (numberAt(device, 'unitNumber') ?? 0);
  }
  if (device.$type === 'VirtualCdrom') return 3000;
  if (device.$type === 'VirtualFloppy') return 8000;
  if (device.$type === 'VirtualTPM') return 11000;
  return 13000;
}

function describe(device: VimObject, devices: readonly VimObject[], inventory: Inventory): void {
  const count = (test: (device: VimObject) => boolean) => devices.filter((other) => other !== device && test(other)).length;
  const old = stringAt(objectAt(device, 'deviceInfo'), 'label');
  const kept = devices.includes(device) ? old : undefined;
  const info = (label: string, summary: string) => vim('Description', { label: kept ?? label, summary });
  if (isDisk(device))
    device.deviceInfo = info(`Hard disk ${count(isDisk) + 1}`, `${(device.capacityInKB as number).toLocaleString('en-US')} KB`);
  else if (isNic(device)) device.deviceInfo = info(`Network adapter ${count(isNic) + 1}`, nicNetwork(inventory, device)?.name ?? '');
  else if (device.$type === 'VirtualCdrom')
    device.deviceInfo = info(`CD/DVD drive ${count((d) => d.$type === 'VirtualCdrom') + 1}`, 'Remote device');
  else if (schema.isData(device.$type, 'VirtualSCSIController'))
    device.deviceInfo = info(`SCSI controller ${String(device.busNumber)}`, device.$type);
  else device.deviceInfo ??= info(device.$type.replace(/^Virtual/, ''), device.$type);
}

export function nicNetwork(inventory: Inventory, nic: VimObject): { moRef: string; name: string } | undefined {
  const backing = isObject(nic.backing) ? nic.backing : undefined;
  const wanted = referenceAt(backing, 'network') ?? stringAt(backing && objectAt(backing, 'port'), 'portgroupKey');
  return inventory.state.networks.find((network) => network.moRef === wanted);
}

/** The size stands in two fields, and a client that edits a disk changes one of them: the one it left as it was says nothing. */
function editedCapacity(current: VimObject, change: VimObject): VimObject {
  const isKept = (field: string): boolean => change[field] === undefined || change[field] === current[field];
  if (isKept('capacityInBytes')) return isKept('capacityInKB') ? current : { ...change, capacityInBytes: undefined };
  if (!isKept('capacityInKB')) return change;
  return { ...change, capacityInKB: Math.floor((numberAt(change, 'capacityInBytes') as number) / 1024) };
}

function diskCapacity(device: VimObject, index: number): number {
  const fromKib = (numberAt(device, 'capacityInKB') ?? 0) * 1024;
  const bytes = numberAt(device, 'capacityInBytes') ?? fromKib;
  if (bytes <= 0 || bytes % 512 !== 0)
    throw invalidDevice(index, 'device.capacityInBytes', 'A disk has a whole, positive number of sectors.');
  if (Math.floor(bytes / 1024) !== Math.floor(fromKib / 1024))
    throw invalidDevice(index, 'device.capacityInKB', 'capacityInKB and capacityInBytes disagree.');
  return bytes;
}

function invalidDevice(index: number, property: string, message: string, type = 'InvalidDeviceSpec'): SimFault {
  return new SimFault(type, `Invalid configuration for device '${index}': ${message}`, {
    property: `deviceChange[${index}].${property}`,
    deviceIndex: index,
  });
}
