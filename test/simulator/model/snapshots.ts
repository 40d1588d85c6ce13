import { basename, dirname, join } from 'node:path';
import { rm, writeFile } from 'node:fs/promises';
import type { Extent } from '../../../src/disk/index.js';
import { alignExtents } from '../../../src/disk/index.js';
import {
  ChangeTracking,
  consolidate,
  createDelta,
  deleteLink,
  DiskChain,
  loadTracking,
  parseChangeId,
  saveTracking,
  TRACKED_BLOCK_BYTES,
} from '../datastore/index.js';
import { devicesOf } from './configuration.js';
import { isDisk } from './devices.js';
import { quiesceGuest, type QuiesceRequest } from './guest-quiescing.js';
import { disksOf, managedObjectNotFound, type Inventory } from './inventory.js';
import type { SnapshotState, VmState } from './state.js';
import { booleanAt, numberAt, objectAt, stringAt, type VimObject } from './vim.js';
import { SimFault } from './vsphere-types.js';

/** One answer of QueryChangedDiskAreas holds at most so many areas; the caller goes on behind the covered range. */
export const MAX_CHANGED_AREAS = 2000;
const MAX_SNAPSHOTS = 32;

const backingOf = (disk: VimObject): VimObject => objectAt(disk, 'backing') as VimObject;
const pathOf = (disk: VimObject): string => backingOf(disk).fileName as string;
/** Independent disks take no part in snapshots. */
const takesSnapshots = (disk: VimObject): boolean => stringAt(backingOf(disk), 'diskMode') === 'persistent';

/**
 * The moment all I/O of a VM stands still: snapshot made or removed, power switched. Only here
 * does a new setting of changeTrackingEnabled take effect (VADP guide, "Changed Block Tracking").
 */
export async function stun(inventory: Inventory, vm: VmState): Promise<void> {
  const enabled = booleanAt(vm.config, 'changeTrackingEnabled') === true;
  for (const disk of disksOf(vm.config)) {
    const backing = backingOf(disk);
    const path = inventory.absolutePath(pathOf(disk));
    const capacityBytes = numberAt(disk, 'capacityInBytes') as number;
    let tracking = await loadTracking(path);
    if (tracking && tracking.capacityBytes !== capacityBytes) tracking = undefined;
    if (enabled && takesSnapshots(disk)) {
      if (!tracking) {
        tracking = ChangeTracking.begin(capacityBytes);
        await saveTracking(path, tracking);
      }
      backing.changeId = tracking.changeId;
    } else {
      await saveTracking(path, undefined);
      delete backing.changeId;
    }
  }
}

export async function createSnapshot(
  inventory: Inventory,
  vm: VmState,
  options: { name: string; description: string } & QuiesceRequest,
): Promise<SnapshotState> {
  if (options.name === '' || options.name.length > 80)
    throw new SimFault('InvalidName', `"${options.name}" is not a snapshot name.`, { name: options.name });
  if (vm.snapshots.length >= MAX_SNAPSHOTS) throw new SimFault('TooManySnapshotLevels', 'Snapshot hierarchy is too deep.');
  const { quiesced, manifest } = quiesceGuest(vm, options);
  await stun(inventory, vm);
  const frozen = structuredClone(vm.config);
  for (const disk of disksOf(vm.config).filter(takesSnapshots)) await freezeDisk(inventory, disk);
  vm.nextSnapshotId += 1;
  const snapshot: SnapshotState = {
    moRef: inventory.newMoRef('snapshot-'),
    id: vm.nextSnapshotId,
    name: options.name,
    description: options.description,
    createdAt: inventory.timestamp(),
    powerState: 'poweredOff', // without memory, a revert finds the VM off
    quiesced,
    config: frozen,
  };
  if (manifest) {
    snapshot.backupManifest = manifestPath(vm, snapshot);
    await writeFile(inventory.absolutePath(snapshot.backupManifest), manifest);
  }
  vm.snapshots.push(snapshot);
  await writeFile(snapshotFile(inventory, vm, snapshot), `encoding = "UTF-8"\nsnapshot.uid = "${snapshot.id}"\n`);
  inventory.changed(vm.moRef, snapshot.moRef);
  return snapshot;
}

async function freezeDisk(inventory: Inventory, disk: VimObject): Promise<void> {
  const backing = backingOf(disk);
  const oldPath = inventory.absolutePath(pathOf(disk));
  const newPath = await createDelta(oldPath);
  const tracking = await loadTracking(oldPath);
  // The old link keeps its tracking as it is: that file is the snapshot's frozen copy.
  if (tracking) {
    tracking.advance();
    await saveTracking(newPath, tracking);
  }
  const parent = structuredClone(backing);
  backing.fileName = inventory.datastorePath(newPath);
  backing.parent = parent;
  backing.deltaDiskFormat = 'seSparseFormat';
  backing.changeId = tracking?.changeId;
}

/** In the snapshot directory, by the snapshot's number. */
function manifestPath(vm: VmState, snapshot: SnapshotState): string {
  const vmx = stringAt(objectAt(vm.config, 'files'), 'vmPathName') as string;
  return vmx.replace(/\.vmx$/, `-vss_manifests${snapshot.id}.zip`);
}

