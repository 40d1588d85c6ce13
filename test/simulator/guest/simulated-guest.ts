import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { normalizeExtents, subtractExtents, type Extent } from '../../../src/disk/index.js';
import {
  createSparseFile,
  dataExtents,
  DiskChain,
  loadTracking,
  punchHoles,
  readFully,
  saveTracking,
  writeFully,
} from '../datastore/index.js';
import { devicesOf } from '../model/configuration.js';
import { isDisk } from '../model/devices.js';
import type { Inventory } from '../model/inventory.js';
import { numberAt, objectAt, stringAt } from '../model/vim.js';
import { SimFault, type ByteRange, type ContentKind, type DiskComparison, type GuestAccess } from '../model/vsphere-types.js';
import { addFile, checkExt4, fileExtents, formatExt4, hasTool, listFiles, looksLikeExt4, removeFile } from './ext4.js';
import { seededBytes, seededNumbers } from './random-bytes.js';

const BLOCK_BYTES = 65536;
const PIECE_BYTES = 1024 * 1024;

/** The operating system inside the VMs: it sees disks, not links, and what it writes is tracked. */
export class SimulatedGuest implements GuestAccess {
  constructor(private readonly inventory: Inventory) {}

  read(moRef: string, diskKey: number, offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    return this.locked(moRef, diskKey, 'r', (disk) => disk.chain.read(offsetBytes, lengthBytes));
  }

  write(moRef: string, diskKey: number, offsetBytes: number, bytes: Uint8Array): Promise<void> {
    return this.locked(moRef, diskKey, 'r+', (disk) => disk.write(offsetBytes, bytes));
  }

  unmap(moRef: string, diskKey: number, offsetBytes: number, lengthBytes: number): Promise<void> {
    return this.locked(moRef, diskKey, 'r+', (disk) => disk.unmap([{ offsetBytes, lengthBytes }]));
  }

  makeFileSystem(moRef: string, diskKey: number, options: { seed: string; dataBytes: number; label?: string }): Promise<ContentKind> {
    return this.locked(moRef, diskKey, 'r+', async (disk) => {
      if (!(await hasTool('mke2fs'))) {
        await writePattern(disk, options);
        return 'pattern';
      }
      const format = (path: string) =>
        formatExt4(path, { seed: options.seed, dataBytes: options.dataBytes, label: options.label ?? 'data' });
      const only = disk.chain.links.length === 1 ? disk.chain.links[0] : undefined;
      if (only) {
        // No delta in between: mke2fs may write the flat extent itself.
        const before = await disk.chain.allocatedExtents();
        await punchHoles(only.extentPath, before);
        await format(only.extentPath);
        disk.mark([...before, ...(await disk.chain.allocatedExtents())]);
      } else {
        await disk.edit(async (image) => {
          await createSparseFile(image, disk.chain.capacityBytes);
          await format(image);
        });
      }
      return 'ext4';
    });
  }

  scatteredWrites(moRef: string, diskKey: number, options: { seed: string; count: number }): Promise<ByteRange[]> {
    return this.locked(moRef, diskKey, 'r+', async (disk) => {
      const candidates = blocksInside(await disk.writableExtents());
      const next = seededNumbers(options.seed);
      const written: ByteRange[] = [];
      for (let index = 0; index < options.count && candidates.length > 0; index += 1) {
        const at = next(candidates.length);
        const offsetBytes = candidates[at] as number;
        candidates.splice(at, 1);
        await disk.write(offsetBytes, seededBytes(`${options.seed}/${index}`, BLOCK_BYTES));
        written.push({ offsetBytes, lengthBytes: BLOCK_BYTES });
      }
      return written;
    });
  }

