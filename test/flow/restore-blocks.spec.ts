import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import type { OverwrittenDisk } from '../../src/restore/overwrite-disk.js';
import { VsphereClient } from '../../src/vsphere/index.js';
import { DiskChain } from '../simulator/datastore/index.js';
import type { Seed } from '../simulator/seeds/schema.js';
import { assertNothingLeft } from './nothing-left.js';
import { smallSeed } from './small-seed.js';
import { World } from './world.js';

const KIB = 1024;
const TIB = 2 ** 40;
const BLOCK = 64 * KIB;
/** Below and above what 31 and 32 bits of sectors can say, and the disk's last bytes. */
const SPOTS = [4 * 2 ** 20, 1 * TIB + BLOCK, 2 * TIB - BLOCK, 2 * TIB + 5 * BLOCK, 3 * TIB - BLOCK];

/** One VM with a small disk and a thin one of 3 TiB that is nearly empty. */
function hugeSeed(): Seed {
  const seed = structuredClone(smallSeed);
  seed.vapps = seed.vapps.filter((vapp) => vapp.name === 'sandbox');
  for (const vm of seed.vapps.flatMap((vapp) => vapp.vms)) vm.disks.push({ capacityBytes: 3 * TIB, dataBytes: 0, controllerIndex: 0 });
  return seed;
}

describe('the blocks that a restore writes', () => {
  let world: World;
  let vcenter: VsphereClient;
  let point: RestorePointRow;

  beforeAll(async () => {
    // SAN is allowed, and comes after the network: nothing is written by it.
    world = await World.start({ seed: hugeSeed(), environment: { VAPP_VAULT_VDDK_TRANSPORT_MODES: 'nbdssl:nbd:san' } });
    await world.register();
    const { url, userName, password, thumbprintSha1 } = world.simulator.description.vcenter;
    vcenter = await VsphereClient.connect({ url, userName, password, trust: { thumbprint: thumbprintSha1 } });
    for (const [index, offset] of SPOTS.entries()) await write(offset, index + 1);
    point = await world.backUp('sandbox');
  }, 240_000);
  afterAll(async () => {
    await vcenter?.close();
    await world?.close();
  });

  const vmOf = (name = 'sandbox-1') => {
    const found = world.simulator.vsphere.vms().find((vm) => vm.name.startsWith(name));
    if (found === undefined) throw new Error(`There is no VM ${name}`);
    return found;
  };
  const hugeDisk = (vm = vmOf()) => {
    const found = vm.disks.find((disk) => disk.capacityBytes === 3 * TIB);
    if (found === undefined) throw new Error('The VM has lost its large disk');
    return found;
  };
  const write = (offsetBytes: number, fill: number) =>
    world.simulator.vsphere.guest.write(vmOf().moRef, hugeDisk().key, offsetBytes, Buffer.alloc(BLOCK, fill));
  const expectRestored = async (vm = vmOf()) => {
    const { guest } = world.simulator.vsphere;
    for (const [index, offset] of SPOTS.entries()) {
      expect(await guest.read(vm.moRef, hugeDisk(vm).key, offset, BLOCK)).toEqual(Buffer.alloc(BLOCK, index + 1));
    }
    expect(await guest.read(vm.moRef, hugeDisk(vm).key, 2 * TIB + 100 * BLOCK, BLOCK)).toEqual(Buffer.alloc(BLOCK));
  };
  const allocatedBytes = (vm = vmOf()) =>
    DiskChain.with(world.simulator.vsphere.inventory.absolutePath(hugeDisk(vm).path), 'r', async (chain) =>
      (await chain.allocatedExtents()).reduce((sum, extent) => sum + extent.lengthBytes, 0),
    );
  const restore = async (request: Record<string, unknown>): Promise<RunView> => {
    const run = await world.restore({ restorePointId: point.id, ...request });
    expect(run.error).toBeNull();
    await assertNothingLeft(world);
    return run;
  };
  const overwrittenIn = (run: RunView) =>
    (run.result as { overwrittenDisks: OverwrittenDisk[] }).overwrittenDisks.find(
      (disk) => disk.capacityBytes === 3 * TIB,
    ) as OverwrittenDisk;
  const reconfigurations = async () => {
    const { vcenter: served } = (await (await fetch(`${world.simulator.description.control.url}/requests`)).json()) as {
      vcenter: { method: string }[];
    };
    return served.filter(({ method }) => method === 'ReconfigVM_Task').length;
  };
  const spoil = async () => {
    await write(2 * TIB + 5 * BLOCK, 0xee);
    await write(2 * TIB + 100 * BLOCK, 0xee);
  };

  it('are those that changed, also past 2 TiB, and the run says what that spared', { timeout: 240_000 }, async () => {
    await spoil();
    const before = await reconfigurations();
    const run = await restore({ mode: 'overwrite' });
    await expectRestored();
    // Tracking stays on, and records what is written: the chain of backups goes on.
    expect(await reconfigurations()).toBe(before);
    const disk = overwrittenIn(run);
    expect(disk).toMatchObject({ vm: 'sandbox-1', blocks: 'changed', reason: null, capacityBytes: 3 * TIB });
    // Two spoilt blocks in two chunks; what is zero in a chunk and not allocated is not written.
    expect(disk.writtenBytes).toBe(2 * BLOCK);
    expect(disk.sparedBytes).toBe((SPOTS.length - 2) * BLOCK);
    expect(disk.sparedPercent).toBe(60);
    expect(vmOf().changeTrackingEnabled).toBe(true);
  });

  it('are all that may differ where tracking was interrupted, with tracking off meanwhile', { timeout: 240_000 }, async () => {
    const { moRef } = vmOf();
    const stun = async () => {
      const { moRef: snapshot } = await vcenter.createSnapshot(moRef, { name: 's', description: '', quiesce: false, timeoutMs: 60_000 });
      await vcenter.removeSnapshot(moRef, snapshot);
    };
    await vcenter.disableChangeTracking(moRef);
    await stun();
    await vcenter.enableChangeTracking(moRef);
    await stun();
    await spoil();
    const before = await reconfigurations();
    const disk = overwrittenIn(await restore({ mode: 'overwrite' }));
    await expectRestored();
    expect(disk).toMatchObject({ blocks: 'whole', reason: 'tracking-restarted' });
    expect(disk.writtenBytes).toBe((SPOTS.length + 1) * BLOCK);
    // Off, and on again.
    expect((await reconfigurations()) - before).toBeGreaterThanOrEqual(2);
    expect(vmOf()).toMatchObject({ changeTrackingEnabled: true, snapshots: [] });
    const next = await world.backUp('sandbox');
    for (const { fullReason } of next.vms.flatMap((vm) => vm.disks)) expect(fullReason).toBe('tracking-restarted');
    expect(next.newBytes).toBe(0);
  });

  it('make a thin disk no fatter than it was, and tracking is on again', { timeout: 240_000 }, async () => {
    await restore({ mode: 'copy', name: 'beside' });
    const original = vmOf().moRef;
    const copy = world.simulator.vsphere.vms().find((vm) => vm.moRef !== original);
    if (copy === undefined) throw new Error('There is no copy');
    await expectRestored(copy);
    expect(await allocatedBytes(copy)).toBe(SPOTS.length * BLOCK);
    expect(copy.changeTrackingEnabled).toBe(true);
  });
});
