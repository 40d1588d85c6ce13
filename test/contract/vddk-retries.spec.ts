import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { inParallel, KIB, MIB, Semaphore, silentLogger } from '../../src/common/index.js';
import {
  DiskAccess,
  type DiskAccessOptions,
  Leftovers,
  type OpenDiskPermits,
  RETRIES,
  VddkError,
  VddkHost,
  WRITES_IN_DOUBT,
} from '../../src/vddk/index.js';
import { VddkDisk } from '../../src/vddk/vddk-disk.js';
import { type DoorDisk, type FakeDoor, pattern, Workshop } from './vddk-fixtures.js';

const workshop = new Workshop();
afterAll(() => workshop.clear());

const PATH = '[ds-1] web/web.vmdk';
const DATA = pattern('retries', 8 * MIB);
const PIECES = Array.from({ length: 32 }, (_, i) => ({ offsetBytes: i * 256 * KIB, lengthBytes: 256 * KIB, memoryOffset: i * 256 * KIB }));
const BATCHES = [0, 8, 16, 24].map((from) => PIECES.slice(from, from + 8));

let askedBytes = 0;
beforeEach(() => {
  askedBytes = 0;
  const { read } = VddkDisk.prototype;
  vi.spyOn(VddkDisk.prototype, 'read').mockImplementation(function (this: VddkDisk, requests, signal) {
    askedBytes += requests.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    return read.call(this, requests, signal);
  });
});
const opened: DiskAccess[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const access of opened.splice(0)) await access.close();
});

function doorWith(changes: Partial<DoorDisk>): Promise<FakeDoor> {
  const flat = workshop.sparseFile(`r${Math.random()}-flat.vmdk`, 64 * MIB, [[0, DATA]]);
  return workshop.openDoor({
    disks: { [PATH]: { capacitySectors: (64 * MIB) / 512, links: [{ format: 'flat', file: flat }], ...changes } },
  });
}

/** The counts are those of the table; only the waits are short. */
const SHORT = Object.fromEntries(Object.entries(RETRIES).map(([kind, { attempts }]) => [kind, { attempts, delayMs: 5 }]));

function permitsFor(disks: number): OpenDiskPermits {
  const free = new Semaphore(disks);
  return { acquire: (_demand, signal) => free.acquire(signal) };
}

async function accessTo(door: FakeDoor, changes: Partial<DiskAccessOptions> = {}): Promise<{ access: DiskAccess; warnings: string[] }> {
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
async function readAll(access: DiskAccess): Promise<number> {
  const disk = await access.openDisk(PATH, {});
  await inParallel(BATCHES, 4, new AbortController().signal, (batch, signal) => disk.read(batch, signal));
  expect(access.memory.subarray(0, DATA.length).equals(DATA)).toBe(true);
  await disk.close();
  return askedBytes - DATA.length;
}

async function failure(work: Promise<unknown>): Promise<VddkError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(VddkError);
  return error as VddkError;
}

const readFault = (vixError: number, effect = 'error') => [{ op: 'read', afterBytes: String(3 * MIB), vixError, effect }];

