import type { AffinityRule, VappCapture, VmCapture } from '../../vcd/index.js';

/** The capture with these VMs only, under the names they get: a start order or a rule names nobody who is not there. */
export function restrictedTo(captured: VappCapture, vms: readonly VmCapture[], names: ReadonlyMap<string, string>): VappCapture {
  const restored = new Map(vms.map((vm) => [vm.id, names.get(vm.name) ?? vm.name]));
  return {
    ...captured,
    vms: vms.map((vm) => ({ ...vm, name: names.get(vm.name) ?? vm.name })),
    startup: captured.startup.flatMap((item) => {
      const vmName = names.get(item.vmName);
      return vmName === undefined ? [] : [{ ...item, vmName }];
    }),
    ...(captured.affinityRules && { affinityRules: rulesOf(captured.affinityRules, restored) }),
  };
}

/** The rules a restored VM is in, with its name of afterwards. @param restored captured id -> name */
export function rulesOf(rules: readonly AffinityRule[], restored: ReadonlyMap<string, string>): AffinityRule[] {
  return rules
    .filter((rule) => rule.vms.some((vm) => restored.has(vm.id ?? '')))
    .map((rule) => ({
      ...rule,
      vms: rule.vms.map((vm) => {
        const name = restored.get(vm.id ?? '');
        return name === undefined ? vm : { ...vm, name };
      }),
    }));
}
