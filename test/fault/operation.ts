import type { RunView } from '../../src/jobs/index.js';
import type { FaultWorld, Site } from './fault-world.js';

/** Something that a service does to a cloud, a repository and a database, and that may be interrupted anywhere. */
export interface Operation {
  readonly name: string;
  /** What its worker is started with, beside the usual. */
  readonly workerSettings?: Readonly<Record<string, string>>;
  /** Absent: its repository has one site. Else it has two, and the repository's door stands before this one. */
  readonly doorBefore?: Site;
  /** Absent: true. False where manifests and catalog may differ after a death, until the next one like it. */
  readonly catalogFollows?: boolean;
  /** Makes the world what it is before the operation. */
  bringTo(world: FaultWorld): Promise<void>;
  /** Asks the service for it. */
  ask(world: FaultWorld): Promise<RunView>;
  /** The vApps that there are afterwards, and no others. @param reached whether the run reached its aim. */
  vapps(reached: boolean): readonly string[];
  /** @throws AssertionError where a run that says it has reached its aim has not. */
  assertReached(world: FaultWorld, run: RunView): Promise<void>;
  /** That beside vApps there is what there was, and what it made where it reached its aim. @throws AssertionError */
  assertNothingElse?(world: FaultWorld, reached: boolean): void;
  /** Of a run that nobody disturbed: it is the operation that its name says. @throws AssertionError */
  assertUndisturbed?(run: RunView): void;
  /** Removes what it made and the next one makes again. */
  clearAway(world: FaultWorld): Promise<void>;
}
