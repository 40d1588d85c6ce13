import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KIB, MIB, TIB } from '../../src/common/index.js';
import type { VddkDiskApi, VddkHost } from '../../src/vddk/index.js';
import { SeSparseExtent } from '../simulator/datastore/sesparse.js';
import { FakeDoor, pattern, seSparse, Workshop } from './vddk-fixtures.js';

const workshop = new Workshop();
let host: VddkHost;
beforeAll(async () => {
  host = await workshop.startHost();
});
afterAll(() => workshop.clear());

async function openHosted(path: string, readOnly = true): Promise<VddkDiskApi> {
  return (await host.connectHosted({ readOnly })).openDisk(path, {});
}

async function openThroughDoor(door: FakeDoor, path: string, readOnly: boolean): Promise<VddkDiskApi> {
  const connection = await host.connect(door.target(), { readOnly, snapshotMoRef: 'snapshot-12', transportModes: 'nbdssl:nbd' });
  return connection.openDisk(path, {});
}

async function readAll(disk: VddkDiskApi, offsetBytes: number, lengthBytes: number): Promise<Buffer> {
  host.memory.fill(0xee, 0, lengthBytes);
  await disk.read([{ offsetBytes, lengthBytes, memoryOffset: 0 }]);
  return Buffer.from(host.memory.subarray(0, lengthBytes));
}

describe('a flat disk', () => {
  it('is read where it holds data, beyond 2 TiB too, and is zero where it holds none', async () => {
    const capacity = 3 * TIB + 40 * KIB;
    const [near, far, tail] = [pattern('near', 128 * KIB), pattern('far', MIB), pattern('tail', 8 * KIB)];
    workshop.sparseFile('big-flat.vmdk', capacity, [
      [64 * KIB, near],
      [2 * TIB + 5 * MIB, far],
      [capacity - 8 * KIB, tail],
    ]);
    const disk = await openHosted(workshop.descriptor('big.vmdk', [`RW ${capacity / 512} VMFS "big-flat.vmdk"`]));
    expect(disk.capacityBytes).toBe(capacity);
    expect(disk.transportMode).toBe('file');
    expect((await readAll(disk, 64 * KIB, 128 * KIB)).equals(near)).toBe(true);
    expect((await readAll(disk, 2 * TIB + 5 * MIB, MIB)).equals(far)).toBe(true);
    expect((await readAll(disk, capacity - 8 * KIB, 8 * KIB)).equals(tail)).toBe(true);
    // A request that begins in a hole and ends in data.
    const mixed = await readAll(disk, 2 * TIB + 5 * MIB - 64 * KIB, 128 * KIB);
    expect(mixed.equals(Buffer.concat([Buffer.alloc(64 * KIB), far.subarray(0, 64 * KIB)]))).toBe(true);
    expect(await disk.queryAllocated()).toEqual([
      { offsetBytes: 64 * KIB, lengthBytes: 128 * KIB },
      { offsetBytes: 2 * TIB + 5 * MIB, lengthBytes: MIB },
      // Below one 64 KiB unit nothing can be asked: the tail counts as allocated.
      { offsetBytes: 3 * TIB, lengthBytes: 40 * KIB },
    ]);
    await disk.close();
  });

  it('reads a long batch, more than the depth and in any order, each piece to its place', async () => {
    const data = pattern('batch', 4 * MIB);
    workshop.sparseFile('batch-flat.vmdk', 8 * MIB, [[2 * MIB, data]]);
    const disk = await openHosted(workshop.descriptor('batch.vmdk', [`RW ${(8 * MIB) / 512} VMFS "batch-flat.vmdk"`]));
    const requests = Array.from({ length: 64 }, (_, i) => ({
      offsetBytes: 2 * MIB + ((i * 37) % 64) * 64 * KIB,
      lengthBytes: 64 * KIB,
      memoryOffset: 4 * MIB + ((i * 37) % 64) * 64 * KIB,
    }));
    await disk.read(requests);
    expect(host.memory.subarray(4 * MIB, 8 * MIB).equals(data)).toBe(true);
    await disk.close();
  });

  it('shows its metadata and takes new entries', async () => {
    workshop.sparseFile('meta-flat.vmdk', MIB);
    const path = workshop.descriptor('meta.vmdk', [`RW ${MIB / 512} VMFS "meta-flat.vmdk"`, 'ddb.uuid = "60 00 C2 9a"']);
    const disk = await openHosted(path, false);
    expect(await disk.metadata()).toEqual({ adapterType: 'lsilogic', uuid: '60 00 C2 9a' });
    await disk.writeMetadata({ toolsVersion: '12345', adapterType: 'buslogic' });
    await disk.close();
    expect(readFileSync(path, 'utf8')).toContain('ddb.toolsVersion = "12345"');
    const again = await openHosted(path);
    expect(await again.metadata()).toEqual({ adapterType: 'buslogic', toolsVersion: '12345', uuid: '60 00 C2 9a' });
    await again.close();
  });
});

