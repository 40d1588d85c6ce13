import { describe, expect, it } from 'vitest';
import type { DailyWindow } from '../policy-types.js';
import { mayRun, mustStop, openingAfter } from './windows.js';
import { instantOf, wallTime } from './zoned-time.js';

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
});
