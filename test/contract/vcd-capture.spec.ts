import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { compareMedia, compareVappAttributes, compareVappCaptures, fingerprintVapp, VcdClient } from '../../src/vcd/index.js';
import { chooseVariants, defaultVariants } from '../simulator/vcd/index.js';
import { type EverythingCell, startEverythingCell } from './everything-cell.js';

/** What the client reads of a vApp, a template, a medium and a named disk, from a cell that has one of everything. */

let cell: EverythingCell;
let vcd: VcdClient;
const GONE = '00000000-0000-4000-8000-00000000dead';

beforeAll(async () => {
  cell = await startEverythingCell();
  vcd = cell.vcd;
});
afterEach(() => cell.faults.clear());
afterAll(() => cell?.close());

function idOf(list: readonly { id: string; name: string }[], name: string): string {
  const found = list.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`the seed has no "${name}"`);
  return found.id;
}
const vappHref = (name: string) => cell.href('vapp', name);
const templateHref = (name: string) => cell.href('template', name);
const mediaHref = (name: string) => cell.href('media', name);
const diskHref = (name: string) => cell.href('disk', name);
/** Of something that is not there (any more). */
const goneHref = (href: string) => href.replace(/[0-9a-f-]{36}$/, GONE);
const pathsOf = (raw: Record<string, string>) =>
  Object.keys(raw).map((path) => path.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '*'));

