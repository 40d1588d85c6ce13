import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type DailyWindow, WEEKDAYS } from '../policy-types.js';
import { mayRun, mustStop, openingAfter } from './windows.js';
import { instantOf, wallTime } from './zoned-time.js';

const MINUTE_MS = 60_000;

const BERLIN = 'Europe/Berlin';
const at = (text: string) => new Date(text);
const night: DailyWindow[] = [{ from: '22:00', to: '06:00' }];
const office: DailyWindow[] = [{ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '08:00', to: '18:00' }];

describe('a clock on the wall', () => {
  it.each([
    ['2026-11-21T23:30:00Z', BERLIN, { year: 2026, month: 11, day: 22, weekday: 6, minuteOfDay: 30 }],
    ['2026-07-01T12:00:00.999Z', BERLIN, { year: 2026, month: 7, day: 1, weekday: 2, minuteOfDay: 14 * 60 }],
    ['2028-02-28T23:59:00Z', 'UTC', { year: 2028, month: 2, day: 28, weekday: 0, minuteOfDay: 1439 }],
    ['2026-11-21T10:00:00Z', 'Pacific/Kiritimati', { year: 2026, month: 11, day: 22, weekday: 6, minuteOfDay: 0 }],
    ['2026-11-21T18:15:00Z', 'Asia/Kathmandu', { year: 2026, month: 11, day: 22, weekday: 6, minuteOfDay: 0 }],
  ])('at %s in %s', (instant, zone, expected) => {
    expect(wallTime(at(instant), zone)).toEqual(expected);
  });

  it.each([
    ['an ordinary time', '2026-11-21', '02:30', BERLIN, '2026-11-21T01:30:00.000Z'],
    ['of the doubled hour the first', '2026-10-25', '02:30', BERLIN, '2026-10-25T00:30:00.000Z'],
    ['of the skipped hour the end of the gap', '2026-03-29', '02:30', BERLIN, '2026-03-29T01:00:00.000Z'],
    ['the first minute that is skipped', '2026-03-29', '02:00', BERLIN, '2026-03-29T01:00:00.000Z'],
    ['a gap of half an hour', '2026-10-04', '02:10', 'Australia/Lord_Howe', '2026-10-03T15:30:00.000Z'],
    ['a midnight that is skipped', '2026-09-06', '00:00', 'America/Santiago', '2026-09-06T04:00:00.000Z'],
  ])('shows %s', (_what, day, clock, zone, expected) => {
    const [hours = 0, minutes = 0] = clock.split(':').map(Number);
    expect(instantOf(at(`${day}T00:00:00Z`), hours * 60 + minutes, zone).toISOString()).toBe(expected);
  });
});

