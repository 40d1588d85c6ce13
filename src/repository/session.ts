import { setMaxListeners } from 'node:events';
import { CancelledError, describeError, throwIfAborted, type Logger } from '../common/index.js';
import { UNSEALED } from '../native/index.js';
import { checkBase } from './base-check.js';
import { DiskWriterSession } from './disk-writer.js';
import { RepositoryError, invalidArgument, isRepositoryError } from './errors.js';
import { FORMAT_VERSION, RECORD_HEADER_BYTES, readRecordHeader, type RecordKind } from './format.js';
import { readIndexRoot } from './index-root.js';
import { manifestName, writeManifest } from './manifest.js';
import type { Organization } from './organization.js';
import { PackStream } from './pack-stream.js';
import type { RestorePointLocks } from './restore-point-locks.js';
import type { SessionRecord } from './session-record.js';
import { SPARE_ROOM_BYTES } from './spare-room.js';
import type { BackupSession, DiskIndexRef, DiskWriter, ManifestBody, ManifestRef, WriteTally } from './types.js';

const MAXIMUM_DOCUMENT_BYTES = 64 * 1024 * 1024;
const SMALLEST_CHUNK_BYTES = 4096;
const LARGEST_CHUNK_BYTES = 4 * 1024 * 1024;

export interface NewRecord {
  offset: number;
  length: number;
  digest: Buffer;
}

/** A restore point in the making: its packs, and which records it has already sent on their way. */
export class RepositorySession implements BackupSession {
  private readonly packs: PackStream;
  /** Records of this session that the shared index does not show yet, by digest. */
  private readonly underWay = new Set<string>();
  private closed = false;

  constructor(
    private readonly organization: Organization,
    readonly restorePointId: string,
    packTargetBytes: number,
    private readonly log: Logger,
    /** Confirmed, after the index was refreshed: what keeps collectors from what this session relies on. */
    private readonly record: SessionRecord,
    private readonly locks: RestorePointLocks,
    private readonly signal?: AbortSignal,
  ) {
    // Every batch that waits for its turn listens to it, and there may be many: Node's warning at eleven is for leaks.
    if (signal) setMaxListeners(0, signal);
    const { place, index, store, lane } = organization;
    this.packs = new PackStream({
      place,
      index,
      store,
      lane,
      packTargetBytes,
      leaveFreeBytes: SPARE_ROOM_BYTES,
      admit: (records) => index.assertRoomFor(records),
      onIndexed: (entries) => {
        for (const entry of entries) this.underWay.delete(recordKey(entry.digest));
      },
    });
  }

  async openDisk(options: {
    diskId: string;
    capacityBytes: number;
    chunkBytes: number;
    base?: DiskIndexRef;
    signal?: AbortSignal;
  }): Promise<DiskWriter> {
    this.checkOpen();
    const { capacityBytes, chunkBytes, diskId, base } = options;
    if (!Number.isSafeInteger(capacityBytes) || capacityBytes <= 0) {
      throw invalidArgument(`Disk "${diskId}" has an impossible capacity of ${capacityBytes} bytes`);
    }
    if (!Number.isInteger(Math.log2(chunkBytes)) || chunkBytes < SMALLEST_CHUNK_BYTES || chunkBytes > LARGEST_CHUNK_BYTES) {
      throw invalidArgument(`A chunk of ${chunkBytes} bytes is not a power of two from 4 KiB to 4 MiB`);
    }
    if (base && (base.capacityBytes !== capacityBytes || base.chunkBytes !== chunkBytes)) {
      throw new RepositoryError(`Disk "${diskId}" no longer has the capacity or chunk size of its previous index; read it in full`, {
        code: 'BASE_MISMATCH',
        subject: diskId,
      });
    }
    const root = base && (await readIndexRoot(this.organization.reader, diskId, base, options.signal));
    if (base && root) await checkBase(this.organization, { diskId, rootId: Buffer.from(base.indexId, 'hex'), root }, options.signal);
    return new DiskWriterSession(this, this.organization, { diskId, capacityBytes, chunkBytes, basePageIds: root?.pageIds });
  }

  async putDocument(document: Buffer, signal?: AbortSignal): Promise<string> {
    this.checkOpen();
    if (document.length === 0 || document.length > MAXIMUM_DOCUMENT_BYTES) {
      throw invalidArgument(`A document holds 1 byte to 64 MiB, not ${document.length} bytes`);
    }
    return (await this.storeMetadata('document', document, signal)).toString('hex');
  }

  async flush(signal?: AbortSignal): Promise<void> {
    this.checkOpen();
    await this.packs.flush(signal ?? this.signal);
  }

  async publish(manifest: ManifestBody, signal?: AbortSignal): Promise<ManifestRef> {
    await this.flush(signal);
    this.checkContents(manifest);
    throwIfAborted(signal ?? this.signal);
    await this.record.assertOpen(signal ?? this.signal);
    const { place, store } = this.organization;
    const ref = { organizationId: place.organizationId, restorePointId: this.restorePointId };
    // Before the manifest: there is no moment at which the restore point exists without its lock.
    if (manifest.lockedUntil !== undefined) await this.locks.lock(this.restorePointId, new Date(manifest.lockedUntil), signal);
    try {
      await writeManifest(this.organization, { ...manifest, ...ref, formatVersion: FORMAT_VERSION }, signal);
    } catch (error) {
      if (!isRepositoryError(error, 'BLOB_EXISTS')) throw error;
      throw restorePointExists(this.restorePointId);
    }
    try {
      // Asked again: had this process stood still since the first question, chunks could have been collected meanwhile.
      await this.record.assertOpen();
    } catch (error) {
      if (isRepositoryError(error, 'SESSION_EXPIRED')) await store.delete(place.prefix + manifestName(this.restorePointId));
      throw error;
    }
    this.closed = true;
    await this.record.end();
    this.log.info({ restorePointId: this.restorePointId, manifest: manifestName(this.restorePointId) }, 'Restore point published');
    return ref;
  }

