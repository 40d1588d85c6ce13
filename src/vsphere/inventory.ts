import type { NetworkChoice } from './device-spec.js';
import { VsphereError } from './errors.js';
import type { ObjectProperties, PropertyReader } from './properties.js';
import type { VimSession } from './session.js';
import { integerOf, isTrue, type ManagedObject, readableName } from './vim-xml.js';

/** Inventory trees deeper than this do not exist; a loop in an answer must still end. */
const MAX_DEPTH = 64;

export interface Datacenter {
  object: ManagedObject;
  /** Inventory path below the root folder, names as the server writes them: what /folder calls dcPath. */
  path: string;
}

/** Where things are in one vCenter: compute resources, datacenters, networks. Keeps nothing. */
export class Inventory {
  constructor(
    private readonly session: VimSession,
    private readonly properties: PropertyReader,
  ) {}

  /** The compute resource whose root a resource pool (or the pool's pool, …) belongs to. */
  async computeResource(resourcePoolMoRef: string, signal?: AbortSignal): Promise<ManagedObject> {
    const doing = `reading resource pool ${resourcePoolMoRef}`;
    const pool = await this.properties.read(
      resourcePool(resourcePoolMoRef),
      ['owner'],
      doing,
      `resource pool ${resourcePoolMoRef}`,
      signal,
    );
    const owner = pool.reference('owner');
    if (owner === undefined) throw this.incomplete(`the compute resource of resource pool ${resourcePoolMoRef}`);
    return owner;
  }

