import { createHash } from 'node:crypto';
import type { ByteSource } from '../image/index.js';

export interface DigestedFile {
  name: string;
  /** Changes with every byte. */
  etag: string;
  content: ByteSource;
}

const DIGEST_CHARACTERS = 64;
/** Of files that were read to the end, by etag: 1024 of a hundred bytes. */
const KEPT_DIGESTS = 1024;

/** SHA-256 of files that go by, so that the manifest behind them costs no second look. */
export class Digests {
  private readonly known = new Map<string, string>();

  /** The same file, which digests itself when it is read whole. */
  tee(file: DigestedFile): ByteSource {
    const { sizeBytes } = file.content;
    const remember = (digest: string) => this.remember(file.etag, digest);
    return {
      sizeBytes,
      async *read(startBytes, endBytes, signal) {
        const hash = startBytes === 0 && endBytes === sizeBytes ? createHash('sha256') : undefined;
        for await (const piece of file.content.read(startBytes, endBytes, signal)) {
          hash?.update(piece);
          yield piece;
        }
        if (hash !== undefined) remember(hash.digest('hex'));
      },
    };
  }

  /** Reads the file where nobody has, as when a download is carried on behind it. */
  async of(file: DigestedFile, signal: AbortSignal): Promise<string> {
    const known = this.known.get(file.etag);
    if (known !== undefined) return known;
    for await (const _ of this.tee(file).read(0, file.content.sizeBytes, signal));
    return this.known.get(file.etag) as string;
  }

  private remember(etag: string, digest: string): void {
    this.known.delete(etag);
    this.known.set(etag, digest);
    const oldest = this.known.keys().next();
    if (this.known.size > KEPT_DIGESTS && !oldest.done) this.known.delete(oldest.value);
  }
}

/** The .mf file of a package (DSP0243, 5.1): a line with the digest of each file. Its length is known before they are. */
export function manifestFile(files: readonly DigestedFile[], digests: Digests): ByteSource {
  const line = (name: string, digest: string) => `SHA256(${name})= ${digest}\n`;
  return {
    sizeBytes: files.reduce((sum, { name }) => sum + line(name, '').length + DIGEST_CHARACTERS, 0),
    async *read(startBytes, endBytes, signal) {
      const lines: string[] = [];
      for (const file of files) lines.push(line(file.name, await digests.of(file, signal)));
      yield Buffer.from(lines.join(''), 'latin1').subarray(startBytes, endBytes);
    },
  };
}
