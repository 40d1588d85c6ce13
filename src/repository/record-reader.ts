import { awaitShared, Semaphore, throwIfAborted } from '../common/index.js';
import { CODEC_ZSTD, UNSEALED, UNSEAL_FAILURES } from '../native/index.js';
import type { CryptoLane, OpeningKeys, SealedPayload } from './crypto-lane.js';
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
import type { BlobStore } from './types.js';

/** Reading over a small gap is cheaper than a second request. */
const COALESCE_GAP_BYTES = 128 * 1024;
const MAXIMUM_RUN_BYTES = 8 * 1024 * 1024;
/** Rooms of one size: a short load leaves the room of a long one free for use. */
const ROOM_BYTES = MAXIMUM_RUN_BYTES + 64 * 1024;
const LOADS_IN_FLIGHT = 4;
/** More than a folder has calls at once (stores/folder-calls.ts): each that ends finds the next one waiting. */
const READS_IN_FLIGHT = 8;
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

/** Neighbours in one pack, read at one stroke. */
interface Run {
  packId: string;
  offset: number;
  length: number;
  records: LocatedRecord[];
}

const FAMILY: Readonly<Record<RecordKind, string>> = {
  data: 'CHUNK',
  page: 'INDEX',
  root: 'INDEX',
  segment: 'INDEX',
  document: 'DOCUMENT',
  manifest: 'MANIFEST',
};

/**
 * Fetches records from packs: neighbours in one range, scattered ones side by side, all that fits a room opened in one
 * native batch, however many packs they come from; several rooms in flight, filled in as they come.
 */
