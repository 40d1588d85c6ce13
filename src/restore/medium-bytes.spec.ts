import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { DiskReader } from '../repository/index.js';
import { MediumBytes } from './medium-bytes.js';

const CHUNK = 64 * 1024;
const SECTOR = 512;
const signal = new AbortController().signal;

/** 5 MiB and a bit: more than one window, with a short last chunk. */
const content = Buffer.alloc(5 * 2 ** 20 + 700, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
const sha256 = createHash('sha256').update(content).digest('hex');

function setUp(more: { sha256?: string; damagedChunk?: number } = {}) {
  const capacityBytes = Math.ceil(content.length / SECTOR) * SECTOR;
  const stored = Buffer.concat([content, Buffer.alloc(capacityBytes - content.length)]);
  const reader: DiskReader = {
    capacityBytes,
    chunkBytes: CHUNK,
    async *dataChunks() {},
    async read(memory, chunks) {
      for (const { chunkIndex, offset } of chunks) {
        if (chunkIndex === more.damagedChunk) throw new Error('chunk damaged');
        stored.copy(memory, offset, chunkIndex * CHUNK, (chunkIndex + 1) * CHUNK);
      }
    },
  };
  return new MediumBytes(reader, { sizeBytes: content.length, sha256: more.sha256 ?? sha256 }, 'disc');
}

async function sent(bytes: MediumBytes, offsetBytes: number, limitBytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of bytes.from(offsetBytes, signal)) {
    pieces.push(piece);
    if (pieces.reduce((sum, { length }) => sum + length, 0) >= limitBytes) break;
  }
  return Buffer.concat(pieces);
}

describe('MediumBytes', () => {
  it('gives every byte, and none of what fills the last sector', async () => {
    const bytes = setUp();
    expect((await sent(bytes, 0)).equals(content)).toBe(true);
    await bytes.assertAllSent(signal);
  });

  it.each([1, CHUNK, CHUNK + 17, 4 * 2 ** 20, content.length - 1])('goes on from byte %i as if nothing had broken', async (offset) => {
    const bytes = setUp();
    await sent(bytes, 0, 1);
    expect((await sent(bytes, offset)).equals(content.subarray(offset))).toBe(true);
    await bytes.assertAllSent(signal);
  });

  it('digests what nobody had to send, and what was sent twice only once', async () => {
    const bytes = setUp();
    await sent(bytes, content.length - 100);
    await sent(bytes, 10);
    await bytes.assertAllSent(signal);
    await setUp().assertAllSent(signal);
    expect((await sent(setUp(), content.length)).length).toBe(0);
  });

  it('refuses bytes that are not those of the backup', async () => {
    const bytes = setUp({ sha256: 'f'.repeat(64) });
    await sent(bytes, 0);
    await expect(bytes.assertAllSent(signal)).rejects.toMatchObject({ code: 'MEDIUM_MISMATCH' });
  });

  it('ends with what the repository says', async () => {
    await expect(sent(setUp({ damagedChunk: 70 }), 0)).rejects.toThrow('chunk damaged');
  });
});
