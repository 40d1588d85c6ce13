import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { PolicySchedule } from '../policy-types.js';
import { type Due, type DueFacts, nextDue, placeInSpread, startAgain, upcoming, type WaitingRun } from './due.js';
import { mayRun } from './windows.js';

const at = (text: string) => new Date(text);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
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

  it('is spread anew over what the window has left, when all catch up after a pause inside it', () => {
    const schedule = cron('0 22 * * *', { spreadMinutes: 240, runWindows: [{ from: '22:00', to: '23:00' }] });
    const times = starts(schedule, '2026-11-21T21:50:00Z', { resumedAt: at('2026-11-21T21:50:00Z') });
    expect(Math.min(...times)).toBeGreaterThanOrEqual(at('2026-11-21T21:50:00Z').getTime());
    expect(Math.max(...times)).toBeLessThan(at('2026-11-21T22:00:00Z').getTime());
    expect(busiestSecond(times)).toBeLessThan(40);
  });

  // From the first places in the spread to the very last ones.
  const byPlace = vapps.toSorted((one, other) => placeInSpread(one) - placeInSpread(other));
  const places = [0, 2500, 3745, 4500, 4999].map((index) => byPlace[index] ?? '');
  const TEN_MINUTES_OF_EACH_HOUR = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, '0')).map((hour) => ({
    from: `${hour}:00`,
    to: `${hour}:10`,
  }));
  it.each<[string, PolicySchedule, number]>([
    [
      'of a spread that is longer than the window',
      cron('0 22 * * *', { spreadMinutes: 240, runWindows: [{ from: '22:00', to: '23:00' }] }),
      2,
    ],
    ['of the usual spread in a short window', cron('0 22 * * *', { spreadMinutes: 30, runWindows: [{ from: '22:00', to: '22:15' }] }), 2],
    ['of one at the end of the window', cron('45 5 * * *', { spreadMinutes: 30, runWindows: [{ from: '22:00', to: '06:00' }] }), 2],
    ['of one that is cut by a stop', cron('0 1 * * *', { spreadMinutes: 360, stopWindows: [{ from: '06:00', to: '00:30' }] }), 2],
    ['of a few minutes each hour', cron('0 * * * *', { spreadMinutes: 30, runWindows: TEN_MINUTES_OF_EACH_HOUR }), 48],
    ['of a spread that is longer than the time to the next', cron('*/15 * * * *', { spreadMinutes: 30 }), 192],
    ['of a spread that is as long', cron('0 * * * *', { spreadMinutes: 60 }), 48],
    ['of times that follow each other by minutes', cron('*/2 2 * * *', { spreadMinutes: 30 }), 60],
  ])('is once for each due time, wherever in the spread, %s', (_what, schedule, expected) => {
    const since = at('2026-11-20T11:59:00Z').getTime();
    const dueTimes = places.map((): number[] => []);
    for (let time = since; time < since + 2 * DAY_MS; time += MINUTE_MS) {
      const now = new Date(time);
      if (!mayRun(schedule, now)) continue;
      for (const [index, vappId] of places.entries()) {
        const last = dueTimes[index]?.at(-1);
        const known = { vappId, sinceAt: new Date(since), lastDueAt: last === undefined ? undefined : new Date(last) };
        const due = nextDue(facts(schedule, known), now);
        if (due !== undefined && due.startAt <= now) dueTimes[index]?.push(due.dueAt.getTime());
      }
    }
    expect(dueTimes.map((times) => new Set(times).size)).toEqual(places.map(() => expected));
  });

  it('is in the opening of its due time, or the first one after it, before both that and the time to the next are over', () => {
    const random = seededNumbers('places in openings');
    const pick = <T>(values: readonly T[]) => values[random(values.length)] as T;
    const clocks = ['00:00', '00:30', '01:45', '02:00', '06:00', '12:10', '20:00', '22:00', '22:01', '23:59'];
    for (let round = 0; round < 200; round += 1) {
      const window = { from: pick(clocks), to: pick(clocks) };
      const schedule = cron(pick(['0 22 * * *', '58 21 * * *', '*/20 * * * *', '0 */6 * * *', '5,7 2,22 * * *', '0 2 * * sat']), {
        spreadMinutes: pick([0, 1, 30, 240, 1440]),
        ...pick([{ runWindows: [window] }, { stopWindows: [window] }, {}]),
      });
      const asked = at('2026-11-15T00:00:00Z').getTime() + random(7 * DAY_MS);
      // It was due long before, and so the newest time is asked for.
      const due = nextDue(facts(schedule, { vappId: pick(places) }), new Date(asked));
      const next = nextDue(facts(schedule, { vappId: pick(places), lastDueAt: due?.dueAt }), new Date(asked));
      const what = `${JSON.stringify(schedule)} at ${new Date(asked).toISOString()}`;
      // Only a window from a time to the same time leaves none.
      if (due === undefined || next === undefined) {
        expect(window.from, what).toBe(window.to);
        continue;
      }
      const wasOpen = mayRun(schedule, due.dueAt);
      let opensAt = due.dueAt.getTime();
      while (!mayRun(schedule, new Date(opensAt))) opensAt += MINUTE_MS;
      for (let time = opensAt; time <= due.startAt.getTime(); time += MINUTE_MS) expect(mayRun(schedule, new Date(time)), what).toBe(true);
      expect(mayRun(schedule, new Date(due.startAt.getTime() + 20_000)), what).toBe(true);
      expect(due.startAt.getTime(), what).toBeGreaterThanOrEqual(opensAt);
      if (wasOpen) expect(due.startAt.getTime() + 20_000, what).toBeLessThan(next.dueAt.getTime());
    }
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

  it('is, on the night of the doubled hour, in that night for what a window stopped or held up', () => {
    const schedule = cron('0 2 * * *', { stopWindows: [{ from: '06:00', to: '02:30' }] });
    expect(startAgain(schedule, 'shop', at('2026-10-25T01:00:00Z'))).toEqual(at('2026-10-25T01:30:00Z'));
    const held = { rpoHours: 4, timeZone: 'America/New_York', spreadMinutes: 0, stopWindows: [{ from: '00:00', to: '01:30' }] };
    const last = at('2026-11-01T02:30:00Z');
    const due = nextDue(facts(held, { lastPointAt: last, lastBegunAt: last }), at('2026-11-01T06:10:00Z'));
    expect(due).toEqual({ dueAt: at('2026-11-01T06:06:00Z'), startAt: at('2026-11-01T06:30:00Z') });
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

  const shown = (found: readonly Due[]) =>
    found.map(({ dueAt, startAt }) => [dueAt, startAt].map((time) => time.toISOString().slice(5, 16)));

  it('are those that rounds make, and not those that another one overtakes before the window opens', () => {
    const schedule = cron('0 1,13 * * *', { runWindows: [{ from: '22:00', to: '23:00' }] });
    expect(shown(upcoming(facts(schedule, { sinceAt: at('2026-11-20T11:00:00Z') }), at('2026-11-20T11:00:00Z'), 2))).toEqual([
      ['11-20T12:00', '11-20T21:00'],
      ['11-21T12:00', '11-21T21:00'],
    ]);
  });

  it('begin with the due time inside the window, where that comes before one that waited for it', () => {
    const schedule = cron('0 * * * *', { spreadMinutes: 240, runWindows: [{ from: '22:30', to: '06:00' }] });
    const place = placeInSpread('shop');
    const [next] = upcoming(facts(schedule, { lastDueAt: at('2026-11-20T20:00:00Z') }), at('2026-11-20T20:59:00Z'), 1);
    expect(place * 240).toBeGreaterThan(30 + place * 60);
    expect(next).toEqual({
      dueAt: at('2026-11-20T22:00:00Z'),
      startAt: new Date(at('2026-11-20T22:00:00Z').getTime() + Math.floor(place * 54 * MINUTE_MS)),
    });
  });

  it('begin when the window opens where they are overdue, and at once inside it', () => {
    const schedule = cron('0 22 * * *', { runWindows: [{ from: '22:00', to: '23:00' }] });
    const asked = facts(schedule, { lastDueAt: at('2026-11-19T21:00:00Z') });
    expect(shown(upcoming(asked, at('2026-11-21T12:00:00Z'), 1))).toEqual([['11-21T21:00', '11-21T21:00']]);
    const weekly = { ...asked, schedule: { ...schedule, cron: '0 22 * * fri' } };
    expect(shown(upcoming(weekly, at('2026-11-21T12:00:00Z'), 1))).toEqual([['11-20T21:00', '11-21T21:00']]);
    expect(shown(upcoming(asked, at('2026-11-20T21:30:00Z'), 1))).toEqual([['11-20T21:00', '11-20T21:30']]);
  });

  it('begin with what waits to be begun again, unless a newer due time takes its place', () => {
    const asked = facts(cron('0 * * * *'), { lastDueAt: at('2026-11-21T12:00:00Z') });
    const waiting = { dueAt: at('2026-11-21T12:00:00Z'), notBefore: at('2026-11-21T12:20:00Z'), leftOut: false };
    const now = at('2026-11-21T12:06:00Z');
    expect(shown(upcoming(asked, now, 2, waiting))).toEqual([
      ['11-21T12:00', '11-21T12:20'],
      ['11-21T13:00', '11-21T13:00'],
    ]);
    expect(shown(upcoming(asked, now, 1, { ...waiting, notBefore: at('2026-11-21T13:05:00Z') }))).toEqual([['11-21T13:00', '11-21T13:00']]);
  });

  it('are those that simulated rounds make', () => {
    const random = seededNumbers('rounds and previews');
    const pick = <T>(values: readonly T[]) => values[random(values.length)] as T;
    const crons = ['0 * * * *', '30 2 * * *', '*/30 * * * *', '0 22 * * *', '0 12 * * *', '0 1,13 * * *', '15 1 * * sat', '55 5 * * *'];
    const windows = [
      { from: '21:40', to: '06:00' },
      { from: '22:00', to: '23:00' },
      { from: '06:00', to: '02:30' },
      { from: '01:00', to: '05:00' },
    ];
    for (let round = 0; round < 30; round += 1) {
      // The clocks go back on 25 October.
      const now = new Date(at('2026-10-22T00:00:00Z').getTime() + random(4 * 24 * 60) * MINUTE_MS);
      const ago = (minutes: number) => new Date(now.getTime() - random(minutes) * MINUTE_MS);
      const schedule: PolicySchedule = {
        ...pick([{ cron: pick(crons) }, { cron: pick(crons) }, { rpoHours: pick([1, 4, 12, 24]) }]),
        timeZone: pick(['UTC', 'Europe/Berlin']),
        spreadMinutes: pick([0, 30, 60, 240]),
        ...pick([{ runWindows: [pick(windows)] }, { stopWindows: [pick(windows)] }, {}]),
      };
      const begunAt = ago(2 * 24 * 60);
      const known = facts(schedule, {
        vappId: `vapp-${round}`,
        ...pick([{}, { lastDueAt: begunAt, lastBegunAt: begunAt, lastPointAt: pick([begunAt, undefined]) }]),
        ...pick([{}, { resumedAt: ago(180) }]),
      });
      const waits = { dueAt: begunAt, notBefore: new Date(ago(240).getTime() + 120 * MINUTE_MS), leftOut: false };
      const waiting = known.lastDueAt && pick([undefined, undefined, waits, { ...waits, leftOut: true }]);
      const endMs = now.getTime() + 2 * DAY_MS;
      const expected = begunByRounds(known, now, 4, endMs, waiting);
      const found = upcoming(known, now, 4, waiting).filter(({ startAt }) => startAt.getTime() < endMs - 10 * MINUTE_MS);
      const what = `${JSON.stringify({ ...known, waiting })} at ${now.toISOString()}: ${JSON.stringify([found, expected])}`;
      expect(found.length, what).toBeGreaterThanOrEqual(
        expected.filter(({ startAt }) => startAt.getTime() < endMs - 20 * MINUTE_MS).length,
      );
      for (const [index, { dueAt, startAt }] of found.entries()) {
        // A round comes up to a minute later; an objective counts from there.
        const lateMs = (expected[index]?.startAt.getTime() ?? Number.NaN) - startAt.getTime();
        const lateMinutes = schedule.cron === undefined ? index + 1 : 1;
        expect(lateMs >= 0 && lateMs < lateMinutes * MINUTE_MS, what).toBe(true);
        if (schedule.cron !== undefined) expect(dueAt, what).toEqual(expected[index]?.dueAt);
      }
    }
  });

  it('are none where there are none', () => {
    expect(upcoming(facts(cron('0 3 30 2 *')), at('2026-11-21T01:00:00Z'), 5)).toEqual([]);
  });
});

/** What looks once a minute begin, each run of no length; at its end, so that they see all that may begin before the next due time. */
function begunByRounds(asked: DueFacts, from: Date, count: number, endMs: number, waits: WaitingRun | undefined): Due[] {
  const { schedule, vappId } = asked;
  const begun: Due[] = [];
  let known = asked;
  let waiting = waits;
  for (let time = from.getTime() + MINUTE_MS - 1; time < endMs && begun.length < count; time += MINUTE_MS) {
    const now = new Date(time);
    if (!mayRun(schedule, now)) continue;
    const next = waiting !== undefined && schedule.rpoHours !== undefined ? undefined : nextDue(known, now);
    const isNext = next !== undefined && (waiting?.leftOut ? next.dueAt : next.startAt) <= now;
    const isAgain = waiting !== undefined && (waiting.leftOut || (startAgain(schedule, vappId, waiting.notBefore ?? now) ?? from) <= now);
    const dueAt = isNext ? next.dueAt : isAgain ? waiting?.dueAt : undefined;
    if (dueAt === undefined) continue;
    begun.push({ dueAt, startAt: now });
    known = { ...known, lastDueAt: isNext ? dueAt : known.lastDueAt, lastBegunAt: now, lastPointAt: now };
    waiting = undefined;
  }
  return begun;
}

/** Whole numbers below a limit, the same for the same seed. */
function seededNumbers(seed: string): (limit: number) => number {
  let asked = 0;
  return (limit) => {
    asked += 1;
    return createHash('sha256').update(`${seed} ${asked}`).digest().readUIntBE(0, 6) % limit;
  };
}
