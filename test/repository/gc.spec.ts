import { once } from 'node:events';
import { readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { type BlobStore, Repository, RepositoryError, StoreWrapper } from '../../src/repository/index.js';
import {
  backUp,
  CHUNK_BYTES,
  chunksOf,
  FaultyStore,
  makeWorkspace,
  names,
  ORGANIZATION,
  pattern,
  readChunk,
  type StoredDisk,
  type Workspace,
  writeChunks,
} from './fixture.js';

/** Everything at once: no grace, so that a test needs no clock. */
const NOW = { graceMs: 0 };

let workspace: Workspace;
let repository: Repository;
beforeEach(async () => {
  workspace = await makeWorkspace({ packTargetBytes: 512 * 1024 });
  repository = workspace.repository;
});
afterEach(() => workspace.remove());

async function expectWhole(from: Repository, stored: StoredDisk, chunks: ReadonlyMap<number, Buffer>): Promise<void> {
  const reader = await from.openDisk(stored.ref, stored.disk);
  for (const [chunkIndex, bytes] of chunks) expect((await readChunk(reader, chunkIndex)).equals(bytes), `chunk ${chunkIndex}`).toBe(true);
}

async function packs(): Promise<string[]> {
  return (await names(workspace.store, 'orgs/')).filter((name) => name.includes('/packs/'));
}

function isSegment(name: string): boolean {
  return name.split('/')[2] === 'index';
}

async function only(part: string): Promise<string> {
  const found = (await names(workspace.store, 'orgs/')).filter((name) => name.split('/')[2] === part);
  expect(found).toHaveLength(1);
  return found[0] as string;
}

describe('collecting', () => {
  it('condemns what no restore point refers to, and deletes it only in a later run', async () => {
    const kept = chunksOf('kept', 0, 8);
    const stays = await backUp(repository, 'rp-1', kept);
    const goes = await backUp(repository, 'rp-2', chunksOf('gone', 0, 16));
    const before = await packs();
    await repository.deleteManifest(goes.ref);

    const first = await repository.collectGarbage(NOW);
    expect(first).toMatchObject({ restorePoints: 1, deletedPacks: 0, freedBytes: 0, rewrittenPacks: 0 });
    expect(first.condemnedPacks).toBeGreaterThan(0);
    expect(await packs()).toEqual(before);

    const second = await (await workspace.reopen()).collectGarbage(NOW);
    expect(second.deletedPacks).toBe(first.condemnedPacks);
    expect(second.freedBytes).toBeGreaterThan(0);
    expect(await packs()).toHaveLength(before.length - first.condemnedPacks);
    expect(await names(workspace.store, `orgs/${(await only('manifests')).split('/')[1]}/condemned/`)).toEqual([]);
    expect(await repository.collectGarbage(NOW)).toMatchObject({ condemnedPacks: 0, deletedPacks: 0 });
    await expectWhole(repository, stays, kept);
    await expectWhole(await workspace.reopen(), stays, kept);
  });

  it('follows a disk of 62 TiB to its end', async () => {
    const capacityBytes = 62 * 2 ** 40 + 512;
    const last = (62 * 2 ** 40) / CHUNK_BYTES;
    const far = new Map([0, 2 ** 41 / CHUNK_BYTES, last - 1].map((i) => [i, pattern('far', i)]));
    const goes = await backUp(repository, 'rp-1', chunksOf('gone', 0, 16));
    const stays = await backUp(repository, 'rp-2', far, { capacityBytes });
    await repository.deleteManifest(goes.ref);
    for (let run = 0; run < 2; run += 1) await (await workspace.reopen()).collectGarbage(NOW);
    expect((await repository.collectGarbage(NOW)).restorePoints).toBe(1);
    await expectWhole(await workspace.reopen(), stays, far);
  });

  it('waits for the grace time', async () => {
    const goes = await backUp(repository, 'rp-1', chunksOf('gone', 0, 4));
    await repository.deleteManifest(goes.ref);
    expect(await repository.collectGarbage()).toMatchObject({ condemnedPacks: 0 });
    expect((await repository.collectGarbage(NOW)).condemnedPacks).toBeGreaterThan(0);
    expect(await repository.collectGarbage()).toMatchObject({ deletedPacks: 0 });
    expect((await repository.collectGarbage(NOW)).deletedPacks).toBeGreaterThan(0);
  });

  it('copies the living records out of sparse packs, and readers that knew the old ones follow', async () => {
    const all = chunksOf('a', 0, 32);
    const goes = await backUp(repository, 'rp-1', all);
    const kept = new Map([...all].filter(([i]) => i % 2 === 0));
    const stays = await backUp(repository, 'rp-2', kept);
    expect(stays.tally.newChunks).toBe(0);
    const reader = await repository.openDisk(stays.ref, stays.disk);
    await repository.deleteManifest(goes.ref);
    const other = await workspace.reopen();
    const first = await other.collectGarbage(NOW);
    expect(first.rewrittenPacks).toBeGreaterThan(0);
    const second = await other.collectGarbage(NOW);
    expect(second.deletedPacks).toBe(first.condemnedPacks);
    for (const [chunkIndex, bytes] of kept) expect((await readChunk(reader, chunkIndex)).equals(bytes)).toBe(true);
    await expectWhole(await workspace.reopen(), stays, kept);
    expect(await names(workspace.store, 'orgs/')).not.toContainEqual(expect.stringContaining('/bad/'));
  });

  it('leaves packs with less dead than the limit alone', async () => {
    // All of a restore point in one pack.
    await workspace.remove();
    workspace = await makeWorkspace({ packTargetBytes: 8 * 1024 * 1024 });
    ({ repository } = workspace);
    const all = chunksOf('a', 0, 40);
    const goes = await backUp(repository, 'rp-1', all);
    await backUp(repository, 'rp-2', new Map([...all].filter(([i]) => i % 8 !== 0)));
    await repository.deleteManifest(goes.ref);
    expect(await repository.collectGarbage(NOW)).toMatchObject({ rewrittenPacks: 0 });
  });

  it('merges many small segments, and every chunk is still known', async () => {
    for (let i = 0; i < 18; i += 1) await backUp(repository, `rp-${i}`, chunksOf(`s${i}`, 0, 1));
    expect(await repository.collectGarbage(NOW)).toMatchObject({ removedSegments: 18, newSegments: 1 });
    const again = await backUp(await workspace.reopen(), 'again', chunksOf('s3', 0, 1));
    expect(again.tally).toMatchObject({ knownChunks: 1, newChunks: 0 });
    // The process whose index is older goes on, too.
    expect((await backUp(repository, 'again-2', chunksOf('s4', 0, 1))).tally).toMatchObject({ knownChunks: 1 });
  });
});

describe('collecting beside sessions', () => {
  const chunks = chunksOf('shared', 0, 16);
  const disk = { diskId: 'disk-2000', capacityBytes: 64 * CHUNK_BYTES, chunkBytes: CHUNK_BYTES };
  const body = { createdAt: 'now', documents: [], content: null };

  it('does not delete what an open session relies on, and rescues it once it is published', async () => {
    const goes = await backUp(repository, 'rp-1', chunks);
    const session = await repository.beginSession(ORGANIZATION, 'rp-2');
    const writer = await session.openDisk(disk);
    expect((await writeChunks(writer, chunks)).knownChunks).toBe(16);
    await repository.deleteManifest(goes.ref);
    const collector = await workspace.reopen();
    const before = await packs();
    // By the store's time the packs are older than the session, so they are condemned; deleted they are not.
    await collector.collectGarbage(NOW);
    expect(await collector.collectGarbage(NOW)).toMatchObject({ deletedPacks: 0, waitingFor: ['rp-2'] });
    expect(await packs()).toEqual(before);
    const made = { diskId: disk.diskId, ...(await writer.finish()) };
    const ref = await session.publish({ ...body, disks: [made] });
    const after = await collector.collectGarbage(NOW);
    expect(after.deletedPacks).toBe(0);
    expect(after.rescuedPacks).toBeGreaterThan(0);
    await collector.collectGarbage(NOW);
    await collector.collectGarbage(NOW);
    await expectWhole(await workspace.reopen(), { ref, disk: made, tally: writer.tally }, chunks);
  });

  it('keeps a session that begins later from relying on condemned packs', async () => {
    const goes = await backUp(repository, 'rp-1', chunks);
    await repository.deleteManifest(goes.ref);
    const collector = await workspace.reopen();
    await collector.collectGarbage(NOW);
    // This process has known the chunks since before they were condemned.
    const session = await repository.beginSession(ORGANIZATION, 'rp-2');
    const writer = await session.openDisk(disk);
    expect(await writeChunks(writer, chunks)).toMatchObject({ newChunks: 16, knownChunks: 0 });
    expect((await collector.collectGarbage(NOW)).deletedPacks).toBeGreaterThan(0);
    const made = { diskId: disk.diskId, ...(await writer.finish()) };
    const ref = await session.publish({ ...body, disks: [made] });
    const stored = { ref, disk: made, tally: writer.tally };
    await expectWhole(repository, stored, chunks);
    await expectWhole(await workspace.reopen(), stored, chunks);
  });

  it('never takes a base over whose chunks are on their way out', async () => {
    const goes = await backUp(repository, 'rp-1', chunks);
    await repository.deleteManifest(goes.ref);
    await repository.collectGarbage(NOW);
    const session = await repository.beginSession(ORGANIZATION, 'rp-2');
    await expect(session.openDisk({ ...disk, base: goes.disk })).rejects.toMatchObject({ code: 'BASE_INCOMPLETE' });
    await session.abandon();
  });

  it('ends a session that was silent for too long, which then cannot publish', async () => {
    const session = await repository.beginSession(ORGANIZATION, 'rp-1');
    const writer = await session.openDisk(disk);
    await writeChunks(writer, chunks);
    const made = { diskId: disk.diskId, ...(await writer.finish()) };
    const record = join(workspace.folder, await only('sessions'));
    await utimes(record, new Date(0), new Date(0));
    await (await workspace.reopen()).collectGarbage(NOW);
    await expect(session.publish({ ...body, disks: [made] })).rejects.toMatchObject({ code: 'SESSION_EXPIRED', retryable: true });
    await session.abandon();
    expect(await names(workspace.store, 'orgs/')).not.toContainEqual(expect.stringContaining('/manifests/'));
  });

  it('leaves no record of a session that ended while it was just saying that it lives', async () => {
    const slow = new FaultyStore(workspace.store);
    const times = { heartbeatMs: 5, expiryMs: 60_000 };
    const beater = await Repository.open({ store: slow, masterKey: workspace.masterKey, log: silentLogger, sessionTimes: times });
    const session = await beater.beginSession(ORGANIZATION, 'rp-1');
    const gate = new AbortController();
    let beats = 0;
    slow.onPut = async () => {
      beats += 1;
      if (!gate.signal.aborted) await once(gate.signal, 'abort');
      return undefined;
    };
    await expect.poll(() => beats).toBeGreaterThan(0);
    const written = slow.puts.length;
    const ended = session.abandon();
    setTimeout(() => gate.abort(), 100);
    await ended;
    await expect.poll(() => slow.puts.length).toBe(written + beats);
    expect(await names(workspace.store, 'orgs/')).not.toContainEqual(expect.stringContaining('/sessions/'));
  });

  it('takes a session record that makes no sense for a session that knows nothing', async () => {
    const goes = await backUp(repository, 'rp-1', chunks);
    await repository.deleteManifest(goes.ref);
    await repository.collectGarbage(NOW);
    const record = `${goes.ref && (await packs())[0]?.split('/packs/')[0]}/sessions/foreign`;
    await workspace.store.put(record, Buffer.from('{'));
    expect(await repository.collectGarbage(NOW)).toMatchObject({ deletedPacks: 0, waitingFor: ['unknown'] });
    await workspace.store.delete(record);
    expect((await repository.collectGarbage(NOW)).deletedPacks).toBeGreaterThan(0);
  });
});

/** As where packs are under retention. */
class HoldingStore extends StoreWrapper {
  override delete(name: string, signal?: AbortSignal): Promise<void> {
    if (!name.includes('/packs/')) return super.delete(name, signal);
    return Promise.reject(new RepositoryError(`${name} is held by object lock`, { code: 'BLOB_LOCKED', subject: name }));
  }
}

describe('collecting under retention', () => {
  it('keeps condemned what cannot be deleted yet, so that nobody relies on it, and deletes it later', async () => {
    const chunks = chunksOf('held', 0, 8);
    const goes = await backUp(repository, 'rp-1', chunks);
    await repository.deleteManifest(goes.ref);
    const { condemnedPacks } = await repository.collectGarbage(NOW);
    const before = await packs();
    const holding = await workspace.reopen(new HoldingStore(workspace.store));
    expect(await holding.collectGarbage(NOW)).toMatchObject({ deletedPacks: 0, freedBytes: 0, lockedPacks: condemnedPacks });
    expect(await packs()).toEqual(before);
    const again = await backUp(await workspace.reopen(), 'rp-2', chunks);
    expect(again.tally).toMatchObject({ newChunks: 8, knownChunks: 0 });
    expect(await repository.collectGarbage(NOW)).toMatchObject({ deletedPacks: condemnedPacks, lockedPacks: 0 });
    await expectWhole(await workspace.reopen(), again, chunks);
  });
});

describe('collecting what is damaged', () => {
  const chunks = chunksOf('d', 0, 8);

  it.each(['manifest', 'page'])('deletes nothing while a %s cannot be read, and names the restore point', async (what) => {
    const goes = await backUp(repository, 'rp-1', chunksOf('gone', 0, 8));
    await repository.deleteManifest(goes.ref);
    await backUp(repository, 'rp-2', chunks);
    await repository.collectGarbage(NOW);
    const before = await packs();
    const victims = what === 'manifest' ? [await only('manifests')] : before;
    for (const name of victims) {
      const bytes = await readFile(join(workspace.folder, name));
      // Pages and root are the last records of a pack.
      bytes.fill(0xff, what === 'manifest' ? 130 : Math.floor(bytes.length / 2), what === 'manifest' ? 140 : bytes.length - 700);
      await writeFile(join(workspace.folder, name), bytes);
    }
    await expect((await workspace.reopen()).collectGarbage(NOW)).rejects.toMatchObject({ code: 'GC_BLOCKED', subject: 'rp-2' });
    expect(await packs()).toEqual(before);
    await repository.deleteManifest({ organizationId: ORGANIZATION, restorePointId: 'rp-2' });
    await (await workspace.reopen()).collectGarbage(NOW);
  });

  it('believes no condemned list that makes no sense, nor one that names the living', async () => {
    const stored = await backUp(repository, 'rp-1', chunks);
    const [pack] = await packs();
    const prefix = (pack as string).split('/packs/')[0];
    await workspace.store.put(`${prefix}/condemned/broken`, Buffer.from('{"packs":[1]}'));
    await workspace.store.put(`${prefix}/condemned/wrong`, Buffer.from(JSON.stringify({ packs: [(pack as string).slice(-36)] })));
    expect(await repository.collectGarbage(NOW)).toMatchObject({ deletedPacks: 0, rescuedPacks: 1 });
    expect(await names(workspace.store, `${prefix}/condemned/`)).toEqual([]);
    await expectWhole(await workspace.reopen(), stored, chunks);
  });

  it.each(['first', 'last'])('rescues the pack that has records whole which the pack they were moved to lost, read %s', async (order) => {
    const goes = await backUp(repository, 'rp-1', chunksOf('m', 0, 16));
    const [from] = await packs();
    const kept = chunksOf('m', 0, 8);
    const stays = await backUp(repository, 'rp-2', kept);
    expect(stays.tally.newChunks).toBe(0);
    await repository.deleteManifest(goes.ref);
    const before = await packs();
    expect(await repository.collectGarbage(NOW)).toMatchObject({ rewrittenPacks: 1, condemnedPacks: 1 });
    const [to, ...others] = (await packs()).filter((name) => !before.includes(name));
    expect(others).toEqual([]);
    const moved = join(workspace.folder, to as string);
    await truncate(moved, (await stat(moved)).size >> 1);
    // Packs that no segment names are read after those that one names.
    if (order === 'last') await rm(join(workspace.folder, (await names(workspace.store, 'orgs/')).find(isSegment) as string));

    const fresh = await workspace.reopen();
    expect(await fresh.collectGarbage(NOW)).toMatchObject({ deletedPacks: 0, rescuedPacks: 1 });
    expect(await packs()).toContain(from);
    await expectWhole(await workspace.reopen(), stays, kept);
    // Nothing is forgotten later either, when readers have noted what the other one lost.
    for (let run = 0; run < 3; run += 1) await (await workspace.reopen()).collectGarbage(NOW);
    await expectWhole(await workspace.reopen(), stays, kept);
  });

  it('leaves a foreign file among the packs alone and names it', async () => {
    const stored = await backUp(repository, 'rp-1', chunks);
    const prefix = ((await packs())[0] as string).split('/packs/')[0];
    const foreign = '00000000-0000-7000-8000-0000000000aa';
    await workspace.store.put(`${prefix}/packs/aa/${foreign}`, Buffer.from('not a pack'));
    const fresh = await workspace.reopen();
    expect((await fresh.collectGarbage(NOW)).unreadablePacks).toEqual([foreign]);
    await fresh.collectGarbage(NOW);
    expect(await workspace.store.size(`${prefix}/packs/aa/${foreign}`)).toBe(10);
    await expectWhole(fresh, stored, chunks);
  });
});

/** Fails every call that changes something, from the given one on, as a killed process would. */
function dyingStore(store: BlobStore, after: number): { store: BlobStore; changes: () => number } {
  let changes = 0;
  const guarded = new Set(['put', 'delete']);
  const proxy = new Proxy(store, {
    get(target, property) {
      const value = Reflect.get(target, property) as unknown;
      if (typeof value !== 'function') return value;
      if (!guarded.has(String(property))) return value.bind(target);
      return (...args: unknown[]) => {
        changes += 1;
        if (changes > after) return Promise.reject(new Error('killed'));
        return (value as (...all: unknown[]) => unknown).apply(target, args);
      };
    },
  });
  return { store: proxy, changes: () => changes };
}

describe('a collector that is killed', () => {
  it('at any change it makes leaves only work undone', async () => {
    const all = chunksOf('k', 0, 32);
    const kept = new Map([...all].filter(([i]) => i % 2 === 0));
    let after = 0;
    for (; after < 60; after += 1) {
      const goes = await backUp(repository, `goes-${after}`, new Map([...all, [40, pattern(`own-${after}`, 40)]]));
      const stays = await backUp(repository, `stays-${after}`, kept);
      await repository.deleteManifest(goes.ref);
      const dying = dyingStore(workspace.store, after);
      const killed = await workspace.reopen(dying.store);
      const ended = await Promise.all([0])
        .then(async () => {
          await killed.collectGarbage(NOW);
          await killed.collectGarbage(NOW);
          return true;
        })
        .catch((error: Error) => expect(error.message).toBe('killed') ?? false);
      await rm(join(workspace.folder, `${(await packs())[0]?.split('/packs/')[0]}/gc/lock`), { force: true });
      const fresh = await workspace.reopen();
      await expectWhole(fresh, stays, kept);
      await fresh.collectGarbage(NOW);
      await fresh.collectGarbage(NOW);
      await expectWhole(await workspace.reopen(), stays, kept);
      if (ended && dying.changes() <= after) break;
      await repository.deleteManifest(stays.ref);
    }
    expect(after).toBeGreaterThan(5);
    expect(after).toBeLessThan(60);
  }, 120_000);
});
