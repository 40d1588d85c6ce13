import { describe, expect, it } from 'vitest';
import type { Extent } from '../disk/index.js';
import type { DiskReader } from '../repository/index.js';
import { type IoRequest, VddkError, WRITES_IN_DOUBT } from '../vddk/index.js';
import { writeDisk } from './write-disk.js';

const CHUNK = 256 * 1024;
const TIB = 2 ** 40;

function setUp(
  indices: number[],
  capacityBytes: number,
  failOn?: number,
  inDoubt: number[] = [],
  more: { allocated?: Extent[]; zeroFrom?: number } = {},
) {
  const memory = Buffer.alloc(9 * 1024 * 1024, 0xee);
  const written = new Map<number, Buffer>();
  const sizes: number[] = [];
  const pieces: [offsetBytes: number, lengthBytes: number][] = [];
  const reader: DiskReader = {
    capacityBytes,
    chunkBytes: CHUNK,
    async *dataChunks() {
      for (let at = 0; at < indices.length; at += 7) yield indices.slice(at, at + 7);
    },
    async read(into, chunks) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
      for (const { chunkIndex, offset } of chunks) {
        if (chunkIndex === failOn) throw new Error('chunk damaged');
        into.fill((chunkIndex % 251) + 1, offset, offset + Math.min(CHUNK, capacityBytes - chunkIndex * CHUNK));
        into.fill(0, offset + (more.zeroFrom ?? CHUNK), offset + CHUNK);
      }
    },
  };
  let writes = 0;
  let flushes = 0;
  const disk = {
    async flush() {
      flushes += 1;
    },
    async write(requests: readonly IoRequest[]) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
      writes += 1;
      if (inDoubt.includes(writes)) throw new VddkError('in doubt', { code: WRITES_IN_DOUBT, retryable: true });
      for (const { offsetBytes, lengthBytes, memoryOffset } of requests) {
        pieces.push([offsetBytes, lengthBytes]);
        sizes.push(lengthBytes);
        for (let done = 0; done < lengthBytes; done += CHUNK) {
          const end = Math.min(done + CHUNK, lengthBytes);
          written.set((offsetBytes + done) / CHUNK, Buffer.from(memory.subarray(memoryOffset + done, memoryOffset + end)));
        }
      }
    },
  };
  const run = () =>
    writeDisk({
      ...{ disk, reader, memory, maxRequestBytes: 2 ** 21, allocated: more.allocated, onProgress: (doneBytes) => progress.push(doneBytes) },
      signal: new AbortController().signal,
    });
  const progress: number[] = [];
  const inOrder = () => pieces.sort(([a], [b]) => a - b);
  return { run, written, sizes, pieces: inOrder, progress, counts: () => ({ writes, flushes }) };
}

describe('writeDisk', () => {
  it('writes every data chunk to its place and nothing else, past 2 TiB and at the short tail', async () => {
    const tail = (3 * TIB) / CHUNK;
    const indices = [0, 1, 2, 40, ...Array.from({ length: 60 }, (_, i) => tail - 70 + i), tail];
    const t = setUp(indices, 3 * TIB + 1536);
    expect(await t.run()).toBe(64 * CHUNK + 1536);
    expect([...t.written.keys()].sort((a, b) => a - b)).toEqual(indices);
    for (const [index, data] of t.written) {
      expect(data.length).toBe(index === tail ? 1536 : CHUNK);
      expect(data.every((byte) => byte === (index % 251) + 1)).toBe(true);
    }
    expect(Math.max(...t.sizes)).toBe(2 ** 21);
  });

  it('fails with the first error', async () => {
    const t = setUp([1, 2, 3, 500], 200 * 2 ** 20, 3);
    await expect(t.run()).rejects.toThrow('chunk damaged');
  });

  it('writes again from the last flush what a lost connection left in doubt, and counts it once', async () => {
    // Windows of 16 chunks, 64 of them to a flush: two stretches, each of which fails in the middle.
    const indices = Array.from({ length: 80 * 16 }, (_, i) => i);
    const t = setUp(indices, 80 * 16 * CHUNK, undefined, [30, 170]);
    expect(await t.run()).toBe(indices.length * CHUNK);
    expect(t.written.size).toBe(indices.length);
    for (const [index, data] of t.written) expect(data[0]).toBe((index % 251) + 1);
    const { writes, flushes } = t.counts();
    expect(flushes).toBe(2);
    expect(writes).toBeGreaterThan(80);
    expect(writes).toBeLessThanOrEqual(80 + 64 + 16);
  });

  it('writes no zeros where the disk has nothing allocated, and none fewer where it has, or nobody can tell', async () => {
    const GRAIN = 64 * 1024;
    const far = (3 * TIB) / CHUNK;
    const zeroFrom = GRAIN + 4096;
    const capacityBytes = 4 * TIB;
    const empty = setUp([2, far], capacityBytes, undefined, [], { zeroFrom, allocated: [] });
    expect(await empty.run()).toBe(4 * GRAIN);
    expect(empty.pieces()).toEqual([
      [2 * CHUNK, 2 * GRAIN],
      [far * CHUNK, 2 * GRAIN],
    ]);
    // It has come to the end all the same.
    expect(empty.progress.at(-1)).toBe(2 * CHUNK);
    const allocated = [
      { offsetBytes: 0, lengthBytes: 2 * CHUNK },
      { offsetBytes: far * CHUNK + 3 * GRAIN + 512, lengthBytes: 512 },
    ];
    const used = setUp([2, far], capacityBytes, undefined, [], { zeroFrom, allocated });
    expect(await used.run()).toBe(5 * GRAIN);
    expect(used.pieces().slice(1)).toEqual([
      [far * CHUNK, 2 * GRAIN],
      [far * CHUNK + 3 * GRAIN, GRAIN],
    ]);
    expect(await setUp([2, far], capacityBytes, undefined, [], { zeroFrom }).run()).toBe(2 * CHUNK);
  });
});
