import { describe, expect, it } from 'vitest';
import type { AlertFact } from '../../src/alerts/index.js';
import { FACT, posts, slow, start, until, useAlerts, webhook } from './alerts-fixture.js';

describe('an alert', () => {
  useAlerts();

  it('fires once however often it is seen and by however many, is told when it gets worse, and resolves', async () => {
    let wrong: AlertFact[] = [FACT];
    const sources = { 'run-failed': async () => wrong };
    const { alerts } = await start({ webhook: webhook(), sources });
    const other = await start({ webhook: webhook(), sources });
    for (let looks = 0; looks < 3; looks += 1) await Promise.all([alerts.look(), other.alerts.look()]);
    await until(() => posts.length === 1);
    wrong = [{ ...FACT, severity: 'critical', message: 'The last three backups failed.' }];
    // A look that meets another one is none: so again, and it is told once all the same.
    const lookUntil = (told: number) =>
      until(async () => {
        await alerts.look();
        return posts.length >= told;
      });
    await lookUntil(2);
    expect((await alerts.list({ state: 'firing', limit: 10 })).items).toMatchObject([
      { kind: 'run-failed', severity: 'critical', message: 'The last three backups failed.', resolvedAt: null, details: { runId: 'r1' } },
    ]);
    wrong = [];
    await lookUntil(3);
    expect(posts.map(({ json: { event, alert } }) => [event, alert.severity, alert.resolvedAt !== null])).toEqual([
      ['firing', 'warning', false],
      ['firing', 'critical', false],
      ['resolved', 'critical', true],
    ]);
    expect((await alerts.list({ state: 'firing', limit: 10 })).items).toEqual([]);
    expect((await alerts.list({ state: 'resolved', limit: 10 })).items).toHaveLength(1);
    expect(await alerts.countFiring()).toEqual([]);
  });

  it('is listed by organization, kind and page', async () => {
    const of = (key: string, organizationId: string) => ({ ...FACT, key, organizationId, subject: key });
    const { alerts } = await start({
      sources: { a: async () => [of('1', 'one'), of('2', 'two'), of('3', 'one')], b: async () => [of('4', '')] },
    });
    // Its own first look may be under way just now, and then another one is none.
    await until(async () => (await alerts.countFiring()).reduce((sum, { count }) => sum + count, 0) === 4);
    const subjects = async (filter: object) =>
      (await alerts.list({ state: 'all', limit: 50, ...filter })).items.map(({ subject }) => subject);
    expect(await subjects({ organizationId: 'one' })).toEqual(['3', '1']);
    expect(await subjects({ kind: 'b' })).toEqual(['4']);
    const first = await alerts.list({ state: 'all', limit: 3 });
    expect(first.items).toHaveLength(3);
    expect(await subjects({ cursor: first.nextCursor })).toEqual(['1']);
    expect(await alerts.countFiring()).toEqual(expect.arrayContaining([{ kind: 'a', severity: 'warning', count: 3 }]));
  });

  it('is one of very many, of which each is told and each is over', async () => {
    // Nothing is sent here: what is to be is counted.
    slow.waits = true;
    let wrong = Array.from({ length: 1_201 }, (_, i) => ({ ...FACT, key: `vapp:${i}`, subject: `vApp ${i}` }));
    const { alerts, sql } = await start({
      webhook: webhook(),
      sources: { 'run-failed': async () => wrong },
      times: { sendTimeoutMs: 60_000 },
    });
    const told = () =>
      sql(
        `SELECT event, count(DISTINCT alert_id)::int AS alerts, count(*)::int AS messages FROM alert_messages GROUP BY event ORDER BY event`,
      );
    const countOf = async (severity: string) =>
      (await alerts.countFiring()).reduce((sum, row) => sum + (row.severity === severity ? row.count : 0), 0);
    const lookUntil = (warnings: number, criticals: number) =>
      until(async () => {
        await alerts.look();
        return (await countOf('warning')) === warnings && (await countOf('critical')) === criticals;
      });
    await lookUntil(1_201, 0);
    wrong = wrong.map((fact, i) => (i === 700 ? { ...fact, severity: 'critical', message: 'Worse.' } : fact));
    await lookUntil(1_200, 1);
    expect(await told()).toEqual([{ event: 'firing', alerts: 1_201, messages: 1_202 }]);
    const [worst] = (await alerts.list({ state: 'firing', severity: 'critical', limit: 2 })).items;
    expect(worst).toMatchObject({ subject: 'vApp 700', message: 'Worse.', details: { runId: 'r1' } });
    wrong = wrong.slice(0, 1);
    await lookUntil(1, 0);
    expect(await told()).toEqual([
      { event: 'firing', alerts: 1_201, messages: 1_202 },
      { event: 'resolved', alerts: 1_200, messages: 1_200 },
    ]);
    slow.release();
  });

  it('stays when its source cannot answer', async () => {
    let away = false;
    const { alerts } = await start({
      sources: { a: async () => (away ? Promise.reject(new Error('The repository is away')) : [FACT]), b: async () => [] },
    });
    await until(async () => (await alerts.countFiring()).length > 0);
    const failing = () => alerts.sourceStates().filter(({ isFailing }) => isFailing);
    expect(failing()).toEqual([]);
    away = true;
    await alerts.look();
    expect(await alerts.countFiring()).toEqual([{ kind: 'a', severity: 'warning', count: 1 }]);
    expect(failing()).toEqual([{ kind: 'a', isFailing: true }]);
    away = false;
    await alerts.look();
    expect(failing()).toEqual([]);
    expect(() => alerts.registerSource('a', async () => [])).toThrow(/already have a source/);
  });

  it('of what a start ends in a moment is neither told nor taken back by a process that has just started', async () => {
    let wrong = [FACT];
    const sources = { 'queue-stalled': async () => wrong };
    const restarted = await start({ sources, mustLast: true, times: { settleMs: 3_600_000 } });
    const firing = async () => (await restarted.alerts.countFiring()).length;
    for (let looks = 0; looks < 3; looks += 1) await restarted.alerts.look();
    expect(await firing()).toBe(0);
    const long = await start({ sources, mustLast: true, times: { settleMs: 0 } });
    await until(async () => {
      await long.alerts.look();
      return (await firing()) === 1;
    });
    await restarted.alerts.look();
    expect(await firing()).toBe(1);
    wrong = [];
    await until(async () => {
      await restarted.alerts.look();
      return (await firing()) === 0;
    });
  });

  it('is not brought back by a look that began before it was over', async () => {
    let wrong = [FACT];
    let asked = 0;
    let answer: (() => void) | undefined;
    let hangs = false;
    const failed = async () => {
      asked += 1;
      return wrong;
    };
    const hanging = () =>
      new Promise<AlertFact[]>((resolve) => {
        if (hangs) answer = () => resolve([]);
        else resolve([]);
      });
    const one = await start({ webhook: webhook(), sources: { 'run-failed': failed, hanging } });
    await until(() => posts.length === 1);
    const two = await start({ sources: { 'run-failed': async () => wrong } });
    hangs = true;
    const before = asked;
    const old = one.alerts.look();
    await until(() => asked > before && answer !== undefined);
    wrong = [];
    await until(async () => {
      await two.alerts.look();
      return (await two.alerts.countFiring()).length === 0;
    });
    answer?.();
    await old;
    expect(await two.alerts.countFiring()).toEqual([]);
    await until(() => posts.length === 2);
    expect(posts.map(({ json }) => json.event)).toEqual(['firing', 'resolved']);
  });

  it('is told by a process with a channel where one without saw it first, and where that one saw its end', async () => {
    let wrong = [FACT];
    const sources = { 'run-failed': async () => wrong };
    const silent = await start({ sources });
    await until(async () => (await silent.alerts.countFiring()).length === 1);
    const telling = await start({ webhook: webhook(), sources });
    await until(async () => {
      await telling.alerts.look();
      return posts.length === 1;
    });
    const change = async (to: AlertFact[], told: number) => {
      wrong = to;
      await until(async () => {
        await silent.alerts.look();
        return posts.length === told;
      });
    };
    await change([{ ...FACT, severity: 'critical' }], 2);
    await change([], 3);
    expect(posts.map(({ json: { event, alert } }) => [event, alert.severity])).toEqual([
      ['firing', 'warning'],
      ['firing', 'critical'],
      ['resolved', 'critical'],
    ]);
  });
});
