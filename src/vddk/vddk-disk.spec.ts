import { describe, expect, it } from 'vitest';
import { type Extent, MOST_EXTENTS, totalBytes } from '../disk/index.js';
import { type HostCalls, VddkDisk } from './vddk-disk.js';

const MIB = 2 ** 20;
const EXTENTS_PER_FRAME = 65_536;

/** A disk of 4 TiB of which that many MiB are allocated, every other one. */
function scattered(count: number): VddkDisk {
  const call: HostCalls['call'] = async (_request, { onExtents }) => {
    for (let from = 0; from < count; from += EXTENTS_PER_FRAME) {
      const length = Math.min(EXTENTS_PER_FRAME, count - from);
      onExtents?.(Array.from({ length }, (_, i): Extent => ({ offsetBytes: (from + i) * 2 * MIB, lengthBytes: MIB })));
    }
    return { known: true };
  };
  // As the host has it: its calls settle whatever they are for.
  const host = { call: (request: object, options: never) => settling(call(request, options), options) } as unknown as HostCalls;
  return new VddkDisk(host, 'disk', { disk: 1, transportMode: 'file', capacitySectors: String(2 ** 42 / 512) });
}

async function settling<T>(answer: Promise<T>, { onSettled }: { onSettled?: () => void }): Promise<T> {
  return answer.finally(onSettled);
}

describe('the allocated areas of a disk', () => {
  it('are listed one by one up to the bound', async () => {
    const told: number[] = [];
    expect(await scattered(MOST_EXTENTS).queryAllocated(undefined, (bytes) => told.push(bytes))).toHaveLength(MOST_EXTENTS);
    expect(told).toEqual([]);
  });

  it('and with the gaps between them beyond it, which is said', async () => {
    const told: number[] = [];
    const allocated = await scattered(2 * MOST_EXTENTS).queryAllocated(undefined, (bytes) => told.push(bytes));
    expect(allocated).toHaveLength(MOST_EXTENTS);
    expect(told).toEqual([MOST_EXTENTS * MIB]);
    expect(totalBytes(allocated ?? [])).toBe(3 * MOST_EXTENTS * MIB);
  });
});
