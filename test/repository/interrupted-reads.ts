import { randomBytes } from 'node:crypto';
import { silentLogger } from '../../src/common/index.js';
import { type BlobStore, Repository, StoreWrapper } from '../../src/repository/index.js';
import { backUp, CHUNK_BYTES, chunksOf } from './fixture.js';
import { MemoryStore } from './memory-store.js';

export interface Interruption<T> {
  /** What is interrupted, by a process that has everything still to read. */
  work: (interrupted: Repository, other: Repository) => Promise<T>;
  /** What another process does then, once. */
  happens: (other: Repository, store: BlobStore) => Promise<void>;
}

/**
 * Something happens just before the first object of the organization is read, just before the second one and so on, each time in a
 * repository of its own, in which a collection has packs to delete, to rewrite and to condemn.
 * @returns what each of them came to, or the error it ended with.
 */
export async function whereverItReads<T>({ work, happens }: Interruption<T>): Promise<unknown[]> {
  const ends: unknown[] = [];
  for (let reads = 1; ; reads += 1) {
    const store = new MemoryStore();
    const masterKey = randomBytes(32);
    const open = (through: BlobStore) =>
      Repository.openOrCreate({ store: through, masterKey, log: silentLogger, chunkBytes: CHUNK_BYTES, packTargetBytes: 512 * 1024 });
    const other = await open(store);
    for (const round of [1, 2]) {
      const goes = await backUp(other, `goes-${round}`, chunksOf(`d${round}`, 0, 16));
      await backUp(other, `stays-${round}`, chunksOf(`d${round}`, 0, 8));
      await other.deleteManifest(goes.ref);
      if (round === 1) await other.collectGarbage({ graceMs: 0 });
    }
    let left = reads;
    class InterruptedStore extends StoreWrapper {
      override async get(...call: Parameters<StoreWrapper['get']>): Promise<Buffer> {
        // A collector reads its lock to find out whether something of this kind has happened.
        if (call[0].startsWith('orgs/') && !call[0].endsWith('/gc/lock')) {
          left -= 1;
          if (left === 0) await happens(other, store);
        }
        return super.get(...call);
      }
    }
    const end = await work(await open(new InterruptedStore(store)), other).catch((error: unknown) => error);
    if (left > 0) return ends;
    ends.push(end);
  }
}
