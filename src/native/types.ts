/**
 * What the Node-API addon offers. All offsets are byte offsets into a buffer; all work runs on
 * native threads and never on the event loop.
 */
export interface SharedMemory {
  /** An anonymous memfd; a child process that inherits it maps the same pages. Closed by `close`. */
  readonly fd: number;
  /** The mapping. Using it after `close` is an error the addon detects (detached buffer). */
  readonly buffer: Buffer;
  close(): void;
}

/** One piece of plaintext in a buffer. */
export interface Span {
  offset: number;
  length: number;
}

export const DIGEST_BYTES = 32;

export interface Inspection {
  /** All bytes are zero: never stored, only recorded. */
  zero: boolean;
  /** HMAC-SHA256(organization's digest key, plaintext); undefined when zero. */
  digest: Buffer | undefined;
}

/** One row a span: `zero[i]` is 1 or 0; the digest row of a zero span is all zeros. */
export interface InspectionBatch {
  zero: Uint8Array;
  /** DIGEST_BYTES a span. */
  digests: Uint8Array;
}

export interface SealBatch {
  memory: Uint8Array;
  spans: readonly Span[];
  /** AES-256 key, 32 bytes. */
  key: Uint8Array;
  /** 12 bytes a span; never twice the same with one key. */
  nonces: Uint8Array;
  /** Rows of equal width, one a span. */
  aads: Uint8Array;
  /** zstd level 1 to 19. */
  level: number;
  /** Rows of equal width, one a span: headers but for `fields`. */
  headers: Uint8Array;
  fields: HeaderFields;
  output: Uint8Array;
  /** One number: where the next record of `output` begins. Nobody else may change it while a batch is under way. */
  cursor: Uint32Array;
}

/** Offsets in a header of what only sealing knows; numbers are little-endian. */
export interface HeaderFields {
  /** One byte. */
  codecAt: number;
  /** Four bytes: ciphertext and tag. */
  payloadLengthAt: number;
  /** Four bytes: CRC-32 (zlib) of the whole record but these. */
  checksumAt: number;
}

export const CODEC_RAW = 0;
export const CODEC_ZSTD = 1;

export interface SealedBatch {
  /** Of each record in the output. */
  offsets: Uint32Array;
  /** Header and payload; the payload ends with the 16-byte tag. */
  lengths: Uint32Array;
}

export interface UnsealBatch {
  source: Uint8Array;
  /** A payload is ciphertext and tag, without the caller's header. */
  records: readonly { sourceOffset: number; payloadLength: number; targetOffset: number; plainLength: number }[];
  codecs: Uint8Array;
  /** AES-256 keys, 32 bytes a record: records of many containers are one batch. */
  keys: Uint8Array;
  nonces: Uint8Array;
  aads: Uint8Array;
  digestKey: Uint8Array;
  /** Expected digests, DIGEST_BYTES a record. */
  digests: Uint8Array;
  /** Undefined: the records are only checked. */
  target: Uint8Array | undefined;
}

export const UNSEALED = 0;
/** Why a record failed, by status number. */
export const UNSEAL_FAILURES: readonly string[] = ['', 'its authentication tag is wrong', 'it does not decompress', 'its digest is wrong'];

/**
 * Digest to location for every chunk of one organization, 48 bytes a slot in native memory; 35 to 70 % of the slots are used.
 * Batches are rows: 32 bytes a digest; four numbers a location (pack number, offset, length, plain length).
 */
export interface ChunkTable {
  readonly size: number;
  /** Of the largest table that its limit allows. */
  readonly largestBytes: number;
  /** How many that one can hold. */
  readonly mostEntries: number;
  readonly memoryBytes: number;
  /** A digest already there keeps its location. @returns how many were added. */
  insert(digests: Uint8Array, locations: Uint32Array): number;
  /** The same for rows of 48 bytes as packs list them: digest, offset, length, plain length (little-endian), 4 more. */
  insertEntries(packNumber: number, entries: Uint8Array): number;
  /** A length of 0 means unknown. */
  lookup(digests: Uint8Array): Uint32Array;
  remove(digests: Uint8Array): number;
  /** Removes the entries of all packs whose number has a byte above 0 there; walks the whole table. */
  removePacks(gone: Uint8Array): number;
  /** Removes what ends past `fromByte` in one pack; walks the whole table. */
  removeTail(packNumber: number, fromByte: number): number;
}

/** A Bloom filter over ids of 32 bytes, 2 bytes for each that was expected, up to 512 MiB of native memory. */
export interface IdFilter {
  readonly memoryBytes: number;
  /** @param ids rows of 32 bytes; zero ones are passed over. @returns how many were not zero. */
  add(ids: Uint8Array): number;
  /** The same on a native thread, beside others; `ids` may not be changed before. */
  addBatch(ids: Uint8Array): Promise<number>;
  /** @returns 1 for each id that was added, and for one in some 300 others. */
  has(ids: Uint8Array): Uint8Array;
}
