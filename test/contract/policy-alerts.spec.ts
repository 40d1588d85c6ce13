import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PolicyAlerts, VanishedAlerts } from '../../src/policy/index.js';
import { ORG, source, vapp } from './catalog-fixture.js';
import { CLOUD, choice, PolicyVault, urnOf } from './policies-fixture.js';

const START = '2026-11-20T12:00:00Z';
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const nightly = { schedule: { cron: '0 2 * * *', timeZone: 'UTC', spreadMinutes: 0 } };

describe('what falls out of policies is told', () => {
  let vault: PolicyVault;
  let ids: string[];
  beforeAll(async () => {
    vault = await PolicyVault.start({ now: START, services: 1, vapps: 5 });
    ids = await vault.vappIds();
  });
  afterAll(() => vault?.close());
  beforeEach(() => vault.reset(START));

  const lost = () => vault.service(PolicyAlerts).protectionLost();
  const told = async () => (await lost()).map(({ subject }) => subject);
  /** A minute later VCD is asked for metadata, and a round sees what it said. */
  const look = async () => {
    vault.clock.forward(MINUTE_MS);
    await vault.refreshMetadata();
    await vault.rounds();
  };

  it('a policy of a cloud that is not registered any more, while it is on', async () => {
    const { id, name } = await vault.create({ name: 'House', ...nightly });
    await vault.create({ name: 'other', enabled: false });
    expect(await lost()).toEqual([]);
    vault.registered.clear();
    expect(await lost()).toEqual([
      {
        key: `policy:${id}`,
        severity: 'critical',
        organizationId: '',
        subject: 'policy "House"',
        message: `Policy "House" is for cloud ${CLOUD}, which is not registered, so it backs up nothing and removes nothing; put its scope.cloudId right, or delete it.`,
        details: { policyId: id, cloudId: CLOUD },
      },
    ]);
    vault.registered.add('anew');
    await vault.one.policies.replace(id, vault.policy({ name, ...nightly, scope: { cloudId: 'anew' } }));
    expect(await lost()).toEqual([]);
  });

  describe('a choice by metadata', () => {
    beforeEach(async () => {
      await vault.create({ name: 'House', ...nightly });
      await vault.rounds();
    });

    it('of what is not offered, until it is corrected', async () => {
      await vault.create({ name: 'Gold', offered: true, ...nightly });
      vault.metadata.set(urnOf(1), choice('Golld'));
      vault.metadata.set(urnOf(2), choice('Gold'));
      await look();
      expect(await lost()).toEqual([
        {
          key: `choice:${ORG}:2026-11-20T12:01:00.000Z`,
          severity: 'warning',
          organizationId: ORG,
          subject: '"vapp 0001"',
          message:
            'Metadata "vapp-vault.policy" names no policy that is offered for "vapp 0001" ("Golld") since 2026-11-20T12:01:00.000Z, so only what holds without it goes on; correct the metadata in VCD, or offer a policy of that name.',
          details: { count: 1, vappIds: [ids[0]], since: '2026-11-20T12:01:00.000Z' },
        },
      ]);
      await look();
      expect((await lost()).map(({ key }) => key)).toEqual([`choice:${ORG}:2026-11-20T12:01:00.000Z`]);
      await vault.query('UPDATE vapps SET present = false WHERE id = $1', [ids[0]]);
      expect(await lost()).toEqual([]);
      await vault.query('UPDATE vapps SET present = true');
      vault.metadata.set(urnOf(1), choice('gold'));
      await look();
      expect(await lost()).toEqual([]);
    });

    it('of a policy that is renamed, and then deleted, by the one who offered it', async () => {
      const { id } = await vault.create({ name: 'Gold', offered: true, ...nightly });
      for (const n of [1, 2, 3, 4, 5]) vault.metadata.set(urnOf(n), choice('Gold'));
      await look();
      expect(await lost()).toEqual([]);
      await vault.one.policies.replace(id, vault.policy({ name: 'Platinum', offered: true, ...nightly }));
      await vault.rounds();
      // VCD may say that all of them have chosen the new name.
      expect(await lost()).toEqual([]);
      await look();
      const renamed = await lost();
      expect(renamed).toMatchObject([
        {
          subject: '5 objects of organization "acme"',
          message: expect.stringContaining('for "vapp 0001" ("Gold"), "vapp 0002" ("Gold"), "vapp 0003" ("Gold") and 2 more since '),
        },
      ]);
      await vault.one.policies.remove(id);
      await look();
      expect(await lost()).toEqual(renamed);
      vault.metadata.clear();
      await look();
      expect(await lost()).toEqual([]);
    });

    it('of each object anew, and not of a cloud without policies, whose metadata nobody reads', async () => {
      await vault.create({ name: 'Gold', offered: true });
      vault.metadata.set(urnOf(1), choice('Golld'));
      await look();
      vault.metadata.set(urnOf(2), choice('Golld'));
      await look();
      expect(await told()).toEqual(['"vapp 0001"', '"vapp 0002"']);
      for (const { id } of await vault.one.policies.list()) await vault.one.policies.remove(id);
      await look();
      expect(await told()).toEqual([]);
    });
  });

  describe('an object with restore points', () => {
    const POINT = '2026-11-19T02:00:00Z';
    const house = (over: Record<string, unknown> = {}) => vault.policy({ name: 'House', ...nightly, ...over });
    let policyId: string;
    beforeEach(async () => {
      policyId = (await vault.one.policies.create(house())).id;
      for (const id of ids.slice(0, 4)) await vault.addPoint(id, POINT);
      await vault.rounds();
    });
    const replace = async (over: Record<string, unknown>) => {
      await vault.one.policies.replace(policyId, house(over));
      await vault.rounds();
    };

    it('that no schedule means any more, for a week', async () => {
      await replace({ scope: { vappNames: ['vapp 0002', 'vapp 0003', 'vapp 0004', 'vapp 0005'] } });
      const told = {
        key: `lost:${ORG}:House:2026-11-20T12:00:00.000Z`,
        severity: 'warning',
        organizationId: ORG,
        subject: '"vapp 0001"',
        message:
          'No schedule holds since 2026-11-20T12:00:00.000Z for "vapp 0001", which policy "House" backed up before; look what was changed (name, owner, VDC or metadata of the object, or the policy), and see that a policy means it again if it is to be backed up.',
        details: { count: 1, vappIds: [ids[0]], policyName: 'House', since: '2026-11-20T12:00:00.000Z' },
      };
      expect(await lost()).toEqual([told]);
      await vault.query('UPDATE vapps SET present = false WHERE id = $1', [ids[0]]);
      expect(await lost()).toEqual([]);
      await vault.query('UPDATE vapps SET present = true');
      vault.clock.forward(7 * DAY_MS - MINUTE_MS);
      expect(await lost()).toEqual([told]);
      vault.clock.forward(2 * MINUTE_MS);
      expect(await lost()).toEqual([]);
    });

    it('that is renamed out of the scope, until it is meant again; what was never meant is not lost', async () => {
      await replace({ scope: { vappNames: ['vapp 0001', 'vapp 0002'] } });
      vault.clock.forward(8 * DAY_MS);
      expect(await lost()).toEqual([]);
      const renamed = [vapp(1, { name: 'shop' }), ...[2, 3, 4, 5].map((n) => vapp(n))];
      await vault.one.catalog.saveInventory(CLOUD, source(renamed), { full: true });
      try {
        await vault.rounds();
        expect(await told()).toEqual(['"shop"']);
        await vault.create({ name: 'shops', scope: { vappNames: ['shop'] }, ...nightly });
        await vault.rounds();
        expect(await lost()).toEqual([]);
      } finally {
        await vault.inventory(5);
      }
    });

    it('one alert for all that a policy leaves behind', async () => {
      await vault.one.policies.remove(policyId);
      await vault.rounds();
      expect(await lost()).toMatchObject([
        {
          subject: '4 objects of organization "acme"',
          message: expect.stringContaining('for "vapp 0001", "vapp 0002", "vapp 0003" and 1 more, which policy "House"'),
        },
      ]);
    });

    it('for as long as its policy is switched off', async () => {
      await replace({ enabled: false, scope: { vappNames: ['vapp 0001'] } });
      vault.clock.forward(30 * DAY_MS);
      await vault.rounds();
      expect(await lost()).toMatchObject([
        {
          key: `off:${ORG}:House:2026-11-20T12:00:00.000Z`,
          subject: '"vapp 0001"',
          message:
            'No schedule holds since 2026-11-20T12:00:00.000Z for "vapp 0001", because policy "House" is switched off; switch it on as soon as it may run again.',
        },
      ]);
      await replace({ scope: { vappNames: ['vapp 0001'] } });
      expect(await lost()).toEqual([]);
      await replace({ enabled: false, scope: { vappNames: ['vapp 0001'] } });
      expect((await lost()).map(({ key }) => key)).toEqual([`off:${ORG}:House:2026-12-20T12:00:00.000Z`]);
      await vault.one.policies.remove(policyId);
      await vault.rounds();
      expect((await lost()).map(({ key }) => key)).toEqual([`lost:${ORG}:House:2026-12-20T12:00:00.000Z`]);
    });

    it('not before VCD has said whom a policy means that was changed to ask for metadata', async () => {
      const metadata = [{ key: 'tier', type: 'MetadataStringValue', value: 'gold' }];
      vault.metadata.set(urnOf(1), [
        { key: 'tier', type: 'MetadataStringValue', value: 'gold', domain: 'GENERAL', visibility: 'READWRITE' },
      ]);
      const since = () => vault.query('SELECT schedule_key, since_at FROM policy_objects WHERE vapp_id = $1', [ids[0]]);
      const before = await since();
      vault.clock.forward(MINUTE_MS);
      await replace({ scope: { metadata } });
      expect(await lost()).toEqual([]);
      await look();
      expect((await lost()).map(({ subject }) => subject)).toEqual(['3 objects of organization "acme"']);
      // What held all the while began when it began.
      expect(await since()).toEqual(before);
    });
  });

  describe('objects that the inventory does not show any more', () => {
    const vanished = () => vault.service(VanishedAlerts).firing(new AbortController().signal);
    /** The inventory shows these, and a round sees it. */
    const show = async (...numbers: number[]) => {
      await vault.one.catalog.saveInventory(CLOUD, source(numbers.map((n) => vapp(n))), { full: true });
      await vault.rounds();
    };
    beforeEach(async () => {
      for (const id of ids) await vault.addPoint(id, '2026-11-19T02:00:00Z');
    });
    afterEach(() => vault.inventory(5));

    it('for a week, or until they are back', async () => {
      await vault.create({ name: 'House', ...nightly, deletedObjects: { vapps: { keep: 'days', days: 30 } } });
      await show();
      const told = {
        key: `${CLOUD}:${ORG}`,
        severity: 'critical',
        organizationId: ORG,
        subject: '5 objects of organization "acme"',
        message:
          'The inventory does not show "vapp 0001", "vapp 0002", "vapp 0003" and 2 more any more since 2026-11-20T12:00:00.000Z, 5 of 5 objects of organization "acme" with restore points; policy "House" deletes all that there are of these from 2026-12-20T12:00:00.000Z on, but nothing while this lasts; see whether they were meant to go, and whether the service\'s account still sees all of the cloud.',
        details: {
          ...{ cloudId: CLOUD, count: 5, stillThere: 0, vappIds: ids, since: '2026-11-20T12:00:00.000Z' },
          ...{ policyName: 'House', deletedFrom: '2026-12-20T12:00:00.000Z' },
        },
      };
      expect(await vanished()).toEqual([told]);
      await show(1, 2, 3, 4, 5);
      expect(await vanished()).toEqual([]);
      await show();
      vault.clock.forward(7 * DAY_MS - MINUTE_MS);
      expect(await vanished()).toEqual([told]);
      vault.clock.forward(2 * MINUTE_MS);
      expect(await vanished()).toEqual([]);
    });

    it('where they are many, unless their whole cloud is not registered', async () => {
      await vault.create({ name: 'House', ...nightly });
      await show(1);
      expect(await vanished()).toEqual([]);
      await show();
      expect(await vanished()).toMatchObject([
        {
          subject: '5 objects of organization "acme"',
          message: expect.stringMatching(
            /"vapp 0001", "vapp 0002", "vapp 0003" and 2 more any more since .*, 5 of 5 objects .*; no policy deletes the last of these for that; /,
          ),
          details: { deletedFrom: null },
        },
      ]);
      vault.registered.clear();
      expect(await vanished()).toEqual([]);
    });

    it('and while they are many, nothing is deleted for that', async () => {
      await vault.create({ name: 'House', deletedObjects: { vapps: { keep: 'days', days: 1 } } });
      await show();
      const sentence = 'policy "House" deletes all that there are of these from 2026-11-21T12:00:00.000Z on, but nothing while this lasts';
      expect(await vanished()).toMatchObject([{ severity: 'critical', message: expect.stringContaining(sentence) }]);
      const halfDays = async (count: number) => {
        for (let halfDay = 0; halfDay < count; halfDay += 1) {
          vault.clock.forward(DAY_MS / 2);
          await vault.rounds();
        }
      };
      await halfDays(13);
      expect(await vault.runsOf('retention')).toEqual([]);
      await halfDays(1);
      expect(await vault.ended('retention')).toMatchObject([{ state: 'succeeded', result: { removed: 5 } }]);
    });

    it('with the policy that deletes first, of those that do', async () => {
      const keep = (days: number, over: Record<string, unknown>) =>
        vault.create({ ...over, deletedObjects: { vapps: { keep: 'days', days } } });
      await keep(30, { name: 'later' });
      await keep(20, { name: 'sooner', scope: { vappNames: ['vapp 0002'] } });
      await keep(10, { name: 'off', enabled: false, scope: { vappNames: ['vapp 0003'] } });
      await keep(10, { name: 'held', legalHold: true, scope: { vappNames: ['vapp 0004'] } });
      await keep(10, { name: 'of what is there', scope: { vappNames: ['vapp 0006'] } });
      await vault.inventory(6);
      for (const id of await vault.vappIds()) if (!ids.includes(id)) await vault.addPoint(id, '2026-11-19T02:00:00Z');
      await show(6);
      expect(await vanished()).toMatchObject([{ details: { policyName: 'sooner', deletedFrom: '2026-12-10T12:00:00.000Z' } }]);
    });
  });
});
