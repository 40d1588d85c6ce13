import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { FolderStore, RateLimitedStore, RetryingStore, StoreWrapper } from '../../src/repository/index.js';
import { FaultStore, type StoreFault, type StoreOperation } from './fault-store.js';
import { failsAlike, listed, rejects } from './store-assertions.js';
import { STORE_CONFORMANCE, type StoreUnderTest } from './store-conformance.js';

const RETRIES = { attempts: 12, baseDelayMs: 1, maxDelayMs: 4, deadlineMs: 30_000, log: silentLogger };
const FAST = { uploadBytesPerSecond: 2 ** 32, downloadBytesPerSecond: 2 ** 32 };

let folder: string;
let plain: FolderStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vapp-vault-store-wrappers-'));
  plain = await FolderStore.open(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe.each([
  ['a wrapper that changes nothing', (inner: FolderStore) => new StoreWrapper(inner)],
  ['the rate limit', (inner: FolderStore) => new RateLimitedStore(inner, FAST)],
  ['retries over a store that fails at every fourth call', (inner: FolderStore) => new RetryingStore(FaultStore.flaky(inner, 4), RETRIES)],
] as const)('%s', (_, wrap) => {
  let place: string;
  let subject: StoreUnderTest;
  // For each test: which call is a flaky store's fourth must not depend on how the tests before it interleaved.
  beforeEach(async () => {
    place = await mkdtemp(join(tmpdir(), 'vapp-vault-store-wrapped-'));
    subject = { store: wrap(await FolderStore.open(place)), reopen: async () => wrap(await FolderStore.open(place)), largeBytes: 1 << 20 };
  });
  afterEach(() => rm(place, { recursive: true, force: true }));

  for (const { name, run } of STORE_CONFORMANCE) it(name, () => run(subject));
});

/** The fault at the first call of this kind only. */
function once(operation: StoreOperation, fault: StoreFault): FaultStore {
  const store = new FaultStore(plain);
  let left = 1;
  store.fault = (asked) => (asked === operation && left-- > 0 ? fault : undefined);
  return store;
}

describe('RetryingStore', () => {
  it('knows its own put again when the answer was lost, and a stranger from it', async () => {
    const inner = once('put', { lostAnswer: true });
    const store = new RetryingStore(inner, RETRIES);
    await store.put('a', [Buffer.from('my'), Buffer.from('self')], { ifAbsent: true });
    expect(inner.calls.filter(({ operation }) => operation === 'put')).toHaveLength(2);
    expect((await plain.get('a')).toString()).toBe('myself');

    await plain.put('b', Buffer.from('theirs'));
    const late = new RetryingStore(once('put', { fail: 'timeout' }), RETRIES);
    await rejects(late.put('b', Buffer.from('mine!!'), { ifAbsent: true }), 'BLOB_EXISTS');
    // Without a failure before it, equal bytes are somebody else's all the same.
    await rejects(new RetryingStore(plain, RETRIES).put('b', Buffer.from('theirs'), { ifAbsent: true }), 'BLOB_EXISTS');
  });

  it('calls a deletion done whose answer was lost', async () => {
    await plain.put('a', Buffer.from('x'));
    await new RetryingStore(once('delete', { lostAnswer: true }), RETRIES).delete('a');
    expect(await plain.size('a')).toBeUndefined();
    await rejects(new RetryingStore(plain, RETRIES).delete('a'), 'BLOB_NOT_FOUND');
  });

  it('goes on with a listing that broke off, without a name twice', async () => {
    for (const name of ['l/1', 'l/2', 'l/3', 'l/4']) await plain.put(name, Buffer.from(name));
    expect(await listed(new RetryingStore(once('list', { lostAnswer: true }), RETRIES), 'l/')).toEqual(['l/1', 'l/2', 'l/3', 'l/4']);
  });

  it('reads again what came cut short', async () => {
    await plain.put('a', Buffer.from('0123456789'));
    expect((await new RetryingStore(once('get', { tornAtByte: 3 }), RETRIES).get('a')).toString()).toBe('0123456789');
  });

  it('gives up at its number of tries, and at once where waiting does not help', async () => {
    const faulty = new FaultStore(plain);
    const store = new RetryingStore(faulty, { ...RETRIES, attempts: 3 });
    faulty.fault = () => ({ fail: 'unreachable' });
    await failsAlike(store, { code: 'REPOSITORY_UNREACHABLE', retryable: true });
    expect(faulty.calls).toHaveLength(6 * 3);
    for (const [kind, code] of [
      ['full', 'REPOSITORY_FULL'],
      ['read-only', 'REPOSITORY_READ_ONLY'],
      ['denied', 'REPOSITORY_DENIED'],
    ] as const) {
      faulty.calls.length = 0;
      faulty.fault = () => ({ fail: kind });
      await failsAlike(store, { code, retryable: false });
      expect(faulty.calls).toHaveLength(6);
    }
  });

  it('begins no try after its deadline, and stops when it is told to', async () => {
    const faulty = new FaultStore(plain);
    faulty.fault = () => ({ fail: 'timeout' });
    const store = new RetryingStore(faulty, {
      ...RETRIES,
      attempts: 1000,
      baseDelayMs: 3_600_000,
      maxDelayMs: 3_600_000,
      deadlineMs: 1000,
    });
    await rejects(store.get('a'), 'REPOSITORY_TIMEOUT');
    expect(faulty.calls).toHaveLength(1);
    const patient = new RetryingStore(faulty, { ...RETRIES, baseDelayMs: 3_600_000, maxDelayMs: 3_600_000, deadlineMs: 10_000_000 });
    const controller = new AbortController();
    const getting = patient.get('a', undefined, controller.signal);
    const listing = listed(patient, '', controller.signal);
    listing.catch(() => undefined);
    setTimeout(() => controller.abort(), 20);
    await rejects(getting, 'CANCELLED');
    await rejects(listing, 'CANCELLED');
  });
});

describe('RateLimitedStore', () => {
  // Only lower bounds: a slow machine is slower.
  it('lets through what its rate allows, each way by itself', async () => {
    const store = new RateLimitedStore(plain, { uploadBytesPerSecond: 1_000_000, downloadBytesPerSecond: 2_000_000 });
    const part = Buffer.alloc(100_000);
    let startMs = performance.now();
    await Promise.all(['a', 'b', 'c', 'd'].map((name) => store.put(name, part)));
    expect(performance.now() - startMs).toBeGreaterThan(290);
    startMs = performance.now();
    await store.get('a');
    await store.get('b', { offset: 0, length: 100_000 });
    await store.get('c');
    await store.get('d');
    expect(performance.now() - startMs).toBeGreaterThan(140);
  });

  it('is left at once by who is told to stop', async () => {
    const store = new RateLimitedStore(plain, { uploadBytesPerSecond: 1 });
    await store.put('a', Buffer.alloc(10_000));
    const controller = new AbortController();
    const putting = store.put('b', Buffer.alloc(1), { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await rejects(putting, 'CANCELLED');
    expect(() => new RateLimitedStore(plain, { uploadBytesPerSecond: 0 })).toThrow(RangeError);
  });
});

describe('FaultStore', () => {
  it('loses at a power failure what was not durable, and nothing else', async () => {
    const store = new FaultStore(plain);
    await store.put('before', Buffer.from('1'));
    store.cacheWrites();
    await store.put('synced', Buffer.from('2'));
    await store.sync();
    for (const name of ['x', 'y', 'z']) await store.put(name, Buffer.from(name), { ifAbsent: true });
    await rejects(store.put('x', Buffer.from('again'), { ifAbsent: true }), 'BLOB_EXISTS');
    expect(await listed(store, '')).toEqual(['before', 'synced', 'x', 'y', 'z']);
    expect((await store.get('y')).toString()).toBe('y');
    await store.losePower((name) => name === 'y');
    await rejects(store.get('before'), 'REPOSITORY_UNREACHABLE');
    expect(await listed(plain, '')).toEqual(['before', 'synced', 'y']);
  });
});
