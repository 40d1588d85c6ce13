import { throwIfAborted } from '../common/index.js';
import { isRepositoryError } from './errors.js';
import { ENTRY_BYTES, ID_BYTES, RECORD_KINDS, type RecordKind } from './format.js';
import type { Organization } from './organization.js';
import { listPacks, readSegments, type ListedPack } from './pack-listing.js';
import { readPackTrailer } from './pack-trailer.js';
import type { LocatedRecord } from './record-reader.js';

const BATCH_BYTES = 4 * 1024 * 1024;
const KIND_NAMES = new Map(Object.entries(RECORD_KINDS).map(([name, kind]) => [kind as number, name as RecordKind]));

export interface PackFindings {
  packs: number;
  records: number;
  bytesRead: number;
  /** Objects that are damaged in themselves: `packs/…`, `index/…`, with what is wrong. */
  objects: { name: string; reason: string }[];
  /** Records that did not read, by id in hexadecimal. They are noted in bad/. */
  damaged: Map<string, string>;
}

export interface PackVerification {
  /** Which share of the records is read: 0 none, 1 all. */
  dataShare: number;
  signal: AbortSignal | undefined;
  onProgress: (done: number, total: number) => void;
}

/** Trailers of all packs, all segments, and as many records as wanted: tag, decompression and id of each. */
export async function verifyPacks(organization: Organization, options: PackVerification): Promise<PackFindings> {
  const { signal } = options;
  const findings: PackFindings = { packs: 0, records: 0, bytesRead: 0, objects: [], damaged: new Map() };
  const listed = await listPacks(organization, signal);
  const missing = await verifySegments(organization, listed, findings, signal);
  for (const packId of missing) {
    findings.objects.push({ name: packName(packId), reason: 'it is missing' });
    await organization.index.markCut(packId, 0);
  }
  for (const [packId, pack] of listed) {
    throwIfAborted(signal);
    const entries = await trailer(organization, packId, pack, findings, signal);
    if (entries && options.dataShare > 0) await verifyRecords(organization, packId, entries, findings, options);
    findings.packs += 1;
    options.onProgress(findings.packs, listed.size);
  }
  return findings;
}

/** @returns packs that segments name and nobody has. */
async function verifySegments(
  organization: Organization,
  listed: ReadonlyMap<string, ListedPack>,
  findings: PackFindings,
  signal?: AbortSignal,
): Promise<Set<string>> {
  const missing = new Set<string>();
  for await (const { name, packs } of readSegments(organization, signal)) {
    if (packs === undefined)
      findings.objects.push({
        name: name.slice(organization.place.prefix.length),
        reason: 'the segment is damaged; trailers say the same',
      });
    for (const { packId } of packs ?? []) if (!listed.has(packId)) missing.add(packId);
  }
  // A pack that became durable after the listing.
  for (const packId of missing)
    if ((await organization.store.size(organization.place.prefix + packName(packId), signal)) !== undefined) missing.delete(packId);
  return missing;
}

async function trailer(organization: Organization, packId: string, pack: ListedPack, findings: PackFindings, signal?: AbortSignal) {
  const { place, store } = organization;
  try {
    return await readPackTrailer({ prefix: place.prefix, keys: place.keys, packId, sizeBytes: pack.sizeBytes }, store, signal);
  } catch (error) {
    if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return undefined;
    if (!(error instanceof RangeError) && !isRepositoryError(error, 'BLOB_TRUNCATED')) throw error;
    findings.objects.push({ name: packName(packId), reason: error.message });
  }
  // What a segment says of it, even so: most of its records may be well.
  for await (const segment of readSegments(organization, signal)) {
    const named = segment.packs?.find((candidate) => candidate.packId === packId);
    if (named) return named.entries;
  }
  return undefined;
}

async function verifyRecords(
  organization: Organization,
  packId: string,
  entries: Buffer,
  findings: PackFindings,
  options: PackVerification,
): Promise<void> {
  for (const { kind, records, bytes } of batches(packId, entries)) {
    if (options.dataShare < 1 && Math.random() >= options.dataShare) continue;
    const failures = await organization.reader.readLocated(kind, records, Buffer.allocUnsafeSlow(bytes), options.signal);
    await organization.reader.remember(failures);
    for (const { record, reason } of failures) findings.damaged.set(record.digest.toString('hex'), reason);
    findings.records += records.length;
    findings.bytesRead += records.reduce((sum, record) => sum + record.location.length, 0);
  }
}

interface Batch {
  kind: RecordKind;
  records: LocatedRecord[];
  bytes: number;
}

function batches(packId: string, entries: Buffer): Batch[] {
  const result: Batch[] = [];
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    const kind = KIND_NAMES.get(entries.readUInt8(at + 44));
    const plainLength = entries.readUInt32LE(at + 40);
    if (kind === undefined) continue;
    let batch = result.at(-1);
    if (batch?.kind !== kind || batch.bytes + plainLength > BATCH_BYTES) {
      batch = { kind, records: [], bytes: 0 };
      result.push(batch);
    }
    const digest = Buffer.from(entries.subarray(at, at + ID_BYTES));
    const location = { packId, offset: entries.readUInt32LE(at + 32), length: entries.readUInt32LE(at + 36), plainLength };
    batch.records.push({ digest, targetOffset: batch.bytes, plainLength, what: `record ${digest.toString('hex')}`, location });
    batch.bytes += plainLength;
  }
  return result;
}

function packName(packId: string): string {
  return `packs/${packId.slice(-2)}/${packId}`;
}
