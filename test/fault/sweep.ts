import { withTimeout } from '../../src/common/index.js';
import type { OpenDoor } from './door.js';
import { FaultWorld, type FaultWorldOptions } from './fault-world.js';
import type { Operation } from './operation.js';
import { type Point, pointsOf, type Sample, sampleOf, type Step } from './steps.js';
import { type MissedPoint, type Report, reportOf } from './table.js';
import { atStep, listSteps, type Trial, tryPoint } from './try-point.js';

/** Services have 15 s each to stop, and the database its own. */
const CLOSE_TIMEOUT_MS = 120_000;

export interface SweepOptions {
  operations: readonly Operation[];
  isMeant: OperationSweep['isMeant'];
  sample: Sample;
  /** Clouds at once, each with a database and services of its own. */
  worlds: number;
  leaseSeconds: number;
  doors?: readonly OpenDoor[];
  say: (trial: Trial) => void;
  sayMissed: (point: MissedPoint) => void;
  /** How much there is to do, when it is known. */
  announce: (operation: Operation, steps: readonly Step[], points: readonly Point[]) => void;
}

/** All points of all operations, as many at once as there are worlds. */
export async function sweep({
  operations,
  isMeant,
  sample,
  worlds,
  leaseSeconds,
  doors = [],
  say,
  sayMissed,
  announce,
}: SweepOptions): Promise<Report> {
  const trials: Trial[] = [];
  const missedPoints: MissedPoint[] = [];
  const told = (trial: Trial) => {
    trials.push(trial);
    say(trial);
  };
  const missed = (point: MissedPoint) => {
    missedPoints.push(point);
    sayMissed(point);
  };
  const sweeps = operations.map(
    (operation) => new OperationSweep(operation, isMeant, sample, { openDoors: doors, leaseSeconds }, { told, missed, announce }),
  );
  const work = async () => {
    for (const each of sweeps) await each.work();
  };
  await Promise.all(Array.from({ length: worlds }, work));
  const order = sweeps.flatMap(({ operation, steps }) => steps.map(({ name }) => `${operation.name} ${name}`));
  return reportOf(trials, missedPoints, ({ operation, step }) => order.indexOf(`${operation} ${step}`));
}

/** The points of one operation, which several worlds take one after the other. */
export class OperationSweep {
  steps: Step[] = [];
  private listing: Promise<void> | undefined;
  private points: Point[] | undefined;
  private readonly toldErrors = new Set<unknown>();

  constructor(
    readonly operation: Operation,
    readonly isMeant: (point: Point) => boolean,
    private readonly sample: Sample,
    private readonly worldOptions: FaultWorldOptions,
    private readonly listeners: {
      told: (trial: Trial) => void;
      missed: (point: MissedPoint) => void;
      announce: SweepOptions['announce'];
    },
  ) {}

  /** In a world of its own, until there are no more points. */
  async work(): Promise<void> {
    let world: FaultWorld | undefined;
    while (this.points === undefined || this.points.length > 0) {
      const isNew = world === undefined;
      let point: Point | undefined;
      try {
        const { workerSettings = {}, doorBefore } = this.operation;
        world ??= await FaultWorld.start({ ...this.worldOptions, workerSettings, doorBefore });
        if (isNew) await this.list(world);
        point = this.points?.shift();
        if (point === undefined) break;
        const trial = await tryPoint(world, this.operation, atStep(point));
        if (trial === undefined) {
          this.listeners.missed({ operation: this.operation.name, step: point.step, fault: point.fault.name, number: point.number });
          continue;
        }
        this.listeners.told(trial);
        if (trial.broken.length === 0) continue;
      } catch (error) {
        this.tell(point, error);
      }
      // What one fault left must not be taken for the next one's.
      await this.close(world, point);
      world = undefined;
      // No world, or no list of its steps: there is nothing to go on with.
      if (point === undefined) return;
    }
    await this.close(world, undefined);
  }

  /** Once, by whoever comes first. */
  private list(world: FaultWorld): Promise<void> {
    this.listing ??= (async () => {
      this.steps = await listSteps(world, this.operation);
      const meant = pointsOf(this.steps).filter((point) => this.isMeant(point));
      this.points = sampleOf(meant, this.sample);
      this.listeners.announce(this.operation, this.steps, this.points);
    })();
    return this.listing;
  }

  private async close(world: FaultWorld | undefined, point: Point | undefined): Promise<void> {
    try {
      await withTimeout(`Closing the world of ${this.operation.name}`, CLOSE_TIMEOUT_MS, undefined, async () => world?.close());
    } catch (error) {
      this.tell(point, error);
    }
  }

  /** What is no answer to a question of ours counts as a promise that was not kept. Each world hears of a list that failed. */
  private tell(point: Point | undefined, error: unknown): void {
    if (this.toldErrors.has(error)) return;
    this.toldErrors.add(error);
    this.listeners.told({
      ...{ operation: this.operation.name, step: point?.step ?? '', fault: point?.fault.name ?? 'killed-before' },
      ...{ number: point?.number ?? 0, request: '', outcome: 'unknown', broken: [(error as Error).stack ?? String(error)], ms: 0 },
    });
  }
}
