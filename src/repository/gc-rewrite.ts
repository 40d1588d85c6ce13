import { isDamage } from './errors.js';
import { RECORD_KIND_NAMES } from './format.js';
import { livingEntries } from './gc-survey.js';
import type { LiveSet } from './live-set.js';
import type { Organization } from './organization.js';
import { PackStream } from './pack-stream.js';
import { readPackTrailer } from './pack-trailer.js';

const BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Copies the living records of sparse packs into new ones, each sealed anew: key and associated data
 * are the container's. The new packs and their segments are durable when it resolves; only then may
 * the old ones be condemned.
 * @returns the packs whose living records now lie elsewhere; one that does not read well is left as it is.
 */
export async function rewritePacks(
  organization: Organization,
  packs: readonly { packId: string; sizeBytes: number }[],
  live: LiveSet,
  options: { packTargetBytes: number; onDamage: (packId: string, reason: string) => void; beforePack: () => Promise<void> },
  signal?: AbortSignal,
): Promise<string[]> {
  const { place, index, store, lane } = organization;
  const { packTargetBytes } = options;
  const stream = new PackStream({ place, index, store, lane, packTargetBytes, leaveFreeBytes: 0, onIndexed: () => undefined });
  const copied: string[] = [];
  try {
    for (const { packId, sizeBytes } of packs) {
      await options.beforePack();
      try {
        await copyLiving(organization, { packId, sizeBytes }, live, stream, signal);
        copied.push(packId);
      } catch (error) {
        if (!(error instanceof RangeError) && !isDamage(error)) throw error;
        options.onDamage(packId, error.message);
      }
    }
    await stream.flush(signal);
    return copied;
  } catch (error) {
    await stream.abandon(error);
    throw error;
  }
}

async function copyLiving(
  organization: Organization,
  pack: { packId: string; sizeBytes: number },
  live: LiveSet,
  stream: PackStream,
  signal?: AbortSignal,
): Promise<void> {
  const { place, store, reader } = organization;
  const entries = await readPackTrailer({ prefix: place.prefix, keys: place.keys, ...pack }, store, signal);
  const living = livingEntries(organization, { packId: pack.packId, entries }, live);
  for (let first = 0; first < living.length; ) {
    const { kind } = living[first] as (typeof living)[number];
    let end = first;
    let bytes = 0;
    for (; end < living.length && living[end]?.kind === kind; end += 1) {
      const { plainLength } = living[end] as (typeof living)[number];
      if (end > first && bytes + plainLength > BATCH_BYTES) break;
      bytes += plainLength;
    }
    const name = RECORD_KIND_NAMES.get(kind);
    if (name === undefined) throw new RangeError(`it holds a record of the unknown kind ${kind}`);
    const memory = Buffer.allocUnsafeSlow(bytes);
    let offset = 0;
    const records = living.slice(first, end).map(({ digest, plainLength }) => {
      offset += plainLength;
      return { digest, offset: offset - plainLength, length: plainLength };
    });
    const wanted = records.map((record) => ({
      digest: record.digest,
      targetOffset: record.offset,
      plainLength: record.length,
      what: `record ${record.digest.toString('hex')}`,
    }));
    await reader.read(name, wanted, memory, signal);
    await stream.append(name, memory, records, signal);
    first = end;
  }
}
