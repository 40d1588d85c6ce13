/**
 * What every blob store must do (src/repository/types.ts), as cases that need no test runner: specs run them on the folder and on the
 * wrappers, test/interop/s3 on real S3 servers. A case leaves other names than its own alone, so that one store serves all.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import type { BlobStore, RepositoryError } from '../../src/repository/index.js';
import { assertCode, listed, rejects } from './store-assertions.js';

export interface StoreUnderTest {
  store: BlobStore;
  /** The same place through another process's eyes: nothing cached, nothing shared. */
  reopen(): Promise<BlobStore>;
  /** More than the backend sends or writes in one piece. */
  largeBytes: number;
}

export interface ConformanceCase {
  name: string;
  run(subject: StoreUnderTest): Promise<void>;
}

const RIVALS = 8;
const MANY = 40;

export const STORE_CONFORMANCE: readonly ConformanceCase[] = [
  {
    name: 'gives back what was put, whole, in ranges and by size, here and to others',
    run: async ({ store, reopen }) => {
      const name = `${place()}/a/b.c-d_e`;
      await store.put(name, [Buffer.from('hello '), Buffer.alloc(0), Buffer.from('world')]);
      const other = await reopen();
      for (const reader of [store, other]) {
        assert.equal((await reader.get(name)).toString(), 'hello world');
        assert.equal((await reader.get(name, { offset: 6, length: 3 })).toString(), 'wor');
        assert.equal((await reader.get(name, { offset: 0, length: 11 })).toString(), 'hello world');
        assert.equal((await reader.get(name, { offset: 10, length: 1 })).toString(), 'd');
        assert.equal((await reader.get(name, { offset: 4, length: 0 })).length, 0);
        assert.equal(await reader.size(name), 11);
      }
      await other.close();
    },
  },
  {
    name: 'gives every reader a buffer of its own',
    run: async ({ store }) => {
      const name = `${place()}/own`;
      await store.put(name, Buffer.from('abc'));
      (await store.get(name)).fill(0);
      assert.equal((await store.get(name)).toString(), 'abc');
    },
  },
  {
    name: 'shows at once, and replaces as a whole, what need not be durable',
    run: async ({ store }) => {
      const name = `${place()}/alive`;
      await store.put(name, Buffer.from('begun'), { ifAbsent: true, durable: false });
      await rejects(store.put(name, Buffer.from('another'), { ifAbsent: true, durable: false }), 'BLOB_EXISTS');
      assert.deepEqual(await listed(store, name), [name]);
      await store.put(name, Buffer.from('alive'), { durable: false });
      assert.equal((await store.get(name)).toString(), 'alive');
      await store.delete(name);
      assert.equal(await store.size(name), undefined);
    },
  },
  {
    name: 'keeps an empty object',
    run: async ({ store }) => {
      const at = place();
      await store.put(`${at}/empty`, Buffer.alloc(0));
      await store.put(`${at}/nothing`, [], { ifAbsent: true });
      for (const name of [`${at}/empty`, `${at}/nothing`]) {
        assert.equal((await store.get(name)).length, 0);
        assert.equal(await store.size(name), 0);
        await rejects(store.get(name, { offset: 0, length: 1 }), 'BLOB_TRUNCATED');
      }
      assert.deepEqual(await listed(store, `${at}/`), [`${at}/empty`, `${at}/nothing`]);
    },
  },
  {
    name: 'keeps a large object in odd pieces, byte for byte',
    run: async ({ store, largeBytes }) => {
      const name = `${place()}/large`;
      const bytes = randomBytes(largeBytes + 12_345);
      const cuts = [0, 1, 64, largeBytes >> 2, largeBytes >> 2, largeBytes, bytes.length];
      await store.put(
        name,
        cuts.slice(1).map((end, i) => bytes.subarray(cuts[i], end)),
        { ifAbsent: true },
      );
      assert.equal(await store.size(name), bytes.length);
      assert.ok(bytes.equals(await store.get(name)), 'the large object came back changed');
      for (const [offset, length] of [
        [largeBytes - 5, 10],
        [1, 70_000],
        [bytes.length - 64, 64],
      ] as const) {
        assert.ok(
          bytes.subarray(offset, offset + length).equals(await store.get(name, { offset, length })),
          `${length} bytes at ${offset}`,
        );
      }
      // Other bytes: the same ones might be an earlier try's, whose answer was lost (retrying-store.ts).
      await rejects(store.put(name, randomBytes(bytes.length), { ifAbsent: true }), 'BLOB_EXISTS');
      assert.ok(bytes.equals(await store.get(name)), 'the large object was replaced');
      await store.delete(name);
    },
  },
  {
    name: 'refuses a range that ends past the object, and one that is none',
    run: async ({ store }) => {
      const name = `${place()}/short`;
      await store.put(name, Buffer.from('0123456789'));
      await rejects(store.get(name, { offset: 6, length: 5 }), 'BLOB_TRUNCATED');
      await rejects(store.get(name, { offset: 10, length: 1 }), 'BLOB_TRUNCATED');
      await rejects(store.get(name, { offset: 5_000_000_000, length: 1 }), 'BLOB_TRUNCATED');
      await rejects(store.get(name, { offset: -1, length: 1 }), 'INVALID_ARGUMENT');
      await rejects(store.get(name, { offset: 0.5, length: 1 }), 'INVALID_ARGUMENT');
    },
  },
  {
    name: 'replaces an object as a whole: a reader sees the old or the new one',
    run: async ({ store }) => {
      const name = `${place()}/changing`;
      const versions = Array.from({ length: 6 }, (_, i) => Buffer.alloc(200_000 + i * 1000, i + 1));
      await store.put(name, versions[0] as Buffer);
      let writing = true;
      const write = async () => {
        for (const version of versions) await store.put(name, version);
        writing = false;
      };
      const read = async () => {
        while (writing) {
          const seen = await store.get(name);
          assert.ok(
            versions.some((version) => version.equals(seen)),
            'a reader saw a mixture of two versions',
          );
        }
      };
      await Promise.all([write(), read(), read()]);
      assert.ok((await store.get(name)).equals(versions.at(-1) as Buffer));
    },
  },
  {
    name: 'lets exactly one of many rivals make a name',
    run: async (subject) => {
      const other = await subject.reopen();
      for (const bytes of [1, subject.largeBytes + 1]) {
        const name = `${place()}/once`;
        const rivals = bytes === 1 ? RIVALS : 3;
        const bodies = Array.from({ length: rivals }, (_, i) => Buffer.alloc(bytes, i + 1));
        const outcomes = await Promise.all(bodies.map((body, i) => settledPut(i % 2 === 0 ? subject.store : other, name, body)));
        assert.equal(outcomes.filter((outcome) => outcome === 'made').length, 1, `${outcomes.join(', ')}: not one winner`);
        assert.ok((await subject.store.get(name)).equals(bodies[outcomes.indexOf('made')] as Buffer), 'the winner is not what is there');
        await rejects(other.put(name, Buffer.from('late'), { ifAbsent: true }), 'BLOB_EXISTS');
        await subject.store.delete(name);
        await subject.store.put(name, Buffer.from('again'), { ifAbsent: true });
      }
      await other.close();
    },
  },
  {
    name: 'deletes, and tells what is not there from what is',
    run: async ({ store }) => {
      const name = `${place()}/gone`;
      assert.equal(await store.size(name), undefined);
      for (const range of [undefined, { offset: 0, length: 4 }, { offset: 0, length: 0 }]) {
        await rejects(store.get(name, range), 'BLOB_NOT_FOUND');
      }
      await rejects(store.delete(name), 'BLOB_NOT_FOUND');
      await store.put(name, Buffer.from('1'));
      await store.put(name, Buffer.from('2'));
      await store.delete(name);
      // Not the older version, where the store keeps versions.
      await rejects(store.get(name), 'BLOB_NOT_FOUND');
      assert.equal(await store.size(name), undefined);
      assert.deepEqual(await listed(store, name), []);
    },
  },
  {
    name: 'deletes for at least one of several who ask at once',
    run: async ({ store }) => {
      const name = `${place()}/several`;
      await store.put(name, Buffer.from('x'));
      const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => store.delete(name)));
      assert.ok(outcomes.some((outcome) => outcome.status === 'fulfilled'));
      for (const outcome of outcomes) if (outcome.status === 'rejected') assertCode(outcome.reason, 'BLOB_NOT_FOUND');
      assert.equal(await store.size(name), undefined);
    },
  },
  {
    name: 'lists by prefix in the order of names, with sizes and dates',
    run: async ({ store }) => {
      const at = place();
      const names = ['p/2', 'p/10', 'p/x/1', 'p/x.1', 'p-other', 'q', 'p/x/0a/z'].map((name) => `${at}/${name}`);
      for (const name of names) await store.put(name, Buffer.from(name));
      assert.deepEqual(await listed(store, `${at}/`), names.toSorted());
      assert.deepEqual(await listed(store, `${at}/p/`), names.filter((name) => name.startsWith(`${at}/p/`)).toSorted());
      assert.deepEqual(await listed(store, `${at}/p/x`), names.filter((name) => name.startsWith(`${at}/p/x`)).toSorted());
      assert.deepEqual(await listed(store, `${at}/absent/`), []);
      for await (const entry of store.list(`${at}/`)) {
        assert.equal(entry.sizeBytes, entry.name.length);
        assert.ok(Math.abs(Date.now() - entry.modifiedAt.getTime()) < 10 * 60_000, 'the date is not that of the put');
      }
    },
  },
  {
    name: 'lists for many at once, each name once, while others come and go',
    run: async ({ store, reopen }) => {
      const at = place();
      const stay = Array.from({ length: MANY }, (_, i) => `${at}/stay-${String(i).padStart(4, '0')}`);
      for (const batch of [stay.slice(0, MANY / 2), stay.slice(MANY / 2)]) {
        await Promise.all(batch.map((name) => store.put(name, Buffer.from(name))));
      }
      const other = await reopen();
      const churn = async () => {
        for (let i = 0; i < 10; i += 1) {
          await store.put(`${at}/churn-${i}`, Buffer.from('x'));
          if (i % 2 === 0) await store.delete(`${at}/churn-${i}`);
        }
      };
      const [first, second, third] = await Promise.all([
        listed(store, `${at}/`),
        listed(other, `${at}/stay`),
        listed(store, `${at}/`),
        churn(),
      ]);
      assert.deepEqual(second, stay);
      for (const seen of [first, third]) {
        assert.deepEqual(
          seen.filter((name) => name.includes('/stay-')),
          stay,
        );
        assert.equal(new Set(seen).size, seen.length, 'a name was listed twice');
      }
      await other.close();
    },
  },
  {
    name: 'shows a put to every reader as soon as it has resolved',
    run: async ({ store, reopen }) => {
      const other = await reopen();
      const at = place();
      for (let i = 0; i < 5; i += 1) {
        await store.put(`${at}/${i}`, Buffer.from([i]), { ifAbsent: true });
        assert.deepEqual(await other.get(`${at}/${i}`), Buffer.from([i]));
        assert.equal((await listed(other, `${at}/`)).length, i + 1);
      }
      await other.close();
    },
  },
  {
    name: 'makes many names of a new folder at one moment',
    run: async ({ store }) => {
      const at = place();
      const names = Array.from({ length: 16 }, (_, i) => `${at}/new/er/folder-${i % 4}/${String(i).padStart(2, '0')}`);
      await Promise.all(names.map((name) => store.put(name, Buffer.from(name), { ifAbsent: true })));
      assert.deepEqual(await listed(store, `${at}/`), names.toSorted());
    },
  },
  {
    name: 'refuses names that are none',
    run: async ({ store }) => {
      const bad = [
        '',
        '/',
        'a/',
        '/a',
        'a//b',
        '../x',
        'a/../b',
        './a',
        'A',
        'a b',
        'a\0b',
        'a\\b',
        'ä',
        '.hidden',
        'a/.b',
        'a'.repeat(600),
        `${'a'.repeat(256)}/b`,
      ];
      for (const name of bad) {
        await rejects(store.put(name, Buffer.from('x')), 'BLOB_NAME_INVALID');
        await rejects(store.get(name), 'BLOB_NAME_INVALID');
        await rejects(store.delete(name), 'BLOB_NAME_INVALID');
        await rejects(store.size(name), 'BLOB_NAME_INVALID');
      }
      await rejects(listed(store, '../'), 'BLOB_NAME_INVALID');
      const longest = `${place()}/${'n'.repeat(200)}/${'m'.repeat(200)}`;
      await store.put(longest, Buffer.from('x'));
      assert.deepEqual(await listed(store, longest), [longest]);
    },
  },
  {
    name: 'stops when it is told to, and has done nothing by half',
    run: async ({ store, largeBytes }) => {
      const name = `${place()}/stopped`;
      const signal = AbortSignal.abort();
      await rejects(store.put(name, Buffer.from('x'), { signal }), 'CANCELLED');
      await rejects(store.get(name, undefined, signal), 'CANCELLED');
      await rejects(store.size(name, signal), 'CANCELLED');
      await rejects(store.delete(name, signal), 'CANCELLED');
      await rejects(listed(store, name, signal), 'CANCELLED');
      assert.equal(await store.size(name), undefined);
      const controller = new AbortController();
      const bytes = Buffer.alloc(largeBytes * 2, 7);
      const putting = settledPut(store, name, bytes, controller.signal);
      setTimeout(() => controller.abort(), 5);
      const outcome = await putting;
      assert.ok(outcome === 'made' || outcome === 'CANCELLED', outcome);
      const there = await store.size(name);
      assert.ok(there === bytes.length || (there === undefined && outcome === 'CANCELLED'), `${there} bytes are there`);
    },
  },
  {
    name: 'holds an object until its date, or says that it cannot',
    run: async ({ store }) => {
      const name = `${place()}/held`;
      const until = new Date(Date.now() + 6_000);
      if (!store.enforcesRetention) {
        await rejects(store.put(name, Buffer.from('x'), { retainUntil: until }), 'RETENTION_UNSUPPORTED');
        await store.put(name, Buffer.from('x'));
        await rejects(store.retain(name, until), 'RETENTION_UNSUPPORTED');
        return;
      }
      await store.put(name, Buffer.from('x'), { retainUntil: until, ifAbsent: true });
      await rejects(store.delete(name), 'BLOB_LOCKED');
      await store.put(`${name}-later`, Buffer.from('y'));
      await store.retain(`${name}-later`, until);
      await store.retain(`${name}-later`, new Date(Date.now() + 1000));
      await rejects(store.delete(`${name}-later`), 'BLOB_LOCKED');
      await rejects(store.retain(`${name}-none`, until), 'BLOB_NOT_FOUND');
      assert.equal((await store.get(name)).toString(), 'x');
      await new Promise((resolve) => setTimeout(resolve, until.getTime() - Date.now() + 2_000));
      await store.delete(name);
      await store.delete(`${name}-later`);
      assert.equal(await store.size(name), undefined);
    },
  },
  {
    name: 'says how much is free, or that it cannot tell',
    run: async ({ store }) => {
      const free = await store.freeBytes();
      assert.ok(free === undefined || (Number.isSafeInteger(free) && free > 0));
    },
  },
  {
    name: 'makes nothing that would leave less free than it is to leave, where it can tell',
    run: async ({ store }) => {
      const name = 'a/large';
      const free = await store.freeBytes();
      if (free !== undefined) {
        await rejects(store.put(name, Buffer.from('x'), { leaveFreeBytes: 2 * free }), 'REPOSITORY_FULL');
        assert.equal(await store.size(name), undefined);
      }
      await store.put(name, Buffer.from('x'), { leaveFreeBytes: 1 });
      assert.equal((await store.get(name)).toString(), 'x');
    },
  },
];

/** @returns `made`, or the code of the failure; what may pass is asked again, as a caller would. */
async function settledPut(store: BlobStore, name: string, body: Buffer, signal?: AbortSignal): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await store.put(name, body, { ifAbsent: true, ...(signal ? { signal } : {}) });
      return 'made';
    } catch (error) {
      const { code, retryable } = error as RepositoryError;
      if (!retryable || attempt === 5) return code;
      await new Promise((resolve) => setTimeout(resolve, 50 * attempt));
    }
  }
}

function place(): string {
  return `conformance/${randomUUID()}`;
}
