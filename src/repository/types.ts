import type { RepositoryError } from './errors.js';
import type { CollectOptions, CollectReport } from './gc.js';
import type { CopyReport, CopyRunOptions } from './second-site.js';
import type { VerifyOptions, VerifyReport } from './verify.js';

export interface BlobRange {
  offset: number;
  length: number;
  /**
   * At least `length` bytes, where a store may put what it reads instead of into memory of its own; it must not be used until the call is
   * settled, nor ever where that was by its time limit or signal: what was asked for may come later. The call itself may be repeated.
   */
  into?: Buffer;
}

export interface PutOptions {
  /** The object is made only where there is none of this name. */
  ifAbsent?: boolean;
  /** Nobody can delete or change the object before this date, however privileged in the store. */
  retainUntil?: Date;
  /**
   * False for what means nothing once its maker is gone, as a sign of life: a loss of power may undo it, or leave it empty or in part.
   * Everything else is as always, and a store may make it durable all the same. True by default.
   */
  durable?: boolean;
  /** It is not made where less than this would be free afterwards, as far as the store can tell: REPOSITORY_FULL. */
  leaveFreeBytes?: number;
  signal?: AbortSignal;
}

export interface BlobEntry {
  name: string;
  sizeBytes: number;
  /** By the clock of the store, which may differ from ours. */
  modifiedAt: Date;
}

/**
 * Plain objects by name: what every backend must do alike. test/repository/store-conformance.ts holds each of them to it.
 *
 * Names are relative, parts of [a-z0-9._-] joined by '/', no part begins with a dot, at most 512 characters; others are BLOB_NAME_INVALID.
 * Every call ends by its result, its own time limit or `signal` (CancelledError), and every failure is a RepositoryError that
 * says by `retryable` whether the same call may succeed later:
 * REPOSITORY_FULL, REPOSITORY_READ_ONLY, REPOSITORY_DENIED, REPOSITORY_REFUSED (no); REPOSITORY_UNREACHABLE (yes, unless a person must
 * act first, as for a missing bucket or an unknown certificate), REPOSITORY_TIMEOUT (yes).
 */
export interface BlobStore {
  readonly kind: string;
  /** True where `retainUntil` and `retain` are enforced by the store itself. */
  readonly enforcesRetention: boolean;
  /**
   * Durable, data and name, when it resolves (unless `durable` is false): neither a crash nor a loss of power undoes it, and everybody sees
   * it, `list` included.
   * Before, others see all of it or nothing, or what was there before; never a part. Without `ifAbsent` an object is replaced as a whole.
   * With it, of any number of rivals at most one succeeds, one does where none fails for another reason, and the others get
   * BLOB_EXISTS, which says that what is there is durable too (unless it was put otherwise).
   * A put that failed may nevertheless have happened (a lost answer, or one that was not waited for), unless its error is neither retryable
   * nor CancelledError.
   * @param data may be empty, and any size; must not change until it is settled.
   * @throws RepositoryError BLOB_EXISTS, BLOB_LOCKED, RETENTION_UNSUPPORTED, or one of those above.
   */
  put(name: string, data: Buffer | readonly Buffer[], options?: PutOptions): Promise<void>;
  /**
   * The whole object, or exactly the range. The buffer belongs to the caller, and is a part of `range.into` where the store made use of it.
   * @throws RepositoryError BLOB_NOT_FOUND; BLOB_TRUNCATED when the object ends inside the range or the answer was cut short.
   */
  get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer>;
  /** Undefined when there is no such object - never because the store itself is not there. */
  size(name: string, signal?: AbortSignal): Promise<number | undefined>;
  /**
   * Every object whose name begins with `prefix`, ascending by name; memory does not grow with their number. Those that are put or
   * deleted meanwhile may or may not be among them; all others are, each once.
   */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<BlobEntry>;
  /**
   * Durable when it resolves. Of several that delete one name, at least one succeeds.
   * @throws RepositoryError BLOB_NOT_FOUND; BLOB_LOCKED until the retention ends.
   */
  delete(name: string, signal?: AbortSignal): Promise<void>;
  /**
   * Holds an object until the date at least: a later date it has already stays.
   * @throws RepositoryError BLOB_NOT_FOUND, RETENTION_UNSUPPORTED.
   */
  retain(name: string, until: Date, signal?: AbortSignal): Promise<void>;
  /** Bytes still free, where the store can tell. */
  freeBytes(signal?: AbortSignal): Promise<number | undefined>;
  /** Lets go of connections and timers. Never throws; no call may follow. */
  close(): Promise<void>;
}

