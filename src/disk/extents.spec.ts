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
    for (let round = 0; round < 300; round += 1) {
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
      const plan = planCopy({ capacityBytes: 75, chunkBytes: 8, allocated: a, changed: b });
      expect(bits([...plan.read, ...plan.zero], 96)).toEqual(bits(plan.touched, 96));
      expect(totalBytes(plan.read) + totalBytes(plan.zero)).toBe(totalBytes(plan.touched));
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
  it('reads the allocated part of touched chunks only, and records the rest as zero', () => {
    const plan = planCopy({
      capacityBytes: 4096 + 512,
      chunkBytes: 1024,
      allocated: [extent(0, 1500), extent(4096, 4608)],
      changed: [extent(1100, 1200), extent(4400, 4608)],
    });
    expect(plan).toMatchObject({
      kind: 'incremental',
      touched: [extent(1024, 2048), extent(4096, 4608)],
      read: [extent(1024, 1500), extent(4096, 4608)],
      zero: [extent(1500, 2048)],
      changedBytes: 308,
    });
  });

  it('takes everything when neither question has an answer', () => {
    const plan = planCopy({ capacityBytes: 3000, chunkBytes: 1024, allocated: undefined, changed: undefined });
    expect(plan).toMatchObject({ kind: 'full', read: [extent(0, 3000)], zero: [] });
  });
});
