import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { createBaseDisk, deleteChain, exists, growDisk, parseDatastorePath } from '../datastore/index.js';
import { applySpecification, describeVm, devicesOf, newConfiguration } from './configuration.js';
import { defaultDevices } from './default-devices.js';
import { DeviceChanges, isDisk, isNic, type DevicePlan, type VmHome } from './devices.js';
import { requireEncryptedHome, wantedPolicy } from './encryption.js';
import type { Inventory } from './inventory.js';
import { stun } from './snapshots.js';
import type { VmState } from './state.js';
import { booleanAt, listAt, objectAt, stringAt, type VimObject } from './vim.js';
import { formatVmx } from './vmx.js';
import { SimFault, type PowerState } from './vsphere-types.js';

const NVRAM_BYTES = 8684;
const ADAPTER_OF: Readonly<Record<string, string>> = {
  VirtualBusLogicController: 'buslogic',
  VirtualIDEController: 'ide',
};

export interface NewVm {
  spec: VimObject;
  folderMoRef: string;
  resourcePoolMoRef: string;
  hostMoRef: string | undefined;
}

export function vmxPath(vm: VmState): string {
  return stringAt(objectAt(vm.config, 'files'), 'vmPathName') as string;
}

function homeOf(vm: VmState): VmHome {
  const parsed = parseDatastorePath(vmxPath(vm));
  return { datastoreName: parsed?.datastore ?? '', folder: dirname(parsed?.file ?? '') };
}

export function checkPlace(inventory: Inventory, folderMoRef: string, resourcePoolMoRef: string, hostMoRef: string | undefined): string {
  const { folders, resourcePools, hosts } = inventory.state;
  const folder = folders.find((candidate) => candidate.moRef === folderMoRef);
  if (!folder?.childTypes.includes('VirtualMachine'))
    throw new SimFault('InvalidFolder', `Folder ${folderMoRef} does not hold virtual machines.`, { name: folder?.name ?? '' });
  if (!resourcePools.some((pool) => pool.moRef === resourcePoolMoRef))
    throw new SimFault('InvalidArgument', 'A specified parameter was not correct: pool', { invalidProperty: 'pool' });
  const host = hostMoRef === undefined ? hosts[0] : hosts.find((candidate) => candidate.moRef === hostMoRef);
  if (!host) throw new SimFault('InvalidArgument', 'A specified parameter was not correct: host', { invalidProperty: 'host' });
  return host.moRef;
}

export function checkVmName(inventory: Inventory, folderMoRef: string, name: string, self?: VmState): void {
  if (name === '' || name.length > 80) throw new SimFault('InvalidName', `"${name}" is not a name for a virtual machine.`, { name });
  const twin = inventory.state.vms.find((vm) => vm !== self && vm.folderMoRef === folderMoRef && vm.config.name === name);
  if (twin) {
    throw new SimFault('DuplicateName', `The name '${name}' already exists.`, {
      name,
      object: { $type: 'ManagedObjectReference', type: 'VirtualMachine', value: twin.moRef },
    });
  }
}

/** CreateVM_Task. Nothing is left on the datastore when it fails. */
export async function createVm(inventory: Inventory, request: NewVm): Promise<VmState> {
  const { spec } = request;
  const name = stringAt(spec, 'name');
  if (name === undefined)
    throw new SimFault('InvalidArgument', 'A specified parameter was not correct: configSpec.name', { invalidProperty: 'configSpec.name' });
  const hostMoRef = checkPlace(inventory, request.folderMoRef, request.resourcePoolMoRef, request.hostMoRef);
  checkVmName(inventory, request.folderMoRef, name);
  const wanted = parseDatastorePath(stringAt(objectAt(spec, 'files'), 'vmPathName') ?? '');
  if (!wanted) throw new SimFault('InvalidDatastorePath', 'files.vmPathName needs at least "[datastore]".', { datastorePath: '' });
  const datastore = inventory.datastore(wanted.datastore);
  const folder = await makeHome(inventory, wanted, name);
  try {
    const vmx = wanted.file.endsWith('.vmx') ? basename(wanted.file) : `${name.replace(/[/\\%]/g, '_')}.vmx`;
    const config = newConfiguration(name, `[${datastore.name}] ${folder}/${vmx}`);
    applySpecification(inventory, config, spec, undefined);
    const home = { datastoreName: datastore.name, folder };
    const plan = new DeviceChanges(inventory, home, defaultDevices(), undefined).apply(listAt(spec, 'deviceChange'));
    (config.hardware as VimObject).device = plan.devices;
    requireEncryptedHome(config);
    const vm: VmState = {
      moRef: inventory.newMoRef('vm-'),
      config,
      powerState: 'poweredOff',
      hostMoRef,
      folderMoRef: request.folderMoRef,
      resourcePoolMoRef: request.resourcePoolMoRef,
      datastoreMoRef: inventory.datastoreMoRef(datastore.name),
      snapshots: [],
      nextSnapshotId: 0,
      consolidationNeeded: false,
    };
    takePolicies(inventory, vm, spec, plan);
    await carryOut(inventory, plan, config);
    await writeVmFiles(inventory, vm);
    // Two at once may both have passed the first check.
    checkVmName(inventory, request.folderMoRef, name);
    inventory.state.vms.push(vm);
    inventory.changed(vm.moRef);
    return vm;
  } catch (error) {
    await rm(datastore.absolute(folder), { recursive: true, force: true });
    throw error;
  }
}

