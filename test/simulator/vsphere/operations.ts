import { mkdir, rm, stat } from 'node:fs/promises';
import { readDescriptor } from '../datastore/index.js';
import type { QuiesceRequest } from '../model/guest-quiescing.js';
import {
  consolidateDisks,
  createSnapshot,
  queryChangedAreas,
  removeAllSnapshots,
  removeSnapshot,
  revertToCurrentSnapshot,
} from '../model/snapshots.js';
import { moRef, vim, type MoRef, type VimObject } from '../model/vim.js';
import { registerVm } from '../model/registration.js';
import { createVm, destroyVm, invalidPowerState, reconfigureVm, setPower, unregisterVm } from '../model/virtual-machines.js';
import { SimFault } from '../model/vsphere-types.js';

import { argument, nothing, reference, task, value, vmOf, vmTask, type Call, type Handler, type Result } from './call.js';
import { authorizationOperations } from './authorization-operations.js';
import { ruleFault } from './fault-rules.js';
import { searchDatastoreOperations } from './datastore-search.js';
import { cryptoOperations } from './crypto-operations.js';
import { firstClassDiskOperations } from './first-class-disk-operations.js';
import { movingOperations } from './moving-operations.js';
import { collectorOperations, searchOperations, sessionOperations } from './session-operations.js';
export type { Call, Result, VcenterCore } from './call.js';

/** What needs no more than System.Anonymous. Properties are asked for by everybody; who is not logged in is told none. */
export const ANONYMOUS = new Set(['RetrieveServiceContent', 'Login', 'CurrentTime', 'RetrieveProperties', 'RetrievePropertiesEx']);

const vmOperations: Record<string, Handler> = {
  CreateSnapshot_Task: (call) => snapshotTask(call, 'CreateSnapshot_Task', { quiesce: call.args.quiesce === true }),
  CreateSnapshotEx_Task: (call) => {
    const spec = call.args.quiesceSpec as VimObject | undefined;
    return snapshotTask(call, 'CreateSnapshotEx_Task', { quiesce: spec !== undefined, ...(spec && { spec }) });
  },
  RemoveSnapshot_Task: (call) => {
    const { inventory } = call.core.model;
    const { vm } = inventory.snapshot(call.self.value);
    const locked = call.core.rules.match('vcenter', 'RemoveSnapshot_Task', [vm.moRef, call.self.value], ['unmerged']);
    return vmTask(call, vm, 'RemoveSnapshot_Task', async () => {
      await removeSnapshot(inventory, call.self.value, call.args.removeChildren === true, locked === undefined);
      if (locked) throw ruleFault({ ...locked, fault: locked.fault ?? 'FileLocked' });
      return undefined;
    });
  },
  RevertToSnapshot_Task: (call) => {
    const { inventory } = call.core.model;
    const { vm } = inventory.snapshot(call.self.value);
    return vmTask(call, vm, 'RevertToSnapshot_Task', async () => {
      // Backup software reverts to the snapshot it made, which is the newest; going further back is not simulated.
      if (vm.snapshots.at(-1)?.moRef !== call.self.value)
        throw new SimFault('NotSupported', 'Only the current snapshot can be reverted to.');
      await revertToCurrentSnapshot(inventory, vm);
      return undefined;
    });
  },
  RemoveAllSnapshots_Task: (call) => {
    const vm = vmOf(call);
    return vmTask(call, vm, 'RemoveAllSnapshots_Task', () => removeAllSnapshots(call.core.model.inventory, vm).then(() => undefined));
  },
  ConsolidateVMDisks_Task: (call) => {
    const vm = vmOf(call);
    return vmTask(call, vm, 'ConsolidateVMDisks_Task', () => consolidateDisks(call.core.model.inventory, vm).then(() => undefined));
  },
  ReconfigVM_Task: (call) => {
    const vm = vmOf(call);
    return vmTask(
      call,
      vm,
      'ReconfigVM_Task',
      () => reconfigureVm(call.core.model.inventory, vm, call.args.spec as VimObject).then(() => undefined),
      true,
    );
  },
  QueryChangedDiskAreas: async (call) => {
    const vm = vmOf(call);
    const { startOffset, length, areas } = await queryChangedAreas(call.core.model.inventory, vm, {
      snapshotMoRef: reference(call, 'snapshot'),
      deviceKey: call.args.deviceKey as number,
      startOffset: call.args.startOffset as number,
      changeId: call.args.changeId as string,
    });
    const changedArea = areas.map((area) => vim('DiskChangeExtent', { start: area.offsetBytes, length: area.lengthBytes }));
    return value(vim('DiskChangeInfo', { startOffset, length, changedArea }));
  },
  PowerOnVM_Task: (call) => powerTask(call, 'PowerOnVM_Task', 'poweredOn'),
  PowerOffVM_Task: (call) => powerTask(call, 'PowerOffVM_Task', 'poweredOff'),
  SuspendVM_Task: (call) => powerTask(call, 'SuspendVM_Task', 'suspended'),
  UnregisterVM: (call) => {
    unregisterVm(call.core.model.inventory, vmOf(call));
    return nothing;
  },
  Destroy_Task: (call) => {
    if (call.self.type !== 'VirtualMachine') {
      return task(call, 'Destroy_Task', call.self, call.self.value, async () => {
        call.core.model.remove(call.self.value);
        return undefined;
      });
    }
    const vm = vmOf(call);
    if (vm.powerState === 'poweredOn') throw invalidPowerState(vm, 'poweredOff');
    return vmTask(call, vm, 'Destroy_Task', () => destroyVm(call.core.model.inventory, vm).then(() => undefined));
  },
  Rename_Task: (call) => {
    const vm = vmOf(call);
    const spec = vim('VirtualMachineConfigSpec', { name: argument(call, 'newName') });
    return vmTask(call, vm, 'Rename_Task', () => reconfigureVm(call.core.model.inventory, vm, spec).then(() => undefined));
  },
};

