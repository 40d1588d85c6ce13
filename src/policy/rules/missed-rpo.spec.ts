import { expect, it } from 'vitest';
import type { PolicySchedule } from '../policy-types.js';
import { missedRpoSince } from './missed-rpo.js';

const at = (text: string) => new Date(text);
const daily: PolicySchedule = { cron: '0 2 * * *', timeZone: 'UTC', spreadMinutes: 60 };
const rpo: PolicySchedule = { rpoHours: 4, timeZone: 'UTC', spreadMinutes: 0 };

it.each<[string, PolicySchedule, string, string | undefined, string, string | undefined]>([
  ['young enough', rpo, '2026-01-01T00:00:00Z', '2026-11-21T09:00:00Z', '2026-11-21T13:00:00Z', undefined],
  ['too old', rpo, '2026-01-01T00:00:00Z', '2026-11-21T09:00:00Z', '2026-11-21T13:00:01Z', '2026-11-21T13:00:00.000Z'],
  ['none yet, and still time', rpo, '2026-11-21T10:00:00Z', undefined, '2026-11-21T13:30:00Z', undefined],
  ['none in time', rpo, '2026-11-21T10:00:00Z', undefined, '2026-11-21T14:30:00Z', '2026-11-21T14:00:00.000Z'],
  [
    'old when it came under the policy, and still time',
    rpo,
    '2026-11-21T10:00:00Z',
    '2026-11-01T00:00:00Z',
    '2026-11-21T13:30:00Z',
    undefined,
  ],
  ['the run of today is under way', daily, '2026-01-01T00:00:00Z', '2026-11-20T02:10:00Z', '2026-11-21T02:05:00Z', undefined],
  [
    'the same, by a vCenter whose clock is behind',
    daily,
    '2026-01-01T00:00:00Z',
    '2026-11-20T01:58:00Z',
    '2026-11-21T02:00:20Z',
    undefined,
  ],
  [
    'the run of yesterday failed, and today there was none',
    daily,
    '2026-01-01T00:00:00Z',
    '2026-11-19T02:10:00Z',
    '2026-11-21T02:05:00Z',
    '2026-11-21T02:00:00.000Z',
  ],
  [
    'weeks without: since the second time that was missed, and not since the last',
    daily,
    '2026-01-01T00:00:00Z',
    '2026-11-01T02:10:00Z',
    '2026-11-21T02:05:00Z',
    '2026-11-03T02:00:00.000Z',
  ],
  ['a new object before its second time', daily, '2026-11-20T12:00:00Z', undefined, '2026-11-21T12:00:00Z', undefined],
  ['a new object after its second time', daily, '2026-11-20T12:00:00Z', undefined, '2026-11-22T12:00:00Z', '2026-11-22T02:00:00.000Z'],
  ['a time that never comes', { ...daily, cron: '0 2 30 2 *' }, '2026-11-20T12:00:00Z', undefined, '2026-11-22T12:00:00Z', undefined],
])('%s', (_what, schedule, sinceAt, lastPointAt, now, expected) => {
  const facts = { schedule, sinceAt: at(sinceAt), lastPointAt: lastPointAt === undefined ? undefined : at(lastPointAt) };
  expect(missedRpoSince(facts, at(now))?.toISOString()).toBe(expected);
});

/** Missed since noon of the 20th; at noon of the 21st the schedule is another. */
it.each<[string, PolicySchedule, string | undefined, string, string | undefined]>([
  ['does not end it', rpo, '2026-11-19T12:00:00Z', '2026-11-21T12:00:01Z', '2026-11-20T12:00:00.000Z'],
  ['does not end it where there is none', rpo, undefined, '2026-11-21T12:00:01Z', '2026-11-20T12:00:00.000Z'],
  ['does not end it when it is missed, too', rpo, '2026-11-19T12:00:00Z', '2026-11-23T12:00:00Z', '2026-11-20T12:00:00.000Z'],
  ['to other times does not end it', daily, '2026-11-19T12:00:00Z', '2026-11-21T12:00:01Z', '2026-11-20T12:00:00.000Z'],
  ['to other times does not end it where there is none', daily, undefined, '2026-11-21T12:00:01Z', '2026-11-20T12:00:00.000Z'],
  ['that what there is satisfies ends it', { ...rpo, rpoHours: 72 }, '2026-11-19T12:00:00Z', '2026-11-21T12:00:01Z', undefined],
  ['ends it with the next restore point', rpo, '2026-11-21T12:30:00Z', '2026-11-21T13:00:00Z', undefined],
  ['begins anew with the next restore point', rpo, '2026-11-21T12:30:00Z', '2026-11-21T17:00:00Z', '2026-11-21T16:30:00.000Z'],
  ['gives time to catch up where it was missed by a clock that was ahead', rpo, undefined, '2026-11-19T12:00:00Z', undefined],
])('a change of the schedule %s', (_what, schedule, lastPointAt, now, expected) => {
  const facts = {
    ...{ schedule, sinceAt: at('2026-11-21T12:00:00Z'), lastPointAt: lastPointAt === undefined ? undefined : at(lastPointAt) },
    missedSince: at('2026-11-20T12:00:00Z'),
  };
  expect(missedRpoSince(facts, at(now))?.toISOString()).toBe(expected);
});