  async abandon(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.packs.abandon(new CancelledError('The backup session was abandoned'));
    await this.record.end();
  }

  /**
   * Stores the data chunks that neither the repository nor this session has. A disk that is given up (`signal`) ends itself
   * alone: what it has claimed by then is stored all the same, because other disks already count on it.
   * @returns what they came to; `records` holds no zero chunks.
   */
  async storeChunks(memory: Buffer, records: readonly NewRecord[], signal?: AbortSignal): Promise<WriteTally> {
    this.checkOpen();
    const tally: WriteTally = { chunks: records.length, zeroChunks: 0, knownChunks: 0, newChunks: 0, newBytes: 0, storedBytes: 0 };
    throwIfAborted(signal);
    const fresh = this.claim(records);
    tally.knownChunks = records.length - fresh.length;
    if (fresh.length === 0) return tally;
    const stored = await this.append('data', memory, fresh);
    tally.newChunks = fresh.length;
    for (const [i, record] of fresh.entries()) {
      tally.newBytes += record.length;
      tally.storedBytes += stored[i] as number;
    }
    return tally;
  }

  /** @returns the record's id. */
  async storeMetadata(kind: RecordKind, plaintext: Buffer, signal?: AbortSignal): Promise<Buffer> {
    const digest = this.organization.place.keys.digest(kind, plaintext);
    const record = { offset: 0, length: plaintext.length, digest };
    throwIfAborted(signal);
    if (this.claim([record]).length > 0) await this.append(kind, plaintext, [record]);
    return digest;
  }

  /** A page this session has written, wherever it is by now. */
  async readMetadata(kind: RecordKind, digest: Buffer, what: string, signal?: AbortSignal): Promise<Buffer> {
    const buffered = this.packs.findBuffered(digest);
    if (!buffered) return this.organization.reader.readOne(kind, digest, what, signal);
    const header = readRecordHeader(buffered.record);
    const plaintext = Buffer.allocUnsafeSlow(header.plainLength);
    const container = { sealingKey: buffered.key, context: buffered.context };
    const payload = { ...header, container, sourceOffset: RECORD_HEADER_BYTES, targetOffset: 0 };
    const { lane, place } = this.organization;
    const [status] = await lane.unseal(kind, buffered.record, [payload], place.keys.digestKey(kind), plaintext, signal);
    if (status !== UNSEALED)
      throw new RepositoryError(`${what} was damaged in memory; check this machine's memory`, { code: 'INDEX_DAMAGED' });
    return plaintext;
  }

  checkOpen(): void {
    this.packs.throwIfFailed();
    if (this.closed) {
      throw new RepositoryError(`The session of restore point ${this.restorePointId} has ended`, { code: 'SESSION_CLOSED' });
    }
    this.record.check();
    throwIfAborted(this.signal);
  }

  /**
   * Those that must be stored, each digest once. Synchronous from question to claim, so that two
   * disks that bring the same new chunk at one moment store it once.
   */
  private claim(records: readonly NewRecord[]): NewRecord[] {
    const reusable = this.organization.index.reusable(Buffer.concat(records.map((record) => record.digest)));
    return records.filter((record, i) => {
      const key = recordKey(record.digest);
      if (reusable[i] === true || this.underWay.has(key)) return false;
      this.underWay.add(key);
      return true;
    });
  }

  /** Only with the session's own signal: a caller that gives up what it has claimed would leave a hole for the others. */
  private async append(kind: RecordKind, memory: Buffer, records: readonly NewRecord[]): Promise<number[]> {
    try {
      return await this.packs.append(kind, memory, records, this.signal);
    } catch (error) {
      // Claimed and not stored: others may already count on these records.
      this.packs.fail(error);
      this.log.debug({ restorePointId: this.restorePointId, reason: describeError(error) }, 'Backup session failed');
      throw error;
    }
  }

  /** After a flush, everything of this session is in the shared index. */
  private checkContents(manifest: ManifestBody): void {
    const stored = (id: string) => /^[0-9a-f]{64}$/.test(id) && this.organization.index.locate(Buffer.from(id, 'hex'))[0] !== undefined;
    for (const disk of manifest.disks) {
      if (!stored(disk.indexId))
        throw invalidArgument(`The index of disk "${disk.diskId}" is not in the repository; finish the disk before publishing`);
    }
    for (const id of manifest.documents) {
      if (!stored(id)) throw invalidArgument(`Document ${id} is not in the repository; put it before publishing`);
    }
  }
}

export function restorePointExists(restorePointId: string): RepositoryError {
  return new RepositoryError(`Restore point ${restorePointId} exists already`, { code: 'RESTORE_POINT_EXISTS', subject: restorePointId });
}

/** One character a byte: half the memory of hexadecimal. */
function recordKey(digest: Buffer): string {
  return digest.toString('latin1');
}
