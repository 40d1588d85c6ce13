import type { ChildProcess } from 'node:child_process';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { inParallel, MIB } from '../../src/common/index.js';
import { RETRIES, VddkError, VddkHost, WRITES_IN_DOUBT } from '../../src/vddk/index.js';
import {
  accessTo,
  askedBytes,
  BATCHES,
  DATA,
  doorWith,
  PATH,
  permitsFor,
  PIECES,
  readAll,
  readFault,
  SHORT,
  workshop,
} from './vddk-access-fixture.js';
import { pattern, failure } from './vddk-fixtures.js';

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
    expect(askedBytes() - DATA.length).toBe(2 * MIB);
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
