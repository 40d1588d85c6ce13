import { availableParallelism } from 'node:os';
import { Semaphore } from '../common/index.js';
import { inspect, seal, unseal, useWorkThreads, type InspectionBatch, type SealedBatch, type Span } from '../native/index.js';
import { KEY_BYTES } from './keys.js';
import { PageRooms } from './page-rooms.js';
import {
  AAD_BYTES,
  ID_BYTES,
  NONCE_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_HEADER_FIELDS,
  RECORD_KINDS,
  TAG_BYTES,
  writeAad,
  writeNonce,
  writeRecordHeader,
  type RecordKind,
} from './format.js';

/** Of zstd: level 2 stores 2 % less for a sixth more CPU time of a full backup; docs/decisions/0014 has the others. */
export const COMPRESSION_LEVEL = 1;
const DEFAULT_CORES = 2;
/** A thread that is done finds the next batch waiting, instead of waiting for the event loop to bring it one. */
const BATCHES_PER_CORE = 2;

/** Where a record is sealed for: a container's key, its context, and its next counters. */
export interface SealingTarget {
  key: Buffer;
  context: Buffer;
  firstCounter: number;
}

export interface PlainRecord extends Span {
  digest: Buffer;
}

/** Memory of a container in the making. */
export interface SealingRoom {
  buffer: Buffer;
  /** One number: how far it is filled; moved on by whoever seals into it. */
  cursor: Uint32Array;
}

/** What the records of one container are opened with. */
export interface OpeningKeys {
  sealingKey: Buffer;
  context: Buffer;
}

export interface SealedPayload {
  container: OpeningKeys;
  digest: Buffer;
  sourceOffset: number;
  payloadLength: number;
  targetOffset: number;
  plainLength: number;
  codec: number;
  counter: number;
}

/**
 * The CPU work of one repository, on as many threads as it may use cores however many disks are
 * copied, so that memory and the machine's other work stay bounded.
 */
export class CryptoLane {
  /** Batches under way at once. */
  readonly lanes: number;
  readonly rooms = new PageRooms();
  private readonly slots: Semaphore;

  constructor(cores = Math.min(availableParallelism(), DEFAULT_CORES)) {
    useWorkThreads(cores);
    this.lanes = cores * BATCHES_PER_CORE;
    this.slots = new Semaphore(this.lanes);
  }

  inspect(memory: Buffer, spans: readonly Span[], digestKey: Buffer, signal?: AbortSignal): Promise<InspectionBatch> {
    return this.slots.run(() => inspect(memory, spans, digestKey), signal);
  }

  /**
   * Seals whole records, header and all, into room that has space for sealedBound of everything under way in it.
   * @returns where each lies; the order is not that of `records`.
   */
  seal(kind: RecordKind, memory: Buffer, records: readonly PlainRecord[], target: SealingTarget, room: SealingRoom): Promise<SealedBatch> {
    const nonces = Buffer.alloc(records.length * NONCE_BYTES);
    const aads = Buffer.alloc(records.length * AAD_BYTES);
    const headers = Buffer.alloc(records.length * RECORD_HEADER_BYTES);
    records.forEach(({ length, digest }, i) => {
      const header = { kind: RECORD_KINDS[kind], counter: target.firstCounter + i, plainLength: length, digest };
      writeNonce(nonces, i * NONCE_BYTES, header.counter);
      writeAad(aads, i * AAD_BYTES, header, target.context);
      writeRecordHeader(headers, i * RECORD_HEADER_BYTES, header);
    });
    const { key } = target;
    const { buffer: output, cursor } = room;
    const fixed = { memory, spans: records, key, nonces, aads, headers, output, cursor };
    return this.slots.run(() => seal({ ...fixed, level: COMPRESSION_LEVEL, fields: RECORD_HEADER_FIELDS }));
  }

  /**
   * Records of any containers, in one batch.
   * @param target undefined: the records are only checked.
   * @returns one status a record; see UNSEAL_FAILURES.
   */
  async unseal(
    kind: RecordKind,
    source: Buffer,
    records: readonly SealedPayload[],
    digestKey: Buffer,
    target: Buffer | undefined,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const codecs = Buffer.alloc(records.length);
    const keys = Buffer.alloc(records.length * KEY_BYTES);
    const nonces = Buffer.alloc(records.length * NONCE_BYTES);
    const aads = Buffer.alloc(records.length * AAD_BYTES);
    const digests = Buffer.alloc(records.length * ID_BYTES);
    records.forEach(({ container, codec, counter, plainLength, digest }, i) => {
      codecs[i] = codec;
      container.sealingKey.copy(keys, i * KEY_BYTES);
      writeNonce(nonces, i * NONCE_BYTES, counter);
      writeAad(aads, i * AAD_BYTES, { kind: RECORD_KINDS[kind], plainLength, digest }, container.context);
      digest.copy(digests, i * ID_BYTES);
    });
    return this.slots.run(() => unseal({ source, records, codecs, keys, nonces, aads, digestKey, digests, target }), signal);
  }
}

/** The most that records can take when nothing compresses. */
export function sealedBound(records: readonly Span[]): number {
  return records.reduce((sum, record) => sum + RECORD_HEADER_BYTES + record.length + TAG_BYTES, 0);
}
