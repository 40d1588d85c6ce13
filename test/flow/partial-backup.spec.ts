/** A VM that cannot be copied: again from the same snapshot, without it if somebody wants that, and alone afterwards. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { assertNothingLeft } from './nothing-left.js';
import { StoredPoints } from './stored-points.js';
import { World } from './world.js';

const MIB = 2 ** 20;

describe('a VM that cannot be copied', { timeout: 120_000 }, () => {
  let world: World;
  let moRefs: Map<string, string>;
  let lockedVm: string;

  beforeAll(async () => {
    world = await World.start();
    await world.register();
    const { vapps } = await world.control.state<{ vapps: { vms: { name: string; moRef: string }[] }[] }>();
    moRefs = new Map(vapps.flatMap(({ vms }) => vms).map(({ name, moRef }) => [name, moRef]));
    lockedVm = moRefs.get('app-1') ?? '';
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
  /** New data of several windows on a VM's first disk, and a failure while some of them are read, and others stored. */
  async function failInTheMiddle(name: string, fault: object): Promise<void> {
    await world.control.guestWrite(name, { disk: 0, seed: `middle of ${name}`, largeFileBytes: 20 * MIB });
    await failing({ object: moRefs.get(name), effect: 'error', afterBytes: 18 * MIB, ...fault });
  }
  /** What the repository has of each disk against what the guest sees. */
  async function expectSameBytes(run: RunView, names: string[]): Promise<void> {
    const stored = await StoredPoints.open(world);
    const stands = await point(run);
    const { vms } = await stored.content(stands);
    expect(vms.map(({ name }) => name).toSorted()).toEqual(names);
    for (const { name, moRef, disks } of vms) {
      for (const disk of disks) {
        const seen = await world.simulator.vsphere.guest.contentHash(moRef, disk.deviceKey);
        expect(await stored.sha256(stands, disk), `${name} ${disk.label}`).toBe(seen);
      }
    }
  }

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

  it('in the middle of its copy is left out, if it may, and what the others have is whole', async () => {
    await failInTheMiddle('app-1', { vixError: 13 });
    const run = await backUp({ forceFull: true, whenVmFails: 'keep-others', retryVms: { attempts: 0 } });
    expect(run).toMatchObject({
      state: 'warning',
      error: null,
      result: { vms: 2, failedVms: [{ name: 'app-1', reason: expect.stringMatching(/its copy failed: .* at byte [1-9]/) }] },
    });
    await expectSameBytes(run, ['db-1', 'web-1']);
    await assertNothingLeft(world);
  });

  it('in the middle of its copy is copied again in the same run, and all is whole', async () => {
    // An ESXi host in maintenance: nothing waits for that inside the copy.
    await failInTheMiddle('db-1', { vixError: 14015, times: 1 });
    const run = await backUp({ forceFull: true, retryVms: { attempts: 1, delaySeconds: 0 } });
    expect(run).toMatchObject({ error: null, result: { vms: 3 } });
    expect(run.warnings.join()).toContain('The copy of VM "db-1" failed and is begun again');
    await expectSameBytes(run, ['app-1', 'db-1', 'web-1']);
    await assertNothingLeft(world);
  });
});
