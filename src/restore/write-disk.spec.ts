import { describe, expect, it } from 'vitest';
import type { DiskReader } from '../repository/index.js';
import type { IoRequest } from '../vddk/index.js';
import { writeDisk } from './write-disk.js';

const CHUNK = 256 * 1024;
const TIB = 2 ** 40;

function setUp(indices: number[], capacityBytes: number, failOn?: number) {
  const memory = Buffer.alloc(9 * 1024 * 1024, 0xee);
  const written = new Map<number, Buffer>();
  const sizes: number[] = [];
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
      }
    },
  };
  const disk = {
    async write(requests: readonly IoRequest[]) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
      for (const { offsetBytes, lengthBytes, memoryOffset } of requests) {
        sizes.push(lengthBytes);
        for (let done = 0; done < lengthBytes; done += CHUNK) {
          const end = Math.min(done + CHUNK, lengthBytes);
          written.set((offsetBytes + done) / CHUNK, Buffer.from(memory.subarray(memoryOffset + done, memoryOffset + end)));
        }
      }
    },
  };
  const run = () =>
    writeDisk({ disk, reader, memory, maxRequestBytes: 2 ** 21, onProgress: () => {}, signal: new AbortController().signal });
  return { run, written, sizes };
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
});
