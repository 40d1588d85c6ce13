import { describe, expect, it } from 'vitest';
import type { AffinityRule, NamedDiskCapture, VmCapture } from '../../vcd/index.js';
import type { PlanItem } from '../plan-types.js';
import { rulesOf } from './restrict.js';
import { ruleAffinity } from './rule-affinity.js';
import { ruleIdentity } from './rule-identity.js';
import { ruleInPlace } from './rule-in-place.js';
import { isAttachedAsBefore, type NamedDiskInput, ruleNamedDisks, splitNamed } from './rule-named-disks.js';
import { ruleNics } from './rule-nics.js';
import { ruleNetworks } from './rule-networks.js';
import { type OneVmInput, ruleOneVm } from './rule-one-vm.js';
import { diskMismatch } from './rule-vms.js';
import { machines, manifestDisk, manifestVm, payload, today, todaysVm, vappCapture, vdcResources, vmCapture } from './testing.js';

const brief = (items: readonly PlanItem[]) => items.map((item) => [item.attribute, item.conformity, item.planned]);
const vdc = vdcResources();

describe('affinity rules', () => {
  const member = (name: string) => ({ href: `https://vcd/api/vApp/vm-${name}`, id: `urn:vcloud:vm:${name}`, name });
  const rule = (name: string, ...vms: string[]): AffinityRule => ({
    ...{ href: `rule-${name}`, name, polarity: 'Affinity', enabled: true, mandatory: false },
    vms: vms.map(member),
  });
  const restored = new Map([
    ['urn:vcloud:vm:web', 'web-restored'],
    ['urn:vcloud:vm:db', 'db'],
  ]);
  const others = new Map([['urn:vcloud:vm:other', member('other')]]);
  const input = { restored, others, present: [], keepsIdentity: true };

  it.each([
    ['of restored VMs', rule('r', 'web', 'db'), {}, 'fits', ['web-restored', 'db'], 2],
    ['with one beside them that is there', rule('r', 'web', 'other'), {}, 'fits', ['web-restored', 'other'], 2],
    ['with one beside them that is gone', rule('r', 'web', 'db', 'gone'), {}, 'missing', ['web-restored', 'db'], 2],
    ['with nobody left', rule('r', 'web', 'gone'), {}, 'missing', null, 0],
    ['of a copy', rule('r', 'web', 'db', 'other'), { keepsIdentity: false }, 'changed', ['web-restored', 'db'], 2],
    ['of a copy, alone in it', rule('r', 'web', 'other'), { keepsIdentity: false }, 'changed', null, 0],
  ])('%s', (_, captured, more, conformity, members, count) => {
    const { planned, items } = ruleAffinity([captured], { ...input, ...more });
    expect(brief(items)).toEqual([[members === null ? 'affinityRules.r' : 'affinityRules.r.vms', conformity, members]]);
    expect(planned.flatMap((each) => [...each.restored, ...each.others])).toHaveLength(count);
  });
  it('leaves rules alone that no restored VM is in, and says which were made since', () => {
    const { planned, items } = ruleAffinity([rule('theirs', 'other', 'gone')], { ...input, present: [rule('new', 'web', 'db')] });
    expect(planned).toEqual([]);
    expect(brief(items)).toEqual([['affinityRules.new', 'changed', ['web', 'db']]]);
    expect(rulesOf([rule('theirs', 'other', 'gone'), rule('r', 'web', 'gone')], restored)).toMatchObject([
      { name: 'r', vms: [{ name: 'web-restored' }, { name: 'gone' }] },
    ]);
  });
});

