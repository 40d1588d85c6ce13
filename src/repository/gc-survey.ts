import { ENTRY_BYTES, digestsOf, readEntry } from './format.js';
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
  const leaving = new Set([...condemned].map((packId) => organization.index.packNumber(packId)));
  for await (const contents of readContents(organization, listed, (packId) => result.unreadable.push(packId), signal)) {
    const pack = listed.get(contents.packId) as ListedPack;
    result.packs.push({ packId: contents.packId, ...pack, ...weigh(organization, contents, live, leaving) });
  }
  return result;
}

function weigh(organization: Organization, { packId, entries }: PackContents, live: LiveSet, leaving: ReadonlySet<number | undefined>) {
  const { index } = organization;
  const sum = { recordBytes: 0, liveBytes: 0, needed: false, damaged: false };
  const digests = digestsOf(entries);
  const alive = live.hasEach(digests);
  const rows = index.locateRows(digests);
  const here = index.packNumber(packId);
  for (let i = 0; i < alive.length; i += 1) {
    const length = entries.readUInt32LE(i * ENTRY_BYTES + 36);
    sum.recordBytes += length;
    if (alive[i] === 0) continue;
    const number = rows[i * 4 + 2] === 0 ? undefined : rows[i * 4];
    if (number === undefined) sum.damaged = true;
    if (number === undefined || leaving.has(number)) sum.needed = true;
    if (number !== undefined && number === here) sum.liveBytes += length;
  }
  return sum;
}

/** The living records of a pack that are read from it, to be copied. */
export function livingEntries(organization: Organization, { packId, entries }: PackContents, live: LiveSet) {
  const locations = organization.index.locate(digestsOf(entries));
  return Array.from({ length: entries.length / ENTRY_BYTES }, (_, i) => ({
    ...readEntry(entries, i * ENTRY_BYTES),
    location: locations[i],
  })).filter(({ digest, location }) => location?.packId === packId && live.has(digest));
}
