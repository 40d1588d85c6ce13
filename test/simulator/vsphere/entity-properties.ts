import { createHash } from 'node:crypto';
import { devicesOf } from '../model/configuration.js';
import { isNic, nicNetwork } from '../model/devices.js';
import type { Inventory } from '../model/inventory.js';
import type { EntityState, HostState, VcenterState, VmState } from '../model/state.js';
import { moRef, objectAt, vim, type MoRef, type VimObject, type VimValue } from '../model/vim.js';

/** Every host is of one make: two processors of eight cores, 128 GiB. */
const HOST = { processors: 2, cores: 16, threads: 32, mhz: 2600, memoryBytes: 128 * 1024 ** 3 };

export function vmsWhere(state: VcenterState, test: (vm: VmState) => boolean): MoRef[] {
  return state.vms.filter(test).map((vm) => moRef('VirtualMachine', vm.moRef));
}

export function allDatastores(state: VcenterState): MoRef[] {
  return state.datastores.map((datastore) => moRef('Datastore', datastore.moRef));
}

export function allNetworks(state: VcenterState): MoRef[] {
  return state.networks.map((network) => moRef(network.kind, network.moRef));
}

export function datastoreProperty(inventory: Inventory, datastore: { moRef: string; name: string }, name: string): VimValue {
  const { state } = inventory;
  const url = `ds:///vmfs/volumes/${datastore.moRef}/`;
  switch (name) {
    case 'summary': {
      const { capacityBytes, freeBytes } = inventory.datastore(datastore.name).space();
      return vim('DatastoreSummary', {
        datastore: moRef('Datastore', datastore.moRef),
        name: datastore.name,
        url,
        capacity: capacityBytes,
        freeSpace: freeBytes,
        accessible: true,
        multipleHostAccess: true,
        type: 'VMFS',
        maintenanceMode: 'normal',
      });
    }
    case 'info':
      return vim('VmfsDatastoreInfo', {
        name: datastore.name,
        url,
        freeSpace: inventory.datastore(datastore.name).space().freeBytes,
        maxFileSize: 2 ** 46,
        maxVirtualDiskCapacity: 62 * 2 ** 40,
        maxMemoryFileSize: 2 ** 46,
        maxPhysicalRDMFileSize: 2 ** 46,
        maxVirtualRDMFileSize: 2 ** 46,
      });
    case 'host':
      return state.hosts.map((host) =>
        vim('DatastoreHostMount', {
          key: moRef('HostSystem', host.moRef),
          mountInfo: vim('HostMountInfo', {
            path: `/vmfs/volumes/${datastore.moRef}`,
            accessMode: 'readWrite',
            mounted: true,
            accessible: true,
          }),
        }),
      );
    case 'vm':
      return vmsWhere(state, (vm) => vm.datastoreMoRef === datastore.moRef);
    case 'browser':
      return moRef('HostDatastoreBrowser', `datastoreBrowser-${datastore.moRef}`);
    case 'capability':
      return vim('DatastoreCapability', {
        directoryHierarchySupported: true,
        rawDiskMappingsSupported: true,
        perFileThinProvisioningSupported: true,
        storageIORMSupported: true,
        nativeSnapshotSupported: false,
        seSparseSupported: true,
      });
    default:
      return undefined;
  }
}

export function hostProperty(state: VcenterState, host: HostState, name: string): VimValue {
  switch (name) {
    case 'runtime':
      return hostRuntime(host);
    case 'summary':
      return hostSummary(state, host);
    case 'datastore':
      return allDatastores(state);
    case 'network':
      return allNetworks(state);
    case 'vm':
      return vmsWhere(state, (vm) => vm.hostMoRef === host.moRef);
    default:
      return undefined;
  }
}

function hostRuntime(host: HostState): VimObject {
  return vim('HostRuntimeInfo', {
    connectionState: 'connected',
    powerState: 'poweredOn',
    inMaintenanceMode: host.inMaintenanceMode === true,
    bootTime: '2026-01-02T03:04:05Z',
  });
}

function hostSummary(state: VcenterState, host: HostState): VimObject {
  const running = state.vms.filter((vm) => vm.hostMoRef === host.moRef && vm.powerState === 'poweredOn');
  return vim('HostListSummary', {
    host: moRef('HostSystem', host.moRef),
    hardware: vim('HostHardwareSummary', {
      vendor: 'Simulated',
      model: 'Host',
      uuid: uuidOf(`${state.instanceUuid}/${host.moRef}`),
      memorySize: HOST.memoryBytes,
      cpuModel: 'Simulated CPU @ 2.60GHz',
      cpuMhz: HOST.mhz,
      numCpuPkgs: HOST.processors,
      numCpuCores: HOST.cores,
      numCpuThreads: HOST.threads,
      numNics: 2,
      numHBAs: 1,
    }),
    runtime: hostRuntime(host),
    config: vim('HostConfigSummary', { name: host.name, port: 443, vmotionEnabled: true, faultToleranceEnabled: false }),
    quickStats: vim('HostListSummaryQuickStats', { overallCpuUsage: 100 * running.length, overallMemoryUsage: memoryMib(running) }),
    overallStatus: 'green',
    rebootRequired: false,
  });
}

function uuidOf(text: string): string {
  return createHash('sha256')
    .update(text)
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
}

