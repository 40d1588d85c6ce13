import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Inject, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { silentLogger, sleep } from '../../src/common/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import { JobsModule, RunService } from '../../src/jobs/index.js';
import { startTestDatabase } from '../harness/database.js';
import { atLeast, atMost, type BenchOptions, type BenchRow, exactly } from './bench.js';
import { repositoryRoot } from './simulator-process.js';

/** One organization has most of the runs, and asked first: whoever came after it would wait for all of them. */
interface Plan {
  organizations: number;
  runs: number;
  runsOfTheLargest: number;
  workers: number;
  workMs: number;
  runsPerSecond: number;
}

const LARGE: Plan = { organizations: 200, runs: 5_000, runsOfTheLargest: 2_000, workers: 4, workMs: 10, runsPerSecond: 10 };
const SMALL: Plan = { organizations: 20, runs: 160, runsOfTheLargest: 60, workers: 2, workMs: 5, runsPerSecond: 2 };

const WAIT_TIMEOUT_MS = 15 * 60_000;
const READY_TIMEOUT_MS = 60_000;
const RUNS_AT_ONCE = 250;

@Module({})
class Rooms {
  constructor(@Inject(RunService) runs: RunService) {
    runs.registerHandler('backup', () => Promise.reject(new Error('The one who asks carries nothing out')));
  }
}

/** Thousands of waiting runs of hundreds of organizations, carried out by worker processes that share nothing but the database. */
export async function queue({ small, say }: BenchOptions): Promise<BenchRow[]> {
  const plan = small ? SMALL : LARGE;
  const closers: (() => Promise<unknown>)[] = [];
  try {
    const database = await startTestDatabase();
    closers.push(() => database.stop());
    const imports = [
      DatabaseModule.forRoot({ url: database.url, poolSize: 4 }),
      JobsModule.forRootAsync({ useFactory: () => ({ worker: false, databaseUrl: database.url, logger: silentLogger }) }),
    ];
    const application = await NestFactory.createApplicationContext({ module: Rooms, imports }, { logger: false });
    closers.push(() => application.close());
    const source = application.get(DataSource);
    await source.query(
      'CREATE TABLE bench_executions (number bigint GENERATED ALWAYS AS IDENTITY, run_id text NOT NULL, worker int NOT NULL)',
    );
    say(`Asking for ${plan.runs} runs of ${plan.organizations} organizations …`);
    await ask(application.get(RunService), source, plan);
    say(`Starting ${plan.workers} workers …`);
    const workers = await Promise.all(Array.from({ length: plan.workers }, () => startWorker(database.url, plan.workMs)));
    for (const worker of workers) closers.push(() => stopWorker(worker));
    await untilDone(source, plan, say);
    return await figures(source, plan);
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

function organizationOf(number: number, { organizations, runsOfTheLargest }: Plan): string {
  return number < runsOfTheLargest ? 'org-0' : `org-${1 + ((number - runsOfTheLargest) % (organizations - 1))}`;
}

async function ask(runs: RunService, source: DataSource, plan: Plan): Promise<void> {
  for (let from = 0; from < plan.runs; from += RUNS_AT_ONCE) {
    await source.transaction(async (manager) => {
      for (let number = from; number < Math.min(from + RUNS_AT_ONCE, plan.runs); number += 1) {
        await runs.createWithin(manager, 'backup', `vApp ${number}`, {}, { organizationId: organizationOf(number, plan) });
      }
    });
  }
}

/** As `npm run build` leaves it. The tether ends it with this process, however this process ends. */
async function startWorker(databaseUrl: string, workMs: number): Promise<ChildProcess> {
  const root = repositoryRoot();
  const built = `${root}/dist/test/bench/queue-worker.js`;
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(`${root}/native/build/tether`, ['15', '-', process.execPath, built, `${workMs}`], {
    env: { PATH, HOME, DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ready = once(child.stdout, 'data', { signal: AbortSignal.timeout(READY_TIMEOUT_MS) });
  await Promise.race([ready, once(child, 'exit').then(() => Promise.reject(new Error('A worker ended at its start')))]);
  return child;
}

async function stopWorker(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  await ended;
  clearTimeout(timer);
}

async function untilDone(source: DataSource, { runs }: Plan, say: (line: string) => void): Promise<void> {
  for (const deadline = performance.now() + WAIT_TIMEOUT_MS; ; await sleep(200)) {
    const [{ ended }]: [{ ended: number }] = await source.query('SELECT count(ended_at)::int AS ended FROM runs');
    if (ended === runs) return;
    if (performance.now() > deadline) throw new Error(`Only ${ended} of ${runs} runs have ended`);
    if (Math.random() < 0.03) say(`${ended} of ${runs} have ended …`);
  }
}

async function figures(source: DataSource, plan: Plan): Promise<BenchRow[]> {
  const begun: { organizationId: string; worker: number }[] = await source.query(
    `SELECT r.organization_id AS "organizationId", e.worker FROM bench_executions e JOIN runs r ON r.id = e.run_id ORDER BY e.number`,
  );
  const [{ twice, good, seconds }]: [{ twice: number; good: number; seconds: number }] = await source.query(
    `SELECT (SELECT count(*) - count(DISTINCT run_id) FROM bench_executions)::int AS twice,
       (SELECT count(*) FROM runs WHERE state = 'succeeded' AND attempt = 1)::int AS good,
       (SELECT EXTRACT(EPOCH FROM max(ended_at) - min(started_at)) FROM runs)::float8 AS seconds`,
  );
  const shares = new Map<number, number>();
  for (const { worker } of begun) shares.set(worker, (shares.get(worker) ?? 0) + 1);
  return [
    exactly('queue: runs that ended well at their first attempt', good, 'runs', plan.runs),
    exactly('queue: runs carried out twice', twice, 'runs', 0),
    atMost('queue: longest wait of an organization, to its fair share', longestWait(begun), 'ratio', 1.1),
    atLeast('queue: throughput', plan.runs / seconds, 'runs/s', plan.runsPerSecond),
    exactly('queue: workers that carried some out', shares.size, 'workers', plan.workers),
  ];
}

/**
 * Served fairly, an organization's k-th run is begun when every other one has had at most k: after as many runs as those are
 * together. The largest ratio of what it really waited for to that, over all runs of all organizations.
 */
function longestWait(begun: readonly { organizationId: string }[]): number {
  const counts = new Map<string, number>();
  for (const { organizationId } of begun) counts.set(organizationId, (counts.get(organizationId) ?? 0) + 1);
  const sizes = [...counts.values()];
  const fair: number[] = [];
  for (let k = 1; k <= Math.max(...sizes); k += 1) fair.push(sizes.reduce((sum, size) => sum + Math.min(k, size), 0));
  const had = new Map<string, number>();
  let longest = 0;
  for (const [position, { organizationId }] of begun.entries()) {
    const k = had.get(organizationId) ?? 0;
    had.set(organizationId, k + 1);
    longest = Math.max(longest, (position + 1) / (fair[k] as number));
  }
  return longest;
}
