import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * The bytes of docs/repository-format.md: pack and blob containers, records, trailers, index
 * roots. All numbers are little-endian. Pure encoding; no key, no store.
 */
export const FORMAT_VERSION = 1;

export const PACK_MAGIC = 'vvpack01';
export const BLOB_MAGIC = 'vvblob01';
export const PACK_END_MAGIC = 'vvpkend1';
export const RECORD_MAGIC = 'vvrc';
const RECORD_MAGIC_NUMBER = Buffer.from(RECORD_MAGIC, 'latin1').readUInt32LE();
export const INDEX_ROOT_MAGIC = 'vvindex1';

export const CONTAINER_HEADER_BYTES = 64;
export const SALT_BYTES = 32;
export const RECORD_HEADER_BYTES = 56;
export const ENTRY_BYTES = 48;
export const PACK_FOOTER_BYTES = 64;
/** Bytes of the footer that its MAC covers. */
export const PACK_FOOTER_MAC_OFFSET = 32;
export const TAG_BYTES = 16;
export const NONCE_BYTES = 12;
export const AAD_BYTES = 72;
export const ID_BYTES = 32;
/** Chunk ids in one page. At 256 KiB a chunk, a page describes 1 GiB of disk. */
export const PAGE_IDS = 4096;
export const PAGE_BYTES = PAGE_IDS * ID_BYTES;
export const INDEX_ROOT_HEADER_BYTES = 32;
export const SEGMENT_PACK_HEADER_BYTES = 24;

export const RECORD_KINDS = { data: 1, page: 2, root: 3, document: 4, segment: 5, manifest: 6 } as const;
export type RecordKind = keyof typeof RECORD_KINDS;
/** By number, as in a pack's entries; what is not in it is of a later format, or damage. */
export const RECORD_KIND_NAMES: ReadonlyMap<number, RecordKind> = new Map(
  Object.entries(RECORD_KINDS).map(([name, kind]) => [kind, name as RecordKind]),
);

/** The id of an all-zero chunk, and of a page of such chunks; never stored. */
export const ZERO_ID = Buffer.alloc(ID_BYTES);

export interface ContainerHeader {
  id: string;
  salt: Buffer;
}

export function encodeContainerHeader(magic: string, header: ContainerHeader): Buffer {
  const bytes = Buffer.alloc(CONTAINER_HEADER_BYTES);
  bytes.write(magic, 0, 'latin1');
  bytes.writeUInt16LE(FORMAT_VERSION, 8);
  uuidToBytes(header.id).copy(bytes, 16);
  header.salt.copy(bytes, 32);
  return bytes;
}

/** @throws RangeError saying what is wrong. */
export function decodeContainerHeader(magic: string, bytes: Buffer): ContainerHeader {
  if (bytes.length < CONTAINER_HEADER_BYTES || bytes.toString('latin1', 0, 8) !== magic)
    throw new RangeError('its header is not one of ours');
  const version = bytes.readUInt16LE(8);
  if (version !== FORMAT_VERSION) throw new RangeError(`its format version ${version} is not known to this release`);
  return { id: bytesToUuid(bytes.subarray(16, 32)), salt: Buffer.from(bytes.subarray(32, 64)) };
}

export interface RecordHeader {
  kind: number;
  codec: number;
  counter: number;
  plainLength: number;
  /** Ciphertext and tag. */
  payloadLength: number;
  digest: Buffer;
}

/** Where in a record header what is known only when the record is sealed stands. */
export const RECORD_HEADER_FIELDS = { codecAt: 5, payloadLengthAt: 16, checksumAt: 20 } as const;

/** A header but for RECORD_HEADER_FIELDS, which stay as they are. */
export function writeRecordHeader(
  target: Buffer,
  offset: number,
  header: Pick<RecordHeader, 'kind' | 'counter' | 'plainLength' | 'digest'>,
): void {
  target.write(RECORD_MAGIC, offset, 'latin1');
  target.writeUInt8(header.kind, offset + 4);
  target.writeUInt32LE(header.counter, offset + 8);
  target.writeUInt32LE(header.plainLength, offset + 12);
  header.digest.copy(target, offset + 24);
}

