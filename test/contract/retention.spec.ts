import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RestorePointService } from '../../src/catalog/restore-point.service.js';
import { LegalHoldService } from '../../src/catalog/legal-hold.service.js';
import { ORG, source, vapp, vm } from './catalog-fixture.js';
import { CLOUD, choice, PolicyVault, TestError, urnOf } from './policies-fixture.js';

const DAY_MS = 24 * 3_600_000;
const last = (keepLast: number) => ({ retention: { keepLast, timeZone: 'UTC' } });

describe('retention and what policies mean', () => {
  let vault: PolicyVault;
  let ids: string[];
  beforeAll(async () => {
    vault = await PolicyVault.start({ now: '2026-11-20T12:00:00Z', services: 1, vapps: 3 });
    ids = await vault.vappIds();
  });
  afterAll(() => vault?.close());
  beforeEach(() => vault.reset('2026-11-20T12:00:00Z'));

  const daily = async (vappId: string, count: number) => {
    const made: string[] = [];
    for (let day = 0; day < count; day += 1)
      made.push(await vault.addPoint(vappId, new Date(Date.parse('2026-11-10T02:00:00Z') + day * DAY_MS).toISOString()));
    return made;
  };
  const expire = async () => {
    await vault.rounds();
    const [run] = await vault.ended('retention', 1);
    return run;
  };

  it('deletes the oldest first, as a run with a report, and leaves the rest', async () => {
    await vault.create({ name: 'house', ...last(2) });
    const points = await daily(ids[0] ?? '', 5);
    const other = await daily(ids[1] ?? '', 2);
    const run = await expire();
    expect(run).toMatchObject({
      state: 'succeeded',
      subject: 'restore points of organization "acme"',
      organizationId: ORG,
      result: { objects: 1, examined: 5, removed: 3, failed: 0, keptBack: [], skipped: [] },
    });
    expect(run?.result?.removals).toMatchObject([
      { restorePointId: points[0], vappName: 'vapp 0001', policyName: 'house', reasons: ['not one of the last 2 complete ones'] },
      { restorePointId: points[1] },
      { restorePointId: points[2] },
    ]);
    expect(vault.deleted).toEqual(points.slice(0, 3));
    expect(await vault.pointIds(ids[0] ?? '')).toEqual([points[4], points[3]]);
    expect(await vault.pointIds(ids[1] ?? '')).toEqual([other[1], other[0]]);
  });

  it('leaves what is held, locked, read, partial or the last', async () => {
    await vault.create({ ...last(1) });
    const vappId = ids[0] ?? '';
    const [held, read] = await daily(vappId, 3);
    const locked = await vault.addPoint(vappId, '2026-11-09T00:00:00Z', { lockedUntil: '2099-01-01T00:00:00.000Z' });
    const partial = await vault.addPoint(vappId, '2026-11-19T00:00:00Z', { complete: false });
    const gone = await vault.addPoint(vappId, '2026-11-08T00:00:00Z');
    const holds = vault.service(LegalHoldService);
    const hold = await holds.place(held ?? '', 'case 4711', 'ann');
    let reader: string | undefined = 'the restore of vApp "shop"';
    vault.service(RestorePointService).registerUse(async (id) => (id === read ? reader : undefined));
    const run = await expire();
    expect(run?.result).toMatchObject({ removed: 1, removals: [{ restorePointId: gone }] });
    expect(await vault.pointIds(vappId)).toHaveLength(5);
    for (const [id, code] of [
      [held, 'RESTORE_POINT_HOLD_CONFLICT'],
      [locked, 'RESTORE_POINT_LOCK_CONFLICT'],
      [read, 'RESTORE_POINT_IN_USE'],
    ]) {
      await expect(vault.one.removal.remove(id ?? '')).rejects.toMatchObject({ code });
    }
    await holds.release(hold.id, 'bob', 'closed');
    reader = undefined;
    vault.clock.forward(3_600_000);
    await vault.rounds();
    await vault.ended('retention', 2);
    const left = await vault.pointIds(vappId);
    expect(left).toContain(partial);
    expect(left).toContain(locked);
    expect(left).toHaveLength(3);
  });

  it('removes nothing because of a rule that was changed before its run began', async () => {
    const policy = await vault.create({ ...last(1) });
    await daily(ids[0] ?? '', 3);
    await vault.occupy(4);
    await vault.rounds();
    await vault.one.policies.replace(policy.id, vault.policy(last(7)));
    vault.free();
    const [run] = await vault.ended('retention', 1);
    const reason =
      'What policies say of "vapp 0001" has changed since this run was asked for, so nothing of it was deleted; the next retention goes by what they say now.';
    expect(run?.result).toMatchObject({ removed: 0, skipped: [{ vappName: 'vapp 0001', reason }] });
    expect(vault.deleted).toEqual([]);
  });

  it('judges by the time at which it was asked for, wherever the clock is when it begins', async () => {
    await vault.create({ retention: { keepDays: 8, timeZone: 'UTC' } });
    const points = await daily(ids[0] ?? '', 10);
    await vault.occupy(4);
    await vault.rounds();
    vault.clock.set('2036-11-20T12:00:00Z');
    vault.free();
    const [run] = await vault.ended('retention', 1);
    expect(run?.result).toMatchObject({ removed: 3 });
    expect(vault.deleted).toEqual(points.slice(0, 3));
  });

  it('has its turn once, though the clock of another service is behind', async () => {
    await vault.create({ ...last(1) });
    await daily(ids[0] ?? '', 3);
    await vault.rounds();
    await vault.ended('retention', 1);
    await daily(ids[1] ?? '', 3);
    vault.clock.forward(-2_000);
    await vault.rounds();
    expect(await vault.runsOf('retention')).toHaveLength(1);
    vault.clock.forward(2 * 3_600_000);
    await vault.rounds();
    await vault.ended('retention', 2);
  });

  it('is asked for by the next round, where a worker died while it made the runs', async () => {
    await vault.create({ ...last(1) });
    const points = await daily(ids[0] ?? '', 3);
    // The connection ends where a death would end it: in the middle of the transaction that makes the run.
    const dies = `CHECK (kind <> 'retention' OR pg_terminate_backend(pg_backend_pid()))`;
    await vault.query(`ALTER TABLE runs ADD CONSTRAINT worker_dies ${dies} NOT VALID`);
    try {
      await expect(vault.rounds()).rejects.toThrow();
    } finally {
      await vault.query('ALTER TABLE runs DROP CONSTRAINT worker_dies');
    }
    expect(await vault.runsOf('retention')).toEqual([]);
    vault.clock.forward(20_000);
    await vault.rounds();
    expect(await vault.ended('retention', 1)).toMatchObject([{ state: 'succeeded', result: { removed: 2 } }]);
    expect(vault.deleted).toEqual(points.slice(0, 2));
  });

  it('goes on past a restore point that cannot be deleted, and names it', async () => {
    await vault.create({ ...last(1) });
    const points = await daily(ids[0] ?? '', 4);
    const [broken = ''] = points;
    vault.undeletable.add(broken);
    const run = await expire();
    expect(run).toMatchObject({ state: 'warning', result: { removed: 2, failed: 1 } });
    expect(run?.warnings).toEqual([`Restore point ${broken} of "vapp 0001" could not be deleted: Its key file is damaged`]);
    expect(vault.deleted).toEqual(points.slice(1, 3));
  });

  it('does not run by a policy that is switched off, nor by one of the provider behind it', async () => {
    await vault.create({ ...last(1) });
    await vault.create({ scope: { organizations: ['acme'] }, enabled: false, ...last(30) });
    await daily(ids[0] ?? '', 3);
    await vault.rounds();
    expect(await vault.runsOf('retention')).toEqual([]);
  });

  it('waits a day after a long silence, or a jump of the clock', async () => {
    await vault.create({ retention: { keepDays: 30, timeZone: 'UTC' } });
    await daily(ids[0] ?? '', 3);
    await vault.rounds();
    vault.clock.set('2027-11-20T12:00:00Z');
    await vault.rounds();
    expect(await vault.runsOf('retention')).toEqual([]);
    for (let hour = 0; hour < 24; hour += 2) {
      vault.clock.forward(2 * 3_600_000);
      await vault.rounds();
    }
    expect(await vault.ended('retention', 1)).toMatchObject([{ result: { removed: 2 } }]);
  });

  it('goes on after a failure of the repository, and gives up when it is away', async () => {
    await vault.create({ ...last(1) });
    const points = await daily(ids[0] ?? '', 8);
    vault.failDeletion = new TestError('The repository is away', { code: 'STORE_UNREACHABLE', retryable: true });
    const run = await expire();
    expect(run).toMatchObject({ state: 'failed', error: { code: 'STORE_UNREACHABLE' } });
    expect(await vault.pointIds(ids[0] ?? '')).toHaveLength(8);
    vault.failDeletion = undefined;
    vault.clock.forward(3_600_000);
    await vault.rounds();
    await vault.ended('retention', 2);
    expect(await vault.pointIds(ids[0] ?? '')).toEqual([points[7]]);
  });

  it('knows since when an object is gone, and counts its days from there', async () => {
    await vault.create({ deletedObjects: { vapps: { keep: 'days', days: 1 } } });
    const points = await daily(ids[2] ?? '', 2);
    await vault.one.catalog.saveInventory(CLOUD, source([vapp(1), vapp(2)]), { full: true });
    await vault.rounds();
    expect(await vault.runsOf('retention')).toEqual([]);
    for (let hour = 0; hour < 24; hour += 2) {
      vault.clock.forward(2 * 3_600_000);
      await vault.rounds();
    }
    await vault.ended('retention', 1);
    expect(vault.deleted).toEqual(points);
    await vault.inventory(3);
    await vault.rounds();
    expect(await vault.query('SELECT * FROM vanished_objects')).toEqual([]);
  });

  it('keeps the last restore point of a VM that was deleted from its vApp', async () => {
    const [vappId = ''] = ids;
    const shop = vapp(1);
    const others = [vapp(2), vapp(3)];
    await vault.one.catalog.saveInventory(CLOUD, source([shop, ...others], [vm(1, shop), vm(2, shop)]), { full: true });
    const vms = (await vault.one.catalog.vmsOfVapps([vappId])).get(vappId) ?? [];
    const having = (count: number) => vms.slice(0, count).map(({ id, name }) => ({ vmId: id, name, disks: [] }));
    const old = await vault.addPoint(vappId, '2026-11-10T02:00:00Z', { vms: having(2) });
    const lastWithBoth = await vault.addPoint(vappId, '2026-11-11T02:00:00Z', { vms: having(2) });
    const newest = await vault.addPoint(vappId, '2026-11-12T02:00:00Z', { vms: having(1) });
    await vault.create({ ...last(1), deletedObjects: { vms: { keep: 'days', days: 2 } } });
    await vault.one.catalog.saveInventory(CLOUD, source([shop, ...others], [vm(1, shop)]), { full: true });
    await expire();
    expect(vault.deleted).toEqual([old]);
    for (let hour = 0; hour < 48; hour += 2) {
      vault.clock.forward(2 * 3_600_000);
      await vault.rounds();
    }
    await vault.ended('retention', 2);
    expect(vault.deleted).toEqual([old, lastWithBoth]);
    expect(await vault.pointIds(vappId)).toEqual([newest]);
  });

  it('a legal hold of a policy keeps restore points from people, too, until it is lifted', async () => {
    const policy = await vault.create({ name: 'court', legalHold: true });
    const [point = ''] = await daily(ids[0] ?? '', 1);
    await vault.rounds();
    await expect(vault.one.removal.remove(point)).rejects.toMatchObject({
      code: 'RESTORE_POINT_HOLD_CONFLICT',
      message: expect.stringContaining('policy "court" holds all restore points of its objects'),
    });
    await vault.one.policies.remove(policy.id);
    await vault.rounds();
    await vault.one.removal.remove(point);
    expect(vault.deleted).toEqual([point]);
  });

  it('a hold is known to the repository from the first to the last, and to whoever asks for ever', async () => {
    const holds = vault.service(LegalHoldService);
    const [point = ''] = await daily(ids[0] ?? '', 1);
    const first = await holds.place(point, 'case 1', 'ann');
    const second = await holds.place(point, 'case 2', 'bob');
    await holds.release(first.id, 'ann', 'over');
    await expect(vault.one.removal.remove(point)).rejects.toMatchObject({ message: expect.stringContaining('bob ("case 2")') });
    await holds.release(second.id, 'eve', 'by order');
    await holds.release(second.id, 'mallory', 'again');
    expect(vault.held.filter((entry) => entry.startsWith(point))).toEqual([
      `${point} true`,
      `${point} true`,
      `${point} false`,
      `${point} false`,
    ]);
    await vault.one.removal.remove(point);
    expect(await holds.list(point)).toMatchObject([
      { reason: 'case 1', placedBy: 'ann', releasedBy: 'ann', releaseReason: 'over' },
      { reason: 'case 2', placedBy: 'bob', releasedBy: 'eve', releaseReason: 'by order' },
    ]);
    await expect(holds.place(point, 'late', 'ann')).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
    await expect(holds.release(first.id, 'ann', 'again')).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
    await expect(holds.release('nobody', 'ann', 'again')).rejects.toMatchObject({ code: 'HOLD_NOT_FOUND' });
  });

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
      const points = await daily(ids[0] ?? '', 3);
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

    it('shows what a change would do', async () => {
      const policy = await vault.create({ name: 'house', ...last(2) });
      await daily(ids[0] ?? '', 5);
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

  it('has one policy of a name, in any case of letters', async () => {
    const policy = await vault.create({ name: 'Gold' });
    await expect(vault.create({ name: 'GOLD' })).rejects.toMatchObject({ code: 'POLICY_NAME_EXISTS' });
    await expect(vault.one.policies.replace(policy.id, vault.policy({ name: 'gold' }))).resolves.toMatchObject({ name: 'gold' });
    await expect(vault.one.policies.replace('nobody', vault.policy({}))).rejects.toMatchObject({ code: 'POLICY_NOT_FOUND' });
    await expect(vault.one.policies.remove('nobody')).rejects.toMatchObject({ code: 'POLICY_NOT_FOUND' });
  });
});
