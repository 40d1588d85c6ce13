import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { newId, retry, silentLogger, sleep } from '../../src/common/index.js';
import { loadConfig, openMasterKey } from '../../src/config/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { FolderStore, Repository } from '../../src/repository/index.js';
import { SHOP } from './fault-seed.js';
import { type FaultWorld, WHERE_THE_MACHINE_STALLS } from './fault-world.js';
import type { Operation } from './operation.js';

const CHUNK_BYTES = 256 * 1024;
/** The newest restore points a policy keeps; two more are there when it looks. */
const KEPT = 2;
const BACKUPS_TOO_MANY = 2;
/** A worker looks what policies want once a second, and takes as long as it takes to be replaced. */
const ROUND_TIMEOUT_MS = 120_000;
/** Condemned, deleted, and a look that finds nothing more to do; a rewritten pack takes one more. */
const MOST_COLLECTIONS = 5;

/** What a policy no longer keeps, deleted as the service does it: by a round of its own, in a run of its own. */
class Retention implements Operation {
  readonly name = 'retention';
  readonly workerSettings = { VAPP_VAULT_POLICIES_TICK_SECONDS: '1' };
  private readonly states = new WeakMap<FaultWorld, { leaving: readonly string[]; lastRunId: string }>();

  async bringTo(world: FaultWorld): Promise<void> {
    await this.begin(world);
    for (let made = 0; made < BACKUPS_TOO_MANY; made += 1) {
      await world.spoil();
      await backUp(world);
      await world.points.check(await world.points.contentNow());
    }
    const points = (await world.world.restorePoints()).map(({ id }) => id);
    const leaving = points.filter((id) => id !== world.restorePointId).slice(KEPT);
    assert.equal(leaving.length, BACKUPS_TOO_MANY, 'what is to go is not what was made');
    this.expectToGo(world, leaving);
  }

  /**
   * There is no request for it: a round finds what is to go. Its turn comes once an hour, so the harness turns that clock forward - once:
   * a worker that dies before it has made the run has not had its turn.
   */
  async ask(world: FaultWorld): Promise<RunView> {
    const state = this.stateOf(world);
    // Where nothing is to go any more, nobody makes a run.
    if ((await this.left(world)).length === 0) await this.makeOneMore(world);
    await turnClock(world, 'NULL');
    for (const deadline = performance.now() + ROUND_TIMEOUT_MS; performance.now() < deadline; await sleep(100)) {
      const { items } = await world.world.api.get<{ items: RunView[] }>('/api/v1/runs?kind=retention&limit=1');
      const [run] = items;
      if (run === undefined || run.id === state.lastRunId) continue;
      state.lastRunId = run.id;
      return run;
    }
    const wanted = (await this.left(world)).join(', ') || 'nothing any more';
    throw new Error(`No round made a run of retention within ${ROUND_TIMEOUT_MS / 1000} s. To go: ${wanted}. ${world.world.lastWords}`);
  }

  vapps(): readonly string[] {
    return [SHOP];
  }

  async assertReached(world: FaultWorld): Promise<void> {
    assert.deepEqual(await this.left(world), [], 'what the policy no longer keeps is still listed');
    for (const id of this.stateOf(world).leaving) world.points.forget(id);
    const points = (await world.world.restorePoints()).map(({ id }) => id);
    assert.ok(points.includes(world.restorePointId), 'retention took a restore point under a legal hold');
    assert.equal(points.length, KEPT + 1, 'retention took what the policy keeps');
  }

  assertUndisturbed(run: RunView): void {
    assert.equal(run.result?.removed, BACKUPS_TOO_MANY);
  }

  async clearAway(): Promise<void> {
    // What it leaves is what the next one begins with.
  }

  /** Once in a world. The first restore point stays, whatever the policy says; beside it lies what the policy keeps. */
  private async begin(world: FaultWorld): Promise<void> {
    if (this.states.has(world)) return;
    const { api } = world.world;
    await api.post(`/api/v1/restore-points/${world.restorePointId}/legal-holds`, { reason: 'the beginning' });
    // No round takes its turn by itself before the next one is asked for.
    await turnClock(world, 'now()');
    const { items } = await api.get<{ items: { id: string }[] }>('/api/v1/clouds');
    const scope = { cloudId: items[0]?.id, vappNames: [SHOP] };
    await api.post('/api/v1/policies', { name: 'Few', retention: { keepLast: KEPT }, scope });
    for (let made = 0; made < KEPT; made += 1) await backUp(world);
    await world.points.check(await world.points.contentNow());
    this.states.set(world, { leaving: [], lastRunId: '' });
  }

  private stateOf(world: FaultWorld): { leaving: readonly string[]; lastRunId: string } {
    const state = this.states.get(world);
    if (state === undefined) throw new Error('This world was not brought to where retention begins');
    return state;
  }

  private expectToGo(world: FaultWorld, leaving: readonly string[]): void {
    this.stateOf(world).leaving = leaving;
    world.points.mayGo(leaving);
  }

  private async left(world: FaultWorld): Promise<string[]> {
    const present = (await world.world.restorePoints()).map(({ id }) => id);
    return this.stateOf(world).leaving.filter((id) => present.includes(id));
  }

