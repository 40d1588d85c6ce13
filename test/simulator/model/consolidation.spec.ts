import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { consolidateDisks, removeSnapshot } from './snapshots.js';
import { openTestModel, type TestModel } from './testing.js';

const MIB = 1024 * 1024;
const KEY = 2000;
let model: TestModel['model'];
let vm: TestModel['vm'];
let close: TestModel['close'];

beforeEach(async () => {
  ({ model, vm, close } = await openTestModel(4 * MIB));
});
afterEach(() => close());

const state = () => model.inventory.vm(vm.moRef);
const write = (mib: number, fill: number) => model.guest.write(vm.moRef, KEY, mib * MIB, Buffer.alloc(512, fill));
const byteAt = async (mib: number) => (await model.guest.read(vm.moRef, KEY, mib * MIB, 1))[0];
const vmdkFiles = async () =>
  (await readdir(dirname(model.inventory.absolutePath(vm.vmPath)))).filter((name) => /-\d{6}(-sesparse)?\.vmdk$/.test(name)).sort();

describe('disks that a removed snapshot left in the chain', () => {
  it('stay, need consolidation, and are merged by it, with everything that was written', async () => {
    await write(0, 1);
    const first = await model.createSnapshot(vm.moRef, { name: 'first' });
    await write(1, 2);
    const second = await model.createSnapshot(vm.moRef, { name: 'second' });
    await write(2, 3);

    await removeSnapshot(model.inventory, first.moRef, false, false);
    expect(state().consolidationNeeded).toBe(true);
    expect(model.vm(vm.moRef)?.snapshots.map(({ name }) => name)).toEqual(['second']);
    // One more on top, and the one between is removed as it should be: the left link stays where it is.
    await model.createSnapshot(vm.moRef, { name: 'third' });
    await write(3, 4);
    await model.removeSnapshot(second.moRef);
    expect((await vmdkFiles()).length).toBeGreaterThan(2);

    await consolidateDisks(model.inventory, state());
    expect(state()).toMatchObject({ consolidationNeeded: false });
    expect(state().unmerged).toBeUndefined();
    await model.removeAllSnapshots(vm.moRef);
    expect(await vmdkFiles()).toEqual([]);
    expect(model.vm(vm.moRef)?.disks[0]?.path).toBe(vm.disks[0]?.path);
    expect([await byteAt(0), await byteAt(1), await byteAt(2), await byteAt(3)]).toEqual([1, 2, 3, 4]);
  });
});
