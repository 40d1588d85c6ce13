import { Semaphore, throwIfAborted } from '../common/index.js';
import { CODEC_ZSTD, UNSEALED, UNSEAL_FAILURES } from '../native/index.js';
import type { CryptoLane } from './crypto-lane.js';
import { RepositoryError, isCutShort, isRepositoryError } from './errors.js';
import {
  CONTAINER_HEADER_BYTES,
  PACK_MAGIC,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
  TAG_BYTES,
  containerContext,
  decodeContainerHeader,
  packPath,
  readRecordHeader,
  type RecordKind,
} from './format.js';
import type { OrganizationIndex, OrganizationPlace, RecordLocation } from './organization-index.js';
import type { BlobRange, BlobStore } from './types.js';

/** Reading over a small gap is cheaper than a second request. */
const COALESCE_GAP_BYTES = 128 * 1024;
const MAXIMUM_RUN_BYTES = 4 * 1024 * 1024;
/** Runs of one size of room: a short one leaves the room of a long one free for use. */
const ROOM_BYTES = MAXIMUM_RUN_BYTES + 64 * 1024;
const RUNS_IN_FLIGHT = 4;
const CACHED_PACK_KEYS = 4096;

export interface WantedRecord {
  digest: Buffer;
  targetOffset: number;
  plainLength: number;
  /** For the error, as a person knows it: `chunk 17 of disk "2000"`. */
  what: string;
}

export interface LocatedRecord extends WantedRecord {
  location: RecordLocation;
}

export interface Failure {
  record: LocatedRecord;
  reason: string;
  /** The pack ends before the record, or is gone. */
  incomplete?: boolean;
}

const FAMILY: Readonly<Record<RecordKind, string>> = {
  data: 'CHUNK',
  page: 'INDEX',
  root: 'INDEX',
  segment: 'INDEX',
  document: 'DOCUMENT',
  manifest: 'MANIFEST',
};

/** Fetches records from packs: coalesced ranges, several in flight, filled in as they come. */
export class RecordReader {
  private readonly runs = new Semaphore(RUNS_IN_FLIGHT);
  private readonly sealingKeys = new Map<string, Promise<Buffer>>();

  constructor(
    private readonly place: OrganizationPlace,
    private readonly index: OrganizationIndex,
    private readonly store: BlobStore,
    private readonly lane: CryptoLane,
  ) {}

  /**
   * Every record verified into its place, or an error and nothing promised about the memory.
   * @throws RepositoryError ..._MISSING when no pack holds it, ..._DAMAGED naming record and pack.
   */
  async read(kind: RecordKind, wanted: readonly WantedRecord[], memory: Buffer, signal?: AbortSignal): Promise<void> {
    let failures = await this.readLocated(kind, await this.locate(kind, wanted, signal), memory, signal);
    if (failures.some((failure) => failure.incomplete)) failures = await this.readMoved(kind, failures, memory, signal);
    await this.remember(failures);
    if (failures[0]) throw damaged(kind, failures[0], failures.length);
  }

  /** A collector may have put the records into another pack and deleted the one we knew. */
  private async readMoved(kind: RecordKind, failures: readonly Failure[], memory: Buffer, signal?: AbortSignal): Promise<Failure[]> {
    await this.index.refreshForMissing(signal);
    const locations = this.index.locate(Buffer.concat(failures.map(({ record }) => record.digest)));
    const moved: LocatedRecord[] = [];
    const stayed: Failure[] = [];
    for (const [i, failure] of failures.entries()) {
      const location = locations[i];
      if (location && location.packId !== failure.record.location.packId) moved.push({ ...failure.record, location });
      else stayed.push(failure);
    }
    return moved.length === 0 ? stayed : [...stayed, ...(await this.readLocated(kind, moved, memory, signal))];
  }

  /**
   * Reads records from exactly the places given.
   * @param memory undefined: they are only checked.
   * @returns those that are damaged; nothing is noted.
   * @throws what is no damage: no network, cancelled.
   */
  async readLocated(
    kind: RecordKind,
    located: readonly LocatedRecord[],
    memory: Buffer | undefined,
    signal?: AbortSignal,
  ): Promise<Failure[]> {
    const failures: Failure[] = [];
    const outcomes = await Promise.allSettled(
      coalesce(located).map((run) =>
        this.runs.run(async () => {
          failures.push(...(await this.readRun(kind, run, memory, signal)));
        }, signal),
      ),
    );
    const broken = outcomes.find((outcome) => outcome.status === 'rejected');
    if (broken) {
      await this.remember(failures);
      throw broken.reason;
    }
    return failures;
  }

