import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Semaphore } from '../../../src/common/index.js';
import { Datastore, parseDatastorePath } from '../datastore/index.js';
import { StateFile } from '../state-file.js';
import type { SnapshotState, VcenterState, VmState } from './state.js';
import { listAt, stringAt } from './vim.js';
import { SimFault } from './vsphere-types.js';

export interface InventoryOptions {
  dataDir: string;
  datacenterName?: string;
  datastoreNames?: string[];
  hostNames?: string[];
  networkNames?: string[];
  portGroupNames?: string[];
  /** Beside vCenter's own ones. */
  storagePolicies?: { name: string; datastoreNames: string[] }[];
}

/** Changes arrive in bursts; the file is written once per burst. */
const SAVE_DELAY_MS = 50;

/** The entities of vCenter and where they hang, kept in state.json. */
export class Inventory {
  /** By how much this vCenter's clock is ahead, where it dates snapshots. */
  clockOffsetMs = 0;
  readonly dataStores = new Map<string, Datastore>();
  private readonly listeners = new Set<(moRefs: readonly string[]) => void>();
  private readonly locks = new Map<string, Semaphore>();
  private readonly file: StateFile;
  private vmIndex: Map<string, VmState> | undefined;

  private constructor(
    readonly dataDir: string,
    readonly state: VcenterState,
  ) {
    // A failure is asked for by nobody: the next save, or close(), tells of a folder that cannot be written.
    this.file = new StateFile(
      join(dataDir, 'state.json'),
      () => this.state,
      SAVE_DELAY_MS,
      () => undefined,
    );
    for (const { name, directory } of state.datastores) this.dataStores.set(name, new Datastore(name, directory));
  }

  static async open(options: InventoryOptions): Promise<Inventory> {
    await mkdir(options.dataDir, { recursive: true });
    const text = await readFile(join(options.dataDir, 'state.json'), 'utf8').catch(() => undefined);
    const state = text === undefined ? newState(options) : (JSON.parse(text) as VcenterState);
    if (state.version !== 1) throw new Error(`${options.dataDir}/state.json has version ${String(state.version)}; this simulator reads 1`);
    for (const datastore of state.datastores) {
      datastore.directory = join(options.dataDir, 'datastores', datastore.name);
      await mkdir(datastore.directory, { recursive: true });
    }
    const inventory = new Inventory(options.dataDir, state);
    await inventory.save();
    return inventory;
  }

  /** What its clock says. */
  timestamp(): string {
    return new Date(Date.now() + this.clockOffsetMs).toISOString();
  }

  newMoRef(prefix: string): string {
    this.state.nextId += 1;
    return `${prefix}${this.state.nextId}`;
  }

  newMacAddress(): string {
    const number = this.state.nextMac;
    this.state.nextMac += 1;
    const octet = (value: number) => value.toString(16).padStart(2, '0');
    // 00:50:56:80 to bf is what vCenter gives out itself; 00 to 3f is for people.
    return `00:50:56:${octet(0x80 + (Math.floor(number / 65536) % 64))}:${octet(Math.floor(number / 256) % 256)}:${octet(number % 256)}`;
  }

  vm(moRef: string): VmState {
    const vm = this.findVm(moRef);
    if (!vm) throw managedObjectNotFound('VirtualMachine', moRef);
    return vm;
  }

  /** By an index that every change drops and the next look-up makes anew. */
  findVm(moRef: string): VmState | undefined {
    if (this.vmIndex?.size !== this.state.vms.length) this.vmIndex = new Map(this.state.vms.map((vm) => [vm.moRef, vm]));
    return this.vmIndex.get(moRef);
  }

  snapshot(moRef: string): { vm: VmState; snapshot: SnapshotState } {
    for (const vm of this.state.vms) {
      const snapshot = vm.snapshots.find((candidate) => candidate.moRef === moRef);
      if (snapshot) return { vm, snapshot };
    }
    throw managedObjectNotFound('VirtualMachineSnapshot', moRef);
  }

  datastore(name: string): Datastore {
    const datastore = this.dataStores.get(name);
    if (!datastore) throw new SimFault('InvalidDatastore', `There is no datastore [${name}].`, { name });
    return datastore;
  }

  datastoreMoRef(name: string): string {
    return this.state.datastores.find((datastore) => datastore.name === name)?.moRef ?? '';
  }

  /** "[ds] folder/file" to the file on this machine. */
  absolutePath(datastorePath: string): string {
    const parsed = parseDatastorePath(datastorePath);
    if (!parsed) throw new SimFault('InvalidDatastorePath', `"${datastorePath}" is not a datastore path.`, { datastorePath });
    try {
      return this.datastore(parsed.datastore).absolute(parsed.file);
    } catch (error) {
      if (error instanceof SimFault) throw error;
      throw new SimFault('InvalidDatastorePath', `"${datastorePath}" leaves its datastore.`, { datastorePath });
    }
  }

