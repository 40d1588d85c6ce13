import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { KIB, MIB } from '../../src/common/index.js';
import { type VddkConnectionApi, VddkHost, type VddkDiskApi, type VixTarget } from '../../src/vddk/index.js';
import { failure, type FakeDoor, openMemfds, pattern, Workshop } from './vddk-fixtures.js';

const workshop = new Workshop();
afterAll(() => workshop.clear());

const PATH = '[ds-1] web/web.vmdk';
const ONE_MIB = { offsetBytes: 0, lengthBytes: MIB, memoryOffset: 0 };

async function doorWith(faults: object[] = [], vixError?: number): Promise<FakeDoor> {
  const flat = workshop.sparseFile(`f${Math.random()}-flat.vmdk`, 64 * MIB, [[0, pattern('faults', 4 * MIB)]]);
  const links = [{ format: 'flat' as const, file: flat }];
  return workshop.openDoor({ disks: { [PATH]: { capacitySectors: (64 * MIB) / 512, links, faults, ...(vixError && { vixError }) } } });
}

function connect(host: VddkHost, target: VixTarget, snapshotMoRef = 'snapshot-12'): Promise<VddkConnectionApi> {
  return host.connect(target, { readOnly: true, snapshotMoRef, transportModes: 'nbdssl:nbd' });
}

async function openDisk(host: VddkHost, target: VixTarget, snapshotMoRef?: string): Promise<VddkDiskApi> {
  return (await connect(host, target, snapshotMoRef)).openDisk(PATH, {});
}

/** The process is neither running nor a zombie waiting for its parent. */
function isGone(pid: number | undefined): boolean {
  return pid !== undefined && !existsSync(`/proc/${pid}`);
}

describe('what VDDK refuses', () => {
  it('tells a wrong password, an expired session and an unknown VM or snapshot apart', async () => {
    const host = await workshop.startHost();
    const door = await doorWith();
    const refused = async (changes: Partial<VixTarget>, snapshot = 'snapshot-12') => {
      const { code, vixCode, retryable, message } = await failure(openDisk(host, door.target(changes), snapshot));
      expect(message).not.toMatch(/horse|0123456789/);
      return { code, vixCode, retryable };
    };
    const userName = 'backup@vsphere.local';
    expect(await refused({ credentials: { kind: 'password', userName, password: 'wrong horse' } })).toEqual({
      code: 'VIX_AUTHENTICATION_FAILED',
      vixCode: 35,
      retryable: true,
    });
    expect(await refused({ credentials: { kind: 'session', userName, cookie: 'old-0123456789' } })).toEqual({
      code: 'VIX_SESSION_EXPIRED',
      vixCode: 3047,
      retryable: true,
    });
    expect(await refused({ vmMoRef: 'vm-404' })).toEqual({ code: 'VIX_VM_NOT_FOUND', vixCode: 4000, retryable: false });
    expect(await refused({}, 'snapshot-404')).toEqual({ code: 'VIX_SNAPSHOT_NOT_FOUND', vixCode: 13003, retryable: false });
    const disk = await openDisk(host, door.target({ credentials: { kind: 'session', userName, cookie: door.facts.cookie } }));
    await disk.close();
    await host.stop();
  });

  it('shows a wrong thumbprint only when a disk is opened, as VDDK does, and sends no password before', async () => {
    const host = await workshop.startHost();
    const door = await doorWith();
    const target = door.target({ thumbprint: 'FF:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44' });
    const connection = await host.connect(target, { readOnly: true, transportModes: 'nbdssl' });
    const error = await failure(connection.openDisk(PATH, {}));
    expect(error).toMatchObject({ code: 'VIX_FAIL', vixCode: 1, subject: PATH });
    expect(error.message).toContain('thumbprint');
    expect(String(error.details.logLines)).toContain('thumbprint');
    expect(door.operations('auth')).toEqual([]);
    await host.stop();
  });

  it('refuses a locked disk, a missing one, an unreachable vCenter and a request NFC cannot hold', async () => {
    const host = await workshop.startHost({ maxRequestBytes: 3 * MIB });
    const locked = await doorWith([], 13);
    expect(await failure(openDisk(host, locked.target()))).toMatchObject({ code: 'VIX_ACCESS_DENIED', vixCode: 13, subject: PATH });
    const door = await doorWith();
    const connection = await host.connect(door.target(), { readOnly: true, transportModes: 'nbdssl' });
    expect(await failure(connection.openDisk('[ds-1] none.vmdk', {}))).toMatchObject({ code: 'VIX_FILE_NOT_FOUND', vixCode: 4 });
    const disk = await connection.openDisk(PATH, {});
    const large = await failure(disk.read([{ offsetBytes: 0, lengthBytes: 3 * MIB, memoryOffset: 0 }]));
    expect(large).toMatchObject({ code: 'VIX_OUT_OF_MEMORY', vixCode: 2 });
    expect(String(large.details.logLines)).toContain('NFC error 5');
    const { port } = door.target();
    await door.close();
    const unreachable = await failure(host.connect(locked.target({ port }), { readOnly: true, transportModes: 'nbdssl' }));
    expect(unreachable).toMatchObject({ code: 'VIX_CONNECTION_REFUSED', vixCode: 14009, retryable: true });
    await host.stop();
  });

  it('prepares, ends access and cleans up through vCenter', async () => {
    const host = await workshop.startHost();
    const door = await doorWith();
    await host.prepareForAccess(door.target(), 'vapp-vault/run-7');
    await host.endAccess(door.target(), 'vapp-vault/run-7');
    expect(door.operations('prepareForAccess')[0]).toMatchObject({ vm: 'vm-16', identity: 'vapp-vault/run-7' });
    expect(door.operations('endAccess')).toHaveLength(1);
    expect(await host.cleanup(door.target())).toEqual({ cleaned: 2, remaining: 1 });
    await host.stop();
  });
});

