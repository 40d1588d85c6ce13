import { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sleep } from '../../src/common/index.js';
import { placeInSpread } from '../../src/policy/rules/due.js';
import { PolicyVault } from './policies-fixture.js';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const NOON = '2026-11-20T12:00:00Z';
const signal = new AbortController().signal;

describe('the time that several services know together', () => {
  let vault: PolicyVault;
  beforeAll(async () => {
    vault = await PolicyVault.start({ now: NOON, services: 2, vapps: 12, tickMs: 50 });
  });
  afterAll(() => vault?.close());
  beforeEach(() => vault.reset(NOON));

  /** A look of one of the services, at what its own clock says. */
  const look = async (service: number, atMs: number) => {
    vault.clock.set(new Date(atMs).toISOString());
    await vault.services[service]?.rounds.round(signal);
  };
  const known = async () => {
    const [row] = await vault.query<{ resumedAt: Date; pausedMs: string }>(
      'SELECT resumed_at AS "resumedAt", paused_ms AS "pausedMs" FROM policy_clock',
    );
    return { resumedAt: row?.resumedAt.toISOString(), pausedMs: Number(row?.pausedMs) };
  };
  /** As if that much time had passed by the database's clock since somebody looked. */
  const pass = (ms: number) => vault.query(`UPDATE policy_clock SET looked_at = looked_at - $1 * interval '1 millisecond'`, [ms]);
  /** A look a minute, of one service after the other. @returns how many runs there are after each. */
  const looks = async (from: string, minutes: number, apartMs: number) => {
    const counts: number[] = [];
    for (let minute = 0; minute < minutes; minute += 1) {
      await look(minute % 2, Date.parse(from) + minute * MINUTE_MS + (minute % 2) * apartMs);
      counts.push((await vault.runsOf()).length);
    }
    return counts;
  };

  /** Of a spread of an hour: how many objects have their places within so many minutes. */
  const placesUpTo = async (minutes: readonly number[]) => {
    const placesMs = (await vault.vappIds()).map((id) => Math.floor(placeInSpread(id) * 60 * MINUTE_MS));
    return minutes.map((within) => placesMs.filter((place) => place <= within * MINUTE_MS).length);
  };

  it.each([0, 10 * MINUTE_MS])('has all that is due begun over its spread with clocks %i ms apart', async (apartMs) => {
    await vault.create({ schedule: { cron: '0 2 * * *', timeZone: 'UTC', spreadMinutes: 60 } });
    await look(0, Date.parse(NOON));
    await look(1, Date.parse(NOON) + apartMs);
    await pass(13 * 60 * MINUTE_MS);
    const counts = await looks('2026-11-21T01:30:00Z', 100, apartMs);
    // Due at the 30th minute; who is ahead begins what is due by its own clock.
    const aheadMinutes = apartMs / MINUTE_MS;
    const latest = (minute: number) => Math.max(minute, minute + aheadMinutes - (minute % 2 === 1 ? 0 : 1));
    expect(counts).toEqual(await placesUpTo(counts.map((_count, minute) => latest(minute) - 30)));
    expect(counts.at(-1)).toBe(12);
  });

  it('spreads anew what was missed in a silence, also where the clock of who looks next is behind', async () => {
    await vault.create({ schedule: { cron: '0 2 * * *', timeZone: 'UTC', spreadMinutes: 60 } });
    await look(0, Date.parse(NOON));
    await look(1, Date.parse(NOON) - 10 * MINUTE_MS);
    await pass(DAY_MS);
    const counts = await looks('2026-11-21T12:00:00Z', 80, -10 * MINUTE_MS);
    // The pause ended at 12:00, and by the other clock at 11:51: so it is from the second look on.
    const latest = (minute: number) => (minute < 2 ? 0 : 9 + minute - (minute % 2));
    expect(counts).toEqual(await placesUpTo(counts.map((_count, minute) => latest(minute))));
    expect(counts.at(-1)).toBe(12);
  });

  it('takes no difference between clocks for a pause, and a silence for one', async () => {
    const noon = Date.parse(NOON);
    await look(0, noon);
    await look(1, noon + 4 * MINUTE_MS);
    for (let minute = 1; minute < 5; minute += 1) await look(minute % 2, noon + minute * MINUTE_MS + (minute % 2) * 4 * MINUTE_MS);
    expect(await known()).toEqual({ resumedAt: new Date(noon).toISOString(), pausedMs: 0 });
    await pass(6 * MINUTE_MS);
    await look(1, noon + 11 * MINUTE_MS);
    const { resumedAt, pausedMs } = await known();
    expect(resumedAt).toBe(new Date(noon + 11 * MINUTE_MS).toISOString());
    expect(pausedMs).toBeGreaterThanOrEqual(6 * MINUTE_MS);
    expect(pausedMs).toBeLessThan(7 * MINUTE_MS);
  });

  it.each([2, -2])('takes a jump of a clock by %i days for a pause, once', async (days) => {
    const there = Date.parse(NOON) + days * DAY_MS;
    await look(0, Date.parse(NOON));
    await look(0, there);
    const { resumedAt, pausedMs } = await known();
    expect(resumedAt).toBe(new Date(there).toISOString());
    expect(pausedMs).toBeGreaterThan(1.9 * DAY_MS);
    // Of the other one, too; it agrees with what the first one says.
    await look(1, there + MINUTE_MS);
    await look(0, there + 2 * MINUTE_MS);
    expect((await known()).resumedAt).toBe(resumedAt);
  });

  it('takes a first look with a clock that is a year ahead for a jump, and its end as well', async () => {
    const now = Date.parse(NOON);
    await look(0, now);
    await look(1, now + 365 * DAY_MS);
    expect((await known()).pausedMs).toBeGreaterThan(364 * DAY_MS);
    await look(0, now + MINUTE_MS);
    // What is said to have begun in a year is not waited for.
    expect((await known()).resumedAt).toBe(new Date(now + MINUTE_MS).toISOString());
  });

  describe('in a round that lasts', () => {
    const until = async (question: string) => {
      const deadline = performance.now() + 20_000;
      while ((await vault.query(question)).length === 0) {
        if (performance.now() > deadline) throw new Error(`Still waiting for ${question}`);
        await sleep(10);
      }
    };
    const isAwake = () => until(`SELECT 1 FROM policy_clock WHERE looked_at > now() - interval '1 minute'`);
    /** A round that hangs at the inventory while `during` is done. */
    const hanging = async (during: () => Promise<void>) => {
      const holder = vault.service(DataSource).createQueryRunner();
      await holder.startTransaction();
      await holder.query('LOCK TABLE vapps');
      vault.clock.forward(MINUTE_MS);
      const round = vault.one.rounds.round(signal);
      try {
        await until(`SELECT 1 FROM pg_locks WHERE relation = 'vapps'::regclass AND NOT granted`);
        await during();
      } finally {
        await holder.rollbackTransaction();
        await holder.release();
        await round;
      }
    };
    beforeEach(async () => {
      await vault.create({ schedule: { cron: '0 2 * * *', timeZone: 'UTC', spreadMinutes: 0 } });
      await look(0, Date.parse(NOON));
    });

    it('somebody looks all the while', async () => {
      await hanging(async () => {
        for (let times = 0; times < 3; times += 1) {
          await pass(4 * MINUTE_MS);
          await isAwake();
        }
      });
      await vault.rounds();
      expect(await known()).toEqual({ resumedAt: new Date(NOON).toISOString(), pausedMs: 0 });
    });

    it('a process that stood still counts as a pause', async () => {
      await hanging(async () => {
        await pass(6 * MINUTE_MS);
        await isAwake();
      });
      expect((await known()).resumedAt).not.toBe(new Date(NOON).toISOString());
    });
  });
});
