import { type XmlElement } from '../common/index.js';
import { VsphereError } from './errors.js';
import { datastoreOption } from './inventory.js';
import { PRIVILEGES, type Privilege } from './privileges.js';
import type { ObjectProperties, PropertyReader } from './properties.js';
import { CLEANUP_TIMEOUT_MS, type VimSession } from './session.js';
import type { DatastoreListing, HostListing, MissingPrivilege, VcenterSurveyApi, VmListing } from './survey-types.js';
import {
  integerOf,
  isTrue,
  type ManagedObject,
  readableName,
  referenceOf,
  soapReference,
  VIM_NAMESPACE,
  XSI_NAMESPACE,
} from './vim-xml.js';

/** A listing whose connection keeps breaking is given up: each time it begins anew, without what was told already. */
const MAX_BEGINNINGS = 5;

const HOST_PATHS = [
  'name',
  'runtime.connectionState',
  'runtime.powerState',
  'runtime.inMaintenanceMode',
  'summary.config.product',
  'config.dateTimeInfo',
];
const VM_PATHS = [
  'name',
  'config.instanceUuid',
  'config.version',
  'config.template',
  'runtime.connectionState',
  'runtime.powerState',
  'runtime.consolidationNeeded',
  'capability.changeTrackingSupported',
];

export class VcenterSurvey implements VcenterSurveyApi {
  constructor(
    private readonly session: VimSession,
    private readonly properties: PropertyReader,
  ) {}

  get product(): string {
    return this.session.content.product;
  }

  async currentTime(signal?: AbortSignal): Promise<Date> {
    const instance = { type: 'ServiceInstance', value: 'ServiceInstance' };
    const answer = await this.session.call('CurrentTime', instance, {}, { doing: 'asking for the time', idempotent: true, signal });
    const time = new Date(answer.textAt('returnval') ?? '');
    if (!Number.isNaN(time.getTime())) return time;
    throw this.incomplete('the time');
  }

  async hosts(signal?: AbortSignal): Promise<HostListing[]> {
    return this.all('HostSystem', HOST_PATHS, 'listing the hosts', hostListing, signal);
  }

  async datastores(signal?: AbortSignal): Promise<DatastoreListing[]> {
    return this.all('Datastore', ['summary'], 'listing the datastores', datastoreListing, signal);
  }

  async *vms(signal?: AbortSignal): AsyncGenerator<VmListing[], void, undefined> {
    for await (const page of this.scan('VirtualMachine', VM_PATHS, 'listing the VMs', signal)) yield page.map(vmListing);
  }

  async missingPrivileges(signal?: AbortSignal): Promise<MissingPrivilege[]> {
    const manager = this.session.content.authorizationManager;
    if (manager === undefined) throw this.incomplete('its authorization manager');
    const doing = 'asking for the privileges of the account';
    const known = await this.knownPrivileges(manager, doing, signal);
    const wanted = PRIVILEGES.filter(({ id }) => known.size === 0 || known.has(id));
    const places = await this.places(doing, signal);
    const granted = await this.granted(manager, [...places.keys()], wanted, doing, signal);
    return wanted.flatMap((privilege) => {
      const on = [...places].filter(([moRef]) => !granted.get(moRef)?.has(privilege.id)).map(([, name]) => name);
      return on.length === 0 ? [] : [{ ...privilege, on }];
    });
  }

  /** A privilege of a newer vCenter is InvalidArgument to an older one; nothing at all where the list may not be seen. */
  private async knownPrivileges(manager: ManagedObject, doing: string, signal?: AbortSignal): Promise<ReadonlySet<string>> {
    const answer = await this.properties.read(manager, ['privilegeList'], doing, undefined, signal);
    return new Set((answer.get('privilegeList')?.elements() ?? []).map((each) => each.textAt('privId') ?? ''));
  }

