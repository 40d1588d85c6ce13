import { describe, expect, it } from 'vitest';
import { cover } from './cover.js';
import type { ScopeCandidate } from './match-scope.js';
import type { Policy, PolicyRules } from './policy-types.js';
import type { Scope } from './scope-types.js';

const shop: ScopeCandidate = {
  ...{ id: 'v', vcloudId: 'urn:vcloud:vapp:1', kind: 'vapp', name: 'shop', ownerName: 'ann', vcdCatalogId: '', vcdCatalogName: '' },
  ...{ organizationId: 'urn:o', organizationName: 'acme', vdcId: 'urn:d', vdcName: 'gold' },
  vms: [{ id: 'm', vcloudId: 'urn:vcloud:vm:1', name: 'scratch-1' }],
};
const policy = (name: string, scope: Omit<Scope, 'cloudId'>, rules: PolicyRules): Policy => ({
  ...{ id: name, name, enabled: true, offered: false, rules },
  scope: { cloudId: 'c', ...scope },
});
const schedule = (rpoHours: number) => ({ rpoHours, timeZone: 'UTC', spreadMinutes: 0, runWindows: [], stopWindows: [] }) as never;

describe('a policy whose exclusions leave no VM of an object', () => {
  const leavesOut = policy(
    'near',
    { vappNames: ['shop'], exclude: { vms: ['scratch*'] } },
    { schedule: schedule(4), settings: { parallelVms: 7 }, retention: { keepLast: 9, timeZone: 'UTC' }, legalHold: true, lockDays: 30 },
  );
  const wide = policy('wide', {}, { schedule: schedule(24), retention: { keepLast: 1, timeZone: 'UTC' } });
  const covered = () => cover([wide, leavesOut], shop, { chosen: undefined, carried: [] }, 'key');

  it('keeps and holds its restore points as before', () => {
    const { effective } = covered();
    expect(effective.retention).toMatchObject({ value: { keepLast: 9 }, from: { policyName: 'near' } });
    expect(effective.legalHold).toMatchObject({ value: true, from: { policyName: 'near' } });
    expect(effective.settings.lockDays.value).toBe(30);
  });

  it('does not back it up; another one may', () => {
    const { effective, exclude } = covered();
    expect(effective.schedule).toMatchObject({ value: { rpoHours: 24 }, from: { policyName: 'wide' } });
    expect(effective.settings.parallelVms.value).not.toBe(7);
    expect(exclude).toEqual({ vms: [], disks: [] });
    expect(cover([leavesOut], shop, { chosen: undefined, carried: [] }, 'key').effective.schedule).toBeNull();
  });

  it('does not rule what it excludes as a whole', () => {
    const { effective } = cover(
      [policy('near', { exclude: { vappNames: ['shop'] } }, { legalHold: true })],
      shop,
      { chosen: undefined, carried: [] },
      'key',
    );
    expect(effective.policies).toEqual([]);
  });
});