  writeLargeFile(moRef: string, diskKey: number, options: { seed: string; lengthBytes: number; name?: string }): Promise<ByteRange[]> {
    return this.locked(moRef, diskKey, 'r+', async (disk) => {
      const bytes = seededBytes(options.seed, options.lengthBytes);
      if (!(await disk.isExt4())) {
        const free = subtractExtents([{ offsetBytes: 0, lengthBytes: disk.chain.capacityBytes }], await disk.chain.allocatedExtents());
        const offsetBytes =
          Math.ceil((free.find((e) => e.lengthBytes >= bytes.length + BLOCK_BYTES)?.offsetBytes ?? 0) / BLOCK_BYTES) * BLOCK_BYTES;
        await disk.write(offsetBytes, bytes);
        return [{ offsetBytes, lengthBytes: bytes.length }];
      }
      return disk.edit(async (image) => {
        const source = `${image}.source`;
        await writeFile(source, bytes);
        await addFile(image, source, options.name ?? `large-${options.seed.replace(/[^\w-]/g, '_')}.bin`);
        await rm(source);
      });
    });
  }

  unmapFile(moRef: string, diskKey: number): Promise<ByteRange[]> {
    return this.locked(moRef, diskKey, 'r+', async (disk) => {
      if (!(await disk.isExt4())) {
        const range = (await disk.chain.allocatedExtents()).at(-1);
        if (!range) return [];
        await disk.unmap([range]);
        return [range];
      }
      let gone: Extent[] = [];
      await disk.edit(async (image) => {
        const files = await listFiles(image);
        const victim = files.filter((file) => file.sizeBytes >= 1024 * 1024).at(-1);
        if (!victim) throw new Error('There is no file of 1 MiB or more to delete');
        gone = await fileExtents(image, victim.path);
        await removeFile(image, victim.path);
        // What a guest mounted with discard sends down after the delete.
        await punchHoles(image, gone);
      });
      return gone;
    });
  }

  contentHash(moRef: string, diskKey: number): Promise<string> {
    return this.locked(moRef, diskKey, 'r', async ({ chain }) => {
      const hash = createHash('sha256');
      for (let at = 0; at < chain.capacityBytes; at += PIECE_BYTES) {
        hash.update(await chain.read(at, Math.min(PIECE_BYTES, chain.capacityBytes - at)));
      }
      return hash.digest('hex');
    });
  }

  async keepContent(name: string, moRef: string): Promise<void> {
    const folder = this.keptFolder(name, moRef);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    for (const [index, disk] of this.disks(moRef).entries()) {
      await this.locked(moRef, disk.key, 'r', ({ chain }) => exportRaw(chain, join(folder, `${index}.raw`)));
    }
  }

  async compareContent(name: string, keptMoRef: string, moRef: string): Promise<DiskComparison[]> {
    const folder = this.keptFolder(name, keptMoRef);
    const results: DiskComparison[] = [];
    const disks = this.disks(moRef);
    for (let index = 0; ; index += 1) {
      const kept = join(folder, `${index}.raw`);
      const keptCapacityBytes = await stat(kept).then(
        (info) => info.size,
        () => undefined,
      );
      const disk = disks[index];
      if (keptCapacityBytes === undefined && !disk) return results;
      if (keptCapacityBytes === undefined && index === 0)
        throw new SimFault('NotFound', `Nothing of ${keptMoRef} was kept under "${name}".`);
      if (!disk || keptCapacityBytes === undefined) {
        const missing = keptCapacityBytes ?? disk?.capacityBytes ?? 0;
        results.push({
          diskKey: disk?.key ?? 0,
          label: disk?.label ?? '(missing)',
          keptCapacityBytes: keptCapacityBytes ?? 0,
          capacityBytes: disk?.capacityBytes ?? 0,
          differingBytes: missing,
          firstDifferenceBytes: 0,
          contentKind: 'empty',
          fileSystemCheck: undefined,
        });
        continue;
      }
      results.push(await this.locked(moRef, disk.key, 'r', (open) => compareDisk(open, kept, keptCapacityBytes, disk)));
    }
  }

  private keptFolder(name: string, moRef: string): string {
    if (!/^[\w.-]{1,100}$/.test(name) || !/^[\w-]+$/.test(moRef))
      throw new SimFault('InvalidArgument', `"${name}" is not a name to keep content under.`);
    return join(this.inventory.dataDir, 'kept', name, moRef);
  }

