import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MIB } from '../common/index.js';
import { storeMedium } from './store-medium.js';

const CHUNK_BYTES = 64 * 1024;

/** A repository that keeps what it is given, and is slow about it: memory that is reused too early shows. */
function setUp() {
  const stored = new Map<number, Buffer>();
  let opened: { capacityBytes: number } | undefined;
  const session = {
    openDisk: async (disk: { diskId: string; capacityBytes: number; chunkBytes: number }) => {
      opened = disk;
      return {
        chunkBytes: disk.chunkBytes,
        tally: { chunks: 0, zeroChunks: 0, knownChunks: 0, newChunks: 0, newBytes: 7, storedBytes: 5 },
        write: async (memory: Buffer, chunks: readonly { chunkIndex: number; offset: number; length: number }[]) => {
          await new Promise((resolve) => setTimeout(resolve, 2));
          for (const { chunkIndex, offset, length } of chunks)
            stored.set(chunkIndex, Buffer.from(memory.subarray(offset, offset + length)));
          return {} as never;
        },
        zero: () => {},
        finish: async () => ({ indexId: 'index', capacityBytes: disk.capacityBytes, chunkBytes: disk.chunkBytes }),
      };
    },
  };
  const content = () => Buffer.concat([...stored.entries()].sort(([one], [other]) => one - other).map(([, chunk]) => chunk));
  return { session, content, opened: () => opened };
}

async function* inPieces(bytes: Buffer, pieceBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

function patterned(lengthBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  for (let i = 0; i < lengthBytes; i += 1) bytes[i] = (i * 31 + (i >> 12)) & 0xff;
  return bytes;
}

const store = (session: ReturnType<typeof setUp>['session'], body: AsyncIterable<Buffer>, sizeBytes: number, signal?: AbortSignal) => {
  const progress: number[] = [];
  const stored = storeMedium({
    diskId: 'medium-1',
    name: 'installer',
    body,
    sizeBytes,
    session,
    chunkBytes: CHUNK_BYTES,
    onProgress: (doneBytes) => progress.push(doneBytes),
    signal: signal ?? new AbortController().signal,
  });
  return { stored, progress };
};

describe('storeMedium', () => {
  it.each([
    ['a single byte', 1, 1],
    ['whole sectors', 4 * 512, 512],
    ['a broken sector at the end', CHUNK_BYTES + 700, 10_000],
    ['exactly a window', 4 * MIB, 65_536],
    ['many windows, in odd pieces', 21 * MIB + 77, 100_003],
    ['pieces larger than a window', 9 * MIB, 9 * MIB],
  ])('stores %s as whole sectors, zero after the end', async (_what, sizeBytes, pieceBytes) => {
    const { session, content, opened } = setUp();
    const bytes = patterned(sizeBytes);
    const { stored, progress } = store(session, inPieces(bytes, pieceBytes), sizeBytes);
    const medium = await stored;
    const capacityBytes = Math.ceil(sizeBytes / 512) * 512;
    expect(opened()).toMatchObject({ diskId: 'medium-1', capacityBytes, chunkBytes: CHUNK_BYTES });
    expect(content().subarray(0, sizeBytes).equals(bytes)).toBe(true);
    expect(
      content()
        .subarray(sizeBytes)
        .equals(Buffer.alloc(capacityBytes - sizeBytes)),
    ).toBe(true);
    expect(medium).toMatchObject({ diskId: 'medium-1', indexId: 'index', sizeBytes, capacityBytes, newBytes: 7, storedBytes: 5 });
    expect(medium.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(progress.at(-1)).toBe(sizeBytes);
  });

  it.each([
    ['fewer', 700, 699],
    ['none', 700, 0],
    ['more', 700, 701],
  ])('refuses a stream of %s bytes than the medium has', async (_what, sizeBytes, sentBytes) => {
    const { session } = setUp();
    await expect(store(session, inPieces(patterned(sentBytes), 300), sizeBytes).stored).rejects.toMatchObject({
      code: 'MEDIUM_INCOMPLETE',
      retryable: true,
      message: expect.stringContaining('"installer"'),
    });
  });

  it('ends the stream when storing fails, and throws that failure', async () => {
    const { session } = setUp();
    const full = new Error('the repository is full');
    let ended = false;
    async function* endless(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield patterned(MIB);
      } finally {
        ended = true;
      }
    }
    const failing = {
      openDisk: async (disk: { diskId: string; capacityBytes: number; chunkBytes: number }) => {
        const writer = await session.openDisk(disk);
        return { ...writer, write: () => Promise.reject(full) };
      },
    };
    await expect(store(failing, endless(), 1024 * MIB).stored).rejects.toBe(full);
    expect(ended).toBe(true);
  });
});
