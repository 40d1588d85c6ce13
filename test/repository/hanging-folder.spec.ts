/**
 * A folder whose file system does not answer: an NFS server that went away behind a hard mount, a disk in the middle of dying. No call can be
 * taken back there; what the store owes its callers all the same is in src/repository/types.ts.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { setMaxListeners } from 'node:events';
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CancelledError, silentLogger } from '../../src/common/index.js';
import { allocatePages } from '../../src/native/index.js';
import { type BlobRange, type BlobStore, FolderStore, type ManifestRef, Repository, StoreWrapper } from '../../src/repository/index.js';
import { CALL_LIMITS, callsAtOnce } from '../../src/repository/stores/folder-calls.js';
import { ORGANIZATION } from './fixture.js';
import { HangingFiles } from './hanging-files.js';
import { backUpImage, expectImage, imageOf, SMALL_CHUNK_BYTES } from './harmed-repository.js';

const MIB = 1024 * 1024;
const LONGEST_MS = CALL_LIMITS.syncMs + 60_000;
/** Whatever the machine that tests says of its threads. */
const LIMITS = { ...CALL_LIMITS, callsAtOnce: 8 };

let folder: string;
let root: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vapp-vault-hanging-'));
  root = join(folder, 'repository');
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(folder, { recursive: true, force: true });
});

async function drained(entries: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of entries);
}

type Call = (store: BlobStore, signal?: AbortSignal) => Promise<unknown>;

/** Every call of a store, with the calls of a file system that it may hang in. */
const CALLS: [string, string[], Call][] = [
  ['put', ['stat', 'open', 'write', 'datasync'], (store, signal) => store.put('a/new', Buffer.from('new'), { signal })],
  [
    'put once',
    ['stat', 'statfs', 'mkdir'],
    (store, signal) => store.put('c/new', Buffer.from('new'), { ifAbsent: true, leaveFreeBytes: 1, signal }),
  ],
  ['get', ['open', 'stat', 'read'], (store, signal) => store.get('a/b', undefined, signal)],
  ['get a range', ['open', 'read'], (store, signal) => store.get('a/b', { offset: 1, length: 2 }, signal)],
  ['size', ['stat'], (store, signal) => store.size('a/b', signal)],
  ['list', ['stat', 'readdir'], (store, signal) => drained(store.list('a/', signal))],
  ['delete', ['unlink', 'open', 'sync'], (store, signal) => store.delete('a/b', signal)],
  ['freeBytes', ['statfs'], (store, signal) => store.freeBytes(signal)],
];
const NAMING: [string, string, Call][] = [
  ['put', 'rename', (store, signal) => store.put('a/new', Buffer.from('new'), { signal })],
  ['put', 'sync', (store, signal) => store.put('a/new', Buffer.from('new'), { signal })],
  ['put once', 'link', (store, signal) => store.put('a/new', Buffer.from('new'), { ifAbsent: true, signal })],
];
const EACH = CALLS.flatMap(([name, kinds, call]) => kinds.map((kind): [string, string, Call] => [name, kind, call]));

