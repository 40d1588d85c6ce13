/**
 * The folder of the repository turns read-only, is full, is slow, hangs or goes away, in the middle of a backup of the real service, and is as it
 * was again. What the store makes of each answer of a file system is in test/repository/outages.spec.ts.
 */
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newId, sleep, withTimeout } from '../../src/common/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { connectProvider } from '../harness/provider-client.js';
import type { GatedRequest } from '../simulator/request-gate.js';
import { ALL_KILLS } from './all-kills.js';
import { FAULT_SEED, SHOP, SHOP_VMS } from './fault-seed.js';
import type { KillableService } from './killable-service.js';
import { KillableWorld } from './killable-world.js';
import { KnownPoints } from './known-points.js';
import { type Condition, RepositoryDoor } from './repository-door.js';

const MOMENT_TIMEOUT_MS = 60_000;
/** Longer than a lease of this world's workers. */
const SILENCE_MS = 4_000;

describe('in the middle of a backup the repository folder', () => {
  let world: KillableWorld;
  let root: string;
  let door: RepositoryDoor;
  let points: KnownPoints;
  let firstId: string;
  let service: KillableService;

  beforeAll(async () => {
    world = await KillableWorld.start({}, { taskDelayMs: 10, seed: FAULT_SEED });
    root = world.repositoryDir;
    door = await RepositoryDoor.open(world.simulator.gate, root);
    service = await world.startService(door.environment);
    await world.register();
    points = new KnownPoints(world, SHOP_VMS);
    const content = await points.contentNow();
    firstId = String((await world.backUp(SHOP))[0]);
    await points.check(content);
  });
  afterEach(() => {
    door.condition = 'well';
    door.delayMs = 0;
  });
  afterAll(async () => {
    world?.simulator.gate.release(false);
    await world?.close();
    await door?.close();
  });

  /** A backup of what the guests have just written, which is held when it is about to give that object its name. */
  async function backupNaming(object: RegExp): Promise<RunView> {
    for (const vm of SHOP_VMS) await world.control.guestWrite(vm, { disk: 0, seed: newId(), scatteredBlocks: 12 });
    const matching = (request: GatedRequest) =>
      request.door === 'repository' && ['link', 'rename'].includes(request.method) && object.test(request.object);
    const held = world.simulator.gate.hold({ number: 1, moment: 'before', matching });
    const run = await world.startBackup(SHOP, {});
    await withTimeout(`The backup's naming of ${object}`, MOMENT_TIMEOUT_MS, undefined, () => held);
    return run;
  }

  /** The next backup succeeds, and every restore point there is holds what its disks held. @returns the bytes it stored. */
  async function expectNextBackup(): Promise<number> {
    const content = await points.contentNow();
    const run = await world.ended(await world.startBackup(SHOP, {}));
    expect(run).toMatchObject({ state: 'succeeded', error: null });
    await points.check(content);
    await world.expectNothingOwed([SHOP]);
    return Number(run.result?.storedBytes);
  }

  /** Its VMs have the names of those it was made of. */
  async function restoreAndDelete(name: string): Promise<void> {
    await world.expectRestores(firstId, name);
    const vcd = await connectProvider(world.simulator);
    try {
      for await (const vapp of vcd.vapps(`name==${name}`)) await vcd.deleteVapp(vapp.href);
    } finally {
      await vcd.close();
    }
    await world.expectNothingOwed([SHOP]);
  }

  const readiness = async () => (await fetch(new URL('/api/health/ready', service.url))).status;

  it.each<[Condition, string, RegExp, string, RegExp]>([
    ['read-only', 'REPOSITORY_READ_ONLY', /could not be .+: the file system is mounted read-only/, 'a pack', /\/packs\//],
    ['full', 'REPOSITORY_FULL', /could not be written: there is no space left; free some or add storage/, 'an index segment', /\/index\//],
  ])('is %s: %s', { timeout: 90_000 }, async (condition, code, message, _what, object) => {
    const run = await backupNaming(object);
    door.condition = condition;
    world.simulator.gate.release(true);
    expect(await world.ended(run)).toMatchObject({
      state: 'failed',
      error: { code, message: expect.stringMatching(message) },
      openObligations: [],
      result: null,
    });
    await world.expectNothingOwed([SHOP]);
    // Who reads goes on.
    await points.check({});
    if (condition === 'read-only') {
      await restoreAndDelete('shop-2');
      await expect.poll(readiness, { timeout: 10_000 }).toBe(503);
    }
    door.condition = 'well';
    const storedBytes = await expectNextBackup();
    // What had its place in an index by then is stored already.
    if (condition === 'full') expect(storedBytes).toBeLessThan(64 * 1024);
    await expect.poll(readiness, { timeout: 10_000 }).toBe(200);
  });

  it('goes away, with an empty folder in its place, and comes back: the backup waits for it', { timeout: 90_000 }, async () => {
    const content = await points.contentNow();
    const run = await backupNaming(/\/packs\//);
    const told = world.output.length;
    await rename(root, `${root}-away`);
    await mkdir(root);
    world.simulator.gate.release(true);
    await expect.poll(() => world.output.slice(told), { timeout: 30_000 }).toContain('is asked again');
    // Nothing was written to where a mount is missing.
    expect(await readdir(root)).toEqual([]);
    await rmdir(root);
    await rename(`${root}-away`, root);
    expect(await world.ended(run)).toMatchObject({ state: 'succeeded', attempt: 1, error: null });
    expect(await points.contentNow()).not.toEqual(content);
    await points.check(await points.contentNow());
    await world.expectNothingOwed([SHOP]);
  });

  it.runIf(ALL_KILLS)(
    "is slow, and once says nothing for longer than a lease: the run stays its worker's",
    { timeout: 90_000 },
    async () => {
      door.delayMs = 25;
      const run = await backupNaming(/\/packs\//);
      await sleep(SILENCE_MS);
      world.simulator.gate.release(true);
      expect(await world.ended(run)).toMatchObject({ state: 'succeeded', attempt: 1, error: null });
      door.delayMs = 0;
      await points.check(await points.contentNow());
      await world.expectNothingOwed([SHOP]);
    },
  );

  it.runIf(ALL_KILLS)('hangs: a backup that is cancelled ends, and leaves nothing in the cloud', { timeout: 180_000 }, async () => {
    const run = await backupNaming(/\/packs\//);
    await world.api.post(`/api/v1/runs/${run.id}/cancel`, {});
    expect(await world.ended(run, 150_000)).toMatchObject({ state: 'cancelled', openObligations: [] });
    await world.expectNothingOwed([SHOP]);
    world.simulator.gate.release(true);
    await expectNextBackup();
  });

  it('is missing when the service starts: no other one is begun in its place', { timeout: 90_000 }, async () => {
    await service.stop();
    await rename(root, `${root}-away`);
    await expect(world.startService(door.environment)).rejects.toThrow(/The place of the repository is empty, and the database knows/);
    expect(await readdir(root, { recursive: true })).toEqual(['.tmp']);
    await rm(root, { recursive: true });
    await rename(`${root}-away`, root);
    service = await world.startService(door.environment);
    await expectNextBackup();
  });
});
