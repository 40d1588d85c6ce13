import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { CollectorLock } from '../../src/repository/gc-lock.js';
import { type BlobEntry, type BlobStore, Repository, StoreWrapper } from '../../src/repository/index.js';
import { backUp, CHUNK_BYTES, names, pattern } from './fixture.js';
import { FaultStore } from './fault-store.js';
import { MemoryStore } from './memory-store.js';

const MINUTE_MS = 60_000;
const EXPIRY_MS = 15 * MINUTE_MS;
const LOCK = 'orgs/o/gc/lock';

let memory: MemoryStore;
beforeEach(() => {
  // The time of the machine and that of the store, in which nothing moves but what a test moves.
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
  memory = new MemoryStore();
});
afterEach(() => void vi.useRealTimers());

function pass(minutes: number): Promise<unknown> {
  return vi.advanceTimersByTimeAsync(minutes * MINUTE_MS);
}

/** As when a machine is suspended: time goes on, and nobody is told. */
function standStill(minutes: number): void {
  vi.setSystemTime(Date.now() + minutes * MINUTE_MS);
}

const take = (store: BlobStore = memory) => CollectorLock.take(store, 'orgs/o/', { expiryMs: EXPIRY_MS });
const renewedAt = () => memory.objects.get(LOCK)?.modifiedAt.getTime();

describe("a collector's lock", () => {
  it('is renewed while it is held, also by who asks nothing, and no more when it is released', async () => {
    const lock = await take();
    await pass(20);
    expect(renewedAt()).toBe(Date.now());
    await expect(take()).rejects.toMatchObject({ code: 'GC_RUNNING' });
    await lock.hold();
    await lock.release();
    expect(vi.getTimerCount()).toBe(0);
    expect(await names(memory, '')).toEqual([]);
  });

  it('outlasts renewals that fail, as long as half its time, and not longer', async () => {
    const store = new FaultStore(memory);
    const lock = await take(store);
    const failing = () => {
      store.fault = (_operation, name) => (name === LOCK ? { fail: 'unreachable' } : undefined);
    };
    failing();
    await pass(6);
    store.fault = () => undefined;
    await lock.hold();
    await pass(1);
    expect(renewedAt()).toBe(Date.now());
    failing();
    await pass(8);
    store.fault = () => undefined;
    await expect(lock.hold()).rejects.toMatchObject({ code: 'GC_LOCK_LOST' });
  });

  it('is lost by who stood still, and is not renewed by them afterwards', async () => {
    const lock = await take();
    await pass(2);
    const last = renewedAt();
    standStill(8);
    await pass(3);
    expect(renewedAt()).toBe(last);
    await expect(lock.hold()).rejects.toMatchObject({ code: 'GC_LOCK_LOST', retryable: true });
    standStill(EXPIRY_MS / MINUTE_MS);
    const next = await take();
    await lock.release();
    await next.hold();
    await next.release();
  });

  it('is left to who has taken it over', async () => {
    const lock = await take();
    await memory.put(LOCK, Buffer.from('somebody'));
    await pass(3);
    await expect(lock.hold()).rejects.toMatchObject({ code: 'GC_LOCK_LOST' });
    await lock.release();
    expect((await memory.get(LOCK)).toString()).toBe('somebody');
  });

  it('does not come back by a renewal that was under way when it was released', async () => {
    const store = new HeldStore(memory);
    const lock = await take(store);
    store.holds = ({ put }) => put === LOCK;
    await pass(1);
    await store.reached;
    const released = lock.release();
    store.letGo();
    await released;
    expect(await names(memory, '')).toEqual([]);
  });
});

describe('a collection that reads for long before it changes anything', () => {
  it('keeps its lock, and ends', async () => {
    const store = new HeldStore(memory);
    const parts = { masterKey: randomBytes(32), log: silentLogger, packTargetBytes: 8 * CHUNK_BYTES };
    const repository = await Repository.create({ store: memory, chunkBytes: CHUNK_BYTES, ...parts });
    const goes = await backUp(repository, 'rp-1', new Map([[0, pattern('gone', 0)]]));
    await repository.deleteManifest(goes.ref);
    const { condemnedPacks } = await repository.collectGarbage({ graceMs: 0 });
    expect(condemnedPacks).toBeGreaterThan(0);

    store.holds = ({ list }) => list?.endsWith('/manifests/') === true;
    const collecting = (await Repository.open({ store, ...parts })).collectGarbage({ graceMs: 0 });
    await store.reached;
    await pass(30);
    await expect(repository.collectGarbage({ graceMs: 0 })).rejects.toMatchObject({ code: 'GC_RUNNING' });
    store.letGo();
    expect(await collecting).toMatchObject({ deletedPacks: condemnedPacks });
  });
});

/** Some calls wait until a test lets them go. */
class HeldStore extends StoreWrapper {
  holds: (call: { put?: string; list?: string }) => boolean = () => false;
  letGo!: () => void;
  private arrived!: () => void;
  readonly reached = new Promise<void>((resolve) => {
    this.arrived = resolve;
  });
  private readonly gate = new Promise<void>((resolve) => {
    this.letGo = resolve;
  });

  override async put(...call: Parameters<StoreWrapper['put']>): Promise<void> {
    await this.wait({ put: call[0] });
    await this.inner.put(...call);
  }

  override async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<BlobEntry> {
    await this.wait({ list: prefix });
    yield* this.inner.list(prefix, signal);
  }

  private async wait(call: { put?: string; list?: string }): Promise<void> {
    if (!this.holds(call)) return;
    this.arrived();
    await this.gate;
  }
}
