import { describe, expect, it } from 'vitest';
import { planCopy } from './copy-plan.js';
import { alignExtents, intersectExtents, normalizeExtents, subtractExtents, totalBytes, type Extent } from './extents.js';

const extent = (offsetBytes: number, end: number): Extent => ({ offsetBytes, lengthBytes: end - offsetBytes });
const TIB = 2 ** 40;

/** A bitmap is the slow and obvious truth to compare with. */
function bits(extents: readonly Extent[], size: number): boolean[] {
  const map = new Array<boolean>(size).fill(false);
  for (const e of extents) map.fill(true, e.offsetBytes, e.offsetBytes + e.lengthBytes);
  return map;
}

describe('extents', () => {
  it('agree with a bitmap on random lists', () => {
    let seed = 7;
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % n;
    };
    for (let round = 0; round < 100; round += 1) {
      const list = () =>
        normalizeExtents(
          Array.from({ length: random(8) }, () => {
            const start = random(60);
            return extent(start, start + random(12));
          }),
        );
      const a = list();
      const b = list();
      const mapA = bits(a, 96);
      const mapB = bits(b, 96);
      expect(bits(intersectExtents(a, b), 96)).toEqual(mapA.map((x, i) => x && (mapB[i] as boolean)));
      expect(bits(subtractExtents(a, b), 96)).toEqual(mapA.map((x, i) => x && !mapB[i]));
      // In sectors, because that is what a plan is made of.
      const sectors = (extents: Extent[]) => extents.map((e) => extent(e.offsetBytes * 512, (e.offsetBytes + e.lengthBytes) * 512));
      const plan = planCopy({ capacityBytes: 75 * 512, chunkBytes: 8 * 512, allocated: sectors(a), changed: sectors(b) });
      const parts = [...plan.read, ...plan.zero, ...plan.keep];
      expect(bits(parts, 96 * 512)).toEqual(bits(plan.touched, 96 * 512));
      expect(totalBytes(parts)).toBe(totalBytes(plan.touched));
      expect(totalBytes(plan.keep)).toBe(totalBytes(plan.touched) - totalBytes(intersectExtents(sectors(b), [extent(0, 75 * 512)])));
    }
  });

  it('are exact past 2 TiB, and at the odd tail of a disk', () => {
    const capacityBytes = 62 * TIB + 512;
    const aligned = alignExtents([extent(62 * TIB + 1, capacityBytes)], 65536, capacityBytes);
    expect(aligned).toEqual([{ offsetBytes: 62 * TIB, lengthBytes: 512 }]);
  });

  it('merge what touches and drop what is empty', () => {
    expect(normalizeExtents([extent(8, 16), extent(0, 8), extent(20, 20)])).toEqual([extent(0, 16)]);
  });

  it.each([
    [-1, 5],
    [0.5, 1],
    [2 ** 53, 1],
    [5, -3],
  ])('refuse offset %d length %d', (offsetBytes, lengthBytes) => {
    expect(() => normalizeExtents([{ offsetBytes, lengthBytes }])).toThrow(RangeError);
  });
});

describe('planCopy', () => {
  it('reads what is changed and allocated, records the rest of it as zero, and keeps what is between', () => {
    const plan = planCopy({
      capacityBytes: 8192 + 512,
      chunkBytes: 2048,
      allocated: [extent(0, 3072), extent(8192, 8704)],
      changed: [extent(2560, 4096), extent(8192, 8704)],
    });
    expect(plan).toMatchObject({
      kind: 'incremental',
      touched: [extent(2048, 4096), extent(8192, 8704)],
      read: [extent(2560, 3072), extent(8192, 8704)],
      zero: [extent(3072, 4096)],
      keep: [extent(2048, 2560)],
      changedBytes: 2048,
    });
  });

  it('takes everything when neither question has an answer', () => {
    const plan = planCopy({ capacityBytes: 3072, chunkBytes: 1024, allocated: undefined, changed: undefined });
    expect(plan).toMatchObject({ kind: 'full', read: [extent(0, 3072)], zero: [], keep: [] });
  });
});
