import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newId, silentLogger } from '../../src/common/index.js';
import { compactSegments, writeSegment } from '../../src/repository/compact-segments.js';
import { ENTRY_BYTES } from '../../src/repository/format.js';
import { FolderStore, type ManifestRef, type PutOptions, type Repository, SecondSite, StoreWrapper } from '../../src/repository/index.js';
import type { Organization } from '../../src/repository/organization.js';
import { type ListedPack, readSegments } from '../../src/repository/pack-listing.js';
import { REWRITING_LEAVES_BYTES, SPARE_ROOM_BYTES } from '../../src/repository/spare-room.js';
import {
  backUp,
  CHUNK_BYTES,
  FaultyStore,
  fullStore,
  makeWorkspace,
  names,
  ORGANIZATION,
  OTHER_ORGANIZATION,
  readChunk,
  type StoredDisk,
  type Workspace,
} from './fixture.js';

/** A file system of that size, which ends where it ends. */
class SmallStore extends StoreWrapper {
  capacityBytes = Number.MAX_SAFE_INTEGER;
  usedBytes = 0;
  /** A bucket cannot. */
  tellsFree = true;
  private readonly sizesBytes = new Map<string, number>();

  override async put(name: string, data: Buffer | readonly Buffer[], options?: PutOptions): Promise<void> {
    const bytes = [data].flat().reduce((sum, part) => sum + part.length, 0);
    const leaveBytes = this.tellsFree ? (options?.leaveFreeBytes ?? 0) : 0;
    if (this.usedBytes + bytes + leaveBytes > this.capacityBytes) throw fullStore(name);
    const before = this.sizesBytes.get(name) ?? 0;
    // Before it is written: of packs that are put side by side, the first one asked for has the room.
    this.resize(name, bytes);
    try {
      await this.inner.put(name, data, options);
    } catch (error) {
      this.resize(name, before);
      throw error;
    }
  }

  override async delete(name: string, signal?: AbortSignal): Promise<void> {
    await this.inner.delete(name, signal);
    this.resize(name, 0);
  }

  private resize(name: string, bytes: number): void {
    this.usedBytes += bytes - (this.sizesBytes.get(name) ?? 0);
    this.sizesBytes.set(name, bytes);
  }
}

const CHUNKS_PER_POINT = 16;
const PACK_TARGET_BYTES = 8 * CHUNK_BYTES;
const SPARSE_PACKS = 4;
/** Of one restore point its chunks, and of all that are deleted the pages. */
const DEAD_PACKS = 1 + SPARSE_PACKS + 1;
const NOW = { graceMs: 0 };

let workspace: Workspace;
let store: SmallStore;
let repository: Repository;
beforeEach(async () => {
  workspace = await makeWorkspace({ packTargetBytes: PACK_TARGET_BYTES });
  store = new SmallStore(workspace.store);
  repository = await workspace.reopen(store);
});
afterEach(() => workspace.remove());

function incompressible(count = CHUNKS_PER_POINT): Map<number, Buffer> {
  return new Map(Array.from({ length: count }, (_, i) => [i, randomBytes(CHUNK_BYTES)]));
}