async function makeHome(inventory: Inventory, wanted: { datastore: string; file: string }, name: string): Promise<string> {
  const datastore = inventory.datastore(wanted.datastore);
  if (wanted.file === '') return datastore.makeFolderFor(name);
  const folder = wanted.file.endsWith('.vmx') ? dirname(wanted.file) : wanted.file.replace(/\/$/, '');
  const absolute = inventory.absolutePath(`[${wanted.datastore}] ${folder}`);
  if (await exists(`${absolute}/${basename(wanted.file)}`)) {
    throw new SimFault('FileAlreadyExists', `File [${wanted.datastore}] ${wanted.file} already exists.`, { file: wanted.file });
  }
  return datastore.makeFolderFor(folder);
}

async function carryOut(inventory: Inventory, plan: DevicePlan, config: VimObject): Promise<void> {
  for (const device of plan.devices.filter(isDisk)) {
    const path = stringAt(objectAt(device, 'backing'), 'fileName') as string;
    const isNew = plan.create.some((disk) => disk.path === path);
    const there = await exists(inventory.absolutePath(path));
    if (!isNew && !there) throw new SimFault('FileNotFound', `File ${path} was not found.`, { file: path });
    if (isNew && there) throw new SimFault('FileAlreadyExists', `File ${path} already exists.`, { file: path });
  }
  const hardwareVersion = Number((config.version as string).replace('vmx-', ''));
  for (const disk of plan.create) {
    const absolute = inventory.absolutePath(disk.path);
    await mkdir(dirname(absolute), { recursive: true });
    await createBaseDisk(absolute, {
      capacityBytes: disk.capacityBytes,
      uuid: disk.uuid,
      thin: disk.thin,
      adapterType: ADAPTER_OF[disk.controllerType] ?? 'lsilogic',
      hardwareVersion,
    });
  }
  for (const { path, capacityBytes } of plan.grow) await growDisk(inventory.absolutePath(path), capacityBytes);
  for (const path of plan.destroy) await deleteChain(inventory.absolutePath(path));
}

/** The .vmx says what the model says; the .nvram is made once and then belongs to whoever writes it. */
export async function writeVmFiles(inventory: Inventory, vm: VmState): Promise<void> {
  const view = describeVm(inventory, vm);
  const { networks, dvSwitch } = inventory.state;
  const portGroups = new Set(networks.filter((network) => network.kind !== 'Network').map((network) => network.moRef));
  const path = inventory.absolutePath(view.vmPath);
  // A generated VM has no folder before its first change.
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, formatVmx(view, dvSwitch.uuid, portGroups));
  const nvram = path.replace(/\.vmx$/, '.nvram');
  if (!(await exists(nvram))) {
    let seed = createHash('sha256').update(view.instanceUuid).digest();
    const pieces: Buffer[] = [];
    while (pieces.length * 32 < NVRAM_BYTES) {
      pieces.push(seed);
      seed = createHash('sha256').update(seed).digest();
    }
    await writeFile(nvram, Buffer.concat(pieces).subarray(0, NVRAM_BYTES));
  }
}

