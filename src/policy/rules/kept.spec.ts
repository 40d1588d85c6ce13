import { describe, expect, it } from 'vitest';
import type { DeletedObjects, RetentionRule } from '../policy-types.js';
import { isoWeek, judgeRetention, type RetentionFacts, type RetentionPoint } from './kept.js';

const at = (text: string) => new Date(text);
const NOW = at('2026-11-21T12:00:00Z');
const DAY_MS = 24 * 3_600_000;
const BY_RETENTION: DeletedObjects = { vapps: { keep: 'retention' }, vms: { keep: 'retention' } };
const rule = (over: Partial<RetentionRule>): RetentionRule => ({ timeZone: 'UTC', ...over });
const facts = (over: Partial<RetentionFacts> = {}): RetentionFacts => ({
  now: NOW,
  rule: undefined,
  deletedObjects: BY_RETENTION,
  ...over,
});
const point = (created: string, over: Partial<RetentionPoint> = {}): RetentionPoint => ({
  id: created.slice(0, 10),
  createdAt: at(created.length > 10 ? created : `${created}T02:00:00Z`),
  complete: true,
  ...over,
});
/** One a day, at 02:00 UTC. */
const daily = (from: string, count: number): RetentionPoint[] =>
  Array.from({ length: count }, (_, index) => point(new Date(at(`${from}T02:00:00Z`).getTime() + index * DAY_MS).toISOString()));
const kept = (points: readonly RetentionPoint[], given: Partial<RetentionFacts>) =>
  judgeRetention(points, facts(given)).flatMap((verdict) => (verdict.kept ? [verdict.id] : []));
const reasonsOf = (points: readonly RetentionPoint[], id: string, given: Partial<RetentionFacts>) =>
  judgeRetention(points, facts(given)).find((verdict) => verdict.id === id)?.reasons;

describe('the weeks of ISO 8601', () => {
  it.each([
    ['2026-11-21T12:00:00Z', 'UTC', '2026-W47'],
    ['2027-01-03T12:00:00Z', 'UTC', '2026-W53'],
    ['2027-01-04T12:00:00Z', 'UTC', '2027-W01'],
    ['2024-12-30T12:00:00Z', 'UTC', '2025-W01'],
    ['2028-02-29T12:00:00Z', 'UTC', '2028-W09'],
    ['2026-11-22T23:30:00Z', 'Europe/Berlin', '2026-W48'],
    ['2026-11-22T23:30:00Z', 'UTC', '2026-W47'],
  ])('%s in %s is in %s', (instant, zone, week) => {
    expect(isoWeek(at(instant), zone)).toBe(week);
  });
});

describe('a retention rule keeps', () => {
  it('all, where there is none', () => {
    expect(kept(daily('2026-01-01', 200), {})).toHaveLength(200);
  });

  it('the last ones', () => {
    expect(kept(daily('2026-11-15', 6), { rule: rule({ keepLast: 3 }) })).toEqual(['2026-11-20', '2026-11-19', '2026-11-18']);
  });

  it('what a clock that was ahead has made, in the place of nothing else', () => {
    const points = [...daily('2026-11-15', 6), ...daily('2027-06-01', 3)];
    const expected = ['2027-06-03', '2027-06-02', '2027-06-01', '2026-11-20', '2026-11-19'];
    expect(kept(points, { rule: rule({ keepLast: 2 }) })).toEqual(expected);
    expect(kept(points, { rule: rule({ weekly: 1 }) })).toEqual(expected.toSpliced(-1));
    expect(reasonsOf(points, '2027-06-03', { rule: rule({ keepLast: 2 }) })).toEqual([
      'made by a clock that was ahead: its age is not known yet',
    ]);
    expect(reasonsOf(points, '2026-11-20', { rule: rule({ keepDays: 1 }) })).toContain('the last complete one');
    // When its time has come it is one like any other.
    expect(kept(points, { rule: rule({ keepLast: 2 }), now: at('2027-07-01T00:00:00Z') })).toEqual(['2027-06-03', '2027-06-02']);
  });

  it('what is young', () => {
    expect(kept(daily('2026-11-15', 6), { rule: rule({ keepDays: 3 }) })).toEqual(['2026-11-20', '2026-11-19']);
  });

  it('the last of each week, month and year, and says which', () => {
    const points = daily('2023-12-30', 1057);
    const gfs = rule({ keepLast: 2, weekly: 3, monthly: 3, yearly: 9 });
    expect(kept(points, { rule: gfs })).toEqual([
      '2026-11-20',
      '2026-11-19',
      '2026-11-15',
      '2026-11-08',
      '2026-10-31',
      '2026-09-30',
      '2025-12-31',
      '2024-12-31',
      '2023-12-31',
    ]);
    expect(reasonsOf(points, '2026-11-20', { rule: gfs })).toEqual([
      'one of the last 2',
      'kept as weekly 2026-W47',
      'kept as monthly 2026-11',
      'kept as yearly 2026',
      'the last complete one',
    ]);
    expect(reasonsOf(points, '2026-11-15', { rule: gfs })).toEqual(['kept as weekly 2026-W46']);
    expect(reasonsOf(points, '2026-11-14', { rule: gfs })).toEqual([
      'not one of the last 2 complete ones, not the last complete one of a week or month or year that counts',
    ]);
  });

  it('29 February as the last of its month', () => {
    expect(kept(daily('2028-02-27', 4), { now: at('2028-03-20T00:00:00Z'), rule: rule({ monthly: 2 }) })).toEqual([
      '2028-03-01',
      '2028-02-29',
    ]);
  });

  it('months by the clock of its time zone', () => {
    const points = [point('2026-10-31T23:30:00Z', { id: 'late' }), point('2026-10-30T12:00:00Z', { id: 'early' }), point('2026-11-20')];
    expect(kept(points, { rule: rule({ monthly: 2, timeZone: 'Europe/Berlin' }) })).toEqual(['2026-11-20', 'early']);
    expect(kept(points, { rule: rule({ monthly: 2 }) })).toEqual(['2026-11-20', 'late']);
  });

  it('as many weeks as it says although there was a pause', () => {
    const points = [...daily('2026-05-04', 14), ...daily('2026-11-19', 2)];
    expect(kept(points, { rule: rule({ weekly: 3 }) })).toEqual(['2026-11-20', '2026-05-17', '2026-05-10']);
  });

  it('the last complete one, however old', () => {
    expect(kept(daily('2025-01-01', 3), { rule: rule({ keepDays: 30 }) })).toEqual(['2025-01-03']);
  });
});

