import { afterAll, afterEach, beforeEach, expect, vi } from 'vitest';
import { inParallel, KIB, MIB, Semaphore, silentLogger } from '../../src/common/index.js';
import { DiskAccess, type DiskAccessOptions, type OpenDiskPermits, RETRIES } from '../../src/vddk/index.js';
import { VddkDisk } from '../../src/vddk/vddk-disk.js';
import { type DoorDisk, type FakeDoor, pattern, Workshop } from './vddk-fixtures.js';

export const workshop = new Workshop();
afterAll(() => workshop.clear());

export const PATH = '[ds-1] web/web.vmdk';
export const DATA = pattern('retries', 8 * MIB);
/** All of the disk's data. */
export const PIECES = Array.from({ length: 32 }, (_, i) => ({
  offsetBytes: i * 256 * KIB,
  lengthBytes: 256 * KIB,
  memoryOffset: i * 256 * KIB,
}));
export const BATCHES = [0, 8, 16, 24].map((from) => PIECES.slice(from, from + 8));

let asked = 0;
/** How many bytes the test has asked VDDK for, again or not. */
export const askedBytes = () => asked;
beforeEach(() => {
  asked = 0;
  const { read } = VddkDisk.prototype;
  vi.spyOn(VddkDisk.prototype, 'read').mockImplementation(function (this: VddkDisk, requests, signal) {
    asked += requests.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    return read.call(this, requests, signal);
  });
});
/** They are closed after each test; a test that closes the last one itself takes it from here. */
export const opened: DiskAccess[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const access of opened.splice(0)) await access.close();
});

export function doorWith(changes: Partial<DoorDisk>): Promise<FakeDoor> {
  const flat = workshop.sparseFile(`r${Math.random()}-flat.vmdk`, 64 * MIB, [[0, DATA]]);
  return workshop.openDoor({
    disks: { [PATH]: { capacitySectors: (64 * MIB) / 512, links: [{ format: 'flat', file: flat }], ...changes } },
  });
}

/** The counts are those of the table; only the waits are short. */
export const SHORT = Object.fromEntries(Object.entries(RETRIES).map(([kind, { attempts }]) => [kind, { attempts, delayMs: 5 }]));

export function permitsFor(disks: number): OpenDiskPermits {
  const free = new Semaphore(disks);
  return { acquire: (_demand, signal) => free.acquire(signal) };
}

export async function accessTo(
  door: FakeDoor,
  changes: Partial<DiskAccessOptions> = {},
): Promise<{ access: DiskAccess; warnings: string[] }> {
  const warnings: string[] = [];
  const access = await DiskAccess.start({
    settings: workshop.settings({ ioDepth: 2, retries: SHORT }),
    transport: { modes: ['nbdssl', 'nbd'], fallback: 'refuse', compression: 'none' },
    target: () => door.target(),
    renewSession: async () => undefined,
    readOnly: true,
    snapshotMoRef: 'snapshot-12',
    limits: permitsFor(50),
    vcenterInstanceUuid: 'vc-1',
    esxiHostMoRef: 'host-1',
    warn: (message) => warnings.push(message),
    log: silentLogger,
    signal: new AbortController().signal,
    ...changes,
  });
  opened.push(access);
  return { access, warnings };
}

/** Reads all batches at once, as a copy does. @returns how many bytes were asked for beyond the disk's data. */
export async function readAll(access: DiskAccess): Promise<number> {
  const disk = await access.openDisk(PATH, {});
  await inParallel(BATCHES, 4, new AbortController().signal, (batch, signal) => disk.read(batch, signal));
  expect(access.memory.subarray(0, DATA.length).equals(DATA)).toBe(true);
  await disk.close();
  return asked - DATA.length;
}

export const readFault = (vixError: number, effect = 'error') => [{ op: 'read', afterBytes: String(3 * MIB), vixError, effect }];
