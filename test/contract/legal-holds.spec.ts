/** Legal holds that only the repository knows: of a process that died while it placed one, or of a catalog that is new. */
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LegalHoldService } from '../../src/catalog/legal-hold.service.js';
import { RestorePointRemoval } from '../../src/catalog/index.js';
import { RestorePointService } from '../../src/catalog/restore-point.service.js';
import { silentLogger } from '../../src/common/index.js';
import { type ManifestRef, RepositoryError } from '../../src/repository/index.js';
import { backUp, makeWorkspace, pattern, type Workspace } from '../repository/fixture.js';
import { catalog, cloudId, lastWait, module, point, useCatalog } from './catalog-fixture.js';

useCatalog();

let workspace: Workspace;
let holds: LegalHoldService;
let ref: ManifestRef;
beforeAll(async () => {
  workspace = await makeWorkspace();
});
afterAll(() => workspace?.remove());
beforeEach(async () => {
  holds = new LegalHoldService(module.get(DataSource), workspace.repository, silentLogger);
  ({ ref } = await backUp(workspace.repository, `rp-${cloudId}`, new Map([[0, pattern(cloudId, 0)]])));
  const vappId = await catalog.identifyVapp(cloudId, 'urn:vcloud:vapp:1', 'shop');
  await catalog.recordRestorePoint({ ...point(ref.restorePointId, vappId, '2026-11-01T00:00:00.000Z', []), ...organization() });
});
const organization = () => ({ organizationId: ref.organizationId });
const remove = () =>
  new RestorePointRemoval(new RestorePointService(module.get(DataSource)), workspace.repository, silentLogger).remove(ref.restorePointId);

describe('legal holds that are placed all at once while the repository is slow', () => {
  it('leave connections for everybody else, and are all placed', async () => {
    const ids = Array.from({ length: 40 }, (_, number) => `${ref.restorePointId}-${number}`);
    const vappId = await catalog.identifyVapp(cloudId, 'urn:vcloud:vapp:1', 'shop');
    for (const id of ids) await catalog.recordRestorePoint({ ...point(id, vappId, '2026-11-01T00:00:00.000Z', []), ...organization() });
    let answer = () => {};
    const slow = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let asked = 0;
    const setLegalHold = () => {
      asked += 1;
      return slow;
    };
    const many = new LegalHoldService(module.get(DataSource), { setLegalHold, heldRestorePoints: async () => [] }, silentLogger);
    const placing = Promise.all(ids.map((id) => many.place(id, 'case 4711', 'ann')));
    await expect.poll(() => asked, { timeout: 10_000 }).toBeGreaterThan(0);
    await expect(module.get(DataSource).query('SELECT 1 AS one')).resolves.toEqual([{ one: 1 }]);
    answer();
    expect(await placing).toHaveLength(40);
  });
});

describe('a legal hold that only the repository has', () => {
  it('of a process that died while it placed it is brought into the catalog once, shown and released', async () => {
    const { reached, wait, kill } = lastWait();
    const setLegalHold = async (of: ManifestRef, held: boolean) => {
      await workspace.repository.setLegalHold(of, held);
      await wait();
    };
    const dying = new LegalHoldService(module.get(DataSource), { setLegalHold, heldRestorePoints: async () => [] }, silentLogger);
    const placing = dying.place(ref.restorePointId, 'case 4711', 'ann');
    await Promise.race([reached, placing]);
    // While it is placed, it is nobody else's.
    expect(await holds.adopt()).toBe(0);
    await kill();
    await expect(placing).rejects.toThrow();

    expect(await holds.list(ref.restorePointId)).toEqual([]);
    await expect(remove()).rejects.toMatchObject({ code: 'RESTORE_POINT_LOCK_CONFLICT' });
    expect(await Promise.all([holds.adopt(), holds.adopt()]).then(([one, other]) => one + other)).toBe(1);
    expect(await holds.adopt()).toBe(0);
    const [found] = await holds.list(ref.restorePointId);
    expect(found).toMatchObject({
      placedBy: 'the repository',
      reason: expect.stringMatching(/^found in the repository/),
      releasedAt: null,
    });
    await expect(remove()).rejects.toMatchObject({ code: 'RESTORE_POINT_HOLD_CONFLICT' });
    await holds.release(found?.id ?? '', 'bob', 'closed');
    expect(await holds.adopt()).toBe(0);
    await remove();
  });

  it('is none where it is released while it is looked at', async () => {
    const { id } = await holds.place(ref.restorePointId, 'case 4711', 'ann');
    let released = false;
    const heldRestorePoints = async (organizationId: string) => {
      const found = await workspace.repository.heldRestorePoints(organizationId);
      if (!released) await holds.release(id, 'bob', 'closed');
      released = true;
      return found;
    };
    const { setLegalHold } = { setLegalHold: workspace.repository.setLegalHold.bind(workspace.repository) };
    expect(await new LegalHoldService(module.get(DataSource), { setLegalHold, heldRestorePoints }, silentLogger).adopt()).toBe(0);
    expect(await holds.list(ref.restorePointId)).toHaveLength(1);
  });

  it('is found in spite of an organization that does not read, and asked for again where the repository is away', async () => {
    await workspace.repository.setLegalHold(ref, true);
    const of = (code: string, retryable: boolean) => ({
      setLegalHold: async () => undefined,
      heldRestorePoints: async (organizationId: string) => {
        if (organizationId !== ref.organizationId) throw new RepositoryError('Its key is not JSON', { code, retryable });
        return workspace.repository.heldRestorePoints(organizationId);
      },
    });
    await catalog.recordRestorePoint(point(`${cloudId}-other`, `${cloudId}-vapp`, '2026-11-01T00:00:00.000Z', []));
    const adopt = (code: string, retryable: boolean) =>
      new LegalHoldService(module.get(DataSource), of(code, retryable), silentLogger).adopt();
    await expect(adopt('REPOSITORY_UNREACHABLE', true)).rejects.toMatchObject({ code: 'REPOSITORY_UNREACHABLE' });
    await adopt('ORGANIZATION_KEY_DAMAGED', false);
    expect(await holds.list(ref.restorePointId)).toHaveLength(1);
  });
});
