import { createReadStream, type ReadStream } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { VcdCloud } from '../cloud.js';
import type { Media } from '../state.js';

/** Where the image lies; real bytes, so that a download is what an upload was. */
export function mediaPath(cloud: VcdCloud, media: Media): string {
  return join(cloud.mediaDirectory, media.fileName);
}

/** An image without bytes yet, of its full size. */
export async function createMediaFile(cloud: VcdCloud, media: Media): Promise<void> {
  const path = mediaPath(cloud, media);
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'w');
  try {
    await file.truncate(media.sizeBytes);
  } finally {
    await file.close();
  }
}

export async function deleteMediaFile(cloud: VcdCloud, media: Media): Promise<void> {
  await rm(mediaPath(cloud, media), { force: true });
}

export interface ReceivedPiece {
  /** Never more than the limit: what comes beyond it is read and dropped. */
  writtenBytes: number;
  sentBytes: number;
  /** The connection ended before the body did. */
  broken: boolean;
}

/** Writes what comes; a connection that breaks leaves what came before in the file. */
export async function writeMediaBytes(
  cloud: VcdCloud,
  media: Media,
  startByte: number,
  limitBytes: number,
  bytes: AsyncIterable<Buffer>,
): Promise<ReceivedPiece> {
  const file = await open(mediaPath(cloud, media), 'r+');
  const received: ReceivedPiece = { writtenBytes: 0, sentBytes: 0, broken: false };
  const pieces = bytes[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await pieces.next().catch(() => undefined);
      received.broken = next === undefined;
      if (!next || next.done === true) return received;
      received.sentBytes += next.value.length;
      const kept = next.value.subarray(0, Math.max(0, limitBytes - received.writtenBytes));
      if (kept.length > 0) await file.write(kept, 0, kept.length, startByte + received.writtenBytes);
      received.writtenBytes += kept.length;
    }
  } finally {
    await file.close();
  }
}

export function readMediaBytes(cloud: VcdCloud, media: Media, startByte: number, endByteExclusive: number): ReadStream {
  return createReadStream(mediaPath(cloud, media), { start: startByte, end: endByteExclusive - 1 });
}

type Received = Media['receivedRanges'][number];

/** The ranges with one more, merged and in order. */
export function withReceived(ranges: readonly Received[], added: Received): Received[] {
  const merged: Received[] = [];
  for (const range of [...ranges, added]
    .filter((each) => each.endByteExclusive > each.startByte)
    .sort((a, b) => a.startByte - b.startByte)) {
    const last = merged.at(-1);
    if (last && range.startByte <= last.endByteExclusive) last.endByteExclusive = Math.max(last.endByteExclusive, range.endByteExclusive);
    else merged.push({ ...range });
  }
  return merged;
}

export function receivedBytes(media: Media): number {
  return media.receivedRanges.reduce((sum, range) => sum + range.endByteExclusive - range.startByte, 0);
}