/** Which chunks a disk had at one restore point. */
export interface DiskIndexRef {
  /** Names the index root in the repository; equal contents have equal ids. */
  indexId: string;
  capacityBytes: number;
  chunkBytes: number;
}

export interface WriteTally {
  chunks: number;
  zeroChunks: number;
  /** Already in the repository: referenced, not stored again. */
  knownChunks: number;
  newChunks: number;
  /** Plaintext bytes of the new chunks. */
  newBytes: number;
  /** Bytes the new chunks take in packs, compressed and sealed. */
  storedBytes: number;
}

export interface DiskWriter {
  readonly chunkBytes: number;
  readonly tally: Readonly<WriteTally>;
  /**
   * Takes whole chunks (the disk's last one may be short). The memory may be reused when the
   * promise resolves. Several calls may run at once; chunks come in any order, each at most once.
   * Aborted, it ends when what it has begun to store is stored; the session and its other disks go on.
   */
  write(
    memory: Buffer,
    chunks: readonly { chunkIndex: number; offset: number; length: number }[],
    signal?: AbortSignal,
  ): Promise<WriteTally>;
  /** Records chunks as zero without having been read. */
  zero(firstChunkIndex: number, count: number): void;
  /** Writes the index pages; chunks never mentioned come from the base, or are zero without one. @throws what a write failed with: the disk has a hole. */
  finish(signal?: AbortSignal): Promise<DiskIndexRef>;
}

export interface DiskReader {
  readonly capacityBytes: number;
  readonly chunkBytes: number;
  /**
   * Chunk indices that hold data (not zero), ascending, in pages; pages that end before `firstChunkIndex` are not read, so that
   * the first one may have some before it.
   */
  dataChunks(signal?: AbortSignal, firstChunkIndex?: number): AsyncIterable<number[]>;
  /**
   * Fetches, authenticates, decompresses and re-digests chunks into memory; zero chunks are
   * filled with zeros.
   * @throws RepositoryError CHUNK_DAMAGED naming disk, chunk and pack; nothing unverified is ever in memory after success.
   */
  read(memory: Buffer, chunks: readonly { chunkIndex: number; offset: number }[], signal?: AbortSignal): Promise<void>;
}

/**
 * One restore point in the making. Nothing of it is visible to a reader until `publish`;
 * packs of a session that dies are found again by the next one (their index segments are written
 * as they fill) or collected later.
 */
export interface BackupSession {
  readonly restorePointId: string;
  openDisk(options: {
    diskId: string;
    capacityBytes: number;
    chunkBytes: number;
    base?: DiskIndexRef;
    signal?: AbortSignal;
  }): Promise<DiskWriter>;
  /** Stores an opaque sealed document (VM capture, NVRAM, raw XML) and answers its id. */
  putDocument(document: Buffer, signal?: AbortSignal): Promise<string>;
  /** Makes every pack and index segment so far durable. */
  flush(signal?: AbortSignal): Promise<void>;
  /** Packs, then index, then the manifest: when this resolves, the restore point exists. */
  publish(manifest: ManifestBody, signal?: AbortSignal): Promise<ManifestRef>;
  /** Forgets the session; never throws. */
  abandon(): Promise<void>;
}

export interface ManifestRef {
  organizationId: string;
  restorePointId: string;
}

/** The settings name them; restore points are made at the first. */
export type Site = 'first' | 'second';

export interface SecondSiteApi {
  /**
   * Brings the second site up to date; what cannot be copied is named in the report.
   * @throws RepositoryError of the stores, SITE_FOREIGN, GC_RUNNING.
   */
  copy(options?: CopyRunOptions): Promise<CopyReport>;
  /** As of the repository; false, too, while it cannot be reached. */
  enforcesRetention(): Promise<boolean>;
  /** Lets go of its store; never throws. */
  close(): Promise<void>;
}

