import { randomBytes } from 'node:crypto';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { type BlobStore, FolderStore, isRepositoryError, type ManifestRef, Repository, RetryingStore } from '../../src/repository/index.js';
import { FaultStore } from './fault-store.js';
import { ORGANIZATION } from './fixture.js';
import { backUpImage, expectImage, imageOf, openRepository, SMALL_CHUNK_BYTES } from './harmed-repository.js';
import { MemoryStore } from './memory-store.js';
import { VolatileFiles } from './volatile-files.js';

const NOW = { graceMs: 0 };
const HOUR_MS = 3_600_000;
const masterKey = randomBytes(32);
const image = imageOf('kept');
const ref: ManifestRef = { organizationId: ORGANIZATION, restorePointId: 'rp-1' };

async function create(store: BlobStore): Promise<Repository> {
  const options = { store, masterKey, log: silentLogger, packTargetBytes: 24 * 1024 };
  const repository = await Repository.create({ ...options, chunkBytes: SMALL_CHUNK_BYTES });
  await backUpImage(repository, ORGANIZATION, 'rp-1', image);
  return repository;
}

const open = (store: BlobStore) => Repository.open({ store, masterKey, log: silentLogger, packTargetBytes: 24 * 1024 });

describe('the repository folder', () => {
  let folder: string;
  let root: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vapp-vault-outages-'));
    root = join(folder, 'repository');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** A folder whose file system answers like that when anything is to be made or deleted. */
  async function refusing(code: string): Promise<FolderStore> {
    const { files } = new VolatileFiles(folder);
    const refuse = () => Promise.reject(Object.assign(new Error(code), { code }));
    const opened = ((path: string, flags: string | number, mode?: number) =>
      flags === 'r' ? files.open(path, flags, mode) : refuse()) as typeof files.open;
    // Of a folder that is there, even a read-only file system says just that.
    return FolderStore.open(root, { ...files, open: opened, unlink: refuse, rename: refuse, link: refuse });
  }

  it.each([
    ['read-only', 'EROFS', 'REPOSITORY_READ_ONLY', /could not be written: the file system is mounted read-only$/],
    ['full', 'ENOSPC', 'REPOSITORY_FULL', /could not be written: there is no space left; free some or add storage$/],
    ['not ours', 'EACCES', 'REPOSITORY_DENIED', /could not be written: this user may not; check owner and mode of the folder$/],
  ])('that is %s says so, and still restores and verifies; afterwards all goes on', async (_what, errno, code, sentence) => {
    await create(await FolderStore.open(root));
    const repository = await open(await refusing(errno));
    await expectImage(repository, ref, image);
    expect((await repository.verify({ mode: 'full' })).findings).toEqual([]);
    for (const work of [
      () => backUpImage(repository, ORGANIZATION, 'rp-2', imageOf('more')),
      () => repository.collectGarbage(NOW),
      () => repository.check(),
    ]) {
      const error = await work().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(isRepositoryError(error, code), String(error)).toBe(true);
      expect((error as Error).message).toMatch(sentence);
    }
    const again = await open(await FolderStore.open(root));
    await backUpImage(again, ORGANIZATION, 'rp-2', imageOf('more'));
    await expectImage(again, { ...ref, restorePointId: 'rp-2' }, imageOf('more'));
  });

  it('that goes and comes back within the time of retries costs a backup nothing', async () => {
    const repository = await create(await FolderStore.open(root));
    const retries = { attempts: 400, baseDelayMs: 5, maxDelayMs: 10, deadlineMs: 30_000, log: silentLogger };
    const patient = await open(new RetryingStore(await FolderStore.open(root), retries));
    const session = await patient.beginSession(ORGANIZATION, 'rp-2');
    await session.abandon();
    await rename(root, `${root}-away`);
    const working = backUpImage(patient, ORGANIZATION, 'rp-2', imageOf('more'));
    await expect(expectImage(repository, ref, image)).rejects.toMatchObject({ code: 'REPOSITORY_UNREACHABLE', retryable: true });
    await rename(`${root}-away`, root);
    await working;
    await expectImage(await open(await FolderStore.open(root)), { ...ref, restorePointId: 'rp-2' }, imageOf('more'));
  });

  it('that stays away fails the backup, whose chunks the next one finds', async () => {
    const store = new FaultStore(await FolderStore.open(root));
    await create(store);
    const repository = await open(store);
    let isAway = false;
    store.fault = (operation, name) => {
      isAway ||= operation === 'put' && name.includes('/manifests/');
      return isAway ? { fail: 'unreachable' } : undefined;
    };
    await expect(backUpImage(repository, ORGANIZATION, 'rp-2', imageOf('more'))).rejects.toMatchObject({ code: 'REPOSITORY_UNREACHABLE' });
    store.fault = () => undefined;
    const calls = store.calls.length;
    await backUpImage(await open(store), ORGANIZATION, 'rp-2', imageOf('more'));
    const again = store.calls.slice(calls).filter(({ operation, name }) => operation === 'put' && name.includes('/packs/')).length;
    expect(again).toBe(0);
    await expectImage(await open(store), { ...ref, restorePointId: 'rp-2' }, imageOf('more'));
  });

  it('that is slow takes its time, and loses nothing', async () => {
    const store = new FaultStore(await FolderStore.open(root));
    const repository = await create(store);
    store.fault = () => ({ delayMs: 15 });
    await backUpImage(repository, ORGANIZATION, 'rp-2', imageOf('more'));
    await repository.collectGarbage(NOW);
    store.fault = () => undefined;
    for (const [restorePointId, expected] of [
      ['rp-1', image],
      ['rp-2', imageOf('more')],
    ] as const)
      await expectImage(repository, { ...ref, restorePointId }, expected);
  });
});

