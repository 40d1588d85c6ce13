import type { AllocatedGrains, Stretch } from './allocated-grains.js';
import { type ByteSource, zeroPieces } from './byte-source.js';

export interface StretchLayout {
  grains: AllocatedGrains;
  /** Where a stretch begins in this part of the file; `stretchCount` asks for the end. What lies between two that hold data is zero. */
  offsetOf: (stretchIndex: number) => number;
  /** Bytes `fromBytes` up to `toBytes` of what a stretch has here. */
  write: (stretch: Stretch, fromBytes: number, toBytes: number, signal: AbortSignal) => Iterable<Buffer> | AsyncIterable<Buffer>;
}

/** A part of an image that goes stretch by stretch: tables, or the data. */
export function stretchSource({ grains, offsetOf, write }: StretchLayout): ByteSource {
  return {
    sizeBytes: offsetOf(grains.stretchCount),
    async *read(startBytes, endBytes, signal) {
      if (endBytes <= startBytes) return;
      let atBytes = startBytes;
      for await (const stretch of grains.stretches(stretchAt(grains.stretchCount, offsetOf, startBytes), signal)) {
        const baseBytes = offsetOf(stretch.index);
        if (baseBytes >= endBytes) break;
        if (baseBytes > atBytes) {
          yield* zeroPieces(baseBytes - atBytes);
          atBytes = baseBytes;
        }
        const limitBytes = Math.min(endBytes, offsetOf(stretch.index + 1));
        if (limitBytes > atBytes) yield* write(stretch, atBytes - baseBytes, limitBytes - baseBytes, signal);
        atBytes = Math.max(atBytes, limitBytes);
      }
      yield* zeroPieces(endBytes - atBytes);
    },
  };
}

/** The last stretch that begins at or before an offset. */
function stretchAt(count: number, offsetOf: (stretchIndex: number) => number, offsetBytes: number): number {
  let low = 0;
  let high = Math.max(0, count - 1);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (offsetOf(middle) <= offsetBytes) low = middle;
    else high = middle - 1;
  }
  return low;
}
