import { addon } from './addon.js';
import type { ChunkTable, InspectionBatch, SealBatch, SealedBatch, SharedMemory, Span, UnsealBatch } from './types.js';

/** An anonymous memfd of `byteLength` bytes, mapped here and inheritable by a child process. */
export function createSharedMemory(byteLength: number): SharedMemory {
  return addon().createSharedMemory(byteLength);
}

/**
 * Zero test and HMAC-SHA256 of each span.
 * @param digestKey 32 bytes.
 * @throws RangeError for a span outside the memory.
 */
export async function inspect(memory: Uint8Array, spans: readonly Span[], digestKey: Uint8Array): Promise<InspectionBatch> {
  return addon().inspect(memory, packSpans(spans), digestKey);
}

/**
 * Compresses (zstd; raw where that saves less than 3 %) and encrypts (AES-256-GCM) each span into
 * `output`, one after the other, each after `headerBytes` that are left for the caller to fill.
 * `output` holds at least the sum of length + headerBytes + 16.
 */
export async function seal(batch: SealBatch): Promise<SealedBatch> {
  return addon().seal(
    batch.memory,
    packSpans(batch.spans),
    batch.key,
    batch.nonces,
    batch.aads,
    batch.level,
    batch.headerBytes,
    batch.output,
  );
}

/**
 * Verifies, decrypts, decompresses and digests each record into its place in `target`.
 * A record that fails leaves zeros there. @returns one UnsealStatus a record.
 */
export async function unseal(batch: UnsealBatch): Promise<Uint8Array> {
  const rows = new Float64Array(batch.records.length * 4);
  batch.records.forEach((record, i) => {
    rows.set([record.sourceOffset, record.payloadLength, record.targetOffset, record.plainLength], i * 4);
  });
  return addon().unseal(
    batch.source,
    rows,
    batch.codecs,
    batch.key,
    batch.nonces,
    batch.aads,
    batch.digestKey,
    batch.digests,
    batch.target,
  );
}

/** One zstd frame of a known size, on the calling thread: for tools that read the format. */
export function decompress(frame: Uint8Array, plainLength: number): Buffer {
  return addon().decompress(frame, plainLength);
}

/** @param maximumBytes growing past this throws RangeError instead of eating the machine's memory. */
export function createChunkTable(maximumBytes: number): ChunkTable {
  return new (addon().ChunkTable)(maximumBytes);
}

function packSpans(spans: readonly Span[]): Float64Array {
  const rows = new Float64Array(spans.length * 2);
  spans.forEach((span, i) => {
    rows.set([span.offset, span.length], i * 2);
  });
  return rows;
}
