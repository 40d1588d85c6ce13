import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { FolderStore, type PutOptions, type Repository, SecondSite, StoreWrapper } from '../../src/repository/index.js';
import { SPARE_ROOM_BYTES } from '../../src/repository/spare-room.js';
import { backUp, CHUNK_BYTES, fullStore, makeWorkspace, names, ORGANIZATION, readChunk, type Workspace } from './fixture.js';

/** A file system of that size, which ends where it ends. */
class SmallStore extends StoreWrapper {
  capacityBytes = Number.MAX_SAFE_INTEGER;
  usedBytes = 0;

  override async put(name: string, data: Buffer | readonly Buffer[], options?: PutOptions): Promise<void> {
    const bytes = [data].flat().reduce((sum, part) => sum + part.length, 0);
    if (this.usedBytes + bytes + (options?.leaveFreeBytes ?? 0) > this.capacityBytes) throw fullStore(name);
    const before = (await this.inner.size(name)) ?? 0;
    await this.inner.put(name, data, options);
    this.usedBytes += bytes - before;
  }

  override async delete(name: string, signal?: AbortSignal): Promise<void> {
    const before = (await this.inner.size(name, signal)) ?? 0;
    await this.inner.delete(name, signal);
    this.usedBytes -= before;
  }
}

const CHUNKS_PER_POINT = 16;

let workspace: Workspace;
let store: SmallStore;
let repository: Repository;
beforeEach(async () => {
  workspace = await makeWorkspace({ packTargetBytes: 512 * 1024 });
  store = new SmallStore(workspace.store);
  repository = await workspace.reopen(store);
});
afterEach(() => workspace.remove());

function incompressible(count = CHUNKS_PER_POINT): Map<number, Buffer> {
  return new Map(Array.from({ length: count }, (_, i) => [i, randomBytes(CHUNK_BYTES)]));
}

describe('a repository that fills up', () => {
  it('refuses backups before its last byte, and is emptied from there: dead packs deleted, living records moved', async () => {
    store.capacityBytes = SPARE_ROOM_BYTES + 4 * CHUNKS_PER_POINT * CHUNK_BYTES;
    const mostlyDead = incompressible();
    const first = await backUp(repository, 'rp-first', mostlyDead);
    const lives = new Map([...mostlyDead].slice(0, 3));
    const second = await backUp(repository, 'rp-second', lives);
    expect(second.tally.newChunks).toBe(0);
    const fill = async () => {
      for (let i = 0; i < 8; i += 1) await backUp(repository, `rp-${i}`, incompressible());
    };
    await expect(fill()).rejects.toMatchObject({ code: 'REPOSITORY_FULL', retryable: false });

    // What was left above the spare room is gone, too: even so the collection ends, moves and deletes.
    store.capacityBytes = store.usedBytes + SPARE_ROOM_BYTES - 1;
    await repository.deleteManifest(first.ref);
    const moved = await repository.collectGarbage({ graceMs: 0 });
    expect(moved.rewrittenPacks).toBe(1);
    const freed = await repository.collectGarbage({ graceMs: 0 });
    expect(freed.freedBytes).toBeGreaterThan(CHUNKS_PER_POINT * CHUNK_BYTES);

    await backUp(repository, 'rp-again', incompressible(4));
    const reader = await (await workspace.reopen()).openDisk(second.ref, second.disk);
    for (const [chunkIndex, bytes] of lives) expect((await readChunk(reader, chunkIndex)).equals(bytes)).toBe(true);
  });

  it('refuses a session when it is begun, and keeps no record of it', async () => {
    await backUp(repository, 'rp-1', incompressible());
    store.capacityBytes = store.usedBytes + SPARE_ROOM_BYTES - 1;
    await expect(repository.beginSession(ORGANIZATION, 'rp-2')).rejects.toMatchObject({ code: 'REPOSITORY_FULL', retryable: false });
    expect((await names(workspace.store, 'orgs/')).filter((name) => name.includes('/sessions/'))).toEqual([]);
  });

  it('takes no copies before its last byte either, and what was not copied whole is not there', async () => {
    const { masterKey, folder } = workspace;
    const site = new SecondSite(
      repository,
      { masterKey, log: silentLogger },
      { openStore: async () => second, keepDeletedMs: 0, log: silentLogger },
    );
    const second = new SmallStore(await FolderStore.open(join(folder, 'second')));
    await backUp(repository, 'rp-1', incompressible());
    second.capacityBytes = SPARE_ROOM_BYTES + CHUNK_BYTES;
    await expect(site.copy()).rejects.toMatchObject({ code: 'REPOSITORY_FULL' });
    expect((await names(second, 'orgs/')).filter((name) => name.includes('/manifests/'))).toEqual([]);
    second.capacityBytes = Number.MAX_SAFE_INTEGER;
    expect(await site.copy()).toMatchObject({ copied: ['rp-1'], failed: [] });
  });
});
