import { describe, expect, it } from 'vitest';
import { AllocatedGrains } from './allocated-grains.js';
import { readAhead } from './byte-source.js';
import { rawImage } from './grain-data.js';
import { qcow2Image } from './qcow2.js';
import { storedStream } from './stored-stream.js';
import { fetcher, type GrainReader, openQcow2, openSparseVmdk, openStream } from './testing-readers.js';
import { collect, PatternDisk, readSource } from './testing.js';
import { sparseVmdk } from './vmdk-sparse.js';
import { deflatedStream } from './vmdk-stream.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const TIB = 1024 * GIB;
const GRAIN = 64 * KIB;
const signal = new AbortController().signal;
const labels = { fileName: 'disk.vmdk', contentId: 0x1234abcd };

/** Grains to look at: the first, the last, those around every chunk with data, and some without. */
function grainsToTry(disk: PatternDisk): number[] {
  const last = Math.ceil(disk.capacityBytes / GRAIN) - 1;
  const around = disk.indices.flatMap((chunk) => {
    const first = Math.floor((chunk * disk.chunkBytes) / GRAIN);
    return [first - 1, first, first + Math.max(1, disk.chunkBytes / GRAIN) - 1, first + disk.chunkBytes / GRAIN];
  });
  return [...new Set([0, 1, last, ...around])].filter((grain) => Number.isInteger(grain) && grain >= 0 && grain <= last);
}

async function assertSame(disk: PatternDisk, grain: GrainReader): Promise<void> {
  for (const index of grainsToTry(disk)) {
    const held = await grain(index);
    expect(held.equals(disk.at(index * GRAIN, GRAIN)), `grain ${index}`).toBe(true);
  }
}

const small = { capacityBytes: 1100 * MIB + 512, chunks: [0, 3, 4, 700, 2047, 2048, 3000, 4399, 4400] };
const disks: [string, PatternDisk][] = [
  ['of 256 KiB chunks', new PatternDisk({ ...small, chunkBytes: 256 * KIB })],
  [
    'of 4 KiB chunks, a grain shared by several',
    new PatternDisk({ capacityBytes: 40 * MIB + 512, chunkBytes: 4 * KIB, chunks: [0, 1, 15, 17, 8191, 8192, 9000, 10240] }),
  ],
  ['of 4 MiB chunks', new PatternDisk({ capacityBytes: 600 * MIB + 512, chunkBytes: 4 * MIB, chunks: [1, 127, 128, 150] })],
  ['of zeros', new PatternDisk({ capacityBytes: 70 * MIB, chunkBytes: 256 * KIB, chunks: [] })],
  ['of one sector', new PatternDisk({ capacityBytes: 512, chunkBytes: 256 * KIB, chunks: [0] })],
  [
    'past 2 TiB',
    new PatternDisk({
      capacityBytes: 3 * TIB + 512,
      chunkBytes: 256 * KIB,
      chunks: [0, 5, 8 * 1024 * 1024 - 1, 8 * 1024 * 1024, 12 * 1024 * 1024],
    }),
  ],
];

describe.each(disks)('a disk %s', (_name, disk) => {
  it('is the same as monolithicSparse', async () => {
    const source = sparseVmdk(await AllocatedGrains.survey(disk), labels, 'the disk');
    const { capacity, grain, descriptor } = await openSparseVmdk(fetcher(source));
    expect(capacity).toBe(disk.capacityBytes);
    expect(descriptor).toContain(`RW ${disk.capacityBytes / 512} SPARSE "disk.vmdk"`);
    expect(descriptor).toContain('CID=1234abcd');
    await assertSame(disk, grain);
  });

  it('is the same as qcow2', async () => {
    const source = qcow2Image(await AllocatedGrains.survey(disk), 'the disk');
    const { capacity, grain, used } = await openQcow2(fetcher(source), source.sizeBytes);
    expect(capacity).toBe(disk.capacityBytes);
    await assertSame(disk, grain);
    await used();
  });

  it('is the same as streamOptimized, deflated and stored', async () => {
    const grains = await AllocatedGrains.survey(disk);
    const stored = storedStream(grains, labels, 'the disk');
    for (const image of [await collect(deflatedStream(grains, labels, 'the disk', signal)), await readSource(stored)]) {
      const { capacity, grain, lbas } = await openStream(image);
      expect(capacity).toBe(disk.capacityBytes);
      expect(lbas).toEqual(lbas.toSorted((a, b) => a - b));
      expect(lbas).toHaveLength(grains.allocated);
      await assertSame(disk, grain);
    }
  });

  it('comes in parts as it comes whole', async () => {
    const grains = await AllocatedGrains.survey(disk);
    const sources = [
      sparseVmdk(grains, labels, 'the disk'),
      qcow2Image(grains, 'the disk'),
      storedStream(grains, labels, 'the disk'),
      rawImage(disk),
      rawImage(disk, disk.capacityBytes - 100),
    ];
    for (const source of sources.filter(({ sizeBytes }) => sizeBytes < 64 * MIB)) {
      const whole = await readSource(source);
      expect(whole).toHaveLength(source.sizeBytes);
      for (const [start, end] of ranges(source.sizeBytes)) {
        expect((await readSource(source, start, end)).equals(whole.subarray(start, end)), `${start} to ${end}`).toBe(true);
      }
    }
  });
});

