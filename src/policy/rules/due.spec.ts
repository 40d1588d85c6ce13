import { describe, expect, it } from 'vitest';
import type { PolicySchedule } from '../policy-types.js';
import { type DueFacts, nextDue, placeInSpread, startAgain, upcoming } from './due.js';

const at = (text: string) => new Date(text);
const HOUR_MS = 3_600_000;
const cron = (expression: string, over: Partial<PolicySchedule> = {}): PolicySchedule => ({
  cron: expression,
  timeZone: 'Europe/Berlin',
  spreadMinutes: 0,
  ...over,
});
const facts = (schedule: PolicySchedule, over: Partial<DueFacts> = {}): DueFacts => ({
  schedule,
  vappId: 'shop',
  sinceAt: at('2020-01-01T00:00:00Z'),
  ...over,
});
const dueAt = (asked: DueFacts, now: string) => nextDue(asked, at(now))?.dueAt.toISOString();

describe('what is due of a cron schedule', () => {
  it.each<[string, string, string, string | undefined]>([
    ['at night in winter', '30 2 * * *', '2026-11-21T01:30:00Z', '2026-11-21T01:30:00.000Z'],
    ['at night in summer', '30 2 * * *', '2026-07-21T00:30:00Z', '2026-07-21T00:30:00.000Z'],
    ['an hour that is skipped, at the end of the gap', '30 2 * * *', '2026-03-29T01:00:00Z', '2026-03-29T01:00:00.000Z'],
    ['and not before', '30 2 * * *', '2026-03-29T00:59:59Z', '2026-03-28T01:30:00.000Z'],
    ['several times of which one is skipped', '30 2,14 * * *', '2026-03-29T02:00:00Z', '2026-03-29T01:00:00.000Z'],
    ['an hour that is doubled, the first time', '30 2 * * *', '2026-10-25T00:30:00Z', '2026-10-25T00:30:00.000Z'],
    ['and not the second', '30 2 * * *', '2026-10-25T01:45:00Z', '2026-10-25T00:30:00.000Z'],
    ['every hour, also in both doubled ones', '0 * * * *', '2026-10-25T01:10:00Z', '2026-10-25T01:00:00.000Z'],
    ['on the 31st, of months that have one', '0 3 31 * *', '2026-04-30T12:00:00Z', '2026-03-31T01:00:00.000Z'],
    ['on the last of February', '0 3 L * *', '2026-02-28T12:00:00Z', '2026-02-28T02:00:00.000Z'],
    ['on the last of a leap February', '0 3 L 2 *', '2028-03-01T12:00:00Z', '2028-02-29T02:00:00.000Z'],
    ['on 29 February, the last there was', '0 3 29 2 *', '2027-06-01T00:00:00Z', '2024-02-29T02:00:00.000Z'],
    ['on a date that never comes', '0 3 30 2 *', '2027-06-01T00:00:00Z', undefined],
  ])('%s', (_what, expression, now, expected) => {
    expect(dueAt(facts(cron(expression)), now)).toBe(expected);
  });

  it('is nothing before the next time once the last was run', () => {
    const asked = facts(cron('30 2 * * *'), { lastDueAt: at('2026-11-21T01:30:00Z') });
    expect(dueAt(asked, '2026-11-21T20:00:00Z')).toBe('2026-11-22T01:30:00.000Z');
  });

  it('is nothing from before the object came under the schedule', () => {
    const asked = facts(cron('30 2 * * *'), { sinceAt: at('2026-11-21T12:00:00Z') });
    expect(dueAt(asked, '2026-11-21T20:00:00Z')).toBe('2026-11-22T01:30:00.000Z');
  });

  it('is, after the schedule changed at noon, its next time and not one of this morning', () => {
    const asked = facts(cron('0 9 * * *'), { sinceAt: at('2026-11-21T11:00:00Z'), lastDueAt: at('2026-11-21T01:30:00Z') });
    expect(dueAt(asked, '2026-11-21T12:00:00Z')).toBe('2026-11-22T08:00:00.000Z');
  });

  it('is one catch-up after days, and then the ordinary next time', () => {
    const down = facts(cron('0 * * * *'), { lastDueAt: at('2026-11-10T08:00:00Z'), resumedAt: at('2026-11-21T12:20:00Z') });
    expect(nextDue(down, at('2026-11-21T12:20:00Z'))).toEqual({ dueAt: at('2026-11-21T12:00:00Z'), startAt: at('2026-11-21T12:20:00Z') });
    const caughtUp = { ...down, lastDueAt: at('2026-11-21T12:00:00Z') };
    expect(nextDue(caughtUp, at('2026-11-21T12:20:30Z'))).toEqual({
      dueAt: at('2026-11-21T13:00:00Z'),
      startAt: at('2026-11-21T13:00:00Z'),
    });
  });

  it('does not wait for what was written while the clock was a year ahead', () => {
    const asked = facts(cron('30 2 * * *'), { lastDueAt: at('2027-11-21T01:30:00Z'), resumedAt: at('2027-11-21T01:00:00Z') });
    expect(nextDue(asked, at('2026-11-21T02:00:00Z'))).toEqual({ dueAt: at('2026-11-21T01:30:00Z'), startAt: at('2026-11-21T01:30:00Z') });
  });
});

