import { randomBytes } from 'node:crypto';
import { newId } from '../common/index.js';
import { CODEC_ZSTD, UNSEALED, UNSEAL_FAILURES } from '../native/index.js';
import { sealedBound, type CryptoLane } from './crypto-lane.js';
import {
  BLOB_MAGIC,
  CONTAINER_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
  SALT_BYTES,
  TAG_BYTES,
  containerContext,
  decodeContainerHeader,
  encodeContainerHeader,
  readRecordHeader,
  type RecordKind,
} from './format.js';
import type { OrganizationKeys } from './keys.js';

/** More than any real one; a header that claims more is damaged and must not make us allocate it. */
const MAXIMUM_PLAIN_BYTES = 256 * 1024 * 1024;

interface BlobPlace {
  organizationId: string;
  /** Below the organization's folder; authenticated. */
  name: string;
  kind: RecordKind;
}

/** A container with one record: manifests and index segments. */
export async function sealBlob(lane: CryptoLane, keys: OrganizationKeys, place: BlobPlace, plaintext: Buffer): Promise<Buffer> {
  const salt = randomBytes(SALT_BYTES);
  const header = encodeContainerHeader(BLOB_MAGIC, { id: newId(), salt });
  const record = { offset: 0, length: plaintext.length, digest: keys.digest(place.kind, plaintext) };
  const buffer = Buffer.allocUnsafeSlow(header.length + sealedBound([record]));
  const cursor = Uint32Array.of(header.copy(buffer));
  const target = { key: keys.sealingKey(salt), context: containerContext(place.organizationId, place.name), firstCounter: 0 };
  await lane.seal(place.kind, plaintext, [record], target, { buffer, cursor });
  return buffer.subarray(0, cursor[0]);
}

/** @throws RangeError saying what is wrong with the bytes. */
export async function openBlob(lane: CryptoLane, keys: OrganizationKeys, place: BlobPlace, bytes: Buffer): Promise<Buffer> {
  const { salt } = decodeContainerHeader(BLOB_MAGIC, bytes);
  const record = readRecordHeader(bytes.subarray(CONTAINER_HEADER_BYTES));
  const complete = CONTAINER_HEADER_BYTES + RECORD_HEADER_BYTES + record.payloadLength === bytes.length;
  if (record.codec > CODEC_ZSTD || record.payloadLength < TAG_BYTES) throw new RangeError('its record header is damaged');
  if (record.kind !== RECORD_KINDS[place.kind] || !complete || record.plainLength === 0 || record.plainLength > MAXIMUM_PLAIN_BYTES) {
    throw new RangeError('its record header does not fit its length');
  }
  const plaintext = Buffer.allocUnsafeSlow(record.plainLength);
  const container = { sealingKey: keys.sealingKey(salt), context: containerContext(place.organizationId, place.name) };
  const payload = { ...record, container, sourceOffset: CONTAINER_HEADER_BYTES + RECORD_HEADER_BYTES, targetOffset: 0 };
  const [status] = await lane.unseal(place.kind, bytes, [payload], keys.digestKey(place.kind), plaintext);
  if (status !== UNSEALED) throw new RangeError(UNSEAL_FAILURES[status as number]);
  return plaintext;
}
