import { backupSettingsSchema } from './backup-settings.js';
import { judge, type ScopeCandidate, type ScopeExclusions } from './match-scope.js';
import type { Policy } from './policy-types.js';
import { type EffectivePolicy, effectivePolicy, type HoldingPolicy } from './rules/effective.js';

const DEFAULTS = backupSettingsSchema.parse({});

/** What VCD was asked about an object. */
export interface ObjectMetadata {
  /** The metadata that chooses a policy; undefined: there is none. */
  chosen: string | undefined;
  /** Policies whose metadata conditions it meets. */
  carried: readonly string[];
}

export interface Coverage {
  effective: EffectivePolicy;
  /** Whether the policy whose schedule holds is switched on. */
  scheduleEnabled: boolean;
  /** The same of the retention, and of what becomes of deleted objects. */
  retentionEnabled: boolean;
  /** What backups leave out: the exclusions of the policy whose schedule it is. */
  exclude: ScopeExclusions;
  /** The tenant's choice; `accepted` is false where no such policy is offered for the object. */
  choice: { value: string; accepted: boolean } | undefined;
}

/** Which policies hold for an object, and what follows. Pure. */
export function cover(
  policies: readonly Policy[],
  object: ScopeCandidate,
  { chosen, carried }: ObjectMetadata,
  metadataKey: string,
): Coverage {
  const holding: HoldingPolicy[] = [];
  const exclusions = new Map<string, ScopeExclusions>();
  for (const policy of policies) {
    const isChosen = policy.offered && chosen !== undefined && sameName(policy.name, chosen);
    if (policy.offered && !isChosen) continue;
    const verdict = judge(policy.scope, object);
    const isMeant = verdict.kind === 'matched' || (verdict.kind === 'excluded' && verdict.backupsAlone);
    if (!isMeant || (policy.scope.metadata !== undefined && !carried.includes(policy.id))) continue;
    // VMs come and go, by the tenant's hand: what is left of a vApp must not decide how long its restore points are kept.
    holding.push({ policy: verdict.kind === 'matched' ? policy : withoutBackups(policy), chosen: isChosen });
    if (verdict.kind === 'matched') exclusions.set(policy.id, verdict.exclude);
  }
  const effective = effectivePolicy(holding, DEFAULTS);
  const choice = chosen === undefined ? undefined : { value: chosen, accepted: holding.some((one) => one.chosen) };
  if (choice?.accepted === false) {
    // Not more: whether the provider has a policy of that name is not the tenant's to know.
    effective.warnings.push(
      `Its metadata "${metadataKey}" is "${choice.value}", and no policy of that name is offered for it; what holds without it goes on.`,
    );
  }
  const exclude = exclusions.get(effective.schedule?.from?.policyId ?? '') ?? { vms: [], disks: [] };
  const isOn = (policyId: string | undefined) => policies.some(({ id, enabled }) => id === policyId && enabled);
  const rulers = [effective.retention, effective.deletedObjects].flatMap((rule) => rule?.from?.policyId ?? []);
  return {
    effective,
    scheduleEnabled: isOn(effective.schedule?.from?.policyId),
    retentionEnabled: rulers.length > 0 && rulers.every(isOn),
    exclude,
    choice,
  };
}

function withoutBackups(policy: Policy): Policy {
  const { schedule: _, settings: __, ...rules } = policy.rules;
  return { ...policy, rules };
}

export function sameName(one: string, other: string): boolean {
  return one.trim().toLowerCase() === other.trim().toLowerCase();
}
