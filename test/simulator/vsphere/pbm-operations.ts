import type { StoragePolicyState } from '../model/state.js';
import { listAt, moRef, stringAt, vim, type VimObject } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import { value, type Call, type Handler } from './call.js';

/** The Storage Policy API, urn:pbm: a service of its own beside vim25. */
export const pbmOperations: Record<string, Handler> = {
  PbmRetrieveServiceContent: (call) =>
    value(
      vim('PbmServiceInstanceContent', {
        aboutInfo: vim('PbmAboutInfo', { name: 'PBM', version: '2.0', instanceUuid: call.core.model.instanceUuid }),
        sessionManager: moRef('PbmSessionManager', 'SessionManager'),
        capabilityMetadataManager: moRef('PbmCapabilityMetadataManager', 'CapabilityMetadataManager'),
        profileManager: moRef('PbmProfileProfileManager', 'ProfileManager'),
        complianceManager: moRef('PbmComplianceManager', 'complianceManager'),
        placementSolver: moRef('PbmPlacementSolver', 'placementSolver'),
      }),
    ),
  PbmFetchResourceType: () => value([vim('PbmProfileResourceType', { resourceType: 'STORAGE' })]),
  PbmQueryProfile: (call) =>
    value(call.args.profileCategory === undefined || call.args.profileCategory === 'REQUIREMENT' ? policies(call).map(idOf) : []),
  PbmRetrieveContent: (call) => value(listAt(vim('', call.args), 'profileIds').map((id) => profile(policy(call, id)))),
  PbmQueryAssociatedProfile: (call) => value(associated(call, call.args.entity as VimObject)),
  PbmQueryAssociatedProfiles: (call) =>
    value(
      listAt(vim('', call.args), 'entities').map((object) => {
        try {
          return vim('PbmQueryProfileResult', { object, profileId: associated(call, object) });
        } catch (error) {
          if (!(error instanceof SimFault)) throw error;
          return vim('PbmQueryProfileResult', { object, fault: { $type: error.faultType } });
        }
      }),
    ),
  PbmQueryAssociatedEntity: (call) => value(entities(call, policy(call, call.args.profile as VimObject).id)),
  PbmQueryMatchingHub: (call) => {
    const { datastoreNames } = policy(call, call.args.profile as VimObject);
    const suits = call.core.model.inventory.state.datastores.filter(
      ({ name }) => datastoreNames === undefined || datastoreNames.includes(name),
    );
    const asked = listAt(vim('', call.args), 'hubsToSearch');
    const hubs = suits.map(({ moRef: hubId }) => vim('PbmPlacementHub', { hubType: 'Datastore', hubId }));
    return value(asked.length === 0 ? hubs : hubs.filter((hub) => asked.some(({ hubId }) => hubId === hub.hubId)));
  },
};

const policies = (call: Call): readonly StoragePolicyState[] => call.core.model.inventory.state.storagePolicies ?? [];
const idOf = ({ id }: StoragePolicyState): VimObject => vim('PbmProfileId', { uniqueId: id });

function policy(call: Call, id: VimObject): StoragePolicyState {
  const found = policies(call).find((candidate) => candidate.id === id.uniqueId);
  if (!found) throw new SimFault('PbmFaultNotFound', `There is no storage policy ${String(id.uniqueId)}.`);
  return found;
}

function profile({ id, name, encrypts }: StoragePolicyState): VimObject {
  const at = '2026-01-02T03:04:05Z';
  const capability = encrypts
    ? { namespace: 'vmwarevmcrypt', id: 'vmwarevmcrypt@ENCRYPTION', property: 'AllowCleartextFilters', value: 'False' }
    : { namespace: 'http://www.vmware.com/storage/tag', id: name, property: 'com.vmware.storage.tag', value: name };
  const instance = vim('PbmCapabilityInstance', {
    id: vim('PbmCapabilityMetadataUniqueId', { namespace: capability.namespace, id: capability.id }),
    constraint: [
      vim('PbmCapabilityConstraintInstance', {
        propertyInstance: [vim('PbmCapabilityPropertyInstance', { id: capability.property, value: capability.value })],
      }),
    ],
  });
  return vim('PbmCapabilityProfile', {
    profileId: vim('PbmProfileId', { uniqueId: id }),
    name,
    creationTime: at,
    createdBy: 'administrator@vsphere.local',
    lastUpdatedTime: at,
    lastUpdatedBy: 'administrator@vsphere.local',
    profileCategory: 'REQUIREMENT',
    resourceType: vim('PbmProfileResourceType', { resourceType: 'STORAGE' }),
    constraints: vim('PbmCapabilitySubProfileConstraints', {
      subProfiles: [vim('PbmCapabilitySubProfile', { name: 'Rule-Set 1', capability: [instance] })],
    }),
    isDefault: false,
  });
}

/** "vm-12" for a VM's home, "vm-12:2000" for its disk, the id of a first class disk. @throws SimFault PbmFaultNotFound */
function associated(call: Call, object: VimObject): VimObject[] {
  if (object.objectType === 'virtualDiskUUID') return associatedWithDisk(call, stringAt(object, 'key') ?? '');
  const [vmMoRef = '', deviceKey = ''] = (stringAt(object, 'key') ?? '').split(':');
  const vm = call.core.model.inventory.findVm(vmMoRef);
  if (!vm) throw new SimFault('PbmFaultNotFound', `There is no virtual machine ${vmMoRef}.`);
  const { home, disks = {} } = vm.policies ?? {};
  const ids =
    object.objectType === 'virtualDiskId'
      ? [disks[deviceKey]]
      : object.objectType === 'virtualMachineAndDisks'
        ? [home, ...Object.values(disks)]
        : [home];
  const known = new Set(ids.filter((id) => id !== undefined));
  return policies(call)
    .filter(({ id }) => known.has(id))
    .map(idOf);
}

function associatedWithDisk(call: Call, diskId: string): VimObject[] {
  const disk = call.core.model.inventory.state.firstClassDisks?.find(({ id }) => id === diskId);
  if (!disk) throw new SimFault('PbmFaultNotFound', `There is no first class disk ${diskId}.`);
  return policies(call)
    .filter(({ id }) => id === disk.policyId)
    .map(idOf);
}

function entities(call: Call, policyId: string): VimObject[] {
  const { instanceUuid, inventory } = call.core.model;
  const object = (objectType: string, key: string) => vim('PbmServerObjectRef', { objectType, key, serverUuid: instanceUuid });
  const all = inventory.state.vms.flatMap(({ moRef: vm, policies: { home, disks = {} } = {} }) => [
    ...(home === policyId ? [object('virtualMachine', vm)] : []),
    ...Object.entries(disks).flatMap(([key, id]) => (id === policyId ? [object('virtualDiskId', `${vm}:${key}`)] : [])),
  ]);
  const { entityType } = call.args;
  return entityType === undefined ? all : all.filter(({ objectType }) => objectType === entityType);
}
