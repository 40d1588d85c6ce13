import { afterEach, describe, expect, it, vi } from 'vitest';
import { silentLogger, type Logger } from '../../src/common/index.js';
import { StoreWrapper } from '../../src/repository/index.js';
import { ServiceClaim } from '../../src/repository/service-claim.js';
import { FaultStore } from './fault-store.js';
import { names } from './fixture.js';
import { MemoryStore } from './memory-store.js';

const FAST = { heartbeatMs: 10, expiryMs: 60_000 };
const here = { databaseId: '7001-1', hostName: 'alpha' };
const elsewhere = { databaseId: '7002-1', hostName: 'beta' };

describe('the sign of a service in its repository', () => {
  const taken: ServiceClaim[] = [];
  const store = new MemoryStore();
  const take = async (service: typeof here, log: Logger = silentLogger, on: FaultStore | MemoryStore = store) => {
    const claim = await ServiceClaim.take(on, service, log, FAST);
    taken.push(claim);
    return claim;
  };
  afterEach(async () => {
    for (const claim of taken.splice(0)) await claim.release();
  });

  it('is shared by the processes of one database, and refuses another one by name', async () => {
    await take(here);
    await take(here);
    await expect(take(elsewhere)).rejects.toMatchObject({
      code: 'REPOSITORY_IN_USE',
      message: expect.stringMatching(/^Another vApp Vault, on alpha, works on this repository with another database; stop one of the two/),
    });
    // The refused one left nothing behind that would stop the other.
    expect(await names(store, 'services/')).toEqual(['services/7001-1']);
  });

  it.each(['null', '7', 'not JSON', ''])('refuses another one whose sign reads %j, without its name', async (text) => {
    await store.put('services/7004-1', Buffer.from(text));
    await expect(take(here)).rejects.toMatchObject({ code: 'REPOSITORY_IN_USE', message: expect.stringContaining('on an unknown host') });
    await store.delete('services/7004-1');
  });

  it('goes with a service that stops, and is forgotten of one that is gone', async () => {
    await (await take(here)).release();
    await take(elsewhere);
    await taken.pop()?.release();
    store.objects.set('services/7003-1', { data: Buffer.from('not ours'), modifiedAt: new Date(Date.now() - FAST.expiryMs - 1000) });
    await expect(take(here)).resolves.toBeDefined();
  });

  it('is compared by the clock of the store alone', async () => {
    const ahead = new MemoryStore();
    // A store a day ahead: by our clock, its signs are never old.
    const skewed = new Proxy(ahead, {
      get(target, property) {
        if (property !== 'list') return (Reflect.get(target, property) as () => unknown).bind?.(target) ?? Reflect.get(target, property);
        return async function* (prefix: string) {
          for await (const entry of target.list(prefix)) yield { ...entry, modifiedAt: new Date(entry.modifiedAt.getTime() + 86_400_000) };
        };
      },
    });
    ahead.objects.set('services/7003-1', { data: Buffer.from('{}'), modifiedAt: new Date(Date.now() - FAST.expiryMs - 1000) });
    taken.push(await ServiceClaim.take(skewed, here, silentLogger, FAST));
  });

  it('is said aloud, once, when the other one comes all the same', async () => {
    const said: string[] = [];
    const log = { ...silentLogger, error: (message: string) => said.push(message), warn: () => undefined } as unknown as Logger;
    await take(here, log);
    await store.put('services/7002-1', Buffer.from('{"hostName":"beta"}'));
    await expect.poll(() => said.length).toBe(1);
    const { size } = store.objects;
    await expect.poll(() => store.objects.get('services/7001-1')?.modifiedAt.getTime()).toBeGreaterThan(0);
    expect(said).toEqual([expect.stringMatching(/on beta, works on this repository/)]);
    expect(store.objects.size).toBe(size);
    store.objects.delete('services/7002-1');
  });

  it('is no condition for reading a repository that cannot be written to', async () => {
    const readOnly = new FaultStore(store);
    readOnly.fault = (operation) => (operation === 'put' || operation === 'delete' ? { fail: 'read-only' } : undefined);
    await expect(take(here, silentLogger, readOnly)).resolves.toBeDefined();
  });

  it('is renewed by one call at a time, however long the store takes', async () => {
    const waiting: (() => void)[] = [];
    let hangs = false;
    let puts = 0;
    class Hanging extends StoreWrapper {
      override async put(...call: Parameters<StoreWrapper['put']>): Promise<void> {
        puts += 1;
        if (hangs) await new Promise<void>((resolve) => waiting.push(resolve));
        return super.put(...call);
      }
    }
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      taken.push(await ServiceClaim.take(new Hanging(new MemoryStore()), here, silentLogger, FAST));
      hangs = true;
      await vi.advanceTimersByTimeAsync(5 * FAST.heartbeatMs);
      expect([puts, waiting.length]).toEqual([2, 1]);
      hangs = false;
      for (const release of waiting) release();
      // The first heartbeat after the answer, and each after it, renews it again.
      await expect
        .poll(async () => {
          await vi.advanceTimersByTimeAsync(FAST.heartbeatMs);
          return puts;
        })
        .toBeGreaterThan(3);
    } finally {
      vi.useRealTimers();
    }
  });
});
