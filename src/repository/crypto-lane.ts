import { availableParallelism } from 'node:os';
import { Semaphore } from '../common/index.js';
import { inspect, seal, unseal, type InspectionBatch, type Span } from '../native/index.js';
import {
  AAD_BYTES,
  NONCE_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
  TAG_BYTES,
  writeAad,
  writeNonce,
  writeRecordHeader,
  type RecordKind,
} from './format.js';

const COMPRESSION_LEVEL = 1;
/** libuv has four threads by default; one stays free for files, or reads would wait behind compression. */
const MAXIMUM_LANES = 3;
const KEPT_SCRATCH_BYTES = 8 * 1024 * 1024;

/** Where a record is sealed for: a container's key, its context, and its next counters. */
export interface SealingTarget {
  key: Buffer;
  context: Buffer;
  firstCounter: number;
}

export interface PlainRecord extends Span {
  digest: Buffer;
}

export interface SealedPayload {
  digest: Buffer;
  sourceOffset: number;
  payloadLength: number;
  targetOffset: number;
  plainLength: number;
  codec: number;
  counter: number;
}

/**
 * The CPU work of one repository, at most one batch a core at a time however many disks are
 * copied, so that memory and the thread pool stay bounded.
 */
export class CryptoLane {
  readonly lanes = Math.max(1, Math.min(availableParallelism(), MAXIMUM_LANES));
  private readonly slots = new Semaphore(this.lanes);
  private readonly scratch: Buffer[] = [];

  inspect(memory: Buffer, spans: readonly Span[], digestKey: Buffer, signal?: AbortSignal): Promise<InspectionBatch> {
    return this.slots.run(() => inspect(memory, spans, digestKey), signal);
  }

  /** Seals whole records, header and all, and hands each to `take`; the buffer is reused afterwards. */
  async seal(
    kind: RecordKind,
    memory: Buffer,
    records: readonly PlainRecord[],
    target: SealingTarget,
    take: (record: Buffer, index: number) => void,
  ): Promise<void> {
    const release = await this.slots.acquire();
    let output: Buffer | undefined;
    try {
      output = this.takeScratch(sealedBound(records));
      const nonces = Buffer.alloc(records.length * NONCE_BYTES);
      const aads = Buffer.alloc(records.length * AAD_BYTES);
      records.forEach((record, i) => {
        writeNonce(nonces, i * NONCE_BYTES, target.firstCounter + i);
        const bound = { kind: RECORD_KINDS[kind], plainLength: record.length, digest: record.digest };
        writeAad(aads, i * AAD_BYTES, bound, target.context);
      });
      const sealed = await seal({
        memory,
        spans: records,
        key: target.key,
        nonces,
        aads,
        level: COMPRESSION_LEVEL,
        headerBytes: RECORD_HEADER_BYTES,
        output,
      });
      let start = 0;
      for (const [i, record] of records.entries()) {
        const bytes = output.subarray(start, sealed.ends[i]);
        writeRecordHeader(bytes, {
          kind: RECORD_KINDS[kind],
          codec: sealed.codecs[i] as number,
          counter: target.firstCounter + i,
          plainLength: record.length,
          payloadLength: bytes.length - RECORD_HEADER_BYTES,
          digest: record.digest,
        });
        take(bytes, i);
        start += bytes.length;
      }
    } finally {
      if (output && output.length <= KEPT_SCRATCH_BYTES) this.scratch.push(output);
      release();
    }
  }

  /** @returns one status a record; see UNSEAL_FAILURES. */
  async unseal(
    kind: RecordKind,
    source: Buffer,
    records: readonly SealedPayload[],
    keys: { sealingKey: Buffer; digestKey: Buffer; context: Buffer },
    target: Buffer,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const nonces = Buffer.alloc(records.length * NONCE_BYTES);
    const aads = Buffer.alloc(records.length * AAD_BYTES);
    records.forEach((record, i) => {
      writeNonce(nonces, i * NONCE_BYTES, record.counter);
      writeAad(aads, i * AAD_BYTES, { kind: RECORD_KINDS[kind], plainLength: record.plainLength, digest: record.digest }, keys.context);
    });
    const batch = {
      source,
      records,
      codecs: Uint8Array.from(records, (record) => record.codec),
      key: keys.sealingKey,
      nonces,
      aads,
      digestKey: keys.digestKey,
      digests: Buffer.concat(records.map((record) => record.digest)),
      target,
    };
    return this.slots.run(() => unseal(batch), signal);
  }

  /** At most one buffer a lane is ever in use, so at most that many are kept. */
  private takeScratch(bytes: number): Buffer {
    const kept = this.scratch.pop();
    return kept && kept.length >= bytes ? kept : Buffer.allocUnsafeSlow(bytes);
  }
}

/** The most that records can take when nothing compresses. */
export function sealedBound(records: readonly Span[]): number {
  return records.reduce((sum, record) => sum + RECORD_HEADER_BYTES + record.length + TAG_BYTES, 0);
}
