import { open, readFile, type FileHandle } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { normalizeExtents, subtractExtents, type Extent } from '../../../src/disk/index.js';
import { GRAIN_BYTES, SeSparseExtent, type GrainRun } from './sesparse.js';
import { dataExtents, punchHoles } from './sparse-file.js';
import { parseDescriptor, type VmdkDescriptor } from './vmdk-descriptor.js';

export interface ChainLink {
  descriptorPath: string;
  descriptor: VmdkDescriptor;
  extentPath: string;
}

const MAX_LINKS = 64;
const COPY_BYTES = 1024 * 1024;
const ZERO_TEST_BYTES = 4096;
const ZEROES = Buffer.alloc(ZERO_TEST_BYTES);

/** Every link's descriptor, topmost first. @throws Error on a missing file, a loop, or a parent that is not the one the child was made on. */
export async function readChain(topDescriptorPath: string): Promise<ChainLink[]> {
  const links: ChainLink[] = [];
  let path: string | undefined = topDescriptorPath;
  while (path !== undefined) {
    if (links.length === MAX_LINKS) throw new Error(`The chain of ${topDescriptorPath} has more than ${MAX_LINKS} links`);
    const descriptor = parseDescriptor(await readFile(path, 'utf8'), path);
    const child = links.at(-1);
    if (child && child.descriptor.parentContentId !== descriptor.contentId) {
      throw new Error(`${basename(path)} changed after ${basename(child.descriptorPath)} was made on it (content IDs differ)`);
    }
    links.push({ descriptorPath: path, descriptor, extentPath: join(dirname(path), descriptor.extent.fileName) });
    const parent: string | undefined = descriptor.parentFileName;
    path = parent === undefined ? undefined : isAbsolute(parent) ? parent : join(dirname(path), parent);
  }
  return links;
}

/** A disk as its guest sees it: the links of one chain, topmost first, the last one flat. */
export class DiskChain {
  private constructor(
    readonly links: readonly ChainLink[],
    private readonly deltas: readonly SeSparseExtent[],
    private readonly base: FileHandle,
    readonly capacityBytes: number,
  ) {}

  /** Only the topmost link is opened for writing. */
  static async open(topDescriptorPath: string, mode: 'r' | 'r+'): Promise<DiskChain> {
    const links = await readChain(topDescriptorPath);
    const top = links[0] as ChainLink;
    const bottom = links.at(-1) as ChainLink;
    if (bottom.descriptor.extent.kind !== 'VMFS') throw new Error(`${bottom.descriptorPath} has no flat extent`);
    const deltas: SeSparseExtent[] = [];
    try {
      for (const link of links.slice(0, -1)) deltas.push(await SeSparseExtent.open(link.extentPath, link === top ? mode : 'r'));
      const base = await open(bottom.extentPath, links.length === 1 ? mode : 'r');
      return new DiskChain(links, deltas, base, top.descriptor.extent.sectors * 512);
    } catch (error) {
      await Promise.all(deltas.map((delta) => delta.close()));
      throw error;
    }
  }

