import { isNic } from '../model/devices.js';
import { isMoRef, listAt, moRef, objectAt, stringAt, type MoRef, type VimObject } from '../model/vim.js';
import { reference, type Call } from './call.js';

export interface Demand {
  object: MoRef;
  privileges: readonly string[];
}

const CONFIG = 'VirtualMachine.Config';
const onSelf =
  (...privileges: string[]) =>
  (call: Call): Demand[] => [{ object: call.self, privileges }];
/** Snapshots belong to their VM, which is what the permission is on. */
const onSnapshotsVm =
  (...privileges: string[]) =>
  (call: Call): Demand[] => [{ object: moRef('VirtualMachine', call.core.model.inventory.snapshot(call.self.value).vm.moRef), privileges }];
const onDatacenter =
  (...privileges: string[]) =>
  (call: Call): Demand[] => [{ object: moRef('Datacenter', call.core.model.inventory.state.datacenter.moRef), privileges }];

/**
 * What each method asks for, on which object: the API reference's "Required Privileges", which pyVmomi's tables repeat,
 * and for those that ask by what they are to do ("dynamic") what their page lists. Methods that are not here ask for
 * System.View, which every role has.
 */
export const METHOD_PRIVILEGES: Readonly<Record<string, (call: Call) => Demand[]>> = {
  CreateSnapshot_Task: onSelf('VirtualMachine.State.CreateSnapshot'),
  CreateSnapshotEx_Task: onSelf('VirtualMachine.State.CreateSnapshot'),
  RemoveSnapshot_Task: onSnapshotsVm('VirtualMachine.State.RemoveSnapshot'),
  RevertToSnapshot_Task: onSnapshotsVm('VirtualMachine.State.RevertToSnapshot'),
  RemoveAllSnapshots_Task: onSelf('VirtualMachine.State.RemoveSnapshot'),
  RevertToCurrentSnapshot_Task: onSelf('VirtualMachine.State.RevertToSnapshot'),
  ConsolidateVMDisks_Task: onSelf('VirtualMachine.State.RemoveSnapshot'),
  QueryChangedDiskAreas: onSelf('VirtualMachine.Provisioning.DiskRandomRead'),
  PowerOnVM_Task: onSelf('VirtualMachine.Interact.PowerOn'),
  PowerOffVM_Task: onSelf('VirtualMachine.Interact.PowerOff'),
  ShutdownGuest: onSelf('VirtualMachine.Interact.PowerOff'),
  SuspendVM_Task: onSelf('VirtualMachine.Interact.Suspend'),
  ResetVM_Task: onSelf('VirtualMachine.Interact.Reset'),
  RelocateVM_Task: onSelf('Resource.ColdMigrate'),
  MigrateVM_Task: (call) => {
    const running = call.core.model.inventory.vm(call.self.value).powerState === 'poweredOn';
    return [{ object: call.self, privileges: [running ? 'Resource.HotMigrate' : 'Resource.ColdMigrate'] }, ...poolDemand(call)];
  },
  EnterMaintenanceMode_Task: onSelf('Host.Config.Maintenance'),
  ExitMaintenanceMode_Task: onSelf('Host.Config.Maintenance'),
  UpgradeVM_Task: onSelf(`${CONFIG}.UpgradeVirtualHardware`),
  UnregisterVM: onSelf('VirtualMachine.Inventory.Unregister'),
  ReconfigVM_Task: (call) => specDemands(call, call.args.spec as VimObject, call.self),
  Rename_Task: (call) => [{ object: call.self, privileges: [RENAME[call.self.type] ?? 'Folder.Rename'] }],
  Destroy_Task: (call) => [{ object: call.self, privileges: [DESTROY[call.self.type] ?? 'Folder.Delete'] }],
  CreateVM_Task: (call) => [
    { object: call.self, privileges: ['VirtualMachine.Inventory.Create'] },
    ...poolDemand(call),
    ...specDemands(call, call.args.config as VimObject, call.self, true),
  ],
  RegisterVM_Task: (call) => [{ object: call.self, privileges: ['VirtualMachine.Inventory.Register'] }, ...poolDemand(call)],
  MoveIntoFolder_Task: (call) =>
    (call.args.list as MoRef[]).map((object) => ({
      object,
      privileges: [object.type === 'VirtualMachine' ? 'VirtualMachine.Inventory.Move' : 'Folder.Move'],
    })),
  CreateFolder: onSelf('Folder.Create'),
  CreateResourcePool: onSelf('Resource.CreatePool'),
  AttachDisk_Task: onSelf(`${CONFIG}.AddExistingDisk`),
  DetachDisk_Task: onSelf(`${CONFIG}.RemoveDisk`),
  SearchDatastore_Task: browsing,
  SearchDatastoreSubFolders_Task: browsing,
  DeleteDatastoreFile_Task: onDatacenter('Datastore.FileManagement'),
  MakeDirectory: onDatacenter('Datastore.FileManagement'),
  QueryVirtualDiskUuid: onDatacenter('Datastore.FileManagement'),
  GenerateKey: onSelf('Cryptographer.ManageKeys'),
  ListKeys: onSelf('Cryptographer.ManageKeys'),
  QueryCryptoKeyStatus: onSelf('Cryptographer.ManageKeys'),
  SessionIsActive: onSelf('Sessions.ValidateSession'),
  TerminateSession: onSelf('Sessions.TerminateSession'),
  ...firstClassDisks(),
};

