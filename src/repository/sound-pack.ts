import {
  CONTAINER_HEADER_BYTES,
  ENTRY_BYTES,
  PACK_FOOTER_BYTES,
  PACK_FOOTER_MAC_OFFSET,
  PACK_MAGIC,
  decodeContainerHeader,
  decodePackFooter,
  readEntry,
  readRecordHeader,
  recordChecksum,
} from './format.js';
import { equalBytes, type OrganizationKeys } from './keys.js';

/**
 * A whole pack as it should be: header, authentic trailer, and the checksum of every record. What this cannot see is a forgery of
 * a record, which whoever reads it finds by its tag.
 * @returns its entries.
 * @throws RangeError saying what is wrong.
 */
export function soundPack(packId: string, bytes: Buffer, keys: OrganizationKeys): Buffer {
  if (bytes.length < CONTAINER_HEADER_BYTES + PACK_FOOTER_BYTES) throw new RangeError('it is too short');
  if (decodeContainerHeader(PACK_MAGIC, bytes).id !== packId) throw new RangeError('its header is that of another pack');
  const footerBytes = bytes.subarray(bytes.length - PACK_FOOTER_BYTES);
  const { trailerOffset, entryCount } = decodePackFooter(footerBytes, bytes.length);
  const entries = bytes.subarray(trailerOffset, trailerOffset + entryCount * ENTRY_BYTES);
  const mac = keys.trailerMac(bytes.subarray(0, CONTAINER_HEADER_BYTES), entries, footerBytes.subarray(0, PACK_FOOTER_MAC_OFFSET));
  if (!equalBytes(mac, footerBytes.subarray(PACK_FOOTER_MAC_OFFSET))) throw new RangeError('its trailer is not authentic');
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    const { offset, length } = readEntry(entries, at);
    const record = bytes.subarray(offset, offset + length);
    const { payloadLength } = readRecordHeader(record);
    if (recordChecksum(record, payloadLength) !== record.readUInt32LE(20)) throw new RangeError(`its record at byte ${offset} is damaged`);
  }
  return entries;
}