describe('a vApp', () => {
  it('is captured with its named disks, once each, and where they are attached', async () => {
    const capture = await vcd.captureVapp(vappHref('shop'));
    const db = capture.vms.find((vm) => vm.name === 'db');
    expect(db?.disks.map((disk) => [disk.unitNumber, disk.namedDisk?.name, disk.storageProfile?.name, disk.overridesVmProfile])).toEqual([
      [0, undefined, 'gold', undefined],
      [3, 'orders', 'silver', true],
    ]);
    expect(capture.namedDisks).toEqual([
      expect.objectContaining({
        id: `urn:vcloud:disk:${idOf(cell.cloud.state.disks, 'orders')}`,
        name: 'orders',
        description: 'The orders of the shop',
        sizeMib: 48,
        busType: '6',
        busSubType: 'VirtualSCSI',
        storageProfile: expect.objectContaining({ name: 'silver' }),
        owner: expect.objectContaining({ name: 'olivia' }),
        metadata: [
          expect.objectContaining({ key: 'owner-team', domain: 'GENERAL' }),
          expect.objectContaining({ key: 'placement', value: 'array 2', domain: 'SYSTEM', visibility: 'READONLY' }),
        ],
        attachments: [{ vmId: db?.id, busNumber: 0, unitNumber: 3 }],
      }),
    ]);
    expect(pathsOf(capture.raw)).toEqual(expect.arrayContaining(['/api/disk/*', '/api/disk/*/metadata', '/api/vdc/*/vmAffinityRules/']));
  });

  it('is captured with the affinity rules that name a VM of it, and no others', async () => {
    const rules = (capture: Awaited<ReturnType<VcdClient['captureVapp']>>) =>
      capture.affinityRules?.map((rule) => [rule.name, rule.polarity, rule.enabled, rule.mandatory, rule.vms.map((vm) => vm.name).sort()]);
    const apart = ['apart', 'Anti-Affinity', true, true, ['db', 'golden-a']];
    expect(rules(await vcd.captureVapp(vappHref('shop')))).toEqual([['together', 'Affinity', true, false, ['db', 'web']], apart]);
    expect(rules(await vcd.captureVapp(vappHref('golden')))).toEqual([apart]);
    expect(rules(await vcd.captureVapp(vappHref('erp')))).toEqual([]);
  });

  it.each([
    ['403 for the role', 403, 'ACCESS_TO_RESOURCE_IS_FORBIDDEN'],
    ['404 of a release without them', 404, 'NOT_FOUND'],
    ['405 of a release that only takes them', 405, 'METHOD_NOT_ALLOWED'],
  ])('is captured where affinity rules are not shown: %s', async (_, status, minorErrorCode) => {
    const all = await vcd.captureVapp(vappHref('shop'));
    cell.faults.add({ method: 'GET', path: 'vmAffinityRules', status, minorErrorCode });
    const without = await vcd.captureVapp(vappHref('shop'));
    expect(without.affinityRules).toBeUndefined();
    // Not told is not none: no difference is made of it.
    expect(compareVappCaptures(all, without)).toEqual([]);
    expect(compareVappAttributes(all, all).map(({ path }) => path)).toContain('affinityRules.apart.vms.db');
  });

  it('fails when VCD fails, instead of going without', async () => {
    cell.faults.add({ method: 'GET', path: 'vmAffinityRules', status: 500, count: 0 });
    await expect(vcd.captureVapp(vappHref('shop'))).rejects.toMatchObject({ name: 'VcdError', httpStatus: 500 });
  });

  it('tells hardware, resource pool, kind and snapshots', async () => {
    const shop = await vcd.captureVapp(vappHref('shop'));
    const hardware = new Map(shop.vms.map((vm) => [vm.name, vm.hardware]));
    const common = { coresPerSocket: 1, memoryMib: 256, hardwareVersion: 'vmx-19', firmware: 'bios', nestedHypervisor: false };
    expect(hardware.get('web')).toEqual({ ...common, cpuCount: 2, cpuHotAdd: false, memoryHotAdd: false });
    expect(hardware.get('db')).toEqual({ ...common, cpuCount: 1, cpuHotAdd: true, memoryHotAdd: true });
    expect(shop.vms[0]?.sections.VmSpecSection).toContain('NumCpus');
    const pool = cell.cloud.state.vdcs.find((vdc) => vdc.name === 'acme-production')?.resourcePoolMoRef;
    expect([shop.kind, shop.resourcePool?.moRef, shop.resourcePool?.vimServer?.name]).toEqual(['vapp', pool, 'vcenter-1']);
    expect((await vcd.captureVapp(vappHref('lone'))).kind).toBe('standalone-vm');

    const golden = await vcd.captureVapp(vappHref('golden'));
    expect(golden.vms.map((vm) => [vm.name, vm.snapshot?.poweredOn, vm.snapshot?.sizeBytes])).toEqual([
      ['golden-a', undefined, undefined],
      ['golden-b', false, 48 * 2 ** 20],
    ]);
    expect(Date.parse(golden.vms[1]?.snapshot?.createdAt ?? '')).toBeGreaterThan(0);
    // For information: a backup makes snapshots itself, and must not take that for a change.
    const later = { ...golden, vms: golden.vms.map(({ snapshot: _, ...vm }) => vm) };
    expect(fingerprintVapp(later)).toBe(fingerprintVapp(golden));
  });

  it('tells the template that it and its VMs were made from', async () => {
    const capture = await vcd.captureVapp(vappHref('from-template'));
    const type = 'com.vmware.vcloud.entity.vappTemplate';
    expect(capture.origin).toEqual({ id: idOf(cell.cloud.state.vappTemplates, 'pair'), name: 'pair', type });
    expect(capture.vms.map((vm) => vm.origin?.name).sort()).toEqual(['golden-a', 'golden-b']);
    expect((await vcd.captureVapp(vappHref('shop'))).origin).toBeUndefined();
  });

  it('is the same whatever API version it is read in', async () => {
    const now = await vcd.captureVapp(vappHref('shop'));
    for (const version of ['33.0', '35.0', '37.0']) {
      const old = await cell.connect({ apiVersion: version });
      const capture = await old.captureVapp(vappHref('shop'));
      expect([capture.apiVersion, compareVappCaptures(now, capture)]).toEqual([version, []]);
    }
  });

  it('is read by a number of requests that does not grow but with VMs and named disks', async () => {
    for (const name of ['shop', 'golden', 'erp']) {
      const before = vcd.requestCount;
      const capture = await vcd.captureVapp(vappHref(name));
      const bound = 9 + 2 * capture.vms.length + 3 * (capture.namedDisks?.length ?? 0);
      expect([name, vcd.requestCount - before <= bound]).toEqual([name, true]);
    }
  });

  it('has another fingerprint once its named disk or a rule is changed', async () => {
    const before = fingerprintVapp(await vcd.captureVapp(vappHref('shop')));
    expect(fingerprintVapp(await vcd.captureVapp(vappHref('shop')))).toBe(before);
    const rule = cell.cloud.state.affinityRules.find((candidate) => candidate.name === 'together');
    const disk = cell.cloud.state.disks.find((candidate) => candidate.name === 'orders');
    if (rule === undefined || disk === undefined) throw new Error('the seed has both');
    rule.enabled = false;
    expect(fingerprintVapp(await vcd.captureVapp(vappHref('shop')))).not.toBe(before);
    rule.enabled = true;
    disk.description = 'of others';
    expect(fingerprintVapp(await vcd.captureVapp(vappHref('shop')))).not.toBe(before);
    disk.description = 'The orders of the shop';
  });
});

