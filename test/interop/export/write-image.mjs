import { open } from 'node:fs/promises';

const HOLE_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(HOLE_BYTES);

/** The same of a disk whose parts with data are known: asked for by range, with what is around them. */
export async function writeSparse(path, source, extents, signal) {
  const file = await open(path, 'wx');
  try {
    for (const { startBytes, endBytes } of extents) {
      let at = startBytes;
      for await (const piece of source.read(startBytes, Math.min(source.sizeBytes, endBytes), signal)) {
        await file.write(piece, 0, piece.length, at);
        at += piece.length;
      }
    }
    await file.truncate(source.sizeBytes);
  } finally {
    await file.close();
  }
}

/** A stream as a file with holes where it is zero: gigabytes of empty tables and terabytes of empty disk take no space. */
export async function writeImage(path, pieces) {
  const file = await open(path, 'wx');
  try {
    let at = 0;
    for await (const piece of pieces) {
      for (let done = 0; done < piece.length; done += HOLE_BYTES) {
        const part = piece.subarray(done, Math.min(piece.length, done + HOLE_BYTES));
        if (!part.equals(ZEROS.subarray(0, part.length))) await file.write(part, 0, part.length, at + done);
      }
      at += piece.length;
    }
    await file.truncate(at);
  } finally {
    await file.close();
  }
}
