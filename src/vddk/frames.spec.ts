import { describe, expect, it } from 'vitest';
import { decodeExtents, encodeBatch, encodeFrame, FrameDecoder, FrameError, FrameType } from './frames.js';

describe('FrameDecoder', () => {
  it('finds the same frames however the stream is cut', () => {
    const bodies = [Buffer.from('{"ok":true}'), Buffer.alloc(0), Buffer.alloc(70_000, 3)];
    const stream = Buffer.concat(bodies.map((body, i) => encodeFrame(FrameType.answer, i + 1, body)));
    for (const step of [1, 15, 16, 17, 4096, stream.length]) {
      const decoder = new FrameDecoder();
      const frames = [];
      for (let at = 0; at < stream.length; at += step) frames.push(...decoder.push(stream.subarray(at, at + step)));
      expect(frames.map((frame) => frame.id)).toEqual([1, 2, 3]);
      expect(frames.every((frame, i) => frame.body.equals(bodies[i] as Buffer))).toBe(true);
      if (step === 1) expect(frames).toHaveLength(3);
    }
  });

  it.each([
    ['an unknown type', encodeFrame(9 as never, 1, Buffer.alloc(0))],
    ['a type only the worker sends', encodeFrame(FrameType.request, 1, Buffer.alloc(0))],
    ['a length nobody sends', Buffer.from('ffffffff0200000001000000000000000', 'hex')],
  ])('refuses %s', (_, bytes) => {
    expect(() => new FrameDecoder().push(Buffer.concat([bytes, Buffer.alloc(16)]))).toThrow(FrameError);
  });
});

describe('numbers beyond 32 bits', () => {
  it('survive in a batch', () => {
    const body = encodeBatch('7', [{ offsetBytes: 62 * 2 ** 40 + 512, lengthBytes: 2 ** 20, memoryOffset: 2 ** 32 }]);
    expect([0, 8, 16, 24].map((at) => body.readBigUInt64LE(at))).toEqual([7n, 62n * 2n ** 40n + 512n, 2n ** 20n, 2n ** 32n]);
  });

  it('survive in extents, and a wrapped one is refused', () => {
    const body = Buffer.alloc(16);
    body.writeBigUInt64LE(2n ** 37n + 1n, 0);
    body.writeBigUInt64LE(3n, 8);
    expect(decodeExtents(body)).toEqual([{ offsetBytes: (2 ** 37 + 1) * 512, lengthBytes: 1536 }]);
    body.writeBigUInt64LE(2n ** 63n, 0);
    expect(() => decodeExtents(body)).toThrow(RangeError);
    expect(() => decodeExtents(body.subarray(0, 9))).toThrow(FrameError);
  });
});