describe('a named disk by itself', () => {
  it('is read with the VMs it is attached to', async () => {
    const db = `urn:vcloud:vm:${idOf(cell.cloud.state.vms, 'db')}`;
    expect(await vcd.readNamedDisk(diskHref('orders'))).toMatchObject({ name: 'orders', sizeMib: 48, attachments: [{ vmId: db }] });
    const spare = await vcd.readNamedDisk(diskHref('spare'));
    expect([spare?.name, spare?.sizeMib, spare?.attachments, spare?.storageProfile?.name]).toEqual(['spare', 16, [], 'gold']);
  });

  it('is undefined when it is gone, and an error when VCD fails', async () => {
    expect(await vcd.readNamedDisk(goneHref(diskHref('orders')))).toBeUndefined();
    cell.faults.add({ method: 'GET', path: '/api/disk/', status: 500, count: 0 });
    await expect(vcd.readNamedDisk(diskHref('spare'))).rejects.toMatchObject({ httpStatus: 500 });
  });
});

describe('a vApp template', () => {
  it('is captured like a vApp, with its place in the catalog', async () => {
    const capture = await vcd.captureVappTemplate(templateHref('pair'));
    expect(capture).toMatchObject({
      kind: 'vapp-template',
      name: 'pair',
      description: 'Two VMs',
      goldMaster: true,
      owner: { name: 'acme-admin' },
      organization: { name: 'acme' },
      vdc: { name: 'acme-production' },
      metadata: [{ key: 'build', type: 'MetadataNumberValue', value: '42' }],
      networks: [{ name: 'acme-backend' }],
      catalogEntry: { catalog: { name: 'acme-images' }, item: { name: 'pair' }, description: 'Two VMs', metadata: [] },
    });
    const machines = cell.cloud.templateVmsOf(idOf(cell.cloud.state.vappTemplates, 'pair'));
    expect(capture.vms.map((vm) => [vm.name, vm.vim.vmMoRef, vm.localId, vm.storageProfile?.name])).toEqual(
      machines.map(({ name, moRef }) => [name, moRef, `${name}-local`, 'gold']),
    );
    // The OVF items name a profile by its address; the capture knows its name.
    expect(capture.vms[0]?.disks).toMatchObject([{ sizeMib: 48, busNumber: 0, unitNumber: 0, storageProfile: { name: 'gold' } }]);
    expect(capture.vms[0]?.hardware).toEqual({ cpuCount: 1, coresPerSocket: 1, memoryMib: 256, hardwareVersion: 'vmx-19' });
    expect(capture.sections.CustomizationSection).toContain('CustomizeOnInstantiate');
    expect(pathsOf(capture.raw)).toEqual(expect.arrayContaining(['/api/vAppTemplate/vappTemplate-*', '/api/catalogItem/*']));
    expect(pathsOf(capture.raw)).not.toContain('/api/catalog/*');
  });

  it('compares with itself as equal, and by what a person would name', async () => {
    const capture = await vcd.captureVappTemplate(templateHref('pair'));
    const paths = compareVappAttributes(capture, capture).map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(['goldMaster', 'customizeOnInstantiate', 'catalogEntry.catalog', 'catalogEntry.name']));
    expect(compareVappCaptures(capture, await vcd.captureVappTemplate(templateHref('pair')))).toEqual([]);
    const single = await vcd.captureVappTemplate(templateHref('single'));
    expect(compareVappCaptures(capture, single).map(({ path }) => path)).toEqual(
      expect.arrayContaining(['goldMaster', 'customizeOnInstantiate', 'vms.golden-a', 'metadata.build', 'catalogEntry.name']),
    );
  });

  it('is read by a number of requests that grows with its VMs alone, and so is a medium', async () => {
    const before = vcd.requestCount;
    const { vms } = await vcd.captureVappTemplate(templateHref('pair'));
    const between = vcd.requestCount;
    await vcd.captureMedia(mediaHref('installer'));
    expect(between - before).toBeLessThanOrEqual(10 + 2 * vms.length);
    expect(vcd.requestCount - between).toBeLessThanOrEqual(9);
  });

  it('that is gone is told as such', async () => {
    const gone = vcd.captureVappTemplate(goneHref(templateHref('pair')));
    await expect(gone).rejects.toMatchObject({ name: 'VcdError', code: 'TEMPLATE_NOT_FOUND' });
    // Deleted while it is read.
    cell.faults.add({ method: 'GET', path: 'vappTemplate-.*/metadata', status: 403, minorErrorCode: 'ACCESS_TO_RESOURCE_IS_FORBIDDEN' });
    await expect(vcd.captureVappTemplate(templateHref('pair'))).rejects.toMatchObject({
      code: 'TEMPLATE_NOT_FOUND',
      message: expect.stringContaining('vApp template "pair"'),
    });
  });
});

