import { describe, expect, it } from 'vitest';
import type { NicConnection } from '../../vcd/index.js';
import type { PlanItem } from '../plan-types.js';
import type { RestorePayload } from '../restore-request.js';
import { keepsIdentity } from './mode-rules.js';
import { rule } from './rule-restore.js';
import { assertCanStart } from './plan-view.js';
import { ruleLease } from './rule-lease.js';
import { ruleNetworks } from './rule-networks.js';
import { ruleNics } from './rule-nics.js';
import { ruleAccess, ruleOwner } from './rule-people.js';
import { rulePolicies } from './rule-policies.js';
import { ruleDatastore, ruleStorageProfiles, spaceDemand } from './rule-storage.js';
import { restoredNames, ruleChangedVms, ruleVm, selectDisk, selectVms } from './rule-vms.js';
import { machines, manifestDisk, manifestVm, payload, today, todaysVm, vappCapture, vdcResources, vmCapture } from './testing.js';

const brief = (items: readonly PlanItem[]) => items.map((item) => [item.attribute, item.conformity, item.planned]);
const vdc = vdcResources();

describe('storage profiles', () => {
  const named = (name: string, href = `sp-${name}`) => vmCapture('web', { storageProfile: { href, name } });
  it.each([
    ['there', named('gold'), undefined, 'fits', 'gold'],
    ['there under another address', named('gold', 'sp-other'), undefined, 'fits', 'gold'],
    ['renamed', named('was-gold', 'sp-gold'), undefined, 'changed', 'gold'],
    ['gone', named('bronze'), undefined, 'missing', 'silver'],
    ['disabled', named('old'), undefined, 'missing', 'silver'],
    ['chosen', named('bronze'), { bronze: 'gold' }, 'changed', 'gold'],
  ])('%s', (_, vm, choice, conformity, planned) => {
    const { vm: wanted, items } = ruleStorageProfiles(vm, vdc, choice);
    expect(brief(items)).toEqual([['vms.web.storageProfile', conformity, planned]]);
    expect(wanted.storageProfile?.name).toBe(planned);
    expect(items[0]?.choice?.options.map((option) => option.value)).toEqual(['gold', 'silver']);
  });
  it('refuses one that is not there, naming those that are', () => {
    expect(() => ruleStorageProfiles(named('gold'), vdc, { gold: 'old' })).toThrow(
      /choices\.storageProfiles\.gold.*"old".*"gold", "silver"/,
    );
  });
});

describe('datastores', () => {
  const datastores = [
    { moRef: 'a', name: 'ds-1', type: 'VMFS', freeBytes: 150, accessible: true },
    { moRef: 'b', name: 'ds-2', type: 'VMFS', freeBytes: 500, accessible: true },
    { moRef: 'c', name: 'ds-3', type: 'VMFS', freeBytes: 9000, accessible: false },
  ];
  const asking = (name: string, ownBytes: number, namedBytes = 0) => ({
    name,
    path: '[ds-1] web/web.vmdk',
    demand: { ownBytes, namedBytes },
  });
  const refusal = expect.objectContaining({ code: 'NO_DATASTORE' });

  it('keeps the captured one while it has room, counting what other VMs of the restore take', () => {
    const reserved = new Map<string, number>();
    expect(ruleDatastore(asking('web', 100), datastores, reserved).name).toBe('ds-1');
    const second = ruleDatastore(asking('db', 100), datastores, reserved);
    expect(second.name).toBe('ds-2');
    expect(brief(second.items)).toEqual([['vms.db.datastore', 'missing', 'ds-2']]);
    expect([...reserved]).toEqual([
      ['ds-1', 100],
      ['ds-2', 100],
    ]);
  });
  it('takes only those that suit the storage policy, and of them the one with the most room', () => {
    const more = [...datastores, { moRef: 'd', name: 'ds-4', type: 'vsan', freeBytes: 700, accessible: true }];
    expect(ruleDatastore(asking('web', 100), more, new Map(), new Set(['b', 'd'])).name).toBe('ds-4');
    expect(() => ruleDatastore(asking('web', 100), more, new Map(), new Set(['c']))).toThrow(refusal);
  });
  it('refuses where none has room for the VM, or for its named disks beside it', () => {
    expect(() => ruleDatastore(asking('web', 600), datastores, new Map())).toThrow(refusal);
    expect(ruleDatastore(asking('web', 400, 140), datastores, new Map()).name).toBe('ds-2');
    expect(() => ruleDatastore(asking('web', 400, 160), datastores, new Map())).toThrow(refusal);
  });
  it('counts what thin disks hold and all of others, twice for a template', () => {
    const thin = manifestDisk(2000, { allocatedBytes: 60, capacityBytes: 1000 });
    const thick = manifestDisk(2001, { allocatedBytes: 60, capacityBytes: 1000, thin: false });
    expect(spaceDemand([thin, thick], [thin], 500)).toEqual({ ownBytes: 1560, namedBytes: 60 });
    expect(spaceDemand([thin, thick], [thin], 500, 2)).toEqual({ ownBytes: 3120, namedBytes: 120 });
  });
});

