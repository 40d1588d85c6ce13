import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createChunkTable } from './index.js';

describe('ChunkTable', () => {
  it('agrees with a Map over inserts, removals and growth', () => {
    const table = createChunkTable(64 << 20);
    const truth = new Map<string, number[]>();
    let seed = 11;
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % n;
    };
    const digest = (n: number) => createHmac('sha256', 'table').update(String(n)).digest();
    for (let round = 0; round < 60_000; round += 1) {
      const id = digest(random(30_000));
      const text = id.toString('hex');
      if (random(4) === 0) {
        expect(table.remove(id)).toBe(truth.delete(text) ? 1 : 0);
        continue;
      }
      const location = [random(2 ** 31), random(2 ** 31) * 2 + 1, 1 + random(1000), 1 + random(1000)];
      expect(table.insert(id, Uint32Array.from(location))).toBe(truth.has(text) ? 0 : 1);
      if (!truth.has(text)) truth.set(text, location);
    }
    expect(table.size).toBe(truth.size);
    for (let n = 0; n < 30_000; n += 1) {
      const found = [...table.lookup(digest(n))];
      expect(found).toEqual(truth.get(digest(n).toString('hex')) ?? [0, 0, 0, 0]);
    }
    expect(table.memoryBytes % 48).toBe(0);
  });

  it('takes rows as packs list them, all or none', () => {
    const table = createChunkTable(48 * 8192);
    const rows = Buffer.concat(
      Array.from({ length: 5000 }, (_, i) => {
        const row = Buffer.alloc(48, 0xa5);
        createHmac('sha256', 'rows').update(String(i)).digest().copy(row);
        row.writeUInt32LE(2 ** 32 - 1 - i, 32);
        row.writeUInt32LE(2 ** 31 + i, 36);
        row.writeUInt32LE(i + 1, 40);
        return row;
      }),
    );
    expect(table.insertEntries(2 ** 32 - 1, rows)).toBe(5000);
    expect(table.insertEntries(3, rows)).toBe(0);
    for (const i of [0, 1, 4999]) {
      expect([...table.lookup(rows.subarray(i * 48, i * 48 + 32))]).toEqual([2 ** 32 - 1, 2 ** 32 - 1 - i, 2 ** 31 + i, i + 1]);
    }
    const unsound = Buffer.concat([Buffer.alloc(48, 7), Buffer.alloc(48)]);
    expect(() => table.insertEntries(1, unsound)).toThrow(RangeError);
    expect(table.size).toBe(5000);
    for (const [number, entries] of [
      [-1, rows],
      [2 ** 32, rows],
      [Number.NaN, rows],
      ['1', rows],
      [1, rows.subarray(1)],
      [1, undefined],
    ])
      expect(() => table.insertEntries(number as number, entries as Buffer)).toThrow();
  });

  it('removes the tail of one pack, and stops growing at its limit', () => {
    const table = createChunkTable(48 * 4096);
    const ids = randomBytes(32 * 4);
    table.insert(ids, Uint32Array.from([1, 0, 10, 5, 1, 10, 10, 5, 1, 20, 10, 5, 2, 50, 10, 5]));
    expect(table.removeTail(1, 20)).toBe(1);
    expect([...table.lookup(ids)].filter((_, i) => i % 4 === 2)).toEqual([10, 10, 0, 10]);
    const many = randomBytes(32 * 4000);
    const locations = new Uint32Array(16_000).fill(7);
    const full = { name: 'RangeError', code: 'CHUNK_TABLE_LIMIT', neededBytes: 48 * 8192 };
    expect(() => table.insert(many, locations)).toThrow(expect.objectContaining(full));
    expect(table.lookup(ids.subarray(0, 32))[2]).toBe(10);
    expect([table.mostEntries, table.memoryBytes, table.largestBytes]).toEqual([Math.floor(4096 * 0.7), 48 * 4096, 48 * 4096]);
    // The removed one took a slot; what is there is no further one.
    expect(table.size).toBe(table.mostEntries - 1);
    expect(table.insert(many.subarray(0, 32 * 2800), locations.subarray(0, 4 * 2800))).toBe(0);
  });

  it('forgets whole packs, and has their room for others, at its limit, too', () => {
    const table = createChunkTable(48 * 8192);
    const most = table.mostEntries;
    const ids = randomBytes(32 * most);
    const locations = new Uint32Array(4 * most).fill(7);
    for (let i = 0; i < most; i += 1) locations[4 * i] = i % 3;
    expect(table.insert(ids, locations)).toBe(most);
    expect(() => table.insert(randomBytes(32), Uint32Array.of(9, 7, 7, 7))).toThrow(RangeError);
    expect(table.removePacks(Uint8Array.of(0, 1))).toBe(Math.floor((most + 1) / 3));
    const others = randomBytes(32 * 1500);
    expect(table.insert(others, new Uint32Array(4 * 1500).fill(9))).toBe(1500);
    expect(table.memoryBytes).toBe(48 * 8192);
    const found = table.lookup(ids);
    for (let i = 0; i < most; i += 1) expect(found[4 * i + 2]).toBe(i % 3 === 1 ? 0 : 7);
    expect(table.lookup(others).every((value) => value === 9)).toBe(true);
  });

  it.each([3, 40, 1500])('grows where it lies, with %i entries crowded about its end and its beginning', (crowd) => {
    const table = createChunkTable(48 * 65_536);
    const digests = Buffer.alloc(32 * 20_000);
    const locations = new Uint32Array(4 * 20_000);
    for (let i = 0; i < 20_000; i += 1) {
      const digest = digests.subarray(32 * i, 32 * i + 32);
      createHmac('sha256', 'crowd').update(String(i)).digest().copy(digest);
      // Homes in the last slots of the smallest table, and behind its middle; of those some in each half of every larger one.
      if (i < crowd) digest.writeUInt16LE((digest.readUInt16LE(0) & 0xf000) | (i % 3 === 0 ? 2040 : 4090 + (i % 6)), 0);
      locations.set([i, i + 1, i + 2, i + 3], 4 * i);
    }
    for (let at = 0; at < 20_000; at += 500) {
      const upTo = at + 500;
      expect(table.insert(digests.subarray(32 * at, 32 * upTo), locations.subarray(4 * at, 4 * upTo))).toBe(500);
      expect(table.removePacks(Uint8Array.from({ length: upTo }, (_, i) => (i >= at && i % 7 === 0 ? 1 : 0)))).toBeGreaterThan(70);
      const found = table.lookup(digests.subarray(0, 32 * upTo));
      for (let i = 0; i < upTo; i += 1) {
        const expected = i % 7 === 0 ? 0 : i + 2;
        if (found[4 * i + 2] !== expected) throw new Error(`entry ${i} of ${upTo} has length ${found[4 * i + 2]}, not ${expected}`);
      }
    }
    expect(table.memoryBytes).toBe(48 * 32_768);
  });
});