  /** The datacenter an inventory object is in. */
  async datacenterOf(object: ManagedObject, signal?: AbortSignal): Promise<Datacenter> {
    let at = object;
    for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
      if (at.type === 'Datacenter') return { object: at, path: await this.pathOf(at, signal) };
      const here = await this.properties.read(at, ['parent'], `reading where ${object.value} is`, object.value, signal);
      const parent = here.reference('parent');
      if (parent === undefined) break;
      at = parent;
    }
    throw this.incomplete(`the datacenter of ${object.value}`);
  }

  /** Every datacenter with a datastore of that name. */
  async datacentersWithDatastore(datastoreName: string, signal?: AbortSignal): Promise<ManagedObject[]> {
    const found: ManagedObject[] = [];
    let level: ManagedObject[] = [this.session.content.rootFolder];
    for (let depth = 0; level.length > 0 && depth < MAX_DEPTH; depth += 1) {
      const folders = await this.properties.readMany(level, ['childEntity'], 'listing the datacenters', signal);
      const children = folders.flatMap((folder) => folder.references('childEntity'));
      const datacenters = children.filter((child) => child.type === 'Datacenter');
      for (const datacenter of await this.properties.readMany(datacenters, ['datastore'], 'listing the datastores', signal)) {
        const names = await this.properties.readMany(datacenter.references('datastore'), ['name'], 'listing the datastores', signal);
        if (names.some((datastore) => readableName(datastore.text('name') ?? '') === datastoreName)) found.push(datacenter.object);
      }
      level = children.filter((child) => child.type === 'Folder');
    }
    return found;
  }

  async pathOf(datacenter: ManagedObject, signal?: AbortSignal): Promise<string> {
    const names: string[] = [];
    let at: ManagedObject | undefined = datacenter;
    for (let depth = 0; at !== undefined && depth < MAX_DEPTH; depth += 1) {
      const here: ObjectProperties = await this.properties.read(
        at,
        ['name', 'parent'],
        'reading the path of a datacenter',
        at.value,
        signal,
      );
      const parent = here.reference('parent');
      // The root folder has a name too, and no path begins with it.
      if (parent !== undefined) names.unshift(here.text('name') ?? '');
      at = parent;
    }
    return names.join('/');
  }

  /** The networks new NICs can be put on: of the host where one is given, else of the whole compute resource. */
  async networks(resourcePoolMoRef: string, hostMoRef: string | undefined, signal?: AbortSignal): Promise<NetworkChoice[]> {
    const place =
      hostMoRef === undefined ? await this.computeResource(resourcePoolMoRef, signal) : { type: 'HostSystem', value: hostMoRef };
    const at = await this.properties.read(place, ['network'], `listing the networks of ${place.value}`, place.value, signal);
    const references = at.references('network');
    const ofType = (type: string) => references.filter((network) => network.type === type);
    const doing = 'listing the networks';
    const plain = await this.properties.readMany(ofType('Network'), ['name'], doing, signal);
    const opaque = await this.properties.readMany(ofType('OpaqueNetwork'), ['name', 'summary'], doing, signal);
    return [
      ...plain.map(namedNetwork),
      ...(await this.portGroups(ofType('DistributedVirtualPortgroup'), signal)),
      ...opaque.map(opaqueNetwork),
    ];
  }

  private async portGroups(references: readonly ManagedObject[], signal?: AbortSignal): Promise<NetworkChoice[]> {
    const groups = await this.properties.readMany(
      references,
      ['name', 'key', 'config.distributedVirtualSwitch', 'config.uplink'],
      'listing the port groups',
      signal,
    );
    const usable = groups.filter((group) => !group.isTrue('config.uplink'));
    const switches = new Map<string, ManagedObject>();
    for (const group of usable) {
      const owner = group.reference('config.distributedVirtualSwitch');
      if (owner) switches.set(owner.value, owner);
    }
    const uuids = new Map<string, string>();
    for (const owner of await this.properties.readMany([...switches.values()], ['uuid'], 'listing the distributed switches', signal)) {
      const uuid = owner.text('uuid');
      if (uuid) uuids.set(owner.object.value, uuid);
    }
    return usable.map((group) => {
      const switchUuid = uuids.get(group.reference('config.distributedVirtualSwitch')?.value ?? '');
      const portgroupKey = group.text('key') ?? group.object.value;
      return { ...namedNetwork(group), portgroupKey, ...(switchUuid === undefined ? {} : { switchUuid }) };
    });
  }

  /** Hosts that can take a VM now, datastores with their free space, and the datacenter's VM folder. */
  async placement(resourcePoolMoRef: string, signal?: AbortSignal) {
    const owner = await this.computeResource(resourcePoolMoRef, signal);
    const compute = await this.properties.read(
      owner,
      ['host', 'datastore'],
      `reading compute resource ${owner.value}`,
      owner.value,
      signal,
    );
    const datacenter = await this.datacenterOf(owner, signal);
    const folders = await this.properties.read(
      datacenter.object,
      ['vmFolder'],
      `reading datacenter ${datacenter.path}`,
      datacenter.path,
      signal,
    );
    const vmFolder = folders.reference('vmFolder');
    if (vmFolder === undefined) throw this.incomplete(`the VM folder of datacenter ${datacenter.path}`);
    const hosts = await this.properties.readMany(compute.references('host'), ['name', 'runtime'], 'listing the hosts', signal);
    const datastores = await this.properties.readMany(compute.references('datastore'), ['summary'], 'listing the datastores', signal);
    return {
      vmFolderMoRef: vmFolder.value,
      hosts: hosts.filter(takesVms).map((host) => ({ moRef: host.object.value, name: readableName(host.text('name') ?? '') })),
      datastores: datastores.map(datastoreOption),
    };
  }

  private incomplete(what: string): VsphereError {
    return new VsphereError(`vCenter ${this.session.transport.name} does not tell ${what}.`, { code: 'INCOMPLETE_ANSWER' });
  }
}

export function resourcePool(moRef: string): ManagedObject {
  return { type: 'ResourcePool', value: moRef };
}

function takesVms(host: ObjectProperties): boolean {
  const runtime = host.get('runtime');
  return (runtime?.textAt('connectionState') ?? 'connected') === 'connected' && runtime?.textAt('inMaintenanceMode') !== 'true';
}

/** @param datastore with its `summary` */
export function datastoreOption(datastore: ObjectProperties) {
  const summary = datastore.get('summary');
  return {
    moRef: datastore.object.value,
    name: readableName(summary?.textAt('name') ?? ''),
    type: summary?.textAt('type') ?? '',
    freeBytes: integerOf(summary?.child('freeSpace')) ?? 0,
    accessible: isTrue(summary?.child('accessible')) && (summary?.textAt('maintenanceMode') ?? 'normal') === 'normal',
  };
}

function namedNetwork(network: ObjectProperties): NetworkChoice {
  return { network: network.object, name: readableName(network.text('name') ?? '') };
}

function opaqueNetwork(network: ObjectProperties): NetworkChoice {
  const summary = network.get('summary');
  return {
    ...namedNetwork(network),
    opaqueId: summary?.textAt('opaqueNetworkId') ?? '',
    opaqueType: summary?.textAt('opaqueNetworkType') ?? '',
  };
}
