import { Cron } from 'croner';
import { describe, expect, it, vi } from 'vitest';
import { cronOf, fireTimes, nextFire } from './fire-times.js';
import { instantOf } from './zoned-time.js';

const at = (text: string) => new Date(text);
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

describe('the times of a cron expression', () => {
  it.each<[string, string, string, string, string, string]>([
    ['every minute of a month that is long past', '* * * 2 *', 'UTC', '2026-11-22T15:00:00Z', '2026-02-28T23:59', '2027-02-01T00:00'],
    ['in such a month', '* * * 2 *', 'UTC', '2026-02-15T15:00:30Z', '2026-02-15T15:00', '2026-02-15T15:01'],
    ['on a rare day', '*/5 3 29 2 *', 'UTC', '2026-11-22T15:00:00Z', '2024-02-29T03:55', '2028-02-29T03:00'],
    ['at the very instant', '*/5 * * 1 *', 'UTC', '2026-01-31T23:55:00Z', '2026-01-31T23:55', '2027-01-01T00:00'],
    ['in a gap that ends on another day', '30 23 * * *', 'America/Nuuk', '2026-03-29T12:00:00Z', '2026-03-29T01:00', '2026-03-30T00:30'],
    ['before such a gap', '30 23 * * *', 'America/Nuuk', '2026-03-28T12:00:00Z', '2026-03-28T01:30', '2026-03-29T01:00'],
    ['on a day that is skipped', '0 12 * * *', 'Pacific/Apia', '2011-12-30T11:00:00Z', '2011-12-30T10:00', '2011-12-30T22:00'],
  ])('%s', (_what, expression, timeZone, now, latest, next) => {
    const found = fireTimes(expression, timeZone, at(now));
    expect([found.latest, found.next].map((time) => time?.toISOString().slice(0, 16))).toEqual([latest, next]);
  });

  it.each<[string, string, string, string[]]>([
    ['of intervals in an hour that is skipped are none', '*/20 2 * * *', '2026-03-29', []],
    ['in one that is doubled are in both', '*/20 2 * * *', '2026-10-25', ['00:00', '00:20', '00:40', '01:00', '01:20', '01:40']],
    ['on a 13th that is no Friday are there', '0 3 13 * fri', '2026-10-13', ['01:00']],
    ['on a Friday that is no 13th, too', '0 3 13 * fri', '2026-10-16', ['01:00']],
    ['on any other day are not', '0 3 13 * fri', '2026-10-15', []],
  ])('%s', (_what, expression, day, expected) => {
    const found: string[] = [];
    let fire = nextFire(expression, 'Europe/Berlin', new Date(at(`${day}T00:00:00Z`).getTime() - 1));
    while (fire?.toISOString().startsWith(day) && found.length < 10) {
      found.push(fire.toISOString().slice(11, 16));
      fire = nextFire(expression, 'Europe/Berlin', fire);
    }
    expect(found).toEqual(expected);
  });

  // Each with a change of its clocks.
  const CHANGES: [string, string][] = [
    ['Europe/Berlin', '2026-03-29'],
    ['Europe/Berlin', '2026-10-25'],
    ['America/Nuuk', '2026-03-29'],
    ['America/Nuuk', '2026-10-25'],
    ['America/Santiago', '2026-09-06'],
    ['Australia/Lord_Howe', '2026-10-04'],
    ['Australia/Lord_Howe', '2026-04-05'],
  ];
  const aroundChange = (day: string, check: (now: Date) => void) => {
    const from = at(`${day}T00:00:00Z`).getTime() - 1.5 * DAY_MS;
    for (let minute = 0; minute < 3 * 24 * 60; minute += 13) check(new Date(from + minute * MINUTE_MS));
  };

  it.each(CHANGES)('come once each day in %s around %s where they are fixed', (timeZone, day) => {
    for (const [expression, hours, minute] of [
      ['30 2 * * *', [2], 30],
      ['30 23 * * *', [23], 30],
      ['0 0,1,2,3 * * *', [0, 1, 2, 3], 0],
    ] as const) {
      const days = Array.from({ length: 12 }, (_, index) => at(`${day}T00:00:00Z`).getTime() + (index - 6) * DAY_MS);
      const all = days.flatMap((midnight) => hours.map((hour) => instantOf(new Date(midnight), hour * 60 + minute, timeZone)));
      aroundChange(day, (now) => {
        const { latest, next } = fireTimes(expression, timeZone, now);
        const expected = [all.filter((time) => time <= now).at(-1), all.find((time) => time > now)];
        expect([latest, next], `${expression} at ${now.toISOString()}`).toEqual(expected);
      });
    }
  });

  it.each(CHANGES)('are found in %s around %s as one step after the other would where they are intervals', (timeZone, day) => {
    for (const expression of ['*/30 * * * *', '0 */6 * * *', '*/10 2 * * *']) {
      const cron = cronOf(expression, timeZone);
      const all: Date[] = [];
      const end = at(`${day}T00:00:00Z`).getTime() + 4 * DAY_MS;
      for (let fire = cron.nextRun(new Date(end - 8 * DAY_MS)); fire !== null && fire.getTime() < end; fire = cron.nextRun(fire))
        all.push(fire);
      aroundChange(day, (now) => {
        const { latest, beforeLatest, next } = fireTimes(expression, timeZone, now);
        const past = all.filter((time) => time <= now);
        expect([beforeLatest, latest, next], `${expression} at ${now.toISOString()}`).toEqual([
          ...past.slice(-2),
          all.find((time) => time > now),
        ]);
      });
    }
  });

  it('take few steps, however many of them lie between, and fewer for who asks again', () => {
    const nextRun = vi.spyOn(Cron.prototype, 'nextRun');
    try {
      fireTimes('* * * 3 *', 'Europe/Berlin', at('2026-11-22T15:00:00Z'));
      expect(nextRun.mock.calls.length).toBeLessThan(100);
      nextRun.mockClear();
      fireTimes('* * * 3 *', 'Europe/Berlin', at('2026-11-22T15:00:20Z'));
      expect(nextRun).toHaveBeenCalledTimes(1);
    } finally {
      nextRun.mockRestore();
    }
  });

  it('are none where none comes', () => {
    expect(fireTimes('0 3 30 2 *', 'UTC', at('2026-11-22T15:00:00Z')).latest).toBeUndefined();
    expect(nextFire('0 3 30 2 *', 'Europe/Berlin', at('2026-11-22T15:00:00Z'))).toBeUndefined();
  });
});
