import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { VmCapture } from '../../src/vcd/index.js';
import type { SimVm } from '../simulator/model/index.js';
import { chooseVariants, defaultVariants } from '../simulator/vcd/index.js';
import { type EverythingCell, startEverythingCell } from './everything-cell.js';

/** Edits of what a vApp stands on, against the strict simulated cell: named disks, affinity rules, hardware, standalone VMs. */

let cell: EverythingCell;

beforeAll(async () => {
  cell = await startEverythingCell();
  // Errors call the VDC by its name once it was read.
  await cell.vcd.vdcResources(vdc());
});
afterAll(async () => {
  await cell?.close();
});
afterEach(() => {
  expect(cell.faults.list()).toEqual([]);
});

const vdc = () => cell.href('vdc', 'acme-production');
const sent = (method: string, path: RegExp) => cell.exchanges.filter((one) => one.method === method && path.test(one.path));
const stateDisk = (href: string) => cell.cloud.state.disks.find((disk) => href.endsWith(disk.id));

async function vmOf(vappName: string, vmName: string): Promise<VmCapture> {
  const { vms } = await cell.vcd.captureVapp(cell.href('vapp', vappName));
  const vm = vms.find(({ name }) => name === vmName);
  if (vm === undefined) throw new Error(`${vappName} has no VM ${vmName}`);
  return vm;
}

function profileHref(name: string): string {
  const profile = cell.cloud.state.storageProfiles.find((one) => one.name === name && vdc().endsWith(one.vdcId));
  return new URL(`/api/vdcStorageProfile/${profile?.id}`, vdc()).href;
}

/** From now on: until the client has its answer and waits for the task. */
function lookAtTask(): () => Promise<void> {
  const looks = () => sent('GET', /\/task\//).length;
  const before = looks();
  return () => expect.poll(looks, { timeout: 10_000 }).toBeGreaterThan(before);
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'it succeeded',
    (reason: unknown) => reason,
  );
}

