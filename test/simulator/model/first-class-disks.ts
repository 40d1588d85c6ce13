import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  ChangeTracking,
  consolidate,
  createBaseDisk,
  createDelta,
  deleteChain,
  loadTracking,
  parseDatastorePath,
  readChain,
  saveTracking,
} from '../datastore/index.js';
import type { Inventory } from './inventory.js';
import type { FirstClassDiskState } from './state.js';
import { SimFault } from './vsphere-types.js';

/** Where vCenter keeps those that say no place themselves. */
const FOLDER = 'fcd';
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

export async function createFirstClassDisk(
  inventory: Inventory,
  request: { name: string; datastoreMoRef: string; path: string | undefined; capacityBytes: number; thin: boolean },
): Promise<FirstClassDiskState> {
  const { name, datastoreMoRef, capacityBytes, thin } = request;
  const datastore = inventory.state.datastores.find((candidate) => candidate.moRef === datastoreMoRef);
  if (!datastore) throw invalidArgument('spec.backingSpec.datastore');
  if (name === '' || name.length > 80) throw new SimFault('InvalidName', `"${name}" is not a name for a disk.`, { name });
  if (!Number.isSafeInteger(capacityBytes) || capacityBytes <= 0) throw invalidArgument('spec.capacityInMB');
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
  await saveTracking(absolute, ChangeTracking.begin(capacityBytes));
  const disk = { id, name, createdAt: new Date().toISOString(), datastoreMoRef, path, capacityBytes, thin, snapshots: [] };
  inventory.state.firstClassDisks = [...(inventory.state.firstClassDisks ?? []), disk];
  inventory.changed(datastoreMoRef);
  return disk;
}

/** @throws SimFault InvalidState while it has snapshots. */
export async function deleteFirstClassDisk(inventory: Inventory, disk: FirstClassDiskState): Promise<void> {
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
  const snapshot = { id: randomUUID(), description, createdAt: new Date().toISOString(), path: disk.path, changeId: tracking?.changeId };
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

/** Every link that the disk, or its snapshot, stands on. */
export async function chainOf(inventory: Inventory, path: string): Promise<string[]> {
  return (await readChain(inventory.absolutePath(path))).map((link) => inventory.datastorePath(link.descriptorPath));
}

function invalidArgument(property: string): SimFault {
  return new SimFault('InvalidArgument', `A specified parameter was not correct: ${property}`, { invalidProperty: property });
}
