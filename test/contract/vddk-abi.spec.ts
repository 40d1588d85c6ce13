import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { KIB } from '../../src/common/index.js';
import { pattern, STANDIN_DIR, Workshop } from './vddk-fixtures.js';

const workshop = new Workshop();
afterAll(() => workshop.clear());

/** 64 KiB units and a tail of 9 sectors. */
const CAPACITY_SECTORS = 128 * 1000 + 9;

const [OK, FAIL, OUT_OF_MEMORY, INVALID_ARGUMENT, READ_ONLY, EXISTS, TOO_SMALL, OUT_OF_RANGE, KEY_NOT_FOUND, ASYNC] = [
  0, 1, 2, 3, 11, 12, 24, 16007, 16052, 25000,
];

const EXPECTED: Record<string, number> = {
  'init-newer-than-library': INVALID_ARGUMENT,
  init: OK,
  'init-again': FAIL,
  'connect-null-params': INVALID_ARGUMENT,
  'connect-null-cookie': INVALID_ARGUMENT,
  connect: OK,
  'open-null-path': INVALID_ARGUMENT,
  'open-two-compressions': INVALID_ARGUMENT,
  open: OK,
  info: OK,
  capacity: CAPACITY_SECTORS,
  links: 1,
  'read-last-sector': OK,
  'read-past-end': OUT_OF_RANGE,
  'read-wrapping': OUT_OF_RANGE,
  'read-null-buffer': INVALID_ARGUMENT,
  'read-null-handle': INVALID_ARGUMENT,
  'read-2MiB': OK,
  'read-2MiB-and-512': OUT_OF_MEMORY,
  'write-read-only': READ_ONLY,
  'read-async': ASYNC,
  wait: OK,
  completion: OK,
  'completion-on-another-thread': 1,
  query: OK,
  'query-small-chunk': INVALID_ARGUMENT,
  'query-unaligned-start': INVALID_ARGUMENT,
  'query-unaligned-count': INVALID_ARGUMENT,
  'query-nothing': INVALID_ARGUMENT,
  'query-tail': INVALID_ARGUMENT,
  'query-rounded-past-end': INVALID_ARGUMENT,
  'query-too-many-chunks': INVALID_ARGUMENT,
  'keys-size': TOO_SMALL,
  keys: OK,
  'keys-end-with-two-NULs': 1,
  'value-of-unknown-key': KEY_NOT_FOUND,
  'value-in-small-buffer': TOO_SMALL,
  close: OK,
  'create-remote': INVALID_ARGUMENT,
  disconnect: OK,
  'connect-hosted': OK,
  create: OK,
  'create-existing': EXISTS,
  'open-created': OK,
  'write-beyond-4TiB': OK,
  'read-back': OK,
  same: 1,
  'close-created': OK,
  unlink: OK,
  'disconnect-hosted': OK,
  'init-after-exit': FAIL,
  'log-names-NFC-error': 1,
};

/** What nbdkit's vddk plugin requires (reference/vddk-abi.md §1.2, "R") and what it uses where present. */
const NBDKIT_SYMBOLS =
  'InitEx Exit GetErrorText FreeErrorText AllocateConnectParams FreeConnectParams ConnectEx Disconnect Open Close GetInfo FreeInfo ' +
  'GetTransportMode Read Write ReadAsync WriteAsync Flush Wait QueryAllocatedBlocks FreeBlockList Create';

