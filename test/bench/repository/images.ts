import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { KIB, MIB } from '../../../src/common/index.js';

/** The grain of changes, as vSphere's change tracking reports them for disks of this size. */
const BLOCK_BYTES = 64 * KIB;
const CHANGED_SHARE = 0.02;
/** Shares of the image: two generations of real files and what does not compress; the rest, some 40 %, is zero. */
const SHARES = { first: 1000 / 4096, second: 900 / 4096, random: 350 / 4096 };
const RANDOM_FILES = 50;
const LARGEST_FILE_SHARE = 80 / 4096;
const SOURCE = '/usr';
/** Of the second half: what is missing for want of small files is not made up for. */
const ENOUGH = 0.95;
/** Files of so many times the image are enough to choose from. */
const CHOICE = 8;
/** A file system is the same to the byte when the clock and its ids are. */
const FIXED_TIME = '1700000000';
const FIXED_UUID = '11111111-2222-3333-4444-555555555555';

export interface ImageSet {
  sizeBytes: number;
  /** Raw images, and descriptors beside them that VDDK opens. */
  first: string;
  second: string;
  firstDisk: string;
  secondDisk: string;
  /** JSON of the extents in which the second differs. */
  changed: string;
  changedBytes: number;
  zeroShare: number;
}

/**
 * Two generations of a disk, the same whenever /usr is: an ext4 file system of real files and of random ones; then 2 % of its blocks of 64 KiB replaced at random places, a third by random bytes, the others by real
 * data from elsewhere, touched. That is the worst case for large chunks.
 * @param doubled the second half of the real files are variations of the first, which chunks of variable size find again
 *   where they were shifted and chunks of a fixed size do not; so they are, too, where /usr has not enough files.
 * @throws Error when mke2fs is missing: a file system is not imitated.
 */
export async function makeImages(folder: string, sizeBytes: number, doubled: boolean): Promise<ImageSet> {
  const first = join(folder, 'first.img');
  const second = join(folder, 'second.img');
  const stage = join(folder, 'stage');
  const random = new Random('vapp-vault bench images');
  try {
    await stageFiles(stage, sizeBytes, doubled, random);
    makeFileSystem(stage, first, sizeBytes);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
  execFileSync('cp', ['--sparse=always', first, second]);
  const changes = changeBlocks(first, second, sizeBytes, random);
  const changed = join(folder, 'changed.json');
  writeFileSync(changed, JSON.stringify(changes));
  return {
    sizeBytes,
    first,
    second,
    firstDisk: describeDisk(first, sizeBytes),
    secondDisk: describeDisk(second, sizeBytes),
    changed,
    changedBytes: changes.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
    zeroShare: zeroShare(first, sizeBytes),
  };
}

/** An empty disk of that size, to restore to. */
export function makeEmptyDisk(path: string, sizeBytes: number): string {
  rmSync(path, { force: true });
  closeSync(openSync(path, 'w'));
  truncateSync(path, sizeBytes);
  return describeDisk(path, sizeBytes);
}

/** The descriptor of a flat VMDK whose only extent is the raw image. */
function describeDisk(image: string, sizeBytes: number): string {
  const path = image.replace(/\.img$/, '.vmdk');
  const extent = `RW ${sizeBytes / 512} FLAT "${image.slice(image.lastIndexOf('/') + 1)}" 0`;
  const head = ['# Disk DescriptorFile', 'version=1', 'CID=fffffffe', 'parentCID=ffffffff', 'createType="monolithicFlat"'];
  writeFileSync(path, [...head, extent, 'ddb.adapterType = "lsilogic"', ''].join('\n'));
  return path;
}

async function stageFiles(stage: string, sizeBytes: number, doubled: boolean, random: Random): Promise<void> {
  const files = await sourceFiles(sizeBytes * LARGEST_FILE_SHARE, sizeBytes * CHOICE);
  random.shuffle(files);
  const first = choose(files, sizeBytes * SHARES.first);
  for (const file of first) copyInto(join(stage, 'first', file.path), file.path);
  const others = doubled ? [] : choose(files, sizeBytes * SHARES.second, new Set(first));
  for (const file of others) copyInto(join(stage, 'second', file.path), file.path);
  let secondBytes = others.reduce((sum, { length }) => sum + length, 0);
  for (const { path } of first) {
    if (secondBytes > sizeBytes * SHARES.second * ENOUGH) break;
    const content = random.vary(readFileSync(path));
    if (content === undefined) continue;
    secondBytes += content.length;
    const target = join(stage, 'varied', path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content);
  }
  mkdirSync(join(stage, 'random'), { recursive: true });
  for (let i = 0; i < RANDOM_FILES; i += 1) {
    const content = random.bytes(Math.floor((sizeBytes * SHARES.random) / RANDOM_FILES));
    writeFileSync(join(stage, 'random', `file-${i}`), content);
  }
  execFileSync('find', [stage, '-exec', 'touch', '-h', '-d', `@${FIXED_TIME}`, '{}', '+']);
}

interface SourceFile {
  path: string;
  length: number;
}

/** In their order, as long as they fit. */
function choose(files: readonly SourceFile[], limitBytes: number, except: ReadonlySet<SourceFile> = new Set()): SourceFile[] {
  const chosen: SourceFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (except.has(file) || bytes + file.length > limitBytes) continue;
    bytes += file.length;
    chosen.push(file);
  }
  return chosen;
}

