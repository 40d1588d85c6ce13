import assert from 'node:assert/strict';
import type { RunView } from '../../src/jobs/index.js';
import { SHOP } from './fault-seed.js';
import type { FaultWorld } from './fault-world.js';
import type { Operation } from './operation.js';

/** A backup of the shop, whose guests have written since the last one. */
class Backup implements Operation {
  constructor(
    readonly name: string,
    private readonly kind: 'full' | 'incremental',
  ) {}

  bringTo(world: FaultWorld): Promise<void> {
    return world.spoil();
  }

  ask({ world }: FaultWorld): Promise<RunView> {
    // One VM after the other: an occurrence of a step is the same one each time.
    return world.startBackup(SHOP, { forceFull: this.kind === 'full', parallelVms: 1, parallelSnapshots: 1 });
  }

  vapps(): readonly string[] {
    return [SHOP];
  }

  /** That it holds what it should is looked at with every restore point there is. */
  async assertReached({ world }: FaultWorld, run: RunView): Promise<void> {
    const id = String(run.result?.restorePointId);
    assert.ok(
      (await world.restorePoints()).some((point) => point.id === id),
      `the run's result names restore point ${id}, which is not in the catalog`,
    );
  }

  assertUndisturbed(run: RunView): void {
    assert.equal(run.result?.kind, this.kind);
  }

  async clearAway(world: FaultWorld): Promise<void> {
    await world.points.keepFew();
  }
}

export const backupOperations: readonly Operation[] = [new Backup('backup', 'full'), new Backup('incremental', 'incremental')];
