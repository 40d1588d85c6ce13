import type { BackupSettings } from '../backup-settings.js';
import {
  type DeletedObjects,
  POLICY_LEVELS,
  type Policy,
  type PolicyLevel,
  type PolicySchedule,
  type RetentionRule,
  type RetryRule,
} from '../policy-types.js';
import type { Scope } from '../scope-types.js';

/** Where a value comes from. */
export interface PolicySource {
  policyId: string;
  policyName: string;
  level: PolicyLevel;
  /** By metadata on the object. */
  chosen: boolean;
}

export interface Effective<T> {
  value: T;
  /** Null: no policy says anything; it is the service's default. */
  from: PolicySource | null;
}

/** What holds for one object. */
export interface EffectivePolicy {
  /** Nearest first. */
  policies: PolicySource[];
  /** Null: nothing backs it up by itself. */
  schedule: Effective<PolicySchedule> | null;
  settings: { [K in keyof BackupSettings]: Effective<BackupSettings[K]> };
  retry: Effective<RetryRule>;
  /** Null: all restore points stay. */
  retention: Effective<RetentionRule> | null;
  legalHold: Effective<boolean>;
  deletedObjects: Effective<DeletedObjects>;
  warnings: string[];
}

/** A policy that holds for an object. */
export interface HoldingPolicy {
  policy: Policy;
  chosen: boolean;
}

const LEAST = ['quiesceAtLeast', 'allowCrashConsistent'] as const;
const DEFAULT_RETRY: RetryRule = { attempts: 2, delayMinutes: 15 };
const DEFAULT_DELETED: DeletedObjects = { vapps: { keep: 'retention' }, vms: { keep: 'retention' } };

/** By the nearest condition: a vApp's own, its VDC, its organization; a scope of the cloud alone is the provider's. */
export function levelOf(scope: Scope): PolicyLevel {
  const { ids, vappNames, owners, metadata, vcdCatalogs, vdcs, organizations } = scope;
  if (ids ?? vappNames ?? owners ?? metadata ?? vcdCatalogs) return 'vapp';
  if (vdcs) return 'vdc';
  return organizations ? 'organization' : 'provider';
}

/**
 * Each rule comes from the nearest policy that has it: the chosen one, then those of the vApp, its VDC, its organization and
 * the provider; of two at one level from the older. Two are not inherited so, because what protects must not be undone by
 * coming nearer: a legal hold of any policy holds, and the longest lock counts.
 * @param defaults the settings of a backup that says nothing.
 */
export function effectivePolicy(holding: readonly HoldingPolicy[], defaults: BackupSettings): EffectivePolicy {
  const order = holding.toSorted(
    (one, other) =>
      Number(other.chosen) - Number(one.chosen) || rank(other.policy) - rank(one.policy) || (one.policy.id < other.policy.id ? -1 : 1),
  );
  const first = <T>(pick: (policy: Policy) => T | undefined): Effective<T> | undefined => {
    for (const { policy, chosen } of order) {
      const value = pick(policy);
      if (value !== undefined) return { value, from: source(policy, chosen) };
    }
    return undefined;
  };
  const names = [...new Set([...Object.keys(defaults), ...order.flatMap(({ policy }) => Object.keys(policy.rules.settings ?? {}))])];
  const settings = Object.fromEntries(
    (names as (keyof BackupSettings)[]).map((name) => [
      name,
      first(({ rules }) => rules.settings?.[name]) ?? { value: defaults[name], from: null },
    ]),
  ) as EffectivePolicy['settings'];
  // Two names for one wish: what a nearer policy says by the one must not be undone by the other of a wider policy.
  const least = order.find(({ policy }) => LEAST.some((name) => policy.rules.settings?.[name] !== undefined));
  for (const name of LEAST) {
    if (least?.policy.rules.settings?.[name] === undefined) Object.assign(settings, { [name]: { value: defaults[name], from: null } });
  }
  const locks = order.toSorted((one, other) => (other.policy.rules.lockDays ?? 0) - (one.policy.rules.lockDays ?? 0));
  const lock = locks[0];
  if (lock?.policy.rules.lockDays) settings.lockDays = { value: lock.policy.rules.lockDays, from: source(lock.policy, lock.chosen) };
  const holder = order.find(({ policy }) => policy.rules.legalHold === true);
  return {
    policies: order.map(({ policy, chosen }) => source(policy, chosen)),
    schedule: first(({ rules }) => rules.schedule) ?? null,
    settings,
    retry: first(({ rules }) => rules.retry) ?? { value: DEFAULT_RETRY, from: null },
    retention: first(({ rules }) => rules.retention) ?? null,
    legalHold: { value: holder !== undefined, from: holder ? source(holder.policy, holder.chosen) : null },
    deletedObjects: first(({ rules }) => rules.deletedObjects) ?? { value: DEFAULT_DELETED, from: null },
    warnings: [...rivals(order), ...switchedOff(order)],
  };
}

/** The settings alone, as a run gets them. */
export function settingsOf({ settings }: EffectivePolicy): BackupSettings {
  return Object.fromEntries(Object.entries(settings).map(([name, { value }]) => [name, value])) as BackupSettings;
}

function source(policy: Policy, chosen: boolean): PolicySource {
  return { policyId: policy.id, policyName: policy.name, level: levelOf(policy.scope), chosen };
}

function rank({ scope }: Policy): number {
  return POLICY_LEVELS.indexOf(levelOf(scope));
}

/** Two policies at one level that say the same rule in two ways: which one counts should surprise nobody. */
function rivals(order: readonly HoldingPolicy[]): string[] {
  const warnings: string[] = [];
  for (const [index, { policy, chosen }] of order.entries()) {
    const rival = order
      .slice(index + 1)
      .find((other) => other.chosen === chosen && rank(other.policy) === rank(policy) && overlap(policy, other.policy));
    if (rival === undefined) continue;
    warnings.push(
      `Policies "${policy.name}" and "${rival.policy.name}" both hold at the level ${levelOf(policy.scope)}; where both have a rule, that of "${policy.name}" counts, because it is older.`,
    );
  }
  return warnings;
}

function overlap(one: Policy, other: Policy): boolean {
  return Object.keys(one.rules).some((rule) => Object.hasOwn(other.rules, rule));
}

function switchedOff(order: readonly HoldingPolicy[]): string[] {
  return order
    .filter(({ policy }) => !policy.enabled)
    .map(({ policy }) => `Policy "${policy.name}" is switched off: what it rules is neither backed up by it nor removed.`);
}