  /**
   * The root folder, and every datacenter: a role that is not handed down reaches the root alone. By MoRef, with what
   * people call them; MoRefs of folders and datacenters cannot be taken for each other.
   */
  private async places(doing: string, signal?: AbortSignal): Promise<Map<string, string>> {
    const places = new Map([[this.session.content.rootFolder.value, 'vCenter']]);
    const name = (found: ObjectProperties) => [found.object.value, `datacenter "${readableName(found.text('name') ?? '')}"`] as const;
    for (const [moRef, label] of await this.all('Datacenter', ['name'], doing, name, signal)) places.set(moRef, label);
    return places;
  }

  private async granted(
    manager: ManagedObject,
    moRefs: readonly string[],
    wanted: readonly Privilege[],
    doing: string,
    signal?: AbortSignal,
  ): Promise<Map<string, Set<string>>> {
    const root = this.session.content.rootFolder;
    const entities = moRefs.map((moRef) => soapReference({ type: moRef === root.value ? root.type : 'Datacenter', value: moRef }));
    const call = { doing, idempotent: true, signal };
    const bySession = async () => {
      const args = { entity: entities, sessionId: this.session.sessionKey, privId: wanted.map(({ id }) => id) };
      const answer = await this.session.call('HasPrivilegeOnEntities', manager, args, call);
      return byEntity(answer, (entity) =>
        entity
          .childrenNamed('privAvailability')
          .filter((each) => isTrue(each.child('isGranted')))
          .map((each) => each.textAt('privId') ?? ''),
      );
    };
    // A proxy account's session may be unknown by its key; then by name, which vCenter 6.5 and later answer.
    const byName = async () => {
      const args = { entities, userName: this.session.userName };
      const answer = await this.session.call('FetchUserPrivilegeOnEntities', manager, args, call);
      return byEntity(answer, (entity) => entity.childrenNamed('privileges').map((each) => each.text()));
    };
    let refusal: unknown;
    for (const ask of [bySession, byName, () => this.grantedByRoles(manager, moRefs, doing, signal)]) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof VsphereError) || !REFUSALS.has(error.faultType ?? '')) throw error;
        refusal ??= error;
      }
    }
    throw refusal;
  }

  /** Of an account that may ask neither: the roles it has on each object, which anybody may read, and what they allow. */
  private async grantedByRoles(
    manager: ManagedObject,
    moRefs: readonly string[],
    doing: string,
    signal?: AbortSignal,
  ): Promise<Map<string, Set<string>>> {
    const root = this.session.content.rootFolder;
    const objects = moRefs.map((value) => ({ type: value === root.value ? root.type : 'Datacenter', value }));
    const answer = await this.properties.read(manager, ['roleList'], doing, undefined, signal);
    const roles = new Map(
      (answer.get('roleList')?.elements() ?? []).map((role) => [
        role.textAt('roleId') ?? '',
        role.childrenNamed('privilege').map((privilege) => privilege.text()),
      ]),
    );
    if (roles.size === 0) throw this.incomplete('what its roles allow');
    const found = await this.properties.readMany(objects, ['effectiveRole'], doing, signal);
    return new Map(
      found.map((entity) => {
        const own = entity.get('effectiveRole')?.elements() ?? [];
        return [entity.object.value, new Set(own.flatMap((role) => roles.get(role.text()) ?? []))];
      }),
    );
  }

  private async all<T>(
    type: string,
    paths: readonly string[],
    doing: string,
    read: (found: ObjectProperties) => T,
    signal?: AbortSignal,
  ): Promise<T[]> {
    const found: T[] = [];
    for await (const page of this.scan(type, paths, doing, signal)) found.push(...page.map(read));
    return found;
  }

  /** Every object of a type below the root folder. What vanishes meanwhile is left out. */
  private async *scan(
    type: string,
    paths: readonly string[],
    doing: string,
    signal?: AbortSignal,
  ): AsyncGenerator<ObjectProperties[], void, undefined> {
    const told = new Set<string>();
    for (let beginning = 1; ; beginning += 1) {
      const { generation } = this.session;
      const view = await this.createView(type, doing, signal);
      try {
        for await (const page of this.properties.pages({ specSet: viewSpec(view, type, paths), doing, signal })) {
          const fresh = page.filter(({ object }) => !told.has(object.value));
          for (const { object } of fresh) told.add(object.value);
          if (fresh.length > 0) yield fresh;
        }
        return;
      } catch (error) {
        if (signal?.aborted || beginning === MAX_BEGINNINGS || !this.properties.isWorthAsking(error, generation)) throw error;
      } finally {
        // Views die with the session that made them.
        if (this.session.generation === generation) await this.destroyView(view);
      }
    }
  }

  private async createView(type: string, doing: string, signal?: AbortSignal): Promise<ManagedObject> {
    const { viewManager, rootFolder } = this.session.content;
    if (viewManager === undefined) throw this.incomplete('its view manager');
    const args = { container: soapReference(rootFolder), type: [type], recursive: true };
    const view = referenceOf((await this.session.call('CreateContainerView', viewManager, args, { doing, signal })).child('returnval'));
    if (view === undefined) throw this.incomplete('the view it made');
    return view;
  }

  private async destroyView(view: ManagedObject): Promise<void> {
    // A view that stays costs vCenter little, until the session ends.
    await this.session
      .call('DestroyView', view, {}, { doing: 'the end of a listing', timeoutMs: CLEANUP_TIMEOUT_MS })
      .catch(() => undefined);
  }

  private incomplete(what: string): VsphereError {
    return new VsphereError(`vCenter ${this.session.transport.name} does not tell ${what}.`, { code: 'INCOMPLETE_ANSWER' });
  }
}

