import assert from 'node:assert/strict';
import type { RunView } from '../../src/jobs/index.js';
import { SHOP, SHOP_VMS } from './fault-seed.js';
import type { FaultWorld } from './fault-world.js';
import type { Operation } from './operation.js';

/** Where a restore begins. */
type Beginning =
  /** The vApp is there, and its disks are not what they were. */
  | 'spoilt'
  /** As that, and a restore of before was cancelled in the middle of its writing. */
  | 'half-written'
  /** The vApp is gone. */
  | 'gone';

/** A way of restoring a vApp. */
interface RestoreMode {
  readonly name: string;
  /** Without the restore point's id. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly begins: Beginning;
  /** The vApp the restore makes; undefined where it is one that is there, before and after. */
  readonly makes?: string;
  /** It is powered on in the end, or the run says why not. */
  readonly runs?: boolean;
  /** Which disks and attributes are as they were in the end. */
  readonly restores: { vms: readonly string[]; ignore: readonly string[]; ignoreName?: boolean };
}

/** A replaced VM has a local id of its own (docs/decisions/0008), and keeps it when it is written over. */
const LOCAL_IDS = ['vms/*/localId'];

const MODES: readonly RestoreMode[] = [
  { name: 'overwrite', request: { mode: 'overwrite' }, begins: 'spoilt', restores: { vms: SHOP_VMS, ignore: LOCAL_IDS } },
  { name: 'overwrite-again', request: { mode: 'overwrite' }, begins: 'half-written', restores: { vms: SHOP_VMS, ignore: LOCAL_IDS } },
  { name: 'recreate', request: { mode: 'recreate' }, begins: 'spoilt', restores: { vms: SHOP_VMS, ignore: [] } },
  {
    name: 'vms',
    request: { mode: 'vms', vms: ['db-1'], choices: { existingVms: 'replace' } },
    begins: 'spoilt',
    restores: { vms: ['db-1'], ignore: LOCAL_IDS },
  },
  {
    name: 'disk',
    request: { mode: 'disk', disk: { vm: 'db-1', disk: 'Hard disk 1' }, choices: { existingVms: 'overwrite' } },
    begins: 'spoilt',
    restores: { vms: ['db-1'], ignore: LOCAL_IDS },
  },
  {
    name: 'copy',
    request: { mode: 'copy', name: 'shop-copy', powerOn: true },
    begins: 'spoilt',
    makes: 'shop-copy',
    runs: true,
    restores: { vms: SHOP_VMS, ignore: ['vms/*/nics/*/macAddress', 'vms/*/nics/*/ipAddress'], ignoreName: true },
  },
  { name: 'missing-vapp', request: { mode: 'missing-vapp' }, begins: 'gone', makes: SHOP, restores: { vms: SHOP_VMS, ignore: [] } },
];

/** A restore of the shop's first restore point, in one mode. */
class Restore implements Operation {
  readonly name: string;

  constructor(private readonly mode: RestoreMode) {
    this.name = mode.name;
  }

  async bringTo(world: FaultWorld): Promise<void> {
    const isGone = this.mode.begins === 'gone';
    if (isGone) await world.delete(SHOP);
    await world.deleteDetachedDisks();
    if (isGone) return;
    await world.spoil();
    if (this.mode.begins === 'half-written') await this.writeHalf(world);
  }

  ask({ world, restorePointId }: FaultWorld): Promise<RunView> {
    // One VM after the other: an occurrence of a step is the same one each time.
    return world.api.post<RunView>('/api/v1/restores', { restorePointId, parallelVms: 1, ...this.mode.request });
  }

  vapps(reached: boolean): readonly string[] {
    const { begins, makes } = this.mode;
    return [...new Set([...(begins === 'gone' ? [] : [SHOP]), ...(reached && makes !== undefined ? [makes] : [])])];
  }

  async assertReached(world: FaultWorld, run: RunView): Promise<void> {
    const { vms, ignore, ignoreName = false } = this.mode.restores;
    const name = this.mode.makes ?? SHOP;
    await world.assertAsFirst(name, vms, { ignore: [...ignore], ignoreName });
    if (this.mode.runs !== true || run.warnings.some((sentence) => /could not be powered on/.test(sentence))) return;
    const { vapps } = await world.world.state();
    assert.equal(vapps.find((vapp) => vapp.name === name)?.status, 'POWERED_ON', 'it was to be powered on, and is not');
  }

  async clearAway(world: FaultWorld): Promise<void> {
    if (this.mode.makes !== undefined) await world.delete(this.mode.makes);
  }

  private async writeHalf(world: FaultWorld): Promise<void> {
    const writing = world.gate.hold({ number: 1, moment: 'after', matching: ({ method }) => method === 'written' });
    const run = await this.ask(world);
    await writing;
    await world.world.api.post(`/api/v1/runs/${run.id}/cancel`, {});
    world.gate.release(true);
    assert.equal((await world.world.ended(run)).state, 'cancelled');
  }
}

export const restoreOperations: readonly Operation[] = MODES.map((mode) => new Restore(mode));
