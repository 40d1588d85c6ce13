import { ENTRY_BYTES, SEGMENT_PACK_HEADER_BYTES, bytesToUuid, uuidToBytes } from './format.js';

const COUNT_BYTES = 4;

/** A pack and its entries, ENTRY_BYTES each, as in the pack's trailer. */
export interface PackContents {
  packId: string;
  entries: Buffer;
}

/** The plaintext of an index segment. */
export function encodeSegment(packs: readonly PackContents[]): Buffer {
  const count = Buffer.alloc(COUNT_BYTES);
  count.writeUInt32LE(packs.length);
  const pieces: Buffer[] = [count];
  for (const { packId, entries } of packs) {
    const header = Buffer.alloc(SEGMENT_PACK_HEADER_BYTES);
    uuidToBytes(packId).copy(header);
    header.writeUInt32LE(entries.length / ENTRY_BYTES, 16);
    pieces.push(header, entries);
  }
  return Buffer.concat(pieces);
}

/** @throws RangeError when the bytes are no segment. */
export function decodeSegment(segment: Buffer): PackContents[] {
  if (segment.length < COUNT_BYTES) throw new RangeError('it is too short');
  const packs: PackContents[] = [];
  let at = COUNT_BYTES;
  while (at < segment.length) {
    if (at + SEGMENT_PACK_HEADER_BYTES > segment.length) throw new RangeError('it ends inside the header of a pack');
    const end = at + SEGMENT_PACK_HEADER_BYTES + segment.readUInt32LE(at + 16) * ENTRY_BYTES;
    if (end > segment.length) throw new RangeError('it ends inside the entries of a pack');
    const packId = bytesToUuid(segment.subarray(at, at + 16));
    packs.push({ packId, entries: segment.subarray(at + SEGMENT_PACK_HEADER_BYTES, end) });
    at = end;
  }
  if (packs.length !== segment.readUInt32LE(0)) throw new RangeError('it does not hold the number of packs it says');
  return packs;
}