describe('a read that fails half-way', () => {
  it('names the disk and the place, and leaves the host usable', async () => {
    const host = await workshop.startHost();
    const door = await doorWith([{ op: 'read', afterBytes: String(2 * MIB), vixError: 14011, effect: 'error' }]);
    const disk = await openDisk(host, door.target());
    await disk.read([0, 1].map((i) => ({ offsetBytes: i * MIB, lengthBytes: MIB, memoryOffset: i * MIB })));
    const error = await failure(disk.read([{ ...ONE_MIB, offsetBytes: 2 * MIB }]));
    expect(error).toMatchObject({ code: 'VIX_NETWORK', vixCode: 14011, retryable: true, subject: PATH });
    expect(error.message).toContain(`${PATH} at byte ${2 * MIB}`);
    await disk.close();
    const again = await openDisk(host, door.target());
    await again.read([ONE_MIB]);
    expect(host.memory.subarray(0, MIB).equals(pattern('faults', MIB))).toBe(true);
    await host.stop();
  });

  it('reports an allocation query that breaks, and answers "unknown" where the disk cannot tell', async () => {
    const host = await workshop.startHost();
    const broken = await doorWith([{ op: 'queryAllocated', afterBytes: '0', vixError: 14011, effect: 'error' }]);
    const disk = await openDisk(host, broken.target());
    expect(await failure(disk.queryAllocated())).toMatchObject({ vixCode: 14011 });
    const unable = await doorWith([{ op: 'queryAllocated', afterBytes: '0', vixError: 1, effect: 'error' }]);
    const other = await openDisk(host, unable.target());
    expect(await other.queryAllocated()).toBeUndefined();
    await host.stop();
  });

  it.each([3, 6, 2, 16007])('answers "unknown" too where the disk tells of its beginning and then fails with %i', async (vixError) => {
    const host = await workshop.startHost();
    const afterTheProbe = (code: number) => [{ op: 'queryAllocated', afterBytes: String(64 * KIB), vixError: code, effect: 'error' }];
    const disk = await openDisk(host, (await doorWith(afterTheProbe(vixError))).target());
    expect(await disk.queryAllocated()).toBeUndefined();
    const broken = await openDisk(host, (await doorWith(afterTheProbe(14011))).target());
    expect(await failure(broken.queryAllocated())).toMatchObject({ vixCode: 14011 });
    await host.stop();
  });

  it('stops a cancelled batch before its end, with the memory at rest', async () => {
    const host = await workshop.startHost({ ioDepth: 1 });
    const door = await doorWith([{ op: 'read', afterBytes: '0', effect: 'delay', delayMs: 20 }]);
    const disk = await openDisk(host, door.target());
    const requests = Array.from({ length: 60 }, (_, i) => ({ offsetBytes: (i % 4) * MIB, lengthBytes: MIB, memoryOffset: (i % 16) * MIB }));
    const startedMs = performance.now();
    const abort = AbortSignal.timeout(60);
    await expect(disk.read(requests, abort)).rejects.toThrow(/cancel|timeout/i);
    expect(performance.now() - startedMs).toBeLessThan(600);
    host.memory.fill(0x5a);
    await delay(60);
    expect(host.memory.every((byte) => byte === 0x5a)).toBe(true);
    await disk.read([ONE_MIB]);
    await host.stop();
  });
});

