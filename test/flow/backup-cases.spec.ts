import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectProvider } from '../harness/provider-client.js';
import { damageEveryPack } from './damage.js';
import { assertNothingLeft } from './nothing-left.js';
import { World } from './world.js';

describe('a backup of a vApp that is not as simple as it looks', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.start();
    await world.register();
  });
  afterEach(() => world.control.clearFaults());
  afterAll(() => world?.close());

  const refuseToQuiesce = (times: number) => ({
    door: 'vcenter',
    method: 'CreateSnapshot_Task',
    effect: 'taskError',
    fault: 'ApplicationQuiesceFault',
    message: 'The guest did not freeze.',
    times,
  });

  it('falls back to a crash-consistent snapshot, and says so', async () => {
    await world.control.addFault(refuseToQuiesce(1));
    const point = await world.backUp('shop');
    expect(point.warnings.filter((warning) => warning.includes('could not be quiesced'))).toHaveLength(1);
    await assertNothingLeft(world);
  });

  it('fails instead where the request does not allow that', async () => {
    await world.control.addFault(refuseToQuiesce(1));
    const before = await world.restorePoints();
    const run = await world.finish(await world.startBackup('shop', { allowCrashConsistent: false }));
    expect(run).toMatchObject({ state: 'failed', error: { code: 'QUIESCE_FAILED' } });
    expect(await world.restorePoints()).toEqual(before);
    await assertNothingLeft(world);
  });

  it('leaves a vApp in the maintenance mode that somebody else began', async () => {
    const vcd = await connectProvider(world.simulator);
    try {
      let href = '';
      for await (const vapp of vcd.vapps('name==intranet')) href = vapp.href;
      await vcd.enterMaintenanceMode(href);
      await world.backUp('intranet');
      expect(await vcd.inMaintenanceMode(href)).toBe(true);
      await vcd.exitMaintenanceMode(href);
    } finally {
      await vcd.close();
    }
    await assertNothingLeft(world);
  });

  it('waits for tasks that were already running', async () => {
    await fetch(`${world.simulator.description.control.url}/vapps/intranet/busy`, { method: 'POST', body: '{"ms":1500}' });
    const startedMs = performance.now();
    await world.backUp('intranet');
    expect(performance.now() - startedMs).toBeGreaterThan(1200);
    await assertNothingLeft(world);
  });

  it('logs in again when VCD and vCenter forgot our sessions', async () => {
    await fetch(`${world.simulator.description.control.url}/sessions/expire`, { method: 'POST' });
    await world.backUp('intranet');
    await assertNothingLeft(world);
  });

  it('reads the whole chain below a snapshot of somebody else, and leaves that snapshot alone', { timeout: 90_000 }, async () => {
    const { vsphere } = world.simulator;
    const vm = vsphere.vms().find((candidate) => candidate.name.startsWith('erp-1'));
    if (vm === undefined) throw new Error('the seed has no VM erp-1');
    await vsphere.createSnapshot(vm.moRef, { name: 'before the upgrade' });
    await world.control.guestWrite('erp-1', { disk: 0, seed: 'above', scatteredBlocks: 6 });
    await world.control.checkpoint('chain', 'erp');
    const point = await world.backUp('erp');
    expect(vsphere.vm(vm.moRef)?.snapshots.map((snapshot) => snapshot.name)).toEqual(['before the upgrade']);

    // Incremental on top of that chain.
    await world.control.guestWrite('erp-1', { disk: 0, seed: 'more', scatteredBlocks: 2 });
    const next = await world.backUp('erp');
    expect(next.vms[0]?.disks[0]).toMatchObject({ kind: 'incremental', changedBytes: 2 * 65536 });

    await world.deleteVapp('erp');
    expect(await world.restore({ restorePointId: point.id, mode: 'missing-vapp' })).toMatchObject({ error: null });
    const comparison = await world.control.compare('chain', 'erp');
    expect(comparison.attributes).toEqual([]);
    expect(comparison.disks.map((disk) => disk.differingBytes)).toEqual([0]);
    await assertNothingLeft(world);
  });

  it('reads chunks whole when the previous restore point turns out damaged', { timeout: 60_000 }, async () => {
    await world.backUp('intranet');
    await world.control.guestWrite('wiki', { disk: 0, seed: 'over-damage', scatteredBlocks: 3 });
    await world.control.checkpoint('over-damage', 'intranet');
    const undo = await damageEveryPack(world.repositoryDir);
    const point = await world.backUp('intranet');
    expect(point.warnings.filter((warning) => warning.includes('damaged'))).toHaveLength(1);
    expect(point.vms[0]?.disks[0]).toMatchObject({ kind: 'incremental', changedBytes: 3 * 65536 });
    await undo();
    await world.restore({ restorePointId: point.id, mode: 'copy', name: 'intranet-copy' });
    const comparison = await world.control.compare('over-damage', 'intranet-copy');
    expect(comparison.disks.map((disk) => disk.differingBytes)).toEqual([0]);
  });

  it('copies in full on request, and stores nothing twice', async () => {
    const point = await world.backUp('intranet', { forceFull: true });
    const disk = point.vms[0]?.disks[0];
    expect(disk).toMatchObject({ kind: 'full', fullReason: 'requested', newBytes: 0, storedBytes: 0 });
    expect(disk?.readBytes).toBeGreaterThan(0);
  });
});
