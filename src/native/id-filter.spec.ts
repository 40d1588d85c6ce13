import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { createIdFilter } from './index.js';

it('knows every id it was given, in whatever pieces', () => {
  const filter = createIdFilter(1000);
  const ids = randomBytes(1000 * 32);
  for (let at = 0; at < ids.length; at += 7 * 32) filter.add(ids.subarray(at, at + 7 * 32));
  expect(filter.has(ids).every((found) => found === 1)).toBe(true);
  expect(filter.has(randomBytes(1000 * 32)).filter((found) => found === 1).length).toBeLessThan(50);
});

it('takes batches at the same time, on native threads, and forgets none', async () => {
  const filter = createIdFilter(400_000);
  const batches = Array.from({ length: 8 }, () => Buffer.concat([randomBytes(50_000 * 32), Buffer.alloc(32)]));
  const added = batches.map((ids) => filter.addBatch(ids));
  // The addon keeps both alive.
  expect(await Promise.all(added)).toEqual(batches.map(() => 50_000));
  for (const ids of batches) expect(filter.has(ids.subarray(0, 50_000 * 32)).every((found) => found === 1)).toBe(true);
  expect(filter.has(randomBytes(1000 * 32)).filter((found) => found === 1).length).toBeLessThan(50);
});

it('takes 2 bytes an id, rounded up, and never more than 512 MiB', () => {
  expect(createIdFilter(0).memoryBytes).toBe(2048);
  expect(createIdFilter(1 << 20).memoryBytes).toBe(2 << 20);
  expect(createIdFilter((1 << 20) + 1).memoryBytes).toBe(4 << 20);
});

it.each([[Number.NaN], [-1], [undefined as unknown as number]])('refuses %j expected ids', (expected) => {
  expect(() => createIdFilter(expected)).toThrow(RangeError);
});

it('refuses what holds no whole ids', () => {
  const filter = createIdFilter(8);
  expect(() => filter.add(new Uint8Array(33))).toThrow(RangeError);
  expect(() => filter.addBatch(new Uint8Array(33))).toThrow(RangeError);
  expect(() => filter.addBatch(undefined as unknown as Uint8Array)).toThrow(TypeError);
  expect(() => filter.has(new Uint8Array(1))).toThrow(RangeError);
  expect(() => filter.add('ids' as unknown as Uint8Array)).toThrow(TypeError);
});
