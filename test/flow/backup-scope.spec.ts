import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunView } from '../../src/jobs/index.js';
import type { RestorePlanView } from '../../src/restore/plan-types.js';
import { assertNothingLeft } from './nothing-left.js';
import { World } from './world.js';

interface ScopeBackups {
  runs: RunView[];
  skipped: { name: string; reason: string }[];
  warnings: string[];
}

describe('a backup of all that a scope means', () => {
  let world: World;
  let cloudId: string;
  let partialPoint: string;

  beforeAll(async () => {
    world = await World.start();
    cloudId = await world.register();
    await world.control.checkpoint('whole', 'shop');
  });
  afterAll(() => world?.close());

  const start = (scope: Record<string, unknown>, settings: Record<string, unknown> = {}) =>
    world.api.post<ScopeBackups>('/api/v1/backups', { scope: { cloudId, ...scope }, settings });

  it('is one run for each, without what the scope leaves out', { timeout: 60_000 }, async () => {
    const { runs, skipped, warnings } = await start({
      vappNames: ['s*', 'nothing-like-it'],
      exclude: { vappNames: ['sandbox'], vms: ['web-?'], disks: [{ vm: 'db-1', disk: 'Hard disk 2' }] },
    });
    expect(runs.map(({ subject }) => subject)).toEqual(['vApp "shop"']);
    expect(skipped).toEqual([{ name: 'sandbox', reason: expect.stringContaining('excluded') }]);
    expect(warnings).toEqual([expect.stringContaining('nothing-like-it')]);
    const run = await world.finish(runs[0] as RunView);
    expect(run.error).toBeNull();
    expect(run.result?.excludedVms).toEqual(['web-1']);
    const point = await world.api.get<{ vms: { name: string; disks: { label: string }[] }[] }>(
      `/api/v1/restore-points/${String(run.result?.restorePointId)}`,
    );
    partialPoint = String(run.result?.restorePointId);
    expect(point.vms.map(({ name }) => name).toSorted()).toEqual(['app-1', 'db-1']);
    expect(point.vms.find(({ name }) => name === 'db-1')?.disks.map(({ label }) => label)).toEqual(['Hard disk 1']);
    await assertNothingLeft(world);
  });

  it('makes restore points that restore what they have and say what they lack', { timeout: 60_000 }, async () => {
    const request = { restorePointId: partialPoint, mode: 'copy', name: 'shop-part' };
    const plan = await world.api.post<RestorePlanView>('/api/v1/restores/plan', request);
    expect(plan.canStart).toBe(true);
    expect(plan.vms.map(({ name, disks }) => [name, disks.map(({ label }) => label)]).toSorted()).toEqual([
      ['app-1', ['Hard disk 1', 'Hard disk 2']],
      ['db-1', ['Hard disk 1']],
    ]);
    const lacks = plan.items.filter(({ attribute, conformity }) => conformity === 'missing' && attribute.startsWith('vms.'));
    expect(lacks.map(({ attribute }) => attribute)).toEqual(['vms.db-1.excludedDisks.Hard disk 2', 'vms.web-1']);
    expect(lacks[1]?.explanation).toMatch(/^VM "web-1" is not in the restore point \(.*\), so it does not come back\.$/);

    const run = await world.restore(request);
    expect(run).toMatchObject({ state: 'warning', error: null, result: { vappName: 'shop-part', vms: 2 } });
    // A port forwarded to a VM that is not there would be refused with its whole network.
    const rules = 'Rules of vApp network "shop-front" for VM "web-1", which does not come back, are left out.';
    expect(run.warnings).toEqual([rules, ...lacks.map(({ explanation }) => explanation)]);
    const { disks } = await world.control.compare('whole', 'shop-part', { ignoreName: true });
    const asBefore = disks.filter(({ differingBytes, fileSystem }) => differingBytes === 0 && fileSystem !== 'damaged');
    expect(asBefore.map(({ vm, label }) => `${vm} ${label}`).toSorted()).toEqual([
      'app-1 Hard disk 1',
      'app-1 Hard disk 2',
      'db-1 Hard disk 1',
    ]);
    await assertNothingLeft(world);
  });

  it('goes past an object that another run has', async () => {
    await fetch(`${world.simulator.description.control.url}/vapps/sandbox/busy`, { method: 'POST', body: '{"ms":60000}' });
    const busy = await world.startBackup('sandbox');
    const { runs, skipped } = await start({ vappNames: ['sandbox', 'intranet'] });
    expect(runs.map(({ subject }) => subject)).toEqual(['vApp "intranet"']);
    expect(skipped).toEqual([{ name: 'sandbox', reason: expect.stringContaining('Another run') }]);
    await world.api.post(`/api/v1/runs/${busy.id}/cancel`, {});
    await world.finish(busy);
    expect((await world.finish(runs[0] as RunView)).error).toBeNull();
  });

  it.each([
    ['neither a vApp nor a scope', () => ({}), /422.*vappId.*scope/],
    ['both', async () => ({ vappId: await world.vappId('shop'), scope: { cloudId } }), /422.*vappId.*scope/],
    ['a word the scope does not have', () => ({ scope: { cloudId, vappName: ['shop'] } }), /422.*vappName/],
    ['a scope that means nothing', () => ({ scope: { cloudId, vappNames: ['nobody-*'] } }), /422.*nobody-/],
    ['a cloud there is not', () => ({ scope: { cloudId: '00000000-0000-4000-8000-000000000000' } }), /404.*cloud/i],
  ])('refuses %s', async (_what, body, sentence) => {
    await expect(world.api.post('/api/v1/backups', await body())).rejects.toThrow(sentence);
  });
});
