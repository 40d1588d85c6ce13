import { describe, expect, it } from 'vitest';
import { KIB, MIB } from '../common/index.js';
import type { Extent } from '../disk/index.js';
import { assertRoomToGrow, type GrowingDisk } from './room-to-grow.js';

const TIB = 2 ** 40;
const CHUNK = 256 * KIB;
/** Chunks in which the restore point has data, on both sides of 2 TiB. */
const DATA = [0, 1, 2, (2 * TIB) / CHUNK, (2 * TIB) / CHUNK + 1];
const at = (chunkIndex: number, chunks = 1): Extent => ({ offsetBytes: chunkIndex * CHUNK, lengthBytes: chunks * CHUNK });

interface Case {
  thin?: boolean;
  changed?: Extent[];
  allocated?: Extent[] | undefined;
  /** Gaps between what is allocated count as allocated. */
  widened?: boolean;
  freeBytes?: number;
  /** Whether vCenter lists the datastore. */
  listed?: boolean;
}

async function check({ thin = true, changed, allocated, widened = false, freeBytes = 0, listed = true }: Case) {
  let opened = 0;
  const connection = {
    openDisk: async () => {
      opened += 1;
      const queryAllocated = async (_signal: AbortSignal, onWidened: (bytes: number) => void) => {
        if (widened) onWidened(CHUNK);
        return allocated;
      };
      return { queryAllocated, close: async () => undefined };
    },
  };
  const reader = {
    chunkBytes: CHUNK,
    capacityBytes: 3 * TIB,
    async *dataChunks() {
      yield DATA.slice(0, 2);
      yield DATA.slice(2);
    },
  };
  const captured = { allocatedBytes: DATA.length * CHUNK, diskId: 'd', indexId: 'i', capacityBytes: 3 * TIB, chunkBytes: CHUNK };
  const disk: GrowingDisk = { captured, path: '[ds-1] web/web.vmdk', thin, changed };
  const datastores = [{ moRef: 'other', name: 'ds-1', freeBytes: 99 * TIB }, ...(listed ? [{ moRef: 'ds', name: 'ds-1', freeBytes }] : [])];
  const error = await assertRoomToGrow([disk], connection as never, {
    vm: { name: 'web', datastores: [{ moRef: 'ds', name: 'ds-1' }] },
    vcenter: { survey: { datastores: async () => datastores as never } },
    repository: { openDisk: async () => reader as never },
    ref: {} as never,
    signal: new AbortController().signal,
  }).then(
    () => undefined,
    (reason: unknown) => reason as { code: string; message: string; details: Record<string, unknown> },
  );
  return { error, opened };
}

describe('assertRoomToGrow', () => {
  it('opens nothing where all that is written fits, or has its room already', async () => {
    expect(await check({ freeBytes: 5 * CHUNK })).toEqual({ error: undefined, opened: 0 });
    expect(await check({ changed: [at(1)], freeBytes: CHUNK })).toEqual({ error: undefined, opened: 0 });
    expect(await check({ thin: false })).toEqual({ error: undefined, opened: 0 });
  });

  it('counts what the disk of today lacks, also past 2 TiB', async () => {
    const allocated = [at(1, 5), at((2 * TIB) / CHUNK)];
    // Chunk 0 and the second past 2 TiB.
    expect((await check({ allocated, freeBytes: 2 * CHUNK })).error).toBeUndefined();
    const { error, opened } = await check({ allocated, freeBytes: 2 * CHUNK - 1 });
    expect(opened).toBe(1);
    expect(error).toMatchObject({
      code: 'DATASTORE_FULL',
      details: { neededBytes: 2 * CHUNK, freeBytes: 2 * CHUNK - 1, datastore: 'ds-1' },
    });
    expect(error?.message).toMatch(/VM "web".*"ds-1".*nothing was written/);
  });

  it('counts of what changed only what holds data, in whole chunks', async () => {
    const changed = [
      { offsetBytes: 64 * KIB, lengthBytes: 64 * KIB },
      { offsetBytes: 2 * TIB + CHUNK + 64 * KIB, lengthBytes: MIB },
    ];
    expect((await check({ changed, allocated: [], freeBytes: CHUNK })).error?.details).toMatchObject({ neededBytes: 2 * CHUNK });
    expect((await check({ changed, allocated: [at(0)], freeBytes: CHUNK })).error).toBeUndefined();
  });

  it('takes the worst for granted where nobody can tell what is allocated', async () => {
    expect((await check({ allocated: undefined, freeBytes: 4 * CHUNK })).error?.details).toMatchObject({ neededBytes: 5 * CHUNK });
  });

  it('and where gaps between what is allocated count as allocated', async () => {
    const allocated = [at(0, (2 * TIB) / CHUNK + 2)];
    expect((await check({ allocated, freeBytes: 0 })).error).toBeUndefined();
    expect((await check({ allocated, widened: true, freeBytes: 4 * CHUNK })).error?.details).toMatchObject({ neededBytes: 5 * CHUNK });
  });

  it('does not stand in the way where vCenter does not know the datastore', async () => {
    expect((await check({ listed: false })).error).toBeUndefined();
  });
});
