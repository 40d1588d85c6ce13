import { Semaphore, type Logger } from '../common/index.js';
import { createChunkTable, type ChunkTable } from '../native/index.js';
import { readCondemnedLists, type CondemnedList } from './condemned.js';
import type { CryptoLane } from './crypto-lane.js';
import { type DamageNote, DamageNotes } from './damage-notes.js';
import { RepositoryError, isCutShort, isRepositoryError } from './errors.js';
import { ENTRY_BYTES, ID_BYTES, digestsOf, packPath, readEntry } from './format.js';
import type { OrganizationKeys } from './keys.js';
import { readPackTrailer } from './pack-trailer.js';
import { openBlob } from './sealed-blob.js';
import { decodeSegment } from './segment.js';
import type { BlobEntry, BlobStore } from './types.js';

/**
 * Tables have 2^n slots of 48 bytes, of which 70 % are used: this allows one of 48 GiB with 751 million records, which is 179 TiB of
 * unique data at 256 KiB. The table of a TiB takes 384 MiB.
 */
export const INDEX_MEMORY_BYTES = 64 * 1024 ** 3;
/** For who only reads: what is there must be read, with whatever memory the machine has. */
export const READING_INDEX_MEMORY_BYTES = 1024 ** 4;
/** Of the records a table can hold, kept for those that other processes store meanwhile: what is durable must be found. */
const SPARE_SHARE = 1 / 16;

export interface RecordLocation {
  packId: string;
  offset: number;
  length: number;
  plainLength: number;
}

