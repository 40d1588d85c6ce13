import type { VmCapture } from '../../vcd/index.js';
import type { PlanItem, VmAction } from '../plan-types.js';
import { planItem } from './choose.js';
import type { TodaysVm } from './today.js';

export interface IdentityInput {
  action: VmAction;
  /** The restored VM goes on as the captured one. */
  keepsIdentity: boolean;
  instanceUuid: string;
  /** The VM that vCenter has under that instance UUID now. */
  holder: { moRef: string } | undefined;
  /** The VM that goes when the restored one stands: replaced, or of a vApp that is recreated. */
  replaced: Pick<TodaysVm, 'moRef'> | undefined;
}

/** What only one of two VMs can have, while the one it takes the place of is still there. */
export function ruleIdentity(vm: VmCapture, input: IdentityInput): PlanItem[] {
  if (input.action === 'overwrite') return [];
  return [...ruleInstanceUuid(vm, input), ...ruleLocalId(vm, input)];
}

/** Two VMs of one vCenter with one instance UUID are refused, and VCD's and our own bookkeeping go by it. */
function ruleInstanceUuid(vm: VmCapture, { keepsIdentity, instanceUuid, holder, replaced }: IdentityInput): PlanItem[] {
  if (!keepsIdentity || holder === undefined) return [];
  const attribute = `vms.${vm.name}.instanceUuid`;
  const values = { captured: instanceUuid, planned: null };
  if (holder.moRef === replaced?.moRef) {
    const sentence = `VM "${vm.name}" gets a new instance UUID in vCenter: the VM it takes the place of has ${instanceUuid} until the new one stands.`;
    return [planItem(attribute, 'changed', values, sentence)];
  }
  const sentence = `vCenter already has a VM (${holder.moRef}) with the instance UUID ${instanceUuid} of VM "${vm.name}"; the restored one gets a new one.`;
  return [planItem(attribute, 'not-permitted', values, sentence)];
}

/** VAppScopedLocalId is set at import and by nobody afterwards (vApp.xsd, VmType: modifiable none), and unique in its vApp. */
function ruleLocalId(vm: VmCapture, { action }: IdentityInput): PlanItem[] {
  if (action !== 'replace' || vm.localId === undefined) return [];
  const sentence = `VM "${vm.name}" gets a new local id in its vApp, because the VM it replaces has "${vm.localId}" and VCD lets it be set at import only; NAT rules are written with the new one.`;
  return [planItem(`vms.${vm.name}.localId`, 'not-permitted', { captured: vm.localId, planned: null }, sentence)];
}
