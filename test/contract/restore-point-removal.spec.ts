import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogEntities } from '../../src/catalog/index.js';
import { RestorePointService } from '../../src/catalog/restore-point.service.js';
import type { RestorePointRow } from '../../src/catalog/index.js';
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
  let points: RestorePointService;
  let reader: string | undefined;

  beforeAll(async () => {
    database = await startTestDatabase();
    points = new RestorePointService(await database.connect([...catalogEntities]));
    points.registerUse(async () => await Promise.resolve(reader));
    await points.record(row);
  });
  afterAll(async () => {
    await database?.stop();
  });

  it('cannot be begun to be read meanwhile, and can again when the deletion failed', async () => {
    const deletion = points.deleteAfter(row.id, async () => {
      await expect(points.findToRead(row.id)).rejects.toMatchObject({
        code: 'RESTORE_POINT_BUSY',
        message: 'Restore point point-1 is being deleted; choose another one.',
      });
      throw new Error('The repository is away');
    });
    await expect(deletion).rejects.toThrow('The repository is away');
    expect((await points.findToRead(row.id))?.id).toBe(row.id);
  });

  it('stays while something reads it', async () => {
    reader = 'the restore of vApp "shop" (run r)';
    let begun = false;
    const deletion = points.deleteAfter(row.id, async () => {
      begun = await Promise.resolve(true);
    });
    await expect(deletion).rejects.toMatchObject({ code: 'RESTORE_POINT_IN_USE' });
    expect(begun).toBe(false);
    reader = undefined;
  });

  it('is gone afterwards, for whoever asks', async () => {
    await points.deleteAfter(row.id, async () => await Promise.resolve());
    expect(await points.findToRead(row.id)).toBeUndefined();
    await expect(points.deleteAfter(row.id, async () => await Promise.resolve())).rejects.toMatchObject({
      code: 'RESTORE_POINT_NOT_FOUND',
    });
  });
});
