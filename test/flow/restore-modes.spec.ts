import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import type { RestorePlanView } from '../../src/restore/plan-types.js';
import type { VcdClient } from '../../src/vcd/index.js';
import { connectProvider } from '../harness/provider-client.js';
import { assertNothingLeft } from './nothing-left.js';
import { World } from './world.js';

/** Restores into a vApp that is there (guide, chapter 8, "To restore an existing vApp", "Recovering a Single Virtual Machine"). */
describe('a vApp that is still there', () => {
  let world: World;
  let vcd: VcdClient;
  let point: RestorePointRow;

  beforeAll(async () => {
    world = await World.start();
    await world.register();
    vcd = await connectProvider(world.simulator);
    await world.control.checkpoint('before', 'shop');
    point = await world.backUp('shop');
  });
  afterAll(async () => {
    await vcd?.close();
    await world?.close();
  });

  const spoil = async (seed: string) => {
    await world.control.guestWrite('web-1', { disk: 0, seed: `${seed}-web`, scatteredBlocks: 4 });
    await world.control.guestWrite('db-1', { disk: 1, seed: `${seed}-db`, largeFileBytes: 2 * 2 ** 20 });
    await world.control.guestWrite('app-1', { disk: 0, seed: `${seed}-app`, unmapFile: true });
  };
  const shop = async () => {
    for await (const vapp of vcd.vapps('name==shop')) return vapp;
    throw new Error('shop is gone');
  };
  const assertAsBefore = async (ignore: string[] = []) => {
    const comparison = await world.control.compare('before', 'shop', { ignore });
    expect(comparison.disks).toHaveLength(5);
    expect(comparison.disks.filter((disk) => disk.differingBytes !== 0 || disk.fileSystem === 'damaged')).toEqual([]);
    expect(comparison.attributes).toEqual([]);
  };
  const succeeded = (run: RunView) => {
    expect(run.error).toBeNull();
    expect(['succeeded', 'warning']).toContain(run.state);
    return run;
  };
  const plan = (request: Record<string, unknown>) => world.api.post<RestorePlanView>('/api/v1/restores/plan', request);

  it('is written over in place: only what changed, and the next backup is incremental', { timeout: 120_000 }, async () => {
    const before = await shop();
    await spoil('one');
    await vcd.writeVapp(before.href, { description: 'spoilt' });
    const request = { restorePointId: point.id, mode: 'overwrite' };
    const planned = await plan(request);
    expect(planned).toMatchObject({ canStart: true, vms: [{ action: 'overwrite' }, { action: 'overwrite' }, { action: 'overwrite' }] });

    const run = succeeded(await world.restore(request));
    await assertAsBefore();
    const { result } = run;
    expect((await shop()).id).toBe(before.id);
    // Change tracking tells what was spoilt: far less than the 30 MiB of data the disks hold.
    expect(result?.writtenBytes).toBeGreaterThan(4 * 65536);
    expect(result?.writtenBytes).toBeLessThan(12 * 2 ** 20);
    expect(Object.keys(result?.comparison ?? {}).length).toBeGreaterThan(50);
    expect(result?.differences).toEqual([]);
    await assertNothingLeft(world);

    const next = await world.backUp('shop');
    expect(next).toMatchObject({ vappId: point.vappId, kind: 'incremental' });
    expect(next.newBytes).toBe(0);
  });

  it('gets back one VM it has lost, under its id here, and keeps the others', { timeout: 120_000 }, async () => {
    const vapp = await shop();
    const capture = await vcd.captureVapp(vapp.href);
    await vcd.undeploy(vapp.href, 'powerOff');
    const lost = capture.vms.find((vm) => vm.name === 'app-1');
    await vcd.deleteVm(String(lost?.href));
    const request = { restorePointId: point.id, mode: 'vms', vms: ['app-1'] };
    expect(await plan(request)).toMatchObject({ canStart: true, vms: [{ name: 'app-1', action: 'build' }], removals: [] });
    succeeded(await world.restore(request));
    await assertAsBefore();
    await assertNothingLeft(world);
    const next = await world.backUp('shop');
    const idOf = (row: RestorePointRow) => row.vms.find((vm) => vm.name === 'app-1')?.vmId;
    expect(idOf(next)).toBe(idOf(point));
  });

  it('asks what becomes of a VM that is still there', async () => {
    const request = { restorePointId: point.id, mode: 'vms', vms: ['web-1'] };
    expect(await plan(request)).toMatchObject({ canStart: false });
    const run = await world.restore(request);
    expect(run).toMatchObject({ state: 'failed', error: { code: 'CHOICE_NEEDED' } });
    expect(run.error?.message).toContain('existingVms');
    await assertNothingLeft(world);
  });

  it('has one VM replaced: the old one goes only when the new one stands', { timeout: 120_000 }, async () => {
    await spoil('two');
    const request = { restorePointId: point.id, mode: 'vms', vms: ['web-1'], choices: { existingVms: 'replace' } };
    const old = (await vcd.captureVapp((await shop()).href)).vms.find((vm) => vm.name === 'web-1');
    succeeded(await world.restore(request));
    const { vms } = await vcd.captureVapp((await shop()).href);
    expect(vms.map((vm) => vm.name).sort()).toEqual(['app-1', 'db-1', 'web-1']);
    expect(vms.find((vm) => vm.name === 'web-1')?.id).not.toBe(old?.id);
    const { disks } = await world.control.compare('before', 'shop');
    expect(disks.filter((disk) => disk.vm === 'web-1' && disk.differingBytes > 0)).toEqual([]);
    expect(disks.some((disk) => disk.vm === 'db-1' && disk.differingBytes > 0)).toBe(true);
    await assertNothingLeft(world);
  });

  it('has one disk written over, and no other', { timeout: 120_000 }, async () => {
    const label = point.vms.find((vm) => vm.name === 'db-1')?.disks[1]?.label;
    const request = { restorePointId: point.id, mode: 'disk', disk: { vm: 'db-1', disk: label }, choices: { existingVms: 'overwrite' } };
    succeeded(await world.restore(request));
    const { disks } = await world.control.compare('before', 'shop');
    expect(disks.find((disk) => disk.vm === 'db-1' && disk.label === label)?.differingBytes).toBe(0);
    expect(disks.find((disk) => disk.vm === 'app-1' && disk.differingBytes > 0)).toBeDefined();
    await assertNothingLeft(world);
  });

  it('is deleted and created anew under its id here', { timeout: 120_000 }, async () => {
    const before = await shop();
    const run = succeeded(await world.restore({ restorePointId: point.id, mode: 'recreate' }));
    await assertAsBefore();
    expect((await shop()).id).not.toBe(before.id);
    expect(run.result).toMatchObject({ vappName: 'shop', differences: [] });
    await assertNothingLeft(world);
    expect((await world.backUp('shop')).vappId).toBe(point.vappId);
  });

  it('stays as it is when the new one cannot be built', { timeout: 120_000 }, async () => {
    const before = await shop();
    await world.control.addFault({
      door: 'vcd',
      method: 'POST',
      path: '/importVmIntoExistingVApp',
      effect: 'error',
      status: 400,
      minorErrorCode: 'BAD_REQUEST',
      message: 'No.',
      times: 1,
    });
    const run = await world.restore({ restorePointId: point.id, mode: 'recreate' });
    await world.control.clearFaults();
    expect(run.state).toBe('failed');
    expect((await shop()).id).toBe(before.id);
    await assertAsBefore();
    await assertNothingLeft(world);
  });
});
