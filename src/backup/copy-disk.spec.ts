import { describe, expect, it } from 'vitest';
import { planCopy, type Extent } from '../disk/index.js';
import { type DiskWriter, RepositoryError, type WriteTally } from '../repository/index.js';
import type { IoRequest } from '../vddk/index.js';
import { copyDisk } from './copy-disk.js';

const CHUNK = 256 * 1024;
const TIB = 2 ** 40;
/** What the base has everywhere. */
const OLD = 0x99;

/** A disk whose every 512-byte sector tells its own number, and a writer that keeps what it was given. */
function setUp(options: { capacityBytes: number; allocated?: Extent[]; changed?: Extent[]; failAtByte?: number; baseError?: Error }) {
  const buffer = Buffer.alloc(16 * 1024 * 1024, 0xee);
  const memory = { buffer, offset: 1024 * 1024, length: 12 * 1024 * 1024 };
  const requests: IoRequest[] = [];
  let running = 0;
  const disk = {
    async read(batch: readonly IoRequest[]) {
      running += 1;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
      running -= 1;
      for (const request of batch) {
        requests.push({ ...request });
        if (options.failAtByte !== undefined && request.offsetBytes + request.lengthBytes > options.failAtByte)
          throw new Error('disk gone');
        for (let done = 0; done < request.lengthBytes; done += 512)
          sector(request.offsetBytes + done).copy(buffer, request.memoryOffset + done);
      }
    },
  };
  const chunks = new Map<number, Buffer>();
  const zeros: [number, number][] = [];
  const tally: WriteTally = { chunks: 0, zeroChunks: 0, knownChunks: 0, newChunks: 0, newBytes: 0, storedBytes: 0 };
  const writer: DiskWriter = {
    chunkBytes: CHUNK,
    tally,
    async write(from, spans) {
      for (const span of spans) {
        expect(chunks.has(span.chunkIndex)).toBe(false);
        chunks.set(span.chunkIndex, Buffer.from(from.subarray(span.offset, span.offset + span.length)));
      }
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
      return tally;
    },
    zero: (first, count) => void zeros.push([first, count]),
    finish: async () => ({ indexId: 'x', capacityBytes: options.capacityBytes, chunkBytes: CHUNK }),
  };
  const plan = planCopy({
    capacityBytes: options.capacityBytes,
    chunkBytes: CHUNK,
    allocated: options.allocated,
    changed: options.changed,
  });
  const complaints: Error[] = [];
  const base = {
    async read(into: Buffer, spans: readonly { chunkIndex: number; offset: number }[]) {
      if (options.baseError) throw options.baseError;
      for (const { chunkIndex, offset } of spans)
        into.fill(OLD, offset, offset + Math.min(CHUNK, options.capacityBytes - chunkIndex * CHUNK));
    },
  };
  const run = (signal = new AbortController().signal) =>
    copyDisk({
      disk,
      memory,
      plan,
      writer,
      base,
      onBaseDamaged: (error) => complaints.push(error),
      maxRequestBytes: 2 * 1024 * 1024,
      onProgress: () => {},
      signal,
    });
  return { complaints, run, plan, chunks, zeros, requests, buffer, runningReads: () => running };
}

function sector(offsetBytes: number): Buffer {
  const data = Buffer.alloc(512, (offsetBytes / 512) % 251 || 7);
  data.writeBigUInt64LE(BigInt(offsetBytes) + 1n, 0);
  return data;
}

function expected(chunkIndex: number, length: number, allocated: readonly Extent[]): Buffer {
  const data = Buffer.alloc(length);
  for (let done = 0; done < length; done += 512) {
    const at = chunkIndex * CHUNK + done;
    if (allocated.some((e) => at >= e.offsetBytes && at < e.offsetBytes + e.lengthBytes)) sector(at).copy(data, done);
  }
  return data;
}

describe('copyDisk', () => {
  it('delivers every allocated byte of every touched chunk, and zeros between, at the odd tail and past 2 TiB', async () => {
    const base = 3 * TIB;
    const allocated = [
      { offsetBytes: 65536, lengthBytes: 65536 },
      { offsetBytes: base, lengthBytes: 9 * 1024 * 1024 },
      { offsetBytes: base + 10 * CHUNK * 8, lengthBytes: 1536 },
    ];
    const t = setUp({ capacityBytes: base + 10 * CHUNK * 8 + 1536, allocated });
    expect(await t.run()).toBe(65536 + 9 * 1024 * 1024 + 1536);
    expect(t.chunks.size).toBe(1 + 36 + 1);
    for (const [index, data] of t.chunks) expect(data.equals(expected(index, data.length, allocated))).toBe(true);
    const zeroChunks = t.zeros.reduce((sum, [, count]) => sum + count, 0);
    expect(zeroChunks + t.chunks.size).toBe(Math.ceil(t.plan.capacityBytes / CHUNK));
  });

  const changes = {
    capacityBytes: 64 * CHUNK,
    allocated: [{ offsetBytes: 0, lengthBytes: 40 * CHUNK }],
    changed: [
      { offsetBytes: 3 * CHUNK + 65536, lengthBytes: 65536 },
      { offsetBytes: 39 * CHUNK + 131072, lengthBytes: 3 * CHUNK - 65536 },
    ],
  };

  it('reads exactly what is changed and allocated, and lays it over what the base has', async () => {
    const t = setUp(changes);
    expect(await t.run()).toBe(65536 + 131072);
    expect(t.requests.map((r) => [r.offsetBytes, r.lengthBytes])).toEqual([
      [3 * CHUNK + 65536, 65536],
      [39 * CHUNK + 131072, 131072],
    ]);
    expect([...t.chunks.keys()].sort((a, b) => a - b)).toEqual([3, 39, 42]);
    // Changed and not allocated any more, whole chunks: zero without reading.
    expect(t.zeros).toEqual([[40, 2]]);
    const third = Buffer.alloc(CHUNK, OLD);
    for (let at = 65536; at < 131072; at += 512) sector(3 * CHUNK + at).copy(third, at);
    expect(t.chunks.get(3)?.equals(third)).toBe(true);
    // The first 64 KiB of chunk 42 are zero now, the rest did not change.
    const last = Buffer.alloc(CHUNK, OLD).fill(0, 0, 65536);
    expect(t.chunks.get(42)?.equals(last)).toBe(true);
  });

  it('reads those chunks whole when the base is damaged, says so, and fails with any other error', async () => {
    const t = setUp({ ...changes, baseError: new RepositoryError('chunk 3 is damaged', { code: 'CHUNK_DAMAGED' }) });
    expect(await t.run()).toBe(3 * CHUNK);
    expect(t.complaints).toHaveLength(1);
    for (const [index, data] of t.chunks)
      expect(data.equals(expected(index, CHUNK, [{ offsetBytes: 0, lengthBytes: 64 * CHUNK }]))).toBe(true);
    await expect(setUp({ ...changes, baseError: new Error('repository gone') }).run()).rejects.toThrow('repository gone');
  });

  it('fails with the first error and only after all reads came to rest', async () => {
    const t = setUp({ capacityBytes: 400 * CHUNK, failAtByte: 30 * 1024 * 1024 });
    await expect(t.run()).rejects.toThrow('disk gone');
    expect(t.runningReads()).toBe(0);
  });

  it('stops when aborted', async () => {
    const controller = new AbortController();
    const t = setUp({ capacityBytes: 4000 * CHUNK });
    setTimeout(() => controller.abort(), 20);
    await expect(t.run(controller.signal)).rejects.toThrow(/cancelled/);
    expect(t.chunks.size).toBeLessThan(4000);
  });
});
