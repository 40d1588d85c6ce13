import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger, sleep } from '../../src/common/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import { JobsModule, type PermitAccount, PermitService } from '../../src/jobs/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

const TIMES = { leaseRenewMs: 300, leaseExpiryMs: 1_500 };

describe('permits of several workers', () => {
  let database: TestDatabase;
  const started: TestingModule[] = [];

  beforeAll(async () => {
    database = await startTestDatabase();
  });
  afterAll(async () => {
    await database?.stop();
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((module) => module.close()));
  });

  /** As far as permits are concerned, a process of its own. */
  async function startWorker() {
    const module = await Test.createTestingModule({
      imports: [
        DatabaseModule.forRoot({ url: database.url, poolSize: 8 }),
        JobsModule.forRootAsync({
          useFactory: () => ({ worker: false, databaseUrl: database.url, logger: silentLogger, settings: TIMES }),
        }),
      ],
    }).compile();
    await module.init();
    started.push(module);
    return { permits: module.get(PermitService), source: module.get(DataSource) };
  }

  const host = (name: string, amount = 1, limit = 2): PermitAccount => ({ key: `disks ${name}`, amount, limit });
  const settled = async (promise: Promise<unknown>) => await Promise.race([promise.then(() => true), sleep(1_200).then(() => false)]);

  it('are never more than the limit, and all get one in the end', async () => {
    const workers = await Promise.all([startWorker(), startWorker(), startWorker()]);
    let held = 0;
    let most = 0;
    const turns = Array.from({ length: 18 }, async (_, number) => {
      const release = await workers[number % 3]?.permits.acquire([host('esx-1', 1, 3), { key: 'vcenter', amount: 1, limit: 50 }]);
      held += 1;
      most = Math.max(most, held);
      await sleep(40);
      held -= 1;
      release?.();
      release?.();
    });
    await Promise.all(turns);
    expect(most).toBeLessThanOrEqual(3);
    expect(most).toBeGreaterThan(1);
  });

  it('are had in the order of arrival, and who waits for one host holds up nobody on another', async () => {
    const [one, two] = [await startWorker(), await startWorker()];
    const small = await one.permits.acquire([host('a')]);
    // Needs both places of the host, and the vCenter's, which has room.
    const large = two.permits.acquire([host('a', 2), { key: 'vcenter', amount: 1, limit: 50 }]);
    expect(await settled(large)).toBe(false);
    const late = one.permits.acquire([host('a')]);
    const elsewhere = await one.permits.acquire([host('b'), { key: 'vcenter', amount: 1, limit: 50 }]);
    expect(await settled(late)).toBe(false);
    elsewhere();
    small();
    (await large)();
    (await late)();
  });

  it('that nobody could ever have are had alone', async () => {
    const { permits } = await startWorker();
    const huge = await permits.acquire([host('a', 100, 2)]);
    const other = permits.acquire([host('a')]);
    expect(await settled(other)).toBe(false);
    huge();
    (await other)();
  });

  it('are asked for again by who was taken for dead while it waited', async () => {
    const [one, two] = [await startWorker(), await startWorker()];
    const held = await one.permits.acquire([host('a', 2)]);
    const waiting = two.permits.acquire([host('a')]);
    expect(await settled(waiting)).toBe(false);
    await one.source.query('DELETE FROM workers WHERE id IN (SELECT worker_id FROM permits WHERE granted_at IS NULL)');
    held();
    (await waiting)();
  });

  it('are not taken back by a heartbeat that was under way when they were asked for', async () => {
    const { permits, source } = await startWorker();
    (await permits.acquire([host('a')]))();
    const query = source.query.bind(source);
    let beating: (() => void) | undefined;
    const beats = new Promise<void>((resolve) => {
      beating = resolve;
    });
    let goOn: (() => void) | undefined;
    const asked = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    // The database gets what the heartbeat asks of the permits only after another connection has made one.
    source.query = (async (text: string, parameters?: unknown[]) => {
      if (/(?:DELETE|SELECT id) FROM permits WHERE worker_id/.test(text)) {
        beating?.();
        await asked;
      }
      return await query(text, parameters);
    }) as typeof source.query;
    await beats;
    await permits.acquire([host('a')]);
    source.query = query;
    goOn?.();
    await sleep(TIMES.leaseRenewMs * 2);
    expect(await query('SELECT id FROM permits')).toHaveLength(1);
  });

  it('of a dead worker come back, those of a living one do not however long it holds them', async () => {
    const [living, other] = [await startWorker(), await startWorker()];
    const kept = await living.permits.acquire([host('a')]);
    // What SIGKILL leaves behind.
    await other.source.query(`INSERT INTO workers (id, expires_at) VALUES ('dead', now() + interval '700 milliseconds')`);
    await other.source.query(
      `INSERT INTO permits (id, worker_id, keys, amounts, granted_at) VALUES ('p1', 'dead', '{disks a}', '{1}', now()),
         ('p2', 'dead', '{disks a}', '{1}', NULL)`,
    );
    await other.source.query(`UPDATE permits SET lacking = '{disks a}' WHERE id = 'p2'`);
    const release = await other.permits.acquire([host('a')]);
    const third = other.permits.acquire([host('a')]);
    await sleep(TIMES.leaseExpiryMs + TIMES.leaseRenewMs);
    expect(await settled(third)).toBe(false);
    kept();
    (await third)();
    release();
  });

  it('are not kept by who gives up waiting or stops', async () => {
    const [one, two] = [await startWorker(), await startWorker()];
    const all = await one.permits.acquire([host('a', 2)]);
    const impatient = new AbortController();
    const waiting = two.permits.acquire([host('a')], impatient.signal);
    await sleep(100);
    impatient.abort(new Error('not any more'));
    await expect(waiting).rejects.toThrow('not any more');
    const stopped = two.permits.acquire([host('a')]);
    const refused = expect(stopped).rejects.toMatchObject({ code: 'CANCELLED' });
    await sleep(100);
    await two.permits.stop();
    await refused;
    all();
    (await one.permits.acquire([host('a', 2)]))();
    for (const deadline = performance.now() + 5_000; ; await sleep(20)) {
      const [{ count }] = await one.source.query(`SELECT count(*)::int AS count FROM permits WHERE worker_id <> 'dead'`);
      if (count === 0) break;
      expect(performance.now()).toBeLessThan(deadline);
    }
  });
});
