import { badRequest } from '../faults.js';
import { type Answer, type Exchange, readBody } from '../exchange.js';
import type { Vapp, Vm } from '../state.js';
import { MEDIA } from '../xml-names.js';
import { accepted, writableVapp, writableVm } from './guard.js';

type Target = 'vapp' | 'vm';
/** What vCenter calls a snapshot that VCD made without a name. */
const DEFAULT_NAME = 'vcd-snapshot';

/** POST action/createSnapshot of a vApp or a VM. A VM has one snapshot in VCD: a new one takes the place of the old. */
export function createSnapshot(exchange: Exchange, target: Target): Answer {
  const { vsphere } = exchange.cloud;
  const body = readBody(exchange, { element: 'CreateSnapshotParams', media: MEDIA.createSnapshot });
  const name = body.attribute('name', '') || DEFAULT_NAME;
  if (name.length > 80) throw badRequest('The snapshot name must have 1 to 80 characters.');
  const options = { name, description: body.textAt('Description') ?? '', quiesce: /^(true|1)$/.test(body.attribute('quiesce', '') ?? '') };
  return forEachVm(exchange, target, { operationName: 'vappCreateSnapshot', operation: 'Creating Snapshot' }, async (vm) => {
    await vsphere.removeAllSnapshots(vm.moRef);
    await vsphere.createSnapshot(vm.moRef, options);
  });
}

export function removeAllSnapshots(exchange: Exchange, target: Target): Answer {
  const naming = { operationName: 'vappRemoveAllSnapshots', operation: 'Removing All Snapshots' };
  return forEachVm(exchange, target, naming, (vm) => exchange.cloud.vsphere.removeAllSnapshots(vm.moRef));
}

/** The VMs are off afterwards, because no snapshot here keeps the memory. */
export function revertToCurrentSnapshot(exchange: Exchange, target: Target): Answer {
  const { cloud } = exchange;
  const naming = { operationName: 'vappRevertToCurrentSnapshot', operation: 'Reverting to Snapshot' };
  const withSnapshot = targetVms(exchange, target).vms.filter((vm) => hasSnapshot(exchange, vm));
  if (withSnapshot.length === 0) throw badRequest('The requested operation could not be executed: there is no snapshot to revert to.');
  return forEachVm(exchange, target, naming, async (vm) => {
    if (!hasSnapshot(exchange, vm)) return;
    await cloud.vsphere.revertToCurrentSnapshot(vm.moRef);
    vm.deployed = cloud.hardware(vm)?.powerState === 'poweredOn';
    const vapp = cloud.vappOf(vm);
    vapp.deployed = cloud.vmsOf(vapp).some((other) => other.deployed);
  });
}

function hasSnapshot({ cloud }: Exchange, vm: Vm): boolean {
  return (cloud.hardware(vm)?.snapshots.length ?? 0) > 0;
}

function targetVms(exchange: Exchange, target: Target): { entity: Vapp | Vm; vms: Vm[] } {
  const id = exchange.parameters.id ?? '';
  if (target === 'vm') {
    const vm = writableVm(exchange, id);
    return { entity: vm, vms: [vm] };
  }
  const vapp = writableVapp(exchange, id);
  return { entity: vapp, vms: exchange.cloud.vmsOf(vapp) };
}

function forEachVm(
  exchange: Exchange,
  target: Target,
  naming: { operationName: string; operation: string },
  work: (vm: Vm) => Promise<void>,
): Answer {
  const { entity, vms } = targetVms(exchange, target);
  const lost = vms.find((vm) => exchange.cloud.hardware(vm) === undefined);
  if (lost) throw badRequest(`The VM "${lost.name}" does not exist in vCenter any more.`);
  return accepted(exchange, {
    ...naming,
    operation: `${naming.operation} ${target === 'vm' ? 'Virtual Machine' : 'Virtual Application'}`,
    entity,
    alsoBlocks: vms.map((vm) => vm.id).filter((id) => id !== entity.id),
    work: async () => {
      for (const vm of vms) await work(vm);
      exchange.cloud.changed();
    },
  });
}
