import { type ByteSource, concatenate, fixedBytes, padded, zeroBytes } from '../image/index.js';

const BLOCK_BYTES = 512;
/** Eleven octal digits. */
const LARGEST_OCTAL = 8 ** 11 - 1;

export interface TarEntry {
  /** At most 100 characters of ASCII. */
  name: string;
  content: ByteSource;
  modifiedAt: Date;
}

/** USTAR (POSIX.1-1988), which DSP0243 asks for; its end is two blocks of zeros. */
export function tarArchive(entries: readonly TarEntry[]): ByteSource {
  const parts = entries.flatMap((entry) => [fixedBytes(tarHeader(entry)), padded(entry.content, BLOCK_BYTES)]);
  return concatenate([...parts, zeroBytes(2 * BLOCK_BYTES)]);
}

function tarHeader({ name, content, modifiedAt }: TarEntry): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  if (!/^[\x21-\x7e]{1,100}$/.test(name)) throw new RangeError(`"${name}" is no name for a file in an archive`);
  header.write(name, 0, 'latin1');
  header.write('0000644\0', 100, 'latin1');
  header.write('0000000\0', 108, 'latin1');
  header.write('0000000\0', 116, 'latin1');
  writeSize(header, content.sizeBytes);
  header.write(
    `${Math.floor(modifiedAt.getTime() / 1000)
      .toString(8)
      .padStart(11, '0')}\0`,
    136,
    'latin1',
  );
  header.write('0', 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  // The checksum counts itself as spaces.
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/**
 * From 8 GiB on USTAR has no digits left. GNU's base-256 is what tar, libarchive, Go, Python, 7-Zip and VMware's and
 * VirtualBox's importers read, in the header itself; an extended header would be a file of its own to those that do not know it.
 */
function writeSize(header: Buffer, sizeBytes: number): void {
  if (sizeBytes <= LARGEST_OCTAL) {
    header.write(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
    return;
  }
  header.writeUInt8(0x80, 124);
  header.writeBigUInt64BE(BigInt(sizeBytes), 128);
}
