/** A file that exists only while it is read: its length and any part of it are known without making the rest. */
export interface ByteSource {
  readonly sizeBytes: number;
  /**
   * The bytes from `startBytes` up to `endBytes`, in order. A piece belongs to the caller for reading only; while it is used,
   * the next ones may be made. What is held at once does not grow with the file.
   */
  read(startBytes: number, endBytes: number, signal: AbortSignal): AsyncIterable<Buffer>;
}

const ZEROS = Buffer.alloc(256 * 1024);
const TABLE_PIECE_BYTES = 64 * 1024;

export function* zeroPieces(lengthBytes: number): Generator<Buffer> {
  for (let done = 0; done < lengthBytes; done += ZEROS.length) yield ZEROS.subarray(0, Math.min(ZEROS.length, lengthBytes - done));
}

export function fixedBytes(bytes: Buffer): ByteSource {
  return {
    sizeBytes: bytes.length,
    async *read(startBytes, endBytes) {
      if (endBytes > startBytes) yield bytes.subarray(startBytes, endBytes);
    },
  };
}

export function zeroBytes(sizeBytes: number): ByteSource {
  return {
    sizeBytes,
    async *read(startBytes, endBytes) {
      yield* zeroPieces(endBytes - startBytes);
    },
  };
}

/** A table of `count` entries that are computed as they are read: tables of a large disk have megabytes. */
export function computedTable(count: number, entryBytes: number, write: (into: Buffer, offset: number, index: number) => void): ByteSource {
  const perPiece = TABLE_PIECE_BYTES / entryBytes;
  return {
    sizeBytes: count * entryBytes,
    async *read(startBytes, endBytes) {
      const last = Math.ceil(endBytes / entryBytes);
      for (let first = Math.floor(startBytes / entryBytes); first < last; first += perPiece) {
        const piece = Buffer.alloc(Math.min(perPiece, last - first) * entryBytes);
        for (let at = 0; at < piece.length; at += entryBytes) write(piece, at, first + at / entryBytes);
        const baseBytes = first * entryBytes;
        yield piece.subarray(Math.max(0, startBytes - baseBytes), Math.min(piece.length, endBytes - baseBytes));
      }
    },
  };
}

/** One after the other. */
export function concatenate(parts: readonly ByteSource[]): ByteSource {
  return {
    sizeBytes: parts.reduce((sum, part) => sum + part.sizeBytes, 0),
    async *read(startBytes, endBytes, signal) {
      let baseBytes = 0;
      for (const part of parts) {
        const from = Math.max(0, startBytes - baseBytes);
        const to = Math.min(part.sizeBytes, endBytes - baseBytes);
        if (from < to) yield* part.read(from, to, signal);
        baseBytes += part.sizeBytes;
        if (baseBytes >= endBytes) return;
      }
    },
  };
}

/** Zeros up to a multiple. */
export function padded(part: ByteSource, multipleBytes: number): ByteSource {
  return concatenate([part, zeroBytes((multipleBytes - (part.sizeBytes % multipleBytes)) % multipleBytes)]);
}

/**
 * Makes one piece ahead of the one that is used, so that reading and sending overlap.
 * What was begun has come to rest when this ends, however it ends.
 */
export async function* readAhead(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  const begin = () => {
    const next = iterator.next();
    // Looked at below; until then a failure is nobody's fault.
    next.catch(() => undefined);
    return next;
  };
  let next = begin();
  try {
    for (let result = await next; result.done !== true; result = await next) {
      next = begin();
      yield result.value;
    }
  } finally {
    await next.catch(() => undefined);
    await iterator.return?.();
  }
}
