import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { MIB } from '../common/index.js';
import { type OpenDiskDemand, OpenDiskLimits } from './open-disk-limits.js';

const ceilings = { nfcBytesPerEsxiHost: 48 * MIB, disksPerEsxiHost: 50, connectionsPerVcenter: 52 };
const on = (esxiHostMoRef: string, changes: Partial<OpenDiskDemand> = {}): OpenDiskDemand => ({
  vcenterInstanceUuid: 'VC-1',
  esxiHostMoRef,
  nfcBytes: 4 * MIB,
  ...changes,
});

async function settled<T>(promise: Promise<T>): Promise<T | 'waiting'> {
  const result = promise.then((value) => value);
  await turn();
  return Promise.race([result, Promise.resolve('waiting' as const)]);
}

describe('OpenDiskLimits', () => {
  it('opens as many disks on a host as its NFC memory holds, and the next when one is closed', async () => {
    const limits = new OpenDiskLimits(ceilings);
    const open = await Promise.all(Array.from({ length: 12 }, () => limits.acquire(on('host-1'))));
    const next = limits.acquire(on('host-1'));
    expect(await settled(next)).toBe('waiting');
    expect(await settled(limits.acquire(on('host-2')))).toBeTypeOf('function');
    open[0]?.();
    open[0]?.();
    expect(await settled(next)).toBeTypeOf('function');
    expect(await settled(limits.acquire(on('host-1')))).toBe('waiting');
  });

  it('counts disks of a host and connections of a vCenter, whatever their memory and however its UUID is written', async () => {
    const limits = new OpenDiskLimits({ ...ceilings, disksPerEsxiHost: 2, connectionsPerVcenter: 3 });
    const small = { nfcBytes: 64 * 1024 };
    await limits.acquire(on('host-1', small));
    const second = await limits.acquire(on('host-1', small));
    const third = limits.acquire(on('host-1', small));
    expect(await settled(third)).toBe('waiting');
    await limits.acquire(on('host-2', { ...small, vcenterInstanceUuid: 'vc-1' }));
    const other = limits.acquire(on('host-3', small));
    expect(await settled(other)).toBe('waiting');
    expect(await settled(limits.acquire(on('host-1', { ...small, vcenterInstanceUuid: 'VC-2' })))).toBeTypeOf('function');
    second();
    // One connection is free: it goes to who came first.
    expect(await settled(third)).toBeTypeOf('function');
    expect(await settled(other)).toBe('waiting');
  });

  it('lets nobody overtake who waits for the same host, and everybody else pass', async () => {
    const limits = new OpenDiskLimits({ ...ceilings, nfcBytesPerEsxiHost: 8 * MIB });
    const first = await limits.acquire(on('host-1', { nfcBytes: 6 * MIB }));
    const large = limits.acquire(on('host-1', { nfcBytes: 8 * MIB }));
    const small = limits.acquire(on('host-1', { nfcBytes: MIB }));
    expect(await settled(small)).toBe('waiting');
    expect(await settled(limits.acquire(on('host-2')))).toBeTypeOf('function');
    first();
    const releaseLarge = await large;
    expect(await settled(small)).toBe('waiting');
    releaseLarge();
    expect(await settled(small)).toBeTypeOf('function');
  });

  it('lets a cancelled waiter go, and those behind it in', async () => {
    const limits = new OpenDiskLimits({ ...ceilings, nfcBytesPerEsxiHost: 8 * MIB });
    await limits.acquire(on('host-1', { nfcBytes: 6 * MIB }));
    const cancel = new AbortController();
    const large = limits.acquire(on('host-1', { nfcBytes: 8 * MIB }), cancel.signal);
    const small = limits.acquire(on('host-1', { nfcBytes: MIB }));
    cancel.abort();
    await expect(large).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await settled(small)).toBeTypeOf('function');
  });

  it('opens one disk that alone is above the limit, and refuses limits that let nothing through', async () => {
    const limits = new OpenDiskLimits({ ...ceilings, nfcBytesPerEsxiHost: MIB });
    expect(await settled(limits.acquire(on('host-1')))).toBeTypeOf('function');
    expect(await settled(limits.acquire(on('host-1')))).toBe('waiting');
    expect(() => new OpenDiskLimits({ ...ceilings, disksPerEsxiHost: 0 })).toThrow(RangeError);
  });
});