function copyInto(target: string, path: string): void {
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(path, target);
}

/** Readable by everybody, not large, by name: the same list in every run. */
async function sourceFiles(largestBytes: number, enoughBytes: number): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  let bytes = 0;
  const walk = async (folder: string): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (bytes > enoughBytes) return;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await walk(path);
      if (!entry.isFile()) continue;
      const { size, mode } = await lstat(path);
      if ((mode & 0o004) === 0 || size === 0 || size > largestBytes) continue;
      files.push({ path, length: size });
      bytes += size;
    }
  };
  await walk(SOURCE);
  return files;
}

function makeFileSystem(stage: string, image: string, sizeBytes: number): void {
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
  if (!path.split(':').some((folder) => existsSync(join(folder, 'mke2fs'))))
    throw new Error('"mke2fs" is missing: the bench makes its ext4 images with it (Debian: e2fsprogs)');
  rmSync(image, { force: true });
  closeSync(openSync(image, 'w'));
  truncateSync(image, sizeBytes);
  const extended = `hash_seed=${FIXED_UUID},lazy_itable_init=1`;
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-U', FIXED_UUID, '-E', extended, '-d', stage, image], {
    env: { ...process.env, PATH: path, E2FSPROGS_FAKE_TIME: FIXED_TIME },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

function changeBlocks(first: string, second: string, sizeBytes: number, random: Random): { offsetBytes: number; lengthBytes: number }[] {
  const blocks = Math.floor(sizeBytes / BLOCK_BYTES);
  const changed = new Set<number>();
  const source = openSync(first, 'r');
  const target = openSync(second, 'r+');
  while (changed.size < Math.floor(blocks * CHANGED_SHARE)) {
    const start = random.below(blocks);
    const length = [1, 1, 1, 2, 2, 4, 8, 16][random.below(8)] as number;
    for (let block = start; block < Math.min(start + length, blocks); block += 1) {
      const content = random.below(100) < 34 ? random.bytes(BLOCK_BYTES) : Buffer.alloc(BLOCK_BYTES);
      if (content.every((byte) => byte === 0)) {
        readSync(source, content, 0, BLOCK_BYTES, random.below(blocks) * BLOCK_BYTES);
        for (let i = 0; i < 16; i += 1) content[random.below(BLOCK_BYTES)] = random.below(256);
      }
      writeSync(target, content, 0, BLOCK_BYTES, block * BLOCK_BYTES);
      changed.add(block);
    }
  }
  closeSync(source);
  closeSync(target);
  return [...changed].sort((a, b) => a - b).map((block) => ({ offsetBytes: block * BLOCK_BYTES, lengthBytes: BLOCK_BYTES }));
}

/** Of pieces of 1 MiB. */
function zeroShare(image: string, sizeBytes: number): number {
  const file = openSync(image, 'r');
  const piece = Buffer.alloc(MIB);
  const zeros = Buffer.alloc(MIB);
  let zero = 0;
  for (let offset = 0; offset < sizeBytes; offset += MIB) {
    readSync(file, piece, 0, MIB, offset);
    if (piece.equals(zeros)) zero += 1;
  }
  closeSync(file);
  return (zero * MIB) / sizeBytes;
}

/** The same numbers in every run: AES in counter mode. */
class Random {
  private readonly stream;

  constructor(seed: string) {
    const key = createHash('sha256').update(seed).digest();
    this.stream = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  }

  bytes(length: number): Buffer {
    return this.stream.update(Buffer.alloc(length));
  }

  below(limit: number): number {
    return this.bytes(4).readUInt32LE() % limit;
  }

  shuffle(items: unknown[]): void {
    for (let i = items.length - 1; i > 0; i -= 1) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
  }

  /** As files change: most not at all, some in a few bytes, some by a line at the head; undefined: deleted. */
  vary(content: Buffer): Buffer | undefined {
    const luck = this.below(100);
    if (luck < 30) {
      for (let i = 0; i <= content.length / (64 * KIB); i += 1) {
        const at = this.below(content.length);
        content[at] = (content[at] as number) ^ 0x5a;
      }
      return content;
    }
    if (luck < 45) return Buffer.concat([Buffer.from(`# changed ${this.below(2 ** 30)}\n`), content]);
    return luck < 55 ? undefined : content;
  }
}
