import type { VcdReference, VdcResources, VmCapture } from '../../vcd/index.js';
import type { PlanItem } from '../plan-types.js';
import type { RestoreRequest } from '../restore-request.js';
import { assertOption, optionsOf, planItem } from './choose.js';

const NONE = { value: 'none', label: "None: the VDC's default" };

/** Sizing and placement policy: the captured one where the VDC still has it, else its default for sizing and none for placement. */
export function rulePolicies(vm: VmCapture, vdc: VdcResources, choices: RestoreRequest['choices']): { vm: VmCapture; items: PlanItem[] } {
  const { sizingPolicy, placementPolicy, ...rest } = vm;
  const sizing = matchPolicy(vm, 'sizing', sizingPolicy, vdc.sizingPolicies, vdc, choices.sizingPolicies);
  const placement = matchPolicy(vm, 'placement', placementPolicy, vdc.placementPolicies, vdc, choices.placementPolicies);
  return {
    vm: {
      ...rest,
      ...(sizing.policy ? { sizingPolicy: sizing.policy } : {}),
      ...(placement.policy ? { placementPolicy: placement.policy } : {}),
    },
    items: [...sizing.items, ...placement.items],
  };
}

function matchPolicy(
  vm: VmCapture,
  kind: 'sizing' | 'placement',
  captured: VcdReference | undefined,
  available: VcdReference[] | undefined,
  vdc: VdcResources,
  chosen: Readonly<Record<string, string>> | undefined,
): { policy: VcdReference | undefined; items: PlanItem[] } {
  const name = captured?.name;
  // Before VCD 10.2 no policies are listed: what cannot be checked stays as it was.
  if (name === undefined || available === undefined) return { policy: captured, items: [] };
  const field = `${kind}Policies.${name}`;
  const attribute = `vms.${vm.name}.${kind}Policy`;
  const options = [...optionsOf(available.flatMap((policy) => policy.name ?? [])), NONE];
  const request = chosen?.[name];
  if (request !== undefined) assertOption(field, request, options);
  const wanted = request ?? name;
  const same = available.find((policy) => policy.name === wanted);
  const fallback = kind === 'sizing' && request !== 'none' ? available[0] : undefined;
  const policy = same ?? fallback;
  const choice = { field, chosen: policy?.name ?? 'none', options };
  const values = { captured: name, planned: policy?.name };
  if (policy?.name === name) return { policy, items: [planItem(attribute, 'fits', values, '', { choice })] };
  if (request !== undefined) {
    const sentence = `The request gives VM "${vm.name}" ${kind} policy "${request}" instead of "${name}".`;
    return { policy, items: [planItem(attribute, 'changed', values, sentence, { choice })] };
  }
  const instead = policy === undefined ? 'the VM gets none' : `"${policy.name}" is used`;
  const sentence = `The ${kind} policy "${name}" of VM "${vm.name}" is not available in VDC "${vdc.name}"; ${instead}.`;
  return { policy, items: [planItem(attribute, 'missing', values, sentence, { choice })] };
}
