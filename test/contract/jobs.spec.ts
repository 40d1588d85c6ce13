import { Inject, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DataSource } from 'typeorm';
import { CancelledError, newId, silentLogger, sleep } from '../../src/common/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import {
  JobsModule,
  type JobsSettings,
  ObligationService,
  type RunContext,
  RunService,
  type RunState,
  type RunView,
} from '../../src/jobs/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

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

type Work = (payload: Record<string, unknown>, context: RunContext) => Promise<Record<string, unknown>>;
type Payer = (terms: Record<string, unknown>, signal: AbortSignal) => Promise<void>;

interface Worker {
  runs: RunService;
  obligations: ObligationService;
  sql: (text: string, parameters?: unknown[]) => Promise<Record<string, unknown>[]>;
  close: () => Promise<void>;
}

/** One process of the service, as far as runs are concerned: its own pools, worker id, lease and sweep. */
async function startWorker(parts: {
  backup?: Work;
  payers?: Record<string, Payer>;
  worker?: boolean;
  settings?: Partial<JobsSettings>;
}): Promise<Worker> {
  @Module({})
  class Rooms {
    constructor(@Inject(RunService) runs: RunService, @Inject(ObligationService) obligations: ObligationService) {
      if (parts.backup) runs.registerHandler('backup', parts.backup as never);
      for (const [kind, payer] of Object.entries(parts.payers ?? {})) obligations.registerPayer(kind, payer);
    }
  }
  const module = await Test.createTestingModule({
    imports: [
      DatabaseModule.forRoot({ url: database.url, poolSize: 6 }),
      JobsModule.forRootAsync({
        useFactory: () => ({
          worker: parts.worker ?? true,
          databaseUrl: database.url,
          logger: silentLogger,
          settings: {
            queuePollMs: 100,
            leaseRenewMs: 300,
            leaseExpiryMs: 1_500,
            cancelPollMs: 100,
            sweepMs: 200,
            payRetryBaseMs: 150,
            progressMs: 50,
            // The second look has tests of its own (test/fault/earlier-debts.spec.ts); here one test's would fall into another.
            lateRequestMs: 3_600_000,
            ...parts.settings,
          },
        }),
      }),
      Rooms,
    ],
  }).compile();
  await module.init();
  started.push(module);
  const source = module.get(DataSource);
  return {
    runs: module.get(RunService),
    obligations: module.get(ObligationService),
    sql: (text, parameters) => source.query(text, parameters),
    close: async () => {
      started.splice(started.indexOf(module), 1);
      await module.close();
    },
  };
}

const backup = (worker: Worker, payload: Record<string, unknown> = {}, exclusiveKey?: string) =>
  worker.runs.create('backup', 'vApp "shop"', payload, { organizationId: 'urn:vcloud:org:1', exclusiveKey });

async function until(worker: Worker, runId: string, what: (view: RunView) => boolean, timeoutMs = 8_000): Promise<RunView> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const view = await worker.runs.view(runId);
    if (what(view)) return view;
    if (performance.now() > deadline) throw new Error(`Still waiting: ${JSON.stringify(view)}`);
    await sleep(20);
  }
}
const ended = (worker: Worker, runId: string) => until(worker, runId, (view) => view.endedAt !== null);
const inState = (worker: Worker, runId: string, state: RunState) => until(worker, runId, (view) => view.state === state);

const untilAborted =
  (signal: AbortSignal): Work =>
  () =>
    sleep(60_000, signal).then(
      () => ({}),
      () => ({}),
    );

/** A handler that makes a thing, owes it, and then waits for the end of its signal. */
const owesAndWaits =
  (owed: string[]): Work =>
  async (_payload, context) => {
    for (const name of owed) await context.obligations.owe('thing', { name });
    await context.step('waiting', () => sleep(60_000, context.signal));
    return {};
  };