describe('named disks', () => {
  const disk = (name: string) => ({
    ...{ name, description: 'orders & <more>', sizeMib: 16, busType: '6', busSubType: 'VirtualSCSI', sharingType: 'None' },
    storageProfileHref: profileHref('silver'),
  });

  it('are made, attached where they are to be, detached, renamed and deleted', async () => {
    const { href, id } = await cell.vcd.createNamedDisk(vdc(), disk('new-disk'));
    expect(await cell.vcd.findNamedDisks(vdc(), 'new-disk')).toEqual([{ href, id, name: 'new-disk' }]);
    const olivia = cell.cloud.state.users.find(({ name }) => name === 'olivia');
    const metadata = [
      { key: 'team', type: 'MetadataStringValue', value: 'sales', domain: 'GENERAL', visibility: 'READWRITE' },
      { key: 'array', type: 'MetadataNumberValue', value: '2', domain: 'SYSTEM', visibility: 'PRIVATE' },
    ] as const;
    const ownerHref = new URL(`/api/admin/user/${olivia?.id}`, vdc()).href;
    await cell.vcd.writeNamedDisk(href, { name: 'orders-2', description: 'second', ownerHref, metadata });
    expect(stateDisk(href)).toMatchObject({ name: 'orders-2', description: 'second', ownerUserId: olivia?.id, sizeBytes: 16 * 2 ** 20 });
    expect(await cell.vcd.readMetadata(href)).toEqual(expect.arrayContaining([...metadata]));

    const vm = cell.href('vm', 'golden-a');
    await cell.vcd.attachNamedDisk(vm, href, { busNumber: 1, unitNumber: 5 });
    const attached = (await vmOf('golden', 'golden-a')).disks.find(({ namedDisk }) => namedDisk?.href === href);
    expect(attached).toMatchObject({ busNumber: 1, unitNumber: 5, sizeMib: 16 });
    // Once more is no second attachment, and an attached disk is not deleted.
    await cell.vcd.attachNamedDisk(vm, href, { busNumber: 1, unitNumber: 5 });
    expect(sent('POST', /\/disk\/action\/attach$/)).toHaveLength(1);
    expect(await failure(cell.vcd.deleteNamedDisk(href))).toMatchObject({
      message: expect.stringContaining('"orders-2" is attached to VM'),
    });

    await cell.vcd.detachNamedDisk(vm, href);
    await cell.vcd.detachNamedDisk(vm, href);
    expect(stateDisk(href)?.attachedVmId).toBeUndefined();
    await cell.vcd.deleteNamedDisk(href);
    await cell.vcd.deleteNamedDisk(href);
    await cell.vcd.detachNamedDisk(vm, href);
    expect(await cell.vcd.findNamedDisks(vdc(), 'orders-2')).toEqual([]);
    expect(await failure(cell.vcd.attachNamedDisk(vm, href, {}))).toMatchObject({ code: 'DISK_NOT_FOUND' });
  });

  it.each(['33.0', '35.0', '36.0'])('are made and deleted in API %s', async (apiVersion) => {
    const old = await cell.connect({ apiVersion });
    const { href } = await old.createNamedDisk(vdc(), disk(`of-${apiVersion}`));
    await old.attachNamedDisk(cell.href('vm', 'golden-a'), href, { busNumber: 0, unitNumber: 11 });
    await old.detachNamedDisk(cell.href('vm', 'golden-a'), href);
    await old.deleteNamedDisk(href);
    expect(await old.findNamedDisks(vdc(), `of-${apiVersion}`)).toEqual([]);
  });

  it('find their own place where none is given', async () => {
    const vm = cell.href('vm', 'golden-a');
    await cell.vcd.attachNamedDisk(vm, cell.href('disk', 'spare'), {});
    expect((await vmOf('golden', 'golden-a')).disks.filter(({ namedDisk }) => namedDisk !== undefined)).toHaveLength(1);
    await cell.vcd.detachNamedDisk(vm, cell.href('disk', 'spare'));
  });

  it("are deleted when their making fails, and the error is VCD's own sentence", async () => {
    cell.faults.add({ operationName: 'vdcCreateDisk', minorErrorCode: 'VC_ERROR', message: 'The datastore is full' });
    expect(await failure(cell.vcd.createNamedDisk(vdc(), disk('half')))).toMatchObject({
      ...{ code: 'TASK_FAILED', minorErrorCode: 'VC_ERROR' },
      message: 'Creating named disk "half" in VDC "acme-production" failed: The datastore is full.',
    });
    expect(cell.cloud.state.disks.map(({ name }) => name)).not.toContain('half');
  });

  it('are not made twice when the answer is lost, and made when it was never begun', async () => {
    const posts = sent('POST', /\/vdc\/[0-9a-f-]+\/disk$/).length;
    cell.faults.add({ method: 'POST', path: '/vdc/[0-9a-f-]+/disk$', effect: 'drop-after' });
    const { href } = await cell.vcd.createNamedDisk(vdc(), disk('lost'));
    expect(cell.cloud.state.disks.filter(({ name }) => name === 'lost')).toHaveLength(1);
    expect(stateDisk(href)?.creation).toBe('done');
    await cell.vcd.deleteNamedDisk(href);
    cell.faults.add({ method: 'POST', path: '/vdc/[0-9a-f-]+/disk$', effect: 'drop' });
    await cell.vcd.deleteNamedDisk((await cell.vcd.createNamedDisk(vdc(), disk('lost'))).href);
    expect(sent('POST', /\/vdc\/[0-9a-f-]+\/disk$/)).toHaveLength(posts + 1);
  });

  it('are waited for while VCD is busy, and attached once when that answer is lost', async () => {
    const { href } = await cell.vcd.createNamedDisk(vdc(), disk('busy'));
    const vm = cell.href('vm', 'golden-a');
    cell.faults.add({ method: 'POST', path: '/disk/action/attach$', status: 400, minorErrorCode: 'BUSY_ENTITY', count: 2 });
    await cell.vcd.attachNamedDisk(vm, href, {});
    cell.faults.add({ method: 'POST', path: '/disk/action/detach$', effect: 'drop-after' });
    await cell.vcd.detachNamedDisk(vm, href);
    cell.faults.add({ method: 'POST', path: '/disk/action/attach$', effect: 'drop-after' });
    await cell.vcd.attachNamedDisk(vm, href, {});
    expect(stateDisk(href)?.attachedVmId).toBe(cell.cloud.state.vms.find(({ name }) => name === 'golden-a')?.id);
    await cell.vcd.detachNamedDisk(vm, href);
    cell.faults.add({ method: 'DELETE', path: '/disk/', effect: 'drop-after' });
    await cell.vcd.deleteNamedDisk(href);
    expect(stateDisk(href)).toBeUndefined();
  });

  it('leave nothing behind when the run is cancelled meanwhile', async () => {
    cell.faults.add({ operationName: 'vdcCreateDisk', effect: 'delay', delayMs: 60_000 });
    const controller = new AbortController();
    const taskIsLookedAt = lookAtTask();
    const work = failure(cell.vcd.createNamedDisk(vdc(), disk('cancelled'), controller.signal));
    await taskIsLookedAt();
    controller.abort();
    expect(await work).toMatchObject({ code: 'CANCELLED' });
    expect(cell.cloud.state.disks.map(({ name }) => name)).not.toContain('cancelled');
  });

  it('are not attached by a task that nobody waits for any more', async () => {
    const { href } = await cell.vcd.createNamedDisk(vdc(), disk('unwanted'));
    const id = stateDisk(href)?.id ?? '';
    cell.faults.add({ operationName: 'vappAttachDisk', effect: 'delay', delayMs: 60_000 });
    const controller = new AbortController();
    const taskIsLookedAt = lookAtTask();
    const work = failure(cell.vcd.attachNamedDisk(cell.href('vm', 'golden-a'), href, {}, controller.signal));
    await taskIsLookedAt();
    controller.abort();
    expect(await work).toMatchObject({ code: 'CANCELLED' });
    await expect.poll(() => cell.cloud.tasks.isBlocked(id), { timeout: 5_000 }).toBe(false);
    expect(stateDisk(href)?.attachedVmId).toBeUndefined();
    await cell.vcd.deleteNamedDisk(href);
  });
});