function snapshotFile(inventory: Inventory, vm: VmState, snapshot: SnapshotState): string {
  const vmx = inventory.absolutePath(stringAt(objectAt(vm.config, 'files'), 'vmPathName') as string);
  return join(dirname(vmx), `${basename(vmx, '.vmx')}-Snapshot${snapshot.id}.vmsn`);
}

/**
 * With removeChildren, everything later goes too, newest first. Without `merge` the snapshots go and their disks stay as
 * they are: what vCenter leaves behind where a link is locked (VMware KB 2003638).
 */
export async function removeSnapshot(inventory: Inventory, moRef: string, removeChildren: boolean, merge = true): Promise<void> {
  const { vm } = inventory.snapshot(moRef);
  const at = vm.snapshots.findIndex((snapshot) => snapshot.moRef === moRef);
  const doomed = removeChildren ? vm.snapshots.slice(at).reverse() : vm.snapshots.slice(at, at + 1);
  for (const snapshot of doomed) {
    if (merge) await mergeDisks(inventory, vm, snapshot);
    else leaveUnmerged(vm, snapshot);
    await forgetSnapshot(inventory, vm, snapshot);
  }
  await stun(inventory, vm);
  inventory.changed(vm.moRef, ...doomed.map((snapshot) => snapshot.moRef));
}

/**
 * What was written since the newest snapshot is thrown away. Change tracking starts anew: an id of
 * before names a line of changes that the disk has left.
 */
export async function revertToCurrentSnapshot(inventory: Inventory, vm: VmState): Promise<void> {
  const snapshot = vm.snapshots.at(-1);
  if (!snapshot) throw new SimFault('NotFound', 'The virtual machine has no snapshot to revert to.');
  const frozenPaths = new Set(disksOf(snapshot.config).filter(takesSnapshots).map(pathOf));
  for (const disk of disksOf(vm.config).filter(takesSnapshots)) {
    if (!frozenPaths.has(pathOf(disk))) await deleteLink(inventory.absolutePath(pathOf(disk)));
  }
  for (const later of vm.unmerged?.filter(({ id }) => id > snapshot.id) ?? []) {
    for (const path of disksOf(later.config).filter(takesSnapshots).map(pathOf))
      if (!frozenPaths.has(path)) await deleteLink(inventory.absolutePath(path));
  }
  vm.unmerged = vm.unmerged?.filter(({ id }) => id < snapshot.id);
  const config = structuredClone(snapshot.config);
  for (const disk of disksOf(config).filter(takesSnapshots)) {
    await freezeDisk(inventory, disk);
    await saveTracking(inventory.absolutePath(pathOf(disk)), undefined);
    delete backingOf(disk).changeId;
  }
  vm.config = config;
  vm.powerState = snapshot.powerState;
  delete vm.bootTime;
  await stun(inventory, vm);
  inventory.changed(vm.moRef);
}

export async function removeAllSnapshots(inventory: Inventory, vm: VmState): Promise<void> {
  const oldest = vm.snapshots[0];
  if (oldest) await removeSnapshot(inventory, oldest.moRef, true);
}

/** ConsolidateVMDisks_Task: every link that no snapshot names is merged into the one below. */
export async function consolidateDisks(inventory: Inventory, vm: VmState): Promise<void> {
  for (const snapshot of [...(vm.unmerged ?? [])].reverse()) {
    await mergeDisks(inventory, vm, snapshot);
    vm.unmerged = vm.unmerged?.filter((other) => other !== snapshot);
  }
  delete vm.unmerged;
  vm.consolidationNeeded = false;
  await stun(inventory, vm);
  inventory.changed(vm.moRef);
}

function leaveUnmerged(vm: VmState, snapshot: SnapshotState): void {
  vm.unmerged = [...(vm.unmerged ?? []), snapshot].sort((a, b) => a.id - b.id);
  vm.consolidationNeeded = true;
}

/** The states whose disks stand on those of `snapshot`, next first; what was left behind counts like a snapshot. */
function laterConfigs(vm: VmState, snapshot: SnapshotState): VimObject[] {
  const frozen = [...vm.snapshots, ...(vm.unmerged ?? [])].filter((other) => other.id > snapshot.id);
  return [...frozen.sort((a, b) => a.id - b.id).map((later) => later.config), vm.config];
}

async function mergeDisks(inventory: Inventory, vm: VmState, snapshot: SnapshotState): Promise<void> {
  for (const frozen of disksOf(snapshot.config).filter(takesSnapshots)) {
    const parentPath = pathOf(frozen);
    const disks = laterConfigs(vm, snapshot).map((config) => disksOf(config).find((disk) => disk.key === frozen.key));
    const child = disks[0];
    if (!child || !chainHas(child, parentPath)) continue; // the disk was removed from the VM since
    const childPath = pathOf(child);
    const grandchild = disks[1];
    await consolidate(
      inventory.absolutePath(parentPath),
      inventory.absolutePath(childPath),
      grandchild && inventory.absolutePath(pathOf(grandchild)),
    );
    for (const disk of disks) if (disk) replaceInChain(backingOf(disk), childPath, backingOf(frozen));
  }
}

