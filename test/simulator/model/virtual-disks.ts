import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createBaseDisk, deleteChain, growDisk, readDescriptor } from '../datastore/index.js';
import { devicesOf, scsiControllerType } from './configuration.js';
import { isDisk } from './devices.js';
import type { Inventory } from './inventory.js';
import type { VmState } from './state.js';
import { numberAt, vim, type VimObject } from './vim.js';
import { addition, reconfigureVm } from './virtual-machines.js';
import { SimFault, type ScsiAdapter, type SimAddedDisk, type SimDiskFile } from './vsphere-types.js';

/** A disk of its own, in a folder of its own: VirtualDiskManager.CreateVirtualDisk, as VCD uses it for named disks. */
export async function createDiskFile(
  inventory: Inventory,
  request: { datastoreName: string; name: string; capacityBytes: number; uuid: string },
): Promise<SimDiskFile> {
  const datastore = inventory.datastore(request.datastoreName);
  const folder = await datastore.makeFolderFor(request.name);
  const path = `[${datastore.name}] ${folder}/${folder}.vmdk`;
  await createBaseDisk(inventory.absolutePath(path), {
    capacityBytes: request.capacityBytes,
    uuid: request.uuid,
    thin: true,
    adapterType: 'lsilogic',
    hardwareVersion: 19,
  });
  return { path, capacityBytes: request.capacityBytes, uuid: request.uuid };
}

/** @throws SimFault FileLocked while a VM has it. */
export async function deleteDiskFile(inventory: Inventory, path: string): Promise<void> {
  if (inventory.findDisk(path)) throw new SimFault('FileLocked', `${path} is in use.`, { file: path });
  const absolute = inventory.absolutePath(path);
  await deleteChain(absolute);
  await rm(dirname(absolute), { recursive: true, force: true });
}

/** VirtualDiskManager.ExtendVirtualDisk. @throws SimFault FileLocked while a VM has it. */
export async function growDiskFile(inventory: Inventory, path: string, capacityBytes: number): Promise<void> {
  if (inventory.findDisk(path)) throw new SimFault('FileLocked', `${path} is in use.`, { file: path });
  await growDisk(inventory.absolutePath(path), capacityBytes);
}

/** Adds a disk on a bus, with a controller where the bus has none. @returns the new device's key. */
export async function addDisk(inventory: Inventory, vm: VmState, disk: SimAddedDisk): Promise<number> {
  const before = new Set(devicesOf(vm.config).map((device) => device.key));
  const controllerType = scsiControllerType(disk.adapterType);
  const controller = devicesOf(vm.config).find((device) => isScsiController(device) && numberAt(device, 'busNumber') === disk.busNumber);
  if (controller && controller.$type !== controllerType && disk.requireAdapterType)
    throw new SimFault('InvalidArgument', `SCSI bus ${disk.busNumber} has a ${controller.$type}.`, { invalidProperty: 'adapterType' });
  const changes: VimObject[] = [];
  if (!controller) changes.push(addition(vim(controllerType, { key: -100, busNumber: disk.busNumber, sharedBus: 'noSharing' })));
  const existing = disk.path === undefined ? undefined : await readDescriptor(inventory.absolutePath(disk.path));
  const capacityBytes = existing ? existing.extent.sectors * 512 : disk.capacityBytes;
  const backing = vim('VirtualDiskFlatVer2BackingInfo', {
    fileName: disk.path ?? `[${disk.datastoreName}]`,
    diskMode: 'persistent',
    thinProvisioned: true,
    uuid: disk.uuid,
  });
  const device = vim('VirtualDisk', {
    key: -200,
    backing,
    controllerKey: (controller?.key as number | undefined) ?? -100,
    unitNumber: disk.unitNumber,
    capacityInKB: Math.floor(capacityBytes / 1024),
    capacityInBytes: capacityBytes,
  });
  changes.push(addition(device, existing ? undefined : 'create'));
  await reconfigureVm(inventory, vm, vim('VirtualMachineConfigSpec', { deviceChange: changes }));
  const added = devicesOf(vm.config).find((candidate) => isDisk(candidate) && !before.has(candidate.key));
  return added?.key as number;
}

/** @throws SimFault while the VM has snapshots that hold the disk's earlier links. */
export async function removeDisk(inventory: Inventory, vm: VmState, key: number, fate: 'keep-file' | 'destroy-file'): Promise<void> {
  if (vm.snapshots.length > 0)
    throw new SimFault('InvalidState', `A disk of ${String(vm.config.name)} cannot be removed while it has snapshots.`, {});
  const device = diskDevice(vm, key);
  const change = {
    $type: 'VirtualDeviceConfigSpec',
    operation: 'remove',
    fileOperation: fate === 'destroy-file' ? 'destroy' : undefined,
    device,
  };
  await reconfigureVm(inventory, vm, vim('VirtualMachineConfigSpec', { deviceChange: [change] }));
}

export async function growDiskDevice(inventory: Inventory, vm: VmState, key: number, capacityBytes: number): Promise<void> {
  const device = {
    ...diskDevice(vm, key),
    capacityInBytes: capacityBytes,
    capacityInKB: Math.floor(capacityBytes / 1024),
  };
  const change = { $type: 'VirtualDeviceConfigSpec', operation: 'edit', device };
  await reconfigureVm(inventory, vm, vim('VirtualMachineConfigSpec', { deviceChange: [change] }));
}

function diskDevice(vm: VmState, key: number): VimObject {
  const device = devicesOf(vm.config).find((candidate) => isDisk(candidate) && candidate.key === key);
  if (!device) throw new SimFault('DeviceNotFound', `${vm.moRef} has no disk with key ${key}.`, {});
  return device;
}

const SCSI_TYPES = new Set((['lsiLogic', 'busLogic', 'lsiLogicSas', 'paraVirtual'] as ScsiAdapter[]).map(scsiControllerType));
function isScsiController(device: VimObject): boolean {
  return SCSI_TYPES.has(device.$type);
}
