import { QueryFailedError } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../common/index.js';
import { CatalogError } from './errors.js';
import { RestorePointRemoval } from './restore-point-removal.js';
import type { RestorePointService } from './restore-point.service.js';
import type { RestorePointRow } from './types.js';

const lost = () => new QueryFailedError('COMMIT', [], new Error('Connection terminated unexpectedly'));

/** A catalog of one row, whose commits go wrong in that order. */
function removal(commits: ('carried out' | 'lost before' | 'lost after')[], manifestFails?: Error) {
  const there = { row: true, manifest: true, tries: 0 };
  const deleteAfter: RestorePointService['deleteAfter'] = async (id, work) => {
    if (!there.row) throw new CatalogError('RESTORE_POINT_NOT_FOUND', `There is no restore point ${id}.`, id);
    there.tries += 1;
    await work({ organizationId: 'org', vappName: 'shop' } as RestorePointRow);
    const commit = commits.shift();
    if (commit !== 'lost before') there.row = false;
    if (commit !== 'carried out') throw lost();
  };
  const deleteManifest = async () => {
    if (manifestFails) throw await Promise.resolve(manifestFails);
    if (!there.manifest) throw new CatalogError('RESTORE_POINT_NOT_FOUND', 'gone', 'point');
    there.manifest = false;
  };
  return { there, removal: new RestorePointRemoval({ deleteAfter } as RestorePointService, { deleteManifest }, silentLogger) };
}

describe('removing a restore point', () => {
  it.each([['carried out'], ['lost before', 'carried out'], ['lost after']] as const)(
    'leaves no row without manifest: %j',
    async (...commits) => {
      const { there, removal: one } = removal([...commits]);
      await one.remove('point');
      expect(there).toMatchObject({ row: false, manifest: false });
    },
  );

  it('is not tried again while nothing is gone, nor where there was nothing', async () => {
    const { there, removal: one } = removal(['carried out'], lost());
    await expect(one.remove('point')).rejects.toThrow('Connection terminated');
    expect(there).toEqual({ row: true, manifest: true, tries: 1 });
    there.row = false;
    await expect(one.remove('point')).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
  });
});
