import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  ChangeTracking,
  consolidate,
  createBaseDisk,
  createDelta,
  deleteChain,
  deleteLink,
  loadTracking,
  parseDatastorePath,
  readChain,
  readDescriptor,
  saveTracking,
} from '../datastore/index.js';
import { devicesOf } from './configuration.js';
import type { Inventory } from './inventory.js';
import type { FirstClassDiskState, VmState } from './state.js';
import { objectAt, stringAt, vim } from './vim.js';
import { addDisk, removeDisk } from './virtual-disks.js';
import { SimFault } from './vsphere-types.js';

/** Where vCenter keeps those that say no place themselves. */
const FOLDER = 'fcd';
/** BaseConfigInfoDiskFileBackingInfoProvisioningType. */
const PROVISIONING_TYPES = ['thin', 'eagerZeroedThick', 'lazyZeroedThick'];
type DiskSnapshot = FirstClassDiskState['snapshots'][number];

export function firstClassDisks(inventory: Inventory, datastoreMoRef: string): FirstClassDiskState[] {
  return (inventory.state.firstClassDisks ?? []).filter((disk) => disk.datastoreMoRef === datastoreMoRef);
}

/** @throws SimFault NotFound: an id means something on its datastore only. */
export function firstClassDisk(inventory: Inventory, id: string, datastoreMoRef: string): FirstClassDiskState {
  const disk = firstClassDisks(inventory, datastoreMoRef).find((candidate) => candidate.id === id);
  if (!disk) throw new SimFault('NotFound', `There is no first class disk ${id} on ${datastoreMoRef}.`);
  return disk;
}

export function diskSnapshot(disk: FirstClassDiskState, snapshotId: string): DiskSnapshot {
  const snapshot = disk.snapshots.find(({ id }) => id === snapshotId);
  if (!snapshot) throw new SimFault('NotFound', `First class disk ${disk.name} has no snapshot ${snapshotId}.`);
  return snapshot;
}

export interface DiskToCreate {
  name: string;
  datastoreMoRef: string;
  path: string | undefined;
  capacityBytes: number;
  provisioningType: string;
  keepAfterDeleteVm?: boolean | undefined;
  policyId?: string | undefined;
  metadata?: { key: string; value: string }[];
}

export async function createFirstClassDisk(inventory: Inventory, request: DiskToCreate): Promise<FirstClassDiskState> {
  const { name, datastoreMoRef, capacityBytes, provisioningType, keepAfterDeleteVm, policyId, metadata = [] } = request;
  if (!PROVISIONING_TYPES.includes(provisioningType)) throw invalidArgument('spec.backingSpec.provisioningType');
  const thin = provisioningType === 'thin';
  const datastore = inventory.state.datastores.find((candidate) => candidate.moRef === datastoreMoRef);
  if (!datastore) throw invalidArgument('spec.backingSpec.datastore');
  if (name === '' || name.length > 80) throw new SimFault('InvalidName', `"${name}" is not a name for a disk.`, { name });
  if (!Number.isSafeInteger(capacityBytes) || capacityBytes <= 0) throw invalidArgument('spec.capacityInMB');
  if (policyId !== undefined) assertPolicy(inventory, policyId, datastore.name);
  const id = randomUUID();
  const folder = request.path === undefined ? FOLDER : (parseDatastorePath(request.path)?.file ?? request.path).replace(/\/$/, '');
  const path = `[${datastore.name}] ${folder}/${id.replaceAll('-', '')}.vmdk`;
  const absolute = inventory.absolutePath(path);
  await mkdir(dirname(absolute), { recursive: true });
  await createBaseDisk(absolute, {
    capacityBytes,
    uuid: `6000C29${randomUUID().slice(7)}`,
    thin,
    adapterType: 'lsilogic',
    hardwareVersion: 19,
  });
  const disk: FirstClassDiskState = {
    ...{ id, name, createdAt: new Date().toISOString(), datastoreMoRef, path, capacityBytes, thin, metadata, snapshots: [] },
    eager: provisioningType === 'eagerZeroedThick',
    ...(keepAfterDeleteVm !== undefined && { keepAfterDeleteVm }),
    ...(policyId !== undefined && { policyId }),
  };
  inventory.state.firstClassDisks = [...(inventory.state.firstClassDisks ?? []), disk];
  inventory.changed(datastoreMoRef);
  return disk;
}

function assertPolicy(inventory: Inventory, policyId: string, datastoreName: string): void {
  const policy = inventory.state.storagePolicies?.find(({ id }) => id === policyId);
  if (policy === undefined || policy.datastoreNames?.includes(datastoreName) === false) throw invalidArgument('spec.profile');
}

/** @throws SimFault InvalidState while it has snapshots, or a VM has it. */
export async function deleteFirstClassDisk(inventory: Inventory, disk: FirstClassDiskState): Promise<void> {
  assertDetached(disk);
  if (disk.snapshots.length > 0) throw new SimFault('InvalidState', `First class disk ${disk.name} has snapshots.`);
  await deleteChain(inventory.absolutePath(disk.path));
  inventory.state.firstClassDisks = inventory.state.firstClassDisks?.filter((other) => other !== disk);
  inventory.changed(disk.datastoreMoRef);
}

