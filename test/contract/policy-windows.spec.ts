import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { placeInSpread } from '../../src/policy/rules/due.js';
import { PolicyVault } from './policies-fixture.js';

describe('a window that is too short for all', () => {
  let vault: PolicyVault;
  /** In the order of their places in the spread. */
  let ids: string[];
  beforeAll(async () => {
    vault = await PolicyVault.start({ now: '2026-11-20T12:00:00Z', services: 1, vapps: 12 });
    ids = (await vault.vappIds()).toSorted((one, other) => placeInSpread(one) - placeInSpread(other));
  });
  afterAll(() => vault?.close());
  beforeEach(() => vault.reset('2026-11-20T12:00:00Z'));

  /** A window in which four begin, and last until it is over. @returns whose backups began, as their places from 0 to 11. */
  const night = async (date: string, expected: number) => {
    const begun: number[] = [];
    let free: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      free = resolve;
    });
    vault.backup = async ({ vappId }) => {
      begun.push(ids.indexOf(vappId));
      await gate;
    };
    try {
      for (const time of ['02:00', '02:10', '02:20', '02:30']) {
        vault.clock.set(`${date}T${time}:00Z`);
        await vault.rounds();
      }
      await vault.running(expected);
      // Those that wait are taken back, and that is written down by the next look.
      vault.clock.set(`${date}T03:00:00Z`);
      await vault.rounds();
    } finally {
      free();
    }
    await vault.ended('backup', 0);
    await vault.rounds();
    return begun.toSorted((one, other) => one - other);
  };
  const [first, second, third] = [
    [0, 1, 2, 3],
    [4, 5, 6, 7],
    [8, 9, 10, 11],
  ];

  it('is given to who has waited longest, night after night', async () => {
    const runWindows = [{ from: '02:00', to: '03:00' }];
    await vault.create({ schedule: { cron: '0 2 * * *', timeZone: 'UTC', spreadMinutes: 30, runWindows } });
    await vault.rounds();
    const nights: number[][] = [];
    for (let day = 21; day < 27; day += 1) nights.push(await night(`2026-11-${day}`, 4));
    expect(nights).toEqual([first, second, third, first, second, third]);
  });

  it('is given to who is left of a due time that took several nights, and to nobody twice', async () => {
    await vault.create({
      schedule: { cron: '0 2 * * 6', timeZone: 'UTC', spreadMinutes: 30, runWindows: [{ from: '02:00', to: '03:00' }] },
    });
    await vault.rounds();
    const nights: number[][] = [];
    for (const [day, expected] of [21, 22, 23, 24].map((day) => [day, day === 24 ? 0 : 4] as const)) {
      nights.push(await night(`2026-11-${day}`, expected));
    }
    expect(nights).toEqual([first, second, third, []]);
  });
});