export interface HoldOptions {
  onProgress?: ((progress: { doneObjects: number; objects: number }) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** What the repository itself must know of a restore point; `content` belongs to the caller. */
export interface ManifestBody {
  createdAt: string;
  disks: ({ diskId: string } & DiskIndexRef)[];
  documents: string[];
  content: unknown;
  /** ISO; nobody removes the restore point before. Later dates stand in `locks/` (docs/repository-format.md). */
  lockedUntil?: string;
}

export interface Manifest extends ManifestBody, ManifestRef {
  formatVersion: number;
}

export interface RepositoryApi {
  readonly repositoryId: string;
  /** The grid new disks get; set when the repository is made. */
  readonly defaultChunkBytes: number;
  /**
   * Makes the organization's key on first use. @param organizationId vCloud URN or any stable id.
   * @throws RepositoryError RESTORE_POINT_EXISTS; REPOSITORY_FULL where no more than the spare room is left (spare-room.ts).
   */
  beginSession(organizationId: string, restorePointId: string, signal?: AbortSignal): Promise<BackupSession>;
  /** @param onDamaged told of an organization whose key does not read, and the others are listed; without it the listing ends with its error. */
  listManifests(signal?: AbortSignal, onDamaged?: (error: RepositoryError) => void): AsyncIterable<ManifestRef>;
  readManifest(ref: ManifestRef, signal?: AbortSignal): Promise<Manifest>;
  readDocument(ref: ManifestRef, documentId: string, signal?: AbortSignal): Promise<Buffer>;
  openDisk(ref: ManifestRef, disk: { diskId: string } & DiskIndexRef, signal?: AbortSignal): Promise<DiskReader>;
  /** Whether it could be deleted now. @throws RepositoryError RESTORE_POINT_NOT_FOUND, RESTORE_POINT_LOCK_CONFLICT. */
  assertDeletable(ref: ManifestRef, signal?: AbortSignal): Promise<void>;
  /**
   * The restore point is gone at once; its chunks are collected later.
   * @throws RepositoryError RESTORE_POINT_LOCK_CONFLICT.
   */
  deleteManifest(ref: ManifestRef, signal?: AbortSignal): Promise<void>;
  /**
   * The same repository, read from this site alone; without it each read falls over to the other by itself.
   * @throws RepositoryError SITE_NOT_CONFIGURED.
   */
  at(site: Site): RepositoryApi;
  /** Undefined where the settings name none. */
  readonly secondSite?: SecondSiteApi;
  /** True where the store itself can keep objects until a date (object lock). */
  readonly enforcesRetention: boolean;
  /**
   * From when it resolves, nobody removes the restore point before the date; a later one that it has already stays.
   * @returns the date that counts.
   * @throws RepositoryError RESTORE_POINT_NOT_FOUND.
   */
  lockRestorePoint(ref: ManifestRef, until: Date, signal?: AbortSignal): Promise<Date>;
  /** Undefined when it was never locked; a date in the past is a lock that has ended. */
  lockedUntil(ref: ManifestRef, signal?: AbortSignal): Promise<Date | undefined>;
  /** A lock without a date, until it is lifted. */
  setLegalHold(ref: ManifestRef, held: boolean, signal?: AbortSignal): Promise<void>;
  /** Ids of what `setLegalHold` holds in the organization, be it there or deleted by other means. */
  heldRestorePoints(organizationId: string, signal?: AbortSignal): Promise<string[]>;
  /**
   * Where the store enforces retention: has it keep every object the restore point needs until the end of its lock, packs that it
   * shares with others included. To be repeated after a collection and after a change of the master key.
   * @returns the objects held; 0 when there is no lock to be held.
   */
  holdRestorePoint(ref: ManifestRef, options?: HoldOptions): Promise<number>;
  /** The same for all that are locked. */
  holdLocked(options?: HoldOptions): Promise<{ restorePoints: number; objects: number }>;
  /**
   * Gives back the space of what no restore point refers to, in two runs: one condemns, a later one deletes (docs/concurrency.md).
   * @throws RepositoryError GC_RUNNING, GC_BLOCKED naming the restore point that cannot be read, GC_LOCK_LOST.
   */
  collectGarbage(options?: CollectOptions & { site?: Site }): Promise<CollectReport>;
  /** Looks for damage; it is a finding of the report, never an error. What is damaged is noted, and stored anew by the next backup. */
  verify(options: VerifyOptions & { site?: Site }): Promise<VerifyReport>;
  /**
   * Destroys the organization's key, then deletes its objects: nothing of it can be read ever again.
   * @throws RepositoryError RESTORE_POINT_LOCK_CONFLICT while one of its restore points is locked.
   */
  shredOrganization(organizationId: string, signal?: AbortSignal): Promise<void>;
  /** A write, a read and a delete of a probe object. */
  check(signal?: AbortSignal): Promise<void>;
  usage(signal?: AbortSignal): Promise<{ packBytes: number; freeBytes: number | undefined }>;
}
