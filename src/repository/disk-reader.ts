import { invalidArgument } from './errors.js';
import { ID_BYTES, PAGE_IDS, ZERO_ID, chunkCount, chunkLength, type IndexRoot } from './format.js';
import type { RecordReader, WantedRecord } from './record-reader.js';
import type { DiskReader } from './types.js';

const CACHED_PAGES = 16;

export class RepositoryDiskReader implements DiskReader {
  private readonly pages = new Map<number, Promise<Buffer>>();

  constructor(
    private readonly reader: RecordReader,
    private readonly diskId: string,
    private readonly root: IndexRoot,
  ) {}

  get capacityBytes(): number {
    return this.root.capacityBytes;
  }

  get chunkBytes(): number {
    return this.root.chunkBytes;
  }

  async *dataChunks(signal?: AbortSignal, firstChunkIndex = 0): AsyncGenerator<number[]> {
    const pages = this.root.pageIds.length / ID_BYTES;
    for (let pageIndex = Math.floor(firstChunkIndex / PAGE_IDS); pageIndex < pages; pageIndex += 1) {
      const page = await this.page(pageIndex, signal);
      if (!page) continue;
      const indices: number[] = [];
      for (let i = 0; i < PAGE_IDS; i += 1) {
        if (ZERO_ID.compare(page, i * ID_BYTES, (i + 1) * ID_BYTES) !== 0) indices.push(pageIndex * PAGE_IDS + i);
      }
      if (indices.length > 0) yield indices;
    }
  }

  async read(memory: Buffer, chunks: readonly { chunkIndex: number; offset: number }[], signal?: AbortSignal): Promise<void> {
    const wanted: WantedRecord[] = [];
    const total = chunkCount(this.capacityBytes, this.chunkBytes);
    for (const { chunkIndex, offset } of chunks) {
      if (!Number.isSafeInteger(chunkIndex) || chunkIndex < 0 || chunkIndex >= total) {
        throw invalidArgument(`Disk "${this.diskId}" has no chunk ${chunkIndex}`);
      }
      const length = chunkLength(chunkIndex, this.capacityBytes, this.chunkBytes);
      if (!Number.isSafeInteger(offset) || offset < 0 || offset + length > memory.length) {
        throw invalidArgument(`Chunk ${chunkIndex} of disk "${this.diskId}" does not fit the memory it is wanted in`);
      }
      const page = await this.page(Math.floor(chunkIndex / PAGE_IDS), signal);
      const at = (chunkIndex % PAGE_IDS) * ID_BYTES;
      const digest = page?.subarray(at, at + ID_BYTES);
      if (!digest || digest.equals(ZERO_ID)) memory.fill(0, offset, offset + length);
      else wanted.push({ digest, targetOffset: offset, plainLength: length, what: `chunk ${chunkIndex} of disk "${this.diskId}"` });
    }
    if (wanted.length > 0) await this.reader.read('data', wanted, memory, signal);
  }

  /** @returns undefined for a page without data. */
  private page(pageIndex: number, signal?: AbortSignal): Promise<Buffer> | undefined {
    const held = this.pages.get(pageIndex);
    if (held) {
      this.pages.delete(pageIndex);
      this.pages.set(pageIndex, held);
      return held;
    }
    const id = this.root.pageIds.subarray(pageIndex * ID_BYTES, (pageIndex + 1) * ID_BYTES);
    if (id.equals(ZERO_ID)) return undefined;
    const oldest = this.pages.keys().next();
    if (this.pages.size >= CACHED_PAGES && !oldest.done) this.pages.delete(oldest.value);
    const loading = this.reader.readOne('page', id, `page ${pageIndex} of the index of disk "${this.diskId}"`, signal);
    this.pages.set(pageIndex, loading);
    loading.catch(() => this.pages.delete(pageIndex));
    return loading;
  }
}