describe('a medium', () => {
  it('is captured with its place in the catalog', async () => {
    const capture = await vcd.captureMedia(mediaHref('installer'));
    expect(capture).toMatchObject({
      kind: 'media',
      name: 'installer',
      description: 'Installation disc',
      imageType: 'iso',
      sizeBytes: 3 * 2 ** 20 + 2048,
      organization: { name: 'acme' },
      vdc: { name: 'acme-production' },
      owner: { name: 'acme-admin' },
      storageProfile: { name: 'silver' },
      metadata: [{ key: 'release', value: '9.1' }],
      catalogEntry: { catalog: { name: 'acme-images' }, item: { name: 'installer' }, metadata: [] },
    });
    expect(compareMedia(capture, capture).every(({ equal }) => equal)).toBe(true);
    const changed = { ...capture, description: 'x', metadata: [], catalogEntry: { ...capture.catalogEntry, description: 'y' } };
    const differences = compareMedia(capture, changed).filter(({ equal }) => !equal);
    expect(differences.map(({ path }) => path)).toEqual(['catalogEntry.description', 'description', 'metadata.release']);
  });

  it('that is gone is told as such', async () => {
    await expect(vcd.captureMedia(goneHref(mediaHref('installer')))).rejects.toMatchObject({ name: 'VcdError', code: 'MEDIA_NOT_FOUND' });
    await expect(vcd.waitForEntityTasks(goneHref(mediaHref('installer')), 1_000)).rejects.toMatchObject({ code: 'MEDIA_NOT_FOUND' });
  });

  it('is waited for while it has a task', async () => {
    const href = mediaHref('installer');
    const capture = await vcd.captureMedia(href);
    const puts = () => cell.exchanges.filter(({ method, path }) => method === 'PUT' && path.includes('/media/')).length;
    cell.faults.add({ operationName: 'vdcUpdateMedia', effect: 'delay', delayMs: 150 });
    const written = vcd.writeMedia(href, { ...capture, description: 'the new disc' }, undefined);
    await expect.poll(puts, { timeout: 10_000, interval: 5 }).toBeGreaterThan(0);
    await vcd.waitForEntityTasks(href, 10_000);
    expect((await vcd.captureMedia(href)).description).toBe('the new disc');
    await written;
    await vcd.writeMedia(href, capture, undefined);
    await vcd.waitForEntityTasks(templateHref('pair'), 10_000);
    await vcd.waitForEntityTasks(vappHref('shop'), 10_000);
  });
});

