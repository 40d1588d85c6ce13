import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import { assertNothingLeft } from './nothing-left.js';
import { World } from './world.js';

/** A restored VM keeps its chain: its next backup is incremental where change tracking allows, and its history stays one. */
describe('the backups after a restore', () => {
  let world: World;
  let first: RestorePointRow;

  beforeAll(async () => {
    world = await World.start();
    await world.register();
    first = await world.backUp('shop');
  }, 120_000);
  afterAll(() => world?.close());

  const disksOf = (point: RestorePointRow) => point.vms.flatMap((vm) => vm.disks);
  const spoil = (seed: string) => world.control.guestWrite('db-1', { disk: 1, seed, scatteredBlocks: 4 });
  const restore = async (request: Record<string, unknown>) => {
    const run = await world.restore(request);
    expect(run.error).toBeNull();
    return run;
  };
  const assertSame = async (checkpoint: string) => {
    const { disks } = await world.control.compare(checkpoint, 'shop');
    expect(disks).toHaveLength(5);
    expect(disks.filter((disk) => disk.differingBytes !== 0 || disk.fileSystem === 'damaged')).toEqual([]);
  };
  let second: RestorePointRow;

  it('of a VM that was written over is incremental, reads what changed, and is right', { timeout: 120_000 }, async () => {
    await spoil('before the restore');
    await restore({ restorePointId: first.id, mode: 'overwrite' });
    await spoil('after the restore');
    await world.control.checkpoint('second', 'shop');
    second = await world.backUp('shop');
    expect(second.kind).toBe('incremental');
    expect(disksOf(second).map(({ kind, fullReason }) => [kind, fullReason])).toEqual(disksOf(second).map(() => ['incremental', null]));
    const readBytes = disksOf(second).reduce((sum, disk) => sum + disk.readBytes, 0);
    expect(readBytes).toBeGreaterThan(0);
    expect(readBytes).toBeLessThan(disksOf(first).reduce((sum, disk) => sum + disk.readBytes, 0) / 2);

    await world.deleteVapp('shop');
    await restore({ restorePointId: second.id, mode: 'missing-vapp' });
    await assertSame('second');
    await assertNothingLeft(world);
  });

  it('of a VM that was built anew is full with its reason, costs no space, and is of the same history', { timeout: 120_000 }, async () => {
    await spoil('after the second restore');
    await world.control.checkpoint('third', 'shop');
    const third = await world.backUp('shop');
    expect(disksOf(third).map(({ kind }) => kind)).toEqual(disksOf(third).map(() => 'full'));
    for (const { fullReason } of disksOf(third)) expect(fullReason).toMatch(/^(tracking-restarted|no-change-id)$/);
    // Each disk is the one it was: the reason would else be that it is its first backup.
    expect(disksOf(third).map(({ diskId }) => diskId)).toEqual(disksOf(second).map(({ diskId }) => diskId));
    const newBytes = disksOf(third).reduce((sum, disk) => sum + disk.newBytes, 0);
    expect(newBytes).toBeGreaterThan(0);
    expect(newBytes).toBeLessThan(2 * 2 ** 20);

    const { items } = await world.api.get<{ items: { id: string }[] }>(`/api/v1/restore-points?vappId=${first.vappId}`);
    expect(items.map(({ id }) => id)).toEqual([third.id, second.id, first.id]);
    const idsOf = (point: RestorePointRow) => Object.fromEntries(point.vms.map(({ name, vmId }) => [name, vmId]));
    expect([idsOf(second), idsOf(third)]).toEqual([idsOf(first), idsOf(first)]);

    await spoil('gone again');
    const fourth = await world.backUp('shop');
    expect(disksOf(fourth).map(({ kind }) => kind)).toEqual(disksOf(fourth).map(() => 'incremental'));
    await restore({ restorePointId: third.id, mode: 'overwrite' });
    await assertSame('third');
    await assertNothingLeft(world);
  });
});
