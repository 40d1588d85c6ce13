import { ChildProcess } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { createLogger, MIB, silentLogger } from '../../src/common/index.js';
import { inspectVddk, VddkHost } from '../../src/vddk/index.js';
import { failure, openMemfds, STANDIN_DIR, Workshop } from './vddk-fixtures.js';

const workshop = new Workshop();
afterAll(() => workshop.clear());

const PATH = '[ds-1] web/web.vmdk';

describe('starting vddk-host', () => {
  it('says which library was found', async () => {
    const found = await inspectVddk(workshop.settings(), { log: silentLogger });
    expect(found).toMatchObject({ version: '8.0.0', libraryFile: expect.stringMatching(/lib64\/libvixDiskLib\.so\.8$/) });
  });

  it.each([
    ['a folder without VDDK', { libraryDir: '/nonexistent/vddk' }, 'VDDK_LIBRARY', '/nonexistent/vddk'],
    ['too little memory', { memoryBytes: 2 * MIB }, 'VDDK_SETTINGS', 'memoryBytes'],
    ['NFC buffers above 16 MiB', { nfcAioBufferCount: 32 }, 'VDDK_SETTINGS', 'NFC AIO'],
  ])('refuses %s in one sentence', async (_, changes, code, words) => {
    const error = await failure(VddkHost.start(workshop.settings(changes), { log: silentLogger }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
  });

  it('says so when vddk-host was not built, and when the library is damaged', async () => {
    const executable = join(workshop.dir, 'not-built');
    expect(await failure(workshop.startHost({}, { executable }))).toMatchObject({ code: 'VDDK_HOST_MISSING', subject: executable });
    writeFileSync(join(workshop.dir, 'libvixDiskLib.so.7'), 'not a library');
    expect(await failure(workshop.startHost({ libraryDir: workshop.dir }))).toMatchObject({ code: 'VDDK_LIBRARY' });
  });

  it.each([
    ['EMFILE', 'no file descriptor left'],
    ['ENFILE', 'no file descriptor left'],
    ['EAGAIN', 'no more processes'],
    ['ENOMEM', 'no memory left'],
  ] as const)('fails alone where there is no room to start it (%s), and goes when there is', async (errno, lack) => {
    // The system call alone is made to fail: what Node makes of that is its own, and no streams are among it.
    const { _handle } = new ChildProcess() as unknown as { _handle: object };
    const calls = Object.getPrototypeOf(_handle) as { spawn: () => number };
    const before = openMemfds();
    const refused = vi.spyOn(calls, 'spawn').mockReturnValue(-constants.errno[errno]);
    const error = await failure(workshop.startHost()).finally(() => refused.mockRestore());
    expect(error).toMatchObject({ code: 'VDDK_HOST_NOT_STARTED', retryable: true, cause: { code: errno } });
    expect(error.message).toMatch(new RegExp(`vddk-host cannot be started: .* ${lack}\\. (?:Raise|Give) `));
    expect(openMemfds()).toBe(before);
    await (await workshop.startHost()).stop();
  });

  it("gives the process VDDK's library path and none of the service's environment", async () => {
    const [executable, seen] = [join(workshop.dir, 'show-environment'), join(workshop.dir, 'environment')];
    writeFileSync(executable, `#!/bin/sh\nenv > "${seen}"\n`);
    chmodSync(executable, 0o755);
    process.env.VAULT_TEST_SECRET = 'do-not-inherit';
    const error = await failure(workshop.startHost({}, { executable })).finally(() => delete process.env.VAULT_TEST_SECRET);
    expect(error).toMatchObject({ code: 'VDDK_HOST_DIED', details: { exitCode: 0 } });
    const environment = readFileSync(seen, 'utf8');
    expect(environment).toContain(`LD_LIBRARY_PATH=${STANDIN_DIR}/lib64:${STANDIN_DIR}\n`);
    expect(environment).not.toContain('do-not-inherit');
  });

  it('keeps credentials out of the log and the arguments of the process', async () => {
    const file = workshop.sparseFile('web-flat.vmdk', MIB, []);
    const lines: string[] = [];
    const log = createLogger('silent');
    for (const level of ['debug', 'info', 'warn', 'error'] as const)
      log[level] = (...args: unknown[]) => lines.push(JSON.stringify(args)) as never;
    const host = await workshop.startHost({}, { log });
    const door = await workshop.openDoor({ disks: { [PATH]: { capacitySectors: MIB / 512, links: [{ format: 'flat', file }] } } });
    const connection = await host.connect(door.target(), { readOnly: true, snapshotMoRef: 'snapshot-12', transportModes: 'nbdssl:nbd' });
    await (await connection.openDisk(PATH, {})).close();
    expect(readFileSync(`/proc/${host.pid}/cmdline`, 'utf8')).not.toContain('horse');
    await host.stop();
    expect(lines.join()).toContain('VixDiskLib');
    expect(lines.join()).not.toContain('horse');
  });
});
