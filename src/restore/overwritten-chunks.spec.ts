import { describe, expect, it } from 'vitest';
import { changedChunks, possiblyDifferentChunks } from './overwritten-chunks.js';

const CHUNK = 256 * 1024;
const TIB = 2 ** 40;
const grid = { chunkBytes: CHUNK, capacityBytes: 3 * TIB + 1536 };
const tail = (3 * TIB) / CHUNK;
const extent = (offsetBytes: number, lengthBytes: number) => ({ offsetBytes, lengthBytes });

async function all(pages: AsyncIterable<number[]>): Promise<number[]> {
  const indices: number[] = [];
  for await (const page of pages) indices.push(...page);
  return indices;
}
async function* pages(...lists: number[][]) {
  yield* lists;
}

describe('changedChunks', () => {
  it('names every chunk that holds a changed byte, once, past 2 TiB and at the short tail', async () => {
    const extents = [
      extent(0, 512),
      extent(1024, 512),
      extent(CHUNK - 512, 1024),
      extent(2 * TIB + 5 * CHUNK, 2 * CHUNK),
      extent(3 * TIB, 65536),
    ];
    expect(await all(changedChunks(grid, extents))).toEqual([0, 1, (2 * TIB) / CHUNK + 5, (2 * TIB) / CHUNK + 6, tail]);
  });

  it('ends for nothing', async () => {
    expect(await all(changedChunks(grid, []))).toEqual([]);
  });

  it('hands out more than a page in pages', async () => {
    let largest = 0;
    let count = 0;
    for await (const page of changedChunks(grid, [extent(CHUNK, 10_000 * CHUNK)])) {
      largest = Math.max(largest, page.length);
      count += page.length;
    }
    expect({ largest, count }).toEqual({ largest: 4096, count: 10_000 });
  });
});

describe('possiblyDifferentChunks', () => {
  it('takes what the restore point holds and what the disk has allocated, in order, each once', async () => {
    const allocated = [extent(0, 2 * CHUNK), extent(9 * CHUNK, CHUNK), extent(3 * TIB, 1536)];
    expect(await all(possiblyDifferentChunks(grid, pages([1, 4], [9, 12]), allocated))).toEqual([0, 1, 4, 9, 12, tail]);
  });

  it('takes all chunks where nobody can tell what is allocated', async () => {
    const small = { chunkBytes: CHUNK, capacityBytes: 4 * CHUNK + 512 };
    expect(await all(possiblyDifferentChunks(small, pages([2]), undefined))).toEqual([0, 1, 2, 3, 4]);
  });

  it('takes the disk of an empty restore point', async () => {
    expect(await all(possiblyDifferentChunks(grid, pages(), [extent(CHUNK, 512)]))).toEqual([1]);
  });
});