describe('a copy whose connection fails', () => {
  it('goes on after the connection was lost in the middle of a read, and reads no batch again that was done', async () => {
    const door = await doorWith({ openings: [{ faults: readFault(14011) }] });
    const { access } = await accessTo(door);
    // Four batches are under way: each of them once more, at the most.
    expect(await readAll(access)).toBeLessThanOrEqual(8 * MIB);
    expect(access.renewalCount).toBe(1);
    expect(door.operations('open')).toHaveLength(2);
  });

  it('asks only for what was under way when it is read one batch after another', async () => {
    const door = await doorWith({ openings: [{ faults: readFault(14011) }] });
    const { access } = await accessTo(door);
    const disk = await access.openDisk(PATH, {});
    for (const batch of BATCHES) await disk.read(batch);
    expect(access.memory.subarray(0, DATA.length).equals(DATA)).toBe(true);
    expect(askedBytes - DATA.length).toBe(2 * MIB);
    expect(access.renewalCount).toBe(1);
  });

  it('outlives the crash of its process', async () => {
    const door = await doorWith({ openings: [{ faults: readFault(0, 'crash') }] });
    const { access } = await accessTo(door);
    expect(await readAll(access)).toBeLessThanOrEqual(8 * MIB);
    expect(access.renewalCount).toBe(1);
  });

  it('waits for another host when its own enters maintenance, three times', async () => {
    const twice = await doorWith({ openings: [{ vixError: 14014 }, { vixError: 14014 }, {}] });
    const { access } = await accessTo(twice);
    expect(await readAll(access)).toBe(0);
    expect(access.renewalCount).toBe(2);
    const always = await doorWith({ vixError: 14014 });
    const { access: other } = await accessTo(always);
    expect(await failure(other.openDisk(PATH, {}))).toMatchObject({ code: 'VIX_HOST_ENTERS_MAINTENANCE', retryable: true });
    expect(always.operations('open')).toHaveLength(4);
  });

  it('ends at once, to be run again later, when the host is in maintenance', async () => {
    const door = await doorWith({ vixError: 14015 });
    const { access } = await accessTo(door);
    const error = await failure(access.openDisk(PATH, {}));
    expect(error).toMatchObject({ code: 'VIX_HOST_IN_MAINTENANCE', retryable: true, subject: PATH });
    expect(error.message.split('\n')).toHaveLength(1);
    expect(door.operations('open')).toHaveLength(1);
  });

  it('logs in again when the session has ended', async () => {
    const door = await doorWith({ openings: [{ faults: readFault(3047) }] });
    let cookie = 'the-session-of-before';
    const logins: string[] = [];
    const { access } = await accessTo(door, {
      target: () => door.target({ credentials: { kind: 'session', userName: 'backup@vsphere.local', cookie } }),
      renewSession: async () => {
        cookie = logins.length === 0 ? door.facts.cookie : 'another-0123456789';
        door.facts.cookie = cookie;
        logins.push(cookie);
      },
    });
    // Once for the session that was dead from the start, once for the one that died under the read.
    expect(await readAll(access)).toBeLessThanOrEqual(8 * MIB);
    expect(logins).toEqual(['vmware_soap_session-0123456789', 'another-0123456789']);
  });

  it('ends with the first reason when nothing helps, as often tried as the table says, and everything is given back', async () => {
    const door = await doorWith({ faults: [{ op: 'read', afterBytes: '0', vixError: 14009, effect: 'error' }] });
    const limits = permitsFor(1);
    const { access } = await accessTo(door, { limits });
    const disk = await access.openDisk(PATH, {});
    expect(await failure(disk.read(BATCHES[0] ?? []))).toMatchObject({ code: 'VIX_CONNECTION_REFUSED', retryable: true });
    expect(access.renewalCount).toBe(RETRIES.reconnect.attempts - 1);
    await disk.close();
    (await limits.acquire({ vcenterInstanceUuid: 'vc-1', esxiHostMoRef: 'host-1', nfcBytes: MIB }))();
  });

  it('is cancelled while it waits for the next try', async () => {
    const door = await doorWith({ vixError: 14014 });
    const cancel = new AbortController();
    const { access } = await accessTo(door, {
      settings: workshop.settings({ retries: { soon: { attempts: 4, delayMs: 60_000 } } }),
      signal: cancel.signal,
    });
    const opening = access.openDisk(PATH, {});
    await expect.poll(() => access.renewalCount).toBe(1);
    cancel.abort();
    await expect(opening).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('begins by the same rules: a host that does not start, and a vCenter that refuses the first connection', async () => {
    const start = vi.spyOn(VddkHost, 'start');
    start.mockRejectedValueOnce(new VddkError('The VDDK process ended', { code: 'VDDK_HOST_DIED', retryable: true }));
    const door = await doorWith({});
    door.facts.refusals = { connect: [14009, 14009] };
    const { access } = await accessTo(door);
    expect(start).toHaveBeenCalledTimes(2);
    expect(await readAll(access)).toBe(0);
    expect(access.renewalCount).toBe(2);
    start.mockRejectedValue(new VddkError('There is no library', { code: 'VDDK_LIBRARY' }));
    expect(await failure(accessTo(door))).toMatchObject({ code: 'VDDK_LIBRARY' });
    expect(start).toHaveBeenCalledTimes(5);
  });

  it('refuses a disk that is another one when it is opened again', async () => {
    const door = await doorWith({ openings: [{ faults: readFault(14011) }, { capacitySectors: (32 * MIB) / 512 }] });
    const { access } = await accessTo(door);
    const disk = await access.openDisk(PATH, {});
    await expect(inParallel(BATCHES, 4, new AbortController().signal, (batch) => disk.read(batch))).rejects.toMatchObject({
      code: 'VDDK_CAPACITY',
    });
  });
});

describe('writes', () => {
  it('whose connection was lost are in doubt until they are written again and flushed', async () => {
    const fault = [{ op: 'write', afterBytes: String(MIB), vixError: 14011, effect: 'error' }];
    const door = await doorWith({ openings: [{ faults: fault }] });
    const { access } = await accessTo(door, { readOnly: false });
    const disk = await access.openDisk(PATH, {});
    const data = pattern('written', 2 * MIB);
    data.copy(access.memory, 0);
    const at = (offsetBytes: number) => [{ offsetBytes: 16 * MIB + offsetBytes, lengthBytes: MIB, memoryOffset: offsetBytes }];
    await disk.write(at(0));
    expect(await failure(disk.write(at(MIB)))).toMatchObject({ code: WRITES_IN_DOUBT, retryable: true, cause: { vixCode: 14011 } });
    for (const offset of [0, MIB]) await disk.write(at(offset));
    await disk.flush();
    access.memory.fill(0);
    await disk.read([...at(0), ...at(MIB)]);
    expect(access.memory.subarray(0, 2 * MIB).equals(data)).toBe(true);
    await disk.close();
  });

  it('end when they fail over and over', async () => {
    const door = await doorWith({ faults: [{ op: 'write', afterBytes: '0', vixError: 14011, effect: 'error' }] });
    const { access } = await accessTo(door, { readOnly: false });
    const disk = await access.openDisk(PATH, {});
    const codes: string[] = [];
    for (let tries = 0; tries < 20 && !codes.includes('VIX_NETWORK'); tries += 1)
      codes.push((await failure(disk.write(PIECES.slice(0, 1)))).code);
    expect(codes).toEqual([...Array.from({ length: RETRIES.reconnect.attempts - 1 }, () => WRITES_IN_DOUBT), 'VIX_NETWORK']);
    await disk.close();
  });
});

describe('transports', () => {
  it('refuses what VDDK fell back to, or says so where that is allowed', async () => {
    const door = await doorWith({ transport: 'nbdssl' });
    const transport = { modes: ['hotadd' as const], fallback: 'refuse' as const, compression: 'none' as const };
    const { access } = await accessTo(door, { transport });
    expect(await failure(access.openDisk(PATH, {}))).toMatchObject({ code: 'TRANSPORT_FELL_BACK', retryable: false });
    expect(door.operations('close')).toHaveLength(1);
    const { access: lenient, warnings } = await accessTo(door, { transport: { ...transport, fallback: 'allow' } });
    const disk = await lenient.openDisk(PATH, {});
    expect(disk.transportMode).toBe('nbdssl');
    expect(warnings).toEqual([`${PATH} is carried by transport nbdssl: VDDK could use none of hotadd.`]);
  });

  it('asks for a permit again before it opens anew what SAN carried: it may come over the network this time', async () => {
    const door = await doorWith({ openings: [{ transport: 'san', faults: readFault(14011) }, { transport: 'nbdssl' }] });
    const limits = permitsFor(1);
    const another = () => limits.acquire({ vcenterInstanceUuid: 'vc-1', esxiHostMoRef: 'host-1', nfcBytes: MIB });
    const transport = { modes: ['san' as const, 'nbdssl' as const], fallback: 'refuse' as const, compression: 'none' as const };
    const { access } = await accessTo(door, { limits, transport });
    const disk = await access.openDisk(PATH, {});
    expect(disk.transportMode).toBe('san');
    const giveBack = await another();
    const reading = disk.read(PIECES);
    await expect.poll(() => access.renewalCount).toBe(1);
    await access.moment;
    expect(door.operations('open')).toHaveLength(1);
    giveBack();
    await reading;
    expect(disk.transportMode).toBe('nbdssl');
    expect(access.memory.subarray(0, DATA.length).equals(DATA)).toBe(true);
    // It is the disk's until it is closed.
    let entered = false;
    const waiting = another().then((release) => {
      entered = true;
      return release;
    });
    await disk.metadata();
    expect(entered).toBe(false);
    await disk.close();
    (await waiting)();
  });

  it("asks for what is left after the rules of the disk's place, by one connection for all disks alike", async () => {
    const door = await doorWith({ transport: 'nbdssl' });
    const { access } = await accessTo(door, {
      transport: { modes: ['san', 'hotadd', 'nbdssl'], fallback: 'refuse', compression: 'fastlz' },
    });
    await access.openDisk(PATH, { place: { datastoreType: 'VVOL', bus: 'scsi', encrypted: false } });
    await access.openDisk(PATH, { place: { datastoreType: 'vsan', bus: 'nvme', encrypted: false } });
    await access.openDisk(PATH, { place: { datastoreType: 'VMFS', bus: 'ide', encrypted: false } });
    expect(door.operations('connect').map(({ transportModes }) => transportModes)).toEqual(['hotadd:nbdssl', 'san:nbdssl']);
  });

  it('cleans up after HotAdd, also where a disk cannot be detached, and tells the administrator', async () => {
    const transport = { modes: ['hotadd' as const], fallback: 'refuse' as const, compression: 'none' as const };
    const door = await doorWith({ transport: 'hotadd' });
    const { access } = await accessTo(door, { transport });
    await (await access.openDisk(PATH, {})).close();
    await access.close();
    opened.pop();
    expect(door.operations('cleanup')).toHaveLength(1);
    const stuck = await doorWith({ transport: 'hotadd', closeVixError: 14015 });
    const { access: other, warnings } = await accessTo(stuck, { transport });
    const disk = await other.openDisk(PATH, {});
    expect(await failure(disk.close())).toMatchObject({ code: 'VIX_HOST_IN_MAINTENANCE', retryable: true });
    expect(stuck.operations('cleanup')).toHaveLength(1);
    expect(warnings.join()).toMatch(/remove the snapshot/);
  });
});

describe('a process that dies over HotAdd', () => {
  const transport = { modes: ['hotadd' as const], fallback: 'refuse' as const, compression: 'none' as const };
  const opsOf = (door: FakeDoor) =>
    door.requests.map(({ op }) => op).filter((op) => ['open', 'close', 'cleanup', 'prepareForAccess'].includes(op));

  it('is cleaned up after before the disk is opened anew, and what it kept in its place is kept there again', async () => {
    const door = await doorWith({ openings: [{ transport: 'hotadd', faults: readFault(0, 'crash') }, { transport: 'hotadd' }] });
    let heldAgain = 0;
    const afterCleanup = async () => {
      heldAgain += 1;
    };
    const { access } = await accessTo(door, { transport, afterCleanup });
    expect(await readAll(access)).toBeLessThanOrEqual(8 * MIB);
    await access.close();
    opened.pop();
    expect(opsOf(door)).toEqual(['open', 'cleanup', 'open', 'close', 'cleanup']);
    expect(heldAgain).toBe(2);
  });

  it('is cleaned up after by another when nothing could be opened any more', async () => {
    const door = await doorWith({ transport: 'hotadd', faults: readFault(0, 'crash') });
    const { access } = await accessTo(door, { transport });
    const disk = await access.openDisk(PATH, {});
    await failure(disk.read(PIECES));
    await disk.close();
    await access.close();
    opened.pop();
    expect(
      opsOf(door)
        .filter((op) => op !== 'close')
        .slice(-2),
    ).toEqual(['open', 'cleanup']);
  });
});

describe('a process that does not end when it is killed', () => {
  it('keeps its memory to itself: nothing is opened over it, and the copy may be begun again', async () => {
    const door = await doorWith({});
    const { access } = await accessTo(door, { settings: workshop.settings({ ioDepth: 2, retries: SHORT, operationTimeoutMs: 2_000 }) });
    const disk = await access.openDisk(PATH, {});
    const { host } = await access.moment;
    // As one that sits in the kernel, because its storage does not answer.
    const { child } = host.process as unknown as { child: ChildProcess };
    process.kill(host.pid as number, 'SIGSTOP');
    const kill = vi.spyOn(child, 'kill').mockReturnValue(true);
    onTestFinished(() => void process.kill(host.pid as number, 'SIGKILL'));
    const stuck = { code: 'VDDK_HOST_STUCK', retryable: true, details: { pid: host.pid } };
    expect(await failure(disk.read(PIECES))).toMatchObject(stuck);
    expect(kill).toHaveBeenCalledWith('SIGKILL');
    expect(await failure(disk.read(PIECES))).toMatchObject(stuck);
    expect(await failure(access.openDisk(PATH, {}))).toMatchObject(stuck);
    expect(door.operations('open')).toHaveLength(1);
    // Another access has memory of its own, and does not wait for it.
    const { access: next } = await accessTo(await doorWith({}));
    await readAll(next);
    expect(host.isReaped).toBe(false);
  });
});

describe('a run that was cancelled over HotAdd', () => {
  it('waits neither for a Disconnect nor for a Cleanup that hang', async () => {
    const transport = { modes: ['hotadd' as const], fallback: 'refuse' as const, compression: 'none' as const };
    const door = await doorWith({ transport: 'hotadd' });
    door.facts.unanswered = ['close', 'cleanup'];
    const run = new AbortController();
    const settings = workshop.settings({ retries: SHORT, operationTimeoutMs: 300_000, hurry: { closeMs: 300, cleanupMs: 300 } });
    const { access } = await accessTo(door, { transport, settings, signal: run.signal });
    await access.openDisk(PATH, {});
    run.abort(new Error('cancelled'));
    await access.close();
    opened.pop();
    expect(door.operations('close')).toHaveLength(1);
    // Another process was asked, and given up as well: the next start looks for what is left.
    expect(door.operations('cleanup')).toHaveLength(1);
  });
});

describe('VMware Cloud', () => {
  it('passes over what PrepareForAccess is not allowed to do there, and nowhere else', async () => {
    const door = await workshop.openDoor({ accessVixError: 3014 });
    const onPremises = await workshop.startHost();
    expect(await failure(onPremises.prepareForAccess(door.target(), 'x'))).toMatchObject({ vixCode: 3014 });
    const host = await workshop.startHost({ vmwareCloud: true });
    await host.prepareForAccess(door.target(), 'x');
    await host.endAccess(door.target(), 'x');
    const other = await workshop.openDoor({ accessVixError: 4000 });
    expect(await failure(host.prepareForAccess(other.target(), 'x'))).toMatchObject({ vixCode: 4000 });
  });
});

describe('what a killed process left behind', () => {
  it('is cleaned up once for each vCenter, and never in the way of a copy', async () => {
    const settings = workshop.settings({ temporaryDir: join(workshop.dir, 'left') });
    const door = await workshop.openDoor();
    const clean = (leftovers: Leftovers, vcenter: string) => leftovers.cleanUpOnce(vcenter, settings, () => door.target(), silentLogger);
    const leftovers = new Leftovers();
    // Nothing there: vCenter is not even asked.
    await clean(leftovers, 'vc-0');
    mkdirSync(join(settings.temporaryDir, 'vmware-root', 'vm-16-hotadd'), { recursive: true });
    // Of a process that cannot live: the kernel's largest id is below it.
    writeFileSync(join(settings.temporaryDir, 'vddk-99999999-abcdef.conf'), '');
    await Promise.all([clean(leftovers, 'vc-1'), clean(leftovers, 'VC-1')]);
    await clean(leftovers, 'vc-2');
    expect(door.operations('cleanup')).toHaveLength(2);
    expect(readdirSync(settings.temporaryDir)).toEqual(['vmware-root']);
    door.facts.unanswered = ['cleanup'];
    const run = new AbortController();
    const cancelled = leftovers.cleanUpOnce('vc-4', settings, () => door.target(), silentLogger, run.signal);
    const other = clean(leftovers, 'vc-4');
    await vi.waitFor(() => expect(door.operations('cleanup')).toHaveLength(3), 5_000);
    run.abort(new Error('cancelled'));
    await expect(cancelled).rejects.toThrow('cancelled');
    await door.close();
    await Promise.all([other, clean(leftovers, 'vc-3')]);
    rmSync(settings.temporaryDir, { recursive: true });
  });
});