  private disks(moRef: string): { key: number; label: string; capacityBytes: number }[] {
    return devicesOf(this.inventory.vm(moRef).config)
      .filter(isDisk)
      .map((device) => ({
        key: device.key as number,
        label: stringAt(objectAt(device, 'deviceInfo'), 'label') ?? '',
        capacityBytes: numberAt(device, 'capacityInBytes') as number,
      }));
  }

  private locked<T>(moRef: string, diskKey: number, mode: 'r' | 'r+', work: (disk: GuestDisk) => Promise<T>): Promise<T> {
    return this.inventory.locked(moRef, async () => {
      const device = devicesOf(this.inventory.vm(moRef).config).find((candidate) => isDisk(candidate) && candidate.key === diskKey);
      if (!device) throw new SimFault('DeviceNotFound', `${moRef} has no disk with key ${diskKey}.`);
      const path = this.inventory.absolutePath(objectAt(device, 'backing')?.fileName as string);
      return DiskChain.with(path, mode, async (chain) => {
        const disk = new GuestDisk(chain, path);
        try {
          return await work(disk);
        } finally {
          if (mode === 'r+') await disk.saveMarks();
        }
      });
    });
  }
}

/** One open disk, and what was written to it. */
class GuestDisk {
  private readonly written: Extent[] = [];

  constructor(
    readonly chain: DiskChain,
    private readonly topPath: string,
  ) {}

  async write(offsetBytes: number, bytes: Uint8Array): Promise<void> {
    this.mark([{ offsetBytes, lengthBytes: bytes.length }]);
    await this.chain.write(offsetBytes, bytes);
  }

  async unmap(extents: readonly Extent[]): Promise<void> {
    this.mark(extents);
    for (const { offsetBytes, lengthBytes } of extents) await this.chain.unmap(offsetBytes, lengthBytes);
  }

  mark(extents: readonly Extent[]): void {
    this.written.push(...extents);
  }

  async saveMarks(): Promise<void> {
    if (this.written.length === 0) return;
    const tracking = await loadTracking(this.topPath);
    if (!tracking) return;
    tracking.mark(this.written);
    await saveTracking(this.topPath, tracking);
  }

  async isExt4(): Promise<boolean> {
    const first = await this.chain.read(0, Math.min(4096, this.chain.capacityBytes));
    return looksLikeExt4(first) && (await hasTool('debugfs'));
  }

  /** Inside files' data where there is a file system, else anything allocated. */
  async writableExtents(): Promise<Extent[]> {
    if (!(await this.isExt4())) return this.chain.allocatedExtents();
    return withTemporaryImage(async (image) => {
      await exportRaw(this.chain, image);
      const extents: Extent[] = [];
      for (const file of await listFiles(image)) if (file.sizeBytes >= BLOCK_BYTES) extents.push(...(await fileExtents(image, file.path)));
      return normalizeExtents(extents);
    });
  }

  /** Lets a tool change a raw copy of the disk, then writes through the chain what became different. */
  edit(change: (imagePath: string) => Promise<void>): Promise<ByteRange[]> {
    return withTemporaryImage(async (image) => {
      await exportRaw(this.chain, image);
      const before = await this.chain.allocatedExtents();
      const copied = await dataExtents(image);
      await change(image);
      const after = await dataExtents(image);
      const written: ByteRange[] = [];
      const file = await open(image, 'r');
      try {
        for (const piece of pieces(after, BLOCK_BYTES)) {
          const bytes = Buffer.alloc(piece.lengthBytes);
          await readFully(file, bytes, 0, piece.lengthBytes, piece.offsetBytes);
          if (bytes.equals(await this.chain.read(piece.offsetBytes, piece.lengthBytes))) continue;
          await this.write(piece.offsetBytes, bytes);
          written.push(piece);
        }
      } finally {
        await file.close();
      }
      // A zero block of the disk is a hole of the copy already: only what the tool itself freed is unmapped.
      const freed = subtractExtents(copied, after);
      const keep = subtractExtents([{ offsetBytes: 0, lengthBytes: this.chain.capacityBytes }], freed);
      await this.unmap(subtractExtents(before, keep));
      return normalizeExtents([...written, ...freed]);
    });
  }
}