describe('a clock that jumps', () => {
  afterEach(() => vi.useRealTimers());

  /** An open session that relies on chunks whose restore point goes, and a collector beside it. */
  async function scene() {
    const store = new MemoryStore();
    await create(store);
    const repository = await openRepository(store, masterKey);
    const session = await repository.beginSession(ORGANIZATION, 'rp-2');
    const writer = await session.openDisk({ diskId: 'd', capacityBytes: image.length, chunkBytes: SMALL_CHUNK_BYTES });
    await writer.write(image, [{ chunkIndex: 0, offset: 0, length: SMALL_CHUNK_BYTES }]);
    await repository.deleteManifest(ref);
    const publish = async () => {
      const disk = { diskId: 'd', ...(await writer.finish()) };
      await session.publish({ createdAt: '2026-01-01T00:00:00.000Z', disks: [disk], documents: [], content: null });
      return disk;
    };
    return { store, publish, collect: async () => (await openRepository(store, masterKey)).collectGarbage(NOW) };
  }

  it.each([
    ['back', -3 * HOUR_MS],
    ['back by a day', -24 * HOUR_MS],
    ['back by years', -9000 * HOUR_MS],
  ])('%s, of the store, makes collectors wait', async (_what, leapMs) => {
    const { store, publish, collect } = await scene();
    store.skewMs = leapMs;
    for (let run = 0; run < 3; run += 1) expect(await collect()).toMatchObject({ deletedPacks: 0 });
    const disk = await publish();
    const reader = await (await openRepository(store, masterKey)).openDisk({ ...ref, restorePointId: 'rp-2' }, disk);
    const memory = Buffer.alloc(SMALL_CHUNK_BYTES);
    await reader.read(memory, [{ chunkIndex: 0, offset: 0 }]);
    expect(memory.equals(image.subarray(0, SMALL_CHUNK_BYTES))).toBe(true);
  });

  it('forward, of the store, ends sessions that seem dead, which then say so and publish nothing', async () => {
    const { store, publish, collect } = await scene();
    store.skewMs = 3 * HOUR_MS;
    for (let run = 0; run < 3; run += 1) await collect();
    await expect(publish()).rejects.toMatchObject({ code: 'SESSION_EXPIRED', retryable: true });
    const left = [];
    for await (const { restorePointId } of (await openRepository(store, masterKey)).listManifests()) left.push(restorePointId);
    expect(left).toEqual([]);
  });

  it.each([
    ['forward', 3 * HOUR_MS],
    ['forward by a day', 24 * HOUR_MS],
    ['back', -3 * HOUR_MS],
    ['back by a day', -24 * HOUR_MS],
  ])('%s, of the machine, loses nothing, whatever the session makes of it', async (_what, leapMs) => {
    const { store, publish, collect } = await scene();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + leapMs });
    // The store has a clock of its own.
    store.skewMs = -leapMs;
    for (let run = 0; run < 2; run += 1) expect(await collect()).toMatchObject({ deletedPacks: 0 });
    const published = await publish().then(
      (disk) => disk,
      (error: unknown) => {
        expect(isRepositoryError(error, 'SESSION_EXPIRED')).toBe(true);
      },
    );
    const repository = await openRepository(store, masterKey);
    const found = [];
    for await (const { restorePointId } of repository.listManifests()) found.push(restorePointId);
    expect(found).toEqual(published ? ['rp-2'] : []);
    if (published) expect((await repository.verify({ mode: 'full' })).findings).toEqual([]);
  });
});
