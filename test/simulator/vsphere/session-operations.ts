import { randomBytes } from 'node:crypto';
import { managedObjectNotFound } from '../model/inventory.js';
import { isMoRef, moRef, numberAt, vim, type MoRef, type VimObject, type VimValue } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import { PropertyCollector, resolvePath, untold } from './property-collector.js';
import { PropertyValues } from './property-values.js';
import { schema } from './schema/schema.js';
import { serviceContent } from './service-content.js';
import { userSession, type VcenterSession } from './sessions.js';

import { argument, nothing, value, type Call, type Handler } from './call.js';
export function collector(call: Call): PropertyCollector {
  const session = call.session as VcenterSession;
  let found = session.collectors.get(call.self.value);
  if (!found && call.self.value === 'propertyCollector') {
    found = newCollector(call);
    session.collectors.set('propertyCollector', found);
  }
  if (!found) throw managedObjectNotFound('PropertyCollector', call.self.value);
  return found;
}

export const valuesFor = (call: Call): PropertyValues =>
  new PropertyValues(
    call.core.model.inventory,
    call.core.tasks,
    call.session as VcenterSession,
    () => serviceContent(call.core.model),
    call.core.sessions.accounts,
  );
export const newCollector = (call: Call): PropertyCollector => new PropertyCollector(valuesFor(call));
let counter = 0;
export const unique = (prefix: string): string => {
  counter += 1;
  return `${prefix}-${counter}-${randomBytes(4).toString('hex')}`;
};

export const sessionOperations: Record<string, Handler> = {
  RetrieveServiceContent: (call) => value(serviceContent(call.core.model)),
  CurrentTime: () => value(new Date().toISOString()),
  Login: (call) => {
    if (call.session) throw new SimFault('InvalidLogin', 'This session is logged in already.');
    const session = call.core.sessions.login(argument(call, 'userName') ?? '', argument(call, 'password') ?? '', {
      address: call.address,
      userAgent: call.userAgent,
    });
    call.setCookie(session.cookie);
    return value(userSession(session));
  },
  Logout: (call) => {
    call.core.sessions.logout(call.session as VcenterSession);
    call.setCookie(undefined);
    return nothing;
  },
  SessionIsActive: (call) => value(call.core.sessions.byKey(argument(call, 'sessionID') ?? '')?.userName === argument(call, 'userName')),
  TerminateSession: (call) => {
    for (const key of call.args.sessionId as string[]) {
      const session = call.core.sessions.byKey(key);
      if (!session) throw new SimFault('NotFound', `There is no session ${key}.`);
      if (session === call.session) throw new SimFault('InvalidArgument', 'A session cannot end itself.', { invalidProperty: 'sessionId' });
      call.core.sessions.logout(session);
    }
    return nothing;
  },
  AcquireGenericServiceTicket: () => value(vim('SessionManagerGenericServiceTicket', { id: randomBytes(16).toString('hex') })),
};

export const collectorOperations: Record<string, Handler> = {
  // In no WSDL; pyVmomi reads single properties by it, and vCenter answers.
  Fetch: (call) => ({ property: resolvePath(valuesFor(call), call.self, argument(call, 'prop') ?? '') }),
  RetrieveProperties: (call) => {
    const specSet = call.args.specSet as VimObject[];
    return { raw: call.session ? collector(call).retrieveAll(specSet) : untold(specSet) };
  },
  RetrievePropertiesEx: (call) => {
    if (!call.session)
      return {
        raw: [
          untold(call.args.specSet as VimObject[])
            .map((content) => `<objects>${content}</objects>`)
            .join(''),
        ],
      };
    const inner = collector(call).retrieve(call.args.specSet as VimObject[], numberAt(call.args.options as VimObject, 'maxObjects'));
    return inner === '' ? nothing : { raw: [inner] };
  },
  ContinueRetrievePropertiesEx: (call) => ({ raw: [collector(call).continue(argument(call, 'token') ?? '')] }),
  CancelRetrievePropertiesEx: (call) => {
    collector(call).cancelRetrieve(argument(call, 'token') ?? '');
    return nothing;
  },
  CreateFilter: (call) => {
    const filter = moRef('PropertyFilter', unique('filter'));
    collector(call).addFilter(filter, call.args.spec as VimObject);
    return value(filter);
  },
  DestroyPropertyFilter: (call) => {
    for (const each of (call.session as VcenterSession).collectors.values()) if (each.removeFilter(call.self.value)) return nothing;
    throw managedObjectNotFound('PropertyFilter', call.self.value);
  },
  CreatePropertyCollector: (call) => {
    const created = moRef('PropertyCollector', unique('collector'));
    (call.session as VcenterSession).collectors.set(created.value, newCollector(call));
    return value(created);
  },
  DestroyPropertyCollector: (call) => {
    collector(call).cancelWaiting();
    (call.session as VcenterSession).collectors.delete(call.self.value);
    return nothing;
  },
  CancelWaitForUpdates: (call) => {
    collector(call).cancelWaiting();
    return nothing;
  },
  WaitForUpdatesEx: async (call) => {
    const update = await collector(call).waitForUpdates(
      argument(call, 'version') ?? '',
      call.args.options as VimObject | undefined,
      call.signal,
    );
    return update === undefined ? nothing : { raw: [update] };
  },
  CreateContainerView: (call) => {
    const values = valuesFor(call);
    const container = call.args.container as MoRef;
    values.assertExists(container);
    const types = (call.args.type as string[] | undefined) ?? [];
    const view = moRef('ContainerView', unique('view'));
    const objects = () =>
      descend(values, container, call.args.recursive === true).filter(
        (each) => types.length === 0 || types.some((type) => schema.isManaged(each.type, type)),
      );
    (call.session as VcenterSession).views.set(view.value, { type: 'ContainerView', objects, spec: vim('DynamicData') });
    return value(view);
  },
  CreateListView: (call) => {
    const view = moRef('ListView', unique('view'));
    setListView(call, view.value, references(call, 'obj'));
    return value(view);
  },
  ModifyListView: (call) => {
    const removed = new Set(references(call, 'remove').map((each) => each.value));
    const kept = listView(call).filter((each) => !removed.has(each.value));
    setListView(call, call.self.value, [...kept, ...references(call, 'add')]);
    return value([]);
  },
  ResetListView: (call) => {
    listView(call);
    setListView(call, call.self.value, references(call, 'obj'));
    return value([]);
  },
  DestroyView: (call) => {
    if (!(call.session as VcenterSession).views.delete(call.self.value)) throw managedObjectNotFound(call.self.type, call.self.value);
    return nothing;
  },
};