const given: OneVmInput = {
  networks: { networks: [], parents: new Map(), remapped: new Set(), items: [] },
  namedDisks: { captured: [], today: new Map(), vdc, sameVdc: true, users: today().users, choices: {} },
  keepMacAddresses: true,
  keepsIdentity: true,
  ownerName: 'olivia',
  reservedBytes: new Map(),
  ...machines,
};
const orders: NamedDiskCapture = {
  ...{ href: 'https://vcd/api/disk/orders', id: 'urn:vcloud:disk:orders', name: 'orders', sizeMib: 48, busType: '6' },
  ...{ storageProfile: { href: 'sp-bronze', name: 'bronze' }, owner: { href: 'u', name: 'olivia' }, metadata: [] },
  attachments: [{ vmId: 'urn:vcloud:vm:web', busNumber: 1, unitNumber: 3 }],
};
const namedDisk = manifestDisk(2019, { namedDiskId: orders.id });

describe('named disks', () => {
  const input = (more: Partial<NamedDiskInput> = {}): NamedDiskInput => ({
    ...{ captured: [orders], today: new Map(), vdc, sameVdc: true, users: today().users, choices: {} },
    ...more,
  });
  const there = (more: Partial<NamedDiskCapture> = {}) => new Map([[orders.id, { ...orders, attachments: [], ...more }]]);
  const named = [{ disk: namedDisk, captured: orders }];

  it('are told from the disks of a VM; one without its description counts as the VM’s own', () => {
    const own = manifestDisk(2000);
    expect(splitNamed([own, namedDisk], [orders])).toEqual({ own: [own], named });
    expect(splitNamed([own, namedDisk], [])).toEqual({ own: [own, namedDisk], named: [] });
  });
  it.each([
    ['gone', input(), 'fits', undefined, false],
    ['there', input({ today: there() }), 'changed', undefined, false],
    ['there, given away', input({ today: there(), choices: { namedDisks: 'existing' } }), 'changed', orders.href, false],
    [
      'attached',
      input({ today: there({ attachments: [{ vmId: 'x' }] }), choices: { namedDisks: 'existing' } }),
      'not-permitted',
      undefined,
      true,
    ],
    ['resized', input({ today: there({ sizeMib: 64 }), choices: { namedDisks: 'existing' } }), 'not-permitted', undefined, true],
    ['elsewhere', input({ today: there(), sameVdc: false, choices: { namedDisks: 'existing' } }), 'not-permitted', undefined, true],
  ])('%s', (_, given, conformity, existing, asks) => {
    const { planned, items } = ruleNamedDisks(vmCapture('web'), named, given, undefined);
    expect(items.find((item) => item.attribute === 'namedDisks.orders.id')).toMatchObject({ conformity, needsChoice: asks });
    expect(planned[0]?.existing?.href).toBe(existing);
    expect(planned[0]).toMatchObject({
      place: { busNumber: 1, unitNumber: 3 },
      wanted: { storageProfile: { name: 'silver' }, owner: { name: 'olivia' } },
    });
  });
  it('take another place where an overwritten VM has a disk there, and no owner who is gone', () => {
    const present = todaysVm('web', [manifestDisk(2019)]);
    const { planned, items } = ruleNamedDisks(vmCapture('web'), named, input({ users: new Map() }), present);
    expect(planned[0]?.place).toEqual({});
    expect(planned[0]?.wanted.owner).toBeUndefined();
    expect(brief(items)).toEqual([
      ['namedDisks.orders.id', 'fits', 'new'],
      ['namedDisks.orders.attachments', 'not-permitted', null],
      ['namedDisks.orders.storageProfile', 'missing', 'silver'],
      ['namedDisks.orders.owner', 'missing', undefined],
    ]);
  });

  const attached = (id: string, name: string) => todaysVm('web', [manifestDisk(2019)], { namedDisks: new Map([[2019, { id, name }]]) });
  it.each([
    ['the same', attached(orders.id, 'renamed'), true],
    ['one that an earlier restore made', attached('urn:vcloud:disk:new', 'orders'), true],
    ['another', attached('urn:vcloud:disk:other', 'other'), false],
    ['a disk of the VM’s own', todaysVm('web', [manifestDisk(2019)]), false],
    ['none', todaysVm('web', []), false],
  ])('found at its place: %s', (_, vm, same) => {
    expect(isAttachedAsBefore({ disk: namedDisk, captured: orders }, vm)).toBe(same);
  });
  it('are never taken for the disk of a VM that was at their place', () => {
    expect(diskMismatch([manifestDisk(2019)], attached('urn:vcloud:disk:other', 'other'))).toMatch(/"other" is where/);
    expect(diskMismatch([manifestDisk(2019)], todaysVm('web', [manifestDisk(2019)]))).toBeUndefined();
  });

  const one = (request: Parameters<typeof payload>[0], vm = todaysVm('web', [manifestDisk(2000)])) =>
    ruleOneVm(
      vmCapture('web'),
      manifestVm('web', [manifestDisk(2000), namedDisk]),
      today({ vms: new Map([['urn:vcloud:vm:web', vm]]) }),
      payload(request),
      { ...given, namedDisks: input() },
    ).vm;
  it.each([
    ['a VM that is built', { mode: 'missing-vapp' as const }, 'build', [2000], [2019]],
    ['a VM that lost it, and is written over', { mode: 'overwrite' as const }, 'overwrite', [2000], [2019]],
  ])('are made for %s', (_, request, action, own, made) => {
    const planned = one(request);
    expect(planned.action).toBe(action);
    expect([planned.disks.map((disk) => disk.deviceKey), planned.namedDisks.map((disk) => disk.manifest.deviceKey)]).toEqual([own, made]);
  });
  it('are written over where they are', () => {
    const present = todaysVm('web', [manifestDisk(2000), manifestDisk(2019)], {
      namedDisks: new Map([[2019, { id: orders.id, name: 'orders' }]]),
    });
    const planned = one({ mode: 'overwrite' }, present);
    expect([planned.disks.length, planned.namedDisks.length]).toEqual([2, 0]);
    expect(one({ mode: 'disk', disk: { vm: 'web', disk: namedDisk.diskId } }, present).disks).toEqual([namedDisk]);
    expect(() => one({ mode: 'disk', disk: { vm: 'web', disk: namedDisk.diskId } })).toThrow(/"orders" is not attached to VM "web"/);
  });
});

