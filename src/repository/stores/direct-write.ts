import { constants } from 'node:fs';

/** The largest block size a disk may ask for: address, offset and length of a direct write are multiples of it. */
const ALIGNMENT_BYTES = 4096;
/** Below it a second descriptor costs more than the page cache does. */
const SMALLEST_BYTES = 1024 * 1024;

interface WritableFile {
  write(data: Buffer, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
  close(): Promise<void>;
}

/**
 * Writes what it can of the beginning of a file that exists past the page cache (O_DIRECT): copying a pack of 32 MiB there and
 * writing it back later takes four times the CPU time and twice the time (docs/decisions/0014), and puts nothing but packs
 * nobody reads soon in place of pages somebody needs.
 *
 * @param data in aligned memory (src/native, allocatePages), or nothing is written.
 * @returns how much is written, to the page; the rest is the caller's, and so is making all of it durable. 0 where the file system, or
 *   the memory, is not made for it.
 */
export async function writeDirectly(
  files: { open: (path: string, flags: number) => Promise<WritableFile> },
  path: string,
  data: Buffer,
): Promise<number> {
  const wholeBytes = data.length - (data.length % ALIGNMENT_BYTES);
  if (wholeBytes < SMALLEST_BYTES || constants.O_DIRECT === undefined) return 0;
  let done = 0;
  try {
    const file = await files.open(path, constants.O_WRONLY | constants.O_DIRECT);
    try {
      while (done < wholeBytes) {
        const { bytesWritten } = await file.write(data, done, wholeBytes - done, done);
        done += bytesWritten;
        // Cut short in the middle of a block: what follows is no longer aligned.
        if (bytesWritten % ALIGNMENT_BYTES !== 0) break;
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
  }
  return done;
}