/** ReconfigVM_Task. */
export async function reconfigureVm(inventory: Inventory, vm: VmState, spec: VimObject): Promise<void> {
  const config = structuredClone(vm.config);
  const name = stringAt(spec, 'name');
  if (name !== undefined) checkVmName(inventory, vm.folderMoRef, name, vm);
  if (vm.powerState !== 'poweredOff' && (spec.firmware !== undefined || spec.version !== undefined))
    throw invalidPowerState(vm, 'poweredOff');
  applySpecification(inventory, config, spec, vm);
  const changes = listAt(spec, 'deviceChange');
  if (changes.length > 0) {
    const plan = new DeviceChanges(inventory, homeOf(vm), devicesOf(config), vm).apply(changes);
    (config.hardware as VimObject).device = plan.devices;
    requireEncryptedHome(config);
    await carryOut(inventory, plan, config);
    takePolicies(inventory, vm, spec, plan);
  } else {
    requireEncryptedHome(config);
    takePolicies(inventory, vm, spec, undefined);
  }
  vm.config = config;
  await writeVmFiles(inventory, vm);
  inventory.changed(vm.moRef);
}

function takePolicies(inventory: Inventory, vm: VmState, spec: VimObject, plan: DevicePlan | undefined): void {
  const home = wantedPolicy(inventory, listAt(spec, 'vmProfile'))?.id ?? vm.policies?.home;
  const disks = { ...vm.policies?.disks, ...plan?.policies };
  if (home !== undefined || Object.keys(disks).length > 0) vm.policies = { ...(home !== undefined && { home }), disks };
}

export function invalidPowerState(vm: VmState, requestedState: PowerState): SimFault {
  return new SimFault(
    'InvalidPowerState',
    `The attempted operation cannot be performed in the current state (${vm.powerState === 'poweredOn' ? 'Powered on' : 'Powered off'}).`,
    {
      requestedState,
      existingState: vm.powerState,
    },
  );
}

export async function setPower(inventory: Inventory, vm: VmState, state: PowerState): Promise<void> {
  const allowed: Record<PowerState, PowerState[]> = {
    poweredOn: ['poweredOff', 'suspended'],
    poweredOff: ['poweredOn', 'suspended'],
    suspended: ['poweredOn'],
  };
  if (!allowed[state].includes(vm.powerState)) throw invalidPowerState(vm, state);
  await stun(inventory, vm);
  vm.powerState = state;
  if (state === 'poweredOn') vm.bootTime = new Date().toISOString();
  else delete vm.bootTime;
  for (const device of devicesOf(vm.config).filter(isNic)) {
    const connectable = objectAt(device, 'connectable');
    if (connectable) connectable.connected = state === 'poweredOn' && booleanAt(connectable, 'startConnected') === true;
  }
  inventory.changed(vm.moRef);
}

/** Destroy_Task: out of the inventory, files deleted. */
export async function destroyVm(inventory: Inventory, vm: VmState): Promise<void> {
  if (vm.powerState === 'poweredOn') throw invalidPowerState(vm, 'poweredOff');
  forget(inventory, vm);
  for (const disk of devicesOf(vm.config).filter(isDisk)) {
    if (objectAt(disk, 'backing')?.diskMode === undefined) continue;
    await deleteChain(inventory.absolutePath(objectAt(disk, 'backing')?.fileName as string));
  }
  const vmx = inventory.absolutePath(vmxPath(vm));
  const stem = basename(vmx, '.vmx');
  const folder = dirname(vmx);
  for (const file of await readdir(folder).catch(() => [])) {
    if (file === `${stem}.vmx` || file === `${stem}.nvram` || (file.startsWith(`${stem}-Snapshot`) && file.endsWith('.vmsn')))
      await rm(`${folder}/${file}`, { force: true });
  }
  // Somebody else's file keeps the folder.
  await rmdir(folder).catch(() => undefined);
}

/** UnregisterVM: the files stay. */
export function unregisterVm(inventory: Inventory, vm: VmState): void {
  if (vm.powerState === 'poweredOn') throw invalidPowerState(vm, 'poweredOff');
  forget(inventory, vm);
}

function forget(inventory: Inventory, vm: VmState): void {
  const at = inventory.state.vms.indexOf(vm);
  if (at < 0) return;
  inventory.state.vms.splice(at, 1);
  inventory.changed(vm.moRef, ...vm.snapshots.map((snapshot) => snapshot.moRef));
}

export function addition(device: VimObject, fileOperation?: string): VimObject {
  return { $type: 'VirtualDeviceConfigSpec', operation: 'add', fileOperation, device };
}
