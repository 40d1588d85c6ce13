import { describe, expect, it } from 'vitest';
import { silentLogger } from '../common/index.js';
import type { BackupWork } from './backup-source.js';
import type { LocatedDisk } from './first-class-disk-source.js';
import { snapshotFirstClassDisk } from './snapshot-first-class-disk.js';

const DISK = { id: 'disk-1', name: 'data', datastoreMoRef: 'datastore-1', changeTrackingEnabled: false };

/** What vCenter is asked to change of a disk with snapshots of these descriptions, while these are owed. */
async function changesOf(descriptions: string[], owed: { named?: string; revert?: boolean }) {
  const changes: string[] = [];
  const firstClassDisks = {
    snapshots: async () => descriptions.map((description) => ({ id: description, description, createdAt: '' })),
    removeSnapshot: async (_at: unknown, id: string) => void changes.push(`remove ${id}`),
    createSnapshot: async (_at: unknown, description: string) => {
      changes.push(`create ${description}`);
      return { id: 'new', createdAt: '', description };
    },
    snapshotChangeId: async () => undefined,
    read: async () => DISK,
  };
  const debt = { runId: 'run-0', kind: 'vsphere.disk-snapshot', lastError: 'The datastore is busy.' };
  const debts = {
    oldestOpen: async ({ description }: Record<string, unknown>) => (description === owed.named ? debt : undefined),
    oldestUnpaid: async ({ diskId, revert }: Record<string, unknown>) =>
      owed.revert === true && revert === true && diskId === DISK.id ? debt : undefined,
  };
  const run = { signal: new AbortController().signal, log: silentLogger, obligations: { owe: async () => ({}) } };
  const payload = { restorePointId: 'point', settings: { snapshotTimeoutMinutes: 1 } };
  const work = { cloud: { cloudId: 'cloud' }, payload, run, parts: { debts } } as unknown as BackupWork;
  const located = { vcenter: { instanceUuid: 'vc', firstClassDisks }, disk: DISK } as unknown as LocatedDisk;
  const error = await snapshotFirstClassDisk(located, work).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { changes, error };
}

describe('the snapshot of a first class disk', () => {
  it('comes after leftovers of ours were removed, and not what somebody still owes or has made himself', async () => {
    const descriptions = ['vApp Vault old', 'vApp Vault restore 1', 'before the update'];
    expect(await changesOf(descriptions, { named: 'vApp Vault restore 1' })).toEqual({
      changes: ['remove vApp Vault old', 'create vApp Vault point'],
      error: undefined,
    });
  });

  it('is not taken while the disk has to go back to one, which stays', async () => {
    const { changes, error } = await changesOf(['vApp Vault restore 1'], { named: 'vApp Vault restore 1', revert: true });
    expect(changes).toEqual([]);
    expect(error).toMatchObject({
      code: 'DISK_REVERT_OWED',
      retryable: true,
      message:
        'First class disk "data" is half written over by run run-0 and has still to go back to the snapshot below it (last try: The datastore is busy); that is tried again until it succeeds, so start this run again afterwards.',
    });
  });
});