  async readOne(kind: RecordKind, digest: Buffer, what: string, signal?: AbortSignal): Promise<Buffer> {
    const [found] = await this.locate(kind, [{ digest, targetOffset: 0, plainLength: 0, what }], signal);
    const { location } = found as LocatedRecord;
    const memory = Buffer.allocUnsafeSlow(location.plainLength);
    await this.read(kind, [{ digest, targetOffset: 0, plainLength: location.plainLength, what }], memory, signal);
    return memory;
  }

  /** A pack that is cut short or gone is noted once, with all that it held; other damage record by record. */
  async remember(failures: readonly Failure[]): Promise<void> {
    const packIds = new Set(failures.filter((failure) => failure.incomplete).map(({ record }) => record.location.packId));
    for (const packId of packIds) {
      try {
        await this.index.markCut(packId, (await this.store.size(this.place.prefix + packPath(packId))) ?? 0);
      } catch {
        // The store does not answer now: that proves nothing about the pack, so nothing is noted.
      }
    }
    for (const { record } of failures) await this.index.markBad(record.digest, record.location.packId);
  }

  private async locate(kind: RecordKind, wanted: readonly WantedRecord[], signal?: AbortSignal): Promise<LocatedRecord[]> {
    const digests = Buffer.concat(wanted.map((record) => record.digest));
    let locations = this.index.locate(digests);
    if (locations.includes(undefined)) {
      await this.index.refreshForMissing(signal);
      locations = this.index.locate(digests);
    }
    return wanted.map((record, i) => {
      const location = locations[i];
      if (location) return { ...record, location };
      throw new RepositoryError(`No pack of the repository holds ${record.what}; the next backup that reads it stores it again`, {
        code: `${FAMILY[kind]}_MISSING`,
        subject: record.what,
      });
    });
  }

  private async readRun(
    kind: RecordKind,
    run: readonly LocatedRecord[],
    memory: Buffer | undefined,
    signal?: AbortSignal,
  ): Promise<Failure[]> {
    throwIfAborted(signal);
    const { packId, offset: start } = (run[0] as LocatedRecord).location;
    const end = Math.max(...run.map(({ location }) => location.offset + location.length));
    const name = packPath(packId);
    let sealingKey: Buffer;
    try {
      sealingKey = await this.sealingKey(packId, signal);
    } catch (error) {
      return run.map((record) => failure(record, error));
    }
    const room = this.lane.rooms.take(Math.max(end - start, ROOM_BYTES));
    try {
      const read = await this.fetchRun(this.place.prefix + name, { offset: start, length: end - start, into: room }, run, signal);
      if (Buffer.isBuffer(read)) return await this.openRun(kind, run, { bytes: read, start, name, sealingKey }, memory, signal);
      if (run.length === 1) return [read];
    } finally {
      this.lane.rooms.give(room);
    }
    // A pack cut short still holds the records before the cut.
    const failures: Failure[] = [];
    for (const record of run) failures.push(...(await this.readRun(kind, [record], memory, signal)));
    return failures;
  }

  private async fetchRun(name: string, range: BlobRange, run: readonly LocatedRecord[], signal?: AbortSignal): Promise<Buffer | Failure> {
    try {
      return await this.store.get(name, range, signal);
    } catch (error) {
      return failure(run[0] as LocatedRecord, error);
    }
  }

  private async openRun(
    kind: RecordKind,
    run: readonly LocatedRecord[],
    { bytes, start, name, sealingKey }: { bytes: Buffer; start: number; name: string; sealingKey: Buffer },
    memory: Buffer | undefined,
    signal?: AbortSignal,
  ): Promise<Failure[]> {
    const { sound, failures } = matchHeaders(kind, run, bytes, start);
    if (sound.length === 0) return failures;
    const keys = {
      sealingKey,
      digestKey: this.place.keys.digestKey(kind),
      context: containerContext(this.place.organizationId, name),
    };
    const statuses = await this.lane.unseal(kind, bytes, sound, keys, memory, signal);
    statuses.forEach((status, i) => {
      if (status !== UNSEALED) failures.push({ record: sound[i] as (typeof sound)[number], reason: UNSEAL_FAILURES[status] as string });
    });
    return failures;
  }