describe('compute policies', () => {
  const vm = vmCapture('web', { sizingPolicy: { href: 'p', name: 'large' }, placementPolicy: { href: 'q', name: 'licensed' } });
  it.each([
    ['unknown stay as captured', undefined, undefined, {}, [], 'large', 'licensed'],
    ['both there', ['default', 'large'], ['licensed'], {}, ['fits', 'fits'], 'large', 'licensed'],
    ['both gone', ['default'], [], {}, ['missing', 'missing'], 'default', undefined],
    [
      'chosen',
      ['default', 'large'],
      ['licensed'],
      { sizingPolicies: { large: 'default' }, placementPolicies: { licensed: 'none' } },
      ['changed', 'changed'],
      'default',
      undefined,
    ],
  ])('%s', (_, sizing, placement, choices, conformities, sizingName, placementName) => {
    const references = (names: string[] | undefined) => names?.map((name) => ({ href: name, name }));
    const resources = { ...vdc, sizingPolicies: references(sizing), placementPolicies: references(placement) };
    const ruled = rulePolicies(vm, resources, choices);
    expect(ruled.items.map((item) => item.conformity)).toEqual(conformities);
    expect([ruled.vm.sizingPolicy?.name, ruled.vm.placementPolicy?.name]).toEqual([sizingName, placementName]);
  });
});

describe('leases', () => {
  const limits = { maxDeploymentSeconds: 1000, maxStorageSeconds: 0 };
  it.each([
    ['shorter', 500, undefined, 500, 0],
    ['longer', 2000, undefined, 1000, 1],
    ['without end', 0, undefined, 1000, 1],
    ['longer, and asked for', 2000, 'captured' as const, 2000, 1],
  ])('%s', (_, seconds, choice, planned, items) => {
    const ruled = ruleLease({ deploymentSeconds: seconds, storageSeconds: 0 }, limits, choice);
    expect(ruled.lease).toEqual({ deploymentSeconds: planned, storageSeconds: 0 });
    expect(ruled.items).toHaveLength(items);
    for (const item of ruled.items) expect(item).toMatchObject({ attribute: 'lease.deploymentSeconds', conformity: 'not-permitted' });
  });
});

describe('people', () => {
  const users = today().users;
  it('keeps an owner who is there, leaves a gone one to the administrator, and refuses a chosen stranger', () => {
    expect(brief(ruleOwner({ href: 'x', name: 'Olivia' }, users, 'acme', undefined).items)).toEqual([['owner', 'fits', 'olivia']]);
    const gone = ruleOwner({ href: 'x', name: 'bob' }, users, 'acme', undefined);
    expect([gone.owner, ...brief(gone.items)]).toEqual([undefined, ['owner', 'missing', undefined]]);
    expect(gone.items[0]?.needsChoice).toBe(false);
    expect(() => ruleOwner({ href: 'x', name: 'olivia' }, users, 'acme', 'bob')).toThrow(/choices\.owner is "bob".*"acme"/);
  });
  it('leaves out the rights of users who are gone, and of groups of another organization', () => {
    const grants = [
      { subject: { href: 'u1', name: 'olivia', type: 'application/vnd.vmware.admin.user+xml' }, accessLevel: 'Change' },
      { subject: { href: 'u2', name: 'bob', type: 'application/vnd.vmware.admin.user+xml' }, accessLevel: 'ReadOnly' },
      { subject: { href: 'g1', name: 'ops', type: 'application/vnd.vmware.admin.group+xml' }, accessLevel: 'FullControl' },
      { subject: { href: 'o1', name: 'globex', type: 'application/vnd.vmware.vcloud.org+xml' }, accessLevel: 'ReadOnly' },
    ];
    const kept = (sameOrganization: boolean) =>
      ruleAccess({ sharedToEveryone: false, grants }, users, { organizationName: 'acme', sameOrganization });
    expect(kept(true).access.grants.map((grant) => grant.subject.name)).toEqual(['olivia', 'ops', 'globex']);
    expect(kept(false).access.grants.map((grant) => grant.subject.name)).toEqual(['olivia', 'globex']);
    expect(brief(kept(true).items)).toEqual([['access.grants.bob', 'missing', undefined]]);
  });
});