describe('a folder that does not answer', () => {
  let files: HangingFiles;
  let store: FolderStore;
  beforeEach(async () => {
    files = new HangingFiles();
    store = await FolderStore.open(root, files.files, LIMITS);
    await store.put('a/b', Buffer.from('kept'));
    await store.close();
  });
  afterEach(() => files.recover());

  const fakeTimers = () => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const temporaries = () => readdir(join(root, '.tmp'));

  it.each([...EACH, ...NAMING])(
    '%s, where %s hangs, ends by its limit; until there is an answer nothing more is asked',
    async (_name, kind, call) => {
      fakeTimers();
      files.hangs = (asked) => asked === kind;
      const ended = expect(call(store)).rejects.toMatchObject({
        code: 'REPOSITORY_TIMEOUT',
        retryable: true,
        message: expect.stringMatching(
          /repository folder .+ could not be \w+: the file system did not answer within \d+ s; check its disk, or the server it is mounted from$/,
        ),
      });
      await files.hanging();
      await vi.advanceTimersByTimeAsync(LONGEST_MS);
      await ended;
      const { length: asked } = files.begun;
      const refused = {
        code: 'REPOSITORY_TIMEOUT',
        retryable: true,
        message: expect.stringContaining('still owes the answer to an earlier call'),
      };
      for (const [, , other] of CALLS) await expect(other(store)).rejects.toMatchObject(refused);
      // Who opens it anew asks the same file system.
      await expect(FolderStore.open(root, files.files, LIMITS)).rejects.toMatchObject(refused);
      expect(files.begun.length).toBe(asked);

      vi.useRealTimers();
      files.recover();
      await vi.waitFor(() => store.freeBytes(), { timeout: 60_000 });
      await vi.waitFor(async () => expect([await temporaries(), files.openHandles]).toEqual([[], 0]), { timeout: 60_000 });
    },
  );

  it.each(EACH)('%s, where %s hangs, hears its signal at once', async (_name, kind, call) => {
    files.hangs = (asked) => asked === kind;
    const controller = new AbortController();
    const ended = expect(call(store, controller.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
    await files.hanging();
    controller.abort();
    await ended;
    files.recover();
    await vi.waitFor(async () => expect([await temporaries(), files.openHandles]).toEqual([[], 0]), { timeout: 60_000 });
    // What was given up before it had a name never gets one.
    expect([await store.size('a/new'), await store.size('c/new')]).toEqual([undefined, undefined]);
  });

  it.each(NAMING)('%s, where %s hangs, hears its signal a moment later: what happened should be known', async (_name, kind, call) => {
    fakeTimers();
    for (const answersInTime of [true, false]) {
      files.hangs = (asked) => asked === kind;
      const controller = new AbortController();
      const ended = call(store, controller.signal).then(
        () => 'put',
        (error: { code: string }) => error.code,
      );
      await files.hanging();
      controller.abort();
      if (answersInTime) files.recover();
      else await vi.advanceTimersByTimeAsync(10_000);
      expect(await ended).toBe(answersInTime ? 'put' : 'CANCELLED');
      if (answersInTime) await store.delete('a/new');
    }
  });

  it('gives a put that was given up no name, whatever becomes of its memory', async () => {
    for (const kind of ['write', 'datasync'])
      for (const aligned of [true, false]) {
        const memory = aligned ? allocatePages(2 * MIB) : Buffer.allocUnsafeSlow(2 * MIB);
        memory.fill(1);
        fakeTimers();
        files.hangs = (asked) => asked === kind;
        const ended = expect(store.put('pack', memory, { ifAbsent: true })).rejects.toMatchObject({ code: 'REPOSITORY_TIMEOUT' });
        await files.hanging();
        await vi.advanceTimersByTimeAsync(LONGEST_MS);
        await ended;
        vi.useRealTimers();
        memory.fill(2);
        files.recover();
        await vi.waitFor(async () => expect([await temporaries(), files.openHandles]).toEqual([[], 0]), { timeout: 60_000 });
        expect(await store.size('pack')).toBeUndefined();
      }
    await store.put('pack', Buffer.alloc(2 * MIB, 3), { ifAbsent: true });
    expect((await store.get('pack')).equals(Buffer.alloc(2 * MIB, 3))).toBe(true);
  });

  it('gives what moves much more time than what moves little', async () => {
    fakeTimers();
    files.hangs = (asked) => asked === 'write';
    let isOver = false;
    const put = store.put('pack', Buffer.alloc(32 * MIB)).catch(() => {
      isOver = true;
    });
    await files.hanging();
    await vi.advanceTimersByTimeAsync(LIMITS.answerMs + 120_000);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(60_000);
    await put;
    expect(isOver).toBe(true);
  });

  it('has no more calls before it than its share, however many are asked of it and given up', async () => {
    const narrow = await FolderStore.open(root, files.files, { ...LIMITS, callsAtOnce: 3 });
    files.hangs = (asked) => asked === 'stat';
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    const all = Array.from({ length: 20 }, () => narrow.size('a/b', controller.signal));
    await files.hanging(3);
    controller.abort();
    for (const { status } of await Promise.allSettled(all)) expect(status).toBe('rejected');
    for (let round = 0; round < 20; round += 1) await expect(narrow.size('a/b', AbortSignal.abort())).rejects.toThrow();
    expect(files.held.size).toBe(3);
    files.recover();
    expect(await narrow.size('a/b')).toBe(4);
  });

  it('deletes and names nothing any more for somebody who gave up while other calls hung', async () => {
    const narrow = await FolderStore.open(root, files.files, { ...LIMITS, callsAtOnce: 1 });
    files.hangs = (asked) => asked === 'statfs';
    const free = narrow.freeBytes();
    await files.hanging();
    const controller = new AbortController();
    const deleted = narrow.delete('a/b', controller.signal);
    controller.abort();
    await expect(deleted).rejects.toMatchObject({ code: 'CANCELLED' });
    files.recover();
    await free;
    expect(await narrow.size('a/b')).toBe(4);
  });

  it('leaves threads to the rest of the process', () => {
    expect([1, 2, 4, 8, 16, 1024].map(callsAtOnce)).toEqual([1, 1, 3, 3, 6, 384]);
    expect(callsAtOnce(Number('many'))).toBe(3);
  });
});

describe('a folder whose calls are stuck in the kernel', () => {
  it('keeps no thread from the names of the network, and ends when it is told to', async () => {
    const store = await FolderStore.open(root);
    await store.put('x', Buffer.from('1'));
    // Opening a pipe that nobody writes to takes a thread until somebody does.
    const pipe = join(root, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    const reads = Array.from({ length: 12 }, () => store.get('pipe', undefined, controller.signal));
    const ended = Promise.allSettled(reads);
    try {
      expect((await lookup('localhost')).address).toMatch(/^(127\.|::1$)/);
      controller.abort();
      for (const outcome of await ended) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'CANCELLED' } });
    } finally {
      controller.abort();
      // Those who wait for a writer go on; those who come later find no pipe.
      let writer: number | undefined;
      await vi.waitFor(() => (writer = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK)), { timeout: 60_000 });
      unlinkSync(pipe);
      closeSync(writer as number);
    }
    expect((await store.get('x')).toString()).toBe('1');
    await store.close();
  });
});