describe('affinity rules', () => {
  const rule = (name: string) => cell.cloud.state.affinityRules.find((one) => one.name === name);
  const ids = (...names: string[]) => names.map((name) => cell.cloud.state.vms.find((vm) => vm.name === name)?.id).sort();
  const vmHrefs = (...names: string[]) => names.map((name) => cell.href('vm', name));

  it('are made where they are missing and completed where they are not', async () => {
    await cell.vcd.writeAffinityRules(vdc(), [
      { name: 'together', polarity: 'Affinity', enabled: false, mandatory: true, vmHrefs: vmHrefs('web', 'golden-b') },
      { name: 'fresh', polarity: 'Anti-Affinity', enabled: true, mandatory: false, vmHrefs: vmHrefs('golden-a', 'golden-b') },
    ]);
    expect(rule('together')).toMatchObject({ enabled: false, mandatory: true });
    expect([...(rule('together')?.vmIds ?? [])].sort()).toEqual(ids('web', 'db', 'golden-b'));
    expect(rule('fresh')).toMatchObject({ polarity: 'Anti-Affinity', enabled: true, mandatory: false });
    const writes = () => sent('PUT', /vmAffinityRule/).length + sent('POST', /vmAffinityRules/).length;
    const before = writes();
    await cell.vcd.writeAffinityRules(vdc(), [
      { name: 'fresh', polarity: 'Anti-Affinity', enabled: true, mandatory: false, vmHrefs: vmHrefs('golden-b') },
    ]);
    expect(writes()).toBe(before);
  });

  it('leave alone a rule of the same name that is about other VMs', async () => {
    const wanted = { name: 'twin', polarity: 'Affinity', enabled: true, mandatory: false } as const;
    await cell.vcd.writeAffinityRules(vdc(), [{ ...wanted, vmHrefs: vmHrefs('web', 'db') }]);
    await cell.vcd.writeAffinityRules(vdc(), [{ ...wanted, vmHrefs: vmHrefs('golden-a', 'golden-b') }]);
    const twins = cell.cloud.state.affinityRules.filter(({ name }) => name === 'twin').map(({ vmIds }) => [...vmIds].sort());
    expect(twins).toEqual([ids('web', 'db'), ids('golden-a', 'golden-b')]);
  });

  it('are made once when the answer is lost, and an error tells what VCD said', async () => {
    cell.faults.add({ method: 'POST', path: '/vmAffinityRules', effect: 'drop-after' });
    const wanted = { polarity: 'Affinity', enabled: true, mandatory: false } as const;
    await cell.vcd.writeAffinityRules(vdc(), [{ ...wanted, name: 'lost-rule', vmHrefs: vmHrefs('golden-a', 'golden-b') }]);
    expect(cell.cloud.state.affinityRules.filter(({ name }) => name === 'lost-rule')).toHaveLength(1);
    const foreign = cell.vcd.writeAffinityRules(vdc(), [{ ...wanted, name: 'foreign', vmHrefs: vmHrefs('golden-a', 'erp') }]);
    expect(await failure(foreign)).toMatchObject({ message: expect.stringMatching(/affinity rule "foreign".*"erp"/) });
  });
});

