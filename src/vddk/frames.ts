import type { Extent } from '../disk/index.js';
import { sectorsToBytes } from '../common/index.js';
import type { IoRequest } from './types.js';

/** Version 1 of the protocol described at the top of native/host/main.cc. */
export const PROTOCOL_VERSION = 1;

export const FrameType = { request: 1, answer: 2, read: 3, write: 4, extents: 5, progress: 6 } as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export interface Frame {
  type: number;
  id: number;
  body: Buffer;
}

const HEADER_BYTES = 16;
const LARGEST_BODY_BYTES = 16 * 1024 * 1024;
const REQUEST_BYTES = 24;

export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export function encodeFrame(type: FrameType, id: number, body: Buffer): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(body.length, 0);
  header.writeUInt32LE(type, 4);
  header.writeBigUInt64LE(BigInt(id), 8);
  return Buffer.concat([header, body]);
}

export function encodeBatch(disk: string, requests: readonly IoRequest[]): Buffer {
  const body = Buffer.allocUnsafe(8 + requests.length * REQUEST_BYTES);
  body.writeBigUInt64LE(BigInt(disk), 0);
  requests.forEach((request, index) => {
    const at = 8 + index * REQUEST_BYTES;
    body.writeBigUInt64LE(BigInt(request.offsetBytes), at);
    body.writeBigUInt64LE(BigInt(request.lengthBytes), at + 8);
    body.writeBigUInt64LE(BigInt(request.memoryOffset), at + 16);
  });
  return body;
}

/** @throws FrameError | RangeError on a list no disk can have. */
export function decodeExtents(body: Buffer): Extent[] {
  if (body.length % 16 !== 0) throw new FrameError('a list of extents is cut off');
  const extents: Extent[] = [];
  for (let at = 0; at < body.length; at += 16) {
    extents.push({
      offsetBytes: sectorsToBytes(Number(body.readBigUInt64LE(at))),
      lengthBytes: sectorsToBytes(Number(body.readBigUInt64LE(at + 8))),
    });
  }
  return extents;
}

/** Cuts a byte stream into frames. */
export class FrameDecoder {
  private pieces: Buffer[] = [];
  private size = 0;
  /** Bytes without which no frame can be complete: spares joining the pieces of a long one again and again. */
  private wanted = HEADER_BYTES;

  /** @throws FrameError when the peer does not speak this protocol. */
  push(piece: Buffer): Frame[] {
    this.pieces.push(piece);
    this.size += piece.length;
    const frames: Frame[] = [];
    for (let frame = this.next(); frame !== undefined; frame = this.next()) frames.push(frame);
    return frames;
  }

  private next(): Frame | undefined {
    if (this.size < this.wanted) return undefined;
    let whole = this.joined();
    const bodyBytes = whole.readUInt32LE(0);
    const type = whole.readUInt32LE(4);
    const id = Number(whole.readBigUInt64LE(8));
    if (bodyBytes > LARGEST_BODY_BYTES || type < FrameType.answer || type > FrameType.progress || !Number.isSafeInteger(id)) {
      throw new FrameError('a frame with an impossible header');
    }
    this.wanted = HEADER_BYTES + bodyBytes;
    if (whole.length < this.wanted) return undefined;
    this.wanted = HEADER_BYTES;
    const body = Buffer.from(whole.subarray(HEADER_BYTES, HEADER_BYTES + bodyBytes));
    whole = whole.subarray(HEADER_BYTES + bodyBytes);
    this.pieces = whole.length > 0 ? [whole] : [];
    this.size = whole.length;
    return { type, id, body };
  }

  private joined(): Buffer {
    const whole = this.pieces.length === 1 && this.pieces[0] ? this.pieces[0] : Buffer.concat(this.pieces, this.size);
    this.pieces = [whole];
    return whole;
  }
}