describe('a repository in a folder that does not answer', () => {
  const masterKey = randomBytes(32);
  const image = imageOf('kept');
  const ref: ManifestRef = { organizationId: ORGANIZATION, restorePointId: 'rp-1' };
  const options = { masterKey, log: silentLogger, packTargetBytes: 24 * 1024 };

  it.each([
    ['a pack', (kind: string, path: string) => kind === 'write' && path.includes('.tmp')],
    ['everything', () => true],
  ])('abandons a cancelled backup all the same, where %s hangs', async (_what, hangs) => {
    const files = new HangingFiles();
    const store = await FolderStore.open(root, files.files, LIMITS);
    const repository = await Repository.create({ ...options, store, chunkBytes: SMALL_CHUNK_BYTES });
    await backUpImage(repository, ORGANIZATION, 'rp-1', image);
    const cancel = new AbortController();
    const session = await repository.beginSession(ORGANIZATION, 'rp-2', cancel.signal);
    const writer = await session.openDisk({ diskId: 'd', capacityBytes: image.length, chunkBytes: SMALL_CHUNK_BYTES });
    const more = imageOf('more');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    files.hangs = hangs;
    await writer.write(more, [{ chunkIndex: 0, offset: 0, length: SMALL_CHUNK_BYTES }]);
    const flushed = session.flush(cancel.signal);
    await files.hanging();
    cancel.abort();
    await expect(flushed).rejects.toMatchObject({ code: 'CANCELLED' });
    const abandoned = session.abandon();
    await vi.advanceTimersByTimeAsync(90_000);
    await abandoned;
    vi.useRealTimers();
    files.recover();
    await vi.waitFor(async () => expect([await readdir(join(root, '.tmp')), files.openHandles]).toEqual([[], 0]), { timeout: 60_000 });
    await expectImage(await Repository.open({ ...options, store: await FolderStore.open(root) }), ref, image);
    await backUpImage(repository, ORGANIZATION, 'rp-2', more);
    await expectImage(await Repository.open({ ...options, store: await FolderStore.open(root) }), { ...ref, restorePointId: 'rp-2' }, more);
  });

  it('uses no memory again that a read which was given up may still be put into', async () => {
    const given: ArrayBufferLike[] = [];
    let hangs = false;
    class Reading extends StoreWrapper {
      override async get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
        if (range?.into) given.push(range.into.buffer);
        if (!range?.into || !hangs) return super.get(name, range, signal);
        return new Promise((_, reject) => {
          if (signal?.aborted) reject(new CancelledError());
          signal?.addEventListener('abort', () => reject(new CancelledError()));
        });
      }
    }
    const store = new Reading(await FolderStore.open(root));
    const repository = await Repository.create({ ...options, store, chunkBytes: SMALL_CHUNK_BYTES });
    await backUpImage(repository, ORGANIZATION, 'rp-1', image);
    const { disks } = await repository.readManifest(ref);
    const reader = await repository.openDisk(ref, disks[0] as (typeof disks)[number]);
    const memory = Buffer.alloc(SMALL_CHUNK_BYTES);
    const read = (signal?: AbortSignal) => reader.read(memory, [{ chunkIndex: 0, offset: 0 }], signal);
    await read();

    hangs = true;
    given.length = 0;
    const controller = new AbortController();
    const ended = expect(read(controller.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
    await vi.waitFor(() => expect(given).toHaveLength(1), { timeout: 60_000 });
    controller.abort();
    await ended;
    hangs = false;
    await read();
    expect(memory.equals(image.subarray(0, SMALL_CHUNK_BYTES))).toBe(true);
    expect(given).toHaveLength(2);
    expect(given[1]).not.toBe(given[0]);
    // Memory of a read that was answered is used again.
    await read();
    expect(given[2]).toBe(given[1]);
  });
});