describe('hardware', () => {
  it('gets CPU and memory of a VM that is off, and nothing else of it changes', async () => {
    const before = await vmOf('golden', 'golden-a');
    await cell.vcd.writeHardware(before.href, { cpuCount: 4, coresPerSocket: 2, memoryMib: 512 });
    const after = await vmOf('golden', 'golden-a');
    expect(after.hardware).toMatchObject({ cpuCount: 4, coresPerSocket: 2, memoryMib: 512 });
    expect([after.disks, after.nics, after.description]).toEqual([before.disks, before.nics, before.description]);
    const posts = sent('POST', /reconfigureVm$/).length;
    await cell.vcd.writeHardware(before.href, { cpuCount: 4, coresPerSocket: 2, memoryMib: 512 });
    expect(sent('POST', /reconfigureVm$/)).toHaveLength(posts);
    expect(await failure(cell.vcd.writeHardware(cell.href('vm', 'web'), { cpuCount: 3, coresPerSocket: 1 }))).toMatchObject({
      message: expect.stringContaining('VM "web"'),
    });
  });

  it('gives a disk a storage profile of its own, by its place', async () => {
    const before = await vmOf('golden', 'golden-b');
    const [first] = before.disks;
    const place = { busNumber: first?.busNumber ?? -1, unitNumber: first?.unitNumber ?? -1, adapterType: first?.adapterType };
    await cell.vcd.writeDiskProfiles(before.href, [{ ...place, storageProfileHref: profileHref('silver') }]);
    const after = await vmOf('golden', 'golden-b');
    expect(after.disks).toHaveLength(before.disks.length);
    expect(after.disks[0]).toMatchObject({ instanceId: first?.instanceId, overridesVmProfile: true, storageProfile: { name: 'silver' } });
    expect(
      await failure(cell.vcd.writeDiskProfiles(before.href, [{ busNumber: 3, unitNumber: 9, storageProfileHref: profileHref('silver') }])),
    ).toMatchObject({ code: 'DISK_NOT_FOUND' });
  });
});

