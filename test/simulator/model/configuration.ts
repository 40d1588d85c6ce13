import { randomUUID } from 'node:crypto';
import { schema } from '../vsphere/schema/schema.js';
import { isDisk, isNic, nicNetwork } from './devices.js';
import { applyHomeEncryption } from './encryption.js';
import { type Inventory } from './inventory.js';
import type { VmState } from './state.js';
import { booleanAt, listAt, numberAt, objectAt, referenceAt, stringAt, vim, type VimObject, type VimValue } from './vim.js';
import { SimFault, type NicAdapter, type ScsiAdapter, type SimDisk, type SimNic, type SimVm } from './vsphere-types.js';

const GUEST_NAMES: Readonly<Record<string, string>> = {
  otherGuest: 'Other (32-bit)',
  otherGuest64: 'Other (64-bit)',
  debian12_64Guest: 'Debian GNU/Linux 12 (64-bit)',
  ubuntu64Guest: 'Ubuntu Linux (64-bit)',
  rhel9_64Guest: 'Red Hat Enterprise Linux 9 (64-bit)',
  windows2019srv_64Guest: 'Microsoft Windows Server 2019 (64-bit)',
};

const SCSI_ADAPTERS: Readonly<Record<string, ScsiAdapter>> = {
  VirtualLsiLogicController: 'lsiLogic',
  VirtualBusLogicController: 'busLogic',
  VirtualLsiLogicSASController: 'lsiLogicSas',
  ParaVirtualSCSIController: 'paraVirtual',
};
const NIC_ADAPTERS: Readonly<Record<string, NicAdapter>> = { VirtualVmxnet3: 'vmxnet3', VirtualE1000: 'e1000', VirtualE1000e: 'e1000e' };

export const scsiControllerType = (adapter: ScsiAdapter): string =>
  Object.keys(SCSI_ADAPTERS).find((type) => SCSI_ADAPTERS[type] === adapter) ?? 'VirtualLsiLogicController';
export const nicType = (adapter: NicAdapter): string =>
  Object.keys(NIC_ADAPTERS).find((type) => NIC_ADAPTERS[type] === adapter) ?? 'VirtualVmxnet3';

/** Fields of VirtualMachineConfigSpec that are VirtualMachineConfigInfo's under another name or in another place. */
const HANDLED = new Set([
  '$type',
  'changeVersion',
  'name',
  'uuid',
  'instanceUuid',
  'files',
  'numCPUs',
  'numCoresPerSocket',
  'memoryMB',
  'deviceChange',
  'extraConfig',
  'powerOpInfo',
  'virtualICH7MPresent',
  'virtualSMCPresent',
  'motherboardLayout',
  'simultaneousThreads',
  'vAppConfig',
  'vAppConfigRemoved',
  'vmProfile',
  'crypto',
  'cpuFeatureMask',
  'virtualNuma',
  'npivWorldWideNameOp',
]);

export function newConfiguration(name: string, vmPathName: string): VimObject {
  const folder = vmPathName.slice(0, vmPathName.lastIndexOf('/') + 1);
  const allocation = () =>
    vim('ResourceAllocationInfo', {
      reservation: 0,
      expandableReservation: false,
      limit: -1,
      shares: vim('SharesInfo', { shares: 1000, level: 'normal' }),
    });
  return vim('VirtualMachineConfigInfo', {
    changeVersion: new Date().toISOString(),
    modified: '1970-01-01T00:00:00Z',
    name,
    guestFullName: GUEST_NAMES.otherGuest64,
    version: 'vmx-19',
    uuid: vmUuid(),
    createDate: new Date().toISOString(),
    instanceUuid: randomUUID(),
    template: false,
    guestId: 'otherGuest64',
    alternateGuestName: '',
    annotation: '',
    files: vim('VirtualMachineFileInfo', { vmPathName, snapshotDirectory: folder, suspendDirectory: folder, logDirectory: folder }),
    tools: vim('ToolsConfigInfo', {
      toolsVersion: 12352,
      afterPowerOn: true,
      afterResume: true,
      beforeGuestStandby: true,
      beforeGuestShutdown: true,
    }),
    flags: vim('VirtualMachineFlagInfo', { disableAcceleration: false, enableLogging: true, diskUuidEnabled: false }),
    defaultPowerOps: vim('VirtualMachineDefaultPowerOpInfo', {
      powerOffType: 'soft',
      suspendType: 'hard',
      resetType: 'soft',
      standbyAction: 'checkpoint',
    }),
    hardware: vim('VirtualHardware', { numCPU: 1, numCoresPerSocket: 1, memoryMB: 1024, device: [] }),
    cpuAllocation: allocation(),
    memoryAllocation: allocation(),
    latencySensitivity: vim('LatencySensitivity', { level: 'normal' }),
    memoryHotAddEnabled: false,
    cpuHotAddEnabled: false,
    cpuHotRemoveEnabled: false,
    extraConfig: [],
    swapPlacement: 'inherit',
    bootOptions: vim('VirtualMachineBootOptions', {
      bootDelay: 0,
      enterBIOSSetup: false,
      efiSecureBootEnabled: false,
      bootRetryEnabled: false,
      bootRetryDelay: 10000,
    }),
    changeTrackingEnabled: false,
    firmware: 'bios',
    maxMksConnections: 40,
    nestedHVEnabled: false,
  });
}

