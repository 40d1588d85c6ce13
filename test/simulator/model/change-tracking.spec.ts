import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Extent } from '../../../src/disk/index.js';
import { loadTracking, saveTracking } from '../datastore/index.js';
import { VsphereModel } from './index.js';
import { queryChangedAreas } from './snapshots.js';
import { openTestModel, type TestModel } from './testing.js';

const BLOCK = 65536;
const KEY = 2000;
let dataDir: string;
let model: VsphereModel;
let vm: TestModel['vm'];
let close: TestModel['close'];

beforeEach(async () => {
  ({ dataDir, model, vm, close } = await openTestModel(300 * 1024 * 1024 + 3072));
});
afterEach(() => close());

async function trackChanges(): Promise<void> {
  const { reconfigureVm } = await import('./virtual-machines.js');
  await reconfigureVm(model.inventory, model.inventory.vm(vm.moRef), { $type: 'VirtualMachineConfigSpec', changeTrackingEnabled: true });
}

async function allAreas(snapshotMoRef: string, changeId: string): Promise<Extent[]> {
  const areas: Extent[] = [];
  for (let start = 0; ; ) {
    const page = await queryChangedAreas(model.inventory, model.inventory.vm(vm.moRef), {
      snapshotMoRef,
      deviceKey: KEY,
      startOffset: start,
      changeId,
    });
    areas.push(...page.areas);
    start = page.startOffset + page.length;
    if (start >= 300 * 1024 * 1024 + 3072) return areas;
  }
}

const frozenChangeId = (snapshotMoRef: string): string | undefined => {
  const { snapshot } = model.inventory.snapshot(snapshotMoRef);
  const text = JSON.stringify(snapshot.config);
  return /"changeId":"([^"]+)"/.exec(text)?.[1];
};

describe('changed block tracking', () => {
  it('begins at the stun after it was enabled, and answers exactly the 64 KiB blocks written between two snapshots', async () => {
    await model.powerOn(vm.moRef);
    await trackChanges();
    expect(model.vm(vm.moRef)?.disks[0]?.changeId).toBeUndefined();
    await model.guest.write(vm.moRef, KEY, 0, Buffer.alloc(100, 1));

    const first = await model.createSnapshot(vm.moRef, { name: 'first' });
    const firstId = frozenChangeId(first.moRef) as string;
    expect(firstId).toMatch(/^([0-9a-f]{2}[ -]){15}[0-9a-f]{2}\/\d+$/);
    await model.guest.write(vm.moRef, KEY, 5 * BLOCK + 10, Buffer.alloc(10, 2));
    await model.removeSnapshot(first.moRef);
    await model.guest.write(vm.moRef, KEY, 9 * BLOCK - 1, Buffer.alloc(2, 3));
    await model.guest.unmap(vm.moRef, KEY, 20 * BLOCK, BLOCK);
    await model.guest.write(vm.moRef, KEY, 300 * 1024 * 1024 + 3071, Buffer.alloc(1, 4));

    const second = await model.createSnapshot(vm.moRef, { name: 'second' });
    await model.guest.write(vm.moRef, KEY, 40 * BLOCK, Buffer.alloc(10, 5));
    expect(await allAreas(second.moRef, firstId)).toEqual([
      { offsetBytes: 5 * BLOCK, lengthBytes: BLOCK },
      { offsetBytes: 8 * BLOCK, lengthBytes: 2 * BLOCK },
      { offsetBytes: 20 * BLOCK, lengthBytes: BLOCK },
      { offsetBytes: 300 * 1024 * 1024, lengthBytes: 3072 },
    ]);
    expect((await model.guest.read(vm.moRef, KEY, 9 * BLOCK - 1, 3)).toString('hex')).toBe('030300');
  });

  it('pages its answer, and a page goes on where the last one ended', async () => {
    await trackChanges();
    const first = await model.createSnapshot(vm.moRef, { name: 'first' });
    const top = model.inventory.absolutePath(model.vm(vm.moRef)?.disks[0]?.path as string);
    const tracking = await loadTracking(top);
    for (let block = 0; block < 4600; block += 2) tracking?.mark([{ offsetBytes: block * BLOCK + 7, lengthBytes: 1 }]);
    await saveTracking(top, tracking);
    const second = await model.createSnapshot(vm.moRef, { name: 'second' });
    const id = frozenChangeId(first.moRef) as string;
    const page = await queryChangedAreas(model.inventory, model.inventory.vm(vm.moRef), {
      snapshotMoRef: second.moRef,
      deviceKey: KEY,
      startOffset: 0,
      changeId: id,
    });
    expect([page.areas.length, page.length]).toEqual([2000, 3998 * BLOCK + BLOCK]);
    expect(await allAreas(second.moRef, id)).toHaveLength(2300);
  });

  it('refuses foreign, future and broken change ids, and disks without tracking', async () => {
    const ask = async (snapshotMoRef: string, changeId: string) =>
      allAreas(snapshotMoRef, changeId).then(
        () => 'answered',
        (error: { faultType: string }) => error.faultType,
      );
    const untracked = await model.createSnapshot(vm.moRef, { name: 'untracked' });
    expect(await ask(untracked.moRef, '*')).toBe('FileFault');
    await model.removeSnapshot(untracked.moRef);
    await trackChanges();
    const snapshot = await model.createSnapshot(vm.moRef, { name: 'tracked' });
    const id = frozenChangeId(snapshot.moRef) as string;
    expect(await ask(snapshot.moRef, id)).toBe('answered');
    expect(await ask(snapshot.moRef, id.replace(/\d+$/, '99'))).toBe('FileFault');
    expect(await ask(snapshot.moRef, '00 00 00 00 00 00 00 00-00 00 00 00 00 00 00 00/1')).toBe('FileFault');
    expect(await ask(snapshot.moRef, 'nonsense')).toBe('InvalidArgument');
    await model.guest.write(vm.moRef, KEY, BLOCK, Buffer.alloc(1, 1));
  });
});

