import { ENTRY_BYTES, readEntry } from './format.js';
import type { LiveSet } from './live-set.js';
import type { Organization } from './organization.js';
import { readContents, type ListedPack } from './pack-listing.js';
import type { PackContents } from './segment.js';

export interface SurveyedPack extends ListedPack {
  packId: string;
  recordBytes: number;
  /** Of records that are alive and read from this pack; a second copy of what another pack has counts as dead. */
  liveBytes: number;
  /** It has a living record of which no pack that stays has a sound copy. */
  needed: boolean;
  /** A living record of it is noted as damaged: it cannot be copied, only kept. */
  damaged: boolean;
}

export interface Survey {
  packs: SurveyedPack[];
  unreadable: string[];
}

/**
 * Holds every pack against the mark. The index must be fresh: of several copies it knows the one
 * in a pack that stays.
 * @param condemned packs on any condemned list.
 */
export async function survey(
  organization: Organization,
  listed: ReadonlyMap<string, ListedPack>,
  live: LiveSet,
  condemned: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<Survey> {
  const result: Survey = { packs: [], unreadable: [] };
  for await (const contents of readContents(organization, listed, (packId) => result.unreadable.push(packId), signal)) {
    const pack = listed.get(contents.packId) as ListedPack;
    result.packs.push({ packId: contents.packId, ...pack, ...weigh(organization, contents, live, condemned) });
  }
  return result;
}

function weigh(organization: Organization, { packId, entries }: PackContents, live: LiveSet, condemned: ReadonlySet<string>) {
  const sum = { recordBytes: 0, liveBytes: 0, needed: false, damaged: false };
  for (const { digest, length, location } of entriesWithPlace(organization, entries)) {
    sum.recordBytes += length;
    if (!live.has(digest)) continue;
    if (location === undefined) sum.damaged = true;
    if (location === undefined || condemned.has(location.packId)) sum.needed = true;
    if (location?.packId === packId) sum.liveBytes += length;
  }
  return sum;
}

/** The living records of a pack that are read from it, to be copied. */
export function livingEntries(organization: Organization, { packId, entries }: PackContents, live: LiveSet) {
  return entriesWithPlace(organization, entries).filter(({ digest, location }) => location?.packId === packId && live.has(digest));
}

function entriesWithPlace(organization: Organization, entries: Buffer) {
  const read = Array.from({ length: entries.length / ENTRY_BYTES }, (_, i) => readEntry(entries, i * ENTRY_BYTES));
  const locations = organization.index.locate(Buffer.concat(read.map((entry) => entry.digest)));
  return read.map((entry, i) => ({ ...entry, location: locations[i] }));
}