const RENAME: Readonly<Record<string, string>> = { VirtualMachine: `${CONFIG}.Rename`, Datastore: 'Datastore.Rename' };
const DESTROY: Readonly<Record<string, string>> = {
  VirtualMachine: 'VirtualMachine.Inventory.Delete',
  ResourcePool: 'Resource.DeletePool',
};

/** @throws SimFault NoPermission. */
export function requirePrivileges(call: Call, method: string): void {
  if (call.session === undefined) return;
  for (const { object, privileges } of METHOD_PRIVILEGES[method]?.(call) ?? []) {
    call.core.sessions.accounts.require(call.session.userName, object, privileges);
  }
}

function browsing(call: Call): Demand[] {
  const datastore = call.self.value.replace(/^datastoreBrowser-/, '');
  return [{ object: moRef('Datastore', datastore), privileges: ['Datastore.Browse'] }];
}

/** Their pages ask for low level file operations on the datastore, readers and writers alike. */
function firstClassDisks(): Record<string, (call: Call) => Demand[]> {
  const onDatastore = (call: Call): Demand[] => {
    const datastore = reference(call, 'datastore');
    return datastore === undefined ? [] : [{ object: moRef('Datastore', datastore), privileges: ['Datastore.FileManagement'] }];
  };
  const methods =
    'CreateDisk_Task RegisterDisk ListVStorageObject RetrieveVStorageObject RetrieveVStorageObjectState DeleteVStorageObject_Task ' +
    'VStorageObjectCreateSnapshot_Task VStorageObjectCreateSnapshotEx_Task DeleteSnapshot_Task RetrieveSnapshotInfo RetrieveSnapshotDetails ' +
    'CreateDiskFromSnapshot_Task RevertVStorageObject_Task VstorageObjectVCenterQueryChangedDiskAreas ExtendDisk_Task ' +
    'RenameVStorageObject SetVStorageObjectControlFlags ClearVStorageObjectControlFlags VCenterUpdateVStorageObjectMetadataEx_Task';
  return Object.fromEntries(methods.split(' ').map((method) => [method, onDatastore]));
}

function poolDemand(call: Call): Demand[] {
  const pool = reference(call, 'pool');
  return pool === undefined ? [] : [{ object: moRef('ResourcePool', pool), privileges: ['Resource.AssignVMToPool'] }];
}

