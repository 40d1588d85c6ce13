import { isRepositoryError } from './errors.js';
import { remove, type CollectorLock } from './gc-lock.js';
import { isRestorePointId, manifestName } from './manifest.js';
import type { Organization } from './organization.js';
import { publishedLock } from './repository-locks.js';
import type { RestorePointLocks } from './restore-point-locks.js';
import { restorePointIds } from './walk.js';

export interface Departed {
  /** Deleted at the first site, and kept. */
  kept: string[];
  removed: string[];
}

/**
 * What is not at the first site any more is noted in `departed/` of the second, and removed there when the note is as old as
 * `keepMs` by the second site's clock and no lock lasts: a deletion by mistake, or of a whole first site, can be taken back until then.
 */
export async function removeDeparted(
  source: Organization,
  target: Organization,
  options: { lock: CollectorLock; locks: RestorePointLocks; keepMs: number; signal?: AbortSignal | undefined },
): Promise<Departed> {
  const { lock, locks, keepMs, signal } = options;
  const { store, place } = target;
  const folder = `${place.prefix}departed/`;
  const stays = new Set(await restorePointIds(source, signal));
  const notes = new Map<string, Date>();
  for await (const { name, modifiedAt } of store.list(folder, signal)) notes.set(name.slice(folder.length), modifiedAt);
  const result: Departed = { kept: [], removed: [] };
  for (const restorePointId of await restorePointIds(target, signal)) {
    if (stays.has(restorePointId) || !isRestorePointId(restorePointId)) continue;
    let noted = notes.get(restorePointId);
    if (noted === undefined) {
      await note(target, restorePointId, signal);
      noted = lock.now;
    }
    const ripe = lock.now.getTime() - noted.getTime() >= keepMs;
    if (!ripe || !(await isUnlocked(target, locks, restorePointId, signal))) {
      result.kept.push(restorePointId);
      continue;
    }
    await lock.hold(signal);
    await remove(store, place.prefix + manifestName(restorePointId), signal);
    result.removed.push(restorePointId);
  }
  const kept = new Set(result.kept);
  // Of restore points that are gone for good, or came back.
  for (const restorePointId of notes.keys()) if (!kept.has(restorePointId)) await remove(store, folder + restorePointId, signal);
  return result;
}

async function isUnlocked(target: Organization, locks: RestorePointLocks, restorePointId: string, signal?: AbortSignal): Promise<boolean> {
  const { organizationId } = target.place;
  const until = await publishedLock(target, { organizationId, restorePointId }, signal);
  return locks.isOver({ until, held: false }) && locks.isOver(await locks.find(restorePointId, signal));
}

async function note(target: Organization, restorePointId: string, signal?: AbortSignal): Promise<void> {
  const text = `${JSON.stringify({ foundAt: new Date().toISOString() })}\n`;
  try {
    await target.store.put(`${target.place.prefix}departed/${restorePointId}`, Buffer.from(text), { ifAbsent: true, signal });
  } catch (error) {
    if (!isRepositoryError(error, 'BLOB_EXISTS')) throw error;
  }
}
