import { throwIfAborted } from '../common/index.js';
import { writeSegment } from './compact-segments.js';
import { removeNotes } from './damage-notes.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import { ENTRY_BYTES, ID_BYTES, packPath } from './format.js';
import { remove, type CollectorLock } from './gc-lock.js';
import { manifestName, readManifest } from './manifest.js';
import type { Organization } from './organization.js';
import { listPacks } from './pack-listing.js';
import { type PageTrail, referencedRecords } from './referenced-records.js';
import type { PackContents } from './segment.js';
import { soundPack } from './sound-pack.js';
import { SPARE_ROOM_BYTES } from './spare-room.js';
import type { ManifestRef } from './types.js';

/** A collector of the source may move records meanwhile; each time the packs are looked up anew. */
const LOOKS = 3;
const PACKS_PER_SEGMENT = 64;

export interface CopyProgress {
  doneBytes: number;
  totalBytes: number;
}

export interface CopiedRestorePoint {
  copiedPacks: number;
  copiedBytes: number;
}

export interface CopyOptions {
  /** Of the target: keeps its collectors away while this goes on. */
  lock: CollectorLock;
  /** Pages that were found whole at the target before, in this run. */
  trail: PageTrail;
  onProgress: (progress: CopyProgress) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Copies one restore point, byte for byte as it is stored: the packs that hold what the target lacks, then a segment that names
 * them, then its locks, the manifest last. Both indexes must be fresh.
 * @throws RepositoryError PACK_DAMAGED, CHUNK_MISSING, ..., naming the restore point's object that cannot be copied: nothing that is
 * damaged is passed on. RESTORE_POINT_NOT_FOUND when it was deleted meanwhile.
 */
export async function copyRestorePoint(
  source: Organization,
  target: Organization,
  ref: ManifestRef,
  options: CopyOptions,
): Promise<CopiedRestorePoint> {
  const done: CopiedRestorePoint = { copiedPacks: 0, copiedBytes: 0 };
  for (let look = 1; ; look += 1) {
    try {
      await copyPacks(source, target, ref, options, done);
      break;
    } catch (error) {
      if (look === LOOKS || !isRepositoryError(error, 'BLOB_NOT_FOUND')) throw error;
      await source.index.refreshForMissing(options.signal);
    }
  }
  await copyLocks(source, target, ref.restorePointId, options);
  await putManifest(source, target, ref, options);
  options.trail.commit();
  return done;
}

async function copyPacks(
  source: Organization,
  target: Organization,
  ref: ManifestRef,
  options: CopyOptions,
  done: CopiedRestorePoint,
): Promise<void> {
  const { signal } = options;
  const lacking = await packsLacking(source, target, ref, options);
  const listed = lacking.size === 0 ? new Map<string, { sizeBytes: number }>() : await listPacks(source, signal);
  let totalBytes = done.copiedBytes;
  for (const packId of lacking) totalBytes += listed.get(packId)?.sizeBytes ?? 0;
  let pending: PackContents[] = [];
  for (const packId of lacking) {
    throwIfAborted(signal);
    const bytes = await source.store.get(source.place.prefix + packPath(packId), undefined, signal);
    const entries = Buffer.from(await entriesOf(packId, bytes, source, ref));
    target.index.assertRoomFor([{ entries }, ...pending].reduce((sum, pack) => sum + pack.entries.length / ENTRY_BYTES, 0));
    await options.lock.hold(signal);
    await putPack(target, packId, bytes, signal);
    done.copiedPacks += 1;
    done.copiedBytes += bytes.length;
    options.onProgress({ doneBytes: done.copiedBytes, totalBytes: Math.max(totalBytes, done.copiedBytes) });
    pending.push({ packId, entries });
    if (pending.length >= PACKS_PER_SEGMENT) {
      await nameInSegment(target, pending, signal);
      pending = [];
    }
  }
  if (pending.length > 0) await nameInSegment(target, pending, signal);
}

/** Packs of the source that hold a record of the restore point which the target has nowhere. */
async function packsLacking(source: Organization, target: Organization, ref: ManifestRef, options: CopyOptions): Promise<Set<string>> {
  const manifest = await readManifest(source, ref, options.signal);
  const packIds = new Set<string>();
  options.trail.reset();
  for await (const ids of referencedRecords(source, manifest, options.trail, options.signal)) {
    // What is condemned there is there: its collectors are kept away until the manifest is, and then find it alive.
    const present = target.index.present(ids);
    if (!present.includes(false)) continue;
    source.index.locate(ids).forEach((location, i) => {
      if (present[i] === true) return;
      if (location) packIds.add(location.packId);
      else throw missing(ids.subarray(i * ID_BYTES, (i + 1) * ID_BYTES), ref);
    });
  }
  return packIds;
}

async function entriesOf(packId: string, bytes: Buffer, source: Organization, ref: ManifestRef): Promise<Buffer> {
  try {
    return await soundPack(packId, bytes, source.place.keys);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RepositoryError(
      `Restore point ${ref.restorePointId} is not copied while pack ${packId} is damaged (${error.message}); verify the repository, which heals it or names what is lost`,
      { code: 'PACK_DAMAGED', subject: packId, cause: error },
    );
  }
}

/** One of that name that the target does not know the records of is damaged, and is replaced; notes about its damage go. */
async function putPack(target: Organization, packId: string, bytes: Buffer, signal?: AbortSignal): Promise<void> {
  const { store, place } = target;
  const name = place.prefix + packPath(packId);
  try {
    await store.put(name, bytes, { ifAbsent: true, leaveFreeBytes: SPARE_ROOM_BYTES, signal });
  } catch (error) {
    if (!isRepositoryError(error, 'BLOB_EXISTS')) throw error;
    if (!(await store.get(name, undefined, signal)).equals(bytes)) await store.put(name, bytes, { signal });
  }
  await removeNotes(target, packId, signal);
}

async function nameInSegment(target: Organization, packs: readonly PackContents[], signal?: AbortSignal): Promise<void> {
  await writeSegment(target, packs, signal);
  for (const { packId, entries } of packs) target.index.insert(packId, entries);
}

async function copyLocks(source: Organization, target: Organization, restorePointId: string, options: CopyOptions): Promise<void> {
  const folder = `${source.place.prefix}locks/${restorePointId}/`;
  for await (const { name } of source.store.list(folder, options.signal)) await copyIfAbsent(source, target, name, options.signal);
}

async function putManifest(source: Organization, target: Organization, ref: ManifestRef, options: CopyOptions): Promise<void> {
  // Opened before it is passed on: a damaged one must not become the copy.
  await readManifest(source, ref, options.signal);
  await options.lock.hold(options.signal);
  const name = target.place.prefix + manifestName(ref.restorePointId);
  await copyIfAbsent(source, target, name, options.signal);
  try {
    // Had this process stood still since the question before, packs could have been collected.
    await options.lock.hold();
  } catch (error) {
    if (isRepositoryError(error, 'GC_LOCK_LOST')) await remove(target.store, name);
    throw error;
  }
}

/** Names are the same in both: they come from the organization and the object. */
export async function copyIfAbsent(
  source: Pick<Organization, 'store'>,
  target: Pick<Organization, 'store'>,
  name: string,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await target.store.put(name, await source.store.get(name, undefined, signal), { ifAbsent: true, signal });
  } catch (error) {
    if (!isRepositoryError(error, 'BLOB_EXISTS')) throw error;
  }
}

function missing(id: Buffer, ref: ManifestRef): RepositoryError {
  return new RepositoryError(
    `Restore point ${ref.restorePointId} is not copied: no pack holds its record ${id.toString('hex')}; verify the repository, which names what is lost`,
    { code: 'CHUNK_MISSING', subject: ref.restorePointId },
  );
}