describe('standalone VMs', () => {
  let imported = 0;
  async function inVcenter(): Promise<SimVm> {
    imported += 1;
    const resources = await cell.vcd.vdcResources(vdc());
    return cell.vsphere.createVm({
      ...{ name: `rebuilt-${imported}`, folderMoRef: cell.vsphere.vmFolderMoRef, resourcePoolMoRef: resources.resourcePoolMoRef },
      ...{ datastoreName: 'san-01', guestId: 'otherLinux64Guest', hardwareVersion: 'vmx-19', cpuCount: 1, memoryMib: 64 },
      coresPerSocket: 1,
      controllers: [{ busNumber: 0, adapterType: 'paraVirtual' }],
      disks: [{ capacityBytes: 8 * 2 ** 20, unitNumber: 0, controllerIndex: 0 }],
      nics: [],
    });
  }
  async function params(vmName: string) {
    const { vimServerHref } = await cell.vcd.vdcResources(vdc());
    const { moRef } = await inVcenter();
    return {
      ...{ vimServerHref, vmMoRef: moRef, vdcHref: vdc(), vmName, vmDescription: 'alone', computerName: 'alone-1' },
      storageProfileHref: profileHref('gold'),
    };
  }
  const named = (name: string) => cell.cloud.state.vms.filter((vm) => vm.name === name);

  it('are imported as such', async () => {
    const { vappHref, vmHref } = await cell.vcd.importStandaloneVm(await params('alone'));
    const captured = await cell.vcd.captureVapp(vappHref);
    expect(captured.kind).toBe('standalone-vm');
    expect(captured.vms.map(({ href, name, description }) => [href, name, description])).toEqual([[vmHref, 'alone', 'alone']]);
    await cell.vcd.deleteVm(vmHref);
    expect(await failure(cell.vcd.captureVapp(vappHref))).toMatchObject({ code: 'VAPP_NOT_FOUND' });
  });

  it('are found when the answer is lost, and imported once', async () => {
    cell.faults.add({ method: 'POST', path: '/importVm$', effect: 'drop-after' });
    const { vmHref } = await cell.vcd.importStandaloneVm(await params('found'));
    expect(named('found').map(({ id }) => vmHref.endsWith(id))).toEqual([true]);
    await cell.vcd.deleteVm(vmHref);
  });

  it("leave nothing when the import fails late, with VCD's own sentence", async () => {
    cell.faults.add({ operationName: 'importSingletonVm', minorErrorCode: 'VC_ERROR', message: 'No host is compatible' });
    const vapps = cell.cloud.state.vapps.length;
    expect(await failure(cell.vcd.importStandaloneVm(await params('failing')))).toMatchObject({
      code: 'TASK_FAILED',
      message: expect.stringMatching(/standalone VM "failing" failed: No host is compatible\.$/),
    });
    expect([named('failing'), cell.cloud.state.vapps.length]).toEqual([[], vapps]);
  });
});

describe('where cells differ', () => {
  it('is read and written all the same, and what is not known is written back', async () => {
    chooseVariants(cell.cloud.variants, { prefixes: 'numbered', mediaTypeCase: 'upper', links: 'xml', unknownContent: 'added' });
    cell.exchanges.length = 0;
    try {
      const { href } = await cell.vcd.createNamedDisk(vdc(), { name: 'varied', sizeMib: 8, busType: '6' });
      await cell.vcd.writeNamedDisk(href, { name: 'varied-2', description: 'now with one', metadata: [] });
      const vm = cell.href('vm', 'golden-a');
      await cell.vcd.attachNamedDisk(vm, href, {});
      await cell.vcd.detachNamedDisk(vm, href);
      await cell.vcd.deleteNamedDisk(href);
      const vmHrefs = [cell.href('vm', 'golden-a'), cell.href('vm', 'golden-b')];
      await cell.vcd.writeAffinityRules(vdc(), [{ name: 'apart', polarity: 'Anti-Affinity', enabled: false, mandatory: false, vmHrefs }]);
      await cell.vcd.writeHardware(vm, { memoryMib: 128 });
      const [disk] = (await vmOf('golden', 'golden-a')).disks;
      const place = { busNumber: disk?.busNumber ?? -1, unitNumber: disk?.unitNumber ?? -1 };
      await cell.vcd.writeDiskProfiles(vm, [{ ...place, storageProfileHref: profileHref('silver') }]);
    } finally {
      Object.assign(cell.cloud.variants, defaultVariants());
    }
    const written = cell.exchanges.filter(({ method, path }) => method === 'PUT' || path.endsWith('/action/reconfigureVm'));
    expect(written.map(({ path, requestBody }) => [path.split('/')[2], requestBody.includes('AddedByALaterVersion')])).toEqual([
      ['disk', true],
      ['vmAffinityRule', true],
      ['vApp', true],
      ['vApp', true],
    ]);
    expect((await vmOf('golden', 'golden-a')).hardware?.memoryMib).toBe(128);
  });
});