async function withTemporaryImage<T>(work: (imagePath: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'sim-guest-'));
  try {
    return await work(join(folder, 'image.raw'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function exportRaw(chain: DiskChain, path: string): Promise<void> {
  await createSparseFile(path, chain.capacityBytes);
  const file = await open(path, 'r+');
  try {
    await chain.copyTo((offsetBytes, bytes) => writeFully(file, bytes, offsetBytes));
  } finally {
    await file.close();
  }
}

async function writePattern(disk: GuestDisk, options: { seed: string; dataBytes: number }): Promise<void> {
  const total = Math.min(options.dataBytes, disk.chain.capacityBytes);
  for (let done = 0; done < total; done += PIECE_BYTES) {
    await disk.write(done, seededBytes(`${options.seed}/${done}`, Math.min(PIECE_BYTES, total - done)));
  }
}

function blocksInside(extents: readonly Extent[]): number[] {
  const blocks: number[] = [];
  for (const { offsetBytes, lengthBytes } of extents) {
    const first = Math.ceil(offsetBytes / BLOCK_BYTES) * BLOCK_BYTES;
    for (let at = first; at + BLOCK_BYTES <= offsetBytes + lengthBytes; at += BLOCK_BYTES) blocks.push(at);
  }
  return blocks;
}

/** Extents cut at multiples of `size`. */
function* pieces(extents: readonly Extent[], size: number): Generator<Extent> {
  for (const { offsetBytes, lengthBytes } of extents) {
    const end = offsetBytes + lengthBytes;
    for (let at = offsetBytes; at < end; ) {
      const next = Math.min(end, (Math.floor(at / size) + 1) * size);
      yield { offsetBytes: at, lengthBytes: next - at };
      at = next;
    }
  }
}

async function compareDisk(
  disk: GuestDisk,
  keptPath: string,
  keptCapacityBytes: number,
  device: { key: number; label: string; capacityBytes: number },
): Promise<DiskComparison> {
  const common = Math.min(keptCapacityBytes, disk.chain.capacityBytes);
  const anywhere = normalizeExtents([...(await dataExtents(keptPath)), ...(await disk.chain.allocatedExtents())]);
  let differingBytes = Math.abs(keptCapacityBytes - disk.chain.capacityBytes);
  let firstDifferenceBytes = differingBytes > 0 ? common : undefined;
  const file = await open(keptPath, 'r');
  try {
    for (const piece of pieces(anywhere, PIECE_BYTES)) {
      const length = Math.min(piece.lengthBytes, common - piece.offsetBytes);
      if (length <= 0) continue;
      const kept = Buffer.alloc(length);
      await readFully(file, kept, 0, length, piece.offsetBytes);
      const now = await disk.chain.read(piece.offsetBytes, length);
      if (kept.equals(now)) continue;
      for (let i = 0; i < length; i += 1) {
        if (kept[i] === now[i]) continue;
        differingBytes += 1;
        firstDifferenceBytes = Math.min(firstDifferenceBytes ?? Number.MAX_SAFE_INTEGER, piece.offsetBytes + i);
      }
    }
  } finally {
    await file.close();
  }
  const ext4 = looksLikeExt4(await disk.chain.read(0, Math.min(4096, disk.chain.capacityBytes)));
  const check = ext4 && (await hasTool('e2fsck'));
  return {
    diskKey: device.key,
    label: device.label,
    keptCapacityBytes,
    capacityBytes: disk.chain.capacityBytes,
    differingBytes,
    firstDifferenceBytes,
    contentKind: ext4 ? 'ext4' : anywhere.length > 0 ? 'pattern' : 'empty',
    fileSystemCheck: check
      ? await withTemporaryImage(async (image) => exportRaw(disk.chain, image).then(() => checkExt4(image)))
      : undefined,
  };
}
