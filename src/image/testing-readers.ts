import assert from 'node:assert/strict';
import { inflateSync } from 'node:zlib';
import type { ByteSource } from './byte-source.js';
import { readSource } from './testing.js';

/** For specs: readers of the formats, written from their descriptions, sharing nothing with the writers. */

const GRAIN = 64 * 1024;

export type Fetch = (startBytes: number, lengthBytes: number) => Promise<Buffer>;
export const fetcher =
  (source: ByteSource): Fetch =>
  (start, length) =>
    readSource(source, start, start + length);

/** Reads one grain of the disk out of an image: written from the formats' descriptions, sharing nothing with the writers. */
export type GrainReader = (grain: number) => Promise<Buffer>;

export async function openSparseVmdk(fetch: Fetch): Promise<{ capacity: number; grain: GrainReader; descriptor: string }> {
  const header = await fetch(0, 512);
  assert.equal(header.toString('latin1', 0, 4), 'KDMV');
  assert.equal(header.readUInt32LE(4), 1);
  assert.equal(header.readUInt32LE(8), 3);
  assert.equal(header.toString('latin1', 73, 77), '\n \r\n');
  const u64 = (at: number) => Number(header.readBigUInt64LE(at));
  const [grainSectors, perTable] = [u64(20), header.readUInt32LE(44)];
  assert.deepEqual([grainSectors, perTable], [128, 512]);
  const grain = async (index: number) => {
    const at = (directory: number) => async () => {
      const table = (await fetch(directory * 512 + Math.floor(index / perTable) * 4, 4)).readUInt32LE(0);
      assert(table > 0);
      return (await fetch(table * 512 + (index % perTable) * 4, 4)).readUInt32LE(0);
    };
    const [first, second] = [await at(u64(56))(), await at(u64(48))()];
    assert.equal(second, first);
    if (first === 0) return Buffer.alloc(GRAIN);
    assert(first >= u64(64));
    return fetch(first * 512, GRAIN);
  };
  const descriptor = (await fetch(u64(28) * 512, u64(36) * 512)).toString('latin1').replace(/\0+$/, '');
  return { capacity: u64(12) * 512, grain, descriptor };
}

/** By its footer, as a program with the whole file does. */
export async function openStream(image: Buffer): Promise<{ capacity: number; grain: GrainReader; lbas: number[] }> {
  const u64 = (at: number) => Number(image.readBigUInt64LE(at));
  assert.equal(image.readUInt32LE(4), 3);
  assert.equal(image.readUInt32LE(8), 0x30001);
  assert.equal(image.readBigUInt64LE(56), 2n ** 64n - 1n);
  assert.equal(image.readUInt16LE(77), 1);
  const end = image.length;
  assert.equal(image.subarray(end - 512).equals(Buffer.alloc(512)), true);
  const footer = end - 1024;
  assert.equal(image.toString('latin1', footer, footer + 4), 'KDMV');
  assert.deepEqual([u64(footer - 512), image.readUInt32LE(footer - 504), image.readUInt32LE(footer - 500)], [1, 0, 3]);
  const directory = u64(footer + 56) * 512;
  assert.equal(image.readUInt32LE(directory - 500), 2);
  const grain = async (index: number) => {
    await Promise.resolve();
    const table = image.readUInt32LE(directory + Math.floor(index / 512) * 4) * 512;
    if (table === 0) return Buffer.alloc(GRAIN);
    assert.equal(image.readUInt32LE(table - 500), 1);
    const at = image.readUInt32LE(table + (index % 512) * 4) * 512;
    if (at === 0) return Buffer.alloc(GRAIN);
    assert.equal(u64(at), index * 128);
    return inflateSync(image.subarray(at + 12, at + 12 + image.readUInt32LE(at + 8)));
  };
  return { capacity: u64(12) * 512, grain, lbas: walkStream(image, footer) };
}

/** Marker by marker from the front, as a program that is sent the file does. @returns where on the disk each grain is. */
function walkStream(image: Buffer, footer: number): number[] {
  const lbas: number[] = [];
  let at = Number(image.readBigUInt64LE(64)) * 512;
  while (at < footer - 512) {
    const [value, size] = [Number(image.readBigUInt64LE(at)), image.readUInt32LE(at + 8)];
    if (size > 0) {
      lbas.push(value);
      at += Math.ceil((12 + size) / 512) * 512;
    } else at += 512 + value * 512;
  }
  assert.equal(at, footer - 512);
  return lbas;
}

export async function openQcow2(
  fetch: Fetch,
  sizeBytes: number,
): Promise<{ capacity: number; grain: GrainReader; used: () => Promise<void> }> {
  const header = await fetch(0, 112);
  assert.equal(header.toString('latin1', 0, 4), 'QFI\xfb');
  const u64 = (bytes: Buffer, at: number) => Number(bytes.readBigUInt64BE(at) & 0x00fffffffffffe00n);
  assert.deepEqual(
    [4, 20, 96, 100].map((at) => header.readUInt32BE(at)),
    [3, 16, 4, 104],
  );
  const [tableAt, refcountsAt] = [u64(header, 40), u64(header, 48)];
  const grain = async (index: number) => {
    const one = await fetch(tableAt + Math.floor(index / 8192) * 8, 8);
    if (u64(one, 0) === 0) return Buffer.alloc(GRAIN);
    assert.equal(one.readUInt32BE(0) >>> 31, 1);
    const two = await fetch(u64(one, 0) + (index % 8192) * 8, 8);
    return u64(two, 0) === 0 ? Buffer.alloc(GRAIN) : fetch(u64(two, 0), GRAIN);
  };
  /** Each cluster of the file is counted once, and nothing past its end. */
  const used = async () => {
    const clusters = sizeBytes / GRAIN;
    const table = await fetch(refcountsAt, header.readUInt32BE(56) * GRAIN);
    let counted = 0;
    for (let block = 0; block < table.length / 8 && u64(table, block * 8) > 0; block += 1) {
      const counts = await fetch(u64(table, block * 8), GRAIN);
      for (let i = 0; i < GRAIN / 2; i += 1) {
        if (counts.readUInt16BE(i * 2) !== (counted < clusters ? 1 : 0)) throw new Error(`cluster ${counted} is counted wrong`);
        counted += 1;
      }
    }
    assert(counted >= clusters);
  };
  return { capacity: Number(header.readBigUInt64BE(24)), grain, used };
}

/** The whole disk out of an image. */
export async function diskOf({ capacity, grain }: { capacity: number; grain: GrainReader }): Promise<Buffer> {
  const grains: Buffer[] = [];
  for (let index = 0; index * GRAIN < capacity; index += 1) grains.push(await grain(index));
  return Buffer.concat(grains).subarray(0, capacity);
}

/** Parts of a file that was downloaded. */
export const partsOf =
  (file: Buffer): Fetch =>
  (start, length) =>
    Promise.resolve(file.subarray(start, start + length));
