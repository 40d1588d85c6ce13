import type { Inventory } from './inventory.js';
import type { VmState } from './state.js';
import { SimFault } from './vsphere-types.js';

/** What VixDiskLib_PrepareForAccess takes from everybody, so that the VM's disks stay where they are (guide, "PrepareForAccess and EndAccess"). */
export const MOVING_METHODS: readonly string[] = ['RelocateVM_Task', 'MigrateVM_Task'];

export function disableMethods(
  inventory: Inventory,
  vm: VmState,
  block: { sourceId: string; methods: readonly string[]; processId?: number },
): void {
  const others = (vm.disabledMethods ?? []).filter(({ sourceId }) => sourceId !== block.sourceId);
  vm.disabledMethods = [...others, { ...block, methods: [...block.methods] }];
  inventory.changed(vm.moRef);
}

/** Of this source only: what another one disabled stays disabled. @returns whether there was anything. */
export function enableMethods(inventory: Inventory, vm: VmState, sourceId: string): boolean {
  const before = vm.disabledMethods ?? [];
  const left = before.filter((block) => block.sourceId !== sourceId);
  if (left.length === before.length) return false;
  if (left.length > 0) vm.disabledMethods = left;
  else delete vm.disabledMethods;
  inventory.changed(vm.moRef);
  return true;
}

/** ManagedEntity.disabledMethod */
export function disabledMethodsOf(vm: VmState): string[] {
  return [...new Set((vm.disabledMethods ?? []).flatMap(({ methods }) => methods))];
}

/** @throws SimFault MethodDisabled, which names who did it. */
export function requireEnabled(vm: VmState, method: string): void {
  const block = vm.disabledMethods?.find(({ methods }) => methods.includes(method));
  if (block) throw new SimFault('MethodDisabled', `The method is disabled by '${block.sourceId}'.`, { source: block.sourceId });
}