export class RecordReader {
  private readonly loads = new Semaphore(LOADS_IN_FLIGHT);
  private readonly reads = new Semaphore(READS_IN_FLIGHT);
  private readonly containers = new Map<string, Promise<OpeningKeys>>();

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
      loadsOf(coalesce(located)).map((load) =>
        this.loads.run(async () => {
          failures.push(...(await this.readLoad(kind, load, memory, signal)));
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

  private async readLoad(kind: RecordKind, load: readonly Run[], memory: Buffer | undefined, signal?: AbortSignal): Promise<Failure[]> {
    throwIfAborted(signal);
    const failures: Failure[] = [];
    const cut: Run[] = [];
    const room = this.lane.rooms.take(Math.max(totalLength(load), ROOM_BYTES));
    // Where this throws, the room is not given back: a read that was given up may be put into it later.
    const { source, outcomes } = await this.fetch(load, room, signal);
    try {
      const sound: OpenRecord[] = [];
      for (const outcome of outcomes) {
        if ('bytes' in outcome) matchHeaders(kind, outcome, source, sound, failures);
        else if (isCutShort(outcome.error) && outcome.run.records.length > 1) cut.push(outcome.run);
        else failures.push(...outcome.run.records.map((record) => failure(record, outcome.error)));
      }
      if (sound.length > 0) {
        const statuses = await this.lane.unseal(kind, source, sound, this.place.keys.digestKey(kind), memory, signal);
        statuses.forEach((status, i) => {
          if (status !== UNSEALED) failures.push({ record: (sound[i] as OpenRecord).record, reason: UNSEAL_FAILURES[status] as string });
        });
      }
    } finally {
      this.lane.rooms.give(room);
    }
    // A pack cut short still holds the records before the cut.
    for (const record of cut.flatMap(({ records }) => records))
      failures.push(...(await this.readLoad(kind, [runOf(record)], memory, signal)));
    return failures;
  }

  /**
   * Every run of a load one behind the other, after all have come to rest: a store may still write into the room of the last one.
   * @throws what is no damage.
   */
  private async fetch(
    load: readonly Run[],
    room: Buffer,
    signal?: AbortSignal,
  ): Promise<{ source: Buffer; outcomes: (FetchedRun | LostRun)[] }> {
    let roomOffset = 0;
    const settled = await Promise.allSettled(
      load.map((run) => {
        const at = roomOffset;
        roomOffset += run.length;
        return this.reads.run(() => this.fetchRun(run, room, at, signal), signal);
      }),
    );
    const outcomes = settled.map((outcome, i) => {
      if (outcome.status === 'fulfilled') return outcome.value;
      const run = load[i] as Run;
      // Thrown on when it is no damage.
      failure(run.records[0] as LocatedRecord, outcome.reason);
      return { run, error: outcome.reason };
    });
    const [only] = outcomes;
    // Where a store reads into memory of its own, what is one run need not be copied.
    if (outcomes.length === 1 && only && 'bytes' in only) return { source: only.bytes, outcomes: [{ ...only, roomOffset: 0 }] };
    for (const outcome of outcomes) {
      if ('bytes' in outcome && outcome.bytes.buffer !== room.buffer) outcome.bytes.copy(room, outcome.roomOffset);
    }
    return { source: room, outcomes };
  }

  private async fetchRun(run: Run, room: Buffer, roomOffset: number, signal?: AbortSignal): Promise<FetchedRun> {
    const container = await awaitShared(this.container(run.packId), signal);
    const into = room.subarray(roomOffset, roomOffset + run.length);
    const range = { offset: run.offset, length: run.length, into };
    return { run, container, roomOffset, bytes: await this.store.get(this.place.prefix + packPath(run.packId), range, signal) };
  }

  /** Without a caller's signal: others may wait for the same. */
  private container(packId: string): Promise<OpeningKeys> {
    const cached = this.containers.get(packId);
    if (cached) return cached;
    const oldest = this.containers.keys().next();
    if (this.containers.size >= CACHED_PACK_KEYS && !oldest.done) this.containers.delete(oldest.value);
    const loading = (async () => {
      const name = packPath(packId);
      const range = { offset: 0, length: CONTAINER_HEADER_BYTES };
      const header = decodeContainerHeader(PACK_MAGIC, await this.store.get(this.place.prefix + name, range));
      if (header.id !== packId) throw new RangeError('its header is that of another pack');
      return { sealingKey: this.place.keys.sealingKey(header.salt), context: containerContext(this.place.organizationId, name) };
    })();
    this.containers.set(packId, loading);
    loading.catch(() => this.containers.delete(packId));
    return loading;
  }
}

interface FetchedRun {
  run: Run;
  container: OpeningKeys;
  roomOffset: number;
  bytes: Buffer;
}

interface LostRun {
  run: Run;
  error: unknown;
}

interface OpenRecord extends SealedPayload {
  record: LocatedRecord;
}

/** What the damage is; anything that is not damage (no network, cancelled) is thrown on. */
function failure(record: LocatedRecord, error: unknown): Failure {
  if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return { record, reason: 'the pack is missing', incomplete: true };
  if (isCutShort(error)) return { record, reason: 'the pack is cut short', incomplete: true };
  if (error instanceof RangeError) return { record, reason: error.message };
  throw error;
}

function coalesce(records: readonly LocatedRecord[]): Run[] {
  const byPack = new Map<string, LocatedRecord[]>();
  for (const record of records) {
    const list = byPack.get(record.location.packId);
    if (list) list.push(record);
    else byPack.set(record.location.packId, [record]);
  }
  const runs: Run[] = [];
  for (const list of byPack.values()) {
    list.sort((a, b) => a.location.offset - b.location.offset);
    let run: Run | undefined;
    for (const record of list) {
      const { offset, length } = record.location;
      if (run && offset - run.offset - run.length <= COALESCE_GAP_BYTES && offset + length - run.offset <= MAXIMUM_RUN_BYTES) {
        run.records.push(record);
        run.length = Math.max(run.length, offset + length - run.offset);
      } else {
        run = runOf(record);
        runs.push(run);
      }
    }
  }
  return runs;
}

function runOf(record: LocatedRecord): Run {
  const { packId, offset, length } = record.location;
  return { packId, offset, length, records: [record] };
}

/** As many runs as fit one room. */
function loadsOf(runs: readonly Run[]): Run[][] {
  const loads: Run[][] = [];
  let loadBytes = 0;
  for (const run of runs) {
    const load = loads.at(-1);
    if (load && loadBytes + run.length <= MAXIMUM_RUN_BYTES) {
      load.push(run);
      loadBytes += run.length;
    } else {
      loads.push([run]);
      loadBytes = run.length;
    }
  }
  return loads;
}

function totalLength(load: readonly Run[]): number {
  return load.reduce((sum, run) => sum + run.length, 0);
}

/** Adds to `sound` what may be opened, to `failures` what is not what was looked for. */
function matchHeaders(
  kind: RecordKind,
  { run, container, roomOffset }: FetchedRun,
  source: Buffer,
  sound: OpenRecord[],
  failures: Failure[],
): void {
  for (const record of run.records) {
    const { location, digest, targetOffset, plainLength } = record;
    const at = roomOffset + location.offset - run.offset;
    try {
      const header = readRecordHeader(source.subarray(at, at + location.length));
      const expected =
        header.kind === RECORD_KINDS[kind] &&
        header.codec <= CODEC_ZSTD &&
        header.payloadLength >= TAG_BYTES &&
        header.plainLength === plainLength &&
        header.payloadLength + RECORD_HEADER_BYTES === location.length &&
        header.digest.equals(digest);
      if (!expected) throw new RangeError('its record header is damaged');
      const { codec, counter, payloadLength } = header;
      const sourceOffset = at + RECORD_HEADER_BYTES;
      sound.push({ record, container, digest, sourceOffset, payloadLength, targetOffset, plainLength, codec, counter });
    } catch (error) {
      failures.push(failure(record, error));
    }
  }
}

function damaged(kind: RecordKind, { record, reason }: Failure, count: number): RepositoryError {
  const others = count > 1 ? ` (and ${count - 1} more)` : '';
  return new RepositoryError(
    `The repository holds ${record.what} damaged, in pack ${record.location.packId}: ${reason}${others}; the next backup that reads it stores it again`,
    { code: `${FAMILY[kind]}_DAMAGED`, subject: record.what, details: { packId: record.location.packId, damagedRecords: count } },
  );
}
