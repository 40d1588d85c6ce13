import { describe, expect, it } from 'vitest';
import { BoundedExtents, MOST_EXTENTS } from './bounded-extents.js';
import { type Extent, normalizeExtents, subtractExtents, totalBytes } from './extents.js';

const TIB = 2 ** 40;

function bounded(extents: readonly Extent[], most: number) {
  const list = new BoundedExtents(most);
  list.add(extents);
  return list.take();
}

function randomLists(): { extents: Extent[]; most: number; inOrder: boolean }[] {
  let seed = 11;
  const random = (n: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % n;
  };
  return Array.from({ length: 300 }, (_, round) => {
    const base = round % 3 === 0 ? 61 * TIB : 0;
    const extents = Array.from({ length: random(60) }, () => ({ offsetBytes: base + random(4000) * 512, lengthBytes: random(9) * 512 }));
    const inOrder = round % 2 === 0;
    if (inOrder) extents.sort((a, b) => a.offsetBytes - b.offsetBytes);
    return { extents, most: 1 + random(12), inOrder };
  });
}

describe('a bounded list of extents', () => {
  it('covers what was added, sorted and apart, in no more than its bound, and widens by what it says', () => {
    for (const { extents, most, inOrder } of randomLists()) {
      const exact = normalizeExtents(extents);
      const { extents: list, widenedBytes } = bounded(extents, most);
      expect(list.length).toBeLessThanOrEqual(most);
      expect(list).toEqual(normalizeExtents(list));
      expect(subtractExtents(exact, list)).toEqual([]);
      // Nothing beyond the first and the last byte: within the capacity where the disk's own extents are.
      expect(list[0]?.offsetBytes).toBe(exact[0]?.offsetBytes);
      const end = (of: Extent | undefined) => of && of.offsetBytes + of.lengthBytes;
      expect(end(list.at(-1))).toBe(end(exact.at(-1)));
      const widened = totalBytes(list) - totalBytes(exact);
      if (inOrder) expect(widenedBytes).toBe(widened);
      else expect(widenedBytes).toBeGreaterThanOrEqual(widened);
      if (exact.length <= most && extents.length < 2 * most) expect(list).toEqual(exact);
    }
  });

  it('merges over the smallest gaps, of equals the first, past 2 TiB as well', () => {
    const at = (mib: number) => ({ offsetBytes: 61 * TIB + mib * 2 ** 20, lengthBytes: 2 ** 20 });
    // Gaps of 1, 4, 2, 1 and 1 MiB.
    const { extents, widenedBytes } = bounded([at(0), at(2), at(7), at(10), at(12), at(14)], 4);
    expect(extents.map(({ offsetBytes, lengthBytes }) => [(offsetBytes - 61 * TIB) / 2 ** 20, lengthBytes / 2 ** 20])).toEqual([
      [0, 3],
      [7, 1],
      [10, 3],
      [14, 1],
    ]);
    expect(widenedBytes).toBe(2 * 2 ** 20);
  });

  it('keeps to its bound while every other MiB of 4 TiB comes in', () => {
    const list = new BoundedExtents();
    for (let page = 0; page < 32; page += 1)
      list.add(Array.from({ length: 65_536 }, (_, i) => ({ offsetBytes: (page * 65_536 + i) * 2 ** 21, lengthBytes: 2 ** 20 })));
    const { extents, widenedBytes } = list.take();
    expect(extents).toHaveLength(MOST_EXTENTS);
    expect(totalBytes(extents)).toBe(2 ** 41 + widenedBytes);
    expect(extents.at(-1)).toEqual({ offsetBytes: 2 ** 42 - 2 ** 21, lengthBytes: 2 ** 20 });
  });

  it('refuses what cannot be', () => {
    expect(() => new BoundedExtents().add([{ offsetBytes: -1, lengthBytes: 5 }])).toThrow(RangeError);
    expect(() => new BoundedExtents().add([{ offsetBytes: 2 ** 53, lengthBytes: 1 }])).toThrow(RangeError);
  });
});
