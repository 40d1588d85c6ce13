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
/** What a late request makes, and how often each was looked for. */
const made = new Set<string>();
const looks = new Map<string, number>();
let handler: (context: RunContext) => Promise<Record<string, unknown>>;

@Module({})
class Rooms {
  constructor(@Inject(RunService) runs: RunService, @Inject(ObligationService) obligations: ObligationService) {
    runs.registerHandler('backup', ((_payload: unknown, context: RunContext) => handler(context)) as never, {
      concludeLost: async () => await Promise.resolve(conclusions.shift()?.()),
    });
    obligations.registerPayer('maintenance', async ({ by }) => {
      if (!payable) throw new Error('VCD is away');
      events.push(`paid ${String(by)}`);
      return 'undone';
    });
    obligations.registerPayer('thing', async ({ name }) => {
      looks.set(String(name), (looks.get(String(name)) ?? 0) + 1);
      return made.delete(String(name)) ? 'undone' : undefined;
    });
  }
}

describe('debts between runs of one vApp', () => {
  let database: TestDatabase;
  let module: TestingModule;
  let runs: RunService;
  /** Ends what never comes back. */
  const release = new AbortController();

  beforeAll(async () => {
    database = await startTestDatabase();
    const settings = {
      concurrency: 8,
      queuePollMs: 50,
      leaseRenewMs: 300,
      leaseExpiryMs: 1_500,
      cancelPollMs: 100,
      sweepMs: 100,
      payRetryBaseMs: 100,
      lateRequestMs: 1_000,
    };
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
    release.abort();
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

  it('so has one whose commit was carried out though its answer was lost', async () => {
    payable = true;
    events.length = 0;
    handler = async (context) => {
      await context.obligations.owe('maintenance', { by: 'unanswered' });
      await module.get(DataSource).query(`UPDATE runs SET result = '{"restored": "shop"}' WHERE id = $1`, [context.runId]);
      throw new Error('Connection terminated unexpectedly');
    };
    const view = await ended(await start());
    expect(view).toMatchObject({ state: 'warning', error: null, result: { restored: 'shop' }, openObligations: [] });
    expect(events).toEqual(['paid unanswered']);
  });

  it('and one whose aim exists, as soon as that can be told', async () => {
    conclusions.push(
      () => {
        throw new TimeoutError('Reading the repository', 1_000);
      },
      () => ({ restorePointId: 'published' }),
    );
    handler = async () => {
      throw await Promise.resolve(new Error('Connection terminated unexpectedly'));
    };
    expect(await ended(await start())).toMatchObject({
      state: 'warning',
      error: null,
      result: { restorePointId: 'published' },
      warnings: [expect.stringContaining('What came after the aim was reached went wrong')],
    });
    expect(conclusions).toEqual([]);
    conclusions.push(() => {
      throw new Error('The manifest is damaged');
    });
    expect(await ended(await start())).toMatchObject({ state: 'failed', result: null });
    conclusions.length = 0;
  });

  /** Begins a run with that handler, which then never comes back, and takes its lease away. */
  async function lose(work: (context: RunContext) => Promise<unknown>): Promise<RunView> {
    let reached = false;
    handler = async (context) => {
      await work(context);
      reached = true;
      await sleep(60_000, release.signal).catch(() => undefined);
      return {};
    };
    const run = await start();
    for (let tries = 0; !reached && tries < 500; tries += 1) await sleep(20);
    await module
      .get(DataSource)
      .query(`UPDATE runs SET lease_owner = 'dead', lease_expires_at = now() - interval '1 second' WHERE id = $1`, [run.id]);
    return await ended(run);
  }

  it('what follows from a commit is carried on by whoever finds the run', async () => {
    payable = true;
    const view = await lose(async (context) => {
      const kept = await context.obligations.owe('maintenance', { by: 'kept by the lost one' });
      await context.commit({ restored: 'shop' }, [kept], [{ kind: 'maintenance', terms: { by: 'what follows' } }]);
    });
    expect(view).toMatchObject({ state: 'warning', result: { restored: 'shop' }, openObligations: [] });
    expect(events).toContain('paid what follows');
    expect(events).not.toContain('paid kept by the lost one');
  });

  it('and is paid through its handle by a worker that lives', async () => {
    handler = async (context) => {
      const [handle] = await context.commit({ restored: 'shop' }, [], [{ kind: 'maintenance', terms: { by: 'the living' } }]);
      await handle?.pay();
      events.push('after it');
      return { restored: 'shop' };
    };
    expect(await ended(await start())).toMatchObject({ state: 'succeeded', openObligations: [] });
    expect(events.slice(-2)).toEqual(['paid the living', 'after it']);
    handler = (context) => context.commit({}, [], [{ kind: 'nobody pays it', terms: {} }]) as never;
    expect(await ended(await start())).toMatchObject({ state: 'failed', result: null, error: { code: 'PAYER_MISSING' } });
  });

  it('so is what a living one had asked for when it was cut off', async () => {
    handler = async (context) => {
      await context.obligations.owe('thing', { name: 'cut off' });
      throw new Error('The connection was cut in the middle of the request');
    };
    expect(await ended(await start())).toMatchObject({ state: 'failed', openObligations: [] });
    made.add('cut off');
    for (const deadline = performance.now() + 10_000; made.size > 0; await sleep(20)) {
      if (performance.now() > deadline) throw new Error('Nobody looked again');
    }
    looks.clear();
  });

  it('what a dead worker had asked for and comes late is found by a second look, and only then looked for', async () => {
    const view = await lose(async (context) => {
      for (const name of ['late', 'seen']) await context.obligations.owe('thing', { name });
      made.add('seen');
    });
    expect(view).toMatchObject({ state: 'failed', error: { code: 'WORKER_LOST' }, openObligations: [] });
    expect(made).toEqual(new Set());
    made.add('late');
    for (const deadline = performance.now() + 10_000; made.size > 0; await sleep(20)) {
      if (performance.now() > deadline) throw new Error('Nobody looked again');
    }
    // Undone once when it was seen: no more looks, at neither of them.
    await sleep(300);
    expect(Object.fromEntries(looks)).toEqual({ seen: 1, late: 2 });
    expect((await runs.view(view.id)).openObligations).toEqual([]);
  });

  it('a second look that comes due while the next one works is none of its debts, and comes before the one after it begins', async () => {
    const obligations = module.get(ObligationService);
    handler = async (context) => {
      await context.obligations.owe('thing', { name: 'twice' });
      throw new Error('It failed before it made anything');
    };
    expect(await ended(await start())).toMatchObject({ state: 'failed', openObligations: [] });
    looks.clear();
    // As long as it takes to come due, and some sweeps.
    const seen = new Set<unknown>();
    handler = async () => {
      for (const deadline = performance.now() + 2_000; performance.now() < deadline; await sleep(10)) {
        seen.add(await obligations.oldestUnpaid({ name: 'twice' }));
      }
      return {};
    };
    expect(await ended(await start())).toMatchObject({ state: 'succeeded', warnings: [] });
    expect([...seen]).toEqual([undefined]);
    let looked: number | undefined;
    handler = async () => {
      looked = looks.get('twice');
      return {};
    };
    await ended(await start());
    expect(looked).toBe(1);
  });

  it('a lost run is not ended before it could be told whether it had reached its aim', async () => {
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
  });
});