function vmUuid(): string {
  return `4210${randomUUID().slice(4)}`;
}

/** Puts a VirtualMachineConfigSpec (devices excepted) into a configuration. @throws SimFault */
export function applySpecification(inventory: Inventory, config: VimObject, spec: VimObject, self: VmState | undefined): void {
  const changeVersion = stringAt(spec, 'changeVersion');
  if (self && changeVersion && changeVersion !== config.changeVersion) {
    throw new SimFault('ConcurrentAccess', 'The virtual machine was changed by somebody else: its changeVersion is another one.');
  }
  for (const [field, value] of Object.entries(spec)) {
    if (value === undefined || HANDLED.has(field) || !schema.field('VirtualMachineConfigInfo', field)) continue;
    const old = config[field];
    config[field] = structuredClone(mergeable(old, value) ? { ...(old as VimObject), ...definedOnly(value as VimObject) } : value);
  }
  if (spec.guestId !== undefined) config.guestFullName = GUEST_NAMES[spec.guestId as string] ?? String(spec.guestId);
  const hardware = config.hardware as VimObject;
  applyHardware(hardware, spec);
  if (spec.powerOpInfo) config.defaultPowerOps = spec.powerOpInfo;
  if (spec.name !== undefined) config.name = spec.name;
  if (stringAt(spec, 'uuid')) config.uuid = (spec.uuid as string).toLowerCase();
  const instanceUuid = stringAt(spec, 'instanceUuid')?.toLowerCase();
  if (instanceUuid) {
    // Unique in one vCenter: it gives a new one rather than fail.
    const taken = inventory.state.vms.some((vm) => vm !== self && vm.config.instanceUuid === instanceUuid);
    config.instanceUuid = taken ? randomUUID() : instanceUuid;
  }
  applyExtraConfig(config, listAt(spec, 'extraConfig'));
  applyHomeEncryption(inventory, config, spec, self);
  config.changeVersion = new Date().toISOString();
  config.modified = config.changeVersion;
}

function applyHardware(hardware: VimObject, spec: VimObject): void {
  const number = (field: string, allowed: (value: number) => boolean) => {
    const value = numberAt(spec, field);
    if (value !== undefined && !allowed(value)) {
      throw new SimFault('InvalidArgument', `A specified parameter was not correct: configSpec.${field}`, {
        invalidProperty: `configSpec.${field}`,
      });
    }
    return value;
  };
  hardware.numCPU = number('numCPUs', (n) => n >= 1 && n <= 768) ?? hardware.numCPU;
  hardware.numCoresPerSocket = number('numCoresPerSocket', (n) => n >= 1) ?? hardware.numCoresPerSocket;
  hardware.memoryMB = number('memoryMB', (n) => n >= 4 && n % 4 === 0) ?? hardware.memoryMB;
  if ((hardware.numCPU as number) % (hardware.numCoresPerSocket as number) !== 0) {
    throw new SimFault('InvalidArgument', 'A specified parameter was not correct: configSpec.numCoresPerSocket', {
      invalidProperty: 'configSpec.numCoresPerSocket',
    });
  }
  for (const field of ['virtualICH7MPresent', 'virtualSMCPresent', 'motherboardLayout', 'simultaneousThreads']) {
    if (spec[field] !== undefined) hardware[field] = spec[field];
  }
}

function applyExtraConfig(config: VimObject, entries: readonly VimObject[]): void {
  const options = listAt(config, 'extraConfig');
  for (const entry of entries) {
    const at = options.findIndex((option) => option.key === entry.key);
    if (at >= 0) options.splice(at, 1);
    // The empty string removes an entry.
    if (entry.value !== '') options.push(vim('OptionValue', { key: entry.key, value: entry.value }));
  }
  config.extraConfig = options;
}