/** The disk goes on in a delta; what it held is frozen, with its change id. */
export async function snapshotFirstClassDisk(inventory: Inventory, disk: FirstClassDiskState, description: string): Promise<DiskSnapshot> {
  const frozen = inventory.absolutePath(disk.path);
  const top = await createDelta(frozen);
  const tracking = await loadTracking(frozen);
  const snapshot = { id: randomUUID(), description, createdAt: inventory.timestamp(), path: disk.path, changeId: tracking?.changeId };
  if (tracking) {
    tracking.advance();
    await saveTracking(top, tracking);
  }
  disk.path = inventory.datastorePath(top);
  disk.snapshots.push(snapshot);
  inventory.changed(disk.datastoreMoRef);
  return snapshot;
}

export async function deleteDiskSnapshot(inventory: Inventory, disk: FirstClassDiskState, snapshotId: string): Promise<void> {
  const snapshot = diskSnapshot(disk, snapshotId);
  const at = disk.snapshots.indexOf(snapshot);
  const [child, grandchild] = disk.snapshots.slice(at + 1);
  const childPath = child?.path ?? disk.path;
  const above = child && (grandchild?.path ?? disk.path);
  await consolidate(inventory.absolutePath(snapshot.path), inventory.absolutePath(childPath), above && inventory.absolutePath(above));
  if (child) child.path = snapshot.path;
  else disk.path = snapshot.path;
  disk.snapshots.splice(at, 1);
  inventory.changed(disk.datastoreMoRef);
}

/** What was written since goes, with every snapshot that was taken since; the disk goes on in a new delta. */
export async function revertFirstClassDisk(inventory: Inventory, disk: FirstClassDiskState, snapshotId: string): Promise<void> {
  assertDetached(disk);
  const snapshot = diskSnapshot(disk, snapshotId);
  const frozen = inventory.absolutePath(snapshot.path);
  const tracking = await loadTracking(frozen);
  for (const { descriptorPath } of await readChain(inventory.absolutePath(disk.path))) {
    if (descriptorPath === frozen) break;
    await deleteLink(descriptorPath);
  }
  const top = await createDelta(frozen);
  if (tracking) {
    tracking.advance();
    await saveTracking(top, tracking);
  }
  disk.path = inventory.datastorePath(top);
  disk.snapshots.splice(disk.snapshots.indexOf(snapshot) + 1);
  inventory.changed(disk.datastoreMoRef);
}

/** VStorageObjectControlFlag. @throws SimFault InvalidState while a VM has it. */
export async function setControlFlags(
  inventory: Inventory,
  disk: FirstClassDiskState,
  flags: readonly string[],
  on: boolean,
): Promise<void> {
  assertDetached(disk);
  for (const flag of flags) {
    if (flag === 'keepAfterDeleteVm') disk.keepAfterDeleteVm = on;
    else if (flag === 'disableRelocation') disk.relocationDisabled = on;
    else if (flag === 'enableChangedBlockTracking') await setTracking(inventory, disk, on);
    else throw invalidArgument('controlFlags');
  }
  inventory.changed(disk.datastoreMoRef);
}

async function setTracking(inventory: Inventory, disk: FirstClassDiskState, on: boolean): Promise<void> {
  if ((disk.changeTracking ?? false) === on) return;
  disk.changeTracking = on;
  await saveTracking(inventory.absolutePath(disk.path), on ? ChangeTracking.begin(disk.capacityBytes) : undefined);
}

/** VirtualMachine.AttachDisk_Task. @throws SimFault InvalidState where it is attached already. */
export async function attachFirstClassDisk(
  inventory: Inventory,
  disk: FirstClassDiskState,
  vm: VmState,
  unitNumber: number | undefined,
): Promise<void> {
  assertDetached(disk);
  const uuid = (await readDescriptor(inventory.absolutePath(disk.path))).database.uuid ?? '';
  const { path, capacityBytes } = disk;
  const [datastoreName = ''] = /(?<=\[)[^\]]+/.exec(path) ?? [];
  const place = { busNumber: 0, adapterType: 'paraVirtual' as const, ...(unitNumber !== undefined && { unitNumber }) };
  const deviceKey = await addDisk(inventory, vm, { capacityBytes, datastoreName, path, uuid, ...place });
  const device = devicesOf(vm.config).find(({ key }) => key === deviceKey);
  if (device) device.vDiskId = vim('ID', { id: disk.id });
  disk.attachedTo = { vmMoRef: vm.moRef, deviceKey };
}

/** VirtualMachine.DetachDisk_Task. */
export async function detachFirstClassDisk(inventory: Inventory, disk: FirstClassDiskState): Promise<void> {
  if (disk.attachedTo === undefined) throw new SimFault('InvalidState', `First class disk ${disk.name} is not attached.`);
  const { vmMoRef, deviceKey } = disk.attachedTo;
  const vm = inventory.vm(vmMoRef);
  const device = devicesOf(vm.config).find(({ key }) => key === deviceKey);
  // Snapshots of the VM may have come and gone: the disk goes on in the link it has now.
  disk.path = (device && stringAt(objectAt(device, 'backing'), 'fileName')) ?? disk.path;
  await removeDisk(inventory, vm, deviceKey, 'keep-file');
  disk.attachedTo = undefined;
}

function assertDetached(disk: FirstClassDiskState): void {
  if (disk.attachedTo !== undefined)
    throw new SimFault('InvalidState', `First class disk ${disk.name} is attached to ${disk.attachedTo.vmMoRef}.`);
}

function invalidArgument(property: string): SimFault {
  return new SimFault('InvalidArgument', `A specified parameter was not correct: ${property}`, { invalidProperty: property });
}