  private sealingKey(packId: string, signal?: AbortSignal): Promise<Buffer> {
    const cached = this.sealingKeys.get(packId);
    if (cached) return cached;
    const oldest = this.sealingKeys.keys().next();
    if (this.sealingKeys.size >= CACHED_PACK_KEYS && !oldest.done) this.sealingKeys.delete(oldest.value);
    const loading = (async () => {
      const range = { offset: 0, length: CONTAINER_HEADER_BYTES };
      const header = decodeContainerHeader(PACK_MAGIC, await this.store.get(this.place.prefix + packPath(packId), range, signal));
      if (header.id !== packId) throw new RangeError('its header is that of another pack');
      return this.place.keys.sealingKey(header.salt);
    })();
    this.sealingKeys.set(packId, loading);
    loading.catch(() => this.sealingKeys.delete(packId));
    return loading;
  }
}

/** What the damage is; anything that is not damage (no network, cancelled) is thrown on. */
function failure(record: LocatedRecord, error: unknown): Failure {
  if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return { record, reason: 'the pack is missing', incomplete: true };
  if (isCutShort(error)) return { record, reason: 'the pack is cut short', incomplete: true };
  if (error instanceof RangeError) return { record, reason: error.message };
  throw error;
}

function coalesce(records: readonly LocatedRecord[]): LocatedRecord[][] {
  const byPack = new Map<string, LocatedRecord[]>();
  for (const record of records) {
    const list = byPack.get(record.location.packId);
    if (list) list.push(record);
    else byPack.set(record.location.packId, [record]);
  }
  const runs: LocatedRecord[][] = [];
  for (const list of byPack.values()) {
    list.sort((a, b) => a.location.offset - b.location.offset);
    let run: LocatedRecord[] = [];
    let start = 0;
    let end = 0;
    for (const record of list) {
      const recordEnd = record.location.offset + record.location.length;
      if (run.length > 0 && record.location.offset - end <= COALESCE_GAP_BYTES && recordEnd - start <= MAXIMUM_RUN_BYTES) {
        run.push(record);
      } else {
        run = [record];
        runs.push(run);
        start = record.location.offset;
      }
      end = recordEnd;
    }
  }
  return runs;
}

function matchHeaders(kind: RecordKind, run: readonly LocatedRecord[], bytes: Buffer, start: number) {
  const failures: Failure[] = [];
  const sound: (LocatedRecord & { sourceOffset: number; payloadLength: number; codec: number; counter: number })[] = [];
  for (const record of run) {
    const { location } = record;
    const at = location.offset - start;
    try {
      const header = readRecordHeader(bytes.subarray(at, at + location.length));
      const expected =
        header.kind === RECORD_KINDS[kind] &&
        header.codec <= CODEC_ZSTD &&
        header.payloadLength >= TAG_BYTES &&
        header.plainLength === record.plainLength &&
        header.payloadLength + RECORD_HEADER_BYTES === location.length &&
        header.digest.equals(record.digest);
      if (!expected) throw new RangeError('its record header is damaged');
      sound.push({
        ...record,
        sourceOffset: at + RECORD_HEADER_BYTES,
        payloadLength: header.payloadLength,
        codec: header.codec,
        counter: header.counter,
      });
    } catch (error) {
      failures.push(failure(record, error));
    }
  }
  return { sound, failures };
}

function damaged(kind: RecordKind, { record, reason }: Failure, count: number): RepositoryError {
  const others = count > 1 ? ` (and ${count - 1} more)` : '';
  return new RepositoryError(
    `The repository holds ${record.what} damaged, in pack ${record.location.packId}: ${reason}${others}; the next backup that reads it stores it again`,
    { code: `${FAMILY[kind]}_DAMAGED`, subject: record.what, details: { packId: record.location.packId, damagedRecords: count } },
  );
}
