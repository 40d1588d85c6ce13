import { describe, expect, it } from 'vitest';
import type { DiskBase } from '../catalog/index.js';
import { type DiskBacking, VsphereError } from '../vsphere/index.js';
import { chooseBlocks } from './choose-blocks.js';

const GIB = 2 ** 30;
const base: DiskBase = {
  restorePointId: 'rp',
  indexId: 'ix',
  chunkBytes: 262144,
  capacityBytes: 4 * GIB,
  changeId: '52 aa/7',
  diskUuid: 'u-1',
};
const disk: DiskBacking = {
  deviceKey: 2000,
  label: 'Hard disk 1',
  path: '[ds] web/web.vmdk',
  capacityBytes: 4 * GIB,
  uuid: 'u-1',
  changeId: '52 aa/9',
  diskMode: 'persistent',
  backingType: 'VirtualDiskFlatVer2BackingInfo',
  compatibilityMode: undefined,
  sharing: undefined,
  controllerKey: 1000,
  unitNumber: 0,
  thin: true,
};
const changed = [{ offsetBytes: 3 * GIB, lengthBytes: 65536 }];

function choose(change: {
  disk?: Partial<DiskBacking>;
  base?: DiskBase | null;
  forceFull?: boolean;
  answer?: () => Promise<typeof changed>;
}) {
  const asked: string[] = [];
  const vcenter = {
    queryChangedAreas: async (_vm: string, _snapshot: string, _disk: unknown, changeId: string) => {
      asked.push(changeId);
      return change.answer ? change.answer() : changed;
    },
  };
  const question = {
    vcenter,
    vmMoRef: 'vm-1',
    snapshotMoRef: 'snapshot-1',
    disk: { ...disk, ...change.disk },
    base: change.base === null ? undefined : (change.base ?? base),
    forceFull: change.forceFull ?? false,
    signal: new AbortController().signal,
  };
  return chooseBlocks(question).then((choice) => ({ choice, asked }));
}

describe('chooseBlocks', () => {
  it('asks for what changed since the change id of the base, and only then copies incrementally', async () => {
    const { choice, asked } = await choose({});
    expect(choice).toEqual({ kind: 'incremental', base, changed });
    expect(asked).toEqual(['52 aa/7']);
  });

  it.each([
    ['requested', { forceFull: true }],
    ['first-backup', { base: null }],
    ['no-change-id', { disk: { changeId: undefined } }],
    ['disk-replaced', { disk: { uuid: 'u-2' } }],
    ['disk-replaced', { disk: { uuid: undefined } }],
    ['size-changed', { disk: { capacityBytes: 5 * GIB } }],
    ['tracking-restarted', { disk: { changeId: '52 bb/9' } }],
  ])('copies in full without asking: %s', async (reason, change) => {
    const { choice, asked } = await choose(change);
    expect(choice).toEqual({ kind: 'full', reason });
    expect(asked).toEqual([]);
  });

  it('copies in full when vSphere cannot answer, and fails with any other error', async () => {
    const lost = new VsphereError('Change tracking was reset', { code: 'CHANGE_TRACKING_LOST' });
    expect((await choose({ answer: () => Promise.reject(lost) })).choice).toEqual({ kind: 'full', reason: 'tracking-lost' });
    await expect(choose({ answer: () => Promise.reject(new Error('connection reset')) })).rejects.toThrow('connection reset');
  });
});
