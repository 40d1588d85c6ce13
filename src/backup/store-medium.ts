import { createHash, type Hash } from 'node:crypto';
import { MIB, throughPlaces } from '../common/index.js';
import type { ManifestMedium } from '../catalog/index.js';
import type { BackupSession } from '../repository/index.js';
import { BackupError } from './errors.js';

export interface StoreMediumOptions {
  diskId: string;
  /** For messages. */
  name: string;
  /** In order, pieces of any length. */
  body: AsyncIterable<Buffer>;
  /** What VCD says the medium has; above zero. */
  sizeBytes: number;
  session: Pick<BackupSession, 'openDisk'>;
  chunkBytes: number;
  onProgress: (doneBytes: number) => void;
  signal: AbortSignal;
}

const SECTOR_BYTES = 512;
const WINDOW_TARGET_BYTES = 4 * MIB;
/** Windows being stored at once, while one more is filled. */
const WINDOWS_IN_FLIGHT = 2;

/**
 * Stores a stream of known length like a disk of whole sectors. Memory is three windows, whatever the length.
 * @throws BackupError MEDIUM_INCOMPLETE when the stream has another length; RepositoryError; whatever the stream throws.
 */
export async function storeMedium(options: StoreMediumOptions): Promise<ManifestMedium> {
  const { diskId, sizeBytes, chunkBytes, signal } = options;
  const startedMs = performance.now();
  const capacityBytes = Math.ceil(sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
  const writer = await options.session.openDisk({ diskId, capacityBytes, chunkBytes, signal });
  const windowBytes = Math.max(chunkBytes, Math.floor(WINDOW_TARGET_BYTES / chunkBytes) * chunkBytes);
  const free = Array.from({ length: WINDOWS_IN_FLIGHT + 1 }, (): Buffer => Buffer.allocUnsafeSlow(windowBytes));
  const sha256 = createHash('sha256');
  let doneBytes = 0;
  options.onProgress(0);
  await throughPlaces(
    windowsOf(options, free, sha256),
    Array.from({ length: WINDOWS_IN_FLIGHT }),
    signal,
    async (window, _place, either) => {
      await writer.write(window.buffer, chunksOf(window, chunkBytes), either);
      free.push(window.buffer);
      doneBytes = Math.min(sizeBytes, doneBytes + window.lengthBytes);
      options.onProgress(doneBytes);
    },
  );
  const index = await writer.finish(signal);
  return {
    diskId,
    ...index,
    sizeBytes,
    sha256: sha256.digest('hex'),
    readBytes: sizeBytes,
    newBytes: writer.tally.newBytes,
    storedBytes: writer.tally.storedBytes,
    durationMs: Math.round(performance.now() - startedMs),
  };
}

interface Window {
  buffer: Buffer;
  startBytes: number;
  /** Whole chunks, except at the end of the disk. */
  lengthBytes: number;
}

/** Cuts the stream into windows, in memory taken from `free`, and digests it on the way. */
async function* windowsOf({ body, name, sizeBytes }: StoreMediumOptions, free: Buffer[], sha256: Hash): AsyncGenerator<Window> {
  // There is one: as many are in use at most as are stored at once.
  let buffer = free.pop() as Buffer;
  let startBytes = 0;
  let filledBytes = 0;
  for await (const piece of body) {
    if (startBytes + filledBytes + piece.length > sizeBytes) throw wrongLength(name, sizeBytes, 'more');
    sha256.update(piece);
    for (let taken = 0; taken < piece.length; ) {
      const copied = piece.copy(buffer, filledBytes, taken);
      taken += copied;
      filledBytes += copied;
      if (filledBytes < buffer.length) continue;
      yield { buffer, startBytes, lengthBytes: filledBytes };
      startBytes += filledBytes;
      filledBytes = 0;
      buffer = free.pop() as Buffer;
    }
  }
  if (startBytes + filledBytes !== sizeBytes) throw wrongLength(name, sizeBytes, `${startBytes + filledBytes}`);
  if (filledBytes === 0) return;
  const lengthBytes = Math.ceil(filledBytes / SECTOR_BYTES) * SECTOR_BYTES;
  buffer.fill(0, filledBytes, lengthBytes);
  yield { buffer, startBytes, lengthBytes };
}

function chunksOf({ startBytes, lengthBytes }: Window, chunkBytes: number) {
  return Array.from({ length: Math.ceil(lengthBytes / chunkBytes) }, (_, i) => ({
    chunkIndex: startBytes / chunkBytes + i,
    offset: i * chunkBytes,
    length: Math.min(chunkBytes, lengthBytes - i * chunkBytes),
  }));
}

function wrongLength(name: string, sizeBytes: number, sent: string): BackupError {
  return new BackupError(
    'MEDIUM_INCOMPLETE',
    `Medium "${name}" has ${sizeBytes} bytes by its description, and VCD sent ${sent}; run the backup again, and upload the medium anew if that does not help.`,
    true,
  );
}
