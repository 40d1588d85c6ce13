import { enterMaintenance, exitMaintenance, hostOf, relocateVm } from '../model/relocation.js';
import { moRef, referenceAt, type VimObject } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import { reference, task, vmOf, vmTask, type Handler } from './call.js';

/** What of a relocation this simulator does not do: a caller that asks for it must not believe it was done. */
const UNSUPPORTED = ['service', 'disk', 'transform', 'deviceChange', 'profile', 'cryptoSpec', 'diskMoveType'];

/** VMs that change their place, and hosts that make them. */
export const movingOperations: Record<string, Handler> = {
  RelocateVM_Task: (call) => {
    const vm = vmOf(call);
    const spec = call.args.spec as VimObject;
    const unsupported = UNSUPPORTED.find((field) => spec[field] !== undefined);
    if (unsupported !== undefined) throw new SimFault('NotSupported', `RelocateVM_Task with ${unsupported} is not supported here.`);
    const target = {
      folderMoRef: referenceAt(spec, 'folder'),
      resourcePoolMoRef: referenceAt(spec, 'pool'),
      hostMoRef: referenceAt(spec, 'host'),
      datastoreMoRef: referenceAt(spec, 'datastore'),
    };
    return vmTask(call, vm, 'RelocateVM_Task', () => relocateVm(call.core.model.inventory, vm, target).then(() => undefined), true);
  },
  MigrateVM_Task: (call) => {
    const vm = vmOf(call);
    const target = { resourcePoolMoRef: reference(call, 'pool'), hostMoRef: reference(call, 'host') };
    return vmTask(call, vm, 'MigrateVM_Task', () => relocateVm(call.core.model.inventory, vm, target).then(() => undefined), true);
  },
  EnterMaintenanceMode_Task: (call) => {
    const host = hostOf(call.core.model.inventory, call.self.value);
    return task(call, 'EnterMaintenanceMode_Task', moRef('HostSystem', host.moRef), host.name, async () => {
      enterMaintenance(call.core.model.inventory, host);
      return undefined;
    });
  },
  ExitMaintenanceMode_Task: (call) => {
    const host = hostOf(call.core.model.inventory, call.self.value);
    return task(call, 'ExitMaintenanceMode_Task', moRef('HostSystem', host.moRef), host.name, async () => {
      exitMaintenance(call.core.model.inventory, host);
      return undefined;
    });
  },
};
