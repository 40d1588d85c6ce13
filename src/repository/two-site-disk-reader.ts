import type { Repository } from './repository.js';
import type { DiskIndexRef, DiskReader } from './types.js';

export interface Sites {
  /** Asks one site, and the other when the first is out or damaged. */
  either<T>(ask: (repository: Repository) => Promise<T>, signal?: AbortSignal): Promise<T>;
  elsewhere(error: unknown): boolean;
}

/** A disk read from either site: each read falls over by itself, and where each has other chunks damaged, chunk by chunk. */
export class TwoSiteDiskReader implements DiskReader {
  private readonly readers = new Map<Repository, Promise<DiskReader>>();

  constructor(
    private readonly disk: DiskIndexRef,
    private readonly openAt: (repository: Repository, signal?: AbortSignal) => Promise<DiskReader>,
    private readonly sites: Sites,
  ) {}

  get capacityBytes(): number {
    return this.disk.capacityBytes;
  }

  get chunkBytes(): number {
    return this.disk.chunkBytes;
  }

  /** Its index can be read at one of the sites. */
  async open(signal?: AbortSignal): Promise<void> {
    await this.sites.either((repository) => this.reader(repository, signal), signal);
  }

  async *dataChunks(signal?: AbortSignal, firstChunkIndex = 0): AsyncGenerator<number[]> {
    let last = firstChunkIndex - 1;
    for (;;) {
      const next = await this.sites.either((repository) => this.chunksAfter(repository, last, signal), signal);
      if (!next) return;
      yield* next.first;
      last = next.first.at(-1)?.at(-1) ?? last;
      try {
        for await (const indices of next.rest) {
          yield indices;
          last = indices.at(-1) ?? last;
        }
        return;
      } catch (error) {
        if (!this.sites.elsewhere(error)) throw error;
      }
    }
  }

  async read(memory: Buffer, chunks: readonly { chunkIndex: number; offset: number }[], signal?: AbortSignal): Promise<void> {
    const readAll = (wanted: readonly { chunkIndex: number; offset: number }[]) =>
      this.sites.either(async (repository) => (await this.reader(repository, signal)).read(memory, wanted, signal), signal);
    try {
      await readAll(chunks);
    } catch (error) {
      if (chunks.length < 2 || !this.sites.elsewhere(error)) throw error;
      for (const chunk of chunks) await readAll([chunk]);
    }
  }

  /** The pages after a chunk, the first of them read already; undefined when there are none. */
  private async chunksAfter(
    repository: Repository,
    last: number,
    signal?: AbortSignal,
  ): Promise<{ first: number[][]; rest: AsyncIterable<number[]> } | undefined> {
    const rest = (await this.reader(repository, signal)).dataChunks(signal, last + 1)[Symbol.asyncIterator]();
    for (let page = await rest.next(); !page.done; page = await rest.next()) {
      const left = page.value.filter((index) => index > last);
      if (left.length > 0) return { first: [left], rest: { [Symbol.asyncIterator]: () => rest } };
    }
    return undefined;
  }

  private reader(repository: Repository, signal?: AbortSignal): Promise<DiskReader> {
    const known = this.readers.get(repository);
    if (known) return known;
    const opening = this.openAt(repository, signal);
    this.readers.set(repository, opening);
    opening.catch(() => this.readers.delete(repository));
    return opening;
  }
}
