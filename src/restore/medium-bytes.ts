import { createHash } from 'node:crypto';
import type { ManifestMedium } from '../catalog/index.js';
import type { DiskReader } from '../repository/index.js';
import { RestoreError } from './errors.js';

const WINDOW_TARGET_BYTES = 4 * 1024 * 1024;

/**
 * The bytes of a medium out of the repository, in order, from any offset on: an upload that broke off goes on where VCD
 * has it. All of them are digested once, in order, whatever was sent twice or not at all.
 */
export class MediumBytes {
  private readonly sha256 = createHash('sha256');
  private digestedBytes = 0;

  constructor(
    private readonly reader: DiskReader,
    private readonly medium: Pick<ManifestMedium, 'sizeBytes' | 'sha256'>,
    /** For messages. */
    private readonly name: string,
  ) {}

  /** @throws RepositoryError CHUNK_DAMAGED; the bytes before it are right. */
  async *from(offsetBytes: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    if (offsetBytes > this.digestedBytes) await this.digestUntil(offsetBytes, signal);
    yield* this.pieces(offsetBytes, this.medium.sizeBytes, signal);
  }

  /** After the last byte. @throws RestoreError MEDIUM_MISMATCH */
  async assertAllSent(signal: AbortSignal): Promise<void> {
    await this.digestUntil(this.medium.sizeBytes, signal);
    const sha256 = this.sha256.copy().digest('hex');
    if (sha256 === this.medium.sha256) return;
    throw new RestoreError(
      'MEDIUM_MISMATCH',
      `The bytes of medium "${this.name}" in the repository are not those that were backed up (SHA-256 ${sha256} instead of ${this.medium.sha256}); restore another restore point.`,
    );
  }

  private async digestUntil(endBytes: number, signal: AbortSignal): Promise<void> {
    for await (const _ of this.pieces(this.digestedBytes, endBytes, signal));
  }

  /** Memory is one window; each piece is memory of its own, because a sender may keep one while the next is read. */
  private async *pieces(startBytes: number, endBytes: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    const { chunkBytes, capacityBytes } = this.reader;
    const windowChunks = Math.max(1, Math.floor(WINDOW_TARGET_BYTES / chunkBytes));
    for (let atBytes = startBytes; atBytes < endBytes; ) {
      const firstChunk = Math.floor(atBytes / chunkBytes);
      const chunkCount = Math.min(windowChunks, Math.ceil(endBytes / chunkBytes) - firstChunk);
      const baseBytes = firstChunk * chunkBytes;
      const memory = Buffer.allocUnsafeSlow(Math.min(chunkCount * chunkBytes, capacityBytes - baseBytes));
      const chunks = Array.from({ length: chunkCount }, (_, i) => ({ chunkIndex: firstChunk + i, offset: i * chunkBytes }));
      await this.reader.read(memory, chunks, signal);
      const piece = memory.subarray(atBytes - baseBytes, endBytes - baseBytes);
      this.digest(atBytes, piece);
      yield piece;
      atBytes += piece.length;
    }
  }

  private digest(atBytes: number, piece: Buffer): void {
    const known = this.digestedBytes - atBytes;
    if (known >= piece.length) return;
    this.sha256.update(piece.subarray(known));
    this.digestedBytes = atBytes + piece.length;
  }
}