function references(call: Call, name: string): MoRef[] {
  return ((call.args[name] as VimValue[] | undefined) ?? []).filter(isMoRef);
}

function listView(call: Call): readonly { type: string; value: string }[] {
  const view = (call.session as VcenterSession).views.get(call.self.value);
  if (view?.type !== 'ListView') throw managedObjectNotFound('ListView', call.self.value);
  return view.objects();
}

/** A list view's own change is news for whoever waits on what it lists. */
function setListView(call: Call, key: string, objects: readonly { type: string; value: string }[]): void {
  (call.session as VcenterSession).views.set(key, { type: 'ListView', objects: () => [...objects], spec: vim('DynamicData') });
  call.core.model.inventory.changed(key);
}

export function descend(values: PropertyValues, container: MoRef, recursive: boolean): MoRef[] {
  const paths: Record<string, string[]> = {
    Folder: ['childEntity'],
    Datacenter: ['vmFolder', 'hostFolder', 'datastoreFolder', 'networkFolder'],
    ClusterComputeResource: ['host', 'resourcePool'],
    ResourcePool: ['resourcePool', 'vm'],
    HostSystem: ['vm'],
  };
  const found = new Map<string, MoRef>();
  const visit = (object: MoRef, depth: number): void => {
    for (const path of paths[object.type] ?? []) {
      const next = values.property(object, path);
      for (const child of (Array.isArray(next) ? next : [next]).filter(isMoRef)) {
        if (found.has(child.value)) continue;
        found.set(child.value, child);
        if (recursive || depth > 0) visit(child, depth - 1);
      }
    }
  };
  visit(container, 0);
  return [...found.values()];
}

export const searchOperations: Record<string, Handler> = {
  FindByUuid: (call) => value(byUuid(call)[0]),
  FindAllByUuid: (call) => value(byUuid(call)),
  FindByInventoryPath: (call) =>
    value(
      byPath(
        call,
        (argument(call, 'inventoryPath') ?? '').split('/').filter((part) => part !== ''),
      ),
    ),
  FindChild: (call) => {
    const values = valuesFor(call);
    return value(descend(values, call.args.entity as MoRef, false).find((child) => values.property(child, 'name') === call.args.name));
  },
};

export function byUuid(call: Call): MoRef[] {
  if (call.args.vmSearch !== true) return [];
  const field = call.args.instanceUuid === true ? 'instanceUuid' : 'uuid';
  const wanted = argument(call, 'uuid')?.toLowerCase();
  return call.core.model.inventory.state.vms.filter((vm) => vm.config[field] === wanted).map((vm) => moRef('VirtualMachine', vm.moRef));
}

export function byPath(call: Call, parts: readonly string[]): MoRef | undefined {
  const values = valuesFor(call);
  let current: MoRef | undefined = moRef('Folder', call.core.model.inventory.state.rootFolderMoRef);
  for (const part of parts) {
    const children: MoRef[] = current ? descend(values, current, false) : [];
    current = children.find((child) => values.property(child, 'name') === part);
  }
  return current;
}
