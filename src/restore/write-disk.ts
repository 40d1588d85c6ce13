import { Semaphore } from '../common/index.js';
import type { DiskReader } from '../repository/index.js';
import type { IoRequest, VddkDiskApi } from '../vddk/index.js';

export interface WriteDiskOptions {
  /** An empty disk: what is not written is zero. */
  disk: Pick<VddkDiskApi, 'write'>;
  reader: DiskReader;
  memory: Buffer;
  maxRequestBytes: number;
  onProgress: (doneBytes: number) => void;
  signal: AbortSignal;
}

const WINDOW_TARGET_BYTES = 4 * 1024 * 1024;

/**
 * Writes every chunk that holds data, several windows ahead and in no particular order: fetching,
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
  const free = Array.from({ length: windowCount }, (_, i) => i * windowBytes);
  const gate = new Semaphore(windowCount);

  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const inFlight = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  let doneBytes = 0;

  const start = async (chunkIndices: readonly number[]): Promise<void> => {
    const release = await gate.acquire(signal);
    const base = free.pop() as number;
    const chunks = chunkIndices.map((chunkIndex, i) => ({ chunkIndex, offset: base + i * chunkBytes }));
    const work = reader
      .read(memory, chunks, signal)
      .then(() => options.disk.write(requestsFor(chunks, chunkBytes, capacityBytes, options.maxRequestBytes), signal))
      .then(() => {
        for (const { chunkIndex } of chunks) doneBytes += Math.min(chunkBytes, capacityBytes - chunkIndex * chunkBytes);
        options.onProgress(doneBytes);
      })
      .catch((error: unknown) => {
        failure ??= { error };
        stop.abort(error);
      })
      .finally(() => {
        free.push(base);
        inFlight.delete(work);
        release();
      });
    inFlight.add(work);
  };

  try {
    const perWindow = windowBytes / chunkBytes;
    let pending: number[] = [];
    for await (const page of reader.dataChunks(signal)) {
      for (const chunkIndex of page) {
        pending.push(chunkIndex);
        if (pending.length < perWindow) continue;
        await start(pending);
        pending = [];
      }
    }
    if (pending.length > 0) await start(pending);
  } catch (error) {
    failure ??= { error };
    stop.abort(error);
  }
  await Promise.all(inFlight);
  if (failure) throw failure.error;
  return doneBytes;
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
