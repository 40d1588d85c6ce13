import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { placeInSpread } from '../../src/policy/rules/due.js';
import { CLOUD, choice, last, PolicyVault, TestError, urnOf } from './policies-fixture.js';

describe('what policies mean', () => {
  let vault: PolicyVault;
  let ids: string[];
  beforeAll(async () => {
    vault = await PolicyVault.start({ now: '2026-11-20T12:00:00Z', services: 1, vapps: 3 });
    ids = await vault.vappIds();
  });
  afterAll(() => vault?.close());
  beforeEach(() => vault.reset('2026-11-20T12:00:00Z'));

  describe('a tenant', () => {
    const schedule = (cron: string) => ({ schedule: { cron, timeZone: 'UTC', spreadMinutes: 0 } });
    beforeEach(async () => {
      await vault.create({ name: 'House', ...schedule('0 2 * * *') });
      await vault.create({ name: 'Gold', offered: true, ...schedule('0 3 * * *'), scope: { organizations: ['acme'] } });
      await vault.create({ name: 'Others', offered: true, ...schedule('0 4 * * *'), scope: { organizations: ['umbrella'] } });
      await vault.create({ name: 'Secret', ...schedule('0 5 * * *'), scope: { organizations: ['umbrella'] } });
    });
    const effective = async (n: number) => {
      const view = await vault.one.views.effective(ids[n - 1] ?? '');
      return [view.schedule?.from?.policyName, view.schedule?.from?.chosen, view.choice?.accepted];
    };

    it.each<[string, string, unknown[]]>([
      ['an offered policy', 'gold', ['Gold', true, true]],
      ['one that is offered to others', 'Others', ['House', false, false]],
      ['one that is not offered', 'House', ['House', false, false]],
      ['one that is not there', 'Platinum', ['House', false, false]],
    ])('chooses %s', async (_what, value, expected) => {
      vault.metadata.set(urnOf(1), choice(value));
      expect(await effective(1)).toEqual(expected);
      expect(await effective(2)).toEqual(['House', false, undefined]);
      const { warnings } = await vault.one.views.effective(ids[0] ?? '');
      const sentence = `Its metadata "vapp-vault.policy" is "${value}", and no policy of that name is offered for it; what holds without it goes on.`;
      expect(warnings.filter((warning) => warning.startsWith('Its metadata'))).toEqual(expected[2] === true ? [] : [sentence]);
    });

    it('keeps its choice while VCD does not answer', async () => {
      vault.metadata.set(urnOf(1), choice('Gold'));
      await vault.rounds();
      await vault.refreshMetadata();
      vault.vcdAnswers = false;
      vault.clock.forward(120_000);
      await vault.refreshMetadata();
      expect(await effective(1)).toEqual(['Gold', true, true]);
      expect((await vault.one.views.effective(ids[0] ?? '')).warnings).toContainEqual(expect.stringContaining('what was read last holds'));
    });

    it('has its choice also where its cloud was registered anew since it was first seen', async () => {
      vault.metadata.set(urnOf(1), choice('Gold'));
      await vault.rounds();
      await vault.query(
        `INSERT INTO policy_objects (vapp_id, cloud_id) VALUES ($1, 'the former')
        ON CONFLICT (vapp_id) DO UPDATE SET cloud_id = 'the former', schedule_key = NULL, since_at = NULL`,
        [ids[0]],
      );
      await vault.refreshMetadata();
      await vault.rounds();
      const named = await vault.query('SELECT cloud_id, schedule_policy FROM policy_objects WHERE vapp_id = $1', [ids[0]]);
      expect(named).toEqual([{ cloud_id: CLOUD, schedule_policy: 'Gold' }]);
    });

    it('may take it back', async () => {
      vault.metadata.set(urnOf(1), choice('Gold'));
      expect(await effective(1)).toEqual(['Gold', true, true]);
      vault.metadata.clear();
      expect(await effective(1)).toEqual(['House', false, undefined]);
    });
  });

  it('a policy by metadata holds for what carries them', async () => {
    const metadata = [{ key: 'tier', type: 'MetadataStringValue', value: 'gold' }];
    await vault.create({ name: 'by tier', scope: { metadata }, ...last(3) });
    vault.metadata.set(urnOf(2), [{ key: 'tier', type: 'MetadataStringValue', value: 'GOLD', domain: 'GENERAL', visibility: 'READWRITE' }]);
    await vault.rounds();
    await vault.refreshMetadata();
    const views = await Promise.all(ids.map((id) => vault.one.views.effective(id)));
    expect(views.map(({ retention }) => retention?.from?.policyName)).toEqual([undefined, 'by tier', undefined]);
  });

  describe('a preview', () => {
    it('shows next runs and what would be removed and why, and changes nothing', async () => {
      const policy = await vault.create({
        name: 'house',
        ...last(2),
        schedule: { cron: '30 2 * * *', timeZone: 'Europe/Berlin', spreadMinutes: 0 },
        scope: { vappNames: ['vapp 0001', 'nothing'] },
      });
      const points = await vault.addDailyPoints(ids[0] ?? '', 3);
      const preview = await vault.one.views.preview(policy.id, { count: 2, limit: 10 });
      expect(preview).toMatchObject({ objectCount: 1, removedCount: 1, warnings: [expect.stringContaining('"nothing"')] });
      expect(preview.objects).toMatchObject([
        {
          name: 'vapp 0001',
          organizationName: 'acme',
          scheduleFrom: 'house',
          retentionFrom: 'house',
          nextRuns: [
            { dueAt: '2026-11-21T01:30:00.000Z', startAt: '2026-11-21T01:30:00.000Z' },
            { dueAt: '2026-11-22T01:30:00.000Z', startAt: '2026-11-22T01:30:00.000Z' },
          ],
          restorePoints: [
            { id: points[2], kept: true, reasons: ['one of the last 2', 'the last complete one'] },
            { id: points[1], kept: true },
            { id: points[0], kept: false, reasons: ['not one of the last 2 complete ones'] },
          ],
        },
      ]);
      expect(await vault.pointIds(ids[0] ?? '')).toHaveLength(3);
    });

    it('shows that a policy which is switched off removes nothing', async () => {
      const policy = await vault.create({ name: 'house', ...last(1), enabled: false });
      await vault.addDailyPoints(ids[0] ?? '', 3);
      const { removedCount, objects } = await vault.one.views.preview(policy.id, { count: 1, limit: 1 });
      expect(removedCount).toBe(0);
      expect(objects[0]?.restorePoints.map(({ kept, reasons }) => [kept, reasons])).toEqual([
        [true, ['one of the last 1', 'the last complete one']],
        ...Array(2).fill([true, ['the policy that rules it is switched off']]),
      ]);
    });

    it('of the first policy that is offered shows whom its tenants have chosen it for', async () => {
      vault.metadata.set(urnOf(2), choice('Gold'));
      vault.metadata.set(urnOf(3), choice('Silver'));
      await vault.addDailyPoints(ids[1] ?? '', 3);
      const gold = vault.policy({ name: 'Gold', offered: true, ...last(1) });
      const preview = await vault.one.views.previewUnsaved(gold, undefined, { count: 1, limit: 10 });
      expect(preview).toMatchObject({ objectCount: 1, removedCount: 2, objects: [{ name: 'vapp 0002', retentionFrom: 'Gold' }] });
      const elsewhere = vault.policy({ name: 'Gold', offered: true, ...last(1), scope: { vappNames: ['vapp 0003'] } });
      expect((await vault.one.views.previewUnsaved(elsewhere, undefined, { count: 1, limit: 10 })).objectCount).toBe(0);
    });

    it('shows an objective begin as early as what the last run took makes rounds begin it', async () => {
      const { id } = await vault.create({ scope: { vappNames: ['vapp 0001'] }, schedule: { rpoHours: 10, spreadMinutes: 0 } });
      await vault.addPoint(ids[0] ?? '', '2026-11-20T10:00:00Z');
      await vault.rounds();
      const first = async () => (await vault.one.views.preview(id, { count: 1, limit: 1 })).objects[0]?.nextRuns[0]?.startAt;
      expect(await first()).toBe('2026-11-20T19:00:00.000Z');
      await vault.query(
        `INSERT INTO policy_occurrences (vapp_id, due_at, policy_id, policy_name, state, run_id, duration_ms)
         VALUES ($1, '2026-11-20T05:00:00Z', $2, 'it', 'done', 'a run', 3 * 3600000)`,
        [ids[0], id],
      );
      expect(await first()).toBe('2026-11-20T15:00:00.000Z');
      expect((await vault.one.views.effective(ids[0] ?? '')).nextRunAt).toBe('2026-11-20T15:00:00.000Z');
      vault.clock.set('2026-11-20T15:00:00Z');
      await vault.rounds();
      expect(await vault.ended()).toHaveLength(1);
    });

    describe('of runs that do not follow from their schedule alone', () => {
      const nextRuns = async (id: string) => {
        const { objects } = await vault.one.views.preview(id, { count: 2, limit: 1 });
        const found = objects[0]?.nextRuns ?? [];
        expect((await vault.one.views.effective(ids[0] ?? '')).nextRunAt).toBe(found[0]?.startAt);
        return found.map(({ dueAt, startAt }) => [dueAt.slice(5, 16), startAt.slice(5, 16)]);
      };
      const nightly = { scope: { vappNames: ['vapp 0001'] }, schedule: { cron: '0 2 * * *', timeZone: 'UTC', spreadMinutes: 60 } };

      it('shows one that catches up after a pause begin when rounds begin it', async () => {
        const { id } = await vault.create(nightly);
        await vault.rounds();
        await vault.query(`UPDATE policy_clock SET looked_at = looked_at - interval '1 day'`);
        vault.clock.set('2026-11-21T12:00:00Z');
        await vault.rounds();
        const startMs = Date.parse('2026-11-21T12:00:00Z') + Math.floor(placeInSpread(ids[0] ?? '') * 60) * 60_000;
        expect((await nextRuns(id))[0]).toEqual(['11-21T02:00', new Date(startMs).toISOString().slice(5, 16)]);
        expect(await vault.runsOf()).toEqual([]);
        vault.clock.set(new Date(startMs + 60_000).toISOString());
        await vault.rounds();
        expect(await vault.ended()).toHaveLength(1);
      });

      it('shows one that waits for its next attempt, and no other one of an objective before it', async () => {
        const schedule = { rpoHours: 4, timeZone: 'UTC', spreadMinutes: 0 };
        const { id } = await vault.create({ ...nightly, schedule, retry: { attempts: 1, delayMinutes: 90 } });
        vault.backup = async () => {
          throw new TestError('vCenter is away', { code: 'HOST_UNREACHABLE', retryable: true });
        };
        await vault.rounds();
        await vault.ended();
        await vault.rounds();
        expect(await nextRuns(id)).toEqual([
          ['11-20T12:00', '11-20T13:30'],
          ['11-20T17:06', '11-20T17:06'],
        ]);
      });

      it('shows what follows one that is under way, as if it ended now', async () => {
        const { id } = await vault.create({ ...nightly, schedule: { rpoHours: 10, timeZone: 'UTC', spreadMinutes: 0 } });
        let free: () => void = () => undefined;
        const gate = new Promise<void>((resolve) => {
          free = resolve;
        });
        vault.backup = () => gate;
        await vault.rounds();
        await vault.running();
        try {
          expect((await nextRuns(id))[0]).toEqual(['11-20T21:00', '11-20T21:00']);
        } finally {
          free();
        }
        await vault.ended();
        await vault.rounds();
        expect((await nextRuns(id))[0]).toEqual(['11-20T21:00', '11-20T21:00']);
      });
    });

    it('shows what a change would do', async () => {
      const policy = await vault.create({ name: 'house', ...last(2) });
      await vault.addDailyPoints(ids[0] ?? '', 5);
      const changed = vault.policy({ name: 'house', ...last(1) });
      const options = { count: 5, limit: 10 };
      expect(await vault.one.views.previewUnsaved(changed, policy.id, options)).toMatchObject({ objectCount: 3, removedCount: 4 });
      const another = vault.policy({ name: 'mine', scope: { vappNames: ['vapp 0001'] }, ...last(4) });
      expect(await vault.one.views.previewUnsaved(another, undefined, options)).toMatchObject({
        objectCount: 1,
        removedCount: 1,
        objects: [{ retentionFrom: 'mine', nextRuns: [] }],
      });
      await expect(vault.one.views.previewUnsaved(changed, 'nobody', options)).rejects.toMatchObject({ code: 'POLICY_NOT_FOUND' });
      await expect(vault.one.views.preview('nobody', options)).rejects.toMatchObject({ code: 'POLICY_NOT_FOUND' });
    });
  });

  describe('a preview of a change that means fewer objects', () => {
    const options = { count: 2, limit: 10 };
    const tier = (value: string) => ({ metadata: [{ key: 'tier', type: 'MetadataStringValue' as const, value }] });
    const preview = async (policyId: string, over: Record<string, unknown>) => {
      const { objectCount, removedCount, warnings, objects } = await vault.one.views.previewUnsaved(vault.policy(over), policyId, options);
      return { objectCount, removedCount, warnings, shown: objects.map(({ name, retentionFrom }) => [name, retentionFrom]) };
    };
    const leaves = (count: string) => [expect.stringContaining(`${count} the policy means today, and would not mean any more`)];
    beforeEach(async () => {
      for (const id of ids.slice(0, 2)) await vault.addDailyPoints(id, 5);
    });

    it('tells what a wider policy would remove of the others', async () => {
      await vault.create({ name: 'house', ...last(1) });
      const { id } = await vault.create({ name: 'years', ...last(5), scope: { vappNames: ['vapp *'] } });
      await vault.rounds();
      expect(await preview(id, { name: 'years', ...last(5), scope: { vappNames: ['vapp 0001'] } })).toEqual({
        objectCount: 1,
        removedCount: 4,
        warnings: leaves('2 objects'),
        shown: [
          ['vapp 0001', 'years'],
          ['vapp 0002', 'house'],
          ['vapp 0003', 'house'],
        ],
      });
    });

    it('shows them where nothing holds for them then', async () => {
      const { id } = await vault.create({ name: 'years', ...last(1), scope: { vappNames: ['vapp 0001', 'vapp 0002'] } });
      expect(await preview(id, { name: 'years', ...last(1), scope: { vappNames: ['vapp 0001'] } })).toEqual({
        objectCount: 1,
        removedCount: 4,
        warnings: leaves('1 object'),
        shown: [
          ['vapp 0001', 'years'],
          ['vapp 0002', null],
        ],
      });
    });

    it('asks for the metadata of the new text alone', async () => {
      await vault.create({ name: 'house', ...last(1) });
      const { id } = await vault.create({ name: 'years', ...last(5), scope: tier('gold') });
      const entry = { key: 'tier', type: 'MetadataStringValue', domain: 'GENERAL', visibility: 'READWRITE' } as const;
      vault.metadata.set(urnOf(1), [{ ...entry, value: 'gold' }]);
      vault.metadata.set(urnOf(2), [{ ...entry, value: 'platinum' }]);
      await vault.rounds();
      await vault.refreshMetadata();
      expect(await preview(id, { name: 'years', ...last(5), scope: tier('platinum') })).toEqual({
        objectCount: 1,
        removedCount: 4,
        warnings: leaves('1 object'),
        shown: [
          ['vapp 0001', 'house'],
          ['vapp 0002', 'years'],
        ],
      });
    });

    it('counts what leaves with another cloud, unless it is not registered any more', async () => {
      await vault.create({ name: 'house', ...last(1) });
      const { id } = await vault.create({ name: 'years', ...last(5) });
      vault.registered.add('another');
      const elsewhere = { name: 'years', ...last(5), scope: { cloudId: 'another' } };
      expect(await preview(id, elsewhere)).toMatchObject({ objectCount: 0, removedCount: 8, warnings: leaves('3 objects') });
      vault.registered.delete(CLOUD);
      expect(await preview(id, elsewhere)).toEqual({ objectCount: 0, removedCount: 0, warnings: [], shown: [] });
    });
  });

  it('has one policy of a name, in any case of letters', async () => {
    const policy = await vault.create({ name: 'Gold' });
    await expect(vault.create({ name: 'GOLD' })).rejects.toMatchObject({ code: 'POLICY_NAME_EXISTS' });
    await expect(vault.one.policies.replace(policy.id, vault.policy({ name: 'gold' }))).resolves.toMatchObject({ name: 'gold' });
    await expect(vault.one.policies.replace('nobody', vault.policy({}))).rejects.toMatchObject({ code: 'POLICY_NOT_FOUND' });
    await expect(vault.one.policies.remove('nobody')).rejects.toMatchObject({ code: 'POLICY_NOT_FOUND' });
  });
});
