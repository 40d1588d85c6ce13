/** Plain objects by name. Implementations: folder now, S3 later. Names are relative, '/'-separated, [a-z0-9._/-]. */
export interface BlobStore {
  readonly kind: string;
  /** Durable when it resolves (data and name). @throws RepositoryError REPOSITORY_FULL, REPOSITORY_UNREACHABLE, BLOB_EXISTS (with ifAbsent). */
  put(name: string, data: Buffer | readonly Buffer[], options?: { ifAbsent?: boolean; signal?: AbortSignal }): Promise<void>;
  /** @throws RepositoryError BLOB_NOT_FOUND. Short reads past the end are an error. */
  get(name: string, range?: { offset: number; length: number }, signal?: AbortSignal): Promise<Buffer>;
  size(name: string, signal?: AbortSignal): Promise<number | undefined>;
  list(prefix: string, signal?: AbortSignal): AsyncIterable<{ name: string; sizeBytes: number; modifiedAt: Date }>;
  delete(name: string, signal?: AbortSignal): Promise<void>;
  /** Bytes still free, where the store can tell. */
  freeBytes(signal?: AbortSignal): Promise<number | undefined>;
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
   */
  write(
    memory: Buffer,
    chunks: readonly { chunkIndex: number; offset: number; length: number }[],
    signal?: AbortSignal,
  ): Promise<WriteTally>;
  /** Records chunks as zero without having been read. */
  zero(firstChunkIndex: number, count: number): void;
  /** Writes the index pages; chunks never mentioned come from the base, or are zero without one. */
  finish(signal?: AbortSignal): Promise<DiskIndexRef>;
}

export interface DiskReader {
  readonly capacityBytes: number;
  readonly chunkBytes: number;
  /** Chunk indices that hold data (not zero), ascending, in pages. */
  dataChunks(signal?: AbortSignal): AsyncIterable<number[]>;
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

/** What the repository itself must know of a restore point; `content` belongs to the caller. */
export interface ManifestBody {
  createdAt: string;
  disks: ({ diskId: string } & DiskIndexRef)[];
  documents: string[];
  content: unknown;
}

export interface Manifest extends ManifestBody, ManifestRef {
  formatVersion: number;
}

export interface RepositoryApi {
  readonly repositoryId: string;
  /** The grid new disks get; set when the repository is made. */
  readonly defaultChunkBytes: number;
  /** Makes the organization's key on first use. @param organizationId vCloud URN or any stable id. */
  beginSession(organizationId: string, restorePointId: string, signal?: AbortSignal): Promise<BackupSession>;
  listManifests(signal?: AbortSignal): AsyncIterable<ManifestRef>;
  readManifest(ref: ManifestRef, signal?: AbortSignal): Promise<Manifest>;
  readDocument(ref: ManifestRef, documentId: string, signal?: AbortSignal): Promise<Buffer>;
  openDisk(ref: ManifestRef, disk: { diskId: string } & DiskIndexRef, signal?: AbortSignal): Promise<DiskReader>;
  /** The restore point is gone at once; its chunks are collected later. */
  deleteManifest(ref: ManifestRef, signal?: AbortSignal): Promise<void>;
  /** A write, a read and a delete of a probe object. */
  check(signal?: AbortSignal): Promise<void>;
  usage(signal?: AbortSignal): Promise<{ packBytes: number; freeBytes: number | undefined }>;
}