async function forgetSnapshot(inventory: Inventory, vm: VmState, snapshot: SnapshotState): Promise<void> {
  vm.snapshots.splice(vm.snapshots.indexOf(snapshot), 1);
  await rm(snapshotFile(inventory, vm, snapshot), { force: true });
  if (snapshot.backupManifest !== undefined) await rm(inventory.absolutePath(snapshot.backupManifest), { force: true });
}

function chainHas(disk: VimObject, path: string): boolean {
  for (let backing: VimObject | undefined = backingOf(disk); backing; backing = objectAt(backing, 'parent')) {
    if (backing.fileName === path) return true;
  }
  return false;
}

/** The link `childPath` was merged into its parent: whoever names it names the parent now. Its change id stays its own. */
function replaceInChain(top: VimObject, childPath: string, parent: VimObject): void {
  for (let backing: VimObject | undefined = top; backing; backing = objectAt(backing, 'parent')) {
    if (backing.fileName !== childPath) continue;
    backing.fileName = parent.fileName;
    backing.parent = parent.parent === undefined ? undefined : structuredClone(parent.parent);
    backing.deltaDiskFormat = parent.deltaDiskFormat;
    return;
  }
}

export interface ChangedAreas {
  startOffset: number;
  length: number;
  areas: Extent[];
}

/** @throws SimFault FileFault where tracking cannot answer: no tracking, another chain's id, or an id of the future. */
export async function queryChangedAreas(
  inventory: Inventory,
  vm: VmState,
  query: { snapshotMoRef: string | undefined; deviceKey: number; startOffset: number; changeId: string },
): Promise<ChangedAreas> {
  const snapshot = vm.snapshots.find((candidate) => candidate.moRef === query.snapshotMoRef);
  if (query.snapshotMoRef !== undefined && !snapshot) throw managedObjectNotFound('VirtualMachineSnapshot', query.snapshotMoRef);
  if (!snapshot && vm.powerState !== 'poweredOff')
    throw fileFault('The disks of a running virtual machine can only be asked through a snapshot.', '');
  const disk = devicesOf(snapshot?.config ?? vm.config).find((device) => isDisk(device) && device.key === query.deviceKey);
  if (!disk) throw invalidArgument('deviceKey');
  const capacityBytes = numberAt(disk, 'capacityInBytes') as number;
  if (query.startOffset < 0 || query.startOffset >= capacityBytes) throw invalidArgument('startOffset');
  const path = pathOf(disk);
  const absolute = inventory.absolutePath(path);
  return changedAreasOf(absolute, { path, capacityBytes, startOffset: query.startOffset, changeId: query.changeId });
}

/** Of one file, whoever it belongs to. */
export async function changedAreasOf(
  absolute: string,
  { path, capacityBytes, startOffset, changeId }: { path: string; capacityBytes: number; startOffset: number; changeId: string },
): Promise<ChangedAreas> {
  const tracking = await loadTracking(absolute);
  if (!tracking) throw fileFault(`Error caused by file ${path}: change tracking is not active.`, path);
  const extents = changeId === '*' ? await allocatedBlocks(absolute, capacityBytes) : changedBlocks(tracking, changeId, path);
  return page(extents, startOffset, capacityBytes);
}

async function allocatedBlocks(path: string, capacityBytes: number): Promise<Extent[]> {
  return DiskChain.with(path, 'r', async (chain) => alignExtents(await chain.allocatedExtents(), TRACKED_BLOCK_BYTES, capacityBytes));
}

function changedBlocks(tracking: ChangeTracking, changeId: string, path: string): Extent[] {
  const since = parseChangeId(changeId);
  if (!since) throw invalidArgument('changeId');
  if (since.uuid !== tracking.uuid || since.sequence > tracking.sequence) throw fileFault(`Error caused by file ${path}`, path);
  return tracking.changedSince(since.sequence);
}

function page(extents: readonly Extent[], startOffset: number, capacityBytes: number): ChangedAreas {
  const areas: Extent[] = [];
  for (const extent of extents) {
    const end = extent.offsetBytes + extent.lengthBytes;
    if (end <= startOffset) continue;
    if (areas.length === MAX_CHANGED_AREAS) {
      const last = areas.at(-1) as Extent;
      return { startOffset, length: last.offsetBytes + last.lengthBytes - startOffset, areas };
    }
    const offsetBytes = Math.max(startOffset, extent.offsetBytes);
    areas.push({ offsetBytes, lengthBytes: end - offsetBytes });
  }
  return { startOffset, length: capacityBytes - startOffset, areas };
}

function fileFault(message: string, file: string): SimFault {
  return new SimFault('FileFault', message, { file });
}

function invalidArgument(property: string): SimFault {
  return new SimFault('InvalidArgument', `A specified parameter was not correct: ${property}`, { invalidProperty: property });
}