function mergeable(old: VimValue, value: VimValue): boolean {
  return typeof old === 'object' && !Array.isArray(old) && typeof value === 'object' && !Array.isArray(value) && old.$type === value.$type;
}

function definedOnly(value: VimObject): VimObject {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as VimObject;
}

export function devicesOf(config: VimObject): VimObject[] {
  return listAt(config.hardware as VimObject, 'device');
}

/** The plain view of a VM that the VCD side reads. */
export function describeVm(inventory: Inventory, vm: VmState): SimVm {
  const { config } = vm;
  const hardware = config.hardware as VimObject;
  const text = (field: string) => stringAt(config, field) ?? '';
  const name = (list: readonly { moRef: string; name: string }[], moRef: string) => list.find((entry) => entry.moRef === moRef)?.name ?? '';
  return {
    moRef: vm.moRef,
    name: text('name'),
    instanceUuid: text('instanceUuid'),
    biosUuid: text('uuid'),
    hardwareVersion: text('version'),
    guestId: text('guestId'),
    guestFullName: text('guestFullName'),
    annotation: text('annotation'),
    firmware: text('firmware'),
    cpuCount: numberAt(hardware, 'numCPU') ?? 1,
    coresPerSocket: numberAt(hardware, 'numCoresPerSocket') ?? 1,
    memoryMib: numberAt(hardware, 'memoryMB') ?? 0,
    powerState: vm.powerState,
    hostMoRef: vm.hostMoRef,
    hostName: name(inventory.state.hosts, vm.hostMoRef),
    folderMoRef: vm.folderMoRef,
    resourcePoolMoRef: vm.resourcePoolMoRef,
    datastoreMoRef: vm.datastoreMoRef,
    datastoreName: name(inventory.state.datastores, vm.datastoreMoRef),
    vmPath: stringAt(objectAt(config, 'files'), 'vmPathName') ?? '',
    changeTrackingEnabled: booleanAt(config, 'changeTrackingEnabled') ?? false,
    disks: devicesOf(config)
      .filter(isDisk)
      .map((device) => describeDisk(config, device)),
    nics: devicesOf(config)
      .filter(isNic)
      .map((device) => describeNic(inventory, device)),
    snapshots: vm.snapshots.map((snapshot, index) => ({
      moRef: snapshot.moRef,
      name: snapshot.name,
      description: snapshot.description,
      createdAt: snapshot.createdAt,
      powerState: snapshot.powerState,
      quiesced: snapshot.quiesced,
      parentMoRef: vm.snapshots[index - 1]?.moRef,
    })),
    currentSnapshotMoRef: vm.snapshots.at(-1)?.moRef,
    extraConfig: Object.fromEntries(listAt(config, 'extraConfig').map((option) => [String(option.key), String(option.value)])),
  };
}

function describeDisk(config: VimObject, device: VimObject): SimDisk {
  const backing = objectAt(device, 'backing') as VimObject;
  const controller = devicesOf(config).find((other) => other.key === device.controllerKey);
  return {
    key: device.key as number,
    label: stringAt(objectAt(device, 'deviceInfo'), 'label') ?? '',
    controllerKey: device.controllerKey as number,
    busNumber: numberAt(controller, 'busNumber') ?? 0,
    unitNumber: device.unitNumber as number,
    path: backing.fileName as string,
    datastoreMoRef: referenceAt(backing, 'datastore') ?? '',
    capacityBytes: device.capacityInBytes as number,
    uuid: stringAt(backing, 'uuid') ?? '',
    diskMode: backing.diskMode as string,
    thin: backing.thinProvisioned === true,
    adapterType: SCSI_ADAPTERS[controller?.$type ?? ''] ?? 'lsiLogic',
    changeId: stringAt(backing, 'changeId'),
  };
}

function describeNic(inventory: Inventory, device: VimObject): SimNic {
  const network = nicNetwork(inventory, device);
  const connectable = objectAt(device, 'connectable');
  return {
    key: device.key as number,
    label: stringAt(objectAt(device, 'deviceInfo'), 'label') ?? '',
    unitNumber: device.unitNumber as number,
    adapterType: NIC_ADAPTERS[device.$type] ?? 'vmxnet3',
    macAddress: stringAt(device, 'macAddress') ?? '',
    addressType: (stringAt(device, 'addressType') ?? 'assigned') as SimNic['addressType'],
    networkMoRef: network?.moRef ?? '',
    networkName: network?.name ?? '',
    connected: booleanAt(connectable, 'connected') ?? false,
    startConnected: booleanAt(connectable, 'startConnected') ?? true,
  };
}
