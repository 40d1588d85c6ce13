import { isCutShort, isRepositoryError } from './errors.js';
import type { Organization } from './organization.js';
import { readPackTrailer } from './pack-trailer.js';
import { openBlob } from './sealed-blob.js';
import { decodeSegment, type PackContents } from './segment.js';

export interface ListedPack {
  sizeBytes: number;
  modifiedAt: Date;
}

export async function listPacks(organization: Organization, signal?: AbortSignal): Promise<Map<string, ListedPack>> {
  const packs = new Map<string, ListedPack>();
  for await (const { name, sizeBytes, modifiedAt } of organization.store.list(`${organization.place.prefix}packs/`, signal))
    packs.set(name.slice(name.lastIndexOf('/') + 1), { sizeBytes, modifiedAt });
  return packs;
}

export interface ListedSegment {
  name: string;
  /** Undefined when it cannot be read; the trailers of its packs say the same. */
  packs: PackContents[] | undefined;
}

/** One segment in memory at a time. */
export async function* readSegments(organization: Organization, signal?: AbortSignal): AsyncGenerator<ListedSegment> {
  const { lane, place, store } = organization;
  const names: string[] = [];
  for await (const { name } of store.list(`${place.prefix}index/`, signal)) names.push(name);
  for (const name of names) {
    try {
      const blobPlace = { organizationId: place.organizationId, name: name.slice(place.prefix.length), kind: 'segment' } as const;
      yield { name, packs: decodeSegment(await openBlob(lane, place.keys, blobPlace, await store.get(name, undefined, signal))) };
    } catch (error) {
      if (isRepositoryError(error, 'BLOB_NOT_FOUND')) continue;
      if (!(error instanceof RangeError) && !isCutShort(error)) throw error;
      yield { name, packs: undefined };
    }
  }
}

/**
 * The contents of every listed pack, each once: from the segments, and for packs no segment names from their trailers.
 * @param onUnreadable packs of which neither says anything.
 */
export async function* readContents(
  organization: Organization,
  listed: ReadonlyMap<string, ListedPack>,
  onUnreadable: (packId: string, reason: string) => void,
  signal?: AbortSignal,
): AsyncGenerator<PackContents> {
  const rest = new Set(listed.keys());
  for await (const segment of readSegments(organization, signal)) {
    for (const pack of segment.packs ?? []) if (rest.delete(pack.packId)) yield pack;
  }
  const { prefix, keys } = organization.place;
  for (const packId of rest) {
    let entries: Buffer;
    try {
      const { sizeBytes } = listed.get(packId) as ListedPack;
      entries = await readPackTrailer({ prefix, keys, packId, sizeBytes }, organization.store, signal);
    } catch (error) {
      if (isRepositoryError(error, 'BLOB_NOT_FOUND')) continue;
      if (!(error instanceof RangeError) && !isCutShort(error)) throw error;
      onUnreadable(packId, error.message);
      continue;
    }
    yield { packId, entries };
  }
}
