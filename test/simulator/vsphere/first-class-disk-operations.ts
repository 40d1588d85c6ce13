import { MIB } from '../../../src/common/index.js';
import {
  createFirstClassDisk,
  deleteDiskSnapshot,
  deleteFirstClassDisk,
  diskSnapshot,
  firstClassDisk,
  firstClassDisks,
  snapshotFirstClassDisk,
} from '../model/first-class-disks.js';
import { changedAreasOf } from '../model/snapshots.js';
import type { FirstClassDiskState } from '../model/state.js';
import { moRef, numberAt, objectAt, referenceAt, stringAt, vim, type VimObject, type VimValue } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import { argument, reference, task, value, type Call, type Handler, type Result } from './call.js';

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
      thin: (stringAt(backing, 'provisioningType') ?? 'thin') === 'thin',
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

function storageObject({ id, name, createdAt, datastoreMoRef, path, capacityBytes, thin }: FirstClassDiskState): VimObject {
  const backing = vim('BaseConfigInfoDiskFileBackingInfo', {
    datastore: moRef('Datastore', datastoreMoRef),
    filePath: path,
    provisioningType: thin ? 'thin' : 'lazyZeroedThick',
  });
  return vim('VStorageObject', {
    config: vim('VStorageObjectConfigInfo', {
      id: vim('ID', { id }),
      name,
      createTime: createdAt,
      keepAfterDeleteVm: true,
      changedBlockTrackingEnabled: true,
      backing,
      capacityInMB: Math.floor(capacityBytes / MIB),
      consumptionType: ['disk'],
    }),
  });
}
