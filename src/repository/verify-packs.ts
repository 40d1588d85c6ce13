import { Semaphore, throughPlaces, throwIfAborted } from '../common/index.js';
import { isCutShort, isRepositoryError } from './errors.js';
import { ENTRY_BYTES, RECORD_KIND_NAMES, packPath, readEntry, type RecordKind } from './format.js';
import type { Organization } from './organization.js';
import { listPacks, readSegments, type ListedPack } from './pack-listing.js';
import { readPackTrailer } from './pack-trailer.js';
import type { LocatedRecord } from './record-reader.js';

/** Of plaintext; what that is compressed to is mostly one read and one native batch. */
const BATCH_BYTES = 16 * 1024 * 1024;
/** The next are read while some are checked. */
const BATCHES_AT_ONCE = 4;

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
  /** Other packs are passed over; all without it. @param name the whole object name. */
  choose?: ((name: string) => boolean) | undefined;
  /** A chosen pack was looked through; names ascend. */
  onPack?: ((name: string) => Promise<void>) | undefined;
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
    findings.objects.push({ name: packPath(packId), reason: 'it is missing' });
    await organization.index.markCut(packId, 0);
  }
  await readRecords(organization, listed, findings, options);
  return findings;
}

/** A pack whose batches are being read. */
interface PackUnderWay {
  name: string;
  batchesLeft: number;
}

/** Pack after pack without a pause between two: the next one's trailer is read while the last batches of this one are checked. */
async function readRecords(
  organization: Organization,
  listed: ReadonlyMap<string, ListedPack>,
  findings: PackFindings,
  options: PackVerification,
): Promise<void> {
  const underWay: PackUnderWay[] = [];
  const finishing = new Semaphore(1);
  // In the order of their names, though a later one may be through before: a rolling verification goes on after the last it was told.
  const finish = () =>
    finishing.run(async () => {
      for (let pack = underWay[0]; pack?.batchesLeft === 0; pack = underWay[0]) {
        underWay.shift();
        findings.packs += 1;
        await options.onPack?.(pack.name);
        options.onProgress(findings.packs, listed.size);
      }
    });

  const places = Array.from({ length: BATCHES_AT_ONCE }, (_, i) => i);
  const signal = options.signal ?? new AbortController().signal;
  await throughPlaces(batchesOf(), places, signal, async ({ batch, pack }, _place, either) => {
    await verifyBatch(organization, batch, findings, either);
    pack.batchesLeft -= 1;
    await finish();
  });

  async function* batchesOf(): AsyncGenerator<{ batch: Batch; pack: PackUnderWay }> {
    for (const [packId, listedPack] of listed) {
      throwIfAborted(signal);
      const name = organization.place.prefix + packPath(packId);
      if (options.choose && !options.choose(name)) continue;
      const entries = await trailer(organization, packId, listedPack, findings, signal);
      const chosen = entries && options.dataShare > 0 ? batches(packId, entries).filter(() => Math.random() < options.dataShare) : [];
      const pack = { name, batchesLeft: chosen.length };
      underWay.push(pack);
      if (chosen.length === 0) await finish();
      for (const batch of chosen) yield { batch, pack };
    }
  }
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
    if ((await organization.store.size(organization.place.prefix + packPath(packId), signal)) !== undefined) missing.delete(packId);
  return missing;
}

async function trailer(organization: Organization, packId: string, pack: ListedPack, findings: PackFindings, signal?: AbortSignal) {
  const { place, store } = organization;
  try {
    return await readPackTrailer({ prefix: place.prefix, keys: place.keys, packId, sizeBytes: pack.sizeBytes }, store, signal);
  } catch (error) {
    if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return undefined;
    if (!(error instanceof RangeError) && !isCutShort(error)) throw error;
    findings.objects.push({ name: packPath(packId), reason: error.message });
  }
  // What a segment says of it, even so: most of its records may be well.
  for await (const segment of readSegments(organization, signal)) {
    const named = segment.packs?.find((candidate) => candidate.packId === packId);
    if (named) return named.entries;
  }
  return undefined;
}

async function verifyBatch(
  organization: Organization,
  { kind, records }: Batch,
  findings: PackFindings,
  signal: AbortSignal,
): Promise<void> {
  const failures = await organization.reader.readLocated(kind, records, undefined, signal);
  await organization.reader.remember(failures);
  for (const { record, reason } of failures) findings.damaged.set(record.digest.toString('hex'), reason);
  findings.records += records.length;
  findings.bytesRead += records.reduce((sum, record) => sum + record.location.length, 0);
}

interface Batch {
  kind: RecordKind;
  records: LocatedRecord[];
  bytes: number;
}

function batches(packId: string, entries: Buffer): Batch[] {
  const result: Batch[] = [];
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    const { offset, length, plainLength, ...entry } = readEntry(entries, at);
    const kind = RECORD_KIND_NAMES.get(entry.kind);
    if (kind === undefined) continue;
    let batch = result.at(-1);
    if (batch?.kind !== kind || batch.bytes + plainLength > BATCH_BYTES) {
      batch = { kind, records: [], bytes: 0 };
      result.push(batch);
    }
    const digest = Buffer.from(entry.digest);
    const location = { packId, offset, length, plainLength };
    batch.records.push({ digest, targetOffset: batch.bytes, plainLength, what: `record ${digest.toString('hex')}`, location });
    batch.bytes += plainLength;
  }
  return result;
}