describe('when a due run begins', () => {
  const vapps = Array.from({ length: 5000 }, (_, index) => `vapp-${index}`);
  const starts = (schedule: PolicySchedule, now: string, over: Partial<DueFacts> = {}) =>
    vapps.map((vappId) => nextDue(facts(schedule, { vappId, ...over }), at(now))?.startAt.getTime() ?? 0);
  const busiestSecond = (times: readonly number[]) => {
    const counts = new Map<number, number>();
    for (const time of times) counts.set(Math.floor(time / 1000), (counts.get(Math.floor(time / 1000)) ?? 0) + 1);
    return Math.max(...counts.values());
  };

  it('is spread evenly, and for each object always the same', () => {
    const schedule = cron('0 2 * * *', { spreadMinutes: 60 });
    const times = starts(schedule, '2026-11-21T01:00:00Z');
    expect(starts(schedule, '2026-11-21T01:00:00Z')).toEqual(times);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(at('2026-11-21T01:00:00Z').getTime());
    expect(Math.max(...times)).toBeLessThan(at('2026-11-21T02:00:00Z').getTime());
    expect(busiestSecond(times)).toBeLessThan(12);
    const nextDay = starts(schedule, '2026-11-22T01:00:00Z', { lastDueAt: at('2026-11-21T01:00:00Z') });
    expect(nextDay.map((time) => time - 24 * HOUR_MS)).toEqual(times);
  });

  it('is spread anew when all catch up after a pause', () => {
    const schedule = cron('0 2 * * *', { spreadMinutes: 60 });
    const times = starts(schedule, '2026-11-21T12:00:00Z', { resumedAt: at('2026-11-21T12:00:00Z') });
    expect(Math.min(...times)).toBeGreaterThanOrEqual(at('2026-11-21T12:00:00Z').getTime());
    expect(busiestSecond(times)).toBeLessThan(12);
  });

  it('is spread over the window that all waited for, and ends with it', () => {
    const schedule = cron('0 12 * * *', { spreadMinutes: 240, runWindows: [{ from: '22:00', to: '23:00' }] });
    const times = starts(schedule, '2026-11-21T12:00:00Z');
    expect(Math.min(...times)).toBeGreaterThanOrEqual(at('2026-11-21T21:00:00Z').getTime());
    expect(Math.max(...times)).toBeLessThan(at('2026-11-21T22:00:00Z').getTime());
    expect(busiestSecond(times)).toBeLessThan(12);
  });

  it('comes before the next due time, however long the spread', () => {
    const times = starts(cron('*/15 * * * *', { spreadMinutes: 600 }), '2026-11-21T12:00:00Z');
    expect(Math.max(...times)).toBeLessThan(at('2026-11-21T12:15:00Z').getTime());
  });

  it('is no time where windows leave none', () => {
    const always = [{ from: '00:00', to: '00:00' }];
    expect(nextDue(facts(cron('0 2 * * *', { stopWindows: always })), at('2026-11-21T12:00:00Z'))).toBeUndefined();
  });

  it('is the next opening for what a window stopped', () => {
    const schedule = cron('0 2 * * *', { stopWindows: [{ from: '06:00', to: '20:00' }] });
    expect(startAgain(schedule, 'shop', at('2026-11-21T05:10:00Z'))).toEqual(at('2026-11-21T19:00:00Z'));
    expect(startAgain(schedule, 'shop', at('2026-11-21T20:10:00Z'))).toEqual(at('2026-11-21T20:10:00Z'));
  });

  it('depends on the object alone', () => {
    expect(placeInSpread('shop')).toBe(placeInSpread('shop'));
    expect(placeInSpread('shop')).not.toBe(placeInSpread('shops'));
  });
});