describe('a run', () => {
  it('is carried out once by two workers, with steps, progress, warnings and result', async () => {
    const done: string[] = [];
    const work: Work = async (payload, context) => {
      await context.step('copying', async () => {
        context.progress('web-1/Hard disk 1', { doneBytes: 2 ** 41 + 512, totalBytes: 2 ** 42 });
        await sleep(20);
      });
      done.push(context.runId);
      return { number: payload.number };
    };
    const one = await startWorker({ backup: work });
    const two = await startWorker({ backup: work });
    const made = await Promise.all(Array.from({ length: 24 }, (_, number) => backup(number % 2 ? one : two, { number })));
    for (const [number, { id }] of made.entries()) {
      const view = await ended(one, id);
      expect(view).toMatchObject({ state: 'succeeded', result: { number }, attempt: 1, error: null, openObligations: [], warnings: [] });
      expect(view.steps).toMatchObject([{ name: 'copying', state: 'done', error: null }]);
      expect(view.progress['web-1/Hard disk 1']).toEqual({ doneBytes: 2 ** 41 + 512, totalBytes: 2 ** 42 });
    }
    expect(done.toSorted()).toEqual(made.map(({ id }) => id).toSorted());
  });

  it('is made together with its job or not at all', async () => {
    const worker = await startWorker({ worker: false, backup: async () => ({}) });
    const before = await worker.sql('SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM pgboss.job) AS jobs');
    await expect(backup(worker, { text: 'a\u0000b' })).rejects.toThrow();
    const after = await worker.sql('SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM pgboss.job) AS jobs');
    expect(after).toEqual(before);
  });

  it('is not made when nobody could carry it out, and a kind has one handler', async () => {
    const worker = await startWorker({});
    await expect(backup(worker)).rejects.toMatchObject({ code: 'RUN_HANDLER_MISSING' });
    worker.runs.registerHandler('backup', async () => ({}));
    expect(() => worker.runs.registerHandler('backup', async () => ({}))).toThrow(/already have a handler/);
  });

  it('keeps a second one for the same vApp away until it has ended', async () => {
    const release = new AbortController();
    const worker = await startWorker({ backup: untilAborted(release.signal) });
    const first = await backup(worker, {}, 'vapp:7');
    const tries = await Promise.allSettled([backup(worker, {}, 'vapp:7'), backup(worker, {}, 'vapp:7')]);
    expect(tries.map((t) => t.status === 'rejected' && t.reason.code)).toEqual(['RUN_BUSY', 'RUN_BUSY']);
    release.abort();
    await ended(worker, first.id);
    await ended(worker, (await backup(worker, {}, 'vapp:7')).id);
  });

  it('outlives the longest time pg-boss grants a job: its job is complete while it runs', async () => {
    const release = new AbortController();
    const worker = await startWorker({ backup: untilAborted(release.signal) });
    const { id } = await backup(worker);
    await inState(worker, id, 'running');
    const jobs = await worker.sql(`SELECT state::text FROM pgboss.job WHERE data->>'runId' = $1`, [id]);
    expect(jobs).toEqual([{ state: 'completed' }]);
    release.abort();
    await ended(worker, id);
  });

  it('tells nothing of an error that was not written for people', async () => {
    const worker = await startWorker({
      backup: async (_payload, context) => await context.step('connecting', () => Promise.reject(new Error('password=hunter2'))),
    });
    const view = await ended(worker, (await backup(worker)).id);
    expect(view).toMatchObject({ state: 'failed', error: { code: 'INTERNAL', retryable: false } });
    expect(JSON.stringify(view)).not.toContain('hunter2');
  });
});

describe('cancelling', () => {
  it('stops a run of another process within a second, and its clean-up is not aborted', async () => {
    const paid: { name: unknown; aborted: boolean }[] = [];
    const payer: Payer = async (terms, signal) => {
      await sleep(50, signal);
      paid.push({ name: terms.name, aborted: signal.aborted });
    };
    const here = await startWorker({ backup: owesAndWaits(['maintenance', 'snapshot']), payers: { thing: payer } });
    const there = await startWorker({ worker: false });
    const { id } = await backup(here);
    await until(here, id, (view) => view.openObligations.length === 2);
    const startedMs = performance.now();
    expect((await there.runs.cancel(id)).cancelRequestedAt).not.toBeNull();
    const view = await ended(there, id);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(view).toMatchObject({ state: 'cancelled', error: { code: 'CANCELLED' }, openObligations: [] });
    expect(view.steps).toMatchObject([{ name: 'waiting', state: 'failed' }]);
    expect(paid).toEqual([
      { name: 'snapshot', aborted: false },
      { name: 'maintenance', aborted: false },
    ]);
    await expect(here.runs.cancel(id)).rejects.toMatchObject({ code: 'RUN_ENDED' });
  });

  it('ends a waiting run at once, and no worker takes it later', async () => {
    let taken = 0;
    const api = await startWorker({ worker: false, backup: async () => ({}) });
    const { id } = await backup(api);
    expect(await api.runs.cancel(id)).toMatchObject({ state: 'cancelled', attempt: 0 });
    const worker = await startWorker({ backup: async () => ({ taken: ++taken }) });
    await ended(worker, (await backup(worker)).id);
    expect(taken).toBe(1);
  });
});