describe('one disk as a new named disk', () => {
  const target = { href: 'h', name: 'shop', capture: vappCapture([vmCapture('web'), vmCapture('db')]) };
  const ruled = (more: { attachTo?: string } = {}, vms = new Map([['urn:vcloud:vm:web', todaysVm('web', [])]])) =>
    ruleOneVm(
      vmCapture('web', { storageProfile: { href: 'sp-gold', name: 'gold' } }),
      manifestVm('web'),
      today({ target, vms }),
      payload({ mode: 'disk', disk: { vm: 'web', disk: 'Hard disk 1', asNamedDisk: 'rescued', ...more } }),
      given,
    );
  it('is written through the VM it came from, or through another one, and over nothing', () => {
    const { vm, items } = ruled();
    expect(vm).toMatchObject({ action: 'overwrite', disks: [], existing: { name: 'web' } });
    expect(vm.namedDisks).toMatchObject([
      {
        existing: undefined,
        place: {},
        wanted: { name: 'rescued', sizeMib: 1, storageProfile: { name: 'gold' }, owner: { name: 'olivia' } },
      },
    ]);
    expect(brief(items)).toContainEqual(['namedDisks.rescued', 'changed', 'rescued']);
    expect(ruled({ attachTo: 'db' }).vm.existing).toEqual({ href: 'https://vcd/api/vApp/vm-db', moRef: 'moref-db', name: 'db' });
  });
  it('needs a VM', () => {
    expect(() => ruled({ attachTo: 'nobody' })).toThrow(/"shop" has no VM "nobody".*"web", "db"/);
    expect(() => ruled({}, new Map())).toThrow(expect.objectContaining({ code: 'RESTORE_REQUEST_INVALID' }));
  });
});

