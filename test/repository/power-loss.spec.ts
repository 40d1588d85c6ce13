/**
 * A whole life of a repository - backups, a deletion, collections with rewriting, a change of the master key, a shredding - on a disk that
 * keeps only what was synced. The power fails after every single step of the file system; what is on the disk then is opened by a process
 * that knows nothing of before.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import {
  changeMasterKey,
  FolderStore,
  isRepositoryError,
  type ManifestRef,
  Repository,
  type RepositoryOptions,
} from '../../src/repository/index.js';
import { ORGANIZATION, OTHER_ORGANIZATION } from './fixture.js';
import { backUpImage, expectImage, imageOf, openRepository, SMALL_CHUNK_BYTES } from './harmed-repository.js';
import { MemoryStore } from './memory-store.js';
import { VolatileFiles } from './volatile-files.js';

/** All of them: VAPP_VAULT_POWER_LOSS=all npx vitest run test/repository/power-loss.spec.ts */
const EVERY = process.env.VAPP_VAULT_POWER_LOSS === 'all' ? 1 : 41;
const NOW = { graceMs: 0 };
const formerKey = randomBytes(32);
const newKey = randomBytes(32);

interface Point extends ManifestRef {
  image: Buffer;
  /** Steps after which it was reported as made, and from which on it may be gone. */
  madeAt: number;
  leavesAt: number;
}

/** What was promised, by the number of steps of the disk so far. */
class Life {
  readonly points: Point[] = [];
  /** From the first on, one of the keys opens the repository; the new one alone from the second on. */
  createdAt = 0;
  newKeyAt = 0;
  formerKeyUntil = 0;

  constructor(
    readonly disk: VolatileFiles,
    private readonly root: string,
  ) {}

  async live(): Promise<void> {
    const store = await FolderStore.open(this.root, this.disk.files);
    const options: RepositoryOptions = { store, masterKey: formerKey, log: silentLogger, packTargetBytes: 24 * 1024 };
    let repository = await Repository.create({ ...options, chunkBytes: SMALL_CHUNK_BYTES });
    this.createdAt = this.steps;
    await this.backUp(repository, ORGANIZATION, 'rp-1', imageOf('one'));
    await this.backUp(repository, ORGANIZATION, 'rp-2', imageOf('one', [1, 2, 3, 4, 5, 6, 7, 8]));
    await this.backUp(repository, OTHER_ORGANIZATION, 'rp-other', imageOf('other'));
    this.leaves('rp-1');
    await repository.deleteManifest({ organizationId: ORGANIZATION, restorePointId: 'rp-1' });
    // Condemns and rewrites; deletes; and what that left dead.
    for (let run = 0; run < 3; run += 1) {
      const report = await repository.collectGarbage(NOW);
      if (run === 0) expect(report.rewrittenPacks).toBeGreaterThan(0);
      if (run === 1) expect(report.deletedPacks).toBeGreaterThan(0);
    }
    await this.backUp(await Repository.open(options), ORGANIZATION, 'rp-3', imageOf('one', [2]));
    this.newKeyAt = this.steps;
    await changeMasterKey(store, { formerKey, newKey });
    this.formerKeyUntil = this.steps;
    repository = await Repository.open({ ...options, masterKey: newKey });
    await this.backUp(repository, ORGANIZATION, 'rp-4', imageOf('four'));
    this.leaves('rp-other');
    await repository.shredOrganization(OTHER_ORGANIZATION);
  }

  private get steps(): number {
    return this.disk.steps.length;
  }

  private async backUp(repository: Repository, organizationId: string, restorePointId: string, image: Buffer): Promise<void> {
    await backUpImage(repository, organizationId, restorePointId, image);
    this.points.push({ organizationId, restorePointId, image, madeAt: this.steps, leavesAt: Number.POSITIVE_INFINITY });
  }

  private leaves(restorePointId: string): void {
    const point = this.points.find((candidate) => candidate.restorePointId === restorePointId) as Point;
    point.leavesAt = this.steps;
  }
}

let folder: string;
let life: Life;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vapp-vault-power-'));
  life = new Life(new VolatileFiles(folder), join(folder, 'repository'));
  await life.live();
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Whoever comes after the loss has one of the keys that were in use. */
async function openSurvivors(store: MemoryStore, count: number): Promise<Repository | undefined> {
  const keys = [...(count <= life.formerKeyUntil ? [formerKey] : []), ...(count > life.newKeyAt ? [newKey] : [])];
  for (const key of keys) {
    try {
      return await openRepository(store, key);
    } catch (error) {
      if (count < life.createdAt && isRepositoryError(error, 'REPOSITORY_NOT_FOUND')) return undefined;
      if (!isRepositoryError(error, 'WRONG_MASTER_KEY') || key === keys.at(-1)) throw error;
    }
  }
  return undefined;
}

async function restorePointsOf(repository: Repository): Promise<string[]> {
  const found: string[] = [];
  for await (const { restorePointId } of repository.listManifests()) found.push(restorePointId);
  return found;
}

/** Every restore point that is there is there with every byte; every one that was promised is there. */
async function expectKept(repository: Repository, count: number): Promise<void> {
  const found = await restorePointsOf(repository);
  for (const point of life.points) {
    if (found.includes(point.restorePointId)) await expectImage(repository, point, point.image);
    else expect(count < point.madeAt || count >= point.leavesAt, `${point.restorePointId} is lost`).toBe(true);
  }
  expect(life.points.map(({ restorePointId }) => restorePointId)).toEqual(expect.arrayContaining(found));
}

describe('a repository whose power fails', () => {
  it('after any step of its life keeps every restore point that was reported, and none that claims more than it has', {
    timeout: 900_000,
  }, async () => {
    const { disk } = life;
    expect(disk.steps.length).toBeGreaterThan(300);
    let tried = 0;
    // Another offset each time, so that in time all steps are tried.
    for (let count = Date.now() % EVERY; count <= disk.steps.length; count += EVERY) {
      for (const names of ['synced', 'all'] as const) {
        const { survivors } = disk.after(count, names);
        const prefix = 'repository/';
        const objects = [...survivors]
          .filter(([name]) => name.startsWith(prefix))
          .map(([name, data]) => [name.slice(prefix.length), data] as const);
        // Hours later, by the clock of the store: whoever held a lock or a session then is known to be gone.
        const store = MemoryStore.from(objects, new Date(Date.now() - 3 * 3_600_000));
        try {
          const repository = await openSurvivors(store, count);
          if (repository === undefined) continue;
          await expectKept(repository, count);
          // Who comes after can go on: collects, backs up, and everything is still there.
          for (let run = 0; run < 2; run += 1) await repository.collectGarbage(NOW);
          await expectKept(repository, count);
          const image = imageOf('one', [count % 14]);
          await backUpImage(repository, ORGANIZATION, 'rp-after', image);
          await expectImage(repository, { organizationId: ORGANIZATION, restorePointId: 'rp-after' }, image);
          tried += 1;
        } catch (error) {
          throw new Error(`after step ${count} of ${disk.steps.length} (names: ${names}): ${(error as Error).message}`, { cause: error });
        }
      }
    }
    expect(tried).toBeGreaterThan(8);
  });
});
