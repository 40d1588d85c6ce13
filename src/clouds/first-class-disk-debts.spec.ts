import { describe, expect, it } from 'vitest';
import { type FirstClassDisk, type FirstClassDisksApi, VsphereError } from '../vsphere/index.js';
import { undoDisk, undoDiskSnapshot } from './first-class-disk-debts.js';

const SIGNAL = new AbortController().signal;
const SNAPSHOT = {
  cloudId: 'c',
  vcenterInstanceUuid: 'v',
  datastoreMoRef: 'datastore-1',
  diskId: 'disk-1',
  diskName: 'data',
  description: 'vApp Vault 17',
};

/** What a vCenter has, and in which order it was asked to do what. */
function vcenterWith(disks: Partial<FirstClassDisk>[], descriptions: string[] = []) {
  const calls: string[] = [];
  const api = {
    letTasksEnd: async () => void calls.push('wait'),
    find: async (id: string) => disks.find((disk) => disk.id === id),
    list: async () => [...disks.map(({ id }) => id), 'vanished'],
    read: async ({ id }: { id: string }) => {
      const found = disks.find((disk) => disk.id === id);
      if (found === undefined) throw new VsphereError('It is gone.', { code: 'NOT_FOUND' });
      return found;
    },
    snapshots: async () => descriptions.map((description, i) => ({ id: `s${i}`, description, createdAt: '' })),
    revert: async (_at: unknown, id: string) => void calls.push(`revert ${id}`),
    removeSnapshot: async (at: { datastoreMoRef: string }, id: string) => void calls.push(`remove ${id} on ${at.datastoreMoRef}`),
    remove: async ({ id }: { id: string }) => void calls.push(`delete ${id}`),
  } as unknown as FirstClassDisksApi;
  return { calls, api };
}

describe('a snapshot of a first class disk', () => {
  it('is removed by its description, others are left, and the disk is found where it was moved to', async () => {
    const { calls, api } = vcenterWith([{ id: 'disk-1', datastoreMoRef: 'datastore-2' }], ['vApp Vault 16', 'vApp Vault 17']);
    expect(await undoDiskSnapshot(SNAPSHOT, api, 1_000, SIGNAL)).toBe('undone');
    // What a dead run had asked for may only just be coming.
    expect(calls).toEqual(['wait', 'remove s1 on datastore-2']);
  });
  it('is reverted to first where that is owed', async () => {
    const { calls, api } = vcenterWith([{ id: 'disk-1', datastoreMoRef: 'datastore-1' }], ['vApp Vault 17']);
    await undoDiskSnapshot({ ...SNAPSHOT, revert: true }, api, 1_000, SIGNAL);
    expect(calls).toEqual(['wait', 'revert s0', 'remove s0 on datastore-1']);
  });
  it('is nothing to undo where it, or its disk, is not there', async () => {
    expect(await undoDiskSnapshot(SNAPSHOT, vcenterWith([{ id: 'disk-1' }]).api, 1_000, SIGNAL)).toBeUndefined();
    expect(await undoDiskSnapshot(SNAPSHOT, vcenterWith([]).api, 1_000, SIGNAL)).toBeUndefined();
  });
});

describe('a first class disk being made', () => {
  const made = { cloudId: 'c', vcenterInstanceUuid: 'v', datastoreMoRef: 'datastore-1', diskName: 'data-17' };
  it('is deleted by its id, whatever it is called by then', async () => {
    const { calls, api } = vcenterWith([{ id: 'disk-2', name: 'data' }]);
    expect(await undoDisk({ ...made, diskId: 'disk-2' }, api, 1_000, SIGNAL)).toBe('undone');
    expect(calls).toEqual(['wait', 'delete disk-2']);
  });
  it('is deleted by its name while nobody knows its id, past others that vanish meanwhile', async () => {
    const { calls, api } = vcenterWith([
      { id: 'disk-1', name: 'data' },
      { id: 'disk-2', name: 'data-17' },
    ]);
    expect(await undoDisk(made, api, 1_000, SIGNAL)).toBe('undone');
    expect(calls).toEqual(['wait', 'delete disk-2']);
    expect(await undoDisk({ ...made, diskName: 'data-18' }, api, 1_000, SIGNAL)).toBeUndefined();
  });
});
