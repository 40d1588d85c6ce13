import { describe, expect, it } from 'vitest';
import { dateRestorePoint } from './date-restore-point.js';

const taken = { from: new Date('2026-11-21T01:00:00Z'), until: new Date('2026-11-21T01:20:00Z') };
const dated = (lastAt: string, when = taken) => dateRestorePoint(lastAt, when, 'vApp "shop"');

describe('a restore point is dated', () => {
  it.each([
    ['at its last snapshot', '2026-11-21T01:10:00.000Z'],
    ['so too where vCenter is behind by what clocks differ', '2026-11-21T00:55:00.000Z'],
    ['and where it is ahead by as much', '2026-11-21T01:25:00.000Z'],
  ])('%s', (_what, lastAt) => {
    expect(dated(lastAt)).toEqual({ createdAt: lastAt });
  });

  it.each([
    ['a vCenter that is a month behind', '2026-10-22T01:10:00.000Z'],
    ['one that is a little more behind than clocks may be', '2026-11-21T00:54:59.999Z'],
    ['one that is ahead', '2026-11-21T01:25:00.001Z'],
    ['one that is years ahead', '2031-11-21T01:10:00.000Z'],
  ])('by this service where the snapshot is of %s', (_what, lastAt) => {
    expect(dated(lastAt)).toEqual({
      createdAt: '2026-11-21T01:20:00.000Z',
      warning:
        `The snapshot of vApp "shop" is dated ${lastAt} by vCenter and was taken at 2026-11-21T01:20:00.000Z by this service's clock; the ` +
        `restore point has the service's time. Set both clocks by the same time servers.`,
    });
  });

  it('although the clock of this service went back while it was taken', () => {
    const back = { from: taken.until, until: taken.from };
    expect(dated('2026-11-21T01:10:00.000Z', back)).toEqual({ createdAt: '2026-11-21T01:10:00.000Z' });
  });
});
