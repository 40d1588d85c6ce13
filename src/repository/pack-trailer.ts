import {
  CONTAINER_HEADER_BYTES,
  ENTRY_BYTES,
  PACK_FOOTER_BYTES,
  PACK_FOOTER_MAC_OFFSET,
  PACK_MAGIC,
  decodeContainerHeader,
  decodePackFooter,
  packPath,
} from './format.js';
import { equalBytes, type OrganizationKeys } from './keys.js';
import type { BlobStore } from './types.js';

/**
 * The entries of a pack, from its own trailer.
 * @throws RangeError when the trailer is damaged or not authentic; RepositoryError of the store (BLOB_NOT_FOUND, BLOB_TRUNCATED).
 */
export async function readPackTrailer(
  pack: { prefix: string; keys: OrganizationKeys; packId: string; sizeBytes: number },
  store: Pick<BlobStore, 'get'>,
  signal?: AbortSignal,
): Promise<Buffer> {
  const { keys, packId, sizeBytes } = pack;
  const name = pack.prefix + packPath(packId);
  if (sizeBytes < CONTAINER_HEADER_BYTES + PACK_FOOTER_BYTES) throw new RangeError('it is too short');
  const footerBytes = await store.get(name, { offset: sizeBytes - PACK_FOOTER_BYTES, length: PACK_FOOTER_BYTES }, signal);
  const footer = decodePackFooter(footerBytes, sizeBytes);
  const header = await store.get(name, { offset: 0, length: CONTAINER_HEADER_BYTES }, signal);
  if (decodeContainerHeader(PACK_MAGIC, header).id !== packId) throw new RangeError('its header is that of another pack');
  const entries = await store.get(name, { offset: footer.trailerOffset, length: footer.entryCount * ENTRY_BYTES }, signal);
  const mac = keys.trailerMac(header, entries, footerBytes.subarray(0, PACK_FOOTER_MAC_OFFSET));
  if (!equalBytes(mac, footerBytes.subarray(PACK_FOOTER_MAC_OFFSET))) throw new RangeError('its trailer is not authentic');
  return entries;
}
