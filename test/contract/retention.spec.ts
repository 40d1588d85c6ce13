import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RestorePointService } from '../../src/catalog/restore-point.service.js';
import { LegalHoldService } from '../../src/catalog/legal-hold.service.js';
import type { VappRecord, VmRecord } from '../../src/vcd/index.js';
import { ORG, source, vapp, vm } from './catalog-fixture.js';
import { CLOUD, last, PolicyVault, TestError, urnOf } from './policies-fixture.js';

const HOUR_MS = 3_600_000;

describe('retention', () => {
  let vault: PolicyVault;
  let ids: string[];
  beforeAll(async () => {
    vault = await PolicyVault.start({ now: '2026-11-20T12:00:00Z', services: 1, vapps: 3 });
    ids = await vault.vappIds();
  });
  afterAll(() => vault?.close());
  beforeEach(() => vault.reset('2026-11-20T12:00:00Z'));

  const expire = async () => {
    await vault.rounds();
    const [run] = await vault.ended('retention', 1);
    return run;
  };

  it('deletes the oldest first, as a run with a report, and leaves the rest', async () => {
    await vault.create({ name: 'house', ...last(2) });
    const points = await vault.addDailyPoints(ids[0] ?? '', 5);
    const other = await vault.addDailyPoints(ids[1] ?? '', 2);
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

  it('deletes nothing for a day after a rebuild of the catalog: policies are entered again one by one', async () => {
    await vault.create({ ...last(2) });
    await vault.addDailyPoints(ids[0] ?? '', 5);
    await vault.query(`UPDATE restore_points SET adopted_at = '2026-11-20T11:00:00Z'`);
    for (const now of ['2026-11-20T12:00:00Z', '2026-11-21T10:59:00Z']) {
      vault.clock.set(now);
      // No silence of a day: somebody looks all the while.
      await vault.query('UPDATE policy_clock SET ticked_at = $1', [now]);
      await vault.rounds();
      expect(await vault.runsOf('retention')).toEqual([]);
    }
    vault.clock.set('2026-11-21T11:00:00Z');
    expect(await expire()).toMatchObject({ state: 'succeeded', result: { removed: 3 } });
  });

  it('deletes nothing of a cloud until VCD has said whom a policy means that was changed to ask for metadata', async () => {
    await vault.create({ name: 'house', ...last(1) });
    const years = await vault.create({ name: 'years', scope: { vappNames: ['vapp 000*'] }, retention: { keepDays: 3650 } });
    await vault.addDailyPoints(ids[0] ?? '', 3);
    await vault.rounds();
    await vault.one.policies.replace(
      years.id,
      vault.policy({ name: 'years', offered: true, scope: { vappNames: ['vapp 000*'] }, retention: { keepDays: 3650 } }),
    );
    vault.clock.forward(3_600_000);
    await vault.rounds();
    expect(await vault.runsOf('retention')).toEqual([]);
    vault.vcdAnswers = false;
    await vault.refreshMetadata();
    vault.clock.forward(3_600_000);
    await vault.rounds();
    expect(await vault.runsOf('retention')).toEqual([]);
    vault.vcdAnswers = true;
    await vault.refreshMetadata();
    vault.clock.forward(3_600_000);
    expect(await expire()).toMatchObject({ state: 'succeeded', result: { removed: 2 } });
  });

  it('leaves what is held, locked, read, partial or the last', async () => {
    await vault.create({ ...last(1) });
    const vappId = ids[0] ?? '';
    const [held, read] = await vault.addDailyPoints(vappId, 3);
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

  it('removes partial restore points by the rule, but neither the last complete one nor the last with a VM', async () => {
    await vault.create({ ...last(2) });
    const vappId = ids[0] ?? '';
    const vms = (...names: string[]) => names.map((name) => ({ vmId: `${vappId} ${name}`, name, disks: [] }));
    const complete = await vault.addPoint(vappId, '2026-11-10T02:00:00Z', { vms: vms('web', 'db') });
    const partials: string[] = [];
    for (let day = 11; day < 19; day += 1) {
      const over = { complete: false, vms: day === 12 ? vms('db') : vms('web') };
      partials.push(await vault.addPoint(vappId, `2026-11-${day}T02:00:00Z`, over));
    }
    expect(await expire()).toMatchObject({ state: 'succeeded', result: { examined: 9, removed: 5 } });
    expect(await vault.pointIds(vappId)).toEqual([partials[7], partials[6], partials[1], complete]);
  });

  it('removes nothing because of a rule that was changed before its run began', async () => {
    const policy = await vault.create({ ...last(1) });
    await vault.addDailyPoints(ids[0] ?? '', 3);
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
    const points = await vault.addDailyPoints(ids[0] ?? '', 10);
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
    await vault.addDailyPoints(ids[0] ?? '', 3);
    await vault.rounds();
    await vault.ended('retention', 1);
    await vault.addDailyPoints(ids[1] ?? '', 3);
    vault.clock.forward(-2_000);
    await vault.rounds();
    expect(await vault.runsOf('retention')).toHaveLength(1);
    vault.clock.forward(2 * 3_600_000);
    await vault.rounds();
    await vault.ended('retention', 2);
  });

  it('is asked for by the next round, where a worker died while it made the runs', async () => {
    await vault.create({ ...last(1) });
    const points = await vault.addDailyPoints(ids[0] ?? '', 3);
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

  it('takes none for the newest whose deletion ended in the middle: the rule counts what can be restored', async () => {
    await vault.create({ ...last(1) });
    const points = await vault.addDailyPoints(ids[0] ?? '', 3);
    await vault.query('UPDATE restore_points SET deleting_at = now() WHERE id = $1', [points[2]]);
    expect(await expire()).toMatchObject({ state: 'succeeded', result: { examined: 2, removed: 1 } });
    expect(vault.deleted).toEqual([points[0]]);
    expect(await vault.pointIds(ids[0] ?? '')).toEqual([points[1]]);
    const { lastRestorePointAt } = await vault.one.views.effective(ids[0] ?? '');
    expect(lastRestorePointAt).toBe('2026-11-11T02:00:00.000Z');
  });

  it('goes on past a restore point that cannot be deleted, and names it', async () => {
    await vault.create({ ...last(1) });
    const points = await vault.addDailyPoints(ids[0] ?? '', 4);
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
    await vault.addDailyPoints(ids[0] ?? '', 3);
    await vault.rounds();
    expect(await vault.runsOf('retention')).toEqual([]);
  });

  it('waits a day after a long silence, or a jump of the clock', async () => {
    await vault.create({ retention: { keepDays: 30, timeZone: 'UTC' } });
    await vault.addDailyPoints(ids[0] ?? '', 3);
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
    const points = await vault.addDailyPoints(ids[0] ?? '', 8);
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
    const points = await vault.addDailyPoints(ids[2] ?? '', 2);
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
    const [point = ''] = await vault.addDailyPoints(ids[0] ?? '', 1);
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

  it('a legal hold of a policy holds from the moment the policy is there', async () => {
    const [point = ''] = await vault.addDailyPoints(ids[0] ?? '', 1);
    const [other = ''] = await vault.addDailyPoints(ids[1] ?? '', 1);
    await vault.rounds();
    await vault.create({ name: 'court', legalHold: true, scope: { vappNames: ['vapp 0001'] } });
    await expect(vault.one.removal.remove(point)).rejects.toMatchObject({
      code: 'RESTORE_POINT_HOLD_CONFLICT',
      message: expect.stringContaining('policy "court" holds all restore points of its objects'),
    });
    await vault.one.removal.remove(other);
    expect(vault.deleted).toEqual([other]);
  });

  describe('where VMs vanish', () => {
    const lone = vapp(77, { standalone: true });
    const shop = vapp(78);
    const others = () => Array.from({ length: ids.length }, (_, index) => vapp(index + 1));
    const inVcd = (vapps: VappRecord[], vms: VmRecord[] = []) =>
      vault.one.catalog.saveInventory(CLOUD, source([...others(), ...vapps], vms), { full: true });
    const house = { retention: { keepLast: 1 }, deletedObjects: { vapps: { keep: 'days', days: 7 } } };
    const pointOf = async ({ name }: VappRecord) => {
      const found = (await vault.one.catalog.listVapps({ cloudId: CLOUD, limit: 500 })).items.find((one) => one.name === name);
      return vault.addPoint(found?.id ?? '', '2026-11-10T02:00:00Z');
    };
    /** As if it had been missing for a month. */
    const afterAMonth = async () => {
      await vault.rounds();
      await vault.query(`UPDATE vanished_objects SET vanished_at = '2026-10-20T12:00:00Z'`);
      vault.clock.forward(2 * HOUR_MS);
      await vault.rounds();
      await vault.ended('retention', 0);
    };
    afterEach(() => inVcd([]));

    it('a hold that names a standalone VM by the VM’s URN lasts', async () => {
      const its = vm(77, lone);
      await inVcd([lone], [its]);
      const point = await pointOf(lone);
      await vault.create({ name: 'house', ...house });
      await vault.create({ name: 'court', legalHold: true, scope: { ids: [its.id] } });
      await inVcd([]);
      await afterAMonth();
      await expect(vault.one.removal.remove(point)).rejects.toMatchObject({ code: 'RESTORE_POINT_HOLD_CONFLICT' });
      expect(vault.deleted).toEqual([]);
    });

    it('a hold lasts while only VMs are left that its backups leave out', async () => {
      const db = vm(78, shop, { name: 'db' });
      const scratch = vm(79, shop, { name: 'scratch-1' });
      await inVcd([shop], [db, scratch]);
      const point = await pointOf(shop);
      await vault.create({ name: 'court', legalHold: true, scope: { vappNames: [shop.name], exclude: { vms: ['scratch*'] } } });
      await inVcd([shop], [scratch]);
      await vault.rounds();
      await expect(vault.one.removal.remove(point)).rejects.toMatchObject({ code: 'RESTORE_POINT_HOLD_CONFLICT' });
    });

    it('what a policy excludes by the URN of its VM stays excluded', async () => {
      const its = vm(77, lone);
      await inVcd([lone], [its]);
      await pointOf(lone);
      await vault.create({ name: 'house', ...house, scope: { exclude: { ids: [its.id] } } });
      await inVcd([]);
      await afterAMonth();
      expect(vault.deleted).toEqual([]);
    });

    it('what nobody excluded goes, so that the above could have', async () => {
      await inVcd([lone], [vm(77, lone)]);
      const point = await pointOf(lone);
      await vault.create({ name: 'house', ...house });
      await inVcd([]);
      await afterAMonth();
      expect(vault.deleted).toEqual([point]);
    });
  });

  it('a legal hold by metadata lets nothing of its cloud go until VCD has said whom it means', async () => {
    const [point = ''] = await vault.addDailyPoints(ids[0] ?? '', 1);
    const [other = ''] = await vault.addDailyPoints(ids[1] ?? '', 1);
    const entry = { key: 'case', type: 'MetadataStringValue', value: '4711' } as const;
    vault.metadata.set(urnOf(1), [{ ...entry, domain: 'GENERAL', visibility: 'READWRITE' }]);
    await vault.create({ name: 'court', legalHold: true, scope: { metadata: [entry] } });
    for (const id of [point, other]) {
      await expect(vault.one.removal.remove(id)).rejects.toMatchObject({
        code: 'RESTORE_POINT_HOLD_CONFLICT',
        message: expect.stringContaining('VCD has not said yet whether it is one of them'),
      });
    }
    await vault.rounds();
    await vault.refreshMetadata();
    await expect(vault.one.removal.remove(point)).rejects.toMatchObject({ message: expect.stringContaining('policy "court" holds all') });
    await vault.one.removal.remove(other);
    expect(vault.deleted).toEqual([other]);
  });

  it('a hold is known to the repository from the first to the last, and to whoever asks for ever', async () => {
    const holds = vault.service(LegalHoldService);
    const [point = ''] = await vault.addDailyPoints(ids[0] ?? '', 1);
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
});
