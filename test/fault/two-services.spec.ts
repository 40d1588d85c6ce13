/**
 * Two services with a database each on one repository. The second one is refused at its start (test/flow/catalog-rebuild.spec.ts); here the
 * first one stood still for so long that its sign had expired, and then both work. Part of `npm run test:fault` alone.
 */
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServiceClient } from '../../demo/service-client.js';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { smallSeed } from '../flow/small-seed.js';
import { ALL_KILLS } from './all-kills.js';
import { KillableWorld } from './killable-world.js';

const VAPPS = ['shop', 'intranet', 'sandbox', 'erp'];
const RUN_TIMEOUT_MS = 60_000;
const SIGN_AGE_MS = 10 * 60_000;

describe.runIf(ALL_KILLS)('two services by mistake on one repository', () => {
  let world: KillableWorld;
  let first: ServiceClient;
  let second: ServiceClient;

  beforeAll(async () => {
    world = await KillableWorld.start({}, { taskDelayMs: 20, seed: smallSeed });
    const service = await world.startService();
    first = world.api;
    await world.register(first);
    service.freeze();
    const signs = join(world.repositoryDir, 'services');
    const long = new Date(Date.now() - SIGN_AGE_MS);
    for (const name of await readdir(signs)) await utimes(join(signs, name), long, long);
    await world.startService({
      VAPP_VAULT_DATA_DIR: join(world.dataDir, 'second'),
      VAPP_VAULT_REPOSITORY_PATH: world.repositoryDir,
      VAPP_VAULT_MASTER_KEY_FILE: join(world.dataDir, 'service', 'keys', 'master.key'),
    });
    second = world.api;
    service.thaw();
    await world.register(second);
  });
  afterAll(() => world?.close());

  const follow = (api: ServiceClient, run: RunView) => api.follow(run.id, () => {}, RUN_TIMEOUT_MS);
  async function backUp(api: ServiceClient, name: string): Promise<RunView> {
    const { items } = await api.get<{ items: { id: string; name: string }[] }>('/api/v1/vapps');
    const vappId = items.find((vapp) => vapp.name === name)?.id;
    return follow(api, await api.post<RunView>('/api/v1/backups', { vappId, settings: { forceFull: true } }));
  }
  const collect = async (api: ServiceClient) => follow(api, await api.post<RunView>('/api/v1/repository/gc', { graceHours: 0 }));
  const pointsOf = async (api: ServiceClient) => (await api.get<{ items: RestorePointRow[] }>('/api/v1/restore-points')).items;

  it('lose nothing of each other, whatever they back up, delete and collect at once', { timeout: 180_000 }, async () => {
    for (const name of VAPPS) await world.control.checkpoint(name, name);
    for (let round = 0; round < 2; round += 1) {
      const [backups, collections] = await Promise.all([
        Promise.all([backUp(first, 'erp'), backUp(first, 'sandbox'), backUp(second, 'intranet')]),
        Promise.all([collect(first), collect(second)]),
      ]);
      // A warning where the clouds' limits made one wait too long; what was backed up is compared below, byte for byte.
      expect(backups.map(({ error }) => error)).toEqual(backups.map(() => null));
      // One collector in an organization; the other one says so.
      for (const { error } of collections) expect([undefined, 'GC_RUNNING']).toContain(error?.code);
      for (const api of [first, second]) {
        const [newest, ...older] = await pointsOf(api);
        expect(newest).toBeDefined();
        for (const { id } of older.slice(-1)) await api.delete(`/api/v1/restore-points/${id}`);
      }
    }
    for (const api of [first, second]) expect((await collect(api)).error).toBeNull();

    const verified = await follow(second, await second.post<RunView>('/api/v1/repository/verify', { mode: 'full' }));
    expect(verified).toMatchObject({ state: 'succeeded', result: { damaged: 0 } });
    const known = [...(await pointsOf(first)), ...(await pointsOf(second))].map(({ id }) => id).toSorted();
    // What one of the two did not know it learns from the repository.
    const rebuilt = await follow(second, await second.post<RunView>('/api/v1/repository/rebuild-catalog', {}));
    expect(rebuilt.error).toBeNull();
    for (const { id } of (await second.get<{ items: { id: string }[] }>('/api/v1/clouds')).items) {
      await second.post(`/api/v1/clouds/${id}/refresh`, {});
    }
    const points = await pointsOf(second);
    expect(points.map(({ id }) => id).toSorted()).toEqual(known);
    for (const name of ['erp', 'intranet']) {
      const point = points.find(({ vappName }) => vappName === name);
      await world.expectRestores(String(point?.id), `${name}-2`);
      const { disks } = await world.control.compare(name, `${name}-2`, { ignoreName: true });
      expect(disks.filter(({ differingBytes }) => differingBytes !== 0)).toEqual([]);
    }
    await world.expectNothingOwed([...VAPPS, 'erp-2', 'intranet-2']);
    const { items } = await first.get<{ items: RunView[] }>('/api/v1/runs?limit=200');
    expect(items.flatMap(({ openObligations }) => openObligations)).toEqual([]);
  });
});
