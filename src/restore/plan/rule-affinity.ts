import type { AffinityRule, VcdReference } from '../../vcd/index.js';
import type { PlanItem, PlannedAffinityRule } from '../plan-types.js';
import { planItem } from './choose.js';

export interface AffinityInput {
  /** Captured id -> name at the end, of the VMs that are restored. */
  restored: ReadonlyMap<string, string>;
  /** VMs of the target VDC that are not restored and are there, by id. */
  others: ReadonlyMap<string, VcdReference>;
  /** Rules of today that the restored VMs are in. */
  present: readonly AffinityRule[];
  /** False for a copy: it joins no rule of the vApp it came from. */
  keepsIdentity: boolean;
}

/** A rule keeps VMs together or apart, so one VM is no rule (VCD refuses fewer). */
const MIN_VMS = 2;

/**
 * Affinity rules are the VDC's and may name VMs of several vApps: restored VMs take their places in them again, and
 * VMs beside them stay in where they are there.
 * @returns `wanted`: the rules as the restored vApp will show them.
 */
export function ruleAffinity(
  captured: readonly AffinityRule[],
  input: AffinityInput,
): { planned: PlannedAffinityRule[]; wanted: AffinityRule[]; items: PlanItem[] } {
  const planned: PlannedAffinityRule[] = [];
  const wanted: AffinityRule[] = [];
  const items: PlanItem[] = [];
  for (const rule of captured) {
    const members = rule.vms.map((vm) => placeOf(vm, input));
    const kept = members.filter((member) => member.today !== undefined);
    const lost = members.filter((member) => member.today === undefined).map(({ vm }) => vm.name ?? vm.href);
    const own = kept.filter((member) => member.isRestored);
    // A rule that none of the restored VMs is in is none of this restore's business.
    if (own.length === 0) continue;
    const isMade = kept.length >= MIN_VMS;
    items.push(
      itemOf(
        rule,
        kept.map(({ today }) => today?.name ?? ''),
        lost,
        isMade,
        input.keepsIdentity,
      ),
    );
    if (!isMade) continue;
    const { name, polarity, enabled, mandatory } = rule;
    const others = kept.filter((member) => !member.isRestored).map(({ today }) => today?.href ?? '');
    planned.push({ name, polarity, enabled, mandatory, restored: own.map(({ vm }) => vm.id ?? ''), others });
    wanted.push({ ...rule, vms: kept.map(({ vm, today }) => ({ ...vm, ...today })) });
  }
  for (const rule of input.present.filter((candidate) => !captured.some(({ name }) => name === candidate.name))) {
    const sentence = `Affinity rule "${rule.name}" was made since the restore point; it is left as it is.`;
    const planned = rule.vms.map((vm) => vm.name ?? vm.href);
    items.push(planItem(`affinityRules.${rule.name}`, 'changed', { captured: undefined, planned }, sentence));
  }
  return { planned, wanted, items };
}

function placeOf(
  vm: VcdReference,
  { restored, others, keepsIdentity }: AffinityInput,
): { vm: VcdReference; today: VcdReference | undefined; isRestored: boolean } {
  const name = restored.get(vm.id ?? '');
  if (name !== undefined) return { vm, today: { ...vm, name }, isRestored: true };
  return { vm, today: keepsIdentity ? others.get(vm.id ?? '') : undefined, isRestored: false };
}

function itemOf(rule: AffinityRule, kept: readonly string[], lost: readonly string[], isMade: boolean, keepsIdentity: boolean): PlanItem {
  const attribute = isMade ? `affinityRules.${rule.name}.vms` : `affinityRules.${rule.name}`;
  const values = { captured: rule.vms.map((vm) => vm.name ?? vm.href), planned: isMade ? kept : null };
  if (lost.length === 0) return planItem(attribute, 'fits', values);
  const listed = lost.map((name) => `"${name}"`).join(', ');
  const why = keepsIdentity ? `${listed} of it ${lost.length === 1 ? 'is' : 'are'} not in the VDC` : `a copy joins no rule of ${listed}`;
  const outcome = isMade ? `it is made for ${kept.map((name) => `"${name}"`).join(', ')}` : 'it is left out, as one VM is no rule';
  return planItem(attribute, keepsIdentity ? 'missing' : 'changed', values, `Affinity rule "${rule.name}": ${why}; ${outcome}.`);
}