describe('whatever the answers look like', () => {
  const asBefore = defaultVariants();
  afterEach(() => void chooseVariants(cell.cloud.variants, asBefore));

  it.each([
    { prefixes: 'numbered' },
    { mediaTypeCase: 'upper' },
    { links: 'xml' },
    { prefixes: 'numbered', mediaTypeCase: 'lower', links: 'xml' },
  ])('captures of all kinds stay the same: %j', async (variants) => {
    const all = async () => ({
      shop: await vcd.captureVapp(vappHref('shop')),
      pair: await vcd.captureVappTemplate(templateHref('pair')),
      installer: await vcd.captureMedia(mediaHref('installer')),
      orders: await vcd.readNamedDisk(diskHref('orders')),
    });
    const before = await all();
    chooseVariants(cell.cloud.variants, variants);
    const now = await all();
    expect(compareVappCaptures(before.shop, now.shop)).toEqual([]);
    expect(compareVappCaptures(before.pair, now.pair)).toEqual([]);
    expect(compareMedia(before.installer, now.installer).filter(({ equal }) => !equal)).toEqual([]);
    // Types of references are as VCD writes them.
    const plain = (disk: typeof now.orders) =>
      JSON.stringify(disk, (key, value) => (key === 'type' && /vnd/i.test(value) ? undefined : value));
    expect(plain(now.orders)).toBe(plain(before.orders));
    expect([now.shop.resourcePool?.moRef, now.shop.vms.map((vm) => vm.vim.vmMoRef)]).toEqual([
      before.shop.resourcePool?.moRef,
      before.shop.vms.map((vm) => vm.vim.vmMoRef),
    ]);
  });

  it('captures keep what they do not know', async () => {
    chooseVariants(cell.cloud.variants, { unknownContent: 'added' });
    const [shop, pair, installer] = await Promise.all([
      vcd.captureVapp(vappHref('shop')),
      vcd.captureVappTemplate(templateHref('pair')),
      vcd.captureMedia(mediaHref('installer')),
    ]);
    expect([shop.namedDisks?.length, shop.affinityRules?.length, pair.goldMaster, installer.imageType]).toEqual([1, 2, true, 'iso']);
    const kept = [shop.sections.LeaseSettingsSection, shop.vms[0]?.sections.VmSpecSection, pair.sections.CustomizationSection];
    for (const text of [...kept, ...Object.values(shop.raw), ...Object.values(installer.raw)])
      expect(text).toContain('AddedByALaterVersion');
  });
});

describe('the resources of a VDC', () => {
  const vdc = (name: string) => cell.href('vdc', name);

  it.each(['33.0', '36.3', undefined])('tell its compute policies and the leases of its organization, in API %s', async (version) => {
    const client = version === undefined ? vcd : await cell.connect({ apiVersion: version });
    const [production, globex] = [await client.vdcResources(vdc('acme-production')), await client.vdcResources(vdc('globex-main'))];
    expect(production.sizingPolicies?.map((policy) => policy.name)).toEqual(['System Default', 'two-sockets']);
    expect(production.placementPolicies?.map((policy) => policy.name).sort()).toEqual(['rack-a', 'rack-b']);
    expect(globex.placementPolicies?.map((policy) => policy.name)).toEqual(['rack-b']);
    expect(production.leaseLimits).toEqual({ maxDeploymentSeconds: 604_800, maxStorageSeconds: 2_592_000, maxTemplateStorageSeconds: 0 });
    expect(globex.leaseLimits).toMatchObject({ maxDeploymentSeconds: 86_400, maxStorageSeconds: 604_800 });
  });

  it('name a policy by an address that VCD takes back', async () => {
    const resources = await vcd.vdcResources(vdc('acme-production'));
    const captured = (await vcd.captureVapp(vappHref('shop'))).vms.find((vm) => vm.name === 'web');
    const sizing = resources.sizingPolicies?.find((policy) => policy.name === 'two-sockets');
    expect([sizing?.id, sizing?.href]).toEqual([captured?.sizingPolicy?.id, captured?.sizingPolicy?.href]);
  });

  it('go without policies where VCD lists none', async () => {
    cell.faults.add({ path: '/cloudapi/.*/computePolicies', status: 404, minorErrorCode: 'NOT_FOUND', count: 0 });
    const resources = await vcd.vdcResources(vdc('acme-production'));
    expect([resources.name, resources.sizingPolicies, resources.placementPolicies]).toEqual(['acme-production', undefined, undefined]);
    expect(resources.leaseLimits).toBeDefined();
  });

  it('come from the older listing where the newer one is missing', async () => {
    cell.faults.add({ path: '/cloudapi/2.0.0/.*/computePolicies', status: 404, minorErrorCode: 'NOT_FOUND' });
    const resources = await vcd.vdcResources(vdc('acme-production'));
    expect(resources.sizingPolicies?.[0]).toMatchObject({ name: 'System Default', href: expect.stringContaining('/cloudapi/1.0.0/') });
  });
});