/** Parts of a VirtualMachineConfigSpec that have a privilege of their own; all others are "Change Settings". */
const FIELDS: Readonly<Record<string, string>> = {
  name: `${CONFIG}.Rename`,
  annotation: `${CONFIG}.Annotation`,
  numCPUs: `${CONFIG}.CPUCount`,
  numCoresPerSocket: `${CONFIG}.CPUCount`,
  memoryMB: `${CONFIG}.Memory`,
  cpuAllocation: `${CONFIG}.Resource`,
  memoryAllocation: `${CONFIG}.Resource`,
  cpuAffinity: `${CONFIG}.Resource`,
  latencySensitivity: `${CONFIG}.Resource`,
  extraConfig: `${CONFIG}.AdvancedConfig`,
  swapPlacement: `${CONFIG}.SwapPlacement`,
  changeTrackingEnabled: `${CONFIG}.ChangeTracking`,
  vmProfile: 'StorageProfile.View',
};
const NOT_ASKED = new Set(['$type', 'deviceChange', 'changeVersion', 'crypto']);

/** A VM that is created needs no privilege for its plain fields: they come with "Create new". */
function specDemands(call: Call, spec: VimObject, object: MoRef, creating = false): Demand[] {
  const demands: Demand[] = listAt(spec, 'deviceChange').flatMap((change) => deviceDemands(call, change, object, creating));
  const fields = Object.keys(spec).filter((name) => spec[name] !== undefined && !NOT_ASKED.has(name));
  const asked = creating ? fields.filter((name) => name === 'extraConfig' || name === 'swapPlacement' || name === 'vmProfile') : fields;
  const privileges = [...new Set(asked.map((name) => FIELDS[name] ?? `${CONFIG}.Settings`))];
  if (spec.crypto !== undefined) privileges.push(creating ? 'Cryptographer.EncryptNew' : 'Cryptographer.Encrypt');
  return [...demands, { object, privileges }];
}

function deviceDemands(call: Call, change: VimObject, object: MoRef, creating: boolean): Demand[] {
  const device = objectAt(change, 'device');
  if (device === undefined) return [];
  const operation = stringAt(change, 'operation');
  if (device.$type !== 'VirtualDisk') {
    const network = operation !== 'remove' && isNic(device) ? networkDemand(call) : [];
    if (creating) return network;
    return [
      { object, privileges: [operation === 'add' || operation === 'remove' ? `${CONFIG}.AddRemoveDevice` : `${CONFIG}.EditDevice`] },
      ...network,
    ];
  }
  if (operation === 'remove') return [{ object, privileges: [`${CONFIG}.RemoveDisk`] }];
  if (operation !== 'add') return [{ object, privileges: [`${CONFIG}.EditDevice`] }];
  const isNew = stringAt(change, 'fileOperation') === 'create';
  const privileges = [isNew ? `${CONFIG}.AddNewDisk` : `${CONFIG}.AddExistingDisk`];
  if (objectAt(device, 'backing')?.$type.includes('RawDiskMapping') === true) privileges.push(`${CONFIG}.RawDevice`);
  return [{ object, privileges }, ...(isNew ? spaceDemand(call, objectAt(device, 'backing'), object) : [])];
}

function spaceDemand(call: Call, backing: VimObject | undefined, object: MoRef): Demand[] {
  const name = /^\[([^\]]+)\]/.exec(stringAt(backing, 'fileName') ?? '')?.[1];
  const { datastores, vms } = call.core.model.inventory.state;
  const named = datastores.find((datastore) => datastore.name === name)?.moRef;
  const moRefValue = named ?? vms.find((vm) => vm.moRef === object.value)?.datastoreMoRef;
  return moRefValue === undefined ? [] : [{ object: moRef('Datastore', moRefValue), privileges: ['Datastore.AllocateSpace'] }];
}

/** On the datacenter's networks; which of them it is makes no difference to permissions that are given at the root. */
function networkDemand(call: Call): Demand[] {
  const network = call.core.model.inventory.state.networks[0];
  return network === undefined ? [] : [{ object: moRef(network.kind, network.moRef), privileges: ['Network.Assign'] }];
}

export function entitiesOf(call: Call, name: string): MoRef[] {
  const value = call.args[name];
  return (Array.isArray(value) ? value : []).filter(isMoRef);
}
