import { describe, expect, it } from 'vitest';
import { type Manifest, type ManifestRef, RepositoryError } from '../repository/index.js';
import { rebuildCatalog } from './rebuild-catalog.js';

const id = (n: number) => `rp-${String(n).padStart(5, '0')}`;

/** Of so many restore points, in any order; `broken` ones do not read. */
function repository(count: number, broken: ReadonlyMap<string, RepositoryError> = new Map()) {
  const refs = Array.from({ length: count }, (_, n) => ({ organizationId: 'org', restorePointId: id((n * 7) % count) }));
  const read: string[] = [];
  return {
    read,
    async *listManifests(_signal: AbortSignal | undefined, onDamaged?: (error: RepositoryError) => void) {
      onDamaged?.(new RepositoryError('The organization key keys/x.json is not JSON', { code: 'ORGANIZATION_KEY_DAMAGED' }));
      yield* refs;
    },
    async readManifest({ restorePointId }: ManifestRef) {
      read.push(restorePointId);
      const error = broken.get(restorePointId);
      if (error) throw error;
      return { createdAt: '2026-01-01T00:00:00.000Z', content: restorePointId } as unknown as Manifest;
    },
    lockedUntil: async () => undefined,
  };
}

function catalog(known: string[] = []) {
  const adopted: string[] = [];
  return {
    adopted,
    knownRestorePoints: async (ids: readonly string[]) => new Set(ids.filter((each) => known.includes(each))),
    adoptRestorePoint: async (restorePointId: string) => {
      adopted.push(restorePointId);
      return { cloud: { id: 'cloud', name: 'prod' }, adopted: true };
    },
    /** Once their restore points are there. */
    adoptLegalHolds: async () => adopted.length,
  };
}

describe('rebuilding the catalog', () => {
  it('hands over every restore point once, the newest first, and reads none that is known', async () => {
    const [from, to] = [repository(1201), catalog([id(3), id(1200)])];
    const progress: number[] = [];
    const report = await rebuildCatalog(from, to, { onProgress: ({ done }) => progress.push(done) });
    expect(to.adopted).toEqual(Array.from({ length: 1201 }, (_, n) => id(1200 - n)).filter((each) => each !== id(3) && each !== id(1200)));
    expect(from.read).toHaveLength(1199);
    expect(report).toMatchObject({
      restorePoints: 1201,
      adopted: 1199,
      holdsAdopted: 1199,
      clouds: [{ id: 'cloud', name: 'prod', restorePoints: 1199 }],
    });
    expect(progress).toEqual([500, 1000, 1201]);
  });

  it('reports what is damaged and goes on; passes over what was deleted', async () => {
    const broken = new Map([
      [id(1), new RepositoryError('The manifest of restore point rp-00001 is damaged: its tag is wrong', { code: 'MANIFEST_DAMAGED' })],
      [id(2), new RepositoryError('There is none', { code: 'RESTORE_POINT_NOT_FOUND' })],
    ]);
    const to = catalog();
    const report = await rebuildCatalog(repository(4, broken), to);
    expect(to.adopted).toEqual([id(3), id(0)]);
    expect(report.damaged).toEqual([
      { reason: expect.stringMatching(/^The organization key/) },
      { organizationId: 'org', restorePointId: id(1), reason: expect.stringMatching(/its tag is wrong$/) },
    ]);
  });

  it('ends where the repository does not answer, so that the next one goes on', async () => {
    const away = new RepositoryError('The folder does not exist', { code: 'REPOSITORY_UNREACHABLE', retryable: true });
    const to = catalog();
    await expect(rebuildCatalog(repository(20, new Map([[id(10), away]])), to)).rejects.toBe(away);
    expect(to.adopted).toEqual(Array.from({ length: 9 }, (_, n) => id(19 - n)));
  });

  it('stops when it is cancelled', async () => {
    const signal = AbortSignal.abort();
    await expect(rebuildCatalog(repository(3), catalog(), { signal })).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
