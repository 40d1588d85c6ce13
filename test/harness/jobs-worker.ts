import { Inject, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { silentLogger, sleep } from '../../src/common/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import {
  type HandlerOptions,
  JobsModule,
  type JobsSettings,
  ObligationService,
  type RunContext,
  RunHealthService,
  RunService,
  type RunView,
} from '../../src/jobs/index.js';

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

/** One process of the service, as far as runs are concerned: its own pools, worker id, lease and sweep. */
export async function startJobsWorker(parts: {
  url: string;
  backup?: Work;
  options?: HandlerOptions;
  payers?: Record<string, Payer>;
  worker?: boolean;
  settings?: Partial<JobsSettings>;
}): Promise<JobsWorker> {
  const { url, backup = async () => ({}), options, payers = {}, worker = true, settings } = parts;
  @Module({})
  class Rooms {
    constructor(@Inject(RunService) runs: RunService, @Inject(ObligationService) obligations: ObligationService) {
      runs.registerHandler('backup', backup as never, options);
      runs.registerHandler('restore', backup as never);
      for (const [kind, payer] of Object.entries(payers)) obligations.registerPayer(kind, payer);
    }
  }
  const module = await Test.createTestingModule({
    imports: [
      DatabaseModule.forRoot({ url, poolSize: 6 }),
      JobsModule.forRootAsync({
        useFactory: () => ({ worker, databaseUrl: url, logger: silentLogger, settings: { ...FAST, ...settings } }),
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