describe('windows', () => {
  it.each<[string, DailyWindow[] | undefined, string, boolean]>([
    ['none: always', undefined, '2026-11-21T12:00:00Z', true],
    ['before a night', night, '2026-11-21T20:59:59Z', false],
    ['at its beginning', night, '2026-11-21T21:00:00Z', true],
    ['past midnight', night, '2026-11-21T23:30:00Z', true],
    ['in its last minute', night, '2026-11-22T04:59:00Z', true],
    ['at its end', night, '2026-11-22T05:00:00Z', false],
    ['the night that began on Sunday', [{ days: ['sun'], from: '22:00', to: '06:00' }], '2026-11-23T04:00:00Z', true],
    ['the night that begins on Sunday, from Saturday on', [{ days: ['sun'], from: '22:00', to: '06:00' }], '2026-11-22T04:00:00Z', false],
    ['from midnight to midnight is all day', [{ days: ['sat'], from: '00:00', to: '00:00' }], '2026-11-21T22:59:00Z', true],
    ['and no longer', [{ days: ['sat'], from: '00:00', to: '00:00' }], '2026-11-21T23:00:00Z', false],
  ])('%s', (_what, runWindows, instant, expected) => {
    expect(mayRun({ timeZone: BERLIN, ...(runWindows && { runWindows }) }, at(instant))).toBe(expected);
  });

  it('that stop leave no beginning, and say that what is under way must end', () => {
    const schedule = { timeZone: BERLIN, stopWindows: office };
    expect(mustStop(schedule, at('2026-11-20T07:00:00Z'))).toBe(true);
    expect(mayRun(schedule, at('2026-11-20T07:00:00Z'))).toBe(false);
    expect(mayRun(schedule, at('2026-11-20T17:00:00Z'))).toBe(true);
    expect(mustStop(schedule, at('2026-11-21T07:00:00Z'))).toBe(false);
  });

  it.each<[string, { runWindows?: DailyWindow[]; stopWindows?: DailyWindow[] }, string, string | undefined, string | undefined]>([
    ['now, and for ever, without any', {}, '2026-11-21T12:00:00Z', '2026-11-21T12:00:00.000Z', undefined],
    ['in the evening', { runWindows: night }, '2026-11-21T12:00:00Z', '2026-11-21T21:00:00.000Z', '2026-11-22T05:00:00.000Z'],
    ['now, inside', { runWindows: night }, '2026-11-22T03:00:00Z', '2026-11-22T03:00:00.000Z', '2026-11-22T05:00:00.000Z'],
    ['after the office hours', { stopWindows: office }, '2026-11-20T12:00:00Z', '2026-11-20T17:00:00.000Z', '2026-11-23T07:00:00.000Z'],
    [
      'where a window is cut by one that stops',
      { runWindows: night, stopWindows: [{ from: '00:00', to: '01:00' }] },
      '2026-11-21T23:15:00Z',
      '2026-11-22T00:00:00.000Z',
      '2026-11-22T05:00:00.000Z',
    ],
    [
      'a week later',
      { runWindows: [{ days: ['sat'], from: '10:00', to: '11:00' }] },
      '2026-11-21T10:00:00Z',
      '2026-11-28T09:00:00.000Z',
      '2026-11-28T10:00:00.000Z',
    ],
    [
      'two weeks later, where the clocks skip the window of this one',
      { runWindows: [{ days: ['sun'], from: '02:00', to: '03:00' }] },
      '2026-03-22T02:00:00Z',
      '2026-04-05T00:00:00.000Z',
      '2026-04-05T01:00:00.000Z',
    ],
    ['never, when each stops the other', { runWindows: office, stopWindows: office }, '2026-11-21T10:00:00Z', undefined, undefined],
    [
      'in a window that the clocks skip, at the end of the gap',
      { runWindows: [{ from: '02:15', to: '03:30' }] },
      '2026-03-28T23:30:00Z',
      '2026-03-29T01:00:00.000Z',
      '2026-03-29T01:30:00.000Z',
    ],
  ])('open %s', (_what, windows, instant, opensAt, closesAt) => {
    const opening = openingAfter({ timeZone: BERLIN, ...windows }, at(instant));
    expect([opening?.opensAt.toISOString(), opening?.closesAt?.toISOString()]).toEqual([opensAt, closesAt]);
  });

  it.each<[string, string, DailyWindow, string, string, string]>([
    [
      'ends in the second of two equal hours',
      'America/New_York',
      { from: '00:00', to: '01:30' },
      '11-01T06:06',
      '11-01T06:30',
      '11-02T05:00',
    ],
    ['begins again as the clocks go back', 'America/New_York', { from: '00:00', to: '01:30' }, '11-01T05:30', '11-01T05:30', '11-01T06:00'],
    ['ends for the second time', BERLIN, { from: '06:00', to: '02:30' }, '10-25T01:00', '10-25T01:30', '10-25T05:00'],
    ['is ended by the clocks that go back', 'America/Havana', { from: '00:30', to: '01:00' }, '11-01T04:45', '11-01T05:00', '11-01T05:30'],
  ])('open around one that stops and %s in %s', (_what, timeZone, stopWindow, asked, opensAt, closesAt) => {
    const opening = openingAfter({ timeZone, stopWindows: [stopWindow] }, at(`2026-${asked}Z`));
    expect(opening).toEqual({ opensAt: at(`2026-${opensAt}Z`), closesAt: at(`2026-${closesAt}Z`) });
  });

  it.each(['Australia/Lord_Howe', 'Antarctica/Troll', BERLIN, 'America/New_York', 'Africa/Cairo', 'America/Santiago'])(
    'in %s open and close as a clock that is read each minute of two years says',
    (timeZone) => {
      const { wall, changes } = clockOf(timeZone, at('2026-01-01T00:00:00Z'), at('2028-01-01T00:00:00Z'));
      const random = seededNumbers(`windows in ${timeZone}`);
      const pick = <T>(values: readonly T[]) => values[random(values.length)] as T;
      const clocks = ['00:00', '00:30', '01:00', '01:30', '01:45', '02:00', '02:15', '02:30', '03:00', '03:30', '06:00', '22:00', '23:30'];
      const anyWindow = (): DailyWindow => ({
        ...pick([{}, { days: [pick(WEEKDAYS), pick(WEEKDAYS)] }]),
        from: pick(clocks),
        to: pick(clocks),
      });
      for (let round = 0; round < 12; round += 1) {
        const windows = pick([
          { runWindows: [anyWindow()] },
          { stopWindows: [anyWindow()] },
          { runWindows: [anyWindow(), anyWindow()], stopWindows: [anyWindow()] },
        ]);
        const schedule = { timeZone, ...windows };
        const isOpen = (minute: number) => {
          const shown = wall[minute] ?? 0;
          const { runWindows, stopWindows = [] } = schedule as { runWindows?: DailyWindow[]; stopWindows?: DailyWindow[] };
          return !stopWindows.some((each) => covers(each, shown)) && (runWindows?.some((each) => covers(each, shown)) ?? true);
        };
        const far = 14 * 24 * 60;
        const askedMinutes = [
          ...Array.from({ length: 8 }, () => random(wall.length - 2 * far)),
          ...changes.flatMap((change) => [-1, 0, 1, 30, 59].map((late) => change + late)),
          ...changes.map((change) => change - 300 + random(600)),
        ].filter((minute) => minute > 0 && minute < wall.length - 2 * far);
        for (const asked of askedMinutes) {
          const first = (from: number, open: boolean) => {
            for (let minute = from; minute < from + far; minute += 1) if (isOpen(minute) === open) return minute;
            return undefined;
          };
          const opensAt = first(asked, true);
          if (opensAt === undefined) continue;
          const closesAt = first(opensAt, false);
          const instant = (minute: number | undefined) =>
            minute === undefined ? undefined : new Date(at('2026-01-01T00:00:00Z').getTime() + minute * MINUTE_MS).toISOString();
          const opening = openingAfter(schedule, at(instant(asked) ?? ''));
          const what = `${JSON.stringify(windows)} at ${instant(asked)}`;
          expect(opening?.opensAt.toISOString(), what).toBe(instant(opensAt));
          if (closesAt !== undefined) expect(opening?.closesAt?.toISOString(), what).toBe(instant(closesAt));
        }
      }
    },
  );
});