describe('obligations', () => {
  it('are committed when owe answers, paid newest first on failure, and not when settled', async () => {
    const paid: unknown[] = [];
    const committed: number[] = [];
    const worker = await startWorker({
      payers: { thing: async (terms) => void paid.push(terms) },
      backup: async (_payload, context) => {
        const kept = await context.obligations.owe('thing', { name: 'kept' });
        const made = await context.obligations.owe('thing', { name: 'snapshot' });
        const [{ open }] = (await worker.sql('SELECT count(*)::int AS open FROM obligations WHERE run_id = $1', [context.runId])) as [
          { open: number },
        ];
        committed.push(open);
        await made.amend({ moRef: 'snapshot-12' });
        await context.obligations.owe('thing', { name: 'access' });
        const early = await context.obligations.owe('thing', { name: 'early' });
        await early.pay();
        await early.settle();
        await kept.settle();
        await kept.settle();
        throw new CancelledError('not by a person');
      },
    });
    const view = await ended(worker, (await backup(worker)).id);
    expect(view.state).toBe('cancelled');
    expect(committed).toEqual([2]);
    expect(paid).toEqual([{ name: 'early' }, { name: 'access' }, { name: 'snapshot', moRef: 'snapshot-12' }]);
  });

  it('are paid before the run lets go of what it held in this process, which it does once, whatever fails', async () => {
    const events: string[] = [];
    const worker = await startWorker({
      payers: { thing: async () => void events.push('paid') },
      backup: async (_payload, { obligations, atEnd }) => {
        atEnd(async () => void events.push('let go of the first'));
        atEnd(() => Promise.reject(new Error('it is gone already')));
        atEnd(async () => void events.push('let go of the last'));
        await obligations.owe('thing', {});
        throw new Error('the copy failed');
      },
    });
    const { id } = await backup(worker);
    expect((await ended(worker, id)).state).toBe('failed');
    expect(events).toEqual(['paid', 'let go of the last', 'let go of the first']);
  });

  it('that cannot be paid make a success a warning, keep nobody from being paid, and are tried again until they are', async () => {
    let refusals = 2;
    const paid: unknown[] = [];
    const worker = await startWorker({
      payers: {
        stubborn: async () => {
          if (refusals-- > 0) throw new Error('token=secret');
          paid.push('stubborn');
        },
        thing: async () => void paid.push('thing'),
      },
      backup: async (_payload, context) => {
        await context.obligations.owe('thing', {});
        await context.obligations.owe('stubborn', {});
        return { copied: 7 };
      },
      settings: { payRetryBaseMs: 1_000 },
    });
    const { id } = await backup(worker);
    const view = await ended(worker, id);
    expect(view).toMatchObject({ state: 'warning', result: { copied: 7 }, openObligations: [{ kind: 'stubborn', attempts: 1 }] });
    expect(view.warnings).toEqual([expect.stringContaining('"stubborn" is still owed')]);
    expect(JSON.stringify(view)).not.toContain('secret');
    expect(paid).toEqual(['thing']);
    expect((await until(worker, id, (later) => later.openObligations.length === 0)).state).toBe('warning');
    expect(paid).toEqual(['thing', 'stubborn']);
  });

  it('of a kind this service does not know stay and are shown', async () => {
    const worker = await startWorker({ backup: async () => ({}) });
    const { id } = await backup(worker);
    await ended(worker, id);
    await worker.sql(`INSERT INTO obligations (id, run_id, kind, terms) VALUES ($1, $2, 'of-tomorrow', '{}')`, [newId(), id]);
    const view = await until(worker, id, (later) => typeof later.openObligations[0]?.lastError === 'string');
    expect(view.openObligations).toMatchObject([{ kind: 'of-tomorrow', lastError: expect.stringContaining('does not know how to undo') }]);
  });

  it('of a run under way are seen by others, and by nobody once it has ended or they are paid', async () => {
    const worker = await startWorker({ payers: { thing: async () => undefined }, backup: owesAndWaits(['a snapshot']) });
    const { id } = await backup(worker);
    await until(worker, id, (view) => view.steps.some(({ name }) => name === 'waiting'));
    const owed = (name: string, except = 'another run') => worker.obligations.owedByLivingRun({ name }, except);
    expect([await owed('a snapshot'), await owed('another'), await owed('a snapshot', id)]).toEqual([true, false, false]);
    await worker.runs.cancel(id);
    await ended(worker, id);
    expect(await owed('a snapshot')).toBe(false);
  });

  it('cannot be incurred for which nobody here can pay', async () => {
    const worker = await startWorker({ backup: async (_p, context) => void (await context.obligations.owe('nothing', {})) as never });
    expect((await ended(worker, (await backup(worker)).id)).error?.code).toBe('PAYER_MISSING');
  });
});

