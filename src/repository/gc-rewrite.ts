import { isDamage, isRepositoryError } from './errors.js';
import { RECORD_KIND_NAMES } from './format.js';
import { livingEntries } from './gc-survey.js';
import type { LiveSet } from './live-set.js';
import type { Organization } from './organization.js';
import { PackStream } from './pack-stream.js';
import { readPackTrailer } from './pack-trailer.js';
import { REWRITING_LEAVES_BYTES } from './spare-room.js';

const BATCH_BYTES = 4 * 1024 * 1024;

export interface Rewriting {
  /** Packs whose living records now lie elsewhere. One that does not read well is left as it is. */
  rewritten: string[];
  /** Packs that are left to a later run: the store has no room for copies of theirs. */
  waitingForRoom: number;
}

/**
 * Copies the living records of sparse packs into new ones, each sealed anew: key and associated data
 * are the container's. The new packs and their segments are durable when it resolves; only then may
 * the old ones be condemned.
 */
export async function rewritePacks(
  organization: Organization,
  packs: readonly { packId: string; sizeBytes: number }[],
  live: LiveSet,
  options: { packTargetBytes: number; onDamage: (packId: string, reason: string) => Promise<void>; beforePack: () => Promise<void> },
  signal?: AbortSignal,
): Promise<Rewriting> {
  const { place, index, store, lane } = organization;
  const { packTargetBytes } = options;
  const underWay = new RecordsUnderWay();
  const onIndexed = (entries: readonly { digest: Buffer }[]) => underWay.remove(entries);
  const stream = new PackStream({ place, index, store, lane, packTargetBytes, leaveFreeBytes: REWRITING_LEAVES_BYTES, onIndexed });
  const copied: string[] = [];
  let damaged = 0;
  try {
    for (const { packId, sizeBytes } of packs) {
      await options.beforePack();
      try {
        await copyLiving(organization, { packId, sizeBytes }, live, { stream, underWay }, signal);
        copied.push(packId);
      } catch (error) {
        if (!(error instanceof RangeError) && !isDamage(error)) throw error;
        damaged += 1;
        await options.onDamage(packId, error.message);
      }
    }
    await stream.flush(signal);
    return { rewritten: copied, waitingForRoom: 0 };
  } catch (error) {
    await stream.abandon(error);
    if (!isRepositoryError(error, 'REPOSITORY_FULL')) throw error;
    const left = underWay.packIds();
    const rewritten = copied.filter((packId) => !left.has(packId));
    return { rewritten, waitingForRoom: packs.length - rewritten.length - damaged };
  }
}

/** From which pack each record was copied that is not yet durable, with a segment, in its new one. Those of a few packs at most. */
class RecordsUnderWay {
  private readonly sources = new Map<string, string[]>();

  add(packId: string, records: readonly { digest: Buffer }[]): void {
    for (const { digest } of records) {
      const key = digest.toString('hex');
      this.sources.set(key, [...(this.sources.get(key) ?? []), packId]);
    }
  }

  remove(records: readonly { digest: Buffer }[]): void {
    for (const { digest } of records) this.sources.delete(digest.toString('hex'));
  }

  packIds(): Set<string> {
    return new Set([...this.sources.values()].flat());
  }
}

async function copyLiving(
  organization: Organization,
  pack: { packId: string; sizeBytes: number },
  live: LiveSet,
  { stream, underWay }: { stream: PackStream; underWay: RecordsUnderWay },
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
    underWay.add(pack.packId, records);
    await stream.append(name, memory, records, signal);
    first = end;
  }
}