/** What the clock shows in each minute, as minutes since 1970 read as UTC, and the minutes in which it was changed. */
function clockOf(timeZone: string, from: Date, to: Date): { wall: Int32Array; changes: number[] } {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' });
  const startMs = from.getTime();
  const shown = (minute: number) => Date.parse(`${format.format(startMs + minute * MINUTE_MS).replace(' ', 'T')}Z`) / MINUTE_MS;
  const wall = new Int32Array((to.getTime() - startMs) / MINUTE_MS);
  const changes: number[] = [];
  for (let hour = 0; hour < wall.length; hour += 60) {
    const before = shown(hour);
    const isEven = shown(hour + 59) === before + 59;
    for (let minute = hour; minute < hour + 60; minute += 1) {
      wall[minute] = isEven ? before + minute - hour : shown(minute);
      if (minute > 0 && wall[minute] !== (wall[minute - 1] ?? 0) + 1) changes.push(minute);
    }
  }
  return { wall, changes };
}

function covers({ days, from, to }: DailyWindow, shown: number): boolean {
  const minuteOf = (clock: string) => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3));
  const lasts = (minuteOf(to) - minuteOf(from) + 1440) % 1440 || 1440;
  return [0, 1].some((daysAgo) => {
    const day = Math.floor(shown / 1440) - daysAgo;
    // The first day of 1970 was a Thursday.
    const weekday = WEEKDAYS[(day + 3) % 7] ?? 'mon';
    const since = shown - day * 1440 - minuteOf(from);
    return (days === undefined || days.includes(weekday)) && since >= 0 && since < lasts;
  });
}

/** Whole numbers below a limit, the same for the same seed. */
function seededNumbers(seed: string): (limit: number) => number {
  let asked = 0;
  return (limit) => {
    asked += 1;
    return createHash('sha256').update(`${seed} ${asked}`).digest().readUIntBE(0, 6) % limit;
  };
}
