import { Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { catalogEntities } from '../../src/catalog/index.js';
import { RestorePointService } from '../../src/catalog/restore-point.service.js';
import { silentLogger, sleep } from '../../src/common/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import { JobsModule, RunHealthService, RunService } from '../../src/jobs/index.js';
import { RestorePointLocksService } from '../../src/maintenance/restore-point-locks.service.js';
import { REPOSITORY, RepositoryError } from '../../src/repository/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

let database: TestDatabase;
let source: DataSource;
let module: TestingModule;
let locks: RestorePointLocksService;
let health: RunHealthService;
/** What the store was asked to hold, in order. */
let asked: string[];
/** What the store refuses to hold. */
const refused = new Set<string>();
let whileHolding: () => Promise<void>;

const repository = {
  enforcesRetention: true,
  async holdRestorePoint({ restorePointId }: { restorePointId: string }): Promise<number> {
    asked.push(restorePointId);
    await whileHolding();
    if (!refused.has(restorePointId)) return 3;
    throw new RepositoryError('The bucket does not let this key extend retention; give it s3:PutObjectRetention', {
      code: 'REPOSITORY_DENIED',
      subject: restorePointId,
    });
  },
};

@Module({ providers: [RestorePointLocksService, { provide: REPOSITORY, useValue: repository }] })
class Locks {}

beforeAll(async () => {
  database = await startTestDatabase();
  source = await database.connect([...catalogEntities]);
  const settings = { concurrency: 4, queuePollMs: 50, sweepMs: 100 };
  module = await Test.createTestingModule({
    imports: [
      DatabaseModule.forRoot({ url: database.url, poolSize: 8 }),
      JobsModule.forRootAsync({ useFactory: () => ({ worker: true, databaseUrl: database.url, logger: silentLogger, settings }) }),
      Locks,
    ],
  }).compile();
  await module.init();
  locks = module.get(RestorePointLocksService);
  health = module.get(RunHealthService);
}, 60_000);
afterAll(async () => {
  await module?.close();
  await database?.stop();
});
beforeEach(async () => {
  asked = [];
  refused.clear();
  whileHolding = async () => undefined;
  await source.query('DELETE FROM restore_points');
});

/** Locked for a year, and its store does not know it yet. */
async function locked(id: string, createdAt = '2026-11-21T16:00:00.000Z'): Promise<void> {
  const names = { organizationId: 'org', cloudId: 'cloud', vappId: 'vapp-1', vappName: 'shop', runId: 'run-1' };
  const figures = { vmCount: 0, capacityBytes: 0, readBytes: 0, newBytes: 0, storedBytes: 0 };
  const point = { id, ...names, ...figures, sourceKind: 'vapp', createdAt, kind: 'full' } as const;
  await new RestorePointService(source).record({ ...point, warnings: [], vms: [] });
  await source.query(`UPDATE restore_points SET locked_until = now() + interval '1 year' WHERE id = $1`, [id]);
}

interface HoldRun {
  id: string;
  state: string;
}

async function holdRuns(pointId: string): Promise<HoldRun[]> {
  return await source.query(`SELECT id, state FROM runs WHERE kind = 'hold' AND exclusive_key = $1 ORDER BY id`, [
    `repository:hold:${pointId}`,
  ]);
}

/** Until the runs of the point have all ended. */
async function ended(pointId: string): Promise<HoldRun[]> {
  for (const deadline = performance.now() + 30_000; ; await sleep(20)) {
    const runs = await holdRuns(pointId);
    if (!runs.some(({ state }) => state === 'queued' || state === 'running')) return runs;
    if (performance.now() > deadline) throw new Error(`Still under way: ${JSON.stringify(runs)}`);
  }
}

async function isHeld(pointId: string): Promise<boolean> {
  const [{ held }]: [{ held: boolean }] = await source.query(
    'SELECT held_until IS NOT DISTINCT FROM locked_until AS held FROM restore_points WHERE id = $1',
    [pointId],
  );
  return held;
}

async function alertsOf(pointId: string): Promise<string[]> {
  return (await health.failedRuns()).filter(({ objectKey }) => objectKey === `repository:hold:${pointId}`).map(({ runId }) => runId);
}

const tick = () => locks.requestHolds();
const letPass = (pointId: string, time: string) =>
  source.query(`UPDATE runs SET ended_at = ended_at - $2::interval WHERE exclusive_key = $1`, [`repository:hold:${pointId}`, time]);

describe('a locked restore point whose store cannot be told', () => {
  it('is asked for again after an hour and not before, and its alert stays until the store knows the lock', async () => {
    await locked('point-1');
    refused.add('point-1');
    await tick();
    const [first] = (await ended('point-1')) as [HoldRun];
    expect(first.state).toBe('failed');
    expect(await alertsOf('point-1')).toEqual([first.id]);

    await tick();
    await letPass('point-1', '58 minutes');
    await tick();
    expect(await holdRuns('point-1')).toHaveLength(1);
    expect([await alertsOf('point-1'), await isHeld('point-1'), asked]).toEqual([[first.id], false, ['point-1']]);

    await letPass('point-1', '3 minutes');
    const seenMeanwhile: string[][] = [];
    whileHolding = async () => {
      seenMeanwhile.push(await alertsOf('point-1'));
    };
    await tick();
    const [, second] = (await ended('point-1')) as [HoldRun, HoldRun];
    expect([second.state, seenMeanwhile, await alertsOf('point-1')]).toEqual(['failed', [[first.id]], [second.id]]);
    await tick();
    expect(await holdRuns('point-1')).toHaveLength(2);

    refused.clear();
    await letPass('point-1', '61 minutes');
    await tick();
    expect((await ended('point-1')).map(({ state }) => state)).toEqual(['failed', 'failed', 'succeeded']);
    expect([await alertsOf('point-1'), await isHeld('point-1')]).toEqual([[], true]);
    await tick();
    expect(await holdRuns('point-1')).toHaveLength(3);
  });

  it('holds up no other, however many there are', async () => {
    const failing = Array.from({ length: 100 }, (_, i) => `failing-${i}`);
    for (const id of failing) await locked(id);
    await source.query(
      `INSERT INTO runs (id, kind, state, subject, organization_id, exclusive_key, payload, ended_at)
       SELECT 'run-of-' || id, 'hold', 'failed', 'its retention', 'org', 'repository:hold:' || id, '{}', now() FROM unnest($1::text[]) id`,
      [failing],
    );
    await locked('sound', '2026-11-22T16:00:00.000Z');
    await tick();
    expect((await ended('sound')).map(({ state }) => state)).toEqual(['succeeded']);
    expect([asked, await isHeld('sound')]).toEqual([['sound'], true]);
  });

  it('is asked for where its run failed in a future that the clock of the database has left', async () => {
    await locked('point-2');
    refused.add('point-2');
    await tick();
    await ended('point-2');
    await letPass('point-2', '-1 day');
    await tick();
    expect(await ended('point-2')).toHaveLength(2);
    // Once: that one ended now.
    await tick();
    expect(await holdRuns('point-2')).toHaveLength(2);
  });

  it('looks held only once its store has it, whatever becomes of the run that was to tell it', async () => {
    for (const lane of [1, 2, 3, 4]) await locked(`busy-${lane}`);
    let free = () => {};
    const gate = new Promise<void>((resolve) => {
      free = resolve;
    });
    whileHolding = () => gate;
    await tick();
    await vi.waitFor(() => expect(asked).toHaveLength(4), { timeout: 30_000 });
    await locked('waiting');
    await tick();
    const [run] = (await holdRuns('waiting')) as [HoldRun];
    expect([run.state, await isHeld('waiting'), await isHeld('busy-1')]).toEqual(['queued', false, false]);
    // However often somebody looks.
    await tick();
    expect(await holdRuns('waiting')).toHaveLength(1);
    await module.get(RunService).cancel(run.id);
    free();
    expect((await ended('busy-1')).map(({ state }) => state)).toEqual(['succeeded']);
    expect([await isHeld('busy-1'), await isHeld('waiting')]).toEqual([true, false]);
    await tick();
    await letPass('waiting', '61 minutes');
    await tick();
    expect((await ended('waiting')).map(({ state }) => state)).toEqual(['cancelled', 'succeeded']);
    expect(await isHeld('waiting')).toBe(true);
  });

  it('is asked for again where the worker that was to tell its store was lost for good', async () => {
    await locked('point-3');
    let die = (_death: Error) => {};
    const death = new Promise<void>((_, reject) => {
      die = reject;
    });
    whileHolding = () => death;
    await tick();
    await vi.waitFor(() => expect(asked).toEqual(['point-3']), { timeout: 30_000 });
    await source.query(
      `UPDATE runs SET losses = 100, lease_owner = 'dead', lease_expires_at = now() - interval '1 second' WHERE exclusive_key = 'repository:hold:point-3'`,
    );
    expect((await ended('point-3')).map(({ state }) => state)).toEqual(['failed']);
    expect(await isHeld('point-3')).toBe(false);
    whileHolding = async () => undefined;
    await letPass('point-3', '61 minutes');
    await tick();
    expect((await ended('point-3')).map(({ state }) => state)).toEqual(['failed', 'succeeded']);
    expect(await isHeld('point-3')).toBe(true);
    die(new Error('killed'));
  });

  it('is asked for again where it was extended while its store was told', async () => {
    await locked('point-4');
    whileHolding = async () => {
      whileHolding = async () => undefined;
      await source.query(`UPDATE restore_points SET locked_until = locked_until + interval '1 year' WHERE id = 'point-4'`);
    };
    await tick();
    await ended('point-4');
    expect(await isHeld('point-4')).toBe(false);
    await tick();
    expect((await ended('point-4')).map(({ state }) => state)).toEqual(['succeeded', 'succeeded']);
    expect(await isHeld('point-4')).toBe(true);
  });
});