const REFUSALS = new Set(['InvalidArgument', 'NotFound', 'NoPermission', 'NotSupported', 'InvalidRequest']);

function viewSpec(view: ManagedObject, type: string, paths: readonly string[]) {
  const traversal = {
    attributes: { 'xsi:type': 'vim25:TraversalSpec', 'xmlns:xsi': XSI_NAMESPACE, 'xmlns:vim25': VIM_NAMESPACE },
    name: 'view',
    type: 'ContainerView',
    path: 'view',
    skip: false,
  };
  return { propSet: { type, all: false, pathSet: [...paths] }, objectSet: { obj: soapReference(view), skip: true, selectSet: traversal } };
}

function byEntity(answer: XmlElement, privileges: (entity: XmlElement) => string[]): Map<string, Set<string>> {
  return new Map(
    answer.childrenNamed('returnval').map((entity) => [referenceOf(entity.child('entity'))?.value ?? '', new Set(privileges(entity))]),
  );
}

function hostListing(host: ObjectProperties): HostListing {
  return {
    moRef: host.object.value,
    name: readableName(host.text('name') ?? ''),
    connectionState: host.text('runtime.connectionState') ?? 'unknown',
    powerState: host.text('runtime.powerState') ?? 'unknown',
    inMaintenanceMode: host.isTrue('runtime.inMaintenanceMode'),
    product: host.get('summary.config.product')?.textAt('fullName') ?? '',
    ntpServers: host
      .get('config.dateTimeInfo')
      ?.find('ntpConfig')
      ?.childrenNamed('server')
      .map((server) => server.text()),
  };
}

function datastoreListing(datastore: ObjectProperties): DatastoreListing {
  return { ...datastoreOption(datastore), capacityBytes: integerOf(datastore.get('summary')?.child('capacity')) ?? 0 };
}

function vmListing(vm: ObjectProperties): VmListing {
  return {
    moRef: vm.object.value,
    name: readableName(vm.text('name') ?? ''),
    instanceUuid: vm.text('config.instanceUuid'),
    connectionState: vm.text('runtime.connectionState') ?? 'unknown',
    powerState: vm.text('runtime.powerState') ?? 'unknown',
    hardwareVersion: vm.text('config.version'),
    isTemplate: vm.isTrue('config.template'),
    changeTrackingSupported: vm.isTrue('capability.changeTrackingSupported'),
    consolidationNeeded: vm.isTrue('runtime.consolidationNeeded'),
  };
}