/** Odd places: around borders of clusters, grains, tables and the end. */
function ranges(sizeBytes: number): [number, number][] {
  let seed = 11;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  const starts = Array.from({ length: 10 }, (_, i) =>
    i % 2 === 0 ? random(sizeBytes) : Math.max(0, random(Math.ceil(sizeBytes / GRAIN)) * GRAIN - 1),
  );
  return [
    [0, 1],
    [sizeBytes - 1, sizeBytes],
    ...starts.map((start): [number, number] => [Math.min(start, sizeBytes - 1), Math.min(sizeBytes, start + 1 + random(MIB))]),
  ];
}

describe('the raw image', () => {
  it('is right at both sides of 2 TiB, and reads nothing where there is nothing', async () => {
    const disk = new PatternDisk({ capacityBytes: 62 * TIB, chunkBytes: 256 * KIB, chunks: [2 ** 23 - 1, 2 ** 23, 62 * 2 ** 22 - 1] });
    const image = rawImage(disk);
    for (const start of [2 * TIB - 300 * KIB, 2 * TIB - 512, 62 * TIB - 512]) {
      const end = Math.min(start + 700 * KIB, image.sizeBytes);
      expect((await readSource(image, start, end)).equals(disk.at(start, end - start))).toBe(true);
    }
    disk.reads = 0;
    expect((await readSource(image, 5 * TIB, 5 * TIB + MIB)).equals(Buffer.alloc(MIB))).toBe(true);
    expect(disk.reads).toBe(0);
  });
});

describe('a disk of 62 TiB', () => {
  const disk = new PatternDisk({ capacityBytes: 62 * TIB, chunkBytes: 256 * KIB, chunks: [0, 2 ** 23, 62 * 2 ** 22 - 1] });

  it('is right in VMDK and qcow2, at its far end too', async () => {
    const grains = await AllocatedGrains.survey(disk);
    const vmdk = await openSparseVmdk(fetcher(sparseVmdk(grains, labels, 'the disk')));
    const qcow2 = qcow2Image(grains, 'the disk');
    const { grain, capacity } = await openQcow2(fetcher(qcow2), qcow2.sizeBytes);
    expect([vmdk.capacity, capacity]).toEqual([62 * TIB, 62 * TIB]);
    await assertSame(disk, vmdk.grain);
    await assertSame(disk, grain);
  });

  it('is right in a stream that names its places in 64 bits', async () => {
    const image = await readSource(storedStream(await AllocatedGrains.survey(disk), labels, 'the disk'));
    const { grain, lbas } = await openStream(image);
    expect(lbas.at(-1)).toBe((62 * TIB) / 512 - 128);
    await assertSame(disk, grain);
  });
});

describe('what a VMDK cannot say', () => {
  /** All of it is data. */
  const full = new PatternDisk({ capacityBytes: 2 * TIB, chunkBytes: 4 * MIB, chunks: [] });
  full.dataChunks = async function* (_signal, first = 0) {
    await Promise.resolve();
    for (let at = first - (first % 4096); at < 2 ** 19; at += 4096) yield Array.from({ length: 4096 }, (_, i) => at + i);
  };

  it('is refused by name before the first byte, and said by the other formats', async () => {
    const grains = await AllocatedGrains.survey(full);
    const refusal = { code: 'IMAGE_TOO_LARGE', message: expect.stringContaining('Hard disk 1 holds so much data') };
    expect(() => sparseVmdk(grains, labels, 'Hard disk 1')).toThrow(expect.objectContaining(refusal));
    expect(() => storedStream(grains, labels, 'Hard disk 1')).toThrow(expect.objectContaining(refusal));
    await expect(deflatedStream(grains, labels, 'Hard disk 1', signal).next()).rejects.toMatchObject(refusal);
    const qcow2 = qcow2Image(grains, 'Hard disk 1');
    const { grain } = await openQcow2(fetcher(qcow2), qcow2.sizeBytes);
    full.indices.push(2 ** 19 - 1);
    expect((await grain(2 ** 25 - 1)).equals(full.at(2 * TIB - GRAIN, GRAIN))).toBe(true);
  });

  it('is a disk that is no whole number of sectors', async () => {
    const grains = await AllocatedGrains.survey(new PatternDisk({ capacityBytes: 1000, chunkBytes: 4 * KIB, chunks: [0] }));
    expect(() => qcow2Image(grains, 'x')).toThrow(expect.objectContaining({ code: 'IMAGE_CAPACITY_INVALID' }));
  });
});

describe('reading ahead', () => {
  it('is one piece ahead at most, ends what it began, and passes the failure on after what came before', async () => {
    let made = 0;
    let ended = false;
    const pieces = async function* () {
      try {
        for (; made < 5; ) {
          made += 1;
          yield await Promise.resolve(Buffer.from([made]));
        }
        throw new Error('damaged');
      } finally {
        ended = true;
      }
    };
    const stream = readAhead(pieces());
    expect((await stream.next()).value).toEqual(Buffer.from([1]));
    expect(made).toBeLessThanOrEqual(2);
    await stream.return(undefined);
    expect(ended).toBe(true);

    made = 0;
    const seen: number[] = [];
    const all = async () => {
      for await (const [value] of readAhead(pieces())) seen.push(value as number);
    };
    await expect(all()).rejects.toThrow('damaged');
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });
});
