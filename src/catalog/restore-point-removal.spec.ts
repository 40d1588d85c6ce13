import { QueryFailedError } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { CancelledError, silentLogger } from '../common/index.js';
import { RepositoryError } from '../repository/index.js';
import { CatalogError } from './errors.js';
import { RestorePointRemoval } from './restore-point-removal.js';
import type { RestorePointService, RestorePointSummary } from './restore-point.service.js';

const lost = () => new QueryFailedError('COMMIT', [], new Error('Connection terminated unexpectedly'));
const POINT = { organizationId: 'org', vappName: 'shop' } as RestorePointSummary;

interface Faults {
  /** What becomes of the commits that take the row away, in that order. */
  commits?: ('carried out' | 'lost before' | 'lost after')[];
  away?: Error;
  manifestFails?: Error;
  onManifestGone?: () => void;
}

/** A catalog of one row. */
function removal({ commits = ['carried out'], away, manifestFails, onManifestGone }: Faults) {
  const there = { row: true, begun: false, manifest: true, tries: 0 };
  const assertRow = (id: string) => {
    if (!there.row) throw new CatalogError('RESTORE_POINT_NOT_FOUND', `There is no restore point ${id}.`, id);
  };
  const restorePoints: Pick<RestorePointService, 'beginDeletion' | 'finishDeletion'> = {
    beginDeletion: async (id, mayGo, signal) => {
      signal?.throwIfAborted();
      assertRow(id);
      await mayGo(POINT);
      there.begun = true;
    },
    finishDeletion: async (id, work, signal) => {
      signal?.throwIfAborted();
      assertRow(id);
      there.tries += 1;
      await work(POINT);
      const commit = commits.shift();
      if (commit !== 'lost before') there.row = false;
      if (commit !== 'carried out') throw lost();
    },
  };
  const assertDeletable = async () => {
    if (away) throw await Promise.resolve(away);
  };
  const deleteManifest = async () => {
    if (manifestFails) throw await Promise.resolve(manifestFails);
    if (!there.manifest) throw new CatalogError('RESTORE_POINT_NOT_FOUND', 'gone', 'point');
    there.manifest = false;
    onManifestGone?.();
  };
  const repository = { assertDeletable, deleteManifest };
  return { there, removal: new RestorePointRemoval(restorePoints as RestorePointService, repository, silentLogger) };
}

describe('removing a restore point', () => {
  it.each([['carried out'], ['lost before', 'carried out'], ['lost after']] as const)(
    'leaves no row without manifest: %j',
    async (...commits) => {
      const { there, removal: one } = removal({ commits: [...commits] });
      await one.remove('point');
      expect(there).toMatchObject({ row: false, manifest: false });
    },
  );

  it('is not tried again while nothing is gone, nor where there was nothing', async () => {
    const { there, removal: one } = removal({ manifestFails: lost() });
    await expect(one.remove('point')).rejects.toThrow('Connection terminated');
    expect(there).toEqual({ row: true, begun: true, manifest: true, tries: 1 });
    there.row = false;
    await expect(one.remove('point')).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
  });

  it('is not begun while the repository is away', async () => {
    const away = new RepositoryError('The folder does not exist', { code: 'REPOSITORY_UNREACHABLE', retryable: true });
    const { there, removal: one } = removal({ away });
    await expect(one.remove('point')).rejects.toBe(away);
    expect(there).toEqual({ row: true, begun: false, manifest: true, tries: 0 });
  });

  it('is left where its caller is aborted, but not between the manifest and the row', async () => {
    const { there, removal: one } = removal({});
    await expect(one.remove('point', AbortSignal.abort(new CancelledError('enough')))).rejects.toThrow('enough');
    expect(there).toEqual({ row: true, begun: false, manifest: true, tries: 0 });

    const caller = new AbortController();
    const late = removal({ commits: ['lost before', 'carried out'], onManifestGone: () => caller.abort(new CancelledError('enough')) });
    await late.removal.remove('point', caller.signal);
    expect(late.there).toMatchObject({ row: false, manifest: false, tries: 2 });
  });
});
