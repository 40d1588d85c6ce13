import { MIB } from '../../../src/common/index.js';
import {
  attachFirstClassDisk,
  createFirstClassDisk,
  deleteDiskSnapshot,
  deleteFirstClassDisk,
  detachFirstClassDisk,
  diskSnapshot,
  firstClassDisk,
  firstClassDisks,
  revertFirstClassDisk,
  setControlFlags,
  snapshotFirstClassDisk,
} from '../model/first-class-disks.js';
import { changedAreasOf } from '../model/snapshots.js';
import type { FirstClassDiskState } from '../model/state.js';
import { listAt, moRef, numberAt, objectAt, referenceAt, stringAt, vim, type VimObject, type VimValue } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import { argument, nothing, reference, task, value, vmOf, vmTask, type Call, type Handler, type Result } from './call.js';

/** VcenterVStorageObjectManager: disks without a VM, by their id on a datastore. */
export const firstClassDiskOperations: Record<string, Handler> = {
  ListVStorageObject: (call) =>
    value(firstClassDisks(call.core.model.inventory, reference(call, 'datastore') ?? '').map(({ id }) => vim('ID', { id }))),
  RetrieveVStorageObject: (call) => value(storageObject(diskOf(call))),
  RetrieveVStorageObjectState: (call) => value(vim('VStorageObjectStateInfo', { tentative: diskOf(call).id === '' })),
  CreateDisk_Task: (call) => {
    const spec = call.args.spec as VimObject;
    const backing = objectAt(spec, 'backingSpec') as VimObject;
    if (backing.$type !== 'VslmCreateSpecDiskFileBackingSpec')
      throw new SimFault('InvalidArgument', 'A specified parameter was not correct: spec.backingSpec', {
        invalidProperty: 'spec.backingSpec',
      });
    const request = {
      name: stringAt(spec, 'name') ?? '',
      datastoreMoRef: referenceAt(backing, 'datastore') ?? '',
      path: stringAt(backing, 'path'),
      capacityBytes: (numberAt(spec, 'capacityInMB') ?? 0) * MIB,
      provisioningType: stringAt(backing, 'provisioningType') ?? 'thin',
      keepAfterDeleteVm: typeof spec.keepAfterDeleteVm === 'boolean' ? spec.keepAfterDeleteVm : undefined,
      policyId: listAt(spec, 'profile').map((profile) => stringAt(profile, 'profileId'))[0],
      metadata: keyValues(spec, 'metadata'),
    };
    const make = async () => storageObject(await createFirstClassDisk(call.core.model.inventory, request));
    return task(call, 'CreateDisk_Task', moRef('Datastore', request.datastoreMoRef), request.name, make);
  },
  DeleteVStorageObject_Task: (call) =>
    diskTask(call, 'DeleteVStorageObject_Task', (disk) => deleteFirstClassDisk(call.core.model.inventory, disk).then(() => undefined)),
  VStorageObjectCreateSnapshot_Task: (call) =>
    diskTask(call, 'VStorageObjectCreateSnapshot_Task', async (disk) => {
      const { id } = await snapshotFirstClassDisk(call.core.model.inventory, disk, argument(call, 'description') ?? '');
      return vim('ID', { id });
    }),
  DeleteSnapshot_Task: (call) =>
    diskTask(call, 'DeleteSnapshot_Task', (disk) =>
      deleteDiskSnapshot(call.core.model.inventory, disk, idAt(call, 'snapshotId')).then(() => undefined),
    ),
  RevertVStorageObject_Task: (call) =>
    diskTask(call, 'RevertVStorageObject_Task', (disk) =>
      revertFirstClassDisk(call.core.model.inventory, disk, idAt(call, 'snapshotId')).then(() => undefined),
    ),
  RenameVStorageObject: (call) => {
    const name = argument(call, 'name') ?? '';
    if (name === '' || name.length > 80) throw new SimFault('InvalidName', `"${name}" is not a name for a disk.`, { name });
    const disk = diskOf(call);
    disk.name = name;
    call.core.model.inventory.changed(disk.datastoreMoRef);
    return nothing;
  },
  SetVStorageObjectControlFlags: (call) => controlFlags(call, true),
  ClearVStorageObjectControlFlags: (call) => controlFlags(call, false),
  VCenterUpdateVStorageObjectMetadataEx_Task: (call) =>
    diskTask(call, 'VCenterUpdateVStorageObjectMetadataEx_Task', async (disk) => {
      const args = vim('', call.args);
      const written = keyValues(args, 'metadata');
      const gone = new Set([...stringsAt(args, 'deleteKeys'), ...written.map(({ key }) => key)]);
      disk.metadata = [...(disk.metadata ?? []).filter(({ key }) => !gone.has(key)), ...written];
      call.core.model.inventory.changed(disk.datastoreMoRef);
      return undefined;
    }),
  RetrieveVStorageObjectAssociations: (call) =>
    value(
      listAt(vim('', call.args), 'ids').map((spec) => {
        const id = stringAt(objectAt(spec, 'id'), 'id') ?? '';
        const disk = firstClassDisks(call.core.model.inventory, referenceAt(spec, 'datastore') ?? '').find((each) => each.id === id);
        const fault = disk
          ? undefined
          : vim('LocalizedMethodFault', { fault: { $type: 'NotFound' }, localizedMessage: `There is no ${id}.` });
        const at = disk?.attachedTo;
        const vmDiskAssociations = at && [vim('VStorageObjectAssociationsVmDiskAssociations', { vmId: at.vmMoRef, diskKey: at.deviceKey })];
        return vim('VStorageObjectAssociations', { id: vim('ID', { id }), vmDiskAssociations, fault });
      }),
    ),
  AttachDisk_Task: (call) => {
    const { inventory } = call.core.model;
    const vm = vmOf(call);
    const disk = firstClassDisk(inventory, idAt(call, 'diskId'), reference(call, 'datastore') ?? '');
    const unitNumber = numberAt(vim('', call.args), 'unitNumber');
    return vmTask(call, vm, 'AttachDisk_Task', () => attachFirstClassDisk(inventory, disk, vm, unitNumber).then(() => undefined));
  },
  DetachDisk_Task: (call) => {
    const { inventory } = call.core.model;
    const vm = vmOf(call);
    const id = idAt(call, 'diskId');
    const disk = inventory.state.firstClassDisks?.find((each) => each.id === id && each.attachedTo?.vmMoRef === vm.moRef);
    if (!disk) throw new SimFault('NotFound', `${vm.moRef} has no first class disk ${id}.`);
    return vmTask(call, vm, 'DetachDisk_Task', () => detachFirstClassDisk(inventory, disk).then(() => undefined));
  },
  RetrieveSnapshotInfo: (call) =>
    value(
      vim('VStorageObjectSnapshotInfo', {
        snapshots: diskOf(call).snapshots.map(({ id, createdAt, description }) =>
          vim('VStorageObjectSnapshotInfoVStorageObjectSnapshot', { id: vim('ID', { id }), createTime: createdAt, description }),
        ),
      }),
    ),
  RetrieveSnapshotDetails: (call) => {
    const { path, changeId } = diskSnapshot(diskOf(call), idAt(call, 'snapshotId'));
    return value(vim('VStorageObjectSnapshotDetails', { path, changedBlockTrackingId: changeId }));
  },
  VstorageObjectVCenterQueryChangedDiskAreas: async (call) => {
    const disk = diskOf(call);
    const { path } = diskSnapshot(disk, idAt(call, 'snapshotId'));
    const startOffset = numberAt(vim('', call.args), 'startOffset') ?? 0;
    if (startOffset < 0 || startOffset >= disk.capacityBytes)
      throw new SimFault('InvalidArgument', 'A specified parameter was not correct: startOffset', { invalidProperty: 'startOffset' });
    const query = { path, capacityBytes: disk.capacityBytes, startOffset, changeId: argument(call, 'changeId') ?? '' };
    const { length, areas } = await changedAreasOf(call.core.model.inventory.absolutePath(path), query);
    const changedArea = areas.map((area) => vim('DiskChangeExtent', { start: area.offsetBytes, length: area.lengthBytes }));
    return value(vim('DiskChangeInfo', { startOffset, length, changedArea }));
  },
};

