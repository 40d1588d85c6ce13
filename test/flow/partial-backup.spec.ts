/** A VM that cannot be copied: again from the same snapshot, without it if somebody wants that, and alone afterwards. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { assertNothingLeft } from './nothing-left.js';
import { StoredPoints } from './stored-points.js';
import { World } from './world.js';

describe('a VM that cannot be copied', { timeout: 120_000 }, () => {
  let world: World;
  let lockedVm: string;

  beforeAll(async () => {
    world = await World.start();
    await world.register();
    const { vapps } = await world.control.state<{ vapps: { vms: { name: string; moRef: string }[] }[] }>();
    lockedVm = vapps.flatMap(({ vms }) => vms).find(({ name }) => name === 'app-1')?.moRef ?? '';
  });
  afterEach(() => world.control.clearFaults());
  afterAll(() => world?.close());

  const failing = (more: object) => world.control.addFault({ door: 'vix', method: 'read', object: lockedVm, afterBytes: 0, ...more });
  async function backUp(settings: Record<string, unknown>): Promise<RunView> {
    return await world.finish(await world.startBackup('shop', settings));
  }
  const point = async (run: RunView): Promise<RestorePointRow> => {
    const found = (await world.restorePoints()).find(({ id }) => id === run.result?.restorePointId);
    if (found === undefined) throw new Error(`Run ${run.id} has no restore point: ${JSON.stringify(run.error)}`);
    return found;
  };

  it('leaves a restore point of the others, if it may, which says so; a retry copies that VM alone', async () => {
    await failing({ effect: 'error', vixError: 13 });
    const run = await backUp({ whenVmFails: 'keep-others', retryVms: { attempts: 0 } });
    expect(run).toMatchObject({
      state: 'warning',
      error: null,
      result: { vms: 2, failedVms: [{ name: 'app-1', reason: expect.stringContaining('its copy failed') }] },
    });
    expect(run.warnings.join()).toContain('VM "app-1" is not in the restore point');
    expect((await point(run)).complete).toBe(false);
    await assertNothingLeft(world);
    await world.control.clearFaults();

    const again = await world.finish(await world.api.post<RunView>(`/api/v1/runs/${run.id}/retry`, {}));
    expect(again).toMatchObject({ retryOf: run.id, error: null, result: { vms: 1 } });
    const stored = await StoredPoints.open(world);
    const [first, second] = [await stored.content(await point(run)), await stored.content(await point(again))];
    expect(first.vms.map(({ name }) => name).toSorted()).toEqual(['db-1', 'web-1']);
    expect(first.warnings.join()).toContain('app-1');
    expect(second.vms.map(({ name }) => name)).toEqual(['app-1']);
    expect(second).toMatchObject({ completes: run.result?.restorePointId, complete: false });
    await assertNothingLeft(world);
  });

  it('fails the backup by default, and a retry makes all of it', async () => {
    await failing({ effect: 'error', vixError: 13 });
    const run = await backUp({ forceFull: true, retryVms: { attempts: 0 } });
    expect(run.state).toBe('failed');
    await world.control.clearFaults();
    const again = await world.finish(await world.api.post<RunView>(`/api/v1/runs/${run.id}/retry`, {}));
    expect(again).toMatchObject({ error: null, result: { vms: 3 } });
    expect((await point(again)).complete).toBe(true);
  });
});