describe('the guest', () => {
  it('keeps its file system whole through writes, a large file, an unmapped file and snapshots', async () => {
    const kind = await model.guest.makeFileSystem(vm.moRef, KEY, { seed: 'a', dataBytes: 40 * 1024 * 1024, label: 'web' });
    await model.guest.keepContent('before', vm.moRef);
    expect((await model.guest.compareContent('before', vm.moRef, vm.moRef))[0]).toMatchObject({ differingBytes: 0, contentKind: kind });
    await trackChanges();
    const first = await model.createSnapshot(vm.moRef, { name: 'first' });
    const scattered = await model.guest.scatteredWrites(vm.moRef, KEY, { seed: 's', count: 20 });
    const large = await model.guest.writeLargeFile(vm.moRef, KEY, { seed: 'l', lengthBytes: 9 * 1024 * 1024 });
    const gone = await model.guest.unmapFile(vm.moRef, KEY);
    expect([scattered.length, large.length > 0, gone.length > 0]).toEqual([20, true, true]);
    const hash = await model.guest.contentHash(vm.moRef, KEY);
    await model.removeAllSnapshots(vm.moRef);
    expect(await model.guest.contentHash(vm.moRef, KEY)).toBe(hash);
    const second = await model.createSnapshot(vm.moRef, { name: 'second' });
    const changed = await allAreas(second.moRef, frozenChangeId(second.moRef) as string);
    expect(changed).toEqual([]);
    const [disk] = await model.guest.compareContent('before', vm.moRef, vm.moRef);
    expect(disk?.differingBytes).toBeGreaterThan(8 * 1024 * 1024);
    if (kind === 'ext4') expect(disk?.fileSystemCheck).toMatchObject({ clean: true });
    expect(first.moRef).not.toBe(second.moRef);
  });

  it('loses its files when the VM is destroyed, and a clone has the same content under a new identity', async () => {
    await model.guest.write(vm.moRef, KEY, 12345, Buffer.from('same'));
    const clone = await model.cloneVm(vm.moRef, { name: 'copy' });
    expect(await model.guest.contentHash(clone.moRef, KEY)).toBe(await model.guest.contentHash(vm.moRef, KEY));
    expect([clone.instanceUuid === vm.instanceUuid, clone.nics[0]?.macAddress === vm.nics[0]?.macAddress]).toEqual([false, false]);
    await model.destroyVm(vm.moRef);
    expect(await readdir(join(dataDir, 'datastores', 'ds-1'))).toEqual(['copy']);
    await model.close();
    const again = await VsphereModel.open({ dataDir });
    expect(again.vms().map((each) => each.name)).toEqual(['copy']);
  });
});