function snapshotTask(call: Call, operation: string, quiescing: QuiesceRequest): Result {
  const vm = vmOf(call);
  if (call.args.memory === true && vm.powerState === 'poweredOn')
    throw new SimFault('NotSupported', 'This simulator takes no memory snapshots.');
  return vmTask(call, vm, operation, async () => {
    const snapshot = await createSnapshot(call.core.model.inventory, vm, {
      name: argument(call, 'name') ?? '',
      description: argument(call, 'description') ?? '',
      ...quiescing,
    });
    return moRef('VirtualMachineSnapshot', snapshot.moRef);
  });
}

function powerTask(call: Call, operation: string, state: 'poweredOn' | 'poweredOff' | 'suspended'): Result {
  const vm = vmOf(call);
  return vmTask(call, vm, operation, () => setPower(call.core.model.inventory, vm, state).then(() => undefined));
}

/** ESXi 6.5 to 8.0 Update 2. */
const HARDWARE_VERSIONS = [8, 9, 10, 11, 13, 14, 15, 17, 18, 19, 20, 21];

const inventoryOperations: Record<string, Handler> = {
  QueryConfigOptionDescriptor: () =>
    value(
      HARDWARE_VERSIONS.map((version) =>
        vim('VirtualMachineConfigOptionDescriptor', {
          key: `vmx-${String(version).padStart(2, '0')}`,
          createSupported: true,
          runSupported: true,
          defaultConfigOption: version === HARDWARE_VERSIONS.at(-1),
        }),
      ),
    ),
  CreateVM_Task: (call) => {
    const request = {
      spec: call.args.config as VimObject,
      folderMoRef: call.self.value,
      resourcePoolMoRef: reference(call, 'pool') ?? '',
      hostMoRef: reference(call, 'host'),
    };
    return task(
      call,
      'CreateVM_Task',
      call.self,
      'vm',
      async () => moRef('VirtualMachine', (await createVm(call.core.model.inventory, request)).moRef),
      { exclusive: false, cancelable: true },
    );
  },
  RegisterVM_Task: (call) => {
    if (call.args.asTemplate === true) throw new SimFault('NotSupported', 'Templates are not supported here.');
    const request = {
      name: argument(call, 'name'),
      folderMoRef: call.self.value,
      resourcePoolMoRef: reference(call, 'pool') ?? '',
      hostMoRef: reference(call, 'host'),
    };
    return task(call, 'RegisterVM_Task', call.self, 'vm', async () =>
      moRef('VirtualMachine', (await registerVm(call.core.model.inventory, argument(call, 'path') ?? '', request)).moRef),
    );
  },
  MoveIntoFolder_Task: (call) =>
    task(call, 'MoveIntoFolder_Task', call.self, 'folder', async () => {
      for (const each of call.args.list as MoRef[]) await call.core.model.moveVm(each.value, { folderMoRef: call.self.value });
      return undefined;
    }),
  CreateFolder: (call) => value(moRef('Folder', call.core.model.createFolder(call.self.value, argument(call, 'name') ?? '').moRef)),
  CreateResourcePool: (call) =>
    value(moRef('ResourcePool', call.core.model.createResourcePool(call.self.value, argument(call, 'name') ?? '').moRef)),
  CancelTask: (call) => {
    call.core.tasks.cancel(call.self.value);
    return nothing;
  },
};

const fileOperations: Record<string, Handler> = {
  DeleteDatastoreFile_Task: (call) => {
    const path = argument(call, 'name') ?? '';
    const absolute = call.core.model.inventory.absolutePath(path);
    if (call.core.model.inventory.findDisk(path)) throw new SimFault('FileLocked', `${path} is in use.`, { file: path });
    return task(call, 'DeleteDatastoreFile_Task', moRef('Datacenter', call.core.model.inventory.state.datacenter.moRef), path, async () => {
      await stat(absolute).catch(() => {
        throw new SimFault('FileNotFound', `File ${path} was not found`, { file: path });
      });
      await rm(absolute, { recursive: true });
      return undefined;
    });
  },
  MakeDirectory: async (call) => {
    const path = argument(call, 'name') ?? '';
    try {
      await mkdir(call.core.model.inventory.absolutePath(path), { recursive: call.args.createParentDirectories === true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST')
        throw new SimFault('FileAlreadyExists', `${path} already exists.`, { file: path });
      throw error;
    }
    return nothing;
  },
  QueryVirtualDiskUuid: async (call) => {
    const path = argument(call, 'name') ?? '';
    const descriptor = await readDescriptor(call.core.model.inventory.absolutePath(path)).catch(() => {
      throw new SimFault('FileNotFound', `File ${path} was not found`, { file: path });
    });
    return value(descriptor.database.uuid);
  },
};

export const HANDLERS: Readonly<Record<string, Handler>> = {
  ...sessionOperations,
  ...authorizationOperations,
  ...collectorOperations,
  ...searchOperations,
  ...vmOperations,
  ...movingOperations,
  ...cryptoOperations,
  ...firstClassDiskOperations,
  ...inventoryOperations,
  ...fileOperations,
  ...searchDatastoreOperations,
};
