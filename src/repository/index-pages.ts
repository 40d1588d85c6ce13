import { Semaphore } from '../common/index.js';
import { ID_BYTES, PAGE_BYTES, PAGE_IDS, ZERO_ID, chunkCount, encodeIndexRoot, pageCount } from './format.js';
import type { RepositorySession } from './session.js';

/** 32 pages of 128 KiB: 4 MiB a disk, and a window of 32 GiB in which chunks may come in any order. */
const PAGES_IN_MEMORY = 32;
const EMPTY_PAGE = Buffer.alloc(PAGE_BYTES);

export interface ChunkId {
  chunkIndex: number;
  /** Undefined: all zero. */
  digest: Buffer | undefined;
}

export interface PagedDisk {
  diskId: string;
  capacityBytes: number;
  chunkBytes: number;
  /** Of the previous index; pages nobody touches are shared with it. */
  basePageIds: Buffer | undefined;
}

/**
 * The index of one disk while it is written. Memory is bounded: only the pages touched last are
 * held; an older one is stored as it is, and should a chunk of it come after all, it is read back
 * and stored again. What grows with the disk is the list of page ids, 32 bytes a GiB.
 */
export class IndexPages {
  private readonly pageIds: Buffer;
  /** In order of use, the oldest first. */
  private readonly loaded = new Map<number, Buffer>();
  /** Chunks to be zeroed in pages of the base that are not loaded: one bit a chunk. */
  private readonly zeroed = new Map<number, Uint8Array>();
  private readonly changing = new Semaphore(1);

  constructor(
    private readonly session: RepositorySession,
    private readonly disk: PagedDisk,
  ) {
    this.pageIds = Buffer.alloc(pageCount(disk.capacityBytes, disk.chunkBytes) * ID_BYTES);
    disk.basePageIds?.copy(this.pageIds);
  }

  assign(ids: readonly ChunkId[], signal?: AbortSignal): Promise<void> {
    return this.changing.run(async () => {
      for (const { chunkIndex, digest } of ids) {
        const page = await this.load(Math.floor(chunkIndex / PAGE_IDS), signal);
        (digest ?? ZERO_ID).copy(page, (chunkIndex % PAGE_IDS) * ID_BYTES);
      }
    }, signal);
  }

  /** Without a base every chunk is zero until it is written, so there is nothing to record. */
  zero(firstChunkIndex: number, count: number): void {
    if (!this.disk.basePageIds) return;
    const total = chunkCount(this.disk.capacityBytes, this.disk.chunkBytes);
    const end = firstChunkIndex + count;
    for (let start = firstChunkIndex; start < end; ) {
      const pageIndex = Math.floor(start / PAGE_IDS);
      const pageStart = pageIndex * PAGE_IDS;
      const stop = Math.min(end, pageStart + PAGE_IDS);
      if (start === pageStart && stop === Math.min(pageStart + PAGE_IDS, total)) {
        this.loaded.delete(pageIndex);
        this.zeroed.delete(pageIndex);
        ZERO_ID.copy(this.pageIds, pageIndex * ID_BYTES);
      } else {
        this.zeroPart(pageIndex, start - pageStart, stop - pageStart);
      }
      start = stop;
    }
  }

  /** Stores what is still in memory, then the root. @returns the root's id. */
  finish(signal?: AbortSignal): Promise<Buffer> {
    return this.changing.run(async () => {
      for (const pageIndex of [...this.zeroed.keys()]) await this.load(pageIndex, signal);
      for (const pageIndex of [...this.loaded.keys()]) await this.unload(pageIndex, signal);
      const { capacityBytes, chunkBytes } = this.disk;
      return this.session.storeMetadata('root', encodeIndexRoot({ capacityBytes, chunkBytes, pageIds: this.pageIds }), signal);
    }, signal);
  }

  private zeroPart(pageIndex: number, from: number, to: number): void {
    const page = this.loaded.get(pageIndex);
    if (page) {
      page.fill(0, from * ID_BYTES, to * ID_BYTES);
      return;
    }
    const bits = this.zeroed.get(pageIndex) ?? new Uint8Array(PAGE_IDS / 8);
    this.zeroed.set(pageIndex, bits);
    for (let i = from; i < to; i += 1) bits[Math.floor(i / 8)] = (bits[Math.floor(i / 8)] as number) | (1 << (i % 8));
  }

  private async load(pageIndex: number, signal?: AbortSignal): Promise<Buffer> {
    const held = this.loaded.get(pageIndex);
    if (held) {
      this.loaded.delete(pageIndex);
      this.loaded.set(pageIndex, held);
      return held;
    }
    const oldest = this.loaded.keys().next();
    if (this.loaded.size >= PAGES_IN_MEMORY && !oldest.done) await this.unload(oldest.value, signal);
    const id = this.pageId(pageIndex);
    const what = `page ${pageIndex} of the index of disk "${this.disk.diskId}"`;
    const page = id.equals(ZERO_ID) ? Buffer.alloc(PAGE_BYTES) : await this.session.readMetadata('page', Buffer.from(id), what, signal);
    const bits = this.zeroed.get(pageIndex);
    if (bits) {
      this.zeroed.delete(pageIndex);
      for (let i = 0; i < PAGE_IDS; i += 1) {
        if (((bits[Math.floor(i / 8)] as number) >> (i % 8)) & 1) page.fill(0, i * ID_BYTES, (i + 1) * ID_BYTES);
      }
    }
    this.loaded.set(pageIndex, page);
    return page;
  }

  private async unload(pageIndex: number, signal?: AbortSignal): Promise<void> {
    const page = this.loaded.get(pageIndex);
    if (!page) return;
    // Out of reach before it is stored: a zero() meanwhile must note itself, not change sealed bytes.
    this.loaded.delete(pageIndex);
    const id = page.equals(EMPTY_PAGE) ? ZERO_ID : await this.session.storeMetadata('page', page, signal);
    id.copy(this.pageIds, pageIndex * ID_BYTES);
  }

  private pageId(pageIndex: number): Buffer {
    return this.pageIds.subarray(pageIndex * ID_BYTES, (pageIndex + 1) * ID_BYTES);
  }
}
