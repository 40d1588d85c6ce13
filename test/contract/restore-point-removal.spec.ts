import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DataSource } from 'typeorm';
import { catalogEntities, RestorePointHolds, RestorePointRemoval } from '../../src/catalog/index.js';
import { CancelledError, silentLogger } from '../../src/common/index.js';
import { RestorePointService } from '../../src/catalog/restore-point.service.js';
import type { RestorePointRow } from '../../src/catalog/index.js';
import { RepositoryError } from '../../src/repository/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

const row: RestorePointRow = {
  id: 'point-1',
  organizationId: 'org',
  cloudId: 'cloud',
  vappId: 'vapp-1',
  vappName: 'shop',
  sourceKind: 'vapp',
  createdAt: '2026-11-21T16:00:00.000Z',
  kind: 'full',
  runId: 'run-1',
  vmCount: 0,
  capacityBytes: 0,
  readBytes: 0,
  newBytes: 0,
  storedBytes: 0,
  warnings: [],
  vms: [],
};

describe('a restore point that is deleted', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let points: RestorePointService;
  let reader: string | undefined;
  const nothing = async () => await Promise.resolve();
  const denied = () => new RepositoryError('This key may not delete', { code: 'REPOSITORY_DENIED' });

  beforeAll(async () => {
    database = await startTestDatabase();
    dataSource = await database.connect([...catalogEntities]);
    points = new RestorePointService(dataSource);
    points.registerUse(async () => await Promise.resolve(reader));
    await points.record(row);
  });
  afterAll(async () => {
    await database?.stop();
  });

  it('cannot be begun to be read meanwhile, and can again when the deletion failed', async () => {
    const isBusy = () =>
      expect(points.findToRead(row.id)).rejects.toMatchObject({
        code: 'RESTORE_POINT_BUSY',
        message: 'Restore point point-1 is being deleted; choose another one.',
      });
    await expect(
      points.beginDeletion(row.id, async () => {
        await isBusy();
        throw denied();
      }),
    ).rejects.toThrow('may not delete');
    expect((await points.findToRead(row.id))?.id).toBe(row.id);
    await points.beginDeletion(row.id, nothing);
    await isBusy();
    await expect(
      points.finishDeletion(row.id, async () => {
        await isBusy();
        throw denied();
      }),
    ).rejects.toThrow('may not delete');
    expect((await points.findToRead(row.id))?.id).toBe(row.id);
    await expect(points.finishDeletion(row.id, nothing)).rejects.toMatchObject({ code: 'RESTORE_POINT_BUSY' });
  });

  it('is none any more while nobody knows what became of its manifest, and is finished once that is gone', async () => {
    const other = { ...row, id: 'point-2' };
    await points.record(other);
    await points.beginDeletion(other.id, nothing);
    const away = new RepositoryError('The folder does not exist', { code: 'REPOSITORY_UNREACHABLE', retryable: true });
    await expect(points.finishDeletion(other.id, () => Promise.reject(away))).rejects.toBe(away);
    await expect(points.findToRead(other.id)).rejects.toMatchObject({ code: 'RESTORE_POINT_BUSY' });
    expect(await points.unfinishedDeletions()).toEqual([other.id]);
    await points.finishDeletion(other.id, async () => expect(await points.unfinishedDeletions()).toEqual([]));
    expect(await points.unfinishedDeletions()).toEqual([]);
    expect(await points.findToRead(other.id)).toBeUndefined();
  });

  it.each(['beginDeletion', 'finishDeletion'] as const)('goes at once although the answer to the commit of %s is lost', async (step) => {
    const other = { ...row, id: 'point-3' };
    await points.record(other);
    const manifests = new Set([other.id]);
    const repository = {
      assertDeletable: nothing,
      deleteManifest: async ({ restorePointId }: { restorePointId: string }) => void manifests.delete(restorePointId),
    };
    // It is carried out, and nobody hears so.
    const real = points[step].bind(points) as (...args: unknown[]) => Promise<void>;
    const unheard = vi.spyOn(points, step).mockImplementationOnce(async (...args: unknown[]) => {
      await real(...args);
      throw Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' });
    });
    await new RestorePointRemoval(points, repository, silentLogger).remove(other.id);
    expect(unheard).toHaveBeenCalledTimes(2);
    expect([...manifests]).toEqual([]);
    expect(await points.find(other.id)).toBeUndefined();
    expect(await points.unfinishedDeletions()).toEqual([]);
    unheard.mockRestore();
  });

  it('stays while something reads it', async () => {
    reader = 'the restore of vApp "shop" (run r)';
    let begun = false;
    const deletion = points.beginDeletion(row.id, async () => {
      begun = await Promise.resolve(true);
    });
    await expect(deletion).rejects.toMatchObject({ code: 'RESTORE_POINT_IN_USE' });
    expect(begun).toBe(false);
    reader = undefined;
  });

  it('stays while somebody holds it, whoever else has let go, and until a hold has expired', async () => {
    const holds = new RestorePointHolds(dataSource, points, silentLogger);
    holds.onModuleInit();
    const [one, other] = [await holds.hold(row.id, 'an export of Ann'), await holds.hold(row.id, 'an export of Bob')];
    expect(one.point.vappName).toBe('shop');
    await one.release();
    await expect(points.beginDeletion(row.id, nothing)).rejects.toMatchObject({
      code: 'RESTORE_POINT_IN_USE',
      message: expect.stringContaining('is being read by an export of Bob'),
    });
    // As of a process that died: nobody renews it.
    await dataSource.query(`UPDATE restore_point_holds SET expires_at = now() - interval '1 second'`);
    const deletion = points.beginDeletion(row.id, async () => {
      await expect(holds.hold(row.id, 'an export of Eve')).rejects.toMatchObject({ code: 'RESTORE_POINT_BUSY' });
      throw denied();
    });
    await expect(deletion).rejects.toThrow('may not delete');
    await expect(holds.hold('point-0', 'an export')).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
    await other.release();
    expect(await dataSource.query('SELECT * FROM restore_point_holds')).toEqual([]);
  });

  it('is held for as long as its holder lives, and the holder told when it is held no more', async () => {
    const holds = new RestorePointHolds(dataSource, points, silentLogger);
    const expiry = async () =>
      (await dataSource.query<{ at: Date }[]>('SELECT expires_at AS at FROM restore_point_holds'))[0]?.at.getTime();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const hold = await holds.hold(row.id, 'an export');
      const first = (await expiry()) ?? 0;
      await vi.advanceTimersByTimeAsync(20_000);
      await vi.waitFor(async () => expect(await expiry()).toBeGreaterThan(first), { timeout: 20_000 });
      expect(hold.lost.aborted).toBe(false);
      await dataSource.query('DELETE FROM restore_point_holds');
      await vi.advanceTimersByTimeAsync(20_000);
      await vi.waitFor(() => expect(hold.lost.reason).toMatchObject({ code: 'RESTORE_POINT_HOLD_LOST' }), { timeout: 20_000 });
      await hold.release();
    } finally {
      vi.useRealTimers();
    }
  });

  it('is gone afterwards, for whoever asks', async () => {
    await points.beginDeletion(row.id, nothing);
    await points.finishDeletion(row.id, nothing);
    expect(await points.findToRead(row.id)).toBeUndefined();
    await expect(points.beginDeletion(row.id, nothing)).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
  });

  it('waits for another one no longer than its caller does', async () => {
    const [first, second] = [
      { ...row, id: 'hangs' },
      { ...row, id: 'waits' },
    ];
    for (const point of [first, second]) await points.record(point);
    let release = () => {};
    const hangs = new Promise<void>((resolve) => {
      release = resolve;
    });
    const hanging = points.beginDeletion(first.id, () => hangs);
    const caller = new AbortController();
    const waiting = points.beginDeletion(second.id, async () => undefined, caller.signal);
    caller.abort(new CancelledError('enough'));
    await expect(waiting).rejects.toThrow('enough');
    release();
    await hanging;
    await points.beginDeletion(second.id, async () => undefined);
  });
});
