import { randomBytes } from 'node:crypto';
import { EventEmitter, getEventListeners, setMaxListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Repository } from '../../src/repository/index.js';
import {
  backUp,
  CHUNK_BYTES,
  FaultyStore,
  fullStore,
  makeWorkspace,
  names,
  ORGANIZATION,
  pattern,
  readChunk,
  writeChunks,
  type Workspace,
} from './fixture.js';

/** 64 MiB, incompressible: some eight packs, as two batches of 4 MiB that are sealed at once end in one pack. */
const CHUNKS = 1024;
const CAPACITY_BYTES = 1152 * CHUNK_BYTES;
const chunks = new Map(
  Array.from({ length: CHUNKS }, (_, i) => [i, Buffer.concat([randomBytes(CHUNK_BYTES - 8), Buffer.alloc(8, i + 1)])]),
);

let workspace: Workspace;
let store: FaultyStore;
let repository: Repository;
beforeEach(async () => {
  workspace = await makeWorkspace({ packTargetBytes: 512 * 1024 });
  store = new FaultyStore(workspace.store);
  repository = await workspace.reopen(store);
});
afterEach(() => workspace.remove());

async function manifests(from: Repository): Promise<string[]> {
  const found: string[] = [];
  for await (const { restorePointId } of from.listManifests()) found.push(restorePointId);
  return found;
}

async function begin(from: Repository, restorePointId: string) {
  const session = await from.beginSession(ORGANIZATION, restorePointId);
  const writer = await session.openDisk({ diskId: 'd', capacityBytes: CAPACITY_BYTES, chunkBytes: CHUNK_BYTES });
  return { session, writer };
}