describe('networks', () => {
  const config = (mode: string) =>
    `<NetworkConfig xmlns="http://www.vmware.com/vcloud/v1.5" networkName="front"><Configuration><ParentNetwork href="https://vcd/api/network/was" name="lan"/><FenceMode>${mode}</FenceMode></Configuration></NetworkConfig>`;
  const front = (parent: string, mode: 'bridged' | 'natRouted' = 'natRouted') => ({
    name: 'front',
    fenceMode: mode,
    parent: { href: 'https://vcd/api/network/was', name: parent },
    xml: config(mode),
  });
  it.each([
    ['same name elsewhere', front('lan'), undefined, 'fits', 'lan', 'natRouted'],
    ['gone', front('dmz'), undefined, 'missing', 'isolated', 'isolated'],
    ['gone under a bridged network', front('dmz', 'bridged'), undefined, 'missing', 'isolated', 'isolated'],
    ['chosen', front('dmz'), 'lan', 'changed', 'lan', 'natRouted'],
    ['chosen isolated', front('lan'), 'isolated', 'changed', 'isolated', 'isolated'],
  ])('%s', (_, network, choice, conformity, planned, fenceMode) => {
    const ruled = ruleNetworks([network], vdc, choice === undefined ? {} : { networks: { front: choice } });
    expect(brief(ruled.items)).toEqual([['networks.front.config.Configuration.ParentNetwork', conformity, planned]]);
    expect(ruled.networks[0]?.fenceMode).toBe(fenceMode);
    expect(ruled.networks[0]?.xml.includes('ParentNetwork')).toBe(fenceMode !== 'isolated');
    expect([...ruled.parents.values()].every((href) => href === 'https://vcd/api/network/lan')).toBe(true);
  });
  it('refuses a network the VDC does not have', () => {
    expect(() => ruleNetworks([front('lan')], vdc, { networks: { front: 'wan' } })).toThrow(
      /choices\.networks\.front.*"wan".*"lan", "isolated"/,
    );
  });
});

describe('NICs', () => {
  const nic: NicConnection = {
    index: 0,
    network: 'lan',
    connected: true,
    macAddress: '00:50:56:00:00:01',
    allocationMode: 'MANUAL',
    ipAddress: '10.0.0.5',
    primary: true,
  };
  const lan = { name: 'lan', fenceMode: 'bridged' as const, parent: { href: 'net-1' }, xml: '' };
  const other = { vappName: 'copy', vmName: 'web', macAddress: undefined, ipAddress: undefined, networkHref: 'net-1' };
  const ruled = (more: Partial<Parameters<typeof ruleNics>[1]>) =>
    ruleNics(vmCapture('web', { nics: [nic] }), {
      keepMacAddresses: true,
      ipAddresses: undefined,
      nicsInUse: [],
      networks: [lan],
      remapped: new Set(),
      sameNetwork: (one, two) => one === two,
      ...more,
    });
  it.each([
    ['free', {}, nic.macAddress, 'MANUAL', []],
    ['MAC in use', { nicsInUse: [{ ...other, macAddress: '00:50:56:00:00:01' }] }, undefined, 'MANUAL', ['macAddress']],
    ['new MACs', { keepMacAddresses: false }, undefined, 'MANUAL', ['macAddress']],
    ['IP in use', { nicsInUse: [{ ...other, ipAddress: '10.0.0.5' }] }, nic.macAddress, 'POOL', ['ipAddress', 'allocationMode']],
    [
      'IP in use on another network',
      { nicsInUse: [{ ...other, ipAddress: '10.0.0.5', networkHref: 'net-2' }] },
      nic.macAddress,
      'MANUAL',
      [],
    ],
    [
      'IP in use, to be kept',
      { nicsInUse: [{ ...other, ipAddress: '10.0.0.5' }], ipAddresses: 'keep' as const },
      nic.macAddress,
      'MANUAL',
      [],
    ],
    ['pool asked for', { ipAddresses: 'pool' as const }, nic.macAddress, 'POOL', ['ipAddress', 'allocationMode']],
  ])('%s', (_, more, macAddress, allocationMode, attributes) => {
    const { vm, items } = ruled(more);
    expect(vm.nics[0]).toMatchObject({ allocationMode });
    expect(vm.nics[0]?.macAddress).toBe(macAddress);
    expect(items.map((item) => item.attribute)).toEqual(attributes.map((name) => `vms.web.nics.0.${name}`));
  });
  it('unplugs a NIC whose network the vApp does not have', () => {
    expect(ruled({ networks: [] }).vm.nics[0]).toMatchObject({ network: 'none', connected: false, allocationMode: 'NONE' });
  });
});

