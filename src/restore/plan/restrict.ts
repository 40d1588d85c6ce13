import type { VappCapture, VmCapture } from '../../vcd/index.js';

/** The capture with these VMs only, under the names they get: a start order or a rule names nobody who is not there. */
export function restrictedTo(captured: VappCapture, vms: readonly VmCapture[], names: ReadonlyMap<string, string>): VappCapture {
  return {
    ...captured,
    vms: vms.map((vm) => ({ ...vm, name: names.get(vm.name) ?? vm.name })),
    startup: captured.startup.flatMap((item) => {
      const vmName = names.get(item.vmName);
      return vmName === undefined ? [] : [{ ...item, vmName }];
    }),
  };
}
