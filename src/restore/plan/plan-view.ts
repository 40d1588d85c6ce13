import { RestoreError } from '../errors.js';
import type { Conformity, PlanItem, RestorePlan, RestorePlanView } from '../plan-types.js';

/** The plan as a person sees it. */
export function planView(plan: RestorePlan): RestorePlanView {
  return {
    restorePointId: plan.payload.restorePointId,
    mode: plan.payload.mode,
    vappName: plan.vappName,
    organizationName: plan.vdc.organization.name ?? '',
    vdcName: plan.vdc.name,
    catalogName: plan.place?.catalog?.name ?? null,
    canStart: plan.items.every((item) => !item.needsChoice),
    vms: plan.vms.map((vm) => ({
      name: vm.wanted.name,
      action: vm.action,
      disks: vm.disks.map(({ label, capacityBytes }) => ({ label, capacityBytes })),
    })),
    removals: plan.removals.map((vm) => vm.name),
    counts: countItems(plan.items),
    items: plan.items,
  };
}

export function countItems(items: readonly PlanItem[]): Record<Conformity, number> {
  const counts: Record<Conformity, number> = { fits: 0, changed: 0, missing: 0, 'not-permitted': 0 };
  for (const item of items) counts[item.conformity] += 1;
  return counts;
}

/** @throws RestoreError NAME_TAKEN, CHOICE_NEEDED: a person has to say what becomes of something first. */
export function assertCanStart(plan: Pick<RestorePlan, 'items'>): void {
  const open = plan.items.filter((item) => item.needsChoice);
  const [first] = open;
  if (first === undefined) return;
  const fields = [...new Set(open.map((item) => item.choice?.field ?? item.attribute))];
  const code = first.attribute === 'name' ? 'NAME_TAKEN' : 'CHOICE_NEEDED';
  const more = open.length === 1 ? '' : ` (${open.length} choices are needed: ${fields.join(', ')})`;
  throw new RestoreError(code, `${first.explanation}${more}`, { fields });
}