describe('VMs', () => {
  const disks = [manifestDisk(2000)];
  const there = todaysVm('web', disks);
  const grown = todaysVm('web', [manifestDisk(2000, { capacityBytes: 2000 })]);
  const stranger = todaysVm('web', disks, { sameVm: false });
  const snapshotted = todaysVm('web', disks, { snapshots: ['before patch'] });
  it.each([
    ['a missing vApp builds', 'missing-vapp', there, {}, 'build', false],
    ['recreate builds', 'recreate', there, {}, 'build', false],
    ['overwrite writes over', 'overwrite', there, {}, 'overwrite', false],
    ['overwrite builds what is gone', 'overwrite', undefined, {}, 'build', false],
    ['overwrite replaces what has other disks', 'overwrite', grown, {}, 'replace', false],
    ['overwrite asks about a stranger of that name', 'overwrite', stranger, {}, 'replace', true],
    ['overwrite asks about snapshots', 'overwrite', snapshotted, {}, 'overwrite', true],
    ['overwrite takes snapshots away on request', 'overwrite', snapshotted, { snapshots: 'remove' }, 'overwrite', false],
    ['vms asks about a VM that is there', 'vms', there, {}, 'overwrite', true],
    ['vms replaces on request', 'vms', there, { existingVms: 'replace' }, 'replace', false],
    ['vms builds what is gone', 'vms', undefined, {}, 'build', false],
    ['vms needs another name to rename', 'vms', there, { existingVms: 'rename' }, 'build', true],
    ['disk writes over', 'disk', there, {}, 'overwrite', false],
  ] satisfies [string, RestorePayload['mode'], typeof there | undefined, RestorePayload['choices'], string, boolean][])(
    '%s',
    (_, mode, vm, choices, action, asks) => {
      const ruled = ruleVm('web', disks, vm, payload({ mode, choices }));
      expect(ruled.action).toBe(action);
      expect(ruled.items.some((item) => item.needsChoice)).toBe(asks);
      expect(ruled.existing === undefined).toBe(action === 'build');
    },
  );
  it('refuses one disk where there is none to write over', () => {
    for (const vm of [grown, undefined]) {
      expect(() => ruleVm('web', disks, vm, payload({ mode: 'disk' }))).toThrow(expect.objectContaining({ code: 'DISK_MISMATCH' }));
    }
  });
  it('finds VMs and disks by name or id, and refuses others', () => {
    const vms = [manifestVm('web'), manifestVm('db')];
    expect(selectVms(vms, payload()).map((vm) => vm.name)).toEqual(['web', 'db']);
    expect(selectVms(vms, payload({ vms: ['our-db', 'db'] })).map((vm) => vm.name)).toEqual(['db']);
    expect(() => selectVms(vms, payload({ vms: ['x'] }))).toThrow(/no VM "x".*"web", "db"/);
    expect(selectDisk(manifestVm('web'), 'disk-2000').label).toBe('Hard disk 1');
    expect(() => selectDisk(manifestVm('web'), 'Hard disk 9')).toThrow(/no disk "Hard disk 9".*"Hard disk 1"/);
  });
  it('asks before recreating deletes a VM that no restore point has', () => {
    const target = vappCapture([vmCapture('web'), vmCapture('new')]);
    const existing = new Set([vmCapture('web').href]);
    const asked = ruleChangedVms(target, existing, 'recreate', undefined);
    expect(asked.items).toMatchObject([{ attribute: 'addedVms.new', needsChoice: true }]);
    expect(ruleChangedVms(target, existing, 'recreate', 'remove')).toMatchObject({ removals: [], items: [{ needsChoice: false }] });
  });
  it('takes each name once', () => {
    expect(() => restoredNames([vmCapture('a'), vmCapture('b')], { vmNames: { a: 'B' } })).toThrow(/vmNames/);
  });
  it('keeps VMs the vApp has gained, and removes them on request', () => {
    const target = vappCapture([vmCapture('web'), vmCapture('new')]);
    const existing = new Set([vmCapture('web').href]);
    expect(ruleChangedVms(target, existing, 'overwrite', undefined).removals).toEqual([]);
    expect(ruleChangedVms(target, existing, 'overwrite', undefined).items).toHaveLength(1);
    expect(ruleChangedVms(target, existing, 'overwrite', 'remove').removals.map((vm) => vm.name)).toEqual(['new']);
  });
});

