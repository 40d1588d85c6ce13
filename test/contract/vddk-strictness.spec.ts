import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { KIB, MIB } from '../../src/common/index.js';
import { type FakeDoor, pattern, STANDIN_DIR, Workshop } from './vddk-fixtures.js';

const workshop = new Workshop();
afterAll(() => workshop.clear());

const LIBRARY = join(STANDIN_DIR, 'lib64', 'libvixDiskLib.so.8');
const PATH = '[ds-1] slow.vmdk';
/** 64 KiB units and a tail of 9 sectors. */
const CAPACITY_SECTORS = 128 * 64 + 9;
const CONTENT = pattern('strict', CAPACITY_SECTORS * 512);

async function strictDoor(disk: { faults?: object[]; library?: object } = {}): Promise<FakeDoor> {
  const flat = workshop.sparseFile(`s${Math.random()}-flat.vmdk`, CAPACITY_SECTORS * 512, [[0, CONTENT]]);
  const links = [{ format: 'flat' as const, file: flat }];
  return workshop.openDoor({ strict: true, disks: { [PATH]: { capacitySectors: CAPACITY_SECTORS, links, ...disk } } });
}

/** What the library told its door of broken rules, process numbers apart. */
const told = (door: FakeDoor) => door.operations('violations').flatMap(({ list }) => list as string[]);

let driver: string | undefined;
async function drive(door: FakeDoor, configFile = '', twice = ''): Promise<{ lines: string[]; log: string; signal: string | null }> {
  driver ??= workshop.compile(join(import.meta.dirname, 'vddk-rules-driver.cc'), 'rules-driver', '-ldl', '-pthread');
  const { port } = door.target();
  const run = await promisify(execFile)(driver, [LIBRARY, String(port), configFile, twice], { timeout: 30_000 }).then(
    (out) => ({ ...out, signal: null }),
    (error: { stdout: string; stderr: string; signal: string }) => error,
  );
  return { lines: run.stdout.trim().split('\n'), log: run.stderr, signal: run.signal };
}

describe('a program that breaks the rules of VDDK', () => {
  it('is told so, and what it leaves behind is counted at Exit', async () => {
    const door = await strictDoor({ faults: [{ op: 'read', afterBytes: '0', vixError: 1, effect: 'delay', delayMs: 300 }] });
    const { lines } = await drive(door);
    expect(lines).toEqual([
      'init 0',
      'connect 0',
      'open 0',
      'info-during-read 0',
      'read 0',
      'query-elsewhere 0',
      'disconnect-with-open-disk 5',
      'read-async 25000',
      'close-without-wait 0',
      'read-closed 1000',
      'disconnect 0',
      'disconnect-again 1000',
      'connect 0',
      'open 0',
      'info 0',
      'text Unknown error.',
    ]);
    expect(told(door)).toEqual([
      `VixDiskLib_GetInfo runs while another call is under way on the handle of "${PATH}"`,
      'an object is given back that is none, or a second time: of those counted among infos that were not freed',
      'QueryAllocatedBlocks runs on another thread than the first ConnectEx or Open',
      'Disconnect comes before Close of 1 disks',
      'Close comes before Wait while requests are in flight',
      'a disk handle is used that is not open',
      'a connection is used that is not connected',
      'at Exit: 1 connections that were not disconnected',
      'at Exit: 1 disks that were not closed',
      'at Exit: 1 infos that were not freed',
      'at Exit: 1 block lists that were not freed',
      'at Exit: 1 error texts that were not freed',
    ]);
  });

  it('is not watched for its threads where the configuration says that it only serializes, and panics at a second InitEx where that is asked for', async () => {
    const lenient = join(workshop.dir, 'lenient.conf');
    writeFileSync(lenient, 'standin.strictThreads=0\nstandin.secondInitEx="abort"\n');
    const door = await strictDoor();
    await drive(door, lenient);
    expect(told(door).filter((line) => line.includes('another thread'))).toEqual([]);
    const { lines, log, signal } = await drive(await strictDoor(), lenient, 'twice');
    expect([lines, signal]).toEqual([['init 0'], 'SIGABRT']);
    expect(log).toContain('PANIC: VixDiskLib_InitEx is called a second time');
  });
});