  static async with<T>(topDescriptorPath: string, mode: 'r' | 'r+', work: (chain: DiskChain) => Promise<T>): Promise<T> {
    const chain = await DiskChain.open(topDescriptorPath, mode);
    try {
      return await work(chain);
    } finally {
      await chain.close();
    }
  }

  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    this.checkRange(offsetBytes, lengthBytes);
    const target = Buffer.alloc(lengthBytes);
    await this.readInto(target, 0, offsetBytes, lengthBytes, 0);
    return target;
  }

  async write(offsetBytes: number, bytes: Uint8Array): Promise<void> {
    this.checkRange(offsetBytes, bytes.length);
    const top = this.deltas[0];
    if (!top) {
      await writeFully(this.base, bytes, offsetBytes);
      return;
    }
    for (let done = 0; done < bytes.length; ) {
      const start = Math.floor((offsetBytes + done) / GRAIN_BYTES) * GRAIN_BYTES;
      const skip = offsetBytes + done - start;
      const length = Math.min(COPY_BYTES - skip, bytes.length - done);
      const grains = Buffer.alloc(Math.ceil((skip + length) / GRAIN_BYTES) * GRAIN_BYTES);
      await this.fillEdges(grains, start, skip, length);
      grains.set(bytes.subarray(done, done + length), skip);
      await top.writeGrains(start, grains);
      done += length;
    }
    await top.flush();
  }

  /** Reads zero afterwards; whole 4 KiB grains are not allocated any more. */
  async unmap(offsetBytes: number, lengthBytes: number): Promise<void> {
    this.checkRange(offsetBytes, lengthBytes);
    const end = offsetBytes + lengthBytes;
    const first = Math.min(end, Math.ceil(offsetBytes / GRAIN_BYTES) * GRAIN_BYTES);
    const last = end === this.capacityBytes ? end : Math.max(first, Math.floor(end / GRAIN_BYTES) * GRAIN_BYTES);
    if (first > offsetBytes) await this.write(offsetBytes, Buffer.alloc(first - offsetBytes));
    if (end > last) await this.write(last, Buffer.alloc(end - last));
    if (last <= first) return;
    const top = this.deltas[0];
    if (!top) {
      await punchHoles((this.links[0] as ChainLink).extentPath, [{ offsetBytes: first, lengthBytes: last - first }]);
      return;
    }
    await top.zeroGrains(first, last - first);
    await top.flush();
  }

  /** What of the disk is allocated in any link and not masked by a zero grain above it. */
  async allocatedExtents(): Promise<Extent[]> {
    await this.deltas[0]?.flush();
    const bottom = this.links.at(-1) as ChainLink;
    let extents = clip(await dataExtents(bottom.extentPath), this.capacityBytes);
    for (const delta of [...this.deltas].reverse()) {
      const own = await delta.ownExtents();
      extents = normalizeExtents([...subtractExtents(extents, own.zero), ...own.data]);
    }
    return clip(extents, this.capacityBytes);
  }

  /** Hands out every allocated byte that is in a piece with any other byte than zero, in order. */
  async copyTo(write: (offsetBytes: number, bytes: Buffer) => Promise<void>): Promise<void> {
    for (const extent of await this.allocatedExtents()) {
      for (let done = 0; done < extent.lengthBytes; done += COPY_BYTES) {
        const piece = await this.read(extent.offsetBytes + done, Math.min(COPY_BYTES, extent.lengthBytes - done));
        for (let at = 0; at < piece.length; at += ZERO_TEST_BYTES) {
          let end = at;
          while (end < piece.length && !isZero(piece, end)) end += ZERO_TEST_BYTES;
          if (end > at) await write(extent.offsetBytes + done + at, piece.subarray(at, end));
          at = end;
        }
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.deltas.map((delta) => delta.close()), this.base.close()]);
  }

  private async readInto(target: Buffer, targetOffset: number, offsetBytes: number, lengthBytes: number, level: number): Promise<void> {
    const delta = this.deltas[level];
    if (!delta) {
      await readFully(this.base, target, targetOffset, lengthBytes, offsetBytes);
      return;
    }
    for (const run of await delta.runs(offsetBytes, lengthBytes)) {
      const place = targetOffset + run.offsetBytes - offsetBytes;
      if (run.state === 'data') await delta.readRun(run, target, place);
      else if (run.state === 'absent') await this.readInto(target, place, run.offsetBytes, run.lengthBytes, level + 1);
    }
  }

  private async fillEdges(grains: Buffer, start: number, skip: number, length: number): Promise<void> {
    const tail = (skip + length) % GRAIN_BYTES;
    const lastGrain = grains.length - GRAIN_BYTES;
    const edges = new Set<number>();
    if (skip > 0) edges.add(0);
    if (tail !== 0) edges.add(lastGrain);
    for (const edge of edges) {
      const available = Math.min(GRAIN_BYTES, this.capacityBytes - start - edge);
      await this.readInto(grains, edge, start + edge, available, 0);
    }
  }

  private checkRange(offsetBytes: number, lengthBytes: number): void {
    const end = offsetBytes + lengthBytes;
    if (
      !Number.isSafeInteger(offsetBytes) ||
      !Number.isSafeInteger(end) ||
      offsetBytes < 0 ||
      lengthBytes < 0 ||
      end > this.capacityBytes
    ) {
      throw new RangeError(`Bytes ${offsetBytes} to ${end} are outside the disk of ${this.capacityBytes} bytes`);
    }
  }
}

/** Puts what a delta holds into its parent, as snapshot consolidation does. */
export async function mergeDelta(deltaPath: string, parentDescriptorPath: string): Promise<void> {
  const delta = await SeSparseExtent.open(deltaPath, 'r');
  try {
    await DiskChain.with(parentDescriptorPath, 'r+', async (parent) => {
      for (const run of await delta.ownRuns()) await mergeRun(delta, run, parent);
    });
  } finally {
    await delta.close();
  }
}

async function mergeRun(delta: SeSparseExtent, run: GrainRun, parent: DiskChain): Promise<void> {
  // The last grain of a disk may be longer than the disk.
  const lengthBytes = Math.min(run.lengthBytes, parent.capacityBytes - run.offsetBytes);
  if (run.state === 'zero') {
    await parent.unmap(run.offsetBytes, lengthBytes);
    return;
  }
  for (let done = 0; done < lengthBytes; done += COPY_BYTES) {
    const piece = Buffer.alloc(Math.min(COPY_BYTES, lengthBytes - done));
    await delta.readRun({ ...run, lengthBytes: piece.length, fileOffsetBytes: run.fileOffsetBytes + done }, piece, 0);
    await parent.write(run.offsetBytes + done, piece);
  }
}

function isZero(piece: Buffer, at: number): boolean {
  const end = Math.min(piece.length, at + ZERO_TEST_BYTES);
  return piece.compare(ZEROES, 0, end - at, at, end) === 0;
}

function clip(extents: readonly Extent[], capacityBytes: number): Extent[] {
  return normalizeExtents(
    extents
      .filter((e) => e.offsetBytes < capacityBytes)
      .map((e) => ({ offsetBytes: e.offsetBytes, lengthBytes: Math.min(e.lengthBytes, capacityBytes - e.offsetBytes) })),
  );
}

export async function readFully(
  file: FileHandle,
  target: Buffer,
  targetOffset: number,
  lengthBytes: number,
  position: number,
): Promise<void> {
  let done = 0;
  while (done < lengthBytes) {
    const { bytesRead } = await file.read(target, targetOffset + done, lengthBytes - done, position + done);
    if (bytesRead === 0) return;
    done += bytesRead;
  }
}

export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
