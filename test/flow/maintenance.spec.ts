import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RunView } from '../../src/jobs/index.js';
import type { VcdClient } from '../../src/vcd/index.js';
import { connectProvider } from '../harness/provider-client.js';
import { assertNothingLeft } from './nothing-left.js';
import { World } from './world.js';

/** Every read waits this long: what a test does to the vApp meanwhile takes a few requests. */
const SLOW_READS = { door: 'vix', method: 'read', effect: 'delay', delayMs: 2500, times: 0 };

describe('maintenance mode, and a vApp that is changed in it', () => {
  let world: World;
  let vcd: VcdClient;

  beforeAll(async () => {
    world = await World.start();
    await world.register();
    vcd = await connectProvider(world.simulator);
  });
  afterEach(() => world.control.clearFaults());
  afterAll(async () => {
    await vcd?.close();
    await world?.close();
  });

  const hrefOf = async (name: string): Promise<string> => {
    for await (const vapp of vcd.vapps(`name==${name}`)) return vapp.href;
    throw new Error(`There is no vApp "${name}"`);
  };

  const reach = (run: RunView, step: string) => world.reach(run, step);
  const stepsOf = (run: RunView) => run.steps.map(({ name }) => name);

  it('is entered first and left last', async () => {
    const run = await world.finish(await world.startBackup('intranet'));
    expect(run.error).toBeNull();
    expect(stepsOf(run)[0]).toBe('Enter maintenance mode');
    expect(stepsOf(run).at(-1)).toBe('Leave maintenance mode');
    await assertNothingLeft(world);
  });

  it('is left when the snapshots stand, where the request says so: the tenant may go on, and the restore point is whole', {
    timeout: 60_000,
  }, async () => {
    const href = await hrefOf('intranet');
    await world.control.checkpoint('early', 'intranet');
    await world.control.addFault(SLOW_READS);
    const started = await world.startBackup('intranet', { maintenance: 'until-snapshots', forceFull: true });
    await reach(started, 'Copy the disks');
    expect(await vcd.inMaintenanceMode(href)).toBe(false);
    await vcd.writeVapp(href, { description: 'changed by its tenant during the copy' });
    const run = await world.finish(started);
    await world.control.clearFaults();
    expect(run.error).toBeNull();
    const steps = stepsOf(run);
    expect(steps.indexOf('Check that the vApp did not change')).toBeLessThan(steps.indexOf('Leave maintenance mode'));
    expect(steps.indexOf('Leave maintenance mode')).toBeLessThan(steps.indexOf('Copy the disks'));
    expect(steps.filter((name) => name === 'Leave maintenance mode')).toHaveLength(1);
    await assertNothingLeft(world);

    await world.deleteVapp('intranet');
    expect(await world.restore({ restorePointId: run.result?.restorePointId, mode: 'missing-vapp' })).toMatchObject({ error: null });
    const comparison = await world.control.compare('early', 'intranet');
    expect(comparison.attributes).toEqual([]);
    expect(comparison.disks.map((disk) => disk.differingBytes)).toEqual([0]);
  });

  it('takes the new description of a vApp that was changed once under the run', { timeout: 60_000 }, async () => {
    const href = await hrefOf('intranet');
    await world.control.addFault(SLOW_READS);
    const started = await world.startBackup('intranet', { forceFull: true });
    await reach(started, 'Copy the disks');
    await vcd.writeVapp(href, { description: 'changed by the provider' });
    await world.control.checkpoint('changed', 'intranet');
    const run = await world.finish(started);
    await world.control.clearFaults();
    expect(run.error).toBeNull();
    // The disks are those of the snapshots: nothing was copied twice.
    expect(stepsOf(run).filter((name) => name === 'Copy the disks')).toHaveLength(1);
    await world.deleteVapp('intranet');
    expect(await world.restore({ restorePointId: run.result?.restorePointId, mode: 'missing-vapp' })).toMatchObject({ error: null });
    const comparison = await world.control.compare('changed', 'intranet', { ignore: ['inMaintenanceMode'] });
    expect(comparison.attributes).toEqual([]);
    expect(comparison.disks.map((disk) => disk.differingBytes)).toEqual([0]);
    await assertNothingLeft(world);
  });

  it('snapshots and copies again when a VM was renamed meanwhile, and fails when the vApp is changed once more', {
    timeout: 120_000,
  }, async () => {
    const href = await hrefOf('erp');
    const before = await vcd.captureVapp(href);
    const vm = before.vms[0];
    if (vm === undefined) throw new Error('the seed has no VM in erp');
    const rename = (name: string) => vcd.writeVm(vm.href, { ...vm, name }, { keepMacAddresses: true });

    await world.control.addFault(SLOW_READS);
    const started = await world.startBackup('erp');
    await reach(started, 'Copy the disks');
    await rename('erp-renamed');
    const run = await world.finish(started);
    expect(run.error).toBeNull();
    expect(stepsOf(run).filter((name) => name === 'Copy the disks')).toHaveLength(2);
    const point = await world.api.get<{ vms: { name: string }[] }>(`/api/v1/restore-points/${String(run.result?.restorePointId)}`);
    expect(point.vms.map(({ name }) => name)).toContain('erp-renamed');
    await assertNothingLeft(world);

    const points = (await world.restorePoints()).length;
    const again = await world.startBackup('erp', { forceFull: true });
    await reach(again, 'Copy the disks');
    await rename('erp-2');
    await reachSecondCopy(again);
    await vcd.writeVapp(href, { description: 'and once more' });
    const failed = await world.finish(again);
    expect(failed).toMatchObject({ state: 'failed', error: { code: 'VAPP_CHANGED' } });
    expect(failed.error?.message).toContain('erp');
    expect(await world.restorePoints()).toHaveLength(points);
    await assertNothingLeft(world);
  });

  const reachSecondCopy = async (run: RunView): Promise<void> => {
    for (let looks = 0; looks < 1500; looks += 1) {
      const now = await world.api.get<RunView>(`/api/v1/runs/${run.id}`);
      if (stepsOf(now).filter((name) => name === 'Copy the disks').length === 2) return;
      if (now.endedAt !== null) throw new Error(`The run ended (${now.state}) before its second copy`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('The run did not copy a second time');
  };

  it('is not waited for any longer when the run is cancelled', async () => {
    await fetch(`${world.simulator.description.control.url}/vapps/sandbox/busy`, { method: 'POST', body: '{"ms":60000}' });
    const started = await world.startBackup('sandbox');
    await reach(started, 'Enter maintenance mode');
    await world.api.post(`/api/v1/runs/${started.id}/cancel`, {});
    expect(await world.finish(started)).toMatchObject({ state: 'cancelled' });
  });
});

describe('what a request leaves out', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start();
    await world.register();
  });
  afterAll(() => world?.close());

  it('is not in the restore point, is named in the result, and is no warning', async () => {
    const run = await world.finish(
      await world.startBackup('shop', { exclude: { vms: ['web-*'], disks: [{ vm: 'db-1', disk: 'Hard disk 1' }] } }),
    );
    expect(run.error).toBeNull();
    expect(run.warnings.filter((warning) => /Hard disk 1|excluded/.test(warning))).toEqual([]);
    const excluded = run.result?.excludedVms as string[];
    expect(excluded.length).toBeGreaterThan(0);
    expect(excluded.every((name) => name.startsWith('web-'))).toBe(true);
    const point = await world.api.get<{ vms: { name: string; disks: { label: string }[] }[] }>(
      `/api/v1/restore-points/${String(run.result?.restorePointId)}`,
    );
    expect(point.vms.some(({ name }) => excluded.includes(name))).toBe(false);
    expect(point.vms.find(({ name }) => name === 'db-1')?.disks.map(({ label }) => label)).not.toContain('Hard disk 1');
    await assertNothingLeft(world);
  });

  it('must not be everything', async () => {
    const run = await world.finish(await world.startBackup('shop', { exclude: { vms: ['*'] } }));
    expect(run).toMatchObject({ state: 'failed', error: { code: 'ALL_VMS_EXCLUDED' } });
    expect(run.error?.message).toContain('shop');
    await assertNothingLeft(world);
  });
});
