import { Semaphore, type Logger } from '../common/index.js';
import { createChunkTable, type ChunkTable } from '../native/index.js';
import type { CryptoLane } from './crypto-lane.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import {
  CONTAINER_HEADER_BYTES,
  ENTRY_BYTES,
  ID_BYTES,
  PACK_FOOTER_BYTES,
  PACK_FOOTER_MAC_OFFSET,
  SEGMENT_PACK_HEADER_BYTES,
  bytesToUuid,
  decodePackFooter,
  packPath,
} from './format.js';
import { equalBytes, type OrganizationKeys } from './keys.js';
import { openBlob } from './sealed-blob.js';
import type { BlobStore } from './types.js';

/** 4 GiB describe some 60 million chunks: 14 TiB of unique data at 256 KiB. */
const MAXIMUM_TABLE_BYTES = 4 * 1024 ** 3;

export interface RecordLocation {
  packId: string;
  offset: number;
  length: number;
  plainLength: number;
}

export interface OrganizationPlace {
  organizationId: string;
  /** "orgs/HASH/": before every object name of this organization. */
  prefix: string;
  keys: OrganizationKeys;
}

/**
 * Every durable chunk of one organization and where it lies: the union of its index segments and
 * of the trailers of packs that no segment names (their session died, or the segment is lost).
 * Shared by all sessions and readers of this process; refreshed incrementally.
 */
export class OrganizationIndex {
  private readonly table: ChunkTable = createChunkTable(MAXIMUM_TABLE_BYTES);
  private readonly packIds: string[] = [];
  private readonly packNumbers = new Map<string, number>();
  private readonly segments = new Set<string>();
  private readonly unreadable = new Set<string>();
  private readonly bad = new Set<string>();
  /** Of packs that are cut short or missing. */
  private readonly goodBytes = new Map<string, number>();
  private readonly refreshing = new Semaphore(1);

  constructor(
    private readonly place: OrganizationPlace,
    private readonly store: BlobStore,
    private readonly lane: CryptoLane,
    private readonly log: Logger,
  ) {}

  get memoryBytes(): number {
    return this.table.memoryBytes;
  }

  /** Takes in what other sessions and processes have stored since. */
  refresh(signal?: AbortSignal): Promise<void> {
    return this.refreshing.run(async () => {
      for await (const { name } of this.store.list(`${this.place.prefix}bad/`, signal))
        this.takeNote(name.slice(name.lastIndexOf('/') + 1));
      for await (const { name } of this.store.list(`${this.place.prefix}index/`, signal)) {
        if (!this.segments.has(name)) await this.loadSegment(name, signal);
      }
      for await (const { name, sizeBytes } of this.store.list(`${this.place.prefix}packs/`, signal)) {
        const packId = name.slice(name.lastIndexOf('/') + 1);
        if (!this.packNumbers.has(packId) && !this.unreadable.has(packId)) await this.adoptPack(packId, sizeBytes, signal);
      }
    }, signal);
  }

  /** @param digests ID_BYTES each. @returns a location or undefined for each. */
  locate(digests: Buffer): (RecordLocation | undefined)[] {
    const rows = this.table.lookup(digests);
    const found: (RecordLocation | undefined)[] = [];
    for (let i = 0; i < rows.length; i += 4) {
      const [packNumber, offset, length, plainLength] = rows.subarray(i, i + 4) as unknown as [number, number, number, number];
      found.push(length === 0 ? undefined : { packId: this.packIds[packNumber] as string, offset, length, plainLength });
    }
    return found;
  }

