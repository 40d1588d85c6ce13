/** What an image is made of: a disk in chunks of one size, a power of two, of which some hold data and all others are zero. */
export interface ChunkReader {
  readonly capacityBytes: number;
  readonly chunkBytes: number;
  /** Indices of chunks that hold data, from `firstChunkIndex` on, ascending, in pages; others before them are allowed. */
  dataChunks(signal?: AbortSignal, firstChunkIndex?: number): AsyncIterable<number[]>;
  /** Puts whole chunks (the disk's last one may be short) into memory, right or not at all. */
  read(memory: Buffer, chunks: readonly { chunkIndex: number; offset: number }[], signal?: AbortSignal): Promise<void>;
}