async function expectWhole({ ref, disk }: StoredDisk, chunks: ReadonlyMap<number, Buffer>): Promise<void> {
  const reader = await (await workspace.reopen()).openDisk(ref, disk);
  for (const [chunkIndex, bytes] of chunks) expect((await readChunk(reader, chunkIndex)).equals(bytes), `chunk ${chunkIndex}`).toBe(true);
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
    const moved = await repository.collectGarbage(NOW);
    expect(moved.rewrittenPacks).toBe(1);
    const freed = await repository.collectGarbage(NOW);
    expect(freed.freedBytes).toBeGreaterThan(CHUNKS_PER_POINT * CHUNK_BYTES);

    await backUp(repository, 'rp-again', incompressible(4));
    await expectWhole(second, lives);
  });

  /** Packs of which every other chunk is dead, and others that are dead as a whole. */
  async function makeSparse(): Promise<{ stays: StoredDisk; lives: Map<number, Buffer> }> {
    const chunks = [...incompressible(SPARSE_PACKS * 8)];
    const going: StoredDisk[] = [];
    for (let i = 0; i < SPARSE_PACKS; i += 1) going.push(await backUp(repository, `rp-${i}`, new Map(chunks.slice(i * 8, i * 8 + 8))));
    const lives = new Map(chunks.filter(([i]) => i % 2 === 0));
    const stays = await backUp(repository, 'rp-stays', lives);
    expect(stays.tally.newChunks).toBe(0);
    going.push(await backUp(repository, 'rp-dead', incompressible()));
    for (const { ref } of going) await repository.deleteManifest(ref);
    return { stays, lives };
  }

  async function packs(): Promise<string[]> {
    return (await names(workspace.store, 'orgs/')).filter((name) => name.includes('/packs/'));
  }

  it('moves what there is room for, leaves room, and moves the rest in later runs', async () => {
    const { stays, lives } = await makeSparse();
    store.capacityBytes = store.usedBytes + REWRITING_LEAVES_BYTES + 1.5 * PACK_TARGET_BYTES;
    const first = await repository.collectGarbage(NOW);
    expect(first).toMatchObject({ condemnedPacks: DEAD_PACKS + 2, rewrittenPacks: 2, packsWaitingForRoom: 2 });
    // Segments and lists may take of what is left, packs may not.
    expect(store.capacityBytes - store.usedBytes).toBeGreaterThan(REWRITING_LEAVES_BYTES - CHUNK_BYTES);

    const second = await repository.collectGarbage(NOW);
    expect(second).toMatchObject({ deletedPacks: DEAD_PACKS + 2, rewrittenPacks: 2, packsWaitingForRoom: 0 });
    await repository.collectGarbage(NOW);
    await expectWhole(stays, lives);
    expect(await repository.collectGarbage(NOW)).toMatchObject({ condemnedPacks: 0, deletedPacks: 0, packsWaitingForRoom: 0 });
  });

  it('frees what is dead as a whole where nothing can be moved', async () => {
    const { stays, lives } = await makeSparse();
    store.capacityBytes = store.usedBytes + PACK_TARGET_BYTES / 2;
    const first = await repository.collectGarbage(NOW);
    expect(first).toMatchObject({ condemnedPacks: DEAD_PACKS, rewrittenPacks: 0, packsWaitingForRoom: SPARSE_PACKS });
    const second = await repository.collectGarbage(NOW);
    expect(second).toMatchObject({ deletedPacks: DEAD_PACKS });
    expect(second.freedBytes).toBeGreaterThan(CHUNKS_PER_POINT * CHUNK_BYTES);
    await expectWhole(stays, lives);
  });

  it('condemns no pack of which a copy did not become durable, where the store says only at the last byte that it is full', async () => {
    const { stays, lives } = await makeSparse();
    store.tellsFree = false;
    store.capacityBytes = store.usedBytes + 1.5 * PACK_TARGET_BYTES;
    const first = await repository.collectGarbage(NOW);
    expect(first).toMatchObject({ rewrittenPacks: 2, packsWaitingForRoom: 2 });
    expect(await repository.collectGarbage(NOW)).toMatchObject({ deletedPacks: DEAD_PACKS + 2 });
    await expectWhole(stays, lives);
  });

  it('names packs anew, without those that go, in a few MiB more than all segments take', async () => {
    await backUp(repository, 'rp-1', incompressible(1));
    const organization = (await repository.fresh(ORGANIZATION)) as Organization;
    const listed = new Map<string, ListedPack>();
    const leaving = new Set<string>();
    for (let segment = 0; segment < 6; segment += 1) {
      const named = Array.from({ length: 4 }, () => ({ packId: newId(), entries: randomBytes(16_384 * ENTRY_BYTES) }));
      await writeSegment(organization, named);
      for (const { packId } of named) listed.set(packId, { sizeBytes: 1, modifiedAt: new Date() });
      leaving.add((named[0] as { packId: string }).packId);
    }
    store.capacityBytes = store.usedBytes + 8 * 1024 * 1024;
    const { removedSegments } = await compactSegments(organization, listed, leaving, () => Promise.resolve());
    // Six, and that of the backup, whose packs were not listed.
    expect(removedSegments).toBe(7);
    const left: string[] = [];
    for await (const { packs: named } of readSegments(organization)) left.push(...(named ?? []).map(({ packId }) => packId));
    expect(left.sort()).toEqual([...listed.keys()].filter((packId) => !leaving.has(packId)).sort());
  });

  it.each([ORGANIZATION, OTHER_ORGANIZATION])('collects the others where %s has no room for its lock', async (organizationId) => {
    const faulty = new FaultyStore(workspace.store);
    repository = await workspace.reopen(faulty);
    const folder = await makeDead(organizationId);
    const other = await makeDead(organizationId === ORGANIZATION ? OTHER_ORGANIZATION : ORGANIZATION);
    faulty.onPut = (name) => (name.startsWith(`${folder}/gc/`) ? fullStore(name) : undefined);
    await expect(repository.collectGarbage(NOW)).rejects.toMatchObject({ code: 'REPOSITORY_FULL' });
    expect(await names(workspace.store, `${other}/condemned/`)).toHaveLength(1);
    expect(await names(workspace.store, `${folder}/condemned/`)).toEqual([]);
  });

  /** @returns the folder of the organization. */
  async function makeDead(organizationId: string): Promise<string> {
    const before = await packs();
    const { ref } = await backUp(repository, 'rp-dead', incompressible(2), { organizationId });
    await repository.deleteManifest(ref);
    const made = (await packs()).filter((name) => !before.includes(name));
    return (made[0] as string).split('/').slice(0, 2).join('/');
  }

  it('refuses a session when it is begun, and keeps no record of it', async () => {
    await backUp(repository, 'rp-1', incompressible());
    store.capacityBytes = store.usedBytes + SPARE_ROOM_BYTES - 1;
    await expect(repository.beginSession(ORGANIZATION, 'rp-2')).rejects.toMatchObject({ code: 'REPOSITORY_FULL', retryable: false });
    expect((await names(workspace.store, 'orgs/')).filter((name) => name.includes('/sessions/'))).toEqual([]);
    // All but backups works there, and is needed there.
    await repository.check();
    store.capacityBytes = store.usedBytes;
    await expect(repository.check()).rejects.toMatchObject({ code: 'REPOSITORY_FULL' });
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

  it('of which copies are kept is rid of what was deleted at the first site all the same, and takes copies again', async () => {
    const { masterKey, folder } = workspace;
    const second = new SmallStore(await FolderStore.open(join(folder, 'second')));
    const site = new SecondSite(
      repository,
      { masterKey, log: silentLogger },
      { openStore: async () => second, keepDeletedMs: 0, log: silentLogger },
    );
    const organizations = [ORGANIZATION, OTHER_ORGANIZATION];
    const gone: ManifestRef[] = [];
    for (const organizationId of organizations) gone.push((await backUp(repository, 'rp-old', incompressible(), { organizationId })).ref);
    await site.copy();
    for (const ref of gone) await repository.deleteManifest(ref);
    for (const organizationId of organizations) await backUp(repository, 'rp-new', incompressible(), { organizationId });
    second.capacityBytes = second.usedBytes + SPARE_ROOM_BYTES - 1;
    await expect(site.copy()).rejects.toMatchObject({ code: 'REPOSITORY_FULL' });
    expect((await names(second, 'orgs/')).filter((name) => name.includes('/manifests/'))).toEqual([]);
    // Some room for what a collection writes itself: that is what the spare room is for.
    const there = await site.repository();
    for (let run = 0; run < 2; run += 1) await there.collectGarbage({ graceMs: 0 });
    expect(await site.copy()).toMatchObject({ copied: ['rp-new', 'rp-new'], failed: [] });
  });
});
