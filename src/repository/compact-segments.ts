import { newId } from '../common/index.js';
import { remove } from './gc-lock.js';
import type { Organization } from './organization.js';
import { type ListedPack, readSegments } from './pack-listing.js';
import { sealBlob } from './sealed-blob.js';
import { encodeSegment, type PackContents } from './segment.js';

/** Several medium segments rather than one large: each is held in memory as a whole. */
const TARGET_BYTES = 4 * 1024 * 1024;
const SMALL_BYTES = 1024 * 1024;
const SMALL_SEGMENTS_LEFT_ALONE = 16;

export interface Compaction {
  removedSegments: number;
  newSegments: number;
}

/**
 * Merges small segments and rewrites those that name packs which are about to be deleted, or are
 * gone. New ones are durable before old ones are deleted; both at once say the same twice. Each old one goes
 * as soon as it may: all of them at once, twice, would not fit where a collection is to make room.
 */
export async function compactSegments(
  organization: Organization,
  listed: ReadonlyMap<string, ListedPack>,
  leaving: ReadonlySet<string>,
  hold: () => Promise<void>,
  signal?: AbortSignal,
): Promise<Compaction> {
  const stays = (pack: PackContents) => listed.has(pack.packId) && !leaving.has(pack.packId);
  const small: string[] = [];
  const due = new Set<string>();
  for await (const { name, packs } of readSegments(organization, signal)) {
    if (!packs?.every(stays)) due.add(name);
    else if (packs.reduce((sum, pack) => sum + pack.entries.length, 0) < SMALL_BYTES) small.push(name);
  }
  if (small.length > SMALL_SEGMENTS_LEFT_ALONE) for (const name of small) due.add(name);
  const compaction: Compaction = { removedSegments: 0, newSegments: 0 };
  if (due.size === 0) return compaction;

  let pending: PackContents[] = [];
  let pendingBytes = 0;
  /** Old ones of which every pack that stays is pending, or in a new one. */
  let replaced: string[] = [];
  const write = async () => {
    if (pending.length > 0) {
      await writeSegment(organization, pending, signal);
      compaction.newSegments += 1;
    }
    pending = [];
    pendingBytes = 0;
    for (const name of replaced) {
      await hold();
      if (await remove(organization.store, name, signal)) compaction.removedSegments += 1;
    }
    replaced = [];
  };
  const written = new Set<string>();
  for await (const { name, packs } of readSegments(organization, signal)) {
    if (!due.has(name)) continue;
    for (const pack of (packs ?? []).filter(stays)) {
      if (written.has(pack.packId)) continue;
      written.add(pack.packId);
      pending.push(pack);
      pendingBytes += pack.entries.length;
      if (pendingBytes >= TARGET_BYTES) await write();
    }
    replaced.push(name);
  }
  await write();
  return compaction;
}

/** Names packs that are durable, so that nobody needs to read their trailers. */
export async function writeSegment(organization: Organization, packs: readonly PackContents[], signal?: AbortSignal): Promise<void> {
  const { lane, place, store } = organization;
  const name = `index/${newId()}`;
  const blob = await sealBlob(lane, place.keys, { organizationId: place.organizationId, name, kind: 'segment' }, encodeSegment(packs));
  await store.put(place.prefix + name, blob, { ifAbsent: true, signal });
}
