/** A process that dies in the middle of a deletion, between the manifest and the row: what is left is a restore point for nobody. */
import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { RestorePointHolds, RestorePointRemoval, RetentionQueryService } from '../../src/catalog/index.js';
import { LegalHoldService } from '../../src/catalog/legal-hold.service.js';
import { RestorePointService } from '../../src/catalog/restore-point.service.js';
import { silentLogger } from '../../src/common/index.js';
import { RestorePointLocksService } from '../../src/maintenance/restore-point-locks.service.js';
import { SecondSiteService } from '../../src/maintenance/second-site.service.js';
import { REPOSITORY, RepositoryError } from '../../src/repository/index.js';
import { catalog, cloudId, diskRow, lastWait, module, point, useCatalog } from './catalog-fixture.js';

useCatalog();

const NEVER = new AbortController().signal;
const at = (day: number) => `2026-11-0${day}T00:00:00.000Z`;

/** Another process deletes it and dies once the manifest is gone: its connection ends, and it asks for nothing any more. */
async function killWhileDeleting(id: string): Promise<void> {
  const source = module.get(DataSource);
  const { reached, wait, kill } = lastWait();
  const repository = { assertDeletable: async () => undefined, deleteManifest: wait };
  const removal = new RestorePointRemoval(new RestorePointService(source), repository, silentLogger).remove(id);
  await Promise.race([reached, removal]);
  await kill();
  await expect(removal).rejects.toThrow();
}

/** Two restore points of one VM with one disk; the newer one was being deleted. */
async function twoPoints() {
  const vappId = await catalog.identifyVapp(cloudId, 'urn:vcloud:vapp:1', 'shop');
  const vmId = await catalog.identifyVm({ cloudId, vcloudId: 'v', instanceUuid: 'i', vcenterInstanceUuid: cloudId, moRef: 'm' }, 'web-1');
  const diskId = await catalog.identifyDisk(vmId, { deviceKey: 2000, uuid: '6000C29a', label: 'Hard disk 1' });
  const vms = [{ vmId, name: 'web-1', disks: [diskRow(diskId)] }];
  const [older, newest] = [`${cloudId}-older`, `${cloudId}-newest`];
  await catalog.recordRestorePoint(point(older, vappId, at(1), vms));
  await catalog.recordRestorePoint(point(newest, vappId, at(2), vms));
  return { vappId, diskId, older, newest };
}

const rows = (id: string) => module.get(DataSource).query<unknown[]>('SELECT FROM restore_points WHERE id = $1', [id]);

describe('a restore point whose deletion was killed between manifest and row', () => {
  it('counts for nothing and nobody, and its row goes with the next look of a worker', async () => {
    const { vappId, diskId, older, newest } = await twoPoints();
    await killWhileDeleting(newest);
    expect(await rows(newest)).toHaveLength(1);

    expect((await catalog.listRestorePoints({ vappId, limit: 9 })).items.map(({ id }) => id)).toEqual([older]);
    expect(await catalog.latestRestorePoint(vappId, point(older, vappId, at(1), []).organizationId)).toBe(older);
    expect(await catalog.restorePoint(newest)).toBeUndefined();
    expect(await catalog.diskBase(diskId)).toMatchObject({ restorePointId: older });
    expect(await catalog.vappDetail(vappId)).toMatchObject({ lastRestorePointAt: at(1) });
    const retained = module.get(RetentionQueryService);
    expect((await retained.pointsOf([vappId])).get(vappId)?.map(({ id }) => id)).toEqual([older]);
    expect((await retained.lastComplete(cloudId, new Date(at(9)))).get(vappId)).toEqual(new Date(at(1)));
    const busy = { code: 'RESTORE_POINT_BUSY' };
    await expect(catalog.restorePointToRead(newest)).rejects.toMatchObject(busy);
    await expect(module.get(RestorePointHolds).hold(newest, 'an export')).rejects.toMatchObject(busy);
    await expect(module.get(LegalHoldService).place(newest, 'case 4711', 'ann')).rejects.toMatchObject(busy);
    const asked: unknown[] = [];
    const runs = { createWithin: async (...parts: unknown[]) => String(asked.push(parts[3])), ring: () => undefined };
    const store = { enforcesRetention: true, secondSite: {}, lockRestorePoint: async () => new Date(at(9)) };
    const parts = [runs, module.get(DataSource), store] as unknown as ConstructorParameters<typeof SecondSiteService>;
    await module.get(DataSource).query(`UPDATE restore_points SET copied_at = now() WHERE id <> $1`, [newest]);
    await module.get(DataSource).query(`UPDATE restore_points SET locked_until = now() + interval '1 day' WHERE id = $1`, [newest]);
    await new SecondSiteService(...parts).requestNew();
    await new RestorePointLocksService(...parts).requestHolds();
    expect(asked).toEqual([]);
    const gone = { code: 'RESTORE_POINT_NOT_FOUND' };
    await expect(new SecondSiteService(...parts).request({ restorePointId: newest })).rejects.toMatchObject(gone);
    await expect(new RestorePointLocksService(...parts).extend(newest, { until: at(9) })).rejects.toMatchObject(gone);
    // A rebuild of the catalog must not bring it back either.
    expect(await catalog.knownRestorePoints([newest])).toEqual(new Set([newest]));

    await module.get(RestorePointRemoval).finishBegun(NEVER);
    expect(await rows(newest)).toEqual([]);
    expect((await catalog.listRestorePoints({ vappId, limit: 9 })).items.map(({ id }) => id)).toEqual([older]);
  });

  it('goes when somebody asks for its deletion again', async () => {
    const { newest } = await twoPoints();
    await killWhileDeleting(newest);
    await module.get(RestorePointRemoval).remove(newest);
    expect(await rows(newest)).toEqual([]);
  });

  it('keeps no other from being finished where its own manifest cannot be deleted, and is one again where that was refused', async () => {
    const { vappId, older, newest } = await twoPoints();
    await killWhileDeleting(older);
    await killWhileDeleting(newest);
    const repository: { deleteManifest(ref: { restorePointId: string }): Promise<void> } = module.get(REPOSITORY);
    const { deleteManifest } = repository;
    const fail = (retryable: boolean) => async (ref: { restorePointId: string }) => {
      if (ref.restorePointId === older) throw new RepositoryError('It is held until the hold is lifted', { code: 'ANY', retryable });
      await deleteManifest(ref);
    };
    try {
      repository.deleteManifest = fail(true);
      await module.get(RestorePointRemoval).finishBegun(NEVER);
      expect([(await rows(older)).length, (await rows(newest)).length]).toEqual([1, 0]);
      expect((await catalog.listRestorePoints({ vappId, limit: 9 })).items).toEqual([]);
      repository.deleteManifest = fail(false);
      await module.get(RestorePointRemoval).finishBegun(NEVER);
      expect((await catalog.listRestorePoints({ vappId, limit: 9 })).items.map(({ id }) => id)).toEqual([older]);
    } finally {
      repository.deleteManifest = deleteManifest;
    }
  });
});