describe('the whole plan', () => {
  const web = vmCapture('web', { storageProfile: { href: 'sp-gold', name: 'gold' }, description: 'front' });
  const captured = vappCapture([web], { description: 'the shop' });
  const content = { vapp: { id: 'v', vcloudId: captured.id, name: 'shop' }, vms: [manifestVm('web')] };
  const point = { manifest: {}, content, captured } as never;
  const plan = (request: RestorePayload, now = today()) => rule(request, point, now, content.vms, request.name ?? 'shop', machines);

  it('lists every captured attribute as fitting where nothing changed, and can start', () => {
    const { items } = plan(payload());
    expect(items.filter((item) => item.conformity !== 'fits')).toEqual([]);
    for (const attribute of ['name', 'owner', 'description', 'vms.web.description', 'vms.web.storageProfile']) {
      expect(items.map((item) => item.attribute)).toContain(attribute);
    }
    expect(() => assertCanStart({ items })).not.toThrow();
  });
  it('refuses to start while the name is taken', () => {
    const { items } = plan(payload(), today({ nameTaken: true }));
    expect(() => assertCanStart({ items })).toThrow(expect.objectContaining({ code: 'NAME_TAKEN' }));
  });
  it('leaves VMs out that the vApp has lost, on request only', () => {
    const target = { href: 'h', name: 'shop', capture: vappCapture([]) };
    const restored = plan(payload({ mode: 'overwrite' }), today({ target }));
    expect(restored.vms.map((vm) => vm.action)).toEqual(['build']);
    const left = plan(payload({ mode: 'overwrite', choices: { missingVms: 'leave' } }), today({ target }));
    expect(left.vms).toEqual([]);
    expect(left.items.find((item) => item.attribute === 'vms.web')).toMatchObject({ conformity: 'missing' });
  });
  it('names the VMs the restore point does not have', () => {
    const partial = { ...content, excludedVms: [{ name: 'scratch', vcloudId: 'x', reason: 'policy' }] };
    const { items } = rule(payload(), { manifest: {}, content: partial, captured } as never, today(), content.vms, 'shop', machines);
    expect(items.find((item) => item.attribute === 'vms.scratch')).toMatchObject({ conformity: 'missing' });
  });
  it.each([
    ['missing-vapp', {}, false, true],
    ['missing-vapp', {}, true, false],
    ['copy', {}, false, false],
    ['overwrite', {}, true, true],
    ['recreate', {}, true, true],
    ['vms', {}, true, true],
    ['vms', { choices: { existingVms: 'rename' as const } }, true, false],
    ['disk', {}, true, true],
  ] as const)('identity in mode %s %o, original there: %s', (mode, more, originalExists, kept) => {
    expect(keepsIdentity(payload({ mode, ...more }), { originalExists })).toBe(kept);
  });
});