const memoryMib = (vms: readonly VmState[]): number =>
  vms.reduce((sum, vm) => sum + Number(objectAt(vm.config, 'hardware')?.memoryMB ?? 0), 0);

export function resourcePoolProperty(state: VcenterState, pool: EntityState, name: string): VimValue {
  switch (name) {
    case 'owner':
      return moRef('ClusterComputeResource', state.cluster.moRef);
    case 'resourcePool':
      return state.resourcePools.filter((child) => child.parentMoRef === pool.moRef).map((child) => moRef('ResourcePool', child.moRef));
    case 'vm':
      return vmsWhere(state, (vm) => vm.resourcePoolMoRef === pool.moRef);
    case 'runtime':
      return poolRuntime(state, pool);
    case 'config':
      return poolConfig(pool);
    case 'summary':
      return vim('ResourcePoolSummary', { name: pool.name, config: poolConfig(pool), runtime: poolRuntime(state, pool) });
    default:
      return undefined;
  }
}

function poolRuntime(state: VcenterState, pool: EntityState): VimObject {
  const running = state.vms.filter((vm) => vm.powerState === 'poweredOn' && isBelow(state, vm.resourcePoolMoRef, pool.moRef));
  const usage = (maxUsage: number, overallUsage: number) =>
    vim('ResourcePoolResourceUsage', {
      reservationUsed: 0,
      reservationUsedForVm: 0,
      unreservedForPool: maxUsage,
      unreservedForVm: maxUsage,
      overallUsage,
      maxUsage,
    });
  return vim('ResourcePoolRuntimeInfo', {
    memory: usage(state.hosts.length * HOST.memoryBytes, memoryMib(running) * 1024 * 1024),
    cpu: usage(state.hosts.length * HOST.cores * HOST.mhz, 100 * running.length),
    overallStatus: 'green',
  });
}

function isBelow(state: VcenterState, poolMoRef: string, ancestorMoRef: string): boolean {
  for (let at: string | undefined = poolMoRef; at !== undefined; ) {
    if (at === ancestorMoRef) return true;
    const here: string = at;
    at = state.resourcePools.find((pool) => pool.moRef === here)?.parentMoRef;
  }
  return false;
}

function poolConfig(pool: EntityState): VimObject {
  const allocation = () =>
    vim('ResourceAllocationInfo', {
      reservation: 0,
      expandableReservation: true,
      limit: -1,
      shares: vim('SharesInfo', { shares: 4000, level: 'normal' }),
    });
  return vim('ResourceConfigSpec', {
    entity: moRef('ResourcePool', pool.moRef),
    cpuAllocation: allocation(),
    memoryAllocation: allocation(),
  });
}

export function clusterProperty(state: VcenterState, name: string): VimValue {
  switch (name) {
    case 'resourcePool':
      return moRef('ResourcePool', state.rootResourcePoolMoRef);
    case 'host':
      return state.hosts.map((host) => moRef('HostSystem', host.moRef));
    case 'datastore':
      return allDatastores(state);
    case 'network':
      return allNetworks(state);
    case 'environmentBrowser':
      return moRef('EnvironmentBrowser', `envbrowser-${state.cluster.moRef}`);
    case 'summary': {
      const count = state.hosts.length;
      return vim('ComputeResourceSummary', {
        totalCpu: count * HOST.cores * HOST.mhz,
        totalMemory: count * HOST.memoryBytes,
        numCpuCores: count * HOST.cores,
        numCpuThreads: count * HOST.threads,
        effectiveCpu: count * HOST.cores * HOST.mhz,
        effectiveMemory: (count * HOST.memoryBytes) / 1024 ** 2,
        numHosts: count,
        numEffectiveHosts: count,
        overallStatus: 'green',
      });
    }
    default:
      return undefined;
  }
}

export function networkProperty(inventory: Inventory, network: VcenterState['networks'][number], name: string): VimValue {
  const { state } = inventory;
  switch (name) {
    case 'summary':
      return vim('NetworkSummary', { network: moRef(network.kind, network.moRef), name: network.name, accessible: true, ipPoolName: '' });
    case 'host':
      return state.hosts.map((host) => moRef('HostSystem', host.moRef));
    case 'vm':
      return vmsWhere(state, (vm) =>
        devicesOf(vm.config).some((device) => isNic(device) && nicNetwork(inventory, device)?.moRef === network.moRef),
      );
    case 'key':
      return network.kind === 'Network' ? undefined : network.moRef;
    case 'config':
      return network.kind === 'Network' ? undefined : portGroupConfig(state, network);
    default:
      return undefined;
  }
}

function portGroupConfig(state: VcenterState, group: EntityState): VimObject {
  return vim('DVPortgroupConfigInfo', {
    key: group.moRef,
    name: group.name,
    numPorts: 8,
    distributedVirtualSwitch: moRef('VmwareDistributedVirtualSwitch', state.dvSwitch.moRef),
    type: 'earlyBinding',
    policy: vim('DVPortgroupPolicy', {
      blockOverrideAllowed: true,
      shapingOverrideAllowed: false,
      vendorConfigOverrideAllowed: false,
      livePortMovingAllowed: false,
      portConfigResetAtDisconnect: true,
    }),
    configVersion: '0',
    autoExpand: true,
    uplink: false,
  });
}