describe('a lost lease', () => {
  it('of a killed worker is found by another, which pays once and fails the run', async () => {
    const paid: unknown[] = [];
    const { id } = await backup(await startWorker({ worker: false, backup: async () => ({}) }));
    // What SIGKILL leaves behind: a row in "running" whose lease nobody renews, and its debts.
    const survivor = await startWorker({ worker: false });
    await survivor.sql(
      `UPDATE runs SET state = 'running', attempt = 1, lease_owner = 'dead', lease_expires_at = now() + interval '400 ms',
        steps = '[{"name":"copying","state":"running","startedAt":"2026-01-01T00:00:00.000Z","endedAt":null,"error":null}]' WHERE id = $1`,
      [id],
    );
    for (const name of ['maintenance', 'snapshot']) {
      await survivor.sql(`INSERT INTO obligations (id, run_id, kind, terms) VALUES ($1, $2, 'thing', $3)`, [newId(), id, { name }]);
    }
    const payers = { thing: (terms: Record<string, unknown>) => sleep(50).then(() => void paid.push(terms.name)) };
    const handlerRuns: string[] = [];
    const rescue: Work = async (_payload, context) => ({ count: handlerRuns.push(context.runId) });
    await startWorker({ payers, backup: rescue });
    await startWorker({ payers, backup: rescue });
    expect((await survivor.runs.view(id)).state).toBe('running');
    const view = await ended(survivor, id);
    expect(view).toMatchObject({ state: 'failed', error: { code: 'WORKER_LOST', retryable: true }, openObligations: [] });
    expect(view.steps).toMatchObject([{ name: 'copying', state: 'failed' }]);
    expect(paid).toEqual(['snapshot', 'maintenance']);
    expect(handlerRuns).toEqual([]);
  });

  it('aborts the run that lost it, which then neither writes nor owes nor pays', async () => {
    const paid: unknown[] = [];
    const reasons: unknown[] = [];
    const worker = await startWorker({
      settings: { sweepMs: 60_000 },
      payers: { thing: async (terms) => void paid.push(terms) },
      backup: async (_payload, context) => {
        await context.obligations.owe('thing', { name: 'first' });
        await sleep(60_000, context.signal).catch((error: unknown) => reasons.push(error));
        await context.obligations.owe('thing', { name: 'late' }).catch((error: unknown) => reasons.push(error));
        return { claims: 'success' };
      },
    });
    const { id } = await backup(worker);
    await until(worker, id, (view) => view.openObligations.length === 1);
    await worker.sql(`UPDATE runs SET lease_owner = 'thief', lease_expires_at = now() + interval '1 hour' WHERE id = $1`, [id]);
    const deadline = performance.now() + 5_000;
    while (reasons.length < 2 && performance.now() < deadline) await sleep(20);
    await sleep(200);
    expect(reasons).toMatchObject([{ code: 'LEASE_LOST' }, { code: 'LEASE_LOST' }]);
    expect(await worker.runs.view(id)).toMatchObject({ state: 'running', result: null, openObligations: [{ attempts: 0 }] });
    expect(paid).toEqual([]);
    await worker.sql('UPDATE obligations SET settled_at = now() WHERE run_id = $1', [id]);
    await worker.sql(`UPDATE runs SET state = 'failed', lease_owner = NULL, lease_expires_at = NULL WHERE id = $1`, [id]);
  });

  it('does not happen to a run that is merely long', async () => {
    const worker = await startWorker({ backup: (_payload, context) => sleep(2_500, context.signal).then(() => ({ long: true })) });
    await startWorker({ backup: async () => ({ long: false }) });
    expect(await ended(worker, (await backup(worker)).id)).toMatchObject({ state: 'succeeded', attempt: 1 });
  });
});

describe('stopping the service', () => {
  it('aborts runs, pays what they owe, and says so', async () => {
    const paid: unknown[] = [];
    const worker = await startWorker({
      backup: owesAndWaits(['snapshot']),
      payers: { thing: async (terms) => void paid.push(terms.name) },
    });
    const watcher = await startWorker({ worker: false });
    const { id } = await backup(worker);
    await until(worker, id, (view) => view.openObligations.length === 1);
    await worker.close();
    expect(await watcher.runs.view(id)).toMatchObject({
      state: 'failed',
      error: { code: 'SERVICE_STOPPING', retryable: true },
      openObligations: [],
    });
    expect(paid).toEqual(['snapshot']);
  });
});
