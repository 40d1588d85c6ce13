import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assertNothingLeft } from './nothing-left.js';
import { World } from './world.js';

/** The main job, small: what `npm run demo` does with gigabytes. */
describe('a vApp is backed up, lost and brought back', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.start();
    await world.register();
  });
  afterAll(() => world?.close());

  it('restores every byte and every attribute of both restore points', { timeout: 180_000 }, async () => {
    await world.control.checkpoint('first', 'shop');
    const first = await world.backUp('shop');
    expect(first).toMatchObject({ kind: 'full', vmCount: 3 });
    expect(first.vms.flatMap((vm) => vm.disks).every((disk) => disk.fullReason === 'first-backup')).toBe(true);
    await assertNothingLeft(world);

    await world.control.guestWrite('web-1', { disk: 0, seed: 'a', scatteredBlocks: 5 });
    await world.control.guestWrite('db-1', { disk: 1, seed: 'b', largeFileBytes: 3 * 2 ** 20 });
    await world.control.guestWrite('app-1', { disk: 0, seed: 'c', unmapFile: true });
    await world.control.checkpoint('second', 'shop');
    const second = await world.backUp('shop');
    expect(second.kind).toBe('incremental');
    const disk = (vm: string, index: number) => {
      const found = second.vms.find((candidate) => candidate.name === vm)?.disks[index];
      if (found === undefined) throw new Error(`no disk ${index} of ${vm}`);
      return found;
    };
    expect(disk('web-1', 0)).toMatchObject({ kind: 'incremental', changedBytes: 5 * 65536, readBytes: 5 * 65536 });
    // Nobody wrote to it: nothing is read.
    expect(disk('app-1', 1)).toMatchObject({ kind: 'incremental', changedBytes: 0, readBytes: 0, newBytes: 0 });
    expect(second.readBytes).toBeLessThan(first.readBytes / 2);
    await assertNothingLeft(world);

    await world.deleteVapp('shop');
    const restored = await world.restore({ restorePointId: second.id, mode: 'missing-vapp' });
    expect(restored).toMatchObject({ state: 'succeeded', error: null, warnings: [] });
    const comparison = await world.control.compare('second', 'shop');
    expect(comparison.attributes).toEqual([]);
    expect(comparison.disks).toHaveLength(5);
    expect(comparison.disks.filter((d) => d.differingBytes !== 0 || d.fileSystem === 'damaged')).toEqual([]);

    const copied = await world.restore({ restorePointId: first.id, mode: 'copy', name: 'shop-before' });
    expect(copied).toMatchObject({ state: 'succeeded', error: null });
    const copy = await world.control.compare('first', 'shop-before', { ignoreName: true, ignore: ['vms/*/nics/*/macAddress'] });
    expect(copy.attributes).toEqual([]);
    expect(copy.disks.filter((d) => d.differingBytes !== 0 || d.fileSystem === 'damaged')).toEqual([]);
    await assertNothingLeft(world);

    // The chain goes on after a restore: same vApp here, full once because the disks are new.
    const third = await world.backUp('shop');
    expect(third.vappId).toBe(first.vappId);
    expect(third.newBytes).toBeLessThan(second.capacityBytes / 100);
  });

  it('refuses to restore over a vApp that is there, and changes nothing', async () => {
    const [point] = await world.restorePoints();
    const run = await world.restore({ restorePointId: point?.id, mode: 'missing-vapp' });
    expect(run).toMatchObject({ state: 'failed', error: { code: 'NAME_TAKEN' } });
    expect(run.error?.message).toContain('"shop"');
    await assertNothingLeft(world);
  });
});