describe('a partial restore point', () => {
  const partial = (day: string) => point(day, { complete: false });
  it('pushes no complete one out', () => {
    const points = [...daily('2026-11-10', 3), partial('2026-11-18'), partial('2026-11-19'), partial('2026-11-20')];
    expect(kept(points, { rule: rule({ keepLast: 3 }) })).toEqual([
      ...['2026-11-20', '2026-11-19', '2026-11-18'],
      ...['2026-11-12', '2026-11-11', '2026-11-10'],
    ]);
    expect(kept(points, { rule: rule({ keepLast: 2 }) })).toEqual(['2026-11-20', '2026-11-19', '2026-11-12', '2026-11-11']);
  });

  it('goes by the rule among its like, so that a VM that fails for good does not keep them all', () => {
    const nights = daily('2026-09-21', 61).map((one, index) => ({
      ...one,
      complete: index === 0,
      vmIds: index === 0 ? ['web', 'db'] : ['web'],
    }));
    expect(kept(nights, { rule: rule({ keepLast: 3 }) })).toEqual(['2026-11-20', '2026-11-19', '2026-11-18', '2026-09-21']);
    expect(kept(nights, { rule: rule({ monthly: 2 }) })).toEqual(['2026-11-20', '2026-10-31', '2026-09-21']);
    expect(kept(nights, { rule: rule({ keepDays: 2 }) })).toEqual(['2026-11-20', '2026-09-21']);
    expect(reasonsOf(nights, '2026-11-18', { rule: rule({ keepLast: 3 }) })).toEqual(['one of the last 3 partial ones']);
    expect(reasonsOf(nights, '2026-10-31', { rule: rule({ monthly: 2 }) })).toEqual(['kept as monthly 2026-10 of the partial ones']);
    expect(reasonsOf(nights, '2026-11-17', { rule: rule({ keepLast: 3, monthly: 1 }) })).toEqual([
      'not one of the last 3 partial ones, not the last partial one of a month that counts',
    ]);
  });

  it.each<[string, RetentionPoint[]]>([
    ['a complete one', [point('2026-11-01', { vmIds: ['web', 'db', 'mail'] })]],
    ['none', []],
  ])('stays where it is the last that has a VM after %s', (_what, before) => {
    const nights = daily('2026-11-10', 11).map((one) => ({
      ...one,
      complete: false,
      vmIds: one.id <= '2026-11-13' ? ['web', 'db'] : one.id <= '2026-11-16' ? ['mail', 'web'] : ['web'],
    }));
    const points = [...before, ...nights];
    const expected = ['2026-11-20', '2026-11-16', '2026-11-13', ...before.map(({ id }) => id)];
    expect(kept(points, { rule: rule({ keepLast: 1 }) })).toEqual(expected);
    expect(reasonsOf(points, '2026-11-13', { rule: rule({ keepLast: 1 }) })).toEqual([
      `${before.length > 0 ? 'newer than the last complete one' : 'there is no complete one'}, and no later one has each of its VMs`,
    ]);
  });

  it('is nobody’s last of a week, and goes when a complete one has come', () => {
    const points = [point('2026-11-14'), partial('2026-11-15'), point('2026-11-20')];
    expect(kept(points, { rule: rule({ weekly: 2 }) })).toEqual(['2026-11-20', '2026-11-14']);
  });

  it('stays where there is no complete one', () => {
    const points = [partial('2026-01-01'), partial('2026-01-02')];
    expect(kept(points, { rule: rule({ keepLast: 2 }) })).toEqual(['2026-01-02', '2026-01-01']);
    expect(kept(points, { rule: rule({ keepDays: 1 }) })).toEqual(['2026-01-02']);
  });
});