describe('what only one of two VMs can have', () => {
  const vm = vmCapture('web', { localId: 'web-local' });
  const input = { keepsIdentity: true, instanceUuid: 'uuid-web', holder: undefined, replaced: undefined };
  it.each([
    ['nobody has it', { ...input, action: 'build' as const }, []],
    ['written over', { ...input, action: 'overwrite' as const, holder: { moRef: 'vm-1' } }, []],
    [
      'a stranger in vCenter',
      { ...input, action: 'build' as const, holder: { moRef: 'vm-9' } },
      [['vms.web.instanceUuid', 'not-permitted']],
    ],
    ['of a copy', { ...input, action: 'build' as const, keepsIdentity: false, holder: { moRef: 'vm-9' } }, []],
    [
      'replaced',
      { ...input, action: 'replace' as const, holder: { moRef: 'vm-1' }, replaced: { moRef: 'vm-1' } },
      [
        ['vms.web.instanceUuid', 'changed'],
        ['vms.web.localId', 'not-permitted'],
      ],
    ],
  ])('%s', (_, given, expected) => {
    expect(brief(ruleIdentity(vm, given)).map(([attribute, conformity]) => [attribute, conformity])).toEqual(expected);
  });
});

describe('what writing over a VM leaves', () => {
  const disk = (unitNumber: number): VmCapture['disks'][number] => ({ instanceId: '0', sizeMib: 48, busNumber: 0, unitNumber });
  it('upgraded hardware and disks gained since', () => {
    const captured = vmCapture('web', { hardware: { hardwareVersion: 'vmx-19' }, disks: [disk(0)] });
    const present = (capture: Partial<VmCapture>) => todaysVm('web', [], { capture: vmCapture('web', capture) });
    expect(ruleInPlace(captured, present({ hardware: { hardwareVersion: 'vmx-19', cpuCount: 8 }, disks: [disk(0)] }))).toEqual([]);
    expect(brief(ruleInPlace(captured, present({ hardware: { hardwareVersion: 'vmx-21' }, disks: [disk(0), disk(5)] })))).toEqual([
      ['vms.web.hardware.hardwareVersion', 'not-permitted', 'vmx-21'],
      ['vms.web.disks.0:5', 'changed', 48],
    ]);
  });
});

describe('addresses of a network that is connected elsewhere', () => {
  const network = {
    ...{ name: 'lan', fenceMode: 'bridged' as const, parent: { href: 'https://vcd/api/network/old', name: 'old' } },
    xml: `<NetworkConfig xmlns="http://www.vmware.com/vcloud/v1.5" networkName="lan"><Configuration><IpScopes><IpScope><Gateway>10.0.0.1</Gateway></IpScope></IpScopes><ParentNetwork href="https://vcd/api/network/old" name="old"/><FenceMode>bridged</FenceMode></Configuration></NetworkConfig>`,
  };
  it('become those of the new parent, and a pooled NIC gets another one', () => {
    const ruled = ruleNetworks([network], vdc, { networks: { lan: 'lan' } });
    expect(brief(ruled.items)).toContainEqual(['networks.lan.config.Configuration.IpScopes', 'changed', 'lan']);
    expect(ruled.networks[0]?.xml).not.toContain('IpScope');
    const nic = { index: 0, network: 'lan', connected: true, allocationMode: 'POOL', ipAddress: '10.0.0.7', primary: true };
    const nics = ruleNics(vmCapture('web', { nics: [nic] }), {
      ...{ keepMacAddresses: true, ipAddresses: undefined, nicsInUse: [], networks: ruled.networks, remapped: ruled.remapped },
      sameNetwork: (a, b) => a === b,
    });
    expect(brief(nics.items)).toEqual([['vms.web.nics.0.ipAddress', 'changed', undefined]]);
    expect(nics.vm.nics[0]?.ipAddress).toBeUndefined();
  });
});
