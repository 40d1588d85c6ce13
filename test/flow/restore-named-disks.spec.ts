import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import type { PlanItem, RestorePlanView } from '../../src/restore/plan-types.js';
import type { VcdClient } from '../../src/vcd/index.js';
import { connectProvider } from '../harness/provider-client.js';
import { leanEverything } from './lean-everything.js';
import { assertNothingLeft } from './nothing-left.js';
import { World } from './world.js';

/**
 * What a vApp has beside it: named disks come back as named disks, attached as before; affinity rules, disks with a
 * storage profile of their own, CPU and memory.
 */
describe('a vApp with a named disk, affinity rules and disks of several storage profiles', () => {
  let world: World;
  let vcd: VcdClient;
  let point: RestorePointRow;

  beforeAll(async () => {
    world = await World.start({ seed: leanEverything() });
    await world.register();
    vcd = await connectProvider(world.simulator);
    await world.control.checkpoint('before', 'shop');
    point = await world.backUp('shop');
  }, 120_000);
  afterAll(async () => {
    await vcd?.close();
    await world?.close();
  });

  const captureOf = async (name: string) => {
    for await (const vapp of vcd.vapps(`name==${name}`)) return vcd.captureVapp(vapp.href);
    throw new Error(`${name} is gone`);
  };
  const disksNamed = async (name: string) => {
    const found = [];
    for await (const disk of vcd.namedDisks(`name==${name}`)) found.push(disk);
    return found;
  };
  const plan = (request: Record<string, unknown>) =>
    world.api.post<RestorePlanView>('/api/v1/restores/plan', { restorePointId: point.id, ...request });
  const itemOf = (view: RestorePlanView, attribute: string): PlanItem | undefined =>
    view.items.find((item) => item.attribute === attribute);
  const succeeded = (run: RunView) => {
    expect(run.error).toBeNull();
    expect(['succeeded', 'warning']).toContain(run.state);
    return run;
  };
  const restore = async (request: Record<string, unknown>) => succeeded(await world.restore({ restorePointId: point.id, ...request }));
  const assertAsBefore = async (name = 'shop', ignore: string[] = []) => {
    const comparison = await world.control.compare('before', name, { ignore });
    expect(comparison.disks).toHaveLength(4);
    expect(comparison.disks.filter((disk) => disk.differingBytes !== 0 || disk.fileSystem === 'damaged')).toEqual([]);
    expect(comparison.attributes).toEqual([]);
  };
  /** What was asked of a VM in vCenter and through VDDK, in order. */
  const callsOn = async (name: string) => {
    const moRef = world.simulator.vsphere.vms().find((vm) => vm.name.startsWith(name))?.moRef;
    const { vcenter } = (await (await fetch(`${world.simulator.description.control.url}/requests`)).json()) as {
      vcenter: { method: string; object: string }[];
    };
    return vcenter.filter(({ object }) => object.includes(moRef ?? '')).map(({ method }) => method);
  };
  const attachedDisk = async (name: string) => {
    const [disk] = (await captureOf(name)).namedDisks ?? [];
    if (disk === undefined) throw new Error(`${name} has no named disk`);
    return disk;
  };

  it('comes back whole where it is gone: a new named disk beside the one that outlived it', { timeout: 120_000 }, async () => {
    const old = await attachedDisk('shop');
    await world.control.guestWrite('db', { disk: 1, seed: 'outlives the vApp', scatteredBlocks: 3 });
    await world.deleteVapp('shop');
    const view = await plan({ mode: 'missing-vapp' });
    expect(view.canStart).toBe(true);
    expect(itemOf(view, 'namedDisks.orders.id')).toMatchObject({ conformity: 'changed', choice: { field: 'namedDisks', chosen: 'new' } });
    expect(itemOf(view, 'affinityRules.together.vms')).toMatchObject({ conformity: 'fits' });

    const { result } = await restore({ mode: 'missing-vapp' });
    await assertAsBefore();
    expect(result?.differences).toEqual([]);
    const compared = ((result?.comparison ?? []) as { attribute: string; equal: boolean }[]).filter(({ equal }) => equal);
    for (const attribute of [
      'namedDisks.orders.owner',
      'namedDisks.orders.metadata.SYSTEM/placement.value',
      'affinityRules.apart.polarity',
    ]) {
      expect(compared.map((each) => each.attribute)).toContain(attribute);
    }
    const disk = await attachedDisk('shop');
    expect(disk.id).not.toBe(old.id);
    expect(disk).toMatchObject({ name: 'orders', storageProfile: { name: 'silver' }, attachments: [{ busNumber: 0, unitNumber: 3 }] });
    expect(await disksNamed('orders')).toHaveLength(2);
    await assertNothingLeft(world);
  });

  it('leaves nothing where the disk cannot be attached, and no copy of it', { timeout: 120_000 }, async () => {
    await world.control.addFault({
      door: 'vcd',
      method: 'POST',
      path: '/disk/action/attach',
      effect: 'error',
      status: 400,
      minorErrorCode: 'BAD_REQUEST',
      message: 'The bus is full.',
    });
    const run = await world.restore({ restorePointId: point.id, mode: 'copy', name: 'shop-failed' });
    await world.control.clearFaults();
    expect(run).toMatchObject({ state: 'failed', error: { message: expect.stringContaining('The bus is full.') } });
    expect(await disksNamed('orders')).toHaveLength(2);
    expect(await disksNamed('orders-*')).toEqual([]);
    await assertNothingLeft(world);
  });

  it('has a named disk and a rule of its own as a copy, and takes nothing from the vApp it came from', { timeout: 120_000 }, async () => {
    const before = await captureOf('shop');
    const { result } = await restore({ mode: 'copy', name: 'shop-copy' });
    const copy = await captureOf('shop-copy');
    expect(copy.affinityRules).toMatchObject([{ name: 'together', polarity: 'Affinity', mandatory: false }]);
    expect(copy.affinityRules?.[0]?.vms.map((vm) => vm.href).sort()).toEqual(copy.vms.map((vm) => vm.href).sort());
    expect(copy.namedDisks?.map((disk) => disk.name)).toEqual(['orders']);
    expect(result?.deviations).toEqual(expect.arrayContaining([expect.stringMatching(/"apart".*one VM is no rule/)]));
    const after = await captureOf('shop');
    expect([after.affinityRules, after.namedDisks]).toEqual([before.affinityRules, before.namedDisks]);
    const { disks } = await world.control.compare('before', 'shop-copy', { ignoreName: true });
    expect(disks.map((disk) => disk.differingBytes)).toEqual([0, 0, 0, 0]);
    await world.deleteVapp('shop-copy');
    await assertNothingLeft(world);
  });

  it('is attached and written over where the request gives the present one away', { timeout: 120_000 }, async () => {
    await world.deleteVapp('shop');
    const captured = (await disksNamed('orders')).length;
    const view = await plan({ mode: 'missing-vapp', choices: { namedDisks: 'existing' } });
    expect(itemOf(view, 'namedDisks.orders.id')).toMatchObject({ conformity: 'changed', choice: { chosen: 'existing' } });
    await restore({ mode: 'missing-vapp', choices: { namedDisks: 'existing' } });
    await assertAsBefore();
    expect(await disksNamed('orders')).toHaveLength(captured);
    await assertNothingLeft(world);
    // Attached by now, so it cannot be given away again.
    const refused = await plan({ mode: 'copy', name: 'x', choices: { namedDisks: 'existing' } });
    expect(itemOf(refused, 'namedDisks.orders.id')).toMatchObject({ conformity: 'not-permitted', needsChoice: true });
    expect(refused.canStart).toBe(false);
  });

  it('is written over in place: CPU, memory, storage profiles and a named disk that was taken away', { timeout: 120_000 }, async () => {
    const before = await captureOf('shop');
    await vcd.undeploy(before.href, 'powerOff');
    const [web, db] = ['web', 'db'].map((name) => before.vms.find((vm) => vm.name === name)?.href ?? '') as [string, string];
    await world.control.guestWrite('web', { disk: 1, seed: 'in place', scatteredBlocks: 3 });
    await vcd.writeHardware(web, { cpuCount: 4, memoryMib: 1024 });
    const gold = before.vms.find((vm) => vm.name === 'web')?.storageProfile?.href ?? '';
    await vcd.writeDiskProfiles(web, [{ busNumber: 0, unitNumber: 1, storageProfileHref: gold }]);
    const [disk] = before.namedDisks ?? [];
    await vcd.detachNamedDisk(db, disk?.href ?? '');
    await vcd.writeNamedDisk(disk?.href ?? '', { name: 'renamed since', metadata: [] });

    const view = await plan({ mode: 'overwrite' });
    expect(view.vms.map((vm) => vm.action)).toEqual(['overwrite', 'overwrite']);
    expect(itemOf(view, 'vms.web.hardware.cpuCount')).toMatchObject({ conformity: 'fits', captured: 2 });
    const callsBefore = (await callsOn('db')).length;
    const { result } = await restore({ mode: 'overwrite', choices: { namedDisks: 'existing' } });
    await assertAsBefore();
    expect(result?.differences).toEqual([]);
    // The named disk is written whole, so it is written untracked; tracking is on again afterwards.
    const calls = (await callsOn('db')).slice(callsBefore);
    expect(calls.slice(calls.lastIndexOf('prepareForAccess') - 3).join(' ')).toMatch(
      /ReconfigVM_Task.* prepareForAccess .*ReconfigVM_Task$/,
    );
    expect(world.simulator.vsphere.vms().find(({ name }) => name.startsWith('db'))?.changeTrackingEnabled).toBe(true);
    expect((await attachedDisk('shop')).id).toBe(disk?.id);
    await assertNothingLeft(world);
  });

  it('has one VM replaced: a new named disk, the old one detached and left, and a new local id that is said', {
    timeout: 120_000,
  }, async () => {
    const old = await attachedDisk('shop');
    const request = { mode: 'vms', vms: ['db'], choices: { existingVms: 'replace' } };
    const view = await plan(request);
    expect(itemOf(view, 'vms.db.localId')).toMatchObject({ conformity: 'not-permitted', captured: 'db-local' });
    expect(itemOf(view, 'vms.db.instanceUuid')).toMatchObject({ conformity: 'changed' });
    await restore(request);
    await assertAsBefore('shop', ['vms/db/localId', 'networks/*/configuration']);
    expect((await attachedDisk('shop')).id).not.toBe(old.id);
    expect(await vcd.readNamedDisk(old.href)).toMatchObject({ name: 'orders', attachments: [] });
    await assertNothingLeft(world);
  });

  it('is recreated with a new named disk; the old one is left, attached to nothing', { timeout: 120_000 }, async () => {
    const old = await attachedDisk('shop');
    const { result } = await restore({ mode: 'recreate' });
    await assertAsBefore();
    expect(result?.differences).toEqual([]);
    expect((await attachedDisk('shop')).id).not.toBe(old.id);
    expect(await vcd.readNamedDisk(old.href)).toMatchObject({ name: 'orders', attachments: [] });
    await assertNothingLeft(world);
  });

  it('has only its named disk written over', { timeout: 120_000 }, async () => {
    await world.control.guestWrite('web', { disk: 0, seed: 'stays', scatteredBlocks: 3 });
    await world.control.guestWrite('db', { disk: 1, seed: 'goes', scatteredBlocks: 3 });
    const label = point.vms.find((vm) => vm.name === 'db')?.disks[1]?.label;
    await restore({ mode: 'disk', disk: { vm: 'db', disk: label } });
    const { disks } = await world.control.compare('before', 'shop');
    expect(disks.filter((disk) => disk.differingBytes > 0).map((disk) => disk.vm)).toEqual(['web']);
    await assertNothingLeft(world);
  });

  it('gives the content of one disk back as a new named disk, and writes over nothing', { timeout: 120_000 }, async () => {
    const label = point.vms.find((vm) => vm.name === 'web')?.disks[0]?.label;
    const disk = { vm: 'web', disk: label, asNamedDisk: 'web as it was' };
    const view = await plan({ mode: 'disk', disk });
    expect(view).toMatchObject({ canStart: true, vms: [{ name: 'web', action: 'overwrite', disks: [] }] });
    expect(itemOf(view, 'namedDisks.web as it was')).toMatchObject({ conformity: 'changed' });
    await expect(plan({ mode: 'disk', disk: { ...disk, attachTo: 'nobody' } })).rejects.toThrow(/"nobody".*"web", "db"/);

    await restore({ mode: 'disk', disk });
    const { namedDisks = [], vms } = await captureOf('shop');
    const made = namedDisks.find(({ name }) => name === 'web as it was');
    expect(made).toMatchObject({ owner: { name: 'olivia' }, attachments: [{ vmId: vms.find((vm) => vm.name === 'web')?.id }] });
    // Spoilt before: web's own disk is not touched. The new one is what its restore point has.
    const { disks } = await world.control.compare('before', 'shop');
    expect(disks.some(({ vm, differingBytes }) => vm === 'web' && differingBytes > 0)).toBe(true);
    const next = await world.backUp('shop');
    const ofWeb = (row: RestorePointRow) => row.vms.find((vm) => vm.name === 'web')?.disks ?? [];
    expect(ofWeb(next)).toHaveLength(3);
    // Every chunk of it is known to the repository already.
    expect(ofWeb(next)[2]).toMatchObject({ fullReason: 'first-backup', newBytes: 0 });
    expect(ofWeb(next)[2]?.allocatedBytes).toBeGreaterThan(2 ** 20);
    await assertNothingLeft(world);
  });
});
