import { describe, expect, it } from 'vitest';
import { backupSettingsSchema } from '../backup-settings.js';
import type { Policy, PolicyRules } from '../policy-types.js';
import type { Scope } from '../scope-types.js';
import { effectivePolicy, type HoldingPolicy, levelOf, settingsOf } from './effective.js';

const DEFAULTS = backupSettingsSchema.parse({});
const cloudId = 'c';
let made = 0;
const holds = (
  name: string,
  scope: Omit<Scope, 'cloudId'>,
  rules: PolicyRules,
  over: Partial<Policy & { chosen: boolean }> = {},
): HoldingPolicy => {
  const { chosen = false, ...policy } = over;
  made += 1;
  return {
    chosen,
    policy: { id: String(made).padStart(4, '0'), name, scope: { cloudId, ...scope }, enabled: true, offered: chosen, rules, ...policy },
  };
};
const provider = holds(
  'house',
  {},
  {
    schedule: { cron: '0 2 * * *', timeZone: 'UTC', spreadMinutes: 60 },
    settings: { quiesce: 'crash', parallelVms: 4 },
    retention: { keepLast: 7, timeZone: 'UTC' },
    lockDays: 5,
  },
);
const acme = holds(
  'acme',
  { organizations: ['acme'] },
  { settings: { quiesce: 'application' }, retention: { keepDays: 30, timeZone: 'UTC' }, lockDays: 2 },
);
const gold = holds('gold', { vdcs: ['*-gold'] }, { schedule: { rpoHours: 4, timeZone: 'UTC', spreadMinutes: 0 } });
const shop = holds('shop', { vappNames: ['shop'] }, { legalHold: true });

describe('the level of a policy', () => {
  it.each<[Omit<Scope, 'cloudId'>, string]>([
    [{}, 'provider'],
    [{ kinds: ['vapp'] }, 'provider'],
    [{ organizations: ['acme'] }, 'organization'],
    [{ organizations: ['acme'], vdcs: ['x'] }, 'vdc'],
    [{ vappNames: ['shop*'] }, 'vapp'],
    [{ organizations: ['acme'], metadata: [{ key: 'tier', type: 'MetadataStringValue', value: 'gold', domain: 'GENERAL' }] }, 'vapp'],
  ])('%j is %s', (scope, level) => {
    expect(levelOf({ cloudId, ...scope })).toBe(level);
  });
});

describe('what holds for an object', () => {
  it('comes from the nearest policy that says it, rule by rule', () => {
    const found = effectivePolicy([provider, gold, shop, acme], DEFAULTS);
    expect(found.policies.map(({ policyName }) => policyName)).toEqual(['shop', 'gold', 'acme', 'house']);
    expect(found.schedule).toMatchObject({ value: { rpoHours: 4 }, from: { policyName: 'gold', level: 'vdc' } });
    expect(found.retention).toMatchObject({ value: { keepDays: 30 }, from: { policyName: 'acme', level: 'organization' } });
    expect(found.settings.quiesce).toMatchObject({ value: 'application', from: { policyName: 'acme' } });
    expect(found.settings.parallelVms).toMatchObject({ value: 4, from: { policyName: 'house' } });
    expect(found.settings.snapshotTimeoutMinutes).toEqual({ value: 15, from: null });
    expect(found.retry).toEqual({ value: { attempts: 2, delayMinutes: 15 }, from: null });
    expect(found.warnings).toEqual([]);
    expect(settingsOf(found)).toEqual({ ...DEFAULTS, quiesce: 'application', parallelVms: 4, lockDays: 5 });
  });

  it.each<[string, PolicyRules['settings'], PolicyRules['settings'], unknown[]]>([
    ['the nearer says by the older name', { quiesceAtLeast: 'crash' }, { allowCrashConsistent: false }, [undefined, false]],
    ['the nearer says by the newer name', { allowCrashConsistent: false }, { quiesceAtLeast: 'crash' }, ['crash', true]],
    ['the nearer says nothing of it', { quiesceAtLeast: 'application' }, { parallelVms: 2 }, ['application', true]],
    ['one policy says both', {}, { quiesceAtLeast: 'application', allowCrashConsistent: false }, ['application', false]],
  ])('takes what is accepted of quiescing from one policy: %s', (_what, wide, near, expected) => {
    const holding = [holds('wide', {}, { settings: wide }), holds('near', { vappNames: ['shop'] }, { settings: near })];
    const { quiesceAtLeast, allowCrashConsistent } = settingsOf(effectivePolicy(holding, DEFAULTS));
    expect([quiesceAtLeast, allowCrashConsistent]).toEqual(expected);
  });

  it('is nothing but defaults without a policy', () => {
    const found = effectivePolicy([], DEFAULTS);
    expect(found).toMatchObject({ policies: [], schedule: null, retention: null, legalHold: { value: false, from: null } });
    expect(settingsOf(found)).toEqual(DEFAULTS);
  });

  it('has the chosen policy before all others', () => {
    const chosen = holds(
      'silver',
      { organizations: ['acme'] },
      { schedule: { cron: '0 5 * * *', timeZone: 'UTC', spreadMinutes: 0 } },
      { chosen: true },
    );
    const found = effectivePolicy([provider, gold, shop, chosen], DEFAULTS);
    expect(found.schedule).toMatchObject({ value: { cron: '0 5 * * *' }, from: { policyName: 'silver', chosen: true } });
  });

  it('keeps what protects, however near another policy is', () => {
    const near = holds('near', { ids: ['x'] }, { legalHold: false, lockDays: 1 });
    const found = effectivePolicy([provider, acme, holds('court', { organizations: ['acme'] }, { legalHold: true }), near], DEFAULTS);
    expect(found.legalHold).toMatchObject({ value: true, from: { policyName: 'court' } });
    expect(found.settings.lockDays).toMatchObject({ value: 5, from: { policyName: 'house' } });
  });

  it('is the older of two policies at one level, and a warning', () => {
    const younger = holds('younger', {}, { retention: { keepLast: 1, timeZone: 'UTC' } });
    const found = effectivePolicy([younger, provider], DEFAULTS);
    expect(found.retention).toMatchObject({ value: { keepLast: 7 }, from: { policyName: 'house' } });
    expect(found.warnings).toEqual([expect.stringMatching(/"house" and "younger" both hold at the level provider.*"house" counts/)]);
    expect(effectivePolicy([provider, holds('other', {}, { legalHold: true })], DEFAULTS).warnings).toEqual([]);
  });

  it('stays where a policy is switched off, so that a farther one does not remove what it keeps', () => {
    const off = holds('off', { organizations: ['acme'] }, { retention: { yearly: 10, timeZone: 'UTC' } }, { enabled: false });
    const found = effectivePolicy([provider, off], DEFAULTS);
    expect(found.retention).toMatchObject({ value: { yearly: 10 }, from: { policyName: 'off' } });
    expect(found.warnings).toEqual([expect.stringContaining('"off" is switched off')]);
  });
});
