import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseDatastorePath } from '../datastore/index.js';
import { devicesOf } from './configuration.js';
import { disabledMethodsOf } from './disabled-methods.js';
import { isDisk } from './devices.js';
import type { Inventory } from './inventory.js';
import { checkPlace, vmxPath, writeVmFiles } from './virtual-machines.js';
import type { HostState, VmState } from './state.js';
import { moRef, objectAt, stringAt, type VimObject } from './vim.js';
import { SimFault } from './vsphere-types.js';

export interface RelocationTarget {
  folderMoRef?: string;
  resourcePoolMoRef?: string;
  hostMoRef?: string;
  datastoreMoRef?: string;
}

/** RelocateVM_Task: another host, pool or folder; with a datastore its files too, and every disk is under another name. */
export async function relocateVm(inventory: Inventory, vm: VmState, target: RelocationTarget): Promise<void> {
  const hostMoRef = target.hostMoRef ?? vm.hostMoRef;
  vm.hostMoRef = checkPlace(inventory, target.folderMoRef ?? vm.folderMoRef, target.resourcePoolMoRef ?? vm.resourcePoolMoRef, hostMoRef);
  vm.folderMoRef = target.folderMoRef ?? vm.folderMoRef;
  vm.resourcePoolMoRef = target.resourcePoolMoRef ?? vm.resourcePoolMoRef;
  if (target.datastoreMoRef !== undefined && target.datastoreMoRef !== vm.datastoreMoRef)
    await moveFiles(inventory, vm, target.datastoreMoRef);
  inventory.changed(vm.moRef);
}

async function moveFiles(inventory: Inventory, vm: VmState, datastoreMoRef: string): Promise<void> {
  const datastore = inventory.state.datastores.find((candidate) => candidate.moRef === datastoreMoRef);
  if (!datastore)
    throw new SimFault('InvalidArgument', 'A specified parameter was not correct: spec.datastore', { invalidProperty: 'spec.datastore' });
  const old = parseDatastorePath(vmxPath(vm));
  if (!old) throw new SimFault('InvalidDatastorePath', `${vmxPath(vm)} is not a datastore path.`, { datastorePath: vmxPath(vm) });
  const oldFolder = dirname(old.file);
  const [from, to] = [`[${old.datastore}] ${oldFolder}/`, `[${datastore.name}] ${oldFolder}/`];
  const source = inventory.absolutePath(from);
  const goal = inventory.absolutePath(to);
  if ((await readdir(goal).catch(() => [])).length > 0) throw new SimFault('FileAlreadyExists', `${to} already exists.`, { file: to });
  await mkdir(dirname(goal), { recursive: true });
  await cp(source, goal, { recursive: true });
  const renamed = (config: VimObject) =>
    JSON.parse(JSON.stringify(config).replaceAll(JSON.stringify(from).slice(1, -1), JSON.stringify(to).slice(1, -1))) as VimObject;
  for (const snapshot of [...vm.snapshots, ...(vm.unmerged ?? [])]) snapshot.config = onDatastore(renamed(snapshot.config), inventory);
  vm.config = onDatastore(renamed(vm.config), inventory);
  vm.datastoreMoRef = datastore.moRef;
  await writeVmFiles(inventory, vm);
  await rm(source, { recursive: true, force: true });
}

function onDatastore(config: VimObject, inventory: Inventory): VimObject {
  for (const disk of devicesOf(config).filter(isDisk)) {
    for (let backing = objectAt(disk, 'backing'); backing; backing = objectAt(backing, 'parent')) {
      const name = parseDatastorePath(stringAt(backing, 'fileName') ?? '')?.datastore;
      if (name !== undefined) backing.datastore = moRef('Datastore', inventory.datastoreMoRef(name));
    }
  }
  return config;
}

/**
 * EnterMaintenanceMode_Task: DRS moves what runs to the other hosts; a VM whose moving is disabled holds it up, which
 * vCenter shows as a task that never comes forward. Here it fails at once.
 */
export function enterMaintenance(inventory: Inventory, host: HostState): void {
  if (host.inMaintenanceMode === true) throw new SimFault('InvalidState', `${host.name} is in maintenance mode already.`);
  const others = inventory.state.hosts.filter((other) => other !== host && other.inMaintenanceMode !== true);
  const running = inventory.state.vms.filter((vm) => vm.hostMoRef === host.moRef && vm.powerState === 'poweredOn');
  const held = running.find((vm) => disabledMethodsOf(vm).includes('MigrateVM_Task') || others.length === 0);
  if (held) throw new SimFault('Timedout', `${String(held.config.name)} cannot leave ${host.name}.`);
  for (const [index, vm] of running.entries()) {
    vm.hostMoRef = (others[index % others.length] as HostState).moRef;
    inventory.changed(vm.moRef);
  }
  host.inMaintenanceMode = true;
  inventory.changed(host.moRef);
}

export function exitMaintenance(inventory: Inventory, host: HostState): void {
  if (host.inMaintenanceMode !== true) throw new SimFault('InvalidState', `${host.name} is not in maintenance mode.`);
  delete host.inMaintenanceMode;
  inventory.changed(host.moRef);
}

export function hostOf(inventory: Inventory, moRefValue: string): HostState {
  const host = inventory.state.hosts.find((candidate) => candidate.moRef === moRefValue);
  if (!host) throw new SimFault('ManagedObjectNotFound', `There is no host ${moRefValue}.`, { obj: moRef('HostSystem', moRefValue) });
  return host;
}
