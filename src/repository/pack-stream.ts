import { randomBytes } from 'node:crypto';
import { Semaphore, awaitShared, newId, throwIfAborted } from '../common/index.js';
import { sealedBound, type CryptoLane, type PlainRecord, type SealingRoom } from './crypto-lane.js';
import {
  CONTAINER_HEADER_BYTES,
  PACK_FOOTER_BYTES,
  PACK_FOOTER_MAC_OFFSET,
  PACK_MAGIC,
  RECORD_KINDS,
  SALT_BYTES,
  containerContext,
  encodeContainerHeader,
  encodeEntries,
  encodePackFooter,
  packPath,
  type PackEntry,
  type RecordKind,
} from './format.js';
import type { OrganizationIndex, OrganizationPlace } from './organization-index.js';
import { sealBlob } from './sealed-blob.js';
import { encodeSegment } from './segment.js';
import type { BlobStore } from './types.js';

/** One pack fills while the other is written: this, times the pack size, is a session's memory. */
const PACK_BUFFERS = 2;
/** Room past the target for the batches that may be under way when it is reached. */
const PACK_SLACK_BYTES = 8 * 1024 * 1024;
const RECORDS_PER_PACK = 16_384;
/** A segment for every pack would make thousands of small files; a killed session loses nothing either way (trailers). */
const PACKS_PER_SEGMENT = 4;
const SEGMENT_AGE_MS = 5_000;
/** For what is being written when the stream is abandoned: what is durable by then is not stored a second time. */
const ABANDON_GRACE_MS = 60_000;

export interface PackStreamOptions {
  place: OrganizationPlace;
  index: OrganizationIndex;
  store: BlobStore;
  lane: CryptoLane;
  packTargetBytes: number;
  leaveFreeBytes: number;
  /** Asked before a pack is put, of all records that are not in the index yet; throws where they have no room there. */
  admit?: (records: number) => void;
  /** Records are durable and in the shared index; the session may forget them. */
  onIndexed: (entries: readonly PackEntry[]) => void;
}

interface OpenPack {
  id: string;
  key: Buffer;
  context: Buffer;
  room: SealingRoom;
  /** Worst case of what is being sealed for this pack right now. */
  reservedBytes: number;
  reservations: number;
  nextCounter: number;
  entries: PackEntry[];
  /** Takes no more records. */
  full: boolean;
  closing: boolean;
  releaseBuffer: () => void;
  settled: Promise<void>;
  settle: { resolve: () => void; reject: (error: unknown) => void };
}

interface DurablePack {
  id: string;
  entries: PackEntry[];
}

/**
 * The packs of one session: records are sealed into the filling pack; a full one is written, then
 * named by an index segment, then its records enter the shared index - in that order.
 *
 * Back-pressure: a record waits for room, room for a buffer, a buffer for a durable write.
 * The first failure ends the stream: everything after it fails with the same error, because a
 * restore point with a hole must never be published.
 */
export class PackStream {
  private readonly buffers = new Semaphore(PACK_BUFFERS);
  private readonly reserving = new Semaphore(1);
  private readonly segmenting = new Semaphore(1);
  private readonly sealing: Semaphore;
  private readonly open = new Set<OpenPack>();
  private filling: OpenPack | undefined;
  private readonly writing = new AbortController();
  private unindexed: DurablePack[] = [];
  private oldestUnindexedMs = 0;
  private failure: unknown;
  private failed = false;

  constructor(private readonly options: PackStreamOptions) {
    this.sealing = new Semaphore(options.lane.lanes);
  }

  /** The first failure, for those who only asked for known chunks. */
  throwIfFailed(): void {
    if (this.failed) throw this.failure;
  }

  fail(error: unknown): void {
    if (this.failed) return;
    this.failed = true;
    this.failure = error;
  }

