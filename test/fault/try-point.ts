import assert from 'node:assert/strict';
import { retry } from '../../src/common/index.js';
import type { RunView } from '../../src/jobs/index.js';
import type { GatedRequest } from '../simulator/request-gate.js';
import type { FaultName, Fault } from './faults.js';
import { type FaultWorld, WHERE_THE_MACHINE_STALLS } from './fault-world.js';
import type { Operation } from './operation.js';
import { type Point, type Step, stepName, stepsOf } from './steps.js';

/** One fault at one request, and whether the promise held after it. */
export interface Trial {
  operation: string;
  step: string;
  fault: FaultName;
  /** Which occurrence of the step. */
  number: number;
  request: string;
  /**
   * What became of the run: it came to nothing, it reached its aim all the same, or after a death it reached it
   * in a second attempt.
   */
  outcome: 'undone' | 'carried on' | 'begun again' | 'unknown';
  /** What of the promise did not hold. */
  broken: string[];
  ms: number;
}

/** First tries may find VCD busy with what was begun; the next comes 30 s later. */
const RECOVERY_TIMEOUT_MS = 75_000;

/** What a run that nobody disturbs asks the world for. */
export async function listSteps(world: FaultWorld, operation: Operation): Promise<Step[]> {
  await operation.bringTo(world);
  const content = await world.points.contentNow();
  await world.endSessions();
  world.gate.startNoting();
  const run = await world.world.ended(await operation.ask(world));
  const steps = stepsOf(world.gate.stopNoting());
  assert.equal(run.error, null, `The ${operation.name} that nobody disturbed failed: ${JSON.stringify(run.error)}`);
  assert.equal(run.attempt, 1, `The ${operation.name} that nobody disturbed lost its worker: the machine stalls for longer than a lease`);
  operation.assertUndisturbed?.(run);
  await operation.assertReached(world, run);
  await world.points.check(content);
  await operation.clearAway(world);
  return steps;
}

/**
 * What has to hold after each fault: no maintenance mode on, no snapshot of ours, no EndAccess owed, nothing half imported, no VM
 * in vCenter without an owner, no restore point that claims more than it has; every restore point of before restores byte for
 * byte, and the same operation asked for again succeeds.
 * @returns undefined when the run ended without coming there.
 */
export async function tryPoint(world: FaultWorld, operation: Operation, point: PointOfTrial): Promise<Trial | undefined> {
  const startedMs = performance.now();
  await operation.bringTo(world);
  const content = await world.points.contentNow();
  await world.endSessions();
  const struck = world.gate.apply({ ...point.fault.order, number: point.number, matching: point.matching });
  // It may be struck while it is asked for: what comes by the clock is made by the worker itself.
  const ended = operation.ask(world).then((run) => world.world.ended(run));
  ended.catch(() => undefined);
  const met = await Promise.race([struck, ended]);
  if ('endedAt' in met) {
    world.gate.release(false);
    assert.equal(met.error, null, `The ${operation.name} that nobody disturbed failed: ${JSON.stringify(met.error)}`);
    await operation.assertReached(world, met);
    // What it made is of this moment: the next point must not find it as something of its own.
    await world.points.check(content);
    await operation.clearAway(world);
    return undefined;
  }
  const { fault, number } = point;
  const trial: Trial = {
    ...{ operation: operation.name, step: stepName(met), fault: fault.name, number, request: requestName(met) },
    ...{ outcome: 'unknown', broken: [], ms: 0 },
  };
  await judge(world, operation, { trial, fault, ended, content });
  return { ...trial, ms: Math.round(performance.now() - startedMs) };
}

/** A point, or for a spec whatever request it means. */
export type PointOfTrial = Pick<Point, 'fault' | 'number'> & { matching: (request: GatedRequest) => boolean };

export function atStep({ step, fault, number }: Point): PointOfTrial {
  return { fault, number, matching: (request) => stepName(request) === step };
}

interface Struck {
  trial: Trial;
  fault: Fault;
  ended: Promise<RunView>;
  content: Awaited<ReturnType<FaultWorld['points']['contentNow']>>;
}

async function judge(world: FaultWorld, operation: Operation, { trial, fault, ended, content }: Struck): Promise<void> {
  const check = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      trial.broken.push((error as Error).message);
    }
  };
  let lostIds: readonly string[] = [];
  if (fault.kills) {
    await check(async () => {
      const { survivors, runIds } = await world.replaceKilledWorker();
      lostIds = runIds;
      assert.deepEqual(survivors, [], 'processes outlived the worker');
    });
    world.gate.release(false);
  }
  let end: RunView | undefined;
  await check(async () => {
    end = await ended;
    trial.outcome = outcomeOf(end, fault, lostIds.includes(end.id));
  });
  const reached = end !== undefined && isReached(trial);
  const { catalogFollows = true } = operation;
  await check(() => world.world.expectNothingOwed(operation.vapps(reached), RECOVERY_TIMEOUT_MS, { catalogFollows }));
  await check(async () => operation.assertNothingElse?.(world, reached));
  if (end !== undefined && reached) await check(() => operation.assertReached(world, end as RunView));
  await check(() => world.points.check(content));
  await check(async () => {
    if (reached) await operation.clearAway(world);
    await retry(WHERE_THE_MACHINE_STALLS, async () => {
      const again = await world.world.ended(await operation.ask(world));
      assert.equal(again.error, null, `asked again: ${JSON.stringify(again.error)}`);
      await operation.assertReached(world, again);
    });
    await world.points.check(content, 'new');
    await world.world.expectCatalogFollows();
  });
  await check(() => operation.clearAway(world));
}

function isReached({ outcome }: Trial): boolean {
  return outcome === 'carried on' || outcome === 'begun again';
}

/**
 * @param lost whether its worker was killed: one that dies over something else's request may not have had it yet, or no more.
 * @throws AssertionError where it ended in a way that nobody could make sense of.
 */
function outcomeOf(run: RunView, { kills }: Fault, lost: boolean): Trial['outcome'] {
  const told = `the run ended as ${run.state}: ${JSON.stringify(run.error)}`;
  if (run.result !== null) {
    assert.ok(lost ? run.state === 'warning' : ['succeeded', 'warning'].includes(run.state), told);
    return run.attempt > 1 ? 'begun again' : 'carried on';
  }
  assert.equal(run.state, 'failed', told);
  if (kills) assert.equal(run.error?.code, 'WORKER_LOST', told);
  // A sentence that was written for it, not the one for what nobody thought of.
  else assert.notEqual(run.error?.code, 'INTERNAL', told);
  return 'undone';
}

function requestName({ door, method, object }: GatedRequest): string {
  return `${door} ${method} ${object}`;
}
