import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { consolidate, createBaseDisk, createDelta, DiskChain, SeSparseExtent } from './index.js';

const TIB = 2 ** 40;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sim-datastore-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Distinct and never zero, so that neither a shift nor a hole goes unnoticed. */
function pattern(lengthBytes: number, salt: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  for (let i = 0; i < lengthBytes; i += 1) bytes[i] = ((i * 31 + salt * 97 + Math.floor(i / 251)) % 255) + 1;
  return bytes;
}

async function makeDisk(capacityBytes: number): Promise<string> {
  const path = join(folder, 'web.vmdk');
  await createBaseDisk(path, {
    capacityBytes,
    uuid: '6000c291-0000-1111-2222-333344445555',
    thin: true,
    adapterType: 'lsilogic',
    hardwareVersion: 19,
  });
  return path;
}

describe('seSparse', () => {
  it.each([
    ['at the start', 0, 12],
    ['across a grain', 4090, 5000],
    ['across a grain table', 16 * 1024 * 1024 - 777, 2000],
    ['past 2 TiB', 2 * TIB + 12345, 70001],
    ['in the last, partial grain', 3 * TIB + 512 - 100, 100],
  ])('gives back what was written %s', async (_name, offsetBytes, lengthBytes) => {
    const base = await makeDisk(3 * TIB + 512);
    const top = await createDelta(base);
    const bytes = pattern(lengthBytes, 3);
    await DiskChain.with(base, 'r+', (disk) => disk.write(Math.max(0, offsetBytes - 9), pattern(9, 8)));
    await DiskChain.with(top, 'r+', (disk) => disk.write(offsetBytes, bytes));
    await DiskChain.with(top, 'r', async (disk) => {
      expect((await disk.read(offsetBytes, lengthBytes)).equals(bytes)).toBe(true);
      if (offsetBytes > 9) expect((await disk.read(offsetBytes - 9, 9)).equals(pattern(9, 8))).toBe(true);
    });
    expect((await stat(join(folder, 'web-000001-sesparse.vmdk'))).blocks * 512).toBeLessThan(4 * 1024 * 1024);
  });

  it('encodes grain indexes as qemu decodes them', async () => {
    const path = join(folder, 'delta');
    await SeSparseExtent.create(path, 64 * 1024 * 1024);
    const extent = await SeSparseExtent.open(path, 'r+');
    // More than 4096 grains: the index spills from the high 12 bits into the low 48.
    await extent.writeGrains(0, pattern(4200 * 4096, 1));
    await extent.close();
    const again = await SeSparseExtent.open(path, 'r');
    const runs = await again.runs(0, 4200 * 4096);
    const target = Buffer.alloc(4200 * 4096);
    for (const run of runs) await again.readRun(run, target, run.offsetBytes);
    await again.close();
    expect(target.equals(pattern(4200 * 4096, 1))).toBe(true);
    expect(runs).toHaveLength(1);
  });

  it('opens in qemu-img where there is one', async (context) => {
    try {
      execFileSync('qemu-img', ['--version']);
    } catch {
      context.skip();
    }
    const base = await makeDisk(8 * 1024 * 1024);
    const top = await createDelta(base);
    await DiskChain.with(top, 'r+', (disk) => disk.write(70_000, pattern(90_000, 5)));
    execFileSync('qemu-img', ['convert', '-O', 'raw', top, join(folder, 'out.raw')]);
    const { readFileSync } = await import('node:fs');
    const expected = await DiskChain.with(top, 'r', (disk) => disk.read(0, 8 * 1024 * 1024));
    expect(readFileSync(join(folder, 'out.raw')).equals(expected)).toBe(true);
  });
});

describe('a chain of snapshots', () => {
  it('equals a plain byte array after writes, unmaps, new links and removals anywhere', async () => {
    const capacity = 3 * 1024 * 1024 + 1536;
    const model = Buffer.alloc(capacity);
    const links = [await makeDisk(capacity)];
    let state = 12345;
    const random = (limit: number) => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state % limit;
    };
    for (let round = 0; round < 60; round += 1) {
      const top = links[0] as string;
      const offset = random(capacity);
      const length = Math.min(capacity - offset, random(200_000));
      await DiskChain.with(top, 'r+', async (disk) => {
        if (round % 3 === 2) {
          model.fill(0, offset, offset + length);
          await disk.unmap(offset, length);
        } else {
          const bytes = pattern(length, round);
          bytes.copy(model, offset);
          await disk.write(offset, bytes);
        }
      });
      if (round % 7 === 3) links.unshift(await createDelta(top));
      if (round % 11 === 8 && links.length > 1) {
        const parent = 1 + random(links.length - 1);
        await consolidate(links[parent] as string, links[parent - 1] as string, links[parent - 2]);
        links.splice(parent - 1, 1);
      }
      await DiskChain.with(links[0] as string, 'r', async (disk) => {
        expect((await disk.read(0, capacity)).equals(model)).toBe(true);
        const allocated = await disk.allocatedExtents();
        const outside = Buffer.from(model);
        for (const e of allocated) outside.fill(0, e.offsetBytes, e.offsetBytes + e.lengthBytes);
        expect(outside.some((byte) => byte !== 0)).toBe(false);
      });
    }
    expect((await readdir(folder)).filter((name) => name.endsWith('-sesparse.vmdk'))).toHaveLength(links.length - 1);
  });

  it('refuses a child whose parent changed behind it', async () => {
    const base = await makeDisk(1024 * 1024);
    const one = await createDelta(base);
    const two = await createDelta(one);
    await consolidate(base, one, undefined);
    await expect(DiskChain.open(two, 'r')).rejects.toThrow(/web-000001|no such file/i);
  });
});