describe('the stand-in library, called through its C interface', () => {
  it('answers each call, right or wrong, with the code VDDK gives', async () => {
    const driver = workshop.compile(join(import.meta.dirname, 'vddk-abi-driver.cc'), 'driver', '-ldl', '-pthread');
    const flat = workshop.sparseFile('abi-flat.vmdk', CAPACITY_SECTORS * 512, [[0, pattern('abi', 64 * KIB)]]);
    const links = [{ format: 'flat' as const, file: flat }];
    const door = await workshop.openDoor({
      disks: { '[ds-1] abi.vmdk': { capacitySectors: CAPACITY_SECTORS, links, metadata: { adapterType: 'lsilogic', uuid: '60 00' } } },
    });
    mkdirSync(join(workshop.dir, 'disks'));
    const library = join(STANDIN_DIR, 'lib64', 'libvixDiskLib.so.8');
    const { stdout } = await promisify(execFile)(
      driver,
      [library, join(workshop.dir, 'disks'), String(door.target().port), String(CAPACITY_SECTORS)],
      { timeout: 20_000 },
    );
    const lines = stdout.trim().split('\n');
    expect(lines).toContain('text You do not have access rights to this file.');
    const answered = Object.fromEntries(lines.filter((line) => !line.startsWith('text ')).map((line) => line.split(' ')));
    expect(answered).toEqual(Object.fromEntries(Object.entries(EXPECTED).map(([name, code]) => [name, String(code)])));
  });

  it('exports what nbdkit needs, and nothing but VixDiskLib functions', async () => {
    const { stdout } = await promisify(execFile)('nm', ['-D', '--defined-only', join(STANDIN_DIR, 'lib64', 'libvixDiskLib.so')]);
    const exported = stdout.trim().split('\n').map((line) => line.split(' ').at(-1) ?? ''); // biome-ignore format: one thought
    for (const name of NBDKIT_SYMBOLS.split(' ')) expect(exported).toContain(`VixDiskLib_${name}`);
    expect(exported.filter((name) => !name.startsWith('VixDiskLib_'))).toEqual([]);
  });
});

describe('the host with a minimal foreign library', () => {
  it('reads and writes with NULL handles, inline completions and none of the optional functions', async () => {
    workshop.compile(
      join(import.meta.dirname, 'vddk-minimal-library.cc'),
      'libvixDiskLib.so.6',
      '-shared',
      '-fPIC',
      '-Wl,-soname,libvixDiskLib.so.6',
    );
    const host = await workshop.startHost({ libraryDir: workshop.dir });
    expect(host.libraryVersion).toBe('libvixDiskLib.so.6');
    const door = await workshop.openDoor();
    const connection = await host.connect(door.target(), { readOnly: false, transportModes: 'file' });
    const disk = await connection.openDisk('/disk', {});
    expect([disk.capacityBytes, disk.transportMode]).toEqual([1024 * 512, 'file']);
    expect(await disk.queryAllocated()).toBeUndefined();
    await expect(disk.metadata()).rejects.toMatchObject({ code: 'VDDK_UNSUPPORTED' });
    await expect(host.prepareForAccess(door.target(), 'x')).rejects.toMatchObject({ code: 'VDDK_UNSUPPORTED' });
    const { vmMoRef: _, ...server } = door.target();
    const ofDisk = { ...server, storageObject: { id: 'disk', datastoreMoRef: 'datastore-1' } };
    await expect(host.connect(ofDisk, { readOnly: true, transportModes: 'nbd' })).rejects.toMatchObject({ code: 'VDDK_UNSUPPORTED' });
    const pieces = [0, 1, 2, 3].map((i) => ({ offsetBytes: i * 128 * KIB, lengthBytes: 128 * KIB, memoryOffset: (3 - i) * 128 * KIB }));
    await disk.read(pieces);
    const at = (memory: number) => host.memory[memory];
    expect([at(3 * 128 * KIB), at(0), at(127)]).toEqual([1, ((3 * 128 * KIB) % 251) + 1, ((3 * 128 * KIB + 127) % 251) + 1]);
    const data = pattern('foreign', 64 * KIB);
    data.copy(host.memory, 8 * KIB);
    await disk.write([{ offsetBytes: 100 * KIB, lengthBytes: 64 * KIB, memoryOffset: 8 * KIB }]);
    await disk.flush();
    await disk.read([{ offsetBytes: 100 * KIB, lengthBytes: 64 * KIB, memoryOffset: 512 * KIB }]);
    expect(host.memory.subarray(512 * KIB, 576 * KIB).equals(data)).toBe(true);
    await disk.close();
    // High bits of an error word are facts, not another error.
    await expect(connection.openDisk('/none', {})).rejects.toMatchObject({ code: 'VIX_FILE_NOT_FOUND', vixCode: 4 });
    // What VDDK says of the customer experience programme pushes out no line that explains a failure.
    await expect(connection.openDisk('/noisy', {})).rejects.toMatchObject({
      vixCode: 1,
      message: expect.stringContaining('the disk is locked by a running VM or by another program'),
      details: { logLines: [expect.stringContaining('web.vmdk is in use by another process')] },
    });
    await host.stop();
  });
});
