import { ID_BYTES, PAGE_BYTES, ZERO_ID } from './format.js';
import { readManifest } from './manifest.js';
import type { Organization } from './organization.js';
import type { Manifest } from './types.js';

const PAGES_AT_ONCE = 16;

/** Names of all restore points of an organization; they are read one by one, so one that vanishes meanwhile is passed over by the caller. */
export async function restorePointIds(organization: Organization, signal?: AbortSignal): Promise<string[]> {
  const prefix = `${organization.place.prefix}manifests/`;
  const ids: string[] = [];
  for await (const { name } of organization.store.list(prefix, signal)) ids.push(name.slice(prefix.length));
  return ids;
}

export function readManifestOf(organization: Organization, restorePointId: string, signal?: AbortSignal): Promise<Manifest> {
  return readManifest(organization, { organizationId: organization.place.organizationId, restorePointId }, signal);
}

/**
 * The pages of one disk that hold data, some at a time: memory does not grow with the disk.
 * @param pageIds of the disk's index root.
 * @param skip pages whose content the caller knows already.
 * @returns the ids of each page's chunks, zero where the chunk is; only valid until the next page is asked for.
 * @throws RepositoryError INDEX_DAMAGED, INDEX_MISSING naming the disk.
 */
export async function* walkPages(
  organization: Organization,
  diskId: string,
  pageIds: Buffer,
  skip: (pageId: Buffer) => boolean,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  const numbers: number[] = [];
  for (let number = 0; number < pageIds.length / ID_BYTES; number += 1) {
    const id = pageIds.subarray(number * ID_BYTES, (number + 1) * ID_BYTES);
    if (!id.equals(ZERO_ID) && !skip(id)) numbers.push(number);
  }
  const memory = Buffer.allocUnsafeSlow(Math.min(PAGES_AT_ONCE, Math.max(1, numbers.length)) * PAGE_BYTES);
  for (let first = 0; first < numbers.length; first += PAGES_AT_ONCE) {
    const batch = numbers.slice(first, first + PAGES_AT_ONCE);
    const wanted = batch.map((number, i) => ({
      digest: pageIds.subarray(number * ID_BYTES, (number + 1) * ID_BYTES),
      targetOffset: i * PAGE_BYTES,
      plainLength: PAGE_BYTES,
      what: `page ${number} of the index of disk "${diskId}"`,
    }));
    await organization.reader.read('page', wanted, memory, signal);
    for (const i of batch.keys()) yield memory.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
  }
}
