import { Inject, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type Logger, silentLogger, sleep } from '../../src/common/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import {
  type HandlerOptions,
  JobsModule,
  type JobsSettings,
  ObligationService,
  type PayerOptions,
  type RunContext,
  RunHealthService,
  RunService,
  type RunView,
} from '../../src/jobs/index.js';
import { startTestDatabase, type TestDatabase } from './database.js';

export type Work = (payload: Record<string, unknown>, context: RunContext) => Promise<Record<string, unknown>>;
export type Payer = (terms: Record<string, unknown>, signal: AbortSignal) => Promise<unknown>;

export interface JobsWorker {
  module: TestingModule;
  runs: RunService;
  obligations: ObligationService;
  health: RunHealthService;
  sql: <Row = Record<string, unknown>>(text: string, parameters?: unknown[]) => Promise<Row[]>;
  close: () => Promise<void>;
}

/** Fast enough for a test, and slow enough that a busy machine keeps its leases. */
export const FAST: Partial<JobsSettings> = {
  queuePollMs: 100,
  leaseRenewMs: 300,
  leaseExpiryMs: 1_500,
  cancelPollMs: 100,
  sweepMs: 200,
  payRetryBaseMs: 150,
  progressMs: 50,
  eventPollMs: 50,
  // One test's second look would fall into another.
  lateRequestMs: 3_600_000,
};

export interface JobsWorkerParts {
  backup?: Work;
  options?: HandlerOptions;
  /** Without it a restore is carried out as a backup. */
  restore?: Work;
  restoreOptions?: HandlerOptions;
  payers?: Record<string, Payer>;
  payerOptions?: Record<string, PayerOptions>;
  worker?: boolean;
  settings?: Partial<JobsSettings>;
  logger?: Logger;
}

/**
 * For a spec file: one database for all of its tests, and workers that end with the test that started them.
 * @param tidy after each test, when its workers have ended.
 */
export function useJobsWorkers(tidy: (database: TestDatabase) => Promise<void> = async () => undefined) {
  let database: TestDatabase;
  const started = new Set<JobsWorker>();
  beforeAll(async () => {
    database = await startTestDatabase();
  });
  afterAll(async () => {
    await database?.stop();
  });
  afterEach(async () => {
    await Promise.all([...started].map((worker) => worker.close()));
    await tidy(database);
  });
  const start = async (parts: JobsWorkerParts): Promise<JobsWorker> => {
    const worker = await startJobsWorker(database.url, parts);
    const close = async () => {
      if (started.delete(known)) await worker.close();
    };
    const known = { ...worker, close };
    started.add(known);
    return known;
  };
  return { start };
}

/** As if there had never been any: a spec may count them. */
export async function forgetRuns(database: TestDatabase): Promise<void> {
  const source = await database.connect([]);
  await source.query('TRUNCATE runs, run_turns, run_totals, service_totals CASCADE');
  await source.query('DELETE FROM pgboss.job');
}

/** One process of the service, as far as runs are concerned: its own pools, worker id, lease and sweep. */
async function startJobsWorker(url: string, parts: JobsWorkerParts): Promise<JobsWorker> {
  const { backup = async () => ({}), options, payers = {}, payerOptions = {}, worker = true, settings } = parts;
  const { restore = backup, restoreOptions, logger = silentLogger } = parts;
  @Module({})
  class Rooms {
    constructor(@Inject(RunService) runs: RunService, @Inject(ObligationService) obligations: ObligationService) {
      runs.registerHandler('backup', backup as never, options);
      runs.registerHandler('restore', restore as never, restoreOptions);
      for (const [kind, payer] of Object.entries(payers)) obligations.registerPayer(kind, payer, payerOptions[kind]);
    }
  }
  const module = await Test.createTestingModule({
    imports: [
      DatabaseModule.forRoot({ url, poolSize: 6 }),
      JobsModule.forRootAsync({
        useFactory: () => ({ worker, databaseUrl: url, logger, settings: { ...FAST, ...settings } }),
      }),
      Rooms,
    ],
  }).compile();
  await module.init();
  const source = module.get(DataSource);
  return {
    module,
    runs: module.get(RunService),
    obligations: module.get(ObligationService),
    health: module.get(RunHealthService),
    sql: (text, parameters) => source.query(text, parameters),
    close: () => module.close(),
  };
}

/** Asks for a backup of a vApp. */
export const backup = (worker: JobsWorker, payload: Record<string, unknown> = {}, exclusiveKey?: string) =>
  worker.runs.create('backup', 'vApp "shop"', payload, { organizationId: 'urn:vcloud:org:1', exclusiveKey });

export async function until(
  { runs }: Pick<JobsWorker, 'runs'>,
  runId: string,
  what: (view: RunView) => boolean,
  timeoutMs = 10_000,
): Promise<RunView> {
  for (const deadline = performance.now() + timeoutMs; ; await sleep(20)) {
    const view = await runs.view(runId);
    if (what(view)) return view;
    if (performance.now() > deadline) throw new Error(`Still waiting: ${JSON.stringify(view)}`);
  }
}

export const ended = (worker: Pick<JobsWorker, 'runs'>, runId: string) => until(worker, runId, (view) => view.endedAt !== null);

/** A handler that makes a thing, owes it, and then waits for the end of its signal. */
export const owesAndWaits =
  (owed: readonly string[]): Work =>
  async (_payload, context) => {
    for (const name of owed) await context.obligations.owe('thing', { name });
    await context.step('waiting', () => sleep(60_000, context.signal));
    return {};
  };
