import { Inject, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger, sleep, TimeoutError } from '../../src/common/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import { JobsModule, ObligationService, type RunContext, RunService, type RunView } from '../../src/jobs/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

/** What happened, in order: the debt of one run must never be paid in the middle of the next one about the same vApp. */
const events: string[] = [];
let payable = false;
/** What a look at a lost run's aim finds, one look each. */
const conclusions: (() => Record<string, unknown>)[] = [];
let handler: (context: RunContext) => Promise<Record<string, unknown>>;

@Module({})
class Rooms {
  constructor(@Inject(RunService) runs: RunService, @Inject(ObligationService) obligations: ObligationService) {
    runs.registerHandler(
      'backup',
      ((_payload: unknown, context: RunContext) => handler(context)) as never,
      async () => await Promise.resolve(conclusions.shift()?.()),
    );
    obligations.registerPayer('maintenance', async ({ by }) => {
      if (!payable) throw new Error('VCD is away');
      events.push(`paid ${String(by)}`);
    });
  }
}

describe('debts between runs of one vApp', () => {
  let database: TestDatabase;
  let module: TestingModule;
  let runs: RunService;

  beforeAll(async () => {
    database = await startTestDatabase();
    const settings = { queuePollMs: 50, leaseRenewMs: 300, leaseExpiryMs: 1_500, cancelPollMs: 100, sweepMs: 100, payRetryBaseMs: 100 };
    module = await Test.createTestingModule({
      imports: [
        DatabaseModule.forRoot({ url: database.url, poolSize: 6 }),
        JobsModule.forRootAsync({
          useFactory: () => ({ worker: true, databaseUrl: database.url, logger: silentLogger, settings }),
        }),
        Rooms,
      ],
    }).compile();
    await module.init();
    runs = module.get(RunService);
  });
  afterAll(async () => {
    await module?.close();
    await database?.stop();
  });

  const start = () => runs.create('backup', 'vApp "shop"', {}, { organizationId: 'o', exclusiveKey: 'vapp:1' });

  async function ended({ id }: RunView): Promise<RunView> {
    for (const deadline = performance.now() + 10_000; ; await sleep(20)) {
      const view = await runs.view(id);
      if (view.endedAt !== null) return view;
      if (performance.now() > deadline) throw new Error(`Still waiting: ${JSON.stringify(view)}`);
    }
  }

  it('are paid before the next one begins, and never while it works', async () => {
    handler = async (context) => {
      await context.obligations.owe('maintenance', { by: 'first' });
      throw new Error('it fails, and VCD is away at its clean-up');
    };
    const first = await ended(await start());
    expect(first.openObligations).toHaveLength(1);
    // Not payable when the next one begins; it becomes so while the next one works, and is due all the time.
    handler = async () => {
      payable = true;
      events.push('second begins');
      await sleep(1_000);
      events.push('second ends');
      return {};
    };
    const second = await ended(await start());
    expect(second).toMatchObject({ state: 'warning', warnings: [expect.stringContaining('An earlier run: "maintenance" is still owed')] });
    for (let looks = 0; events.length < 3 && looks < 300; looks += 1) await sleep(20);
    expect(events.splice(0)).toEqual(['second begins', 'second ends', 'paid first']);

    payable = false;
    handler = async (context) => {
      await context.obligations.owe('maintenance', { by: 'third' });
      throw new Error('again');
    };
    const third = await ended(await start());
    // Its next try is far away: the next run does not wait for it.
    await module.get(DataSource).query(`UPDATE obligations SET next_try_at = now() + interval '1 hour' WHERE run_id = $1`, [third.id]);
    payable = true;
    handler = async () => ({ events: events.push('fourth begins') });
    expect(await ended(await start())).toMatchObject({ state: 'succeeded' });
    expect(events).toEqual(['paid third', 'fourth begins']);
  });

  it('a run that had reached its aim has succeeded, whatever becomes of its worker or of what comes after', async () => {
    payable = true;
    handler = async (context) => {
      const kept = await context.obligations.owe('maintenance', { by: 'kept' });
      await context.commit({ restored: 'shop' }, [kept]);
      throw new Error('afterwards');
    };
    const view = await ended(await start());
    expect(view).toMatchObject({ state: 'warning', error: null, result: { restored: 'shop' }, openObligations: [] });
    expect(events).not.toContain('paid kept');
  });

  it('a lost run is not ended before it could be told whether it had reached its aim', async () => {
    const release = new AbortController();
    handler = async () => {
      await sleep(60_000, release.signal).catch(() => undefined);
      return {};
    };
    conclusions.push(
      () => {
        throw new TimeoutError('Reading the repository', 1_000);
      },
      () => ({ restorePointId: 'published' }),
    );
    const run = await start();
    for (let looks = 0; (await runs.view(run.id)).state !== 'running' && looks < 200; looks += 1) await sleep(20);
    await module
      .get(DataSource)
      .query(`UPDATE runs SET lease_owner = 'dead', lease_expires_at = now() - interval '1 second' WHERE id = $1`, [run.id]);
    const view = await ended(run);
    expect(view).toMatchObject({ state: 'warning', error: null, result: { restorePointId: 'published' } });
    expect(conclusions).toEqual([]);
    release.abort();
  });
});
