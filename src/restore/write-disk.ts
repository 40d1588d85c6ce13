import { throughPlaces } from '../common/index.js';
import type { DiskReader } from '../repository/index.js';
import type { IoRequest, VddkDiskApi } from '../vddk/index.js';

export interface WriteDiskOptions {
  disk: Pick<VddkDiskApi, 'write'>;
  reader: DiskReader;
  /** Chunks to write, ascending, in pages. Without it those that hold data: right for an empty disk, where all else is zero. */
  chunks?: AsyncIterable<number[]>;
  memory: Buffer;
  maxRequestBytes: number;
  onProgress: (doneBytes: number) => void;
  signal: AbortSignal;
}

const WINDOW_TARGET_BYTES = 4 * 1024 * 1024;

/**
 * Writes chunks, those without data as zeros, several windows ahead and in no particular order: fetching,
 * checking and decompressing one while another is written.
 *
 * @returns bytes written over VDDK.
 * @throws the first failure, after all windows in flight came to rest.
 */
export async function writeDisk(options: WriteDiskOptions): Promise<number> {
  const { reader, memory } = options;
  const { chunkBytes, capacityBytes } = reader;
  const windowBytes = Math.max(chunkBytes, Math.floor(WINDOW_TARGET_BYTES / chunkBytes) * chunkBytes);
  const windowCount = Math.floor(memory.length / windowBytes);
  if (windowCount < 1) throw new RangeError(`Writing needs at least ${windowBytes} bytes of shared memory`);
  const offsets = Array.from({ length: windowCount }, (_, i) => i * windowBytes);
  let doneBytes = 0;
  const stream = inGroups(options.chunks ?? reader.dataChunks(options.signal), windowBytes / chunkBytes);
  await throughPlaces(stream, offsets, options.signal, async (chunkIndices, base, signal) => {
    const chunks = chunkIndices.map((chunkIndex, i) => ({ chunkIndex, offset: base + i * chunkBytes }));
    await reader.read(memory, chunks, signal);
    await options.disk.write(requestsFor(chunks, chunkBytes, capacityBytes, options.maxRequestBytes), signal);
    for (const { chunkIndex } of chunks) doneBytes += Math.min(chunkBytes, capacityBytes - chunkIndex * chunkBytes);
    options.onProgress(doneBytes);
  });
  return doneBytes;
}

async function* inGroups(pages: AsyncIterable<number[]>, size: number): AsyncGenerator<number[]> {
  let group: number[] = [];
  for await (const page of pages) {
    for (const chunkIndex of page) {
      group.push(chunkIndex);
      if (group.length < size) continue;
      yield group;
      group = [];
    }
  }
  if (group.length > 0) yield group;
}

/** Neighbours on the disk are neighbours in memory: they become one request up to the limit. */
function requestsFor(
  chunks: readonly { chunkIndex: number; offset: number }[],
  chunkBytes: number,
  capacityBytes: number,
  maxRequestBytes: number,
): IoRequest[] {
  const requests: IoRequest[] = [];
  for (const { chunkIndex, offset } of chunks) {
    const offsetBytes = chunkIndex * chunkBytes;
    const length = Math.min(chunkBytes, capacityBytes - offsetBytes);
    const last = requests.at(-1);
    const adjacent = last && last.offsetBytes + last.lengthBytes === offsetBytes && last.memoryOffset + last.lengthBytes === offset;
    if (last && adjacent && last.lengthBytes + length <= maxRequestBytes) {
      last.lengthBytes += length;
      continue;
    }
    for (let done = 0; done < length; done += maxRequestBytes) {
      requests.push({
        offsetBytes: offsetBytes + done,
        lengthBytes: Math.min(maxRequestBytes, length - done),
        memoryOffset: offset + done,
      });
    }
  }
  return requests;
}