describe('what is due of an objective', () => {
  const rpo = (over: Partial<PolicySchedule> = {}): PolicySchedule => ({ rpoHours: 10, timeZone: 'UTC', spreadMinutes: 0, ...over });
  it.each<[string, Partial<DueFacts>, string]>([
    ['at once, where there is no restore point', {}, '2026-11-21T00:00:00.000Z'],
    ['at once, where the restore point is old', { lastPointAt: at('2026-11-01T00:00:00Z') }, '2026-11-21T00:00:00.000Z'],
    ['a tenth before it is missed', { lastPointAt: at('2026-11-21T06:00:00Z') }, '2026-11-21T15:00:00.000Z'],
    ['earlier where runs take long', { lastPointAt: at('2026-11-21T06:00:00Z'), lastDurationMs: 2 * HOUR_MS }, '2026-11-21T12:00:00.000Z'],
    [
      'after half of it at the earliest',
      { lastPointAt: at('2026-11-21T06:00:00Z'), lastDurationMs: 9 * HOUR_MS },
      '2026-11-21T11:00:00.000Z',
    ],
    ['a quarter of it after a run without a restore point', { lastBegunAt: at('2026-11-21T04:00:00Z') }, '2026-11-21T06:30:00.000Z'],
    [
      'a quarter of it after that run was begun, however long it was overdue then',
      { sinceAt: at('2026-11-01T00:00:00Z'), lastDueAt: at('2026-11-11T09:00:00Z'), lastBegunAt: at('2026-11-21T07:59:40Z') },
      '2026-11-21T10:29:40.000Z',
    ],
    [
      'a quarter of it after a run that left a partial restore point, and not by when that was due',
      {
        sinceAt: at('2026-11-01T00:00:00Z'),
        lastDueAt: at('2026-11-20T09:00:00Z'),
        lastBegunAt: at('2026-11-21T07:00:00Z'),
        lastPointAt: at('2026-11-20T00:00:00Z'),
      },
      '2026-11-21T09:30:00.000Z',
    ],
    [
      'at once, where the last run was begun by a clock that was a year ahead',
      { lastPointAt: at('2026-11-01T00:00:00Z'), lastBegunAt: at('2027-11-21T07:00:00Z') },
      '2026-11-21T00:00:00.000Z',
    ],
    ['whatever a clock once said', { lastPointAt: at('2031-01-01T00:00:00Z') }, '2026-11-21T00:00:00.000Z'],
  ])('%s', (_what, over, expected) => {
    expect(dueAt(facts(rpo(), { sinceAt: at('2026-11-21T00:00:00Z'), ...over }), '2026-11-21T08:00:00Z')).toBe(expected);
  });

  it('begins inside windows only', () => {
    const schedule = rpo({ runWindows: [{ from: '20:00', to: '22:00' }] });
    const asked = facts(schedule, { sinceAt: at('2026-11-21T00:00:00Z'), lastPointAt: at('2026-11-21T06:00:00Z') });
    expect(nextDue(asked, at('2026-11-21T16:00:00Z'))).toEqual({ dueAt: at('2026-11-21T15:00:00Z'), startAt: at('2026-11-21T20:00:00Z') });
  });

  it('is not spread anew each time a run fails', () => {
    const begun = at('2026-11-21T07:00:00Z');
    expect(nextDue(facts(rpo({ spreadMinutes: 120 }), { lastBegunAt: begun }), begun)?.startAt).toEqual(at('2026-11-21T09:30:00Z'));
  });

  it('is spread when thousands are caught up', () => {
    const times = Array.from({ length: 1000 }, (_, index) => {
      const over = { vappId: `v-${index}`, lastPointAt: at('2026-11-10T00:00:00Z'), resumedAt: at('2026-11-21T08:00:00Z') };
      return nextDue(facts(rpo({ spreadMinutes: 60 }), over), at('2026-11-21T08:00:00Z'))?.startAt.getTime() ?? 0;
    });
    expect(new Set(times.map((time) => Math.floor(time / 60_000))).size).toBeGreaterThan(55);
  });
});

describe('the next runs', () => {
  it('are shown across a change of the clocks', () => {
    const found = upcoming(facts(cron('30 2 * * *'), { lastDueAt: at('2026-03-27T01:30:00Z') }), at('2026-03-27T12:00:00Z'), 3);
    expect(found.map((due) => due.startAt.toISOString())).toEqual([
      '2026-03-28T01:30:00.000Z',
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
  });

  it('of an objective follow each other', () => {
    const schedule: PolicySchedule = { rpoHours: 10, timeZone: 'UTC', spreadMinutes: 0 };
    const found = upcoming(facts(schedule, { lastPointAt: at('2026-11-21T00:00:00Z') }), at('2026-11-21T01:00:00Z'), 3);
    expect(found.map((due) => due.startAt.toISOString())).toEqual([
      '2026-11-21T09:00:00.000Z',
      '2026-11-21T18:00:00.000Z',
      '2026-11-22T03:00:00.000Z',
    ]);
  });

  it('are none where there are none', () => {
    expect(upcoming(facts(cron('0 3 30 2 *')), at('2026-11-21T01:00:00Z'), 5)).toEqual([]);
  });
});
