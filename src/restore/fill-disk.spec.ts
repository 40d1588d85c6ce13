import { describe, expect, it } from 'vitest';
import type { ManifestDisk } from '../catalog/index.js';
import type { DiskReader } from '../repository/index.js';
import { type VddkDiskApi, VddkError } from '../vddk/index.js';
import { fillDisk } from './fill-disk.js';

const CHUNK = 256 * 1024;
const MEMORY = Buffer.alloc(4 * 1024 * 1024);

function setUp(metadata: Record<string, string>, fail?: VddkError) {
  const calls: string[] = [];
  const written: Record<string, string> = {};
  const disk = {
    capacityBytes: 4 * CHUNK,
    metadata: async () => ({ adapterType: 'lsilogic', uuid: 'new' }),
    writeMetadata: async (entries: Record<string, string>) => {
      calls.push('writeMetadata');
      if (fail) throw fail;
      Object.assign(written, entries);
    },
    write: async () => void calls.push('write'),
    flush: async () => void calls.push('flush'),
    close: async () => void calls.push('close'),
    queryAllocated: async () => undefined,
  } as unknown as VddkDiskApi;
  const reader: DiskReader = {
    capacityBytes: 4 * CHUNK,
    chunkBytes: CHUNK,
    async *dataChunks() {
      yield [0, 2];
    },
    async read(memory, chunks) {
      for (const { offset } of chunks) memory.fill(1, offset, offset + CHUNK);
    },
  };
  const warnings: string[] = [];
  const captured = { label: 'Hard disk 1', capacityBytes: 4 * CHUNK, allocatedBytes: 2 * CHUNK, metadata } as unknown as ManifestDisk;
  const fill = (isEmpty: boolean) =>
    fillDisk(
      captured,
      { path: '[ds] web/web.vmdk', vmName: 'web', isEmpty },
      { memory: MEMORY },
      { openDisk: async () => disk },
      {
        repository: { openDisk: async () => reader },
        ref: { organizationId: 'o', restorePointId: 'r' },
        vddk: { maxRequestBytes: 2 ** 21 },
        progress: () => undefined,
        warn: (message) => warnings.push(message),
        signal: new AbortController().signal,
      },
    );
  return { fill, calls, written, warnings };
}

describe('fillDisk', () => {
  it('writes the metadata of a new disk before its data, and what is its own not at all', async () => {
    const t = setUp({ adapterType: 'legacyESX', uuid: 'old', toolsVersion: '12352' });
    await t.fill(true);
    expect(t.calls[0]).toBe('writeMetadata');
    expect(t.calls).toContain('write');
    expect(t.calls.at(-1)).toBe('close');
    expect(t.written).toEqual({ toolsVersion: '12352' });
    expect(t.warnings).toEqual([]);
  });

  it('leaves the metadata of a disk that is written over', async () => {
    const t = setUp({ toolsVersion: '12352' });
    await t.fill(false);
    expect(t.calls).not.toContain('writeMetadata');
  });

  it('restores the data where the metadata is refused, and says so', async () => {
    const t = setUp({ toolsVersion: '12352' }, new VddkError('VDDK could not write the metadata of x', { code: 'VIX_NOT_SUPPORTED' }));
    await t.fill(true);
    expect(t.calls).toContain('write');
    expect(t.warnings.join()).toMatch(/metadata of Hard disk 1 of VM "web"/);
  });
});
