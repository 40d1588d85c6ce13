import { addon } from './addon.js';
import type { ChunkTable, IdFilter, InspectionBatch, SealBatch, SealedBatch, SharedMemory, Span, UnsealBatch } from './types.js';

/** Batches are worked on by at least that many threads from now on; all users of the process share them. */
export function useWorkThreads(count: number): void {
  addon().useWorkThreads(count);
}

/** Zeroed pages of the kernel, a whole number of them: aligned for O_DIRECT, and nothing V8 collects garbage for. */
export function allocatePages(byteLength: number): Buffer {
  return addon().allocatePages(byteLength);
}

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
 * Compresses (zstd; raw where that saves less than 3 %) and encrypts (AES-256-GCM) each span into a record of `output`:
 * its header, completed, and its payload. Batches may be sealed into one output at once: every record takes the place
 * behind the cursor as soon as its length is known, so records have no gaps between them and no order.
 * From the cursor on, `output` has room for the sum of header + length + 16 of everything under way.
 */
export async function seal(batch: SealBatch): Promise<SealedBatch> {
  const { codecAt, payloadLengthAt, checksumAt } = batch.fields;
  return addon().seal(
    batch.memory,
    packSpans(batch.spans),
    batch.key,
    batch.nonces,
    batch.aads,
    batch.level,
    batch.headers,
    Uint8Array.of(codecAt, payloadLengthAt, checksumAt),
    batch.output,
    batch.cursor,
  );
}

/**
 * Verifies, decrypts, decompresses and digests each record into its place in `target`; without a target it only checks.
 * A record that fails leaves zeros in its place. @returns one UnsealStatus a record.
 */
export async function unseal(batch: UnsealBatch): Promise<Uint8Array> {
  const rows = new Float64Array(batch.records.length * 4);
  batch.records.forEach((record, i) => {
    rows[i * 4] = record.sourceOffset;
    rows[i * 4 + 1] = record.payloadLength;
    rows[i * 4 + 2] = record.targetOffset;
    rows[i * 4 + 3] = record.plainLength;
  });
  return addon().unseal(
    batch.source,
    rows,
    batch.codecs,
    batch.keys,
    batch.nonces,
    batch.aads,
    batch.digestKey,
    batch.digests,
    batch.target ?? null,
  );
}

/** One zstd frame of a known size, on the calling thread: for tools that read the format. */
export function decompress(frame: Uint8Array, plainLength: number): Buffer {
  return addon().decompress(frame, plainLength);
}

/** @param maximumBytes growing past this throws RangeError CHUNK_TABLE_LIMIT instead of eating the machine's memory; without that memory, CHUNK_TABLE_MEMORY. */
export function createChunkTable(maximumBytes: number): ChunkTable {
  return new (addon().ChunkTable)(maximumBytes);
}

/** Another seed each time: what one takes for known by mistake, the next does not. */
export function createIdFilter(expectedIds: number): IdFilter {
  return new (addon().IdFilter)(expectedIds);
}

function packSpans(spans: readonly Span[]): Float64Array {
  const rows = new Float64Array(spans.length * 2);
  spans.forEach((span, i) => {
    rows[i * 2] = span.offset;
    rows[i * 2 + 1] = span.length;
  });
  return rows;
}