describe('a host that is lost', () => {
  const lost = { code: 'VDDK_HOST_DIED', retryable: true };

  it('ends every pending and later call with one error when it is killed, and nothing of it stays', async () => {
    const host = await workshop.startHost();
    const door = await doorWith([{ op: 'read', afterBytes: '0', effect: 'hang' }]);
    const disk = await openDisk(host, door.target());
    const [first, second] = [failure(disk.read([ONE_MIB])), failure(disk.read([ONE_MIB]))];
    await delay(50);
    process.kill(host.pid as number, 'SIGKILL');
    expect(await first).toMatchObject({ ...lost, subject: PATH, details: { signal: 'SIGKILL' } });
    expect(await second).toBe(await first);
    expect(await failure(host.cleanup(door.target()))).toBe(await first);
    expect(isGone(host.pid)).toBe(true);
    expect(host.memory.length).toBe(16 * MIB);
    const before = openMemfds();
    await host.stop();
    await host.stop();
    expect(host.memory.length).toBe(0);
    expect(openMemfds()).toBe(before - 1);
  });

  it('carries the last words of a library that panics', async () => {
    const host = await workshop.startHost();
    const door = await doorWith([{ op: 'read', afterBytes: String(64 * KIB), effect: 'crash' }]);
    const disk = await openDisk(host, door.target());
    const error = await failure(disk.read([ONE_MIB]));
    expect(error).toMatchObject({ ...lost, details: { signal: 'SIGABRT' } });
    expect(String(error.details.logLines)).toContain('PANIC');
    await host.stop();
  });

  it('carries last words that explain, and not what VDDK says of the customer experience programme', async () => {
    const executable = join(workshop.dir, 'noisy-host');
    const noise = Array(20).fill('echo "warning PhoneHome: cannot reach VMware" >&2').join('\n');
    writeFileSync(executable, `#!/bin/sh\necho "warning the library is damaged" >&2\n${noise}\nexit 3\n`, { mode: 0o755 });
    const error = await failure(workshop.startHost({}, { executable }));
    expect(error).toMatchObject({ ...lost, details: { exitCode: 3, logLines: ['the library is damaged'] } });
  });

  it('is killed when it does not answer in time', async () => {
    const host = await workshop.startHost({ operationTimeoutMs: 400 });
    const door = await doorWith([{ op: 'read', afterBytes: '0', effect: 'hang' }]);
    const disk = await openDisk(host, door.target());
    const startedMs = performance.now();
    expect(await failure(disk.read([ONE_MIB]))).toMatchObject({ code: 'VDDK_HOST_TIMEOUT', retryable: true, subject: PATH });
    expect(performance.now() - startedMs).toBeLessThan(3000);
    expect(isGone(host.pid)).toBe(true);
    await host.stop();
  });

  // Most of what these three do is wait, and they wait together.
  it.concurrent('is killed when it does not come back from a call that was given up: what undoes it comes after it on the same thread', async () => {
    const door = await doorWith();
    for (const [unanswered, work] of [
      ['open', async (host: VddkHost, signal: AbortSignal) => (await connect(host, door.target())).openDisk(PATH, {}, signal)],
      ['prepareForAccess', (host: VddkHost, signal: AbortSignal) => host.prepareForAccess(door.target(), 'given-up', signal)],
    ] as const) {
      const host = await workshop.startHost({ operationTimeoutMs: 60_000 });
      door.facts.unanswered = [unanswered];
      const abort = new AbortController();
      const given = work(host, abort.signal).catch((error: unknown) => error);
      await vi.waitFor(() => expect(door.operations(unanswered)).toHaveLength(1), 5_000);
      abort.abort(new Error('cancelled'));
      expect(await given).toMatchObject({ message: 'cancelled' });
      expect(await failure(host.endAccess(door.target(), 'given-up'))).toMatchObject({ code: 'VDDK_HOST_TIMEOUT', retryable: true });
      expect(isGone(host.pid)).toBe(true);
      await host.stop();
    }
  });

  it.concurrent('is not killed when it comes back from it in time', async () => {
    const host = await workshop.startHost({ operationTimeoutMs: 60_000 });
    const door = await doorWith([{ op: 'queryAllocated', afterBytes: '0', effect: 'delay', delayMs: 600 }]);
    const disk = await openDisk(host, door.target());
    const abort = new AbortController();
    const given = disk.queryAllocated(abort.signal).catch((error: unknown) => error);
    await delay(100);
    abort.abort(new Error('cancelled'));
    expect(await given).toMatchObject({ message: 'cancelled' });
    await delay(6_000);
    expect(host.isAlive).toBe(true);
    await disk.close(abort.signal);
    await delay(1_000);
    expect(host.isAlive).toBe(true);
    await host.stop();
  });

  it.concurrent('is killed when a disk of a run that was cancelled does not close', { timeout: 40_000 }, async () => {
    const host = await workshop.startHost({ operationTimeoutMs: 60_000 });
    const door = await doorWith();
    door.facts.unanswered = ['close'];
    const disk = await openDisk(host, door.target());
    const abort = new AbortController();
    const closing = failure(disk.close(abort.signal));
    await delay(200);
    abort.abort(new Error('cancelled'));
    expect(await closing).toMatchObject({ code: 'VDDK_HOST_TIMEOUT', subject: PATH });
    expect(isGone(host.pid)).toBe(true);
    await host.stop();
  });

  it.concurrent('is killed when it does not disconnect, clean up or start for a run that was cancelled', async () => {
    const settings = { operationTimeoutMs: 60_000, hurry: { closeMs: 500, cleanupMs: 700 } };
    const door = await doorWith();
    // Disconnect closes the disks that are still open.
    door.facts.unanswered = ['close', 'cleanup'];
    for (const [unanswered, seconds, work] of [
      [
        'close',
        1,
        async (host: VddkHost, signal: AbortSignal) => {
          const connection = await connect(host, door.target());
          await connection.openDisk(PATH, {});
          await connection.disconnect(signal);
        },
      ],
      ['cleanup', 1, (host: VddkHost, signal: AbortSignal) => host.cleanup(door.target(), undefined, signal)],
    ] as const) {
      const host = await workshop.startHost(settings);
      const abort = new AbortController();
      const ending = failure(work(host, abort.signal));
      await vi.waitFor(() => expect(door.operations(unanswered)).toHaveLength(1), 5_000);
      abort.abort(new Error('cancelled'));
      const error = await ending;
      expect(error).toMatchObject({ code: 'VDDK_HOST_TIMEOUT' });
      expect(error.message).toContain(`within ${seconds} s`);
      expect(isGone(host.pid)).toBe(true);
      await host.stop();
    }
    const executable = join(workshop.dir, 'never-ready');
    writeFileSync(executable, `#!${process.execPath}\nsetTimeout(() => {}, 20000);\n`);
    chmodSync(executable, 0o755);
    const hurry = AbortSignal.abort(new Error('cancelled'));
    expect(await failure(workshop.startHost(settings, { executable, hurry }))).toMatchObject({ code: 'VDDK_HOST_TIMEOUT' });
  });

  it('is not killed while a slow batch makes progress', async () => {
    // So that a machine that stalls for two seconds between two pieces is not taken for a VDDK that does.
    const host = await workshop.startHost({ operationTimeoutMs: 3000, ioDepth: 1 });
    const door = await doorWith([{ op: 'read', afterBytes: '0', effect: 'delay', delayMs: 350 }]);
    const disk = await openDisk(host, door.target());
    await disk.read(Array.from({ length: 11 }, (_, i) => ({ ...ONE_MIB, memoryOffset: i * MIB })));
    await host.stop();
  });

  it.each([
    [
      'answers nobody asked for',
      'const b = Buffer.alloc(18); b.writeUInt32LE(2, 0); b.writeUInt32LE(2, 4); b.writeBigUInt64LE(99n, 8); b.write("{}", 16); s.write(b);',
    ],
    ['garbage', 's.write(Buffer.alloc(64, 0xff));'],
    [
      'an answer that is not JSON',
      'const b = Buffer.alloc(20); b.writeUInt32LE(4, 0); b.writeUInt32LE(2, 4); b.writeBigUInt64LE(1n, 8); b.write("nope", 16); s.write(b);',
    ],
  ])('is killed when it sends %s', async (_, code) => {
    const executable = join(workshop.dir, `nonsense${Math.random()}`);
    const script = `const s = new (require('net').Socket)({ fd: 3 }); s.once('data', () => { ${code} }); setTimeout(() => {}, 20000);`;
    writeFileSync(executable, `#!${process.execPath}\n${script}\n`);
    chmodSync(executable, 0o755);
    const error = await failure(workshop.startHost({}, { executable }));
    expect(error).toMatchObject({ code: 'VDDK_HOST_PROTOCOL', retryable: false });
  });

  it('leaves nothing behind when the start is cancelled', async () => {
    const executable = join(workshop.dir, 'silent');
    writeFileSync(executable, `#!${process.execPath}\nsetTimeout(() => {}, 20000);\n`);
    chmodSync(executable, 0o755);
    const before = openMemfds();
    await expect(workshop.startHost({}, { executable, signal: AbortSignal.timeout(50) })).rejects.toThrow(/cancel|timeout/i);
    expect(openMemfds()).toBe(before);
    expect(readdirSync(join(workshop.dir, 'tmp')).filter((name) => name.endsWith('.conf'))).toEqual([]);
  }, 15_000);
});
