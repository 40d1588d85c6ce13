import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { type DiskIndexRef, Repository } from '../../src/repository/index.js';
import { flip, recordOffset } from './damage.js';
import {
  backUp,
  CHUNK_BYTES,
  makeWorkspace,
  names,
  ORGANIZATION,
  OTHER_ORGANIZATION,
  pattern,
  readChunk,
  type StoredDisk,
  writeChunks,
  type Workspace,
} from './fixture.js';

const TIB = 2 ** 40;
const PAGE = 4096;

let workspace: Workspace;
beforeEach(async () => {
  workspace = await makeWorkspace({ packTargetBytes: 512 * 1024 });
});
afterEach(() => workspace.remove());

describe('a disk in the repository', () => {
  it('comes back byte for byte from 62 TiB, short last chunk included', async () => {
    const capacityBytes = 62 * TIB + 1536;
    const last = (62 * TIB) / CHUNK_BYTES;
    const chunks = new Map(
      [0, 2 ** 31 / CHUNK_BYTES, (2 * TIB) / CHUNK_BYTES, (2 * TIB) / CHUNK_BYTES + 1, last - 1].map((i) => [i, pattern('d', i)]),
    );
    chunks.set(last, pattern('d', last, 1536));
    const { ref, disk } = await backUp(workspace.repository, 'rp-1', chunks, { capacityBytes });

    const reader = await (await workspace.reopen()).openDisk(ref, disk);
    const listed: number[] = [];
    for await (const page of reader.dataChunks()) listed.push(...page);
    expect(listed).toEqual([...chunks.keys()]);
    for (const [chunkIndex, bytes] of chunks) expect((await readChunk(reader, chunkIndex)).equals(bytes)).toBe(true);
    expect((await readChunk(reader, 7)).every((byte) => byte === 0)).toBe(true);
  });

  it('fills one read from many packs, out of order, with zeros between, and repeats', async () => {
    const chunks = new Map(Array.from({ length: 40 }, (_, i) => [i * 2, i % 3 === 0 ? randomBytes(CHUNK_BYTES) : pattern('m', i)]));
    const { ref, disk } = await backUp(workspace.repository, 'rp-1', chunks, { capacityBytes: 80 * CHUNK_BYTES });
    expect((await names(workspace.store, 'orgs/')).filter((name) => name.includes('/packs/')).length).toBeGreaterThan(1);
    const reader = await (await workspace.reopen()).openDisk(ref, disk);
    const order = [78, 1, 0, 40, 41, 2, 0, 13, 76];
    const memory = Buffer.alloc(order.length * CHUNK_BYTES, 0xee);
    await reader.read(
      memory,
      order.map((chunkIndex, i) => ({ chunkIndex, offset: i * CHUNK_BYTES })),
    );
    order.forEach((chunkIndex, i) => {
      const expected = chunks.get(chunkIndex) ?? Buffer.alloc(CHUNK_BYTES);
      expect(memory.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES).equals(expected)).toBe(true);
    });
  });

  it('survives chunks in any order over more pages than are held in memory', async () => {
    const pages = 80;
    const chunks = new Map<number, Buffer>();
    for (const round of [0, 1, 2])
      for (let page = 0; page < pages; page += 1) chunks.set(((page * 37) % pages) * PAGE + round * 9, pattern('any', page * 3 + round));
    const session = await workspace.repository.beginSession(ORGANIZATION, 'rp-1');
    const writer = await session.openDisk({ diskId: 'd', capacityBytes: pages * PAGE * CHUNK_BYTES, chunkBytes: CHUNK_BYTES });
    const list = [...chunks];
    for (let at = 0; at < list.length; at += 60) await writeChunks(writer, new Map(list.slice(at, at + 60)));
    const disk = { diskId: 'd', ...(await writer.finish()) };
    const ref = await session.publish({ createdAt: 'now', disks: [disk], documents: [], content: null });
    const reader = await (await workspace.reopen()).openDisk(ref, disk);
    const listed: number[] = [];
    for await (const page of reader.dataChunks()) listed.push(...page);
    expect(listed).toEqual([...chunks.keys()].sort((a, b) => a - b));
    for (const [chunkIndex, bytes] of list.slice(0, 90)) expect((await readChunk(reader, chunkIndex)).equals(bytes)).toBe(true);
  });

  it('records zero chunks and never stores them', async () => {
    const chunks = new Map([
      [0, Buffer.alloc(CHUNK_BYTES)],
      [1, pattern('z', 1)],
    ]);
    const { tally, ref, disk } = await backUp(workspace.repository, 'rp-1', chunks);
    expect(tally).toMatchObject({ chunks: 2, zeroChunks: 1, newChunks: 1, knownChunks: 0, newBytes: CHUNK_BYTES });
    expect(tally.storedBytes).toBeGreaterThan(56);
    const reader = await workspace.repository.openDisk(ref, disk);
    expect((await readChunk(reader, 0)).every((byte) => byte === 0)).toBe(true);
  });

  it('reads scattered chunks of many packs at once, and names the one that is damaged', async () => {
    let base: DiskIndexRef | undefined;
    let last: StoredDisk | undefined;
    const chunks = new Map(Array.from({ length: 6 }, (_, i) => [i, pattern('scattered', i)]));
    for (const [i, bytes] of chunks) {
      last = await backUp(workspace.repository, `rp-${i}`, new Map([[i, bytes]]), base && { base });
      base = last.disk;
    }
    const { ref, disk } = last as StoredDisk;
    const memory = Buffer.alloc(6 * CHUNK_BYTES, 0xee);
    const wanted = [...chunks.keys()].map((chunkIndex) => ({ chunkIndex, offset: (5 - chunkIndex) * CHUNK_BYTES }));
    await (await (await workspace.reopen()).openDisk(ref, disk)).read(memory, wanted);
    expect(memory.equals(Buffer.concat([...chunks.values()].reverse()))).toBe(true);

    const packs = (await names(workspace.store, 'orgs/')).filter((name) => name.includes('/packs/'));
    expect(packs).toHaveLength(6);
    // The first record of each pack is its chunk.
    const pack = packs[3] as string;
    await flip(join(workspace.folder, pack), (bytes) => recordOffset(bytes, 0) + 70);
    const reader = await (await workspace.reopen()).openDisk(ref, disk);
    memory.fill(0xee);
    await expect(reader.read(memory, wanted)).rejects.toMatchObject({
      code: 'CHUNK_DAMAGED',
      details: { packId: pack.split('/').at(-1), damagedRecords: 1 },
    });
  });

  it('refuses what is not a whole chunk of this disk, and a base of another shape', async () => {
    const session = await workspace.repository.beginSession(ORGANIZATION, 'rp-1');
    const writer = await session.openDisk({ diskId: 'd', capacityBytes: 3 * CHUNK_BYTES + 512, chunkBytes: CHUNK_BYTES });
    const memory = Buffer.alloc(2 * CHUNK_BYTES, 7);
    for (const chunk of [
      { chunkIndex: 4, offset: 0, length: CHUNK_BYTES },
      { chunkIndex: -1, offset: 0, length: CHUNK_BYTES },
      { chunkIndex: 0.5, offset: 0, length: CHUNK_BYTES },
      { chunkIndex: 0, offset: CHUNK_BYTES + 1, length: CHUNK_BYTES },
      { chunkIndex: 0, offset: 0, length: 512 },
      { chunkIndex: 3, offset: 0, length: CHUNK_BYTES },
    ]) {
      await expect(writer.write(memory, [chunk])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    expect(() => writer.zero(2, 3)).toThrow(/has 4 chunks/);
    await writer.write(memory, [{ chunkIndex: 3, offset: 0, length: 512 }]);
    const disk = await writer.finish();
    await expect(writer.write(memory, [])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await session.flush();
    const grown = { diskId: 'd', capacityBytes: 4 * CHUNK_BYTES, chunkBytes: CHUNK_BYTES, base: disk };
    await expect(session.openDisk(grown)).rejects.toMatchObject({ code: 'BASE_MISMATCH' });
    await expect(session.openDisk({ diskId: 'd', capacityBytes: 1, chunkBytes: 3000 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await session.abandon();
    await expect(session.flush()).rejects.toThrow(/abandoned/);
  });
});

describe('an incremental restore point', () => {
  it('takes the rest from its base, shares its pages, and is whole by itself', async () => {
    const capacityBytes = 3 * PAGE * CHUNK_BYTES;
    const first = new Map([5, 6, 7, PAGE + 1, 2 * PAGE + 2].map((i) => [i, pattern('one', i)]));
    const full = await backUp(workspace.repository, 'rp-1', first, { capacityBytes });

    const repository = await workspace.reopen();
    const session = await repository.beginSession(ORGANIZATION, 'rp-2');
    const writer = await session.openDisk({ diskId: 'disk-2000', capacityBytes, chunkBytes: CHUNK_BYTES, base: full.disk });
    await writeChunks(writer, new Map([[6, pattern('two', 6)]]));
    writer.zero(7, 2);
    writer.zero(2 * PAGE, PAGE);
    const disk = { diskId: 'disk-2000', ...(await writer.finish()) };
    const ref = await session.publish({ createdAt: 'now', disks: [disk], documents: [], content: null });
    expect(writer.tally).toMatchObject({ chunks: 3 + PAGE, zeroChunks: 2 + PAGE, newChunks: 1 });
    await repository.deleteManifest(full.ref);

    const reader = await (await workspace.reopen()).openDisk(ref, disk);
    const listed: number[] = [];
    for await (const page of reader.dataChunks()) listed.push(...page);
    expect(listed).toEqual([5, 6, PAGE + 1]);
    expect((await readChunk(reader, 5)).equals(pattern('one', 5))).toBe(true);
    expect((await readChunk(reader, 6)).equals(pattern('two', 6))).toBe(true);
    expect((await readChunk(reader, PAGE + 1)).equals(pattern('one', PAGE + 1))).toBe(true);
  });

  it('that changes nothing has the same index and stores nothing', async () => {
    const chunks = new Map([1, 2, 3].map((i) => [i, pattern('same', i)]));
    const full = await backUp(workspace.repository, 'rp-1', chunks);
    const before = await names(workspace.store, 'orgs/');
    const again = await backUp(workspace.repository, 'rp-2', new Map([[2, pattern('same', 2)]]), { base: full.disk });
    expect(again.disk.indexId).toBe(full.disk.indexId);
    expect(again.tally).toMatchObject({ newChunks: 0, knownChunks: 1, storedBytes: 0 });
    expect((await names(workspace.store, 'orgs/')).length).toBe(before.length + 1);
  });
});

describe('deduplication', () => {
  it('stores a chunk once, across disks, restore points, calls in flight and restarts', async () => {
    const session = await workspace.repository.beginSession(ORGANIZATION, 'rp-1');
    const writers = await Promise.all(
      ['a', 'b', 'c'].map((diskId) => session.openDisk({ diskId, capacityBytes: 8 * CHUNK_BYTES, chunkBytes: CHUNK_BYTES })),
    );
    await Promise.all(writers.flatMap((writer) => [0, 3].map((i) => writeChunks(writer, new Map([[i, pattern('shared', 1)]])))));
    const disks = await Promise.all(writers.map(async (writer, i) => ({ diskId: 'abc'[i] as string, ...(await writer.finish()) })));
    await session.publish({ createdAt: 'now', disks, documents: [], content: null });
    expect(writers.reduce((sum, writer) => sum + writer.tally.newChunks, 0)).toBe(1);
    expect(writers.reduce((sum, writer) => sum + writer.tally.knownChunks, 0)).toBe(5);

    const { tally } = await backUp(await workspace.reopen(), 'rp-2', new Map([[6, pattern('shared', 1)]]));
    expect(tally).toMatchObject({ newChunks: 0, knownChunks: 1 });
  });

  it('never reaches from one organization into another', async () => {
    const chunks = new Map([[2, pattern('same plaintext', 2)]]);
    const one = await backUp(workspace.repository, 'rp-1', chunks);
    const two = await backUp(workspace.repository, 'rp-1', chunks, { organizationId: OTHER_ORGANIZATION });
    expect(two.tally).toMatchObject({ newChunks: 1, knownChunks: 0 });
    expect(two.disk.indexId).not.toBe(one.disk.indexId);
    await expect(workspace.repository.openDisk(two.ref, one.disk)).rejects.toMatchObject({ code: 'INDEX_MISSING' });
    const refs = [];
    for await (const ref of (await workspace.reopen()).listManifests()) refs.push(ref);
    expect(refs).toHaveLength(2);
    expect(refs).toEqual(expect.arrayContaining([one.ref, two.ref]));
  });
});

describe('Repository', () => {
  it('keeps documents and the manifest as they were given, and deletes a restore point at once', async () => {
    const session = await workspace.repository.beginSession(ORGANIZATION, 'rp-1');
    const document = Buffer.from('<vm:NVRAM/>\0'.repeat(9999));
    const nothing = Buffer.alloc(8192);
    const documents = [await session.putDocument(document), await session.putDocument(nothing)];
    await expect(session.putDocument(Buffer.alloc(0))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const ref = await session.publish({ createdAt: '2026-11-21T10:00:00Z', disks: [], documents, content: { name: 'shöp', n: 2 ** 41 } });
    const repository = await workspace.reopen();
    const manifest = await repository.readManifest(ref);
    expect(manifest).toMatchObject({
      ...ref,
      formatVersion: 1,
      createdAt: '2026-11-21T10:00:00Z',
      documents,
      content: { name: 'shöp', n: 2 ** 41 },
    });
    expect((await repository.readDocument(ref, documents[0] as string)).equals(document)).toBe(true);
    expect((await repository.readDocument(ref, documents[1] as string)).equals(nothing)).toBe(true);
    await repository.deleteManifest(ref);
    await expect(repository.readManifest(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
    await expect(repository.deleteManifest(ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
  });

  it('says what is wrong when opened wrongly', async () => {
    const options = { store: workspace.store, masterKey: randomBytes(32), log: silentLogger };
    await expect(Repository.open(options)).rejects.toMatchObject({ code: 'WRONG_MASTER_KEY' });
    await expect(Repository.create(options)).rejects.toMatchObject({ code: 'REPOSITORY_EXISTS' });
    await expect(Repository.open({ ...options, masterKey: Buffer.alloc(16) })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const description = JSON.parse((await workspace.store.get('repository.json')).toString());
    await workspace.store.put('repository.json', Buffer.from(JSON.stringify({ ...description, formatVersion: 2 })));
    await expect(workspace.reopen()).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
    await workspace.store.put('repository.json', Buffer.from('{"for'));
    await expect(workspace.reopen()).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
    await workspace.store.delete('repository.json');
    await expect(workspace.reopen()).rejects.toMatchObject({ code: 'REPOSITORY_NOT_FOUND' });
    await expect(workspace.repository.readManifest({ organizationId: 'urn:x', restorePointId: 'rp-1' })).rejects.toMatchObject({
      code: 'ORGANIZATION_KEY_MISSING',
    });
    await expect(workspace.repository.beginSession(ORGANIZATION, '../x')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('is made once when two workers start together, with one key an organization', async () => {
    await workspace.store.delete('repository.json');
    const options = { store: workspace.store, masterKey: workspace.masterKey, log: silentLogger };
    const both = await Promise.all([Repository.openOrCreate(options), Repository.openOrCreate(options)]);
    expect(both[0].repositoryId).toBe(both[1].repositoryId);
    const chunks = new Map([[0, pattern('k', 0)]]);
    const stored = await Promise.all(both.map((repository, i) => backUp(repository, `rp-${i}`, chunks)));
    expect(stored[0]?.disk.indexId).toBe(stored[1]?.disk.indexId);
    await both[0].check();
    expect((await both[0].usage()).packBytes).toBeGreaterThan(0);
    expect(await names(workspace.store, 'probe/')).toEqual([]);
  });
});
