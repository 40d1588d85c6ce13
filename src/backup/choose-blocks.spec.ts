import { describe, expect, it } from 'vitest';
import type { DiskBase } from '../catalog/index.js';
import { type DiskBacking, VsphereError } from '../vsphere/index.js';
import { allocatedBlocks, chooseBlocks } from './choose-blocks.js';

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
  parentPaths: [],
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
    hardwareVersion: 'vmx-19',
    trackingSupported: true,
    trackingEnabled: true,
    diskId: 'd-1',
    previous: { indexId: 'ix', changeId: '52 aa/7', controllerKey: 1000, unitNumber: 0 },
    formerDisks: [],
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

  it('asks nothing where the copy must be full anyhow', async () => {
    const { choice, asked } = await choose({ forceFull: true });
    expect(choice).toEqual({ kind: 'full', reason: 'requested' });
    expect(asked).toEqual([]);
  });

  it('copies in full when vSphere cannot answer, and fails with any other error', async () => {
    const lost = new VsphereError('Change tracking was reset', { code: 'CHANGE_TRACKING_LOST' });
    expect((await choose({ answer: () => Promise.reject(lost) })).choice).toEqual({ kind: 'full', reason: 'tracking-lost' });
    await expect(choose({ answer: () => Promise.reject(new Error('connection reset')) })).rejects.toThrow('connection reset');
  });
});

describe('allocatedBlocks', () => {
  const found = [{ offsetBytes: 0, lengthBytes: 65536 }];
  const lost = new VsphereError('There is no tracking', { code: 'CHANGE_TRACKING_LOST' });

  function ask(change: { vddk?: typeof found; full?: boolean; backing?: Partial<DiskBacking>; fails?: Error }) {
    const asked: string[] = [];
    const tellers: string[] = [];
    const question = {
      onFallback: (teller: string) => void tellers.push(teller),
      disk: { queryAllocated: async () => change.vddk },
      backing: { ...disk, ...change.backing },
      vcenter: {
        queryChangedAreas: async (_vm: string, _snapshot: string | undefined, _disk: unknown, changeId: string) => {
          asked.push(changeId);
          if (change.fails) throw change.fails;
          return found;
        },
      },
      vmMoRef: 'vm-1',
      snapshotMoRef: 'snapshot-1',
      full: change.full ?? true,
      signal: new AbortController().signal,
    };
    return allocatedBlocks(question).then((allocated) => ({ allocated, asked, tellers }));
  }

  it('takes what VDDK says, also when nothing is allocated', async () => {
    expect(await ask({ vddk: [] })).toEqual({ allocated: [], asked: [], tellers: [] });
  });

  it('asks change tracking with * where VDDK cannot tell', async () => {
    expect(await ask({})).toEqual({ allocated: found, asked: ['*'], tellers: ['change-tracking'] });
  });

  it.each([
    ['of an incremental copy', { full: false }],
    ['of a disk that is not tracked', { backing: { changeId: undefined } }],
    ['over a snapshot that was there before, or the base of a linked clone', { backing: { parentPaths: ['[ds] base/base.vmdk'] } }],
  ])('does not ask %s: all counts as allocated', async (_, change) => {
    expect(await ask(change)).toEqual({ allocated: undefined, asked: [], tellers: 'full' in change ? [] : ['nobody'] });
  });

  it('takes all when tracking cannot tell either, and fails with any other error', async () => {
    expect(await ask({ fails: lost })).toMatchObject({ allocated: undefined, tellers: ['nobody'] });
    await expect(ask({ fails: new Error('connection reset') })).rejects.toThrow('connection reset');
  });
});