/** @throws RangeError when the bytes are no record header. */
export function readRecordHeader(record: Buffer): RecordHeader {
  if (record.length < RECORD_HEADER_BYTES || record.readUInt32LE(0) !== RECORD_MAGIC_NUMBER)
    throw new RangeError('its record header is damaged');
  return {
    kind: record.readUInt8(4),
    codec: record.readUInt8(5),
    counter: record.readUInt32LE(8),
    plainLength: record.readUInt32LE(12),
    payloadLength: record.readUInt32LE(16),
    digest: record.subarray(24, 56),
  };
}

/** CRC-32 of header (without the checksum) and payload: finds damage without any key. */
export function recordChecksum(record: Buffer, payloadLength: number): number {
  const front = crc32(record.subarray(0, 20));
  return crc32(record.subarray(24, RECORD_HEADER_BYTES + payloadLength), front);
}

export function writeNonce(target: Buffer, offset: number, counter: number): void {
  target.fill(0, offset, offset + 8);
  target.writeUInt32LE(counter, offset + 8);
}

/** What a payload is authenticated with: its kind, length, id, and the object it lies in. */
export function writeAad(
  target: Buffer,
  offset: number,
  record: { kind: number; plainLength: number; digest: Buffer },
  context: Buffer,
): void {
  target.writeUInt32LE(record.kind, offset);
  target.writeUInt32LE(record.plainLength, offset + 4);
  record.digest.copy(target, offset + 8);
  context.copy(target, offset + 40);
}

/** Binds a container to its organization and its place, so that nobody can pass one off for another. */
export function containerContext(organizationId: string, name: string): Buffer {
  return createHash('sha256').update(`vapp-vault\0${organizationId}\0${name}`).digest();
}

/** One line of a pack's trailer and of an index segment. */
export interface PackEntry {
  digest: Buffer;
  /** Of the record header, from the pack's first byte. */
  offset: number;
  /** Header and payload. */
  length: number;
  plainLength: number;
  kind: number;
}

export function encodeEntries(entries: readonly PackEntry[]): Buffer {
  const bytes = Buffer.alloc(entries.length * ENTRY_BYTES);
  entries.forEach((entry, i) => {
    const at = i * ENTRY_BYTES;
    entry.digest.copy(bytes, at);
    bytes.writeUInt32LE(entry.offset, at + 32);
    bytes.writeUInt32LE(entry.length, at + 36);
    bytes.writeUInt32LE(entry.plainLength, at + 40);
    bytes.writeUInt8(entry.kind, at + 44);
  });
  return bytes;
}

/** @param at where the entry begins; the digest is a view of `entries`. */
export function readEntry(entries: Buffer, at: number): PackEntry {
  return {
    digest: entries.subarray(at, at + ID_BYTES),
    offset: entries.readUInt32LE(at + 32),
    length: entries.readUInt32LE(at + 36),
    plainLength: entries.readUInt32LE(at + 40),
    kind: entries.readUInt8(at + 44),
  };
}

/** Of entries as encodeEntries makes them, ID_BYTES each. */
export function digestsOf(entries: Buffer): Buffer {
  const digests = Buffer.allocUnsafe((entries.length / ENTRY_BYTES) * ID_BYTES);
  for (let at = 0, to = 0; at < entries.length; at += ENTRY_BYTES, to += ID_BYTES) entries.copy(digests, to, at, at + ID_BYTES);
  return digests;
}

export interface PackFooter {
  entryCount: number;
  trailerOffset: number;
  packLength: number;
}

