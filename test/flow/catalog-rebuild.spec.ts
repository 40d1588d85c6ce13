import { readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalog } from '../../src/catalog-tool.js';
import { silentLogger } from '../../src/common/index.js';
import { loadConfig } from '../../src/config/index.js';
import { startService } from '../../src/service.js';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { assertNothingLeft } from './nothing-left.js';
import { World } from './world.js';

/** The database is lost, with everything in it; the repository and its key are not. */
describe('a catalog that is lost', () => {
  let world: World;
  let formerCloudId: string;
  let first: RestorePointRow;
  let second: RestorePointRow;
  let exitCode: number;
  const said: string[] = [];

  beforeAll(async () => {
    world = await World.start();
    formerCloudId = await world.register();
    first = await world.backUp('shop');
    await world.control.guestWrite('db-1', { disk: 1, seed: 'between', scatteredBlocks: 4 });
    await world.control.checkpoint('second', 'shop');
    second = await world.backUp('shop');
    await world.api.post(`/api/v1/restore-points/${second.id}/legal-holds`, { reason: 'case 4711' });
    await world.restart(async () => {
      await rm(join(world.dataDir, 'service', 'postgres'), { recursive: true });
      const environment = { VAPP_VAULT_DATA_DIR: join(world.dataDir, 'service'), VAPP_VAULT_LOG_LEVEL: 'warn' };
      exitCode = await catalog(
        ['rebuild'],
        environment,
        (line) => said.push(line),
        (line) => said.push(line),
      );
    });
  }, 240_000);
  afterAll(() => world?.close());

  const rebuild = async () => world.finish(await world.api.post<RunView>('/api/v1/repository/rebuild-catalog', {}));
  const disksOf = (point: RestorePointRow) => point.vms.flatMap((vm) => vm.disks);

  it('has every restore point again, as it was, and names the clouds to be registered', { timeout: 60_000 }, async () => {
    expect({ exitCode, said: said.map((line) => JSON.parse(line)) }).toEqual({
      exitCode: 0,
      said: [
        { restorePoints: 2, adopted: 2, holdsAdopted: 1, clouds: [{ id: formerCloudId, name: 'test', restorePoints: 2 }], damaged: 0 },
      ],
    });
    for (const point of [first, second]) expect(await world.api.get(`/api/v1/restore-points/${point.id}`)).toEqual(point);
    const { items } = await world.api.get<{ items: unknown[] }>(`/api/v1/vapps?present=false`);
    expect(items).toMatchObject([
      { id: first.vappId, name: 'shop', organizationName: 'acme', present: false, lastRestorePointAt: second.createdAt },
    ]);
    expect((await rebuild()).result).toMatchObject({ restorePoints: 2, adopted: 0, holdsAdopted: 0, clouds: [] });
    const holds = `/api/v1/restore-points/${second.id}/legal-holds`;
    const { items: found } = await world.api.get<{ items: { id: string }[] }>(holds);
    expect(found).toMatchObject([{ placedBy: 'the repository', releasedAt: null }]);
    await world.api.post(`/api/v1/legal-holds/${found[0]?.id}/release`, { releaseReason: 'closed' });
    expect((await rebuild()).result).toMatchObject({ holdsAdopted: 0 });
  });

  it('is not made by mistake beside the one there is: a second service with another database is refused', { timeout: 60_000 }, async () => {
    const config = loadConfig({
      VAPP_VAULT_DATA_DIR: join(world.dataDir, 'second'),
      VAPP_VAULT_REPOSITORY_PATH: world.repositoryDir,
      VAPP_VAULT_MASTER_KEY_FILE: join(world.dataDir, 'service', 'keys', 'master.key'),
      VAPP_VAULT_PORT: '0',
    });
    await expect(startService(config, { log: silentLogger, showFirstKey: () => {} })).rejects.toMatchObject({
      code: 'REPOSITORY_IN_USE',
      message: expect.stringMatching(/^Another vApp Vault, on .+, works on this repository with another database; stop one of the two/),
    });
    expect(await world.restorePoints()).toHaveLength(2);
  });

  it('goes on with the cloud that is registered again: same vApps, same VMs', { timeout: 60_000 }, async () => {
    const cloudId = await world.register();
    expect(await world.vappId('shop')).toBe(first.vappId);
    const detail = await world.api.get<{ present: boolean; vms: { id: string; name: string; present: boolean }[] }>(
      `/api/v1/vapps/${first.vappId}`,
    );
    expect(detail.present).toBe(true);
    const byName = (one: { name: string }, other: { name: string }) => one.name.localeCompare(other.name);
    expect(detail.vms.map(({ id, name, present }) => ({ id, name, present })).sort(byName)).toEqual(
      first.vms.map(({ vmId: id, name }) => ({ id, name, present: true })).sort(byName),
    );
    expect((await world.restorePoints()).map((point) => point.cloudId)).toEqual([cloudId, cloudId]);
  });

  it('makes an incremental of what was backed up before', { timeout: 60_000 }, async () => {
    await world.control.guestWrite('db-1', { disk: 1, seed: 'after', scatteredBlocks: 2 });
    const third = await world.backUp('shop');
    expect(disksOf(third).map(({ kind, fullReason }) => [kind, fullReason])).toEqual(disksOf(third).map(() => ['incremental', null]));
    expect(disksOf(third).map(({ diskId }) => diskId)).toEqual(disksOf(first).map(({ diskId }) => diskId));
  });

  it('is rebuilt without a restore point whose manifest is damaged, and says which', { timeout: 60_000 }, async () => {
    const objects = await readdir(world.repositoryDir, { recursive: true });
    const damaged = join(world.repositoryDir, objects.find((path) => path.endsWith(`manifests/${first.id}`)) as string);
    await world.restart(async () => {
      await rm(join(world.dataDir, 'service', 'postgres'), { recursive: true });
      await truncate(damaged, 80);
    });
    // In the other order: the cloud is there before its history is.
    const cloudId = await world.register();
    const seen = await world.vappId('shop');
    const run = await rebuild();
    expect(run).toMatchObject({ state: 'warning', result: { restorePoints: 3, adopted: 2, damagedCount: 1 } });
    expect(run.warnings).toEqual([expect.stringMatching(new RegExp(`manifest of restore point ${first.id} is damaged`))]);
    await world.api.post(`/api/v1/clouds/${cloudId}/refresh`, {});
    expect((await world.restorePoints()).map(({ id, cloudId: of }) => [id, of])).toContainEqual([second.id, cloudId]);
    const now = await world.vappId('shop');
    expect(now).toBe(first.vappId);
    expect(now).not.toBe(seen);
    const detail = await world.api.get<{ present: boolean; vms: { id: string }[] }>(`/api/v1/vapps/${first.vappId}`);
    expect(detail.present).toBe(true);
    expect(detail.vms.map(({ id }) => id).sort()).toEqual(first.vms.map(({ vmId }) => vmId).sort());
  });

  it('restores what was made before, byte for byte', { timeout: 120_000 }, async () => {
    await world.deleteVapp('shop');
    const run = await world.restore({ restorePointId: second.id, mode: 'missing-vapp' });
    expect(run.error).toBeNull();
    const { disks } = await world.control.compare('second', 'shop');
    expect(disks).toHaveLength(5);
    expect(disks.filter((disk) => disk.differingBytes !== 0 || disk.fileSystem === 'damaged')).toEqual([]);
    await assertNothingLeft(world);
  });
});