const idAt = (call: Call, name: string): string => stringAt(call.args[name] as VimObject, 'id') ?? '';
const diskOf = (call: Call): FirstClassDiskState =>
  firstClassDisk(call.core.model.inventory, idAt(call, 'id'), reference(call, 'datastore') ?? '');

/** One change of a disk at a time. */
function diskTask(call: Call, operation: string, work: (disk: FirstClassDiskState) => Promise<VimValue>): Result {
  const disk = diskOf(call);
  return task(call, operation, moRef('Datastore', disk.datastoreMoRef), disk.name, () =>
    call.core.model.inventory.locked(disk.id, () => work(disk)),
  );
}

async function controlFlags(call: Call, on: boolean): Promise<Result> {
  const disk = diskOf(call);
  const flags = stringsAt(vim('', call.args), 'controlFlags');
  await call.core.model.inventory.locked(disk.id, () => setControlFlags(call.core.model.inventory, disk, flags, on));
  return nothing;
}

function keyValues(from: VimObject, name: string): { key: string; value: string }[] {
  return listAt(from, name).map((entry) => ({ key: stringAt(entry, 'key') ?? '', value: stringAt(entry, 'value') ?? '' }));
}

function stringsAt(from: VimObject, name: string): string[] {
  const found = from[name];
  return Array.isArray(found) ? found.filter((each): each is string => typeof each === 'string') : [];
}

function storageObject(disk: FirstClassDiskState): VimObject {
  const { id, name, createdAt, datastoreMoRef, path, capacityBytes, thin, metadata = [] } = disk;
  const backing = vim('BaseConfigInfoDiskFileBackingInfo', {
    datastore: moRef('Datastore', datastoreMoRef),
    filePath: path,
    provisioningType: thin ? 'thin' : disk.eager === true ? 'eagerZeroedThick' : 'lazyZeroedThick',
  });
  return vim('VStorageObject', {
    config: vim('VStorageObjectConfigInfo', {
      id: vim('ID', { id }),
      name,
      createTime: createdAt,
      keepAfterDeleteVm: disk.keepAfterDeleteVm ?? true,
      relocationDisabled: disk.relocationDisabled ?? false,
      changedBlockTrackingEnabled: disk.changeTracking ?? false,
      backing,
      metadata: metadata.map((entry) => vim('KeyValue', entry)),
      capacityInMB: Math.floor(capacityBytes / MIB),
      consumptionType: ['disk'],
      consumerId: disk.attachedTo && [vim('ID', { id: disk.attachedTo.vmMoRef })],
    }),
  });
}