/** The footer without its MAC (its last 32 bytes). */
export function encodePackFooter(footer: PackFooter): Buffer {
  const bytes = Buffer.alloc(PACK_FOOTER_BYTES);
  bytes.write(PACK_END_MAGIC, 0, 'latin1');
  bytes.writeUInt32LE(footer.entryCount, 8);
  bytes.writeBigUInt64LE(BigInt(footer.trailerOffset), 16);
  bytes.writeBigUInt64LE(BigInt(footer.packLength), 24);
  return bytes;
}

/** @throws RangeError when it is not the end of a pack of `packLength` bytes. */
export function decodePackFooter(bytes: Buffer, packLength: number): PackFooter {
  if (bytes.length < PACK_FOOTER_BYTES) throw new RangeError('its trailer is cut short');
  const entryCount = bytes.readUInt32LE(8);
  const trailerOffset = Number(bytes.readBigUInt64LE(16));
  const consistent =
    bytes.toString('latin1', 0, 8) === PACK_END_MAGIC &&
    Number(bytes.readBigUInt64LE(24)) === packLength &&
    trailerOffset + entryCount * ENTRY_BYTES + PACK_FOOTER_BYTES === packLength;
  if (!consistent) throw new RangeError('its trailer is missing or damaged');
  return { entryCount, trailerOffset, packLength };
}

export interface IndexRoot {
  capacityBytes: number;
  chunkBytes: number;
  /** ID_BYTES a page; ZERO_ID where the page holds no data. */
  pageIds: Buffer;
}

export function encodeIndexRoot(root: IndexRoot): Buffer {
  const header = Buffer.alloc(INDEX_ROOT_HEADER_BYTES);
  header.write(INDEX_ROOT_MAGIC, 0, 'latin1');
  header.writeUInt32LE(root.chunkBytes, 8);
  header.writeUInt32LE(PAGE_IDS, 12);
  header.writeBigUInt64LE(BigInt(root.capacityBytes), 16);
  header.writeUInt32LE(root.pageIds.length / ID_BYTES, 24);
  return Buffer.concat([header, root.pageIds]);
}

/** @throws RangeError saying what is wrong. */
export function decodeIndexRoot(bytes: Buffer): IndexRoot {
  if (
    bytes.length < INDEX_ROOT_HEADER_BYTES ||
    bytes.toString('latin1', 0, 8) !== INDEX_ROOT_MAGIC ||
    bytes.readUInt32LE(12) !== PAGE_IDS
  ) {
    throw new RangeError('it is not an index root of this format');
  }
  const root = {
    chunkBytes: bytes.readUInt32LE(8),
    capacityBytes: Number(bytes.readBigUInt64LE(16)),
    pageIds: Buffer.from(bytes.subarray(INDEX_ROOT_HEADER_BYTES)),
  };
  if (!Number.isSafeInteger(root.capacityBytes)) throw new RangeError('its disk is larger than any');
  if (root.pageIds.length !== pageCount(root.capacityBytes, root.chunkBytes) * ID_BYTES)
    throw new RangeError('its page list is incomplete');
  return root;
}

export function chunkCount(capacityBytes: number, chunkBytes: number): number {
  return Math.ceil(capacityBytes / chunkBytes);
}

export function pageCount(capacityBytes: number, chunkBytes: number): number {
  return Math.ceil(chunkCount(capacityBytes, chunkBytes) / PAGE_IDS);
}

/** The disk's last chunk may be short. */
export function chunkLength(chunkIndex: number, capacityBytes: number, chunkBytes: number): number {
  return Math.min(chunkBytes, capacityBytes - chunkIndex * chunkBytes);
}

/** Where an organization's objects lie; the id itself may hold characters a store does not take. */
export function organizationFolder(organizationId: string): string {
  return createHash('sha256').update(`vapp-vault organization\0${organizationId}`).digest('hex').slice(0, 32);
}

/** Fanned out by the id's last two digits: its first ones are a clock. */
export function packPath(packId: string): string {
  return `packs/${packId.slice(-2)}/${packId}`;
}

export function uuidToBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

export function bytesToUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