  /** @param entries ENTRY_BYTES each, as in a pack's trailer. */
  insert(packId: string, entries: Buffer): void {
    const packNumber = this.packNumbers.get(packId) ?? this.packIds.push(packId) - 1;
    this.packNumbers.set(packId, packNumber);
    const count = entries.length / ENTRY_BYTES;
    const digests = Buffer.allocUnsafe(count * ID_BYTES);
    const locations = new Uint32Array(count * 4);
    const goodBytes = this.goodBytes.get(packId) ?? Number.POSITIVE_INFINITY;
    let kept = 0;
    for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
      const digest = entries.subarray(at, at + ID_BYTES);
      if (this.bad.size > 0 && this.bad.has(recordKey(digest, packId))) continue;
      if (entries.readUInt32LE(at + 32) + entries.readUInt32LE(at + 36) > goodBytes) continue;
      digest.copy(digests, kept * ID_BYTES);
      locations.set([packNumber, entries.readUInt32LE(at + 32), entries.readUInt32LE(at + 36), entries.readUInt32LE(at + 40)], kept * 4);
      kept += 1;
    }
    try {
      this.table.insert(digests.subarray(0, kept * ID_BYTES), locations.subarray(0, kept * 4));
    } catch (cause) {
      throw new RepositoryError(`The chunk index of organization ${this.place.organizationId} does not fit the memory it may use`, {
        code: 'INDEX_TOO_LARGE',
        subject: this.place.organizationId,
        cause,
      });
    }
  }

  /**
   * Remembers, here and in the repository, that a record is damaged: no later backup relies on
   * it, so the next one that meets the chunk stores it again. Never throws: the reader has its
   * own error to report, and a repository that is read-only must still be readable.
   */
  async markBad(digest: Buffer, packId: string): Promise<void> {
    await this.note(recordKey(digest, packId));
  }

  /** The same for everything in a pack past its first `goodBytes`: it is cut short, or missing (0). */
  async markCut(packId: string, goodBytes: number): Promise<void> {
    await this.note(`${packId}-${goodBytes}`);
  }

  private async note(key: string): Promise<void> {
    if (!this.takeNote(key)) return;
    const text = Buffer.from(`${JSON.stringify({ foundAt: new Date().toISOString() })}\n`);
    await this.store.put(`${this.place.prefix}bad/${key}`, text, { ifAbsent: true }).catch((error: unknown) => {
      if (!isRepositoryError(error, 'BLOB_EXISTS')) this.log.warn({ key, err: error }, 'Damage could not be noted in the repository');
    });
  }

  /** @param key the last part of a name below bad/. @returns false when it was known. */
  private takeNote(key: string): boolean {
    if (this.bad.has(key)) return false;
    this.bad.add(key);
    const record = /^([0-9a-f]{64})-([0-9a-f-]{36})$/.exec(key);
    const pack = /^([0-9a-f-]{36})-(\d{1,10})$/.exec(key);
    if (record) {
      const digest = Buffer.from(record[1] as string, 'hex');
      if (this.locate(digest)[0]?.packId === record[2]) this.table.remove(digest);
    } else if (pack) {
      const packId = pack[1] as string;
      const goodBytes = Math.min(Number(pack[2]), this.goodBytes.get(packId) ?? Number.POSITIVE_INFINITY);
      this.goodBytes.set(packId, goodBytes);
      const packNumber = this.packNumbers.get(packId);
      if (packNumber !== undefined) this.table.removeTail(packNumber, goodBytes);
    }
    return true;
  }

  /** A segment that cannot be read is no loss: the trailers of its packs say the same. */
  private async loadSegment(name: string, signal?: AbortSignal): Promise<void> {
    const bytes = await this.store.get(name, undefined, signal);
    this.segments.add(name);
    try {
      const place = { organizationId: this.place.organizationId, name: name.slice(this.place.prefix.length), kind: 'segment' } as const;
      const segment = await openBlob(this.lane, this.place.keys, place, bytes);
      for (let at = 4; at < segment.length; ) {
        const packId = bytesToUuid(segment.subarray(at, at + 16));
        const end = at + SEGMENT_PACK_HEADER_BYTES + segment.readUInt32LE(at + 16) * ENTRY_BYTES;
        this.insert(packId, segment.subarray(at + SEGMENT_PACK_HEADER_BYTES, end));
        at = end;
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.log.warn({ segment: name, reason: error.message }, 'An index segment is damaged; the trailers of its packs are read instead');
    }
  }

  private async adoptPack(packId: string, sizeBytes: number, signal?: AbortSignal): Promise<void> {
    const name = `${this.place.prefix}${packPath(packId)}`;
    try {
      if (sizeBytes < CONTAINER_HEADER_BYTES + PACK_FOOTER_BYTES) throw new RangeError('it is too short');
      const footerBytes = await this.store.get(name, { offset: sizeBytes - PACK_FOOTER_BYTES, length: PACK_FOOTER_BYTES }, signal);
      const footer = decodePackFooter(footerBytes, sizeBytes);
      const header = await this.store.get(name, { offset: 0, length: CONTAINER_HEADER_BYTES }, signal);
      const entries = await this.store.get(name, { offset: footer.trailerOffset, length: footer.entryCount * ENTRY_BYTES }, signal);
      const mac = this.place.keys.trailerMac(header, entries, footerBytes.subarray(0, PACK_FOOTER_MAC_OFFSET));
      if (!equalBytes(mac, footerBytes.subarray(PACK_FOOTER_MAC_OFFSET))) throw new RangeError('its trailer is not authentic');
      this.insert(packId, entries);
    } catch (error) {
      // Deleted since the listing: no longer anybody's pack.
      if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return;
      if (!(error instanceof RangeError) && !isRepositoryError(error, 'BLOB_TRUNCATED')) throw error;
      this.unreadable.add(packId);
      this.log.warn({ pack: name, reason: error.message }, 'A pack that no index segment names is damaged and is left out');
    }
  }
}

function recordKey(digest: Buffer, packId: string): string {
  return `${digest.toString('hex')}-${packId}`;
}