  /**
   * Seals records into packs. Resolves when the plaintext is no longer needed, not when it is durable.
   * @returns the bytes each record takes in its pack.
   */
  async append(kind: RecordKind, memory: Buffer, records: readonly PlainRecord[], signal?: AbortSignal): Promise<number[]> {
    return this.sealing.run(async () => {
      const { pack, firstCounter } = await this.reserve(records, signal);
      let stored: number[];
      try {
        const target = { key: pack.key, context: pack.context, firstCounter };
        const { offsets, lengths } = await this.options.lane.seal(kind, memory, records, target, pack.room);
        stored = [...lengths];
        records.forEach(({ digest, length: plainLength }, i) => {
          const place = { offset: offsets[i] as number, length: lengths[i] as number };
          pack.entries.push({ digest, ...place, plainLength, kind: RECORD_KINDS[kind] });
        });
      } catch (error) {
        this.fail(error);
        throw error;
      } finally {
        pack.reservations -= 1;
        pack.reservedBytes -= sealedBound(records);
        if (bytesOf(pack) >= this.options.packTargetBytes) this.retire(pack);
        this.closeWhenReady(pack);
      }
      return stored;
    }, signal);
  }

  /** The sealed bytes of a record that no reader can find yet, if they are still in memory. */
  findBuffered(digest: Buffer): { record: Buffer; key: Buffer; context: Buffer } | undefined {
    for (const pack of this.open) {
      const entry = pack.entries.find((candidate) => candidate.digest.equals(digest));
      if (entry) {
        const record = Buffer.from(pack.room.buffer.subarray(entry.offset, entry.offset + entry.length));
        return { record, key: pack.key, context: pack.context };
      }
    }
    return undefined;
  }

  /** Everything appended so far is durable and indexed when it resolves. */
  async flush(signal?: AbortSignal): Promise<void> {
    await this.reserving.run(async () => {
      if (this.filling) this.retire(this.filling);
    }, signal);
    await awaitShared(Promise.all([...this.open].map((pack) => pack.settled)), signal);
    this.throwIfFailed();
    await this.writeSegment().catch((error: unknown) => {
      this.fail(error);
      throw error;
    });
  }

  /**
   * Drops what is not durable, waits for what is being written, and indexes what is durable. Never throws, and gives a store that does
   * not answer no more than the grace: who abandons has a cloud to clean up.
   */
  async abandon(reason: unknown): Promise<void> {
    this.fail(reason);
    if (this.filling) this.retire(this.filling);
    const timer = setTimeout(() => this.writing.abort(reason), ABANDON_GRACE_MS);
    await Promise.allSettled([...this.open].map((pack) => pack.settled));
    await this.writeSegment().catch(() => undefined);
    clearTimeout(timer);
  }

  private reserve(records: readonly PlainRecord[], signal?: AbortSignal): Promise<{ pack: OpenPack; firstCounter: number }> {
    const needed = sealedBound(records);
    return this.reserving.run(async () => {
      for (;;) {
        throwIfAborted(signal);
        this.throwIfFailed();
        const pack = this.filling ?? (await this.openPack(needed, signal));
        // What is being sealed may count twice, as sealed and as reserved: that only makes a pack end early.
        const fits = bytesOf(pack) + pack.reservedBytes + needed <= pack.room.buffer.length;
        if (!pack.full && fits && pack.nextCounter + records.length <= RECORDS_PER_PACK) {
          const firstCounter = pack.nextCounter;
          pack.nextCounter += records.length;
          pack.reservations += 1;
          pack.reservedBytes += needed;
          return { pack, firstCounter };
        }
        this.retire(pack);
      }
    }, signal);
  }

