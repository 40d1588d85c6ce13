import { ENTRY_BYTES, readEntry, readRecordHeader, recordChecksum } from './format.js';
import type { OrganizationKeys } from './keys.js';
import { readPackTrailer } from './pack-trailer.js';
import type { BlobRange } from './types.js';

/**
 * A whole pack as it should be: header, authentic trailer, and the checksum of every record. What this cannot see is a forgery of
 * a record, which whoever reads it finds by its tag.
 * @returns its entries.
 * @throws RangeError saying what is wrong.
 */
export async function soundPack(packId: string, bytes: Buffer, keys: OrganizationKeys): Promise<Buffer> {
  const inMemory = {
    get: async (_name: string, { offset, length }: BlobRange = { offset: 0, length: bytes.length }) =>
      bytes.subarray(offset, offset + length),
  };
  const entries = await readPackTrailer({ prefix: '', keys, packId, sizeBytes: bytes.length }, inMemory);
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    const { offset, length } = readEntry(entries, at);
    const record = bytes.subarray(offset, offset + length);
    const { payloadLength } = readRecordHeader(record);
    if (recordChecksum(record, payloadLength) !== record.readUInt32LE(20)) throw new RangeError(`its record at byte ${offset} is damaged`);
  }
  return entries;
}