describe('what no rule takes', () => {
  const old = daily('2025-01-01', 2);
  const rest = [...old, point('2026-11-20')];
  const strict = { rule: rule({ keepLast: 1 }) };
  it.each<[string, Partial<RetentionPoint>, string]>([
    ['what people hold', { holds: ['case 4711'] }, 'legal hold: case 4711'],
    ['what is locked', { lockedUntil: at('2026-11-21T12:00:01Z') }, 'locked until 2026-11-21T12:00:01.000Z'],
    ['what is being read', { readBy: 'the restore of vApp "shop"' }, 'being read by the restore of vApp "shop"'],
  ])('%s', (_what, over, reason) => {
    const points = rest.map((one) => (one.id === '2025-01-01' ? { ...one, ...over } : one));
    expect(kept(points, strict)).toEqual(['2026-11-20', '2025-01-01']);
    expect(reasonsOf(points, '2025-01-01', strict)).toEqual([reason]);
  });

  it('what a policy holds', () => {
    expect(kept(rest, { ...strict, heldBy: 'court order' })).toHaveLength(3);
    expect(reasonsOf(rest, '2025-01-01', { ...strict, heldBy: 'court order' })).toEqual(['legal hold by policy "court order"']);
  });

  it('a lock that has run out is no lock', () => {
    expect(kept([point('2025-01-01', { lockedUntil: NOW }), point('2026-11-20')], strict)).toEqual(['2026-11-20']);
  });
});

describe('of a vApp that was deleted in the cloud', () => {
  const points = daily('2026-10-01', 5);
  const deleted = (deletedObjects: Partial<DeletedObjects>, vappDeletedAt: string): Partial<RetentionFacts> => ({
    rule: rule({ keepLast: 2 }),
    deletedObjects: { ...BY_RETENTION, ...deletedObjects },
    vappDeletedAt: at(vappDeletedAt),
  });
  it.each<[string, Partial<DeletedObjects>, string, number]>([
    ['the rule goes on', { vapps: { keep: 'retention' } }, '2026-10-06T00:00:00Z', 2],
    ['all stay for the days it says', { vapps: { keep: 'days', days: 60 } }, '2026-10-06T00:00:00Z', 5],
    ['all go after them, the last one too', { vapps: { keep: 'days', days: 30 } }, '2026-10-06T00:00:00Z', 0],
    ['all stay for ever', { vapps: { keep: 'forever' } }, '2016-10-06T00:00:00Z', 5],
  ])('%s', (_what, over, at, count) => {
    expect(kept(points, deleted(over, at))).toHaveLength(count);
  });

  it('all stay after the days while many others are gone, too', () => {
    const given = { ...deleted({ vapps: { keep: 'days', days: 30 } }, '2026-10-06T00:00:00Z'), amongMany: true };
    expect(kept(points, given)).toHaveLength(5);
    expect(reasonsOf(points, '2026-10-01', given)).toEqual([
      'it was deleted from the cloud on 2026-10-06, and stays while many of its organization vanished in the last 7 days',
    ]);
    expect(kept(points, { ...given, deletedObjects: BY_RETENTION })).toHaveLength(2);
  });

  it('what is held stays after the days', () => {
    const held = points.map((one) => (one.id === '2026-10-02' ? { ...one, holds: ['case 1'] } : one));
    const given = deleted({ vapps: { keep: 'days', days: 30 } }, '2026-10-06T00:00:00Z');
    expect(kept(held, given)).toEqual(['2026-10-02']);
    expect(reasonsOf(held, '2026-10-01', given)).toEqual(['it was deleted from the cloud on 2026-10-06, more than 30 days ago']);
  });
});

describe('of a VM that was deleted in the cloud', () => {
  const points = daily('2026-11-10', 10).map((one) => ({ ...one, vmIds: one.id < '2026-11-13' ? ['web', 'db'] : ['web'] }));
  const given = (vms: DeletedObjects['vms']): Partial<RetentionFacts> => ({
    rule: rule({ keepLast: 1 }),
    deletedObjects: { ...BY_RETENTION, vms },
    deletedVms: [{ id: 'db', name: 'db-1', deletedAt: at('2026-11-12T12:00:00Z') }],
  });
  it.each<[string, DeletedObjects['vms'], string[]]>([
    ['the rule goes on', { keep: 'retention' }, ['2026-11-19']],
    ['the last one that has it stays for ever', { keep: 'forever' }, ['2026-11-19', '2026-11-12']],
    ['or for the days it says', { keep: 'days', days: 10 }, ['2026-11-19', '2026-11-12']],
    ['and not longer', { keep: 'days', days: 9 }, ['2026-11-19']],
  ])('%s', (_what, vms, expected) => {
    expect(kept(points, given(vms))).toEqual(expected);
  });
});
