import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { placeInSpread } from '../../src/policy/rules/due.js';
import { PolicyAlerts } from '../../src/policy/index.js';
import { ORG } from './catalog-fixture.js';
import { CLOUD, PolicyVault, TestError } from './policies-fixture.js';

const HOUR_MS = 3_600_000;
const { signal } = new AbortController();
const nightly = { schedule: { cron: '0 2 * * *', timeZone: 'UTC', spreadMinutes: 0 } };

describe('policies that two services look after', () => {
  let vault: PolicyVault;
  beforeAll(async () => {
    vault = await PolicyVault.start({ now: '2026-11-20T12:00:00Z', services: 2, vapps: 12 });
  });
  afterAll(() => vault?.close());
  beforeEach(() => vault.reset('2026-11-20T12:00:00Z'));

  const states = async () =>
    (await vault.query<{ state: string }>('SELECT state FROM policy_occurrences ORDER BY due_at, vapp_id')).map(({ state }) => state);

  /** A backup that ends only when it is told to, of a policy that lets none run by day. */
  const backUpAtNight = async () => {
    await vault.create({
      name: 'nights',
      scope: { vappNames: ['vapp 0001'] },
      schedule: { ...nightly.schedule, stopWindows: [{ from: '06:00', to: '20:00' }] },
    });
    await vault.rounds();
    vault.clock.set('2026-11-21T02:00:00Z');
    vault.backup = (_payload, run) =>
      new Promise((_resolve, reject) => run.signal.addEventListener('abort', () => reject(run.signal.reason)));
    await vault.rounds();
    await vault.running();
  };

  it('make one run for each object that is due, however often they look', async () => {
    await vault.create(nightly);
    await vault.rounds();
    expect(await vault.runsOf()).toEqual([]);
    vault.clock.set('2026-11-21T02:00:00Z');
    for (let look = 0; look < 3; look += 1) await vault.roundsTogether();
    await vault.rounds();
    const runs = await vault.ended('backup', 12);
    expect(runs).toHaveLength(12);
    expect(new Set(runs.map(({ subject }) => subject)).size).toBe(12);
    expect(runs.every(({ state }) => state === 'succeeded')).toBe(true);
    await vault.roundsTogether();
    expect(await vault.runsOf()).toHaveLength(12);
    expect(await states()).toEqual(Array(12).fill('done'));
  });

  it('catch up once after days without a service', async () => {
    await vault.create({ ...nightly, scope: { vappNames: ['vapp 0001'] } });
    await vault.rounds();
    vault.clock.set('2026-11-29T17:00:00Z');
    await vault.roundsTogether();
    await vault.ended('backup', 1);
    await vault.roundsTogether();
    expect(await vault.runsOf()).toHaveLength(1);
    const due = await vault.query<{ due_at: Date }>('SELECT due_at FROM policy_occurrences');
    expect(due.map(({ due_at }) => due_at.toISOString())).toEqual(['2026-11-29T02:00:00.000Z']);
  });

  it('make one run for each due time, wherever the clock jumps', async () => {
    await vault.create({ ...nightly, scope: { vappNames: ['vapp 0001'] } });
    await vault.rounds();
    // A day ahead, and back: what was due then has been made, early.
    for (const now of ['2026-11-21T12:00:00Z', '2026-11-20T12:00:00Z', '2026-11-21T02:00:00Z', '2026-11-21T12:00:00Z']) {
      vault.clock.set(now);
      await vault.roundsTogether();
      await vault.ended('backup', 1);
    }
    // A day back, and ahead.
    for (const now of ['2026-11-20T12:00:00Z', '2026-11-22T02:00:00Z', '2026-11-22T12:00:00Z', '2026-11-23T02:00:00Z']) {
      vault.clock.set(now);
      await vault.roundsTogether();
      await vault.ended('backup', 1);
    }
    const due = await vault.query<{ due_at: Date }>('SELECT due_at FROM policy_occurrences ORDER BY due_at');
    expect(due.map(({ due_at }) => due_at.toISOString().slice(0, 13))).toEqual(['2026-11-21T02', '2026-11-22T02', '2026-11-23T02']);
    expect(await vault.runsOf()).toHaveLength(3);
  });

  it('spread what is due', async () => {
    await vault.create({ schedule: { cron: '0 14 * * *', timeZone: 'UTC', spreadMinutes: 60 } });
    await vault.rounds();
    vault.clock.set('2026-11-20T14:30:00Z');
    await vault.rounds();
    const firstHalf = (await vault.vappIds()).filter((id) => placeInSpread(id) <= 0.5);
    expect(await vault.runsOf()).toHaveLength(firstHalf.length);
    vault.clock.set('2026-11-20T15:00:00Z');
    await vault.rounds();
    expect(await vault.ended('backup', 12)).toHaveLength(12);
  });

  it('leave an object that a restore or a backup by hand has for the next round', async () => {
    await vault.create({ ...nightly, scope: { vappNames: ['vapp 0001'] } });
    await vault.rounds();
    const [vappId] = await vault.vappIds();
    let release = () => {};
    vault.backup = () => new Promise((resolve) => (release = resolve));
    const payload = { vappId, restorePointId: 'by-hand', settings: {} };
    const byHand = await vault.one.runs.create('backup', 'vApp "vapp 0001"', payload, {
      organizationId: 'o',
      exclusiveKey: `vapp:${vappId}`,
    });
    await vault.running();
    vault.clock.set('2026-11-21T02:00:00Z');
    await vault.roundsTogether();
    expect(await vault.runsOf()).toHaveLength(1);
    expect(await states()).toEqual([]);
    vault.backup = async () => undefined;
    release();
    await vault.ended();
    await vault.roundsTogether();
    expect((await vault.ended('backup', 2)).map(({ id }) => id)).toContain(byHand.id);
    expect(await states()).toEqual(['made']);
  });

  it('stop what runs into a window that stops, and begin it again in the next one', async () => {
    await backUpAtNight();
    vault.clock.set('2026-11-21T05:59:00Z');
    await vault.rounds();
    expect((await vault.running()).length).toBe(1);
    vault.clock.set('2026-11-21T06:00:00Z');
    await vault.roundsTogether();
    const [stopped] = await vault.ended();
    expect(stopped).toMatchObject({
      state: 'cancelled',
      error: { code: 'CANCELLED', message: 'Policy "nights" lets no backup run at this time; it is begun again when it may.' },
    });
    vault.backup = async () => undefined;
    await vault.rounds();
    vault.clock.set('2026-11-21T19:59:00Z');
    await vault.rounds();
    expect(await states()).toEqual(['waiting']);
    vault.clock.set('2026-11-21T20:00:00Z');
    await vault.roundsTogether();
    const runs = await vault.ended('backup', 2);
    expect(runs.map(({ state }) => state)).toEqual(['cancelled', 'succeeded']);
    await vault.rounds();
    expect(await vault.query('SELECT state, attempt FROM policy_occurrences')).toEqual([{ state: 'done', attempt: 2 }]);
  });

  it('try again what failed in a way that may pass, as often as the policy says', async () => {
    await vault.create({ ...nightly, scope: { vappNames: ['vapp 0001'] }, retry: { attempts: 1, delayMinutes: 10 } });
    await vault.rounds();
    vault.backup = async () => {
      throw new TestError('vCenter is away', { code: 'HOST_UNREACHABLE', retryable: true });
    };
    vault.clock.set('2026-11-21T02:00:00Z');
    await vault.rounds();
    await vault.ended();
    await vault.rounds();
    expect(await states()).toEqual(['waiting']);
    vault.clock.set('2026-11-21T02:09:00Z');
    await vault.rounds();
    expect(await vault.runsOf()).toHaveLength(1);
    vault.clock.set('2026-11-21T02:10:00Z');
    await vault.roundsTogether();
    await vault.ended('backup', 2);
    await vault.rounds();
    expect(await states()).toEqual(['failed']);
    await vault.rounds();
    expect(await vault.runsOf()).toHaveLength(2);
  });

  it.each<[string, (id: string) => Promise<unknown>]>([
    ['switched off', (id) => vault.one.policies.replace(id, vault.policy({ ...nightly, enabled: false }))],
    ['deleted', (id) => vault.one.policies.remove(id)],
  ])('make no run of a policy that is %s, and take back those that wait', async (_what, change) => {
    const policy = await vault.create(nightly);
    await vault.rounds();
    vault.clock.set('2026-11-21T02:00:00Z');
    let release = () => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    vault.backup = () => gate;
    await vault.rounds();
    await vault.running(8);
    await change(policy.id);
    await vault.rounds();
    release();
    const runs = await vault.ended('backup', 12);
    expect(runs.filter(({ state }) => state === 'cancelled').map(({ error }) => error?.message)).toEqual(
      Array(4).fill(`Policy "${policy.name}" does not ask for this backup any more.`),
    );
    vault.clock.set('2026-11-22T02:00:00Z');
    await vault.rounds();
    expect(await vault.runsOf()).toHaveLength(12);
  });

  it.each<[string, boolean]>([
    ['its run waited', false],
    ['a retry of its run waited', true],
  ])('that are switched off and on again begin with their next time: %s', async (_what, retry) => {
    const one = { ...nightly, scope: { vappNames: ['vapp 0001'] }, retry: { attempts: 3, delayMinutes: 10 } };
    const policy = await vault.create(one);
    const turn = async (enabled: boolean, now: string) => {
      await vault.one.policies.replace(policy.id, vault.policy({ ...one, enabled }));
      vault.clock.set(now);
      await vault.rounds();
      await vault.rounds();
    };
    await vault.rounds();
    vault.clock.set('2026-11-21T02:00:00Z');
    if (retry) vault.backup = () => Promise.reject(new TestError('busy', { code: 'BUSY', retryable: true }));
    else await vault.occupy(8);
    await vault.rounds();
    if (retry) await vault.ended();
    await turn(false, '2026-11-21T02:01:00Z');
    vault.backup = async () => undefined;
    vault.free();
    await vault.ended();
    await vault.rounds();
    const before = (await vault.runsOf()).length;
    await turn(true, '2026-12-24T14:00:20Z');
    vault.clock.set('2026-12-25T01:59:00Z');
    await vault.rounds();
    expect(await vault.runsOf()).toHaveLength(before);
    vault.clock.set('2026-12-25T02:00:00Z');
    await vault.rounds();
    expect(await vault.runsOf()).toHaveLength(before + 1);
  });

  it('begin a schedule that was changed with its next time', async () => {
    const policy = await vault.create({ ...nightly, scope: { vappNames: ['vapp 0001'] } });
    await vault.rounds();
    vault.clock.set('2026-11-20T12:30:00Z');
    const earlier = { ...nightly.schedule, cron: '0 11 * * *' };
    await vault.one.policies.replace(policy.id, vault.policy({ scope: { vappNames: ['vapp 0001'] }, schedule: earlier }));
    await vault.rounds();
    vault.clock.set('2026-11-21T10:59:00Z');
    await vault.rounds();
    expect(await vault.runsOf()).toEqual([]);
    vault.clock.set('2026-11-21T11:00:00Z');
    await vault.rounds();
    expect(await vault.ended()).toHaveLength(1);
  });

  it('freeze into a run what holds for its object', async () => {
    await vault.create({ name: 'house', ...nightly, settings: { quiesce: 'crash', parallelVms: 3 }, lockDays: 7 });
    await vault.create({
      name: 'mine',
      scope: { vappNames: ['vapp 0001'], exclude: { vms: ['*-scratch'] } },
      schedule: nightly.schedule,
      settings: { exclude: { vms: ['tmp'] }, quiesce: 'application' },
    });
    await vault.rounds();
    vault.clock.set('2026-11-21T02:00:00Z');
    await vault.rounds();
    await vault.ended('backup', 12);
    const [first, second] = await vault.query<{ payload: unknown }>(`SELECT payload FROM runs WHERE kind = 'backup' ORDER BY subject`);
    expect(first?.payload).toMatchObject({
      policy: { name: 'mine', dueAt: '2026-11-21T02:00:00.000Z' },
      settings: { quiesce: 'application', parallelVms: 3, lockDays: 7, exclude: { vms: ['tmp', '*-scratch'], disks: [] } },
    });
    expect(second?.payload).toMatchObject({ policy: { name: 'house' }, settings: { quiesce: 'crash', exclude: { vms: [], disks: [] } } });
  });

  it('stop what runs into a window that stops although the worker that noted why died before it asked', async () => {
    await backUpAtNight();
    await vault.query(`UPDATE policy_occurrences SET stop_reason = 'It must not run now.'`);
    vault.clock.set('2026-11-21T06:00:00Z');
    await vault.rounds();
    expect((await vault.ended())[0]).toMatchObject({ state: 'cancelled' });
    await vault.rounds();
    expect(await states()).toEqual(['waiting']);
  });

  it('say that no worker looks at them, once there is one that is on', async () => {
    const stalled = () => vault.service(PolicyAlerts).stalled();
    const pass = (interval: string) => vault.query(`UPDATE policy_clock SET looked_at = looked_at - $1::interval`, [interval]);
    await vault.rounds();
    await pass('1 hour');
    expect(await stalled()).toEqual([]);
    await vault.create(nightly);
    const [{ lookedAt }] = (await vault.query<{ lookedAt: Date }>('SELECT looked_at AS "lookedAt" FROM policy_clock')) as [
      { lookedAt: Date },
    ];
    expect(await stalled()).toMatchObject([
      {
        key: 'policies',
        severity: 'critical',
        message: expect.stringMatching(`^No worker has looked at the policies since ${lookedAt.toISOString()}, `),
      },
    ]);
    await vault.rounds();
    await pass('24 minutes');
    // The clock of the machine that asks is another one than that of the worker.
    vault.clock.forward(HOUR_MS);
    expect(await stalled()).toEqual([]);
  });

  it('say that each look fails, or that one does not end, while somebody looks', async () => {
    const stalled = () => vault.service(PolicyAlerts).stalled();
    const pass = () => vault.query(`UPDATE policy_clock SET done_at = done_at - interval '31 minutes'`);
    await vault.create(nightly);
    await vault.rounds();
    vault.broken.add(CLOUD);
    await expect(vault.one.rounds.round(signal)).rejects.toThrow(/Its row cannot be read/);
    expect(await stalled()).toEqual([]);
    await pass();
    expect(await stalled()).toMatchObject([
      {
        key: 'policies',
        severity: 'critical',
        message: expect.stringMatching(
          /^No look at the policies went well since .* deleted; the last one failed: .* in cloud "cloud-of-policies" .*: Its row cannot be read$/,
        ),
      },
    ]);
    vault.broken.clear();
    await vault.rounds();
    expect(await stalled()).toEqual([]);
    await pass();
    expect(await stalled()).toMatchObject([{ message: expect.stringMatching(/; one is under way and does not end: look at the log/) }]);
  });

  it('of a cloud that cannot be looked at keep no other one from being backed up', async () => {
    vault.registered.add('another');
    await vault.create({ ...nightly, scope: { cloudId: 'another' } });
    await vault.create(nightly);
    vault.broken.add('another');
    await expect(vault.one.rounds.round(signal)).rejects.toThrow(/in cloud "another"/);
    vault.clock.set('2026-11-21T02:00:00Z');
    await expect(vault.one.rounds.round(signal)).rejects.toThrow(/in cloud "another"/);
    expect(await vault.ended('backup', 12)).toHaveLength(12);
  });

  it('take back no run of a cloud that cannot be looked at', async () => {
    await vault.create(nightly);
    await vault.rounds();
    await vault.occupy(8);
    vault.clock.set('2026-11-21T02:00:00Z');
    await vault.rounds();
    const waiting = async () => (await vault.runsOf()).filter(({ state }) => state === 'queued').map(({ id }) => id);
    const before = await waiting();
    expect(before).toHaveLength(12);
    vault.broken.add(CLOUD);
    await expect(vault.one.rounds.round(signal)).rejects.toThrow(/in cloud/);
    vault.broken.clear();
    await vault.rounds();
    expect(await waiting()).toEqual(before);
    vault.free();
    await vault.ended('backup', 20);
  });

  it('say whose restore points are too old, until there is one', async () => {
    await vault.create({
      name: 'four hours',
      scope: { vappNames: ['vapp 0001'] },
      schedule: { rpoHours: 4, timeZone: 'UTC', spreadMinutes: 0 },
    });
    vault.backup = async () => {
      throw new TestError('no', { code: 'NO' });
    };
    const missed = () => vault.service(PolicyAlerts).missedRpo();
    await vault.rounds();
    await vault.ended('backup', 1);
    vault.clock.forward(3 * HOUR_MS);
    await vault.rounds();
    await vault.ended('backup', 2);
    expect(await missed()).toEqual([]);
    vault.clock.forward(1.5 * HOUR_MS);
    await vault.rounds();
    await vault.ended('backup', 3);
    expect(await missed()).toEqual([
      {
        key: (await vault.vappIds())[0],
        severity: 'critical',
        organizationId: ORG,
        subject: '"vapp 0001"',
        message:
          '"vapp 0001" has no complete restore point, and policy "four hours" wants one since 2026-11-20T16:00:00.000Z; look at its runs.',
        details: { policyName: 'four hours', sinceAt: '2026-11-20T16:00:00.000Z', lastRestorePointAt: null },
      },
    ]);
    vault.backup = async () => undefined;
    vault.clock.forward(1.5 * HOUR_MS);
    await vault.rounds();
    await vault.ended('backup', 4);
    await vault.rounds();
    expect(await missed()).toEqual([]);
  });

  it('say it still when the schedule is edited, and not the backups', async () => {
    const scope = { vappNames: ['vapp 0001'] };
    const hours = (rpoHours: number) => ({ name: 'hours', scope, schedule: { rpoHours, timeZone: 'UTC', spreadMinutes: 0 } });
    const { id } = await vault.create(hours(4));
    vault.backup = async () => {
      throw new TestError('no', { code: 'NO' });
    };
    await vault.rounds();
    await vault.ended('backup', 1);
    vault.clock.forward(5 * HOUR_MS);
    await vault.rounds();
    await vault.one.policies.replace(id, vault.policy(hours(8)));
    await vault.rounds();
    await vault.ended('backup', 2);
    expect(await vault.service(PolicyAlerts).missedRpo()).toMatchObject([{ details: { sinceAt: '2026-11-20T16:00:00.000Z' } }]);
  });

  it('say of which objects a failed backup counts until the next one, which is due in a month', async () => {
    const awaited = () => vault.service(PolicyAlerts).awaited();
    const monthly = { scope: { vappNames: ['vapp 0001'] }, schedule: { cron: '0 2 1 * *', timeZone: 'UTC', spreadMinutes: 0 } };
    const { id } = await vault.create(monthly);
    await vault.rounds();
    vault.clock.set('2026-12-01T02:00:00Z');
    await vault.rounds();
    await vault.ended('backup', 1);
    const keys = (await vault.query<{ key: string }>('SELECT exclusive_key AS key FROM runs')).map(({ key }) => key);
    expect(keys).toHaveLength(1);
    expect(await awaited()).toEqual(keys.map((exclusiveKey) => ({ kind: 'backup', exclusiveKey })));
    await vault.query(`UPDATE vapps SET present = false WHERE id = $1`, [keys[0]?.slice('vapp:'.length)]);
    expect(await awaited()).toEqual([]);
    await vault.query(`UPDATE vapps SET present = true`);
    await vault.one.policies.remove(id);
    await vault.rounds();
    expect(await awaited()).toEqual([]);
  });

  describe('with an objective that was missed while no service was up', () => {
    const MINUTE_MS = 60_000;
    const no = (retryable: boolean) => async () => {
      throw new TestError('no', { code: 'NO', retryable });
    };
    /** From nine days after the objective was missed, in minutes: when each run was made. With a look a minute, which sees what failed before it. */
    const attempts = async (policy: Record<string, unknown>, minutes: number) => {
      const [vappId = ''] = await vault.vappIds();
      await vault.create({ scope: { vappNames: ['vapp 0001'] }, schedule: { rpoHours: 4, timeZone: 'UTC', spreadMinutes: 0 }, ...policy });
      await vault.addPoint(vappId, '2026-11-20T11:00:00Z');
      await vault.rounds();
      vault.clock.set('2026-11-29T12:00:00Z');
      const minutesOfRuns: number[] = [];
      for (let minute = 0; minute < minutes; minute += 1) {
        await vault.rounds();
        const made = (await vault.ended('backup', 0)).length - minutesOfRuns.length;
        expect(made, `at minute ${minute}`).toBeLessThanOrEqual(1);
        if (made === 1) minutesOfRuns.push(minute);
        vault.clock.forward(MINUTE_MS);
      }
      return minutesOfRuns;
    };

    it('begin again a quarter of it later what fails', async () => {
      vault.backup = no(false);
      expect(await attempts({}, 130)).toEqual([0, 60, 120]);
      expect(await states()).toEqual(['failed', 'failed', 'failed']);
    });

    it('begin again what failed in a way that may pass when its delay is over, and then a quarter after the last time', async () => {
      vault.backup = no(true);
      expect(await attempts({ retry: { attempts: 2, delayMinutes: 15 } }, 110)).toEqual([0, 16, 32, 92, 108]);
      expect(await states()).toEqual(['failed', 'waiting']);
    });

    it('wait out a delay that is longer than that quarter', async () => {
      vault.backup = no(true);
      expect(await attempts({ retry: { attempts: 1, delayMinutes: 75 } }, 140)).toEqual([0, 76, 136]);
      expect(await states()).toEqual(['failed', 'waiting']);
    });

    it('begin again a quarter of it later what leaves restore points that are not complete', async () => {
      vault.complete = false;
      expect(await attempts({}, 70)).toEqual([0, 60]);
    });

    it('begin once in the first minutes of a window that all of it waited for', async () => {
      vault.backup = no(false);
      const runWindows = [{ from: '13:00', to: '15:00' }];
      expect(await attempts({ schedule: { rpoHours: 4, timeZone: 'UTC', spreadMinutes: 0, runWindows } }, 130)).toEqual([60, 120]);
    });
  });

  it('ask nothing of a first class disk that a VM has: it is backed up with the VM', async () => {
    const disk = (diskId: string, attachedTo: { vmMoRef: string; vmName: string }[]) => ({
      ...{ diskId, name: diskId, datastoreMoRef: 'datastore-1', datastoreName: 'san-01', path: `[san-01] fcd/${diskId}.vmdk` },
      ...{ provisioning: 'thin', changeTracking: true, sizeBytes: 2 ** 20, attachedTo },
    });
    const disks = [disk('lent', [{ vmMoRef: 'vm-1', vmName: 'web-1' }]), disk('free', [])];
    await vault.one.catalog.saveFirstClassDisks(CLOUD, { vcenterInstanceUuid: 'vcenter-1', disks, unlistedDatastores: [] });
    const { id } = await vault.create({ scope: { kinds: ['first-class-disk'] }, schedule: { rpoHours: 4, spreadMinutes: 0 } });
    vault.backup = async () => {
      throw new TestError('no', { code: 'NO' });
    };
    await vault.rounds();
    await vault.ended();
    vault.clock.forward(5 * HOUR_MS);
    await vault.rounds();
    await vault.ended('backup', 2);
    expect(new Set((await vault.runsOf()).map(({ subject }) => subject))).toEqual(new Set(['first class disk "free"']));
    expect((await vault.service(PolicyAlerts).missedRpo()).map(({ subject }) => subject)).toEqual(['"free"']);
    expect(await vault.service(PolicyAlerts).awaited()).toHaveLength(1);
    const { objects } = await vault.one.views.preview(id, { count: 1, limit: 10 });
    expect(objects.map(({ name, nextRuns }) => [name, nextRuns.length])).toEqual([
      ['free', 1],
      ['lent', 0],
    ]);
  });

  it('do nothing of a cloud that is not registered any more', async () => {
    await vault.create(nightly);
    await vault.rounds();
    await vault.query(`UPDATE policies SET scope = scope || '{"cloudId": "gone"}'`);
    vault.clock.set('2026-11-21T02:00:00Z');
    await vault.rounds();
    expect(await vault.runsOf()).toEqual([]);
    await expect(vault.create({ scope: { cloudId: 'gone' } })).rejects.toMatchObject({ code: 'CLOUD_NOT_FOUND' });
  });
});
