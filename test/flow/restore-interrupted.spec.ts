import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { FAULT_SEED } from '../fault/fault-seed.js';
import type { GateOrder } from '../simulator/request-gate.js';
import { assertNothingLeft } from './nothing-left.js';
import { World } from './world.js';

/** A restore that a person stops in the middle, and a restore point that somebody deletes meanwhile. */
describe('a restore that is interrupted', () => {
  let world: World;
  let point: RestorePointRow;
  let seed = 0;

  beforeAll(async () => {
    world = await World.start({ seed: FAULT_SEED });
    await world.register();
    await world.control.checkpoint('before', 'shop');
    point = await world.backUp('shop');
  });
  afterAll(async () => {
    await world?.close();
  });
  beforeEach(async () => {
    seed += 1;
    await world.control.guestWrite('db-1', { disk: 0, seed: `spoilt-${seed}`, scatteredBlocks: 12 });
  });

  const ask = (request: Record<string, unknown>) => world.api.post<RunView>('/api/v1/restores', { restorePointId: point.id, ...request });

  /** @returns the run as it ended after it was cancelled at that request, whose answer never comes. */
  async function cancelledAt(request: Record<string, unknown>, order: Partial<GateOrder> & Pick<GateOrder, 'matching'>): Promise<RunView> {
    const { gate } = world.simulator;
    const reached = gate.hold({ number: 1, moment: 'after', ...order });
    const run = await ask(request);
    const ended = world.finish(run);
    const held = await Promise.race([reached, ended]);
    if ('endedAt' in held) throw new Error(`The restore never came there: ${JSON.stringify(held.error)}`);
    await world.api.post(`/api/v1/runs/${run.id}/cancel`, {});
    gate.release(false);
    return await ended;
  }

  interface State {
    vapps: { id: string; name: string; vms: { name: string; moRef: string }[] }[];
    vcenterVms: { moRef: string; powerState: string }[];
  }
  const vapps = async () => (await world.control.state<State>()).vapps.map(({ name, vms }) => [name, vms.map((vm) => vm.name).sort()]);
  const SHOP = ['shop', ['db-1', 'web-1']];
  const isRestored = async () => {
    const { disks } = await world.control.compare('before', 'shop');
    return disks.every((disk) => disk.differingBytes === 0);
  };
  const restoreAgain = async (request: Record<string, unknown>) => {
    expect((await world.finish(await ask(request))).error).toBeNull();
    expect(await isRestored()).toBe(true);
    await assertNothingLeft(world);
  };

  it.each(['overwrite', 'disk'])('%s: the VM stays off, and is said to be half written', { timeout: 120_000 }, async (mode) => {
    const request = {
      mode,
      ...(mode === 'disk' && { disk: { vm: 'db-1', disk: 'Hard disk 1' }, choices: { existingVms: 'overwrite' } }),
    };
    const end = await cancelledAt(request, { matching: ({ method }) => method === 'written' });
    expect(end).toMatchObject({ state: 'cancelled', result: null });
    expect(end.warnings).toContainEqual(
      expect.stringMatching(/^VM "\S+" is half written over and must not be started; restore it again\.$/),
    );
    const name = /^VM "(\S+)" is half/.exec(end.warnings.find((sentence) => sentence.includes('half written')) ?? '')?.[1];
    const state = await world.control.state<State>();
    const moRef = state.vapps.flatMap(({ vms }) => vms).find((vm) => vm.name === name)?.moRef;
    expect(state.vcenterVms.find((vm) => vm.moRef === moRef)?.powerState).toBe('poweredOff');
    expect(await vapps()).toEqual([SHOP]);
    await assertNothingLeft(world);
    const halfWritten = async () => (await world.finish(await world.startBackup('shop', {}))).result?.halfWritten;
    expect(await halfWritten()).toEqual(expect.arrayContaining([`Hard disk 1 of VM "${name}"`]));
    await restoreAgain(request);
    expect(await halfWritten()).toBeUndefined();
  });

  it('overwrite: is cancelled within seconds where a disk never answers', { timeout: 120_000 }, async () => {
    const { gate } = world.simulator;
    const reached = gate.hold({ number: 1, moment: 'before', matching: ({ method }) => method === 'written' });
    const run = await ask({ mode: 'overwrite' });
    await reached;
    const startedMs = performance.now();
    await world.api.post(`/api/v1/runs/${run.id}/cancel`, {});
    expect(await world.finish(run)).toMatchObject({ state: 'cancelled', error: { code: 'CANCELLED' } });
    // Of these, VDDK has five.
    expect(performance.now() - startedMs).toBeLessThan(30_000);
    gate.release(false);
    await assertNothingLeft(world);
    await restoreAgain({ mode: 'overwrite' });
  });

  it.each([
    { request: { mode: 'recreate' }, path: /importVmIntoExistingVApp$/ },
    { request: { mode: 'vms', vms: ['db-1'], choices: { existingVms: 'replace' } }, path: /importVmIntoExistingVApp$/ },
    { request: { mode: 'copy', name: 'shop-copy' }, path: /networkConfigSection/ },
  ])('$request.mode: what was built is taken away, and the old one stays', { timeout: 120_000 }, async ({ request, path }) => {
    const end = await cancelledAt(request, { matching: ({ door, object }) => door === 'vcd' && path.test(object) });
    expect(end).toMatchObject({ state: 'cancelled', result: null });
    expect(await vapps()).toEqual([SHOP]);
    expect(await isRestored()).toBe(false);
    await assertNothingLeft(world);
  });

  it('recreate, cancelled after its commit: the new one takes the place of the old one all the same', { timeout: 120_000 }, async () => {
    const old = (await world.control.state<State>()).vapps[0]?.id;
    const end = await cancelledAt(
      { mode: 'recreate' },
      { matching: ({ method, object }) => method === 'DELETE' && object.includes('/vapp-') },
    );
    expect(end).toMatchObject({ state: 'warning', error: null, result: { vappName: 'shop' } });
    expect(await vapps()).toEqual([SHOP]);
    expect((await world.control.state<State>()).vapps[0]?.id).not.toBe(old);
    expect((await world.control.compare('before', 'shop')).attributes).toEqual([]);
    expect(await isRestored()).toBe(true);
    await assertNothingLeft(world);
  });

  it('missing-vapp: nothing is left, and it can be asked for again', { timeout: 120_000 }, async () => {
    await world.deleteVapp('shop');
    const request = { mode: 'missing-vapp' };
    const end = await cancelledAt(request, { matching: ({ object }) => /controlAccess$/.test(object) });
    expect(end).toMatchObject({ state: 'cancelled', result: null });
    expect(await vapps()).toEqual([]);
    await assertNothingLeft(world);
    await restoreAgain(request);
  });

  it('keeps its restore point: deleting it is refused while it is read, and restoring it afterwards', { timeout: 120_000 }, async () => {
    const other = await world.backUp('shop');
    const { gate } = world.simulator;
    const reached = gate.hold({ number: 1, moment: 'before', matching: ({ method }) => method === 'CreateVM_Task' });
    const run = await world.api.post<RunView>('/api/v1/restores', { restorePointId: other.id, mode: 'copy', name: 'shop-copy' });
    await reached;
    const remove = () =>
      fetch(`${world.url}/api/v1/restore-points/${other.id}`, { method: 'DELETE', headers: { authorization: `Bearer ${world.apiKey}` } });
    const refused = await remove();
    expect([refused.status, await refused.json()]).toEqual([
      409,
      expect.objectContaining({
        code: 'RESTORE_POINT_IN_USE',
        detail: `Restore point ${other.id} of "shop" is being read by the restore of vApp "shop-copy" (run ${run.id}); wait for its end or cancel it.`,
      }),
    ]);
    gate.release(true);
    expect((await world.finish(run)).error).toBeNull();
    expect((await remove()).status).toBe(204);
    await expect(ask({ restorePointId: other.id, mode: 'overwrite' })).rejects.toThrow(/RESTORE_POINT_NOT_FOUND|There is no restore point/);
    await world.deleteVapp('shop-copy');
  });
});
