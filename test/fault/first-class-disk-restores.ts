import assert from 'node:assert/strict';
import type { RunView } from '../../src/jobs/index.js';
import { SHOP } from './fault-seed.js';
import type { FaultWorld } from './fault-world.js';
import { FirstClassDisks } from './first-class-disks.js';
import type { Operation } from './operation.js';

const VOLUME = 'volume';

interface Kept {
  disks: FirstClassDisks;
  restorePointId: string;
}

/** A restore of a first class disk: beside the one that is there, or over it. */
class FirstClassDiskRestore implements Operation {
  private readonly kept = new WeakMap<FaultWorld, Kept>();

  constructor(
    readonly name: string,
    /** The disk that is as it was first in the end. */
    private readonly target: string,
    private readonly request: Readonly<Record<string, unknown>>,
  ) {}

  async bringTo(world: FaultWorld): Promise<void> {
    if (!this.kept.has(world)) {
      const disks = await FirstClassDisks.make(world.world, [VOLUME]);
      const restorePointId = await world.backUpByName('first-class-disk', VOLUME);
      await world.points.learn(restorePointId);
      this.kept.set(world, { disks, restorePointId });
    }
    await this.of(world).disks.write(VOLUME, 'today');
  }

  ask(world: FaultWorld): Promise<RunView> {
    const { disks, restorePointId } = this.of(world);
    return disks.startRestore(restorePointId, this.request);
  }

  vapps(): readonly string[] {
    return [SHOP];
  }

  assertNothingElse(world: FaultWorld, reached: boolean): void {
    const expected = reached && this.target !== VOLUME ? [VOLUME, this.target] : [VOLUME];
    assert.deepEqual(this.of(world).disks.names(), expected.sort(), 'first class disks');
  }

  async assertReached(world: FaultWorld): Promise<void> {
    assert.equal(await this.of(world).disks.content(this.target), 'first', `first class disk "${this.target}"`);
  }

  async clearAway(world: FaultWorld): Promise<void> {
    const { disks } = this.of(world);
    if (this.target !== VOLUME && disks.names().includes(this.target)) await disks.delete(this.target);
  }

  private of(world: FaultWorld): Kept {
    const kept = this.kept.get(world);
    if (kept === undefined) throw new Error('It was not brought to its beginning');
    return kept;
  }
}

export const firstClassDiskRestores: readonly Operation[] = [
  new FirstClassDiskRestore('first-class-disk', `${VOLUME}-2`, { name: `${VOLUME}-2` }),
  new FirstClassDiskRestore('first-class-disk-overwrite', VOLUME, { choices: { existingDisk: 'overwrite' } }),
];
