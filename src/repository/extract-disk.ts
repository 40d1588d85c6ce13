import { open, type FileHandle } from 'node:fs/promises';
import { throwIfAborted } from '../common/index.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import { chunkLength } from './format.js';
import type { DiskReader } from './types.js';

const BATCH_BYTES = 8 * 1024 * 1024;

export interface ExtractOptions {
  /** Made anew; never an existing file. */
  path: string;
  /** Damaged chunks become zeros and are listed, instead of ending the work. */
  keepGoing: boolean;
  onProgress?: (doneBytes: number) => void;
  signal?: AbortSignal;
}

export interface Extraction {
  /** Written; the rest of the disk is a hole in the file. */
  dataBytes: number;
  damaged: { offsetBytes: number; lengthBytes: number; reason: string }[];
}

/**
 * A disk as a raw, sparse image; every chunk's tag and id are checked. The image is durable when it resolves.
 * @throws RepositoryError naming the first damaged chunk, unless `keepGoing`; OUTPUT_UNUSABLE. What was written until then stays.
 */
export async function extractDisk(disk: DiskReader, options: ExtractOptions): Promise<Extraction> {
  const file = await create(options.path);
  try {
    await file.truncate(disk.capacityBytes);
    const result: Extraction = { dataBytes: 0, damaged: [] };
    const perBatch = Math.max(1, Math.floor(BATCH_BYTES / disk.chunkBytes));
    const memory = Buffer.allocUnsafeSlow(perBatch * disk.chunkBytes);
    for await (const indices of disk.dataChunks(options.signal)) {
      for (let first = 0; first < indices.length; first += perBatch) {
        throwIfAborted(options.signal);
        await copyBatch(disk, file, memory, indices.slice(first, first + perBatch), result, options);
        options.onProgress?.(result.dataBytes);
      }
    }
    await file.sync();
    return result;
  } finally {
    await file.close();
  }
}

async function copyBatch(
  disk: DiskReader,
  file: FileHandle,
  memory: Buffer,
  indices: readonly number[],
  result: Extraction,
  options: ExtractOptions,
): Promise<void> {
  const chunks = indices.map((chunkIndex, i) => ({ chunkIndex, offset: i * disk.chunkBytes }));
  try {
    await disk.read(memory, chunks, options.signal);
  } catch (error) {
    if (!options.keepGoing || !isRepositoryError(error, 'CHUNK_DAMAGED', 'CHUNK_MISSING')) throw error;
    const [only] = indices;
    if (indices.length === 1 && only !== undefined) {
      const offsetBytes = only * disk.chunkBytes;
      result.damaged.push({ offsetBytes, lengthBytes: chunkLength(only, disk.capacityBytes, disk.chunkBytes), reason: error.message });
      return;
    }
    // One by one: only the damaged ones are lost.
    for (const chunkIndex of indices) await copyBatch(disk, file, memory, [chunkIndex], result, options);
    return;
  }
  for (const { chunkIndex, offset } of chunks) {
    const length = chunkLength(chunkIndex, disk.capacityBytes, disk.chunkBytes);
    for (let done = 0; done < length; )
      done += (await file.write(memory, offset + done, length - done, chunkIndex * disk.chunkBytes + done)).bytesWritten;
    result.dataBytes += length;
  }
}

async function create(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === 'EEXIST' ? 'it exists already' : (cause as Error).message;
    throw new RepositoryError(`The image ${path} cannot be made: ${reason}`, { code: 'OUTPUT_UNUSABLE', subject: path, cause });
  }
}
