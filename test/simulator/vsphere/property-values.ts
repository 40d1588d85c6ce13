import { statSync } from 'node:fs';
import { devicesOf } from '../model/configuration.js';
import { kmipServers } from './crypto-operations.js';
import { disabledMethodsOf } from '../model/disabled-methods.js';
import { isDisk, isNic, nicNetwork } from '../model/devices.js';
import { managedObjectNotFound, type Inventory } from '../model/inventory.js';
import type { SnapshotState, VmState } from '../model/state.js';
import { listAt, moRef, objectAt, vim, type MoRef, type VimObject, type VimValue } from '../model/vim.js';
import {
  allDatastores,
  allNetworks,
  clusterProperty,
  datastoreProperty,
  hostProperty,
  networkProperty,
  resourcePoolProperty,
} from './entity-properties.js';
import type { VcenterAccounts } from './accounts.js';
import type { PropertySource } from './property-collector.js';
import { userSession, type VcenterSession } from './sessions.js';
import type { TaskBoard } from './tasks.js';
import { capability, guest, runtime, snapshotInfo } from './vm-properties.js';

type Read = (name: string) => VimValue;

const SERVED: Readonly<Record<string, readonly string[]>> = {
  VirtualMachine: [
    'name',
    'parent',
    'overallStatus',
    'configStatus',
    'recentTask',
    'capability',
    'config',
    'layoutEx',
    'environmentBrowser',
    'resourcePool',
    'runtime',
    'guest',
    'summary',
    'datastore',
    'network',
    'snapshot',
    'rootSnapshot',
    'guestHeartbeatStatus',
  ],
  VirtualMachineSnapshot: ['config', 'childSnapshot', 'vm'],
  Task: ['info'],
  Datastore: ['name', 'parent', 'recentTask', 'info', 'summary', 'host', 'vm', 'browser', 'capability'],
  HostSystem: ['name', 'parent', 'recentTask', 'overallStatus', 'runtime', 'summary', 'datastore', 'network', 'vm'],
  ResourcePool: ['name', 'parent', 'recentTask', 'overallStatus', 'runtime', 'summary', 'config', 'owner', 'resourcePool', 'vm'],
  ClusterComputeResource: [
    ...['name', 'parent', 'recentTask', 'overallStatus', 'summary', 'resourcePool', 'host', 'datastore', 'network', 'environmentBrowser'],
  ],
  Datacenter: ['name', 'parent', 'recentTask', 'vmFolder', 'hostFolder', 'datastoreFolder', 'networkFolder', 'datastore', 'network'],
  Folder: ['name', 'parent', 'recentTask', 'childType', 'childEntity'],
  Network: ['name', 'parent', 'recentTask', 'summary', 'host', 'vm'],
  DistributedVirtualPortgroup: ['name', 'parent', 'recentTask', 'summary', 'host', 'vm', 'key', 'config'],
  VmwareDistributedVirtualSwitch: ['name', 'parent', 'recentTask', 'uuid', 'portgroup'],
  ContainerView: ['view'],
  ListView: ['view'],
  SessionManager: ['currentSession', 'sessionList'],
  ServiceInstance: ['serverClock', 'content'],
  TaskManager: ['recentTask', 'description'],
  AuthorizationManager: ['privilegeList', 'roleList'],
};

/** Every managed object of this vCenter as the property collector of one session sees it. */
export class PropertyValues implements PropertySource {
  constructor(
    private readonly inventory: Inventory,
    private readonly tasks: TaskBoard,
    private readonly session: VcenterSession,
    private readonly serviceContent: () => VimObject,
    private readonly accounts: VcenterAccounts,
  ) {}

  served(type: string): readonly string[] {
    return SERVED[type] ?? [];
  }

  assertExists(object: MoRef): void {
    this.reader(object);
  }

  property(object: MoRef, name: string): VimValue {
    return this.reader(object)(name);
  }

  nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = this.inventory.onChange(() => {
        signal.removeEventListener('abort', onAbort);
        stop();
        resolve();
      });
      const onAbort = () => {
        stop();
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  private reader(object: MoRef): Read {
    const { state } = this.inventory;
    const { type, value } = object;
    const named = <T extends { moRef: string; name: string; parentMoRef: string }>(
      list: readonly T[],
      read: (entity: T, name: string) => VimValue,
    ): Read => {
      const entity = list.find((candidate) => candidate.moRef === value);
      if (!entity) throw managedObjectNotFound(type, value);
      return (name) => {
        if (name === 'recentTask') return this.tasks.recent(value);
        if (name === 'effectiveRole') return this.accounts.effectiveRole(this.session.userName, object);
        return common(entity.name, this.parent(entity.parentMoRef), name) ?? read(entity, name);
      };
    };
    switch (type) {
      case 'VirtualMachine': {
        const vm = this.inventory.vm(value);
        return (name) => common(vm.config.name as string, moRef('Folder', vm.folderMoRef), name) ?? this.virtualMachine(vm, name);
      }
      case 'VirtualMachineSnapshot': {
        const { vm, snapshot } = this.inventory.snapshot(value);
        return (name) => this.snapshot(vm, snapshot, name);
      }
      case 'Task': {
        const info = this.tasks.info(value);
        return (name) => (name === 'info' ? info : undefined);
      }
      case 'Datastore':
        return named(state.datastores, (datastore, name) => datastoreProperty(this.inventory, datastore, name));
      case 'HostSystem':
        return named(state.hosts, (host, name) => hostProperty(state, host, name));
      case 'ResourcePool':
        return named(state.resourcePools, (pool, name) => resourcePoolProperty(state, pool, name));
      case 'ComputeResource':
      case 'ClusterComputeResource':
        return named([state.cluster], (_cluster, name) => clusterProperty(state, name));
      case 'Datacenter':
        return named([state.datacenter], (_datacenter, name) => this.datacenter(name));
      case 'Folder':
        return named(state.folders, (folder, name) => {
          if (name === 'childType') return folder.childTypes;
          return name === 'childEntity' ? this.children(folder.moRef) : undefined;
        });
      case 'Network':
      case 'DistributedVirtualPortgroup':
        return named(state.networks, (network, name) => networkProperty(this.inventory, network, name));
      case 'DistributedVirtualSwitch':
      case 'VmwareDistributedVirtualSwitch':
        return named([state.dvSwitch], (dvSwitch, name) => {
          if (name === 'uuid') return dvSwitch.uuid;
          return name === 'portgroup' ? state.networks.filter((n) => n.kind !== 'Network').map((n) => moRef(n.kind, n.moRef)) : undefined;
        });
      case 'ContainerView':
      case 'ListView': {
        const view = this.session.views.get(value);
        if (!view) throw managedObjectNotFound(type, value);
        return (name) => (name === 'view' ? view.objects().map((each) => moRef(each.type, each.value)) : undefined);
      }
      case 'SessionManager':
        return (name) => {
          if (name === 'currentSession') return userSession(this.session);
          return name === 'sessionList' ? [userSession(this.session)] : undefined;
        };
      case 'ServiceInstance':
        return (name) => (name === 'content' ? this.serviceContent() : name === 'serverClock' ? new Date().toISOString() : undefined);
      case 'CryptoManagerKmip':
        return (name) => (name === 'kmipServers' ? kmipServers(this.inventory) : name === 'enabled' ? true : undefined);
      case 'AuthorizationManager':
        return (name) => (name === 'roleList' || name === 'privilegeList' ? this.accounts[name] : undefined);
      case 'TaskManager':
        return (name) => {
          if (name === 'description') return vim('TaskDescription', { methodInfo: [], state: [], reason: [] });
          return name === 'recentTask' ? this.tasks.recent() : undefined;
        };
      default:
        throw managedObjectNotFound(type, value);
    }
  }

  private parent(parentMoRef: string): MoRef | undefined {
    const { state } = this.inventory;
    if (parentMoRef === '') return undefined;
    if (parentMoRef === state.datacenter.moRef) return moRef('Datacenter', parentMoRef);
    if (parentMoRef === state.cluster.moRef) return moRef('ClusterComputeResource', parentMoRef);
    return moRef(state.resourcePools.some((pool) => pool.moRef === parentMoRef) ? 'ResourcePool' : 'Folder', parentMoRef);
  }

  /** Everything that hangs directly in a folder. */
  children(parentMoRef: string): MoRef[] {
    const { state } = this.inventory;
    const of = (type: string, list: readonly { moRef: string; parentMoRef: string }[]) =>
      list.filter((entity) => entity.parentMoRef === parentMoRef).map((entity) => moRef(type, entity.moRef));
    return [
      ...of('Folder', state.folders),
      ...of('Datacenter', [state.datacenter]),
      ...of('ClusterComputeResource', [state.cluster]),
      ...of('Datastore', state.datastores),
      ...of('VmwareDistributedVirtualSwitch', [state.dvSwitch]),
      ...state.networks.filter((network) => network.parentMoRef === parentMoRef).map((network) => moRef(network.kind, network.moRef)),
      ...of(
        'VirtualMachine',
        state.vms.map((vm) => ({ moRef: vm.moRef, parentMoRef: vm.folderMoRef })),
      ),
    ];
  }

  private virtualMachine(vm: VmState, name: string): VimValue {
    switch (name) {
      case 'config':
        return vm.config;
      case 'runtime':
        return runtime(vm);
      case 'summary':
        return this.summary(vm);
      case 'guest':
        return guest(vm);
      case 'capability':
        return capability();
      case 'resourcePool':
        return moRef('ResourcePool', vm.resourcePoolMoRef);
      case 'environmentBrowser':
        return moRef('EnvironmentBrowser', `envbrowser-${vm.moRef}`);
      case 'datastore':
        return [
          ...new Set([
            vm.datastoreMoRef,
            ...devicesOf(vm.config)
              .filter(isDisk)
              .map((d) => (objectAt(d, 'backing')?.datastore as MoRef | undefined)?.value ?? ''),
          ]),
        ]
          .filter((value) => value !== '')
          .map((value) => moRef('Datastore', value));
      case 'network':
        return devicesOf(vm.config)
          .filter(isNic)
          .flatMap((nic) => {
            const network = this.inventory.state.networks.find((candidate) => candidate.moRef === nicNetwork(this.inventory, nic)?.moRef);
            return network ? [moRef(network.kind, network.moRef)] : [];
          });
      case 'snapshot':
        return vm.snapshots.length === 0 ? undefined : snapshotInfo(vm);
      case 'rootSnapshot':
        return vm.snapshots.slice(0, 1).map((snapshot) => moRef('VirtualMachineSnapshot', snapshot.moRef));
      case 'recentTask':
        return this.tasks.recent(vm.moRef);
      case 'disabledMethod':
        return disabledMethodsOf(vm);
      case 'guestHeartbeatStatus':
        return vm.powerState === 'poweredOn' ? 'green' : 'gray';
      case 'layoutEx':
        return this.layout(vm);
      default:
        return undefined;
    }
  }

  private summary(vm: VmState): VimObject {
    const { config } = vm;
    const hardware = config.hardware as VimObject;
    return vim('VirtualMachineSummary', {
      vm: moRef('VirtualMachine', vm.moRef),
      runtime: runtime(vm),
      guest: vim('VirtualMachineGuestSummary', { toolsStatus: vm.powerState === 'poweredOn' ? 'toolsOk' : 'toolsNotRunning' }),
      config: vim('VirtualMachineConfigSummary', {
        name: config.name,
        template: false,
        vmPathName: objectAt(config, 'files')?.vmPathName,
        memorySizeMB: hardware.memoryMB,
        numCpu: hardware.numCPU,
        numEthernetCards: devicesOf(config).filter(isNic).length,
        numVirtualDisks: devicesOf(config).filter(isDisk).length,
        uuid: config.uuid,
        instanceUuid: config.instanceUuid,
        guestId: config.guestId,
        guestFullName: config.guestFullName,
        annotation: config.annotation,
        hwVersion: config.version,
      }),
      storage: this.storage(vm),
      quickStats: vim('VirtualMachineQuickStats', { guestHeartbeatStatus: 'gray' }),
      overallStatus: 'green',
    });
  }

  /** committed: what its files take up on the datastore, holes left out. */
  private storage(vm: VmState): VimObject {
    const files = listAt(this.layout(vm), 'file');
    const committed = files.reduce((sum, file) => sum + Number(file.uniqueSize), 0);
    const provisioned = files.reduce((sum, file) => sum + Number(file.size), 0);
    return vim('VirtualMachineStorageSummary', {
      committed,
      uncommitted: Math.max(0, provisioned - committed),
      unshared: committed,
      // Not the time of asking: a property that always differs would end every wait for changes.
      timestamp: vm.config.modified,
    });
  }

  private layout(vm: VmState): VimObject {
    const files: VimObject[] = [];
    const add = (path: string, type: string): number => {
      let size = 0;
      let uniqueSize = 0;
      try {
        const info = statSync(this.inventory.absolutePath(path));
        size = info.size;
        uniqueSize = Math.min(info.size, info.blocks * 512);
      } catch {
        // A file that is not there yet has no size.
      }
      files.push(vim('VirtualMachineFileLayoutExFileInfo', { key: files.length, name: path, type, size, uniqueSize, accessible: true }));
      return files.length - 1;
    };
    const vmx = objectAt(vm.config, 'files')?.vmPathName as string;
    add(vmx, 'config');
    add(vmx.replace(/\.vmx$/, '.nvram'), 'nvram');
    const disk = devicesOf(vm.config)
      .filter(isDisk)
      .map((device) => {
        const chain: VimObject[] = [];
        for (let backing = objectAt(device, 'backing'); backing; backing = objectAt(backing, 'parent')) {
          const path = backing.fileName as string;
          const extent = path.replace(/\.vmdk$/, backing.parent === undefined ? '-flat.vmdk' : '-sesparse.vmdk');
          chain.unshift(vim('VirtualMachineFileLayoutExDiskUnit', { fileKey: [add(path, 'diskDescriptor'), add(extent, 'diskExtent')] }));
        }
        return vim('VirtualMachineFileLayoutExDiskLayout', { key: device.key, chain });
      });
    return vim('VirtualMachineFileLayoutEx', { file: files, disk, timestamp: new Date().toISOString() });
  }

  private snapshot(vm: VmState, snapshot: SnapshotState, name: string): VimValue {
    if (name === 'config') return snapshot.config;
    if (name === 'vm') return moRef('VirtualMachine', vm.moRef);
    const child = vm.snapshots[vm.snapshots.indexOf(snapshot) + 1];
    return name === 'childSnapshot' && child ? [moRef('VirtualMachineSnapshot', child.moRef)] : undefined;
  }

  private datacenter(name: string): VimValue {
    const folder = { vmFolder: 'vm', hostFolder: 'host', datastoreFolder: 'datastore', networkFolder: 'network' }[name];
    if (folder !== undefined) {
      const { folders, datacenter } = this.inventory.state;
      const found = folders.find((candidate) => candidate.parentMoRef === datacenter.moRef && candidate.name === folder);
      return found && moRef('Folder', found.moRef);
    }
    if (name === 'datastore') return allDatastores(this.inventory.state);
    return name === 'network' ? allNetworks(this.inventory.state) : undefined;
  }
}

function common(name: string, parent: MoRef | undefined, property: string): VimValue {
  if (property === 'name') return name;
  if (property === 'parent') return parent;
  return property === 'overallStatus' || property === 'configStatus' ? 'green' : undefined;
}
