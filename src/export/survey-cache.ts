import { AllocatedGrains } from '../image/index.js';
import type { DiskIndexRef, DiskReader } from '../repository/index.js';

/** At 20 bytes for 512 MiB, 80 MiB were they all of 62 TiB; of ordinary disks, kilobytes. */
const KEPT = 32;

/** Counts of indexes: who resumes a download asks for the same one again and again. */
export class SurveyCache {
  private readonly kept = new Map<string, AllocatedGrains>();

  /** @throws RepositoryError of the disk's index. */
  async survey(disk: DiskIndexRef, reader: DiskReader, signal: AbortSignal): Promise<AllocatedGrains> {
    const known = this.kept.get(disk.indexId);
    const grains = known?.over(reader) ?? (await AllocatedGrains.survey(reader, signal));
    this.kept.delete(disk.indexId);
    this.kept.set(disk.indexId, grains.over(NO_READER));
    const oldest = this.kept.keys().next();
    if (this.kept.size > KEPT && !oldest.done) this.kept.delete(oldest.value);
    return grains;
  }
}

/** Keeps a reader's pages from being kept with the counts. */
const NO_READER: DiskReader = {
  capacityBytes: 0,
  chunkBytes: 1,
  dataChunks: () => {
    throw new Error('Counts that are kept have no reader');
  },
  read: () => Promise.reject(new Error('Counts that are kept have no reader')),
};
