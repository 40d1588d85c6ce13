import { describe, expect, it } from 'vitest';
import type { SourceKind } from '../catalog/index.js';
import { runBackup } from './run-backup.js';

/** A backup in a cloud whose VCD is away; the first class disk it may be of is on no datastore any more. */
function backUp(kind: SourceKind) {
  const vapp = { id: 'ours', name: 'data', kind, cloudId: 'cloud', organizationId: 'org' };
  const cloud = { vcd: () => Promise.reject(new Error('VCD is away')) };
  const parts = {
    catalog: { vapp: async () => vapp, firstClassDisk: async () => undefined },
    sessions: async () => cloud,
    repository: { beginSession: async () => ({ abandon: async () => undefined }) },
  };
  const run = { step: (_name: string, work: () => unknown) => work(), signal: new AbortController().signal };
  return runBackup({ vappId: 'ours', restorePointId: 'point', settings: {} } as never, run as never, parts as never);
}

describe('runBackup', () => {
  it('needs no VCD for a first class disk', async () => {
    await expect(backUp('first-class-disk')).rejects.toMatchObject({ code: 'VAPP_GONE' });
  });

  it.each(['vapp', 'standalone-vm', 'vapp-template', 'media'] as const)('needs it for kind %s', async (kind) => {
    await expect(backUp(kind)).rejects.toThrow('VCD is away');
  });
});
