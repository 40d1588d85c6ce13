import { type FileHandle, open, rm } from 'node:fs/promises';
import { KIB } from './common/index.js';
import { AllocatedGrains, type ChunkReader, deflatedStream, qcow2Image, readAhead, sparseVmdk } from './image/index.js';

export const IMAGE_FORMATS = ['vmdk', 'vmdk-stream-optimized', 'qcow2'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

export interface ImageOptions {
  format: ImageFormat;
  /** Made anew; never an existing file. Deleted when it cannot be made whole. */
  path: string;
  /** The name inside of a VMDK. */
  name: string;
  contentId: number;
  signal?: AbortSignal;
}

const HOLE_BYTES = 64 * KIB;
const ZEROS = Buffer.alloc(HOLE_BYTES);

/**
 * A disk as an image in a file, with holes where it has zeros; durable when it resolves.
 * @returns the file's length.
 * @throws ImageError; RepositoryError naming the first damaged chunk; what the file system says.
 */
export async function extractImage(reader: ChunkReader, options: ImageOptions): Promise<number> {
  const signal = options.signal ?? new AbortController().signal;
  const grains = await AllocatedGrains.survey(reader, signal);
  const pieces = piecesOf(grains, options, signal);
  const file = await open(options.path, 'wx', 0o600);
  try {
    const sizeBytes = await writeSparse(file, readAhead(pieces));
    await file.sync();
    return sizeBytes;
  } catch (error) {
    await rm(options.path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

function piecesOf(grains: AllocatedGrains, { format, name, contentId }: ImageOptions, signal: AbortSignal): AsyncIterable<Buffer> {
  const what = `disk ${name}`;
  const labels = { fileName: `${name}.vmdk`, contentId };
  if (format === 'vmdk-stream-optimized') return deflatedStream(grains, labels, what, signal);
  const image = format === 'vmdk' ? sparseVmdk(grains, labels, what) : qcow2Image(grains, what);
  return image.read(0, image.sizeBytes, signal);
}

async function writeSparse(file: FileHandle, pieces: AsyncIterable<Buffer>): Promise<number> {
  let atBytes = 0;
  for await (const piece of pieces) {
    for (let from = 0; from < piece.length; from += HOLE_BYTES) {
      const part = piece.subarray(from, Math.min(piece.length, from + HOLE_BYTES));
      if (part.equals(ZEROS.subarray(0, part.length))) continue;
      for (let done = 0; done < part.length; )
        done += (await file.write(part, done, part.length - done, atBytes + from + done)).bytesWritten;
    }
    atBytes += piece.length;
  }
  await file.truncate(atBytes);
  return atBytes;
}