describe('a chain of snapshots', () => {
  const capacitySectors = 80_008;
  const grain = (name: string) => pattern(name, 4 * KIB);

  function chain() {
    const base = pattern('base', 256 * KIB);
    const flat = workshop.sparseFile('chain-flat.vmdk', capacitySectors * 512, [[0, base]]);
    const lower = join(workshop.dir, 'chain-000001-sesparse.vmdk');
    const upper = join(workshop.dir, 'chain-000002-sesparse.vmdk');
    writeFileSync(lower, seSparse(capacitySectors, [[1, grain('lower1')], [2, grain('lower2')], [4200, grain('lower4200')], [9, 'zero']])); // biome-ignore format: a table
    writeFileSync(upper, seSparse(capacitySectors, [[4200, grain('upper4200')], [2, grain('upper2')], [40, 'unmapped'], [4300, 'zero']])); // biome-ignore format: a table
    return { base, flat, lower, upper };
  }

  function expected(base: Buffer): Buffer {
    const disk = Buffer.alloc(capacitySectors * 512);
    base.copy(disk);
    for (const [number, name] of [[1, 'lower1'], [2, 'upper2'], [4200, 'upper4200']] as const) grain(name).copy(disk, number * 4 * KIB); // biome-ignore format: a table
    for (const number of [9, 40]) disk.fill(0, number * 4 * KIB, (number + 1) * 4 * KIB);
    return disk;
  }

  it('reads each grain from the topmost link that has it, zero grains masking the parents', async () => {
    const { base, flat, lower, upper } = chain();
    const links = [
      { format: 'sesparse' as const, file: upper },
      { format: 'sesparse' as const, file: lower },
      { format: 'flat' as const, file: flat },
    ];
    const door = await workshop.openDoor({ disks: { '[ds-1] web/web-000002.vmdk': { capacitySectors, links, metadata: { uuid: 'x' } } } });
    const disk = await openThroughDoor(door, '[ds-1] web/web-000002.vmdk', true);
    expect(disk.transportMode).toBe('nbdssl');
    const whole = expected(base);
    for (let offset = 0; offset < whole.length; offset += MIB) {
      const length = Math.min(MIB, whole.length - offset);
      expect((await readAll(disk, offset, length)).equals(whole.subarray(offset, offset + length)), `at ${offset}`).toBe(true);
    }
    // Not aligned to grains, across three links.
    expect((await readAll(disk, 3 * KIB, 7 * KIB)).equals(whole.subarray(3 * KIB, 10 * KIB))).toBe(true);
    expect(await disk.queryAllocated()).toEqual([
      { offsetBytes: 0, lengthBytes: 256 * KIB },
      { offsetBytes: Math.floor((4200 * 4) / 64) * 64 * KIB, lengthBytes: 64 * KIB },
      { offsetBytes: 80_000 * 512, lengthBytes: 8 * 512 },
    ]);
    expect(await disk.metadata()).toEqual({ uuid: 'x' });
    await disk.close();
    expect(door.operations('connect')[0]).toMatchObject({ vm: 'vm-16', snapshot: 'snapshot-12', readOnly: true });
    expect(door.operations('close')).toHaveLength(1);
  });

  it('is found through parentFileNameHint, and refused when the parent changed', async () => {
    const { base, lower } = chain();
    workshop.descriptor('chain.vmdk', [`RW ${capacitySectors} VMFS "chain-flat.vmdk"`]);
    const extents = [`RW ${capacitySectors} SESPARSE "chain-000001-sesparse.vmdk"`];
    const hint = 'parentFileNameHint="chain.vmdk"';
    const child = workshop.descriptor('chain-000001.vmdk', extents, ['CID=11111111', 'parentCID=0a1b2c3d', hint]);
    const disk = await openHosted(child);
    expect((await readAll(disk, 8 * KIB, 4 * KIB)).equals(grain('lower2'))).toBe(true);
    expect((await readAll(disk, 12 * KIB, 4 * KIB)).equals(base.subarray(12 * KIB, 16 * KIB))).toBe(true);
    await disk.close();
    expect(lower).toContain('000001');
    const stale = workshop.descriptor('stale.vmdk', extents, ['CID=11111111', 'parentCID=99999999', hint]);
    await expect(openHosted(stale)).rejects.toMatchObject({ code: 'VIX_CHAIN_BROKEN', vixCode: 16008 });
  });

  it('takes writes in its topmost delta, copying what a half-written grain does not replace', async () => {
    const { base, flat, lower, upper } = chain();
    const links = [
      { format: 'sesparse' as const, file: upper },
      { format: 'sesparse' as const, file: lower },
      { format: 'flat' as const, file: flat },
    ];
    const door = await workshop.openDoor({ disks: { '[ds-1] w.vmdk': { capacitySectors, links } } });
    const before = [readFileSync(flat), readFileSync(lower)];
    const disk = await openThroughDoor(door, '[ds-1] w.vmdk', false);
    const whole = expected(base);
    // Half a grain over the base, over a zero grain, over its own grain; and a grain table not there yet.
    for (const [index, offset] of [20 * KIB + 512, 36 * KIB + 1024, 8 * KIB + 512, 33 * MIB + 2048].entries()) {
      const data = pattern(`write${index}`, 9 * 512);
      data.copy(host.memory, 0);
      data.copy(whole, offset);
      await disk.write([{ offsetBytes: offset, lengthBytes: data.length, memoryOffset: 0 }]);
    }
    await disk.close();
    const again = await openThroughDoor(door, '[ds-1] w.vmdk', true);
    for (let offset = 0; offset < whole.length; offset += MIB) {
      const length = Math.min(MIB, whole.length - offset);
      expect((await readAll(again, offset, length)).equals(whole.subarray(offset, offset + length)), `at ${offset}`).toBe(true);
    }
    await again.close();
    expect(readFileSync(flat).equals(before[0] as Buffer) && readFileSync(lower).equals(before[1] as Buffer)).toBe(true);
  });
});

