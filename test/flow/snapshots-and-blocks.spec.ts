import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import { vim, type VimObject } from '../simulator/model/index.js';
import { assertNothingLeft } from './nothing-left.js';
import { StoredPoints } from './stored-points.js';
import { World } from './world.js';

const MIB = 2 ** 20;
const DAY_MS = 24 * 60 * 60_000;

describe('a backup of VMs as vSphere really has them', () => {
  let world: World;
  let stored: StoredPoints;

  beforeAll(async () => {
    world = await World.start();
    await world.register();
    // The repository's master key is made with the first backup.
    await world.backUp('sandbox');
    stored = await StoredPoints.open(world);
  });
  afterEach(() => world.control.clearFaults());
  afterAll(() => world?.close());

  function vmNamed(name: string) {
    const vm = world.simulator.vsphere.vms().find((candidate) => candidate.name.startsWith(name));
    if (vm === undefined) throw new Error(`the seed has no VM ${name}`);
    return vm;
  }

  const manifestOf = async (point: RestorePointRow) => {
    const [vm] = (await stored.content(point)).vms;
    if (vm === undefined) throw new Error('the restore point has no VM');
    return vm;
  };

  /** What the repository has of each disk against what the guest sees now. */
  async function expectSameBytes(point: RestorePointRow, name: string): Promise<void> {
    const { guest } = world.simulator.vsphere;
    const { disks } = await manifestOf(point);
    for (const disk of disks) expect(await stored.sha256(point, disk)).toBe(await guest.contentHash(vmNamed(name).moRef, disk.deviceKey));
  }

  describe('whose guest is Windows', () => {
    it('quiesces its applications, and keeps what VSS said of it', { timeout: 120_000 }, async () => {
      const { vsphere } = world.simulator;
      const { moRef } = vmNamed('wiki');
      await vsphere.setHardware(moRef, { guestId: 'windows2019srv_64Guest' });
      await vsphere.setExtraConfig(moRef, { 'disk.EnableUUID': 'TRUE' });
      if (vmNamed('wiki').powerState !== 'poweredOn') await vsphere.powerOn(moRef);
      const point = await world.backUp('intranet', { quiesce: 'application', vss: { backupType: 'full' } });
      const { quiesced, quiescing } = await manifestOf(point);
      expect(quiesced).toBe('application');
      expect(quiescing).toMatchObject({
        wished: 'application',
        achieved: 'application',
        obstacles: [],
        failures: [],
        tools: { version: '12.2.0' },
      });
      const manifest = await stored.document(point, String(quiescing?.vssManifestDocument));
      expect(manifest.toString('latin1')).toContain('writer0.xml');
      expect(point.warnings).toEqual([]);
      await assertNothingLeft(world);
    });

    it('says why its applications were not quiesced', { timeout: 120_000 }, async () => {
      const { vsphere } = world.simulator;
      const { moRef } = vmNamed('wiki');
      await vsphere.setExtraConfig(moRef, { 'disk.EnableUUID': '' });
      const point = await world.backUp('intranet', { quiesce: 'application' });
      const { quiesced, quiescing } = await manifestOf(point);
      expect(quiesced).toBe('file-system');
      expect(quiescing?.obstacles).toEqual([expect.stringContaining('disk.EnableUUID')]);
      expect(point.warnings).toEqual([expect.stringContaining('disk.EnableUUID is not set')]);
      const run = await world.finish(await world.startBackup('intranet', { quiesce: 'application', quiesceAtLeast: 'application' }));
      expect(run).toMatchObject({ state: 'failed', error: { code: 'QUIESCE_IMPOSSIBLE' } });
      await assertNothingLeft(world);
    });

    it('is told apart from one whose Tools do not run', { timeout: 120_000 }, async () => {
      const { moRef } = vmNamed('wiki');
      await world.simulator.vsphere.setTools(moRef, { installed: true, running: false, version: 12_352 });
      const point = await world.backUp('intranet');
      expect((await manifestOf(point)).quiescing).toMatchObject({ achieved: 'crash', tools: { status: 'toolsNotRunning' } });
      expect(point.warnings).toEqual([expect.stringContaining('VMware Tools are not running')]);
      await world.simulator.vsphere.setTools(moRef, { installed: true, running: true, version: 12_352 });
    });
  });

  it('consolidates what a removed snapshot left, and says where it cannot', { timeout: 120_000 }, async () => {
    const { vsphere } = world.simulator;
    const { moRef } = vmNamed('wiki');
    // Its applications cannot be quiesced, which is no matter here.
    const files = { quiesce: 'file-system' };
    const consolidations = async () => {
      const answer = await fetch(`${world.simulator.description.control.url}/requests`);
      const { vcenter } = (await answer.json()) as { vcenter: { method: string }[] };
      return vcenter.filter(({ method }) => method === 'ConsolidateVMDisks_Task').length;
    };
    const before = await consolidations();
    await vsphere.needConsolidation(moRef);
    expect((await world.backUp('intranet', files)).warnings).toEqual([]);
    expect(await consolidations()).toBe(before + 1);
    await vsphere.needConsolidation(moRef);
    await world.control.addFault({
      door: 'vcenter',
      method: 'ConsolidateVMDisks_Task',
      effect: 'taskError',
      fault: 'FileLocked',
      times: 1,
    });
    const run = await world.finish(await world.startBackup('intranet', files));
    expect(run).toMatchObject({
      state: 'warning',
      warnings: [expect.stringContaining('need consolidation')],
      // By vCenter's own name of it: there it is to be done.
      result: { consolidationFailed: [expect.stringMatching(/^wiki/)] },
    });
    const next = await world.finish(await world.startBackup('intranet', files));
    expect(next.result).not.toHaveProperty('consolidationFailed');
  });

  it('removes what an earlier run left, leaves alone and names what is somebody else’s, and keeps the spread', {
    timeout: 120_000,
  }, async () => {
    const { vsphere } = world.simulator;
    const { moRef } = vmNamed('web-1');
    const description = 'Made by vApp Vault for a backup; removed when it ends.';
    await vsphere.createSnapshot(moRef, { name: 'vApp Vault 01a1', description });
    const foreign = await vsphere.createSnapshot(moRef, { name: 'before the upgrade' });
    const point = await world.backUp('shop');
    expect(vsphere.vm(moRef)?.snapshots.map(({ name }) => name)).toEqual(['before the upgrade']);
    expect(point.warnings).toEqual([expect.stringContaining('"before the upgrade"')]);
    const { vms, snapshots } = await stored.content(point);
    expect(vms.flatMap(({ foreignSnapshots = [] }) => foreignSnapshots.map(({ name }) => name))).toEqual(['before the upgrade']);
    expect(snapshots.spreadMs).toBe(Date.parse(snapshots.lastAt) - Date.parse(snapshots.firstAt));
    expect(point.createdAt).toBe(snapshots.lastAt);
    await vsphere.removeSnapshot(foreign.moRef);
    await assertNothingLeft(world);
  });

  it('dates and locks what a vCenter in another month has snapshotted by its own clock, and says so', { timeout: 120_000 }, async () => {
    const { inventory } = world.simulator.vsphere;
    const begunMs = Date.now();
    inventory.clockOffsetMs = -30 * DAY_MS;
    try {
      const point = await world.backUp('intranet', { quiesce: 'crash', lockDays: 7 });
      const { snapshots, lockedUntil, warnings } = await stored.content(point);
      const createdMs = Date.parse(point.createdAt);
      expect(createdMs).toBeGreaterThanOrEqual(begunMs);
      expect(createdMs).toBeLessThanOrEqual(Date.now());
      expect(Date.parse(snapshots.lastAt)).toBeLessThan(begunMs - 29 * DAY_MS);
      expect(Date.parse(String(point.lockedUntil)) - createdMs).toBe(7 * DAY_MS);
      expect(lockedUntil).toBe(point.lockedUntil);
      expect(point.warnings).toEqual([expect.stringContaining(`is dated ${snapshots.lastAt} by vCenter`)]);
      expect(warnings).toEqual(point.warnings);
      await expect(world.api.delete(`/api/v1/restore-points/${point.id}`)).rejects.toThrow('is locked until');
    } finally {
      inventory.clockOffsetMs = 0;
    }
  });

  it('finds a VM again that was registered anew while another got its MoRef, and goes on incrementally', { timeout: 120_000 }, async () => {
    const { vsphere } = world.simulator;
    const { moRef, name } = vmNamed('wiki');
    await vsphere.powerOff(moRef);
    const first = await world.backUp('intranet');
    const other = await vsphere.cloneVm(moRef, { name: `not ${name}` });
    const again = await vsphere.reregister(moRef);
    await vsphere.renumber(other.moRef, moRef);
    await vsphere.guest.scatteredWrites(again.moRef, again.disks[0]?.key ?? 0, { seed: 'registered anew', count: 3 });
    const second = await world.backUp('intranet');
    expect(second.vms[0]?.vmId).toBe(first.vms[0]?.vmId);
    expect((await manifestOf(second)).moRef).toBe(again.moRef);
    expect(second.vms[0]?.disks[0]).toMatchObject({ kind: 'incremental', changedBytes: 3 * 65_536 });
    await expectSameBytes(second, 'wiki');
    // VCD's own record is put right.
    await vsphere.destroyVm(moRef);
    await vsphere.renumber(again.moRef, moRef);
    await assertNothingLeft(world);
  });

  it('reads a linked clone down to the base it shares, and restores it whole', { timeout: 120_000 }, async () => {
    const { vsphere } = world.simulator;
    const { moRef, powerState } = vmNamed('erp-1');
    if (powerState !== 'poweredOff') await vsphere.powerOff(moRef);
    await vsphere.makeLinkedClone(moRef);
    await world.control.guestWrite('erp-1', { disk: 0, seed: 'in the clone', scatteredBlocks: 4 });
    const theirs = [];
    for (const name of ['of somebody else', 'of yet another']) {
      theirs.push(await vsphere.createSnapshot(moRef, { name }));
      await world.control.guestWrite('erp-1', { disk: 0, seed: name, scatteredBlocks: 2 });
    }
    await world.control.checkpoint('clone', 'erp');
    const point = await world.backUp('erp');
    const [disk] = (await manifestOf(point)).disks;
    // Its own two deltas, the clone's, and the base that it shares.
    expect(disk?.parentPaths).toHaveLength(3);
    expect(disk?.parentPaths?.at(-1)).toMatch(/^\[san-\d+\] shadow-/);
    await expectSameBytes(point, 'erp-1');
    await world.control.guestWrite('erp-1', { disk: 0, seed: 'more in the clone', scatteredBlocks: 2 });
    const next = await world.backUp('erp');
    expect(next.vms[0]?.disks[0]).toMatchObject({ kind: 'incremental', changedBytes: 2 * 65_536 });
    await expectSameBytes(next, 'erp-1');
    expect(await world.restore({ restorePointId: point.id, mode: 'copy', name: 'erp-copy' })).toMatchObject({ error: null });
    const comparison = await world.control.compare('clone', 'erp-copy', { ignoreName: true });
    expect(comparison.disks.map(({ differingBytes }) => differingBytes)).toEqual([0]);
    for (const snapshot of theirs.toReversed()) await vsphere.removeSnapshot(snapshot.moRef);
    await assertNothingLeft(world);
  });

  it('leaves out what no snapshot covers, each by name and reason, and takes a raw mapping in virtual mode', {
    timeout: 120_000,
  }, async () => {
    const { vsphere } = world.simulator;
    const { moRef, datastoreName, powerState } = vmNamed('sandbox-1');
    if (powerState !== 'poweredOff') await vsphere.powerOff(moRef);
    const add = (busNumber: number, unitNumber: number) =>
      vsphere.addDisk(moRef, { capacityBytes: MIB, datastoreName, busNumber, unitNumber, adapterType: 'paraVirtual' });
    const [independent, physical, shared, mapped] = [await add(1, 0), await add(1, 1), await add(2, 0), await add(1, 2)];
    const mapping = (key: number, compatibilityMode: string) => ({
      key,
      $type: 'VirtualDiskRawDiskMappingVer1BackingInfo',
      compatibilityMode,
    });
    await vsphere.editDevices(moRef, (devices) => {
      const backingOf = (key: number) => devices.find((device) => device.key === key)?.backing as VimObject;
      backingOf(independent.key).diskMode = 'independent_persistent';
      backingOf(physical.key).diskMode = 'independent_persistent';
      backingOf(shared.key).diskMode = 'independent_persistent';
      for (const { key, ...raw } of [mapping(physical.key, 'physicalMode'), mapping(mapped.key, 'virtualMode')]) {
        Object.assign(backingOf(key), raw, { deviceName: 'vml.0200010000', lunUuid: '0200010000', thinProvisioned: undefined });
      }
      const bus = devices.find((device) => device.key === shared.controllerKey);
      if (bus) bus.sharedBus = 'physicalSharing';
      devices.push(
        vim('VirtualNVDIMM', {
          key: 33_000,
          deviceInfo: vim('Description', { label: 'NVDIMM 1', summary: '' }),
          backing: vim('VirtualNVDIMMBackingInfo', { fileName: '[pmem] sandbox-1/nvdimm.vmdk' }),
          capacityInMB: 4,
        }),
      );
    });
    await world.simulator.vsphere.guest.write(moRef, mapped.key, 65_536, Buffer.from('on the LUN'));
    const point = await world.backUp('sandbox');
    const { disks, excludedDisks } = await manifestOf(point);
    expect(disks.map(({ label }) => label)).toContain(mapped.label);
    expect(excludedDisks.map(({ label }) => label)).toEqual([independent.label, physical.label, shared.label, 'NVDIMM 1']);
    expect(excludedDisks.map(({ reason }) => reason).join('\n')).toMatch(/independent[\s\S]*independent[\s\S]*independent[\s\S]*NVDIMM/);
    expect(point.warnings.filter((warning) => warning.includes('is not in this restore point'))).toHaveLength(4);
    await expectSameBytes(point, 'sandbox-1');
    const raw = disks.find(({ label }) => label === mapped.label);
    expect(raw).toMatchObject({ kind: 'full', fullReason: 'first-backup' });
    await world.simulator.vsphere.guest.write(moRef, mapped.key, 131_072, Buffer.from('again'));
    const next = (await manifestOf(await world.backUp('sandbox'))).disks.find(({ label }) => label === mapped.label);
    expect(next).toMatchObject({ kind: 'incremental', changedBytes: 65_536 });
  });

  it('copies a disk in full that is at another place or of another size, and says so', { timeout: 120_000 }, async () => {
    const { vsphere } = world.simulator;
    const { moRef, disks } = vmNamed('wiki');
    const [disk] = disks;
    await vsphere.growDisk(moRef, disk?.key ?? 0, (disk?.capacityBytes ?? 0) + MIB);
    expect((await world.backUp('intranet')).vms[0]?.disks[0]).toMatchObject({ kind: 'full', fullReason: 'size-changed' });
    await vsphere.editDevices(moRef, (devices) => {
      const device = devices.find(({ key }) => key === disk?.key);
      if (device) device.unitNumber = 5;
    });
    expect((await world.backUp('intranet')).vms[0]?.disks[0]).toMatchObject({ kind: 'full', fullReason: 'disk-moved' });
    expect((await world.backUp('intranet')).vms[0]?.disks[0]).toMatchObject({ kind: 'incremental', fullReason: null });
    await assertNothingLeft(world);
  });

  it('copies a disk in full whose change tracking vCenter cannot read', { timeout: 120_000 }, async () => {
    await world.control.guestWrite('wiki', { disk: 0, seed: 'untold', scatteredBlocks: 2 });
    await world.control.addFault({ door: 'vcenter', method: 'QueryChangedDiskAreas', effect: 'fault', fault: 'FileFault', times: 1 });
    const point = await world.backUp('intranet');
    expect(point.vms[0]?.disks[0]).toMatchObject({ kind: 'full', fullReason: 'tracking-lost' });
    await expectSameBytes(point, 'wiki');
    // Its own change id is as good as any: the next one is incremental again.
    expect((await world.backUp('intranet')).vms[0]?.disks[0]).toMatchObject({ kind: 'incremental', changedBytes: 0 });
  });
});