  datastorePath(absolute: string): string {
    for (const datastore of this.dataStores.values()) if (absolute.startsWith(`${datastore.directory}/`)) return datastore.pathOf(absolute);
    throw new Error(`${absolute} is on no datastore`);
  }

  findDisk(datastorePath: string): VmState | undefined {
    return this.state.vms.find((vm) =>
      [vm.config, ...vm.snapshots.map((snapshot) => snapshot.config)].some((config) =>
        disksOf(config).some((disk) => stringAt(disk.backing as never, 'fileName') === datastorePath),
      ),
    );
  }

  /** One change of a VM at a time, guest writes included. */
  async locked<T>(moRef: string, work: () => Promise<T>): Promise<T> {
    let lock = this.locks.get(moRef);
    if (!lock) {
      lock = new Semaphore(1);
      this.locks.set(moRef, lock);
    }
    return lock.run(work);
  }

  changed(...moRefs: string[]): void {
    this.vmIndex = undefined;
    this.file.changed();
    for (const listener of this.listeners) listener(moRefs);
  }

  onChange(listener: (moRefs: readonly string[]) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Whole or not at all: written beside, then renamed. */
  save(): Promise<void> {
    return this.file.save();
  }
}

export function managedObjectNotFound(type: string, value: string): SimFault {
  return new SimFault(
    'ManagedObjectNotFound',
    `The object '${type}:${value}' has already been deleted or has not been completely created.`,
    {
      obj: { $type: 'ManagedObjectReference', type, value },
    },
  );
}

export function disksOf(config: VmState['config']) {
  return listAt(config.hardware as VmState['config'], 'device').filter((device) => device.$type === 'VirtualDisk');
}

function newState(options: InventoryOptions): VcenterState {
  let id = 0;
  const next = (prefix: string): string => {
    id += 1;
    return `${prefix}${id}`;
  };
  const root = { moRef: next('group-d'), name: 'Datacenters', parentMoRef: '', childTypes: ['Folder', 'Datacenter'] };
  const datacenter = { moRef: next('datacenter-'), name: options.datacenterName ?? 'DC0', parentMoRef: root.moRef };
  const folder = (prefix: string, name: string, childTypes: string[]) => ({
    moRef: next(prefix),
    name,
    parentMoRef: datacenter.moRef,
    childTypes: ['Folder', ...childTypes],
  });
  const vmFolder = folder('group-v', 'vm', ['VirtualMachine', 'VirtualApp']);
  const hostFolder = folder('group-h', 'host', ['ComputeResource']);
  const datastoreFolder = folder('group-s', 'datastore', ['Datastore', 'StoragePod']);
  const networkFolder = folder('group-n', 'network', ['Network', 'DistributedVirtualSwitch']);
  const cluster = { moRef: next('domain-c'), name: 'Cluster0', parentMoRef: hostFolder.moRef };
  const pool = { moRef: next('resgroup-'), name: 'Resources', parentMoRef: cluster.moRef };
  const network = (kind: 'Network' | 'DistributedVirtualPortgroup', prefix: string) => (name: string) => ({
    moRef: next(prefix),
    name,
    parentMoRef: networkFolder.moRef,
    kind,
  });
  const hosts = (options.hostNames ?? ['esx-1.sim.local', 'esx-2.sim.local']).map((name) => ({
    moRef: next('host-'),
    name,
    parentMoRef: cluster.moRef,
  }));
  const storagePolicies = [
    { id: randomUUID(), name: 'Datastore Default' },
    { id: randomUUID(), name: 'VM Encryption Policy', encrypts: true },
    ...(options.storagePolicies ?? []).map((policy) => ({ id: randomUUID(), ...policy })),
  ];
  const datastores = (options.datastoreNames ?? ['ds-1']).map((name) => ({
    moRef: next('datastore-'),
    name,
    parentMoRef: datastoreFolder.moRef,
    directory: '',
  }));
  const networks = [
    ...(options.networkNames ?? ['VM Network']).map(network('Network', 'network-')),
    ...(options.portGroupNames ?? ['dvpg-external']).map(network('DistributedVirtualPortgroup', 'dvportgroup-')),
  ];
  const dvSwitch = { moRef: next('dvs-'), name: 'DSwitch', parentMoRef: networkFolder.moRef, uuid: randomUUID() };
  return {
    version: 1,
    instanceUuid: randomUUID(),
    nextId: id,
    nextMac: 1,
    datacenter,
    cluster,
    dvSwitch,
    rootFolderMoRef: root.moRef,
    vmFolderMoRef: vmFolder.moRef,
    rootResourcePoolMoRef: pool.moRef,
    folders: [root, vmFolder, hostFolder, datastoreFolder, networkFolder],
    resourcePools: [pool],
    hosts,
    datastores,
    storagePolicies,
    networks,
    vms: [],
  };
}