  private async openPack(needed: number, signal?: AbortSignal): Promise<OpenPack> {
    const releaseBuffer = await this.buffers.acquire(signal);
    try {
      this.throwIfFailed();
      const { place, packTargetBytes } = this.options;
      const id = newId();
      const salt = randomBytes(SALT_BYTES);
      const bytes = Math.max(packTargetBytes + PACK_SLACK_BYTES, CONTAINER_HEADER_BYTES + needed);
      const buffer = this.options.lane.rooms.take(bytes);
      const settle = {} as OpenPack['settle'];
      const settled = new Promise<void>((resolve, reject) => Object.assign(settle, { resolve, reject }));
      settled.catch(() => undefined);
      const pack: OpenPack = {
        id,
        key: place.keys.sealingKey(salt),
        context: containerContext(place.organizationId, packPath(id)),
        room: { buffer, cursor: Uint32Array.of(encodeContainerHeader(PACK_MAGIC, { id, salt }).copy(buffer)) },
        reservedBytes: 0,
        reservations: 0,
        nextCounter: 0,
        entries: [],
        full: false,
        closing: false,
        releaseBuffer,
        settled,
        settle,
      };
      this.open.add(pack);
      this.filling = pack;
      return pack;
    } catch (error) {
      releaseBuffer();
      throw error;
    }
  }

  private retire(pack: OpenPack): void {
    if (this.filling === pack) this.filling = undefined;
    if (pack.full) return;
    pack.full = true;
    this.closeWhenReady(pack);
  }

  private closeWhenReady(pack: OpenPack): void {
    if (!pack.full || pack.reservations > 0 || pack.closing) return;
    pack.closing = true;
    this.close(pack).then(pack.settle.resolve, (error: unknown) => {
      this.fail(error);
      pack.settle.reject(error);
    });
  }

  private async close(pack: OpenPack): Promise<void> {
    try {
      if (this.failed || pack.entries.length === 0) return;
      const { place, store, leaveFreeBytes, admit } = this.options;
      admit?.([pack, ...this.unindexed].reduce((sum, { entries }) => sum + entries.length, 0));
      pack.entries.sort((a, b) => a.offset - b.offset);
      const entries = encodeEntries(pack.entries);
      const body = pack.room.buffer.subarray(0, bytesOf(pack));
      const packLength = body.length + entries.length + PACK_FOOTER_BYTES;
      const footer = encodePackFooter({ entryCount: pack.entries.length, trailerOffset: body.length, packLength });
      const mac = place.keys.trailerMac(body.subarray(0, CONTAINER_HEADER_BYTES), entries, footer.subarray(0, PACK_FOOTER_MAC_OFFSET));
      mac.copy(footer, PACK_FOOTER_MAC_OFFSET);
      await store.put(place.prefix + packPath(pack.id), [body, entries, footer], {
        ifAbsent: true,
        leaveFreeBytes,
        signal: this.writing.signal,
      });
      if (this.unindexed.length === 0) this.oldestUnindexedMs = performance.now();
      this.unindexed.push({ id: pack.id, entries: pack.entries });
      const due = this.unindexed.length >= PACKS_PER_SEGMENT || performance.now() - this.oldestUnindexedMs > SEGMENT_AGE_MS;
      if (due) await this.writeSegment();
    } finally {
      this.open.delete(pack);
      this.options.lane.rooms.give(pack.room.buffer);
      pack.releaseBuffer();
    }
  }

  private writeSegment(): Promise<void> {
    return this.segmenting.run(async () => {
      // A copy: packs that become durable while this segment is written belong to the next one.
      const packs = [...this.unindexed];
      if (packs.length === 0) return;
      const { place, store, lane, index } = this.options;
      const name = `index/${newId()}`;
      const encoded = packs.map((pack) => ({ packId: pack.id, entries: encodeEntries(pack.entries) }));
      const plaintext = encodeSegment(encoded);
      const blob = await sealBlob(lane, place.keys, { organizationId: place.organizationId, name, kind: 'segment' }, plaintext);
      await store.put(place.prefix + name, blob, { ifAbsent: true, signal: this.writing.signal });
      this.unindexed = this.unindexed.slice(packs.length);
      for (const pack of encoded) index.insert(pack.packId, pack.entries);
      for (const pack of packs) this.options.onIndexed(pack.entries);
    });
  }
}

function bytesOf(pack: OpenPack): number {
  return pack.room.cursor[0] as number;
}