  private async makeOneMore(world: FaultWorld): Promise<void> {
    const points = (await world.world.restorePoints()).filter(({ id }) => id !== world.restorePointId);
    await backUp(world);
    this.expectToGo(
      world,
      points.slice(KEPT - 1).map(({ id }) => id),
    );
  }
}

/** When the last round of retention was, as the workers' database has it. */
function turnClock(world: FaultWorld, retentionAt: 'NULL' | 'now()'): Promise<void> {
  return world.query(`UPDATE policy_clock SET retention_at = ${retentionAt}`);
}

export async function backUp({ world }: FaultWorld): Promise<void> {
  await retry(WHERE_THE_MACHINE_STALLS, async () => {
    const run = await world.ended(await world.startBackup(SHOP, { forceFull: false }));
    assert.equal(run.error, null, `The backup failed: ${JSON.stringify(run.error)}`);
  });
}

/**
 * A collection that deletes packs which an earlier one condemned, writes index segments without them, and condemns others. What a
 * pack that is written anew goes through is tried step by step in test/repository/gc.spec.ts.
 */
class Collection implements Operation {
  readonly name = 'gc';
  /** Packs of which nothing is to be left. */
  private readonly dead = new WeakMap<FaultWorld, Set<string>>();

  async bringTo(world: FaultWorld): Promise<void> {
    const dead = new Set<string>();
    const newPacks = async (work: () => Promise<void>) => {
      const before = new Set(await packs(world));
      await work();
      for (const pack of await packs(world)) if (!before.has(pack)) dead.add(pack);
    };
    await newPacks(() => storeGarbage(world));
    await this.succeed(world);
    await newPacks(() => storeGarbage(world));
    this.dead.set(world, dead);
  }

  ask({ world }: FaultWorld): Promise<RunView> {
    return world.api.post<RunView>('/api/v1/repository/gc', { graceHours: 0 });
  }

  vapps(): readonly string[] {
    return [SHOP];
  }

  async assertReached({ world }: FaultWorld, run: RunView): Promise<void> {
    assert.equal(run.kind, 'gc');
    const verified = await world.ended(await world.api.post<RunView>('/api/v1/repository/verify', { mode: 'structure' }));
    assert.equal(verified.error, null);
    assert.equal(verified.result?.damaged, 0, `the repository is damaged: ${verified.warnings.join(' | ')}`);
  }

  assertUndisturbed({ result }: RunView): void {
    assert.ok(Number(result?.deletedPacks) > 0, 'it deletes nothing');
    assert.ok(Number(result?.condemnedPacks) > 0, 'it condemns nothing');
  }

  /** What was to go is gone in the end, and nothing lies about that a collection needed. */
  async clearAway(world: FaultWorld): Promise<void> {
    const { dead } = this;
    for (let collections = 1; ; collections += 1) {
      const { result } = await this.succeed(world);
      const done = [result?.deletedPacks, result?.condemnedPacks, result?.rescuedPacks].map(Number);
      if (done.every((count) => count === 0)) break;
      assert.ok(collections < MOST_COLLECTIONS, `collections find more to do each time: ${JSON.stringify(result)}`);
    }
    const left = (await packs(world)).filter((pack) => dead.get(world)?.has(pack));
    assert.deepEqual(left, [], 'dead packs are still there');
    const lying = (await files(world)).filter((file) => /\/(?:condemned|sessions)\/|\/gc\/lock$/.test(file));
    assert.deepEqual(lying, [], 'lists, sessions or locks are left');
    await world.points.keepFew();
  }

  private async succeed(world: FaultWorld): Promise<RunView> {
    const run = await world.world.ended(await this.ask(world));
    assert.equal(run.error, null, `collecting: ${JSON.stringify(run.error)}`);
    return run;
  }
}

/** A restore point that no catalog ever knew, stored and deleted again: a pack of which nothing lives. */
async function storeGarbage(world: FaultWorld): Promise<void> {
  const [point] = await world.world.restorePoints();
  const organizationId = String(point?.organizationId);
  const { masterKey } = loadConfig({ VAPP_VAULT_DATA_DIR: join(world.world.dataDir, 'service') }, world.world.dataDir);
  const store = await FolderStore.open(world.world.repositoryDir);
  const repository = await Repository.open({ store, masterKey: await openMasterKey(masterKey), log: silentLogger });
  const restorePointId = newId();
  const session = await repository.beginSession(organizationId, restorePointId);
  const disk = await session.openDisk({ diskId: 'garbage', capacityBytes: CHUNK_BYTES, chunkBytes: CHUNK_BYTES });
  const bytes = Buffer.alloc(CHUNK_BYTES, restorePointId);
  await disk.write(bytes, [{ chunkIndex: 0, offset: 0, length: CHUNK_BYTES }]);
  const stored = { diskId: 'garbage', ...(await disk.finish()) };
  await session.publish({ createdAt: new Date().toISOString(), disks: [stored], documents: [], content: {} });
  await repository.deleteManifest({ organizationId, restorePointId });
}

export async function packs(world: FaultWorld): Promise<string[]> {
  return (await files(world)).filter((file) => /\/packs\/[0-9a-f]{2}\/[0-9a-f-]{36}$/.test(file));
}

async function files(world: FaultWorld): Promise<string[]> {
  return await readdir(world.world.repositoryDir, { recursive: true });
}

export const maintenanceOperations: readonly Operation[] = [new Retention(), new Collection()];