describe('a session', () => {
  it('makes packs durable before the segments that name them, and the manifest last', async () => {
    await backUp(repository, 'rp-1', chunks, { capacityBytes: CAPACITY_BYTES });
    const order = store.puts.filter((name) => name.startsWith('orgs/')).map((name) => name.split('/')[2] as string);
    expect(order.at(-1)).toBe('manifests');
    expect(order.filter((part) => part === 'manifests')).toHaveLength(1);
    expect(order.lastIndexOf('packs')).toBeLessThan(order.lastIndexOf('index'));
    expect(order.indexOf('packs')).toBeLessThan(order.indexOf('index'));
    expect(order.filter((part) => part === 'packs').length).toBeGreaterThan(4);
  });

  it('that dies before the manifest shows no restore point, and the next one stores nothing again', async () => {
    const { session, writer } = await begin(repository, 'rp-1');
    await writeChunks(writer, chunks);
    await session.flush();
    const next = await workspace.reopen();
    expect(await manifests(next)).toEqual([]);
    const { tally } = await backUp(next, 'rp-1', chunks, { capacityBytes: CAPACITY_BYTES });
    expect(tally).toMatchObject({ newChunks: 0, knownChunks: chunks.size });
    expect(await manifests(next)).toEqual(['rp-1']);
  });

  it('that dies before its segment leaves packs that are found by their trailers', async () => {
    store.onPut = (name) => (name.includes('/index/') ? new Error('killed') : undefined);
    const { session, writer } = await begin(repository, 'rp-1');
    await writeChunks(writer, chunks).catch(() => undefined);
    await expect(session.flush()).rejects.toThrow('killed');
    const packs = (await names(workspace.store, 'orgs/')).filter((name) => name.includes('/packs/')).length;
    expect(packs).toBeGreaterThan(2);
    const { tally } = await backUp(await workspace.reopen(), 'rp-1', chunks, { capacityBytes: CAPACITY_BYTES });
    expect(tally.knownChunks).toBeGreaterThanOrEqual(packs * 8);
    expect(tally.knownChunks + tally.newChunks).toBe(chunks.size);
  });

  it.each(['packs', 'index', 'manifests'])('on a store that is full at its %s publishes nothing and says so', async (part) => {
    store.onPut = (name) => (name.split('/')[2] === part ? fullStore(name) : undefined);
    const { session, writer } = await begin(repository, 'rp-1');
    const attempt = async () => {
      await writeChunks(writer, chunks);
      const disk = { diskId: 'd', ...(await writer.finish()) };
      await session.publish({ createdAt: 'now', disks: [disk], documents: [], content: null });
    };
    await expect(attempt()).rejects.toMatchObject({ code: 'REPOSITORY_FULL' });
    if (part !== 'manifests') await expect(session.putDocument(Buffer.from('more'))).rejects.toMatchObject({ code: 'REPOSITORY_FULL' });
    await session.abandon();
    store.onPut = () => undefined;
    expect(await manifests(repository)).toEqual([]);

    const second = await backUp(repository, 'rp-1', chunks, { capacityBytes: CAPACITY_BYTES });
    const reader = await (await workspace.reopen()).openDisk(second.ref, second.disk);
    for (const [chunkIndex, bytes] of chunks) expect((await readChunk(reader, chunkIndex)).equals(bytes)).toBe(true);
  });

  it('holds back a writer while the store is slow, in bounded memory', async () => {
    let open: () => void = () => undefined;
    const gate = new Promise<undefined>((resolve) => {
      open = () => resolve(undefined);
    });
    store.onPut = (name) => (name.includes('/packs/') ? gate : undefined);
    const { session, writer } = await begin(repository, 'rp-1');
    let done = false;
    const writing = writeChunks(writer, chunks).then(() => {
      done = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(done).toBe(false);
    open();
    await writing;
    const disk = { diskId: 'd', ...(await writer.finish()) };
    await session.publish({ createdAt: 'now', disks: [disk], documents: [], content: null });
    expect(await manifests(repository)).toEqual(['rp-1']);
  });

  /** Packs are held back from the store until `open`. */
  function heldPacks() {
    let open: () => void = () => undefined;
    const gate = new Promise<undefined>((resolve) => {
      open = () => resolve(undefined);
    });
    const first = new Promise<void>((resolve) => {
      store.onPut = (name) => {
        if (!name.includes('/packs/')) return undefined;
        resolve();
        return gate;
      };
    });
    return { first, open: () => open() };
  }

  it('goes on when a disk is given up in the middle: what it had claimed is stored, for another disk counts on it', async () => {
    const packs = heldPacks();
    const session = await repository.beginSession(ORGANIZATION, 'rp-1');
    const openDisk = (diskId: string) => session.openDisk({ diskId, capacityBytes: CAPACITY_BYTES, chunkBytes: CHUNK_BYTES });
    const bad = await openDisk('bad');
    const good = await openDisk('good');
    const stop = new AbortController();
    // As the copy of a disk does with the signal of its windows.
    setMaxListeners(0, stop.signal);
    const givenUp = expect(writeChunks(bad, chunks, stop.signal)).rejects.toThrow('the read of its disk failed');
    // All its batches were inspected before the first was sealed, and the packs hold a few of them: the rest wait for room.
    await packs.first;
    stop.abort(new Error('the read of its disk failed'));
    const writing = writeChunks(good, chunks);
    packs.open();
    await givenUp;
    await writing;
    // It has a hole.
    await expect(bad.finish()).rejects.toThrow('the read of its disk failed');
    const disk = { diskId: 'good', ...(await good.finish()) };
    const ref = await session.publish({ createdAt: 'now', disks: [disk], documents: [], content: null });
    expect(good.tally.knownChunks).toBeGreaterThan(0);
    const reader = await (await workspace.reopen()).openDisk(ref, disk);
    for (const [chunkIndex, bytes] of chunks) expect((await readChunk(reader, chunkIndex)).equals(bytes)).toBe(true);
  });

  it('lets as many batches wait on its signal as its disks bring: Node warns of no leak', async () => {
    const warned: Error[] = [];
    const onWarning = (warning: Error) => void warned.push(warning);
    process.on('warning', onWarning);
    const packs = heldPacks();
    const { signal } = new AbortController();
    const manyWait = new Promise<void>((resolve) => {
      const listen = signal.addEventListener.bind(signal);
      signal.addEventListener = (...listener: Parameters<typeof listen>) => {
        listen(...listener);
        if (getEventListeners(signal, 'abort').length > EventEmitter.defaultMaxListeners) resolve();
      };
    });
    const session = await repository.beginSession(ORGANIZATION, 'rp-1', signal);
    const writer = await session.openDisk({ diskId: 'd', capacityBytes: CAPACITY_BYTES, chunkBytes: CHUNK_BYTES });
    const writing = writeChunks(writer, chunks);
    await manyWait;
    packs.open();
    await writing;
    await session.abandon();
    process.off('warning', onWarning);
    expect(warned).toEqual([]);
  });

  it('that is cancelled stops, and its name is free again', async () => {
    const controller = new AbortController();
    const session = await repository.beginSession(ORGANIZATION, 'rp-1', controller.signal);
    const writer = await session.openDisk({ diskId: 'd', capacityBytes: CAPACITY_BYTES, chunkBytes: CHUNK_BYTES });
    await writeChunks(writer, new Map([[0, pattern('c', 0)]]));
    controller.abort();
    await expect(writeChunks(writer, chunks)).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(session.publish({ createdAt: 'now', disks: [], documents: [], content: null })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    await session.abandon();
    await session.abandon();
    expect(await manifests(repository)).toEqual([]);
    await backUp(repository, 'rp-1', chunks, { capacityBytes: CAPACITY_BYTES });
  });

  it('publishes only what it has stored, and a name only once', async () => {
    const { session, writer } = await begin(repository, 'rp-1');
    await writeChunks(writer, new Map([[0, pattern('p', 0)]]));
    const made = await writer.finish();
    const missing = { diskId: 'd', ...made, indexId: 'ab'.repeat(32) };
    const body = { createdAt: 'now', documents: [], content: null };
    await expect(session.publish({ ...body, disks: [missing] })).rejects.toThrow(/index of disk "d" is not in the repository/);
    const rival = await (await workspace.reopen()).beginSession(ORGANIZATION, 'rp-1');
    await session.publish({ ...body, disks: [{ diskId: 'd', ...made }] });
    await expect(rival.publish({ ...body, disks: [] })).rejects.toMatchObject({ code: 'RESTORE_POINT_EXISTS' });
    await expect(repository.beginSession(ORGANIZATION, 'rp-1')).rejects.toMatchObject({ code: 'RESTORE_POINT_EXISTS' });
    await expect(session.putDocument(Buffer.from('late'))).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
  });

  it('shares the organization with others at work at the same time', async () => {
    const stored = await Promise.all(
      [0, 1, 2].map(async (n) => {
        const own = new Map([...chunks, [CHUNKS + 1, pattern('own', n)]]);
        return {
          own,
          ...(await backUp(n === 2 ? await workspace.reopen() : repository, `rp-${n}`, own, { capacityBytes: CAPACITY_BYTES })),
        };
      }),
    );
    const fresh = await workspace.reopen();
    expect((await manifests(fresh)).sort()).toEqual(['rp-0', 'rp-1', 'rp-2']);
    for (const { ref, disk, own } of stored) {
      const reader = await fresh.openDisk(ref, disk);
      for (const [chunkIndex, bytes] of own) expect((await readChunk(reader, chunkIndex)).equals(bytes)).toBe(true);
    }
  });
});