type ListedPacks = ReadonlyMap<string, Pick<BlobEntry, 'sizeBytes' | 'modifiedAt'>>;

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
  private readonly table: ChunkTable;
  private readonly packIds: string[] = [];
  private readonly packNumbers = new Map<string, number>();
  /** By number: packs whose entries the table has taken in. */
  private readonly loaded = new Set<number>();
  private readonly segments = new Set<string>();
  /** Packs that were found damaged, and when they were put: one put since is looked at again. */
  private readonly unreadable = new Map<string, number>();
  private readonly notes: DamageNotes;
  /** By number: packs that are no longer there; what the table says of them no longer holds. */
  private readonly gone = new Set<number>();
  /** By number: packs that are shorter than their entries say, and how long. Nobody relies on what is past their end. */
  private readonly cut = new Map<number, number>();
  /** By number: packs to be deleted soon. They are read, and not relied on. */
  private condemned: ReadonlySet<number> = new Set();
  private condemnedLists: readonly string[] = [];
  /** What segments name and is not there: only to say which pack is missing. */
  private lost: { table: ChunkTable; numbers: Map<string, number> } | undefined;
  /** What was loaded may hold more than was taken in: a copy of what lay in a pack that went, or what a note said was lost. */
  private passedOver = false;
  private readonly refreshing = new Semaphore(1);

  constructor(
    private readonly place: OrganizationPlace,
    private readonly store: BlobStore,
    private readonly lane: CryptoLane,
    private readonly log: Logger,
    private readonly memoryBytes = INDEX_MEMORY_BYTES,
  ) {
    this.table = createChunkTable(memoryBytes);
    this.notes = new DamageNotes(`${place.prefix}bad/`, store, log, (note) => this.applyNote(note));
  }

  /** Distinct records. */
  get size(): number {
    return this.table.size;
  }

  /**
   * Takes in what other sessions, processes and collectors have done since.
   *
   * The order is the proof (docs/concurrency.md): condemned lists before packs, packs before segments,
   * and what became of a pack is applied at one stroke - a pack that is deleted while this runs is
   * either seen condemned or not seen at all.
   * @returns the names of the condemned lists taken into account.
   */
  refresh(signal?: AbortSignal): Promise<readonly string[]> {
    return this.refreshing.run(async () => {
      await this.takeIn(signal);
      return this.condemnedLists;
    }, signal);
  }

  /** For who misses a record: once more everything, if that may bring what was not taken in before. */
  refreshForMissing(signal?: AbortSignal): Promise<void> {
    return this.refreshing.run(async () => {
      await this.takeIn(signal);
      if (!this.passedOver) return;
      this.passedOver = false;
      this.segments.clear();
      await this.takeIn(signal, true);
    }, signal);
  }

  private async takeIn(signal?: AbortSignal, again = false): Promise<void> {
    const lists = await readCondemnedLists(this.store, this.place.prefix, signal);
    const knownPacks = this.packIds.length;
    const listed = new Map<string, Pick<BlobEntry, 'sizeBytes' | 'modifiedAt'>>();
    for await (const { name, sizeBytes, modifiedAt } of this.store.list(`${this.place.prefix}packs/`, signal))
      listed.set(name.slice(name.lastIndexOf('/') + 1), { sizeBytes, modifiedAt });
    this.applyPresence(lists, listed, knownPacks);
    if (await this.notes.refresh(signal)) this.passedOver = true;
    const inSegments = new Set<string>();
    for await (const { name } of this.store.list(`${this.place.prefix}index/`, signal)) {
      if (!this.segments.has(name)) await this.loadSegment(name, listed, inSegments, signal);
    }
    for (const [packId, { sizeBytes, modifiedAt }] of listed) {
      const known = again ? inSegments.has(packId) : this.isLoaded(packId);
      if (known || this.unreadable.get(packId) === modifiedAt.getTime()) continue;
      if (await this.adoptPack(packId, sizeBytes, signal)) this.unreadable.delete(packId);
      else this.unreadable.set(packId, modifiedAt.getTime());
    }
  }

  private applyPresence(lists: readonly CondemnedList[], listed: ListedPacks, knownPacks: number): void {
    for (let number = 0; number < knownPacks; number += 1) {
      if (listed.has(this.packIds[number] as string)) {
        this.gone.delete(number);
      } else if (!this.gone.has(number)) {
        this.gone.add(number);
        this.passedOver ||= this.loaded.has(number);
      }
    }
    this.applyCondemned(lists);
  }

  private applyCondemned(lists: readonly CondemnedList[]): void {
    const readable = lists.filter((list) => list.packIds !== undefined);
    // A list that cannot be read is not known to any session, so nothing of it is deleted under one.
    this.condemnedLists = readable.map((list) => list.name);
    this.condemned = new Set(readable.flatMap((list) => list.packIds ?? []).map((packId) => this.numberOf(packId)));
  }

  private isLoaded(packId: string): boolean {
    return this.loaded.has(this.packNumbers.get(packId) ?? -1);
  }

  private numberOf(packId: string): number {
    const known = this.packNumbers.get(packId);
    if (known !== undefined) return known;
    const number = this.packIds.push(packId) - 1;
    this.packNumbers.set(packId, number);
    return number;
  }

  /** @param digests ID_BYTES each. @returns a location or undefined for each. */
  locate(digests: Buffer): (RecordLocation | undefined)[] {
    const rows = this.table.lookup(digests);
    const found: (RecordLocation | undefined)[] = [];
    for (let i = 0; i < rows.length; i += 4) found.push(this.locationIn(rows, i, this.gone));
    if (this.lost && found.includes(undefined)) {
      const lostRows = this.lost.table.lookup(digests);
      return found.map((location, i) => location ?? this.locationIn(lostRows, i * 4));
    }
    return found;
  }

  /** Which of the records a new restore point may rely on: those in packs that are there and stay. */
  reusable(digests: Buffer): boolean[] {
    const rows = this.table.lookup(digests);
    const found: boolean[] = [];
    for (let i = 0; i < rows.length; i += 4) {
      const packNumber = rows[i] as number;
      found.push(rows[i + 2] !== 0 && !this.isLeaving(packNumber) && !this.isCutOff(rows, i));
    }
    return found;
  }

  /** Which of the records are there and not known to be damaged. */
  present(digests: Buffer): boolean[] {
    const rows = this.locateRows(digests);
    return Array.from({ length: rows.length / 4 }, (_, i) => rows[i * 4 + 2] !== 0);
  }

  /**
   * As `locate`, for millions: rows of pack number, offset, length, plain length; a length of 0 where there is none, or only one that ends
   * past the end of its pack: nothing may be deleted because of it.
   */
  locateRows(digests: Buffer): Uint32Array {
    const rows = this.table.lookup(digests);
    if (this.gone.size + this.cut.size === 0) return rows;
    for (let i = 0; i < rows.length; i += 4) if (this.gone.has(rows[i] as number) || this.isCutOff(rows, i)) rows[i + 2] = 0;
    return rows;
  }

  /** Of a row; undefined for a pack that was never seen. */
  packNumber(packId: string): number | undefined {
    return this.packNumbers.get(packId);
  }

  private locationIn(rows: Uint32Array, i: number, except?: ReadonlySet<number>): RecordLocation | undefined {
    const packNumber = rows[i] as number;
    const length = rows[i + 2] as number;
    if (length === 0 || except?.has(packNumber)) return undefined;
    return { packId: this.packIds[packNumber] as string, offset: rows[i + 1] as number, length, plainLength: rows[i + 3] as number };
  }

  /**
   * For who is about to store new records, before they are durable: what nobody could load any more must not be stored.
   * @throws RepositoryError INDEX_TOO_LARGE.
   */
  assertRoomFor(records: number): void {
    const most = Math.floor(this.table.mostEntries * (1 - SPARE_SHARE));
    if (this.size + records <= most || (this.forgetGone() && this.size + records <= most)) return;
    const neededBytes = this.table.largestBytes * 2;
    const need = `${neededBytes} bytes of memory for new records beside ${this.size}, and repository.indexMemoryBytes allows ${this.memoryBytes}`;
    throw this.tooLarge(need, `set it to ${neededBytes} at least, or delete restore points and collect the space`);
  }

  /**
   * @param entries ENTRY_BYTES each, as in a pack's trailer.
   * @param sizeBytes of the pack, which may be shorter than they say.
   */
  insert(packId: string, entries: Buffer, sizeBytes = Number.POSITIVE_INFINITY): void {
    const packNumber = this.numberOf(packId);
    this.gone.delete(packNumber);
    const good = this.withoutNoted(packId, entries);
    const isCut = sizeBytes < endOf(entries);
    if (isCut) this.cut.set(packNumber, sizeBytes);
    else this.cut.delete(packNumber);
    if (!this.condemned.has(packNumber)) this.forgetLeaving(isCut ? endingWithin(good, sizeBytes) : good);
    this.insertInto(this.table, packNumber, good);
    this.loaded.add(packNumber);
  }

  /** A copy that is there and stays takes the place of one that is leaving, or lost. */
  private forgetLeaving(entries: Buffer): void {
    if (this.gone.size + this.condemned.size + this.cut.size === 0) return;
    const digests = digestsOf(entries);
    const rows = this.table.lookup(digests);
    for (let i = 0; i < rows.length; i += 4) {
      const leaving = rows[i + 2] !== 0 && (this.isLeaving(rows[i] as number) || this.isCutOff(rows, i));
      if (leaving) this.table.remove(digests.subarray((i / 4) * ID_BYTES, (i / 4 + 1) * ID_BYTES));
    }
  }

  private isLeaving(packNumber: number): boolean {
    return this.gone.has(packNumber) || this.condemned.has(packNumber);
  }

  private isCutOff(rows: Uint32Array, i: number): boolean {
    const sizeBytes = this.cut.get(rows[i] as number);
    return sizeBytes !== undefined && (rows[i + 1] as number) + (rows[i + 2] as number) > sizeBytes;
  }

  private insertLost(packId: string, entries: Buffer): void {
    this.lost ??= { table: createChunkTable(this.memoryBytes), numbers: new Map() };
    const number = this.lost.numbers.get(packId) ?? this.packIds.push(packId) - 1;
    this.lost.numbers.set(packId, number);
    this.insertInto(this.lost.table, number, this.withoutNoted(packId, entries));
  }

  /** Those entries of which no damage is noted. */
  private withoutNoted(packId: string, entries: Buffer): Buffer {
    const goodBytes = this.notes.goodBytesOf(packId);
    // Four million entries for a TiB: nobody walks over them where nothing is noted.
    if (this.notes.isEmpty && goodBytes === Number.POSITIVE_INFINITY) return entries;
    const kept: Buffer[] = [];
    for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
      const { digest, offset, length } = readEntry(entries, at);
      if (offset + length <= goodBytes && !this.notes.has(digest, packId)) kept.push(entries.subarray(at, at + ENTRY_BYTES));
    }
    return Buffer.concat(kept);
  }

  private insertInto(table: ChunkTable, packNumber: number, entries: Buffer): void {
    try {
      table.insertEntries(packNumber, entries);
    } catch (cause) {
      const { code, neededBytes } = cause as { code?: string; neededBytes: number };
      const need = `${neededBytes} bytes of memory for more than ${table.size} records`;
      if (code === 'CHUNK_TABLE_MEMORY') throw this.tooLarge(need, 'give this machine so much, or use another one', cause);
      if (code !== 'CHUNK_TABLE_LIMIT') throw cause;
      // Once: then there is nothing more to forget.
      if (table === this.table && this.forgetGone()) {
        this.insertInto(table, packNumber, entries);
        return;
      }
      const allowed = `${need}, and repository.indexMemoryBytes allows ${this.memoryBytes}`;
      throw this.tooLarge(allowed, `set it to ${neededBytes} at least, on a machine that has so much`, cause);
    }
  }

  /** Records in packs that went are nobody's. Should such a pack come back, it is taken in anew. @returns whether there were any. */
  private forgetGone(): boolean {
    const forgotten = [...this.gone].filter((number) => this.loaded.delete(number));
    if (forgotten.length === 0) return false;
    const flags = new Uint8Array(this.packIds.length);
    for (const number of forgotten) flags[number] = 1;
    this.table.removePacks(flags);
    return true;
  }

  private tooLarge(need: string, remedy: string, cause?: unknown): RepositoryError {
    const { organizationId } = this.place;
    return new RepositoryError(`The chunk index of organization ${organizationId} needs ${need}; ${remedy}`, {
      code: 'INDEX_TOO_LARGE',
      subject: organizationId,
      cause,
    });
  }

  /** Remembers, here and in the repository, that a record is damaged. Never throws. */
  markBad(digest: Buffer, packId: string): Promise<void> {
    return this.notes.addRecord(digest, packId);
  }

  /** The same for everything in a pack past its first `goodBytes`: it is cut short, or missing (0). */
  markCut(packId: string, goodBytes: number): Promise<void> {
    return this.notes.addPack(packId, goodBytes);
  }

  /** The pack was put back whole: what was noted about it no longer holds. @returns whether there was anything. */
  forgetNotes(packId: string): boolean {
    return this.notes.forget(packId);
  }

  private applyNote(note: DamageNote): void {
    if ('digest' in note) {
      if (this.locationIn(this.table.lookup(note.digest), 0)?.packId === note.packId) this.table.remove(note.digest);
      return;
    }
    const packNumber = this.packNumbers.get(note.packId);
    if (packNumber !== undefined) this.table.removeTail(packNumber, note.goodBytes);
    const lostNumber = this.lost?.numbers.get(note.packId);
    if (lostNumber !== undefined) this.lost?.table.removeTail(lostNumber, note.goodBytes);
  }

  /** A segment that cannot be read is no loss: the trailers of its packs say the same. */
  private async loadSegment(name: string, listed: ListedPacks, inSegments: Set<string>, signal?: AbortSignal): Promise<void> {
    try {
      const bytes = await this.store.get(name, undefined, signal);
      const place = { organizationId: this.place.organizationId, name: name.slice(this.place.prefix.length), kind: 'segment' } as const;
      for (const { packId, entries } of decodeSegment(await openBlob(this.lane, this.place.keys, place, bytes))) {
        inSegments.add(packId);
        const sizeBytes = listed.get(packId)?.sizeBytes;
        if (sizeBytes !== undefined) this.insert(packId, entries, sizeBytes);
        else if (!this.isLoaded(packId)) this.insertLost(packId, entries);
      }
      this.segments.add(name);
    } catch (error) {
      // Merged into another since the listing.
      if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return;
      if (!(error instanceof RangeError) && !isCutShort(error)) throw error;
      this.segments.add(name);
      this.log.warn({ segment: name, reason: error.message }, 'An index segment is damaged; the trailers of its packs are read instead');
    }
  }

  /** @returns false when it is damaged. */
  private async adoptPack(packId: string, sizeBytes: number, signal?: AbortSignal): Promise<boolean> {
    const { prefix, keys } = this.place;
    try {
      this.insert(packId, await readPackTrailer({ prefix, keys, packId, sizeBytes }, this.store, signal));
      return true;
    } catch (error) {
      // Deleted since the listing: no longer anybody's pack.
      if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return true;
      if (!(error instanceof RangeError) && !isCutShort(error)) throw error;
      const pack = prefix + packPath(packId);
      this.log.warn({ pack, reason: error.message }, 'A pack that no index segment names is damaged and is left out');
      return false;
    }
  }
}

/** Where the last record of a pack ends. */
function endOf(entries: Buffer): number {
  let end = 0;
  for (let at = 0; at < entries.length; at += ENTRY_BYTES)
    end = Math.max(end, entries.readUInt32LE(at + 32) + entries.readUInt32LE(at + 36));
  return end;
}

/** The entries of records that are not past the end of a pack of that size. */
function endingWithin(entries: Buffer, sizeBytes: number): Buffer {
  const kept: Buffer[] = [];
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    const { offset, length } = readEntry(entries, at);
    if (offset + length <= sizeBytes) kept.push(entries.subarray(at, at + ENTRY_BYTES));
  }
  return Buffer.concat(kept);
}
