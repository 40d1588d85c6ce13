import { createIdFilter, type IdFilter } from '../native/index.js';

/**
 * The ids that restore points refer to, as a Bloom filter: 2 bytes an id however often it is referred to, 512 MiB at most. It never
 * forgets an id, so nothing alive is ever taken for dead; what it keeps by mistake (one dead record in some 300) differs from run to
 * run by its random seed, so it is collected by a later one.
 */
export class LiveSet {
  private readonly filter: IdFilter;

  /** @param expectedIds how many different ones there may be. */
  constructor(expectedIds: number) {
    this.filter = createIdFilter(expectedIds);
  }

  get memoryBytes(): number {
    return this.filter.memoryBytes;
  }

  /** @param ids ID_BYTES each; zero ids (no data) are passed over. @returns how many were not zero. */
  add(ids: Buffer): number {
    return this.filter.add(ids);
  }

  /** Pages of ids, on a native thread: `ids` may not be changed before. */
  addBatch(ids: Buffer): Promise<number> {
    return this.filter.addBatch(ids);
  }

  has(id: Buffer): boolean {
    return this.filter.has(id)[0] === 1;
  }

  /** @param ids ID_BYTES each. @returns 1 or 0 for each. */
  hasEach(ids: Buffer): Uint8Array {
    return this.filter.has(ids);
  }
}