describe('the host', () => {
  const behaviours: [string, object][] = [
    ['inline', { callbacks: 'inline' }],
    ['late', { callbacks: 'late', logThreads: 4 }],
    ['reversed', { callbacks: 'reversed', logThreads: 2 }],
    ['on the library’s threads', { callbacks: 'pool' }],
  ];
  it.each(behaviours)('reads and writes right, and breaks no rule, where completions come %s', async (_, library) => {
    const door = await strictDoor({ library });
    const host = await workshop.startHost({ ioDepth: 8 });
    const connection = await host.connect(door.target(), { readOnly: false, transportModes: 'nbdssl' });
    const disk = await connection.openDisk(PATH, {});
    const pieces = Array.from({ length: 32 }, (_unused, i) => ({
      offsetBytes: i * 64 * KIB,
      lengthBytes: 64 * KIB,
      memoryOffset: (31 - i) * 64 * KIB,
    }));
    await Promise.all([disk.read(pieces.slice(0, 20)), disk.read(pieces.slice(20))]);
    for (const { offsetBytes, memoryOffset } of pieces)
      expect(
        host.memory.subarray(memoryOffset, memoryOffset + 64 * KIB).equals(CONTENT.subarray(offsetBytes, offsetBytes + 64 * KIB)),
      ).toBe(true);
    expect(await disk.queryAllocated()).toEqual([{ offsetBytes: 0, lengthBytes: CAPACITY_SECTORS * 512 }]);
    const data = pattern('written', 9 * 512);
    data.copy(host.memory, 8 * MIB);
    await disk.write([{ offsetBytes: (CAPACITY_SECTORS - 9) * 512, lengthBytes: data.length, memoryOffset: 8 * MIB }]);
    await disk.flush();
    await disk.read([{ offsetBytes: (CAPACITY_SECTORS - 9) * 512, lengthBytes: data.length, memoryOffset: 9 * MIB }]);
    expect(host.memory.subarray(9 * MIB, 9 * MIB + data.length).equals(data)).toBe(true);
    await disk.close();
    await host.stop();
    expect(told(door)).toEqual([]);
  });

  it('compares the lower half of an error word alone', async () => {
    const faults = [{ op: 'read', afterBytes: '0', vixError: 14011, effect: 'error' }];
    const door = await strictDoor({ faults, library: { callbacks: 'reversed', highBits: true } });
    const host = await workshop.startHost();
    const connection = await host.connect(door.target(), { readOnly: true, transportModes: 'nbdssl' });
    const disk = await connection.openDisk(PATH, {});
    const read = disk.read([{ offsetBytes: 0, lengthBytes: MIB, memoryOffset: 0 }]);
    await expect(read).rejects.toMatchObject({ vixCode: 14011, retryable: true });
    await disk.close();
    await host.stop();
    expect(told(door)).toEqual([]);
  });

  it.each([
    [6, '6.7.0'],
    [7, '7.0.3'],
    [9, '9.0.0'],
  ])('works with a libvixDiskLib.so.%i', async (major, version) => {
    const libraryDir = join(workshop.dir, `vddk-${major}`);
    mkdirSync(join(libraryDir, 'lib64'), { recursive: true });
    symlinkSync(LIBRARY, join(libraryDir, 'lib64', `libvixDiskLib.so.${major}`));
    const door = await strictDoor();
    const host = await workshop.startHost({ libraryDir });
    expect(host.libraryVersion).toBe(version);
    const connection = await host.connect(door.target(), { readOnly: true, transportModes: 'nbdssl' });
    const disk = await connection.openDisk(PATH, {});
    expect(disk.capacityBytes).toBe(CAPACITY_SECTORS * 512);
    await disk.close();
    await host.stop();
    expect(told(door)).toEqual([]);
  });
});
