import { describe, expect, it } from 'vitest';
import { silentLogger, sleep } from '../common/index.js';
import { type LocatedVm, snapshotVms } from './snapshot-vms.js';

describe('snapshotVms', () => {
  it('that is aborted while vCenter makes a snapshot rests only when the snapshot is there to be removed', async () => {
    const stop = new AbortController();
    const made: string[] = [];
    const asked: boolean[] = [];
    const vcenter = {
      instanceUuid: 'vc',
      async createSnapshot(moRef: string, _options: unknown, signal?: AbortSignal) {
        asked.push(true);
        // As vCenter: the caller may go, the task goes on.
        const task = sleep(60).then(() => void made.push(moRef));
        await (signal === undefined ? task : Promise.race([task, sleep(10_000, signal)]));
        return { moRef: `snapshot-of-${moRef}`, createdAt: new Date(0).toISOString() };
      },
    };
    const configuration = {
      moRef: 'vm-7',
      name: 'web-1',
      instanceUuid: 'i',
      snapshots: [],
      changeTrackingEnabled: true,
      changeTrackingSupported: true,
      powerState: 'poweredOff',
    };
    const taking = snapshotVms([{ captured: {}, vcenter, vcenterName: 'vc', configuration } as unknown as LocatedVm], {
      cloud: { cloudId: 'c' } as never,
      settings: {
        quiesce: 'none',
        allowCrashConsistent: true,
        forceFull: false,
        maintenance: 'whole-run',
        exclude: { vms: [], disks: [] },
        parallelVms: 2,
        snapshotTimeoutMinutes: 1,
        taskWaitMinutes: 1,
      },
      restorePointId: 'rp',
      obligations: { owe: async () => ({ id: 'o' }) as never },
      warn: () => {},
      log: silentLogger,
      signal: stop.signal,
    });
    for (let looks = 0; asked.length === 0 && looks < 200; looks += 1) await sleep(5);
    stop.abort();
    await expect(taking).rejects.toThrow();
    expect(made).toEqual(['vm-7']);
  });
});