describe("the simulated cloud's deltas", () => {
  it('are read and written by both sides alike', async () => {
    const capacity = 40 * MIB;
    const path = join(workshop.dir, 'both-sesparse.vmdk');
    await SeSparseExtent.create(path, capacity);
    const simulated = await SeSparseExtent.open(path, 'r+');
    const [first, second, third] = [pattern('first', 64 * KIB), pattern('second', 8 * KIB), pattern('third', 4 * KIB)];
    await simulated.writeGrains(20 * MIB, second);
    await simulated.writeGrains(MIB, first);
    await simulated.zeroGrains(MIB + 4 * KIB, 4 * KIB);
    await simulated.flush();
    await simulated.close();
    first.fill(0, 4 * KIB, 8 * KIB);
    const disk = await openHosted(workshop.descriptor('both.vmdk', [`RW ${capacity / 512} SESPARSE "both-sesparse.vmdk"`]), false);
    expect((await readAll(disk, MIB, 64 * KIB)).equals(first)).toBe(true);
    expect((await readAll(disk, 20 * MIB, 8 * KIB)).equals(second)).toBe(true);
    third.copy(host.memory, 0);
    await disk.write([{ offsetBytes: 36 * MIB, lengthBytes: 4 * KIB, memoryOffset: 0 }]);
    await disk.close();
    const again = await SeSparseExtent.open(path, 'r');
    const [run] = await again.runs(36 * MIB, 4 * KIB);
    const back = Buffer.alloc(4 * KIB);
    expect(run?.state).toBe('data');
    if (run) await again.readRun(run, back, 0);
    await again.close();
    expect(back.equals(third)).toBe(true);
  });
});

describe('writing', () => {
  it('reaches the file, and vCenter learns the extents before flush answers', async () => {
    const capacity = 2 * TIB + 64 * MIB;
    const flat = workshop.sparseFile('target-flat.vmdk', capacity);
    const disks = { '[ds-1] t.vmdk': { capacitySectors: capacity / 512, links: [{ format: 'flat' as const, file: flat }] } };
    const door = await workshop.openDoor({ disks });
    const disk = await openThroughDoor(door, '[ds-1] t.vmdk', false);
    const data = pattern('restore', 2 * MIB);
    data.copy(host.memory, 0);
    const at = 2 * TIB + 10 * MIB;
    await disk.write([
      { offsetBytes: at, lengthBytes: MIB, memoryOffset: 0 },
      { offsetBytes: at + MIB, lengthBytes: MIB, memoryOffset: MIB },
    ]);
    expect(door.operations('written')).toHaveLength(0);
    await disk.flush();
    const sectors = door
      .operations('written')
      .flatMap((request) => request.extents as [string, string][])
      .reduce((sum, [, count]) => sum + Number(count), 0);
    expect(sectors).toBe((2 * MIB) / 512);
    expect((await readAll(disk, at, MIB)).equals(data.subarray(0, MIB))).toBe(true);
    expect((await readAll(disk, at + MIB, MIB)).equals(data.subarray(MIB))).toBe(true);
    await disk.close();
    const check = await openThroughDoor(door, '[ds-1] t.vmdk', true);
    expect((await check.queryAllocated())?.[0]).toEqual({ offsetBytes: at, lengthBytes: 2 * MIB });
    await check.close();
  });

  it('is refused on a disk opened read-only, with the file untouched', async () => {
    const flat = workshop.sparseFile('ro-flat.vmdk', MIB, [[0, pattern('ro', 64 * KIB)]]);
    const disk = await openHosted(workshop.descriptor('ro.vmdk', [`RW ${MIB / 512} VMFS "ro-flat.vmdk"`]));
    const before = readFileSync(flat);
    await expect(disk.write([{ offsetBytes: 0, lengthBytes: 512, memoryOffset: 0 }])).rejects.toMatchObject({
      code: 'VIX_READ_ONLY',
      vixCode: 11,
    });
    await disk.close();
    expect(readFileSync(flat).equals(before)).toBe(true);
  });
});
