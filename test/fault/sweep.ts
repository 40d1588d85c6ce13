import { sleep, withTimeout } from '../../src/common/index.js';
import type { OpenDoor } from './door.js';
import { FaultWorld, type FaultWorldOptions } from './fault-world.js';
import type { Operation } from './operation.js';
import { type Point, pointsOf, type Sample, sampleOf, type Step } from './steps.js';
import { type MissedPoint, type Report, reportOf } from './table.js';
import { atStep, listSteps, type Trial, tryPoint } from './try-point.js';

/** Services have 15 s each to stop, and the database its own. */
const CLOSE_TIMEOUT_MS = 120_000;
/** Ctrl-C ends the services, too, and what breaks by that may be seen before the signal is. */
const SIGNAL_MS = 500;

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
export class Sweep {
  private readonly trials: Trial[] = [];
  private readonly missedPoints: MissedPoint[] = [];
  private readonly sweeps: OperationSweep[];
  private isClosed = false;

  constructor(private readonly options: SweepOptions) {
    const { operations, isMeant, sample, doors = [], leaseSeconds, say, sayMissed, announce } = options;
    const told = (trial: Trial) => {
      // Its world was taken away.
      if (this.isClosed) return;
      this.trials.push(trial);
      say(trial);
    };
    const missed = (point: MissedPoint) => {
      if (this.isClosed) return;
      this.missedPoints.push(point);
      sayMissed(point);
    };
    this.sweeps = operations.map(
      (operation) => new OperationSweep(operation, isMeant, sample, { openDoors: doors, leaseSeconds }, { told, missed, announce }),
    );
  }

  async run(): Promise<void> {
    const work = async () => {
      for (const each of this.sweeps) await each.work();
    };
    await Promise.all(Array.from({ length: this.options.worlds }, work));
  }

  /** Of what was tried so far. */
  report(): Report {
    const order = this.sweeps.flatMap(({ operation, steps }) => steps.map(({ name }) => `${operation.name} ${name}`));
    const report = reportOf(this.trials, this.missedPoints, ({ operation, step }) => order.indexOf(`${operation} ${step}`));
    const listed = this.sweeps.reduce((sum, { listedPoints = 0 }) => sum + listedPoints, 0);
    const notListed = this.sweeps.filter(({ listedPoints }) => listedPoints === undefined).map(({ operation }) => operation.name);
    return { ...report, untried: Math.max(0, listed - report.points - report.missed), notListed };
  }

  /** Ends it where it is: nothing more is tried, what is being tried is not judged, and its processes are ended. */
  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all(this.sweeps.map((each) => each.end()));
  }
}

/** The points of one operation, which several worlds take one after the other. */
export class OperationSweep {
  steps: Step[] = [];
  /** How many there were to try, as soon as that is known. */
  listedPoints: number | undefined;
  private listing: Promise<void> | undefined;
  private points: Point[] | undefined;
  private readonly worlds = new Set<FaultWorld | Promise<FaultWorld>>();
  private readonly closings = new Map<FaultWorld, Promise<void>>();
  private readonly toldErrors = new Set<unknown>();
  private isEnded = false;

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
    while (!this.isEnded && (this.points === undefined || this.points.length > 0)) {
      const isNew = world === undefined;
      let point: Point | undefined;
      try {
        world ??= await this.startWorld();
        if (isNew) await this.list(world);
        point = this.points?.shift();
        if (point === undefined) break;
        const trial = await tryPoint(world, this.operation, atStep(point));
        if (trial === undefined) {
          this.listeners.missed({ operation: this.operation.name, step: point.step, fault: point.fault.name, number: point.number });
          continue;
        }
        if (trial.broken.length > 0) await sleep(SIGNAL_MS);
        this.listeners.told(trial);
        if (trial.broken.length === 0) continue;
      } catch (error) {
        await sleep(SIGNAL_MS);
        this.tell(point, error);
      }
      if (this.isEnded) return;
      // What one fault left must not be taken for the next one's.
      await this.close(world, point);
      world = undefined;
      // No world, or no list of its steps: there is nothing to go on with.
      if (point === undefined) return;
    }
    if (!this.isEnded) await this.close(world, undefined);
  }

  /** Whatever is being done: what `work` does meanwhile fails, and tells nobody. */
  async end(): Promise<void> {
    this.isEnded = true;
    await Promise.allSettled([...this.worlds].map(async (world) => this.close(await world, undefined)));
  }

  private async startWorld(): Promise<FaultWorld> {
    const { workerSettings = {}, doorBefore } = this.operation;
    const starting = FaultWorld.start({ ...this.worldOptions, workerSettings, doorBefore });
    this.worlds.add(starting);
    try {
      const world = await starting;
      this.worlds.add(world);
      return world;
    } finally {
      this.worlds.delete(starting);
    }
  }

  /** Once, by whoever comes first. */
  private list(world: FaultWorld): Promise<void> {
    this.listing ??= (async () => {
      this.steps = await listSteps(world, this.operation);
      const meant = pointsOf(this.steps).filter((point) => this.isMeant(point));
      this.points = sampleOf(meant, this.sample);
      this.listedPoints = this.points.length;
      this.listeners.announce(this.operation, this.steps, this.points);
    })();
    return this.listing;
  }

  private async close(world: FaultWorld | undefined, point: Point | undefined): Promise<void> {
    if (world === undefined) return;
    // Whoever ends the sweep waits for what is being closed already.
    const closing = this.closings.get(world) ?? this.closeWorld(world, point);
    this.closings.set(world, closing);
    await closing;
    this.worlds.delete(world);
    this.closings.delete(world);
  }

  private async closeWorld(world: FaultWorld, point: Point | undefined): Promise<void> {
    try {
      await withTimeout(`Closing the world of ${this.operation.name}`, CLOSE_TIMEOUT_MS, undefined, () => world.close());
    } catch (error) {
      // Nobody listens to a sweep that was ended.
      if (this.isEnded) process.stderr.write(`test:fault: ${(error as Error).stack ?? String(error)}\n`);
      else this.tell(point, error);
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
