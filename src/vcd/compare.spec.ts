import { describe, expect, it } from 'vitest';
import { compareVappCaptures, fingerprintVapp } from './compare.js';
import type { AffinityRule, NamedDiskCapture, VappCapture } from './types.js';

const NETWORK = (prefix: string, extra = '', gateway = '10.0.0.1') => {
  const p = prefix === '' ? '' : `${prefix}:`;
  const declaration = prefix === '' ? 'xmlns' : `xmlns:${prefix}`;
  return `<${p}NetworkConfig ${declaration}="http://www.vmware.com/vcloud/v1.5" networkName="front" href="https://vcd/${prefix}"><${p}Description>dmz</${p}Description><${p}Configuration>${extra}<${p}IpScopes><${p}IpScope><${p}IsInherited>false</${p}IsInherited><${p}Gateway>${gateway}</${p}Gateway></${p}IpScope></${p}IpScopes><${p}ParentNetwork href="https://vcd/net-${prefix}" name="org-net"/><${p}FenceMode>natRouted</${p}FenceMode></${p}Configuration><${p}IsDeployed>${prefix === ''}</${p}IsDeployed></${p}NetworkConfig>`;
};
const section = (local: string, inner: string, attributes = '') =>
  `<${local} xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:vmw="http://www.vmware.com/schema/ovf" ${attributes}>${inner}</${local}>`;
const hardware = (cpus: number, memory: number) =>
  section(
    'VirtualHardwareSection',
    `<Item><ResourceType>3</ResourceType><VirtualQuantity>${cpus}</VirtualQuantity></Item><Item><ResourceType>4</ResourceType><VirtualQuantity>${memory}</VirtualQuantity></Item>`,
  );

function capture(): VappCapture {
  return {
    href: 'https://vcd/api/vApp/vapp-1',
    id: 'urn:vcloud:vapp:1',
    name: 'shop',
    description: 'the shop',
    status: 8,
    deployed: false,
    organization: { href: 'o', name: 'acme' },
    vdc: { href: 'v', name: 'vdc' },
    owner: { href: 'https://vcd/u1', name: 'ann' },
    inMaintenanceMode: true,
    lease: { deploymentSeconds: 3600, storageSeconds: 7200 },
    startup: [{ vmName: 'web', order: 1, startAction: 'powerOn', startDelaySeconds: 10, stopAction: 'powerOff', stopDelaySeconds: 20 }],
    networks: [{ name: 'front', description: 'dmz', fenceMode: 'natRouted', xml: NETWORK('') }],
    access: { sharedToEveryone: false, grants: [{ subject: { href: 's', name: 'bob' }, accessLevel: 'ReadOnly' }] },
    metadata: [{ key: 'tier', type: 'MetadataStringValue', value: 'gold', domain: 'GENERAL', visibility: 'READWRITE' }],
    vms: [
      {
        href: 'https://vcd/api/vApp/vm-1',
        id: 'urn:vcloud:vm:1',
        name: 'web',
        description: 'front end',
        status: 8,
        deployed: false,
        localId: 'local-1',
        vim: { vimServer: { href: 'vc' }, vmMoRef: 'vm-16', hostMoRef: 'host-1', diskDatastores: [] },
        storageProfile: { href: 'sp', name: 'gold' },
        sizingPolicy: { href: 'sz', name: 'small' },
        nics: [
          {
            index: 0,
            network: 'front',
            connected: true,
            macAddress: '00:50:56:00:00:01',
            allocationMode: 'POOL',
            ipAddress: '10.0.0.2',
            adapterType: 'VMXNET3',
            primary: true,
          },
          {
            index: 1,
            network: 'front',
            connected: true,
            macAddress: '00:50:56:00:00:02',
            allocationMode: 'DHCP',
            ipAddress: '10.0.0.99',
            primary: false,
          },
        ],
        disks: [
          {
            instanceId: '2000',
            sizeMib: 1024,
            busNumber: 0,
            unitNumber: 0,
            adapterType: 'ParaVirtual',
            storageProfile: { href: 'sp', name: 'gold' },
          },
          {
            ...{ instanceId: '2001', sizeMib: 64, busNumber: 1, unitNumber: 2, adapterType: 'ParaVirtual' },
            storageProfile: { href: 'sp', name: 'silver' },
            namedDisk: { href: 'https://vcd/api/disk/1', name: 'orders' },
          },
        ],
        computerName: 'web-01',
        metadata: [],
        sections: {
          VirtualHardwareSection: hardware(2, 4096),
          GuestCustomizationSection: section(
            'GuestCustomizationSection',
            '<ovf:Info>a</ovf:Info><Enabled>true</Enabled><VirtualMachineId>1</VirtualMachineId><AdminPassword>x</AdminPassword><CustomizationScript>echo 1</CustomizationScript>',
          ),
          VmCapabilities: section('VmCapabilities', '<MemoryHotAddEnabled>true</MemoryHotAddEnabled>'),
          BootOptions: section('BootOptions', '<BootDelay>5</BootDelay><EnterBIOSSetup>false</EnterBIOSSetup>'),
          OperatingSystemSection: section(
            'OperatingSystemSection',
            '<ovf:Description>Ubuntu</ovf:Description>',
            'ovf:id="94" vmw:osType="ubuntu64Guest"',
          ),
        },
      },
    ],
    sections: {},
    kind: 'vapp',
    namedDisks: [
      {
        ...{ href: 'https://vcd/api/disk/1', id: 'urn:vcloud:disk:1', name: 'orders', description: 'of the shop', sizeMib: 64 },
        ...{ busType: '6', busSubType: 'VirtualSCSI', sharingType: 'None', storageProfile: { href: 'sp', name: 'silver' } },
        owner: { href: 'https://vcd/u1', name: 'ann' },
        metadata: [{ key: 'team', type: 'MetadataStringValue', value: 'sales', domain: 'SYSTEM', visibility: 'PRIVATE' }],
        attachments: [{ vmId: 'urn:vcloud:vm:1', busNumber: 1, unitNumber: 2 }],
      },
    ],
    affinityRules: [
      {
        ...{ href: 'https://vcd/api/vmAffinityRule/1', name: 'apart', polarity: 'Anti-Affinity', enabled: true, mandatory: false },
        vms: [
          { href: 'https://vcd/api/vApp/vm-1', name: 'web' },
          { href: 'https://vcd/api/vApp/vm-9', name: 'other' },
        ],
      },
    ],
    apiVersion: '37.2',
    raw: {},
  };
}

/** The same vApp, restored: all that a restore must change is changed. */
function restored(): VappCapture {
  const copy = capture();
  const vm = copy.vms[0];
  if (vm === undefined) throw new Error('the fixture has a VM');
  return {
    ...copy,
    href: 'https://vcd/api/vApp/vapp-2',
    id: 'urn:vcloud:vapp:2',
    owner: { href: 'https://vcd/u2', name: 'ann' },
    inMaintenanceMode: false,
    status: 4,
    deployed: true,
    apiVersion: '38.1',
    resourcePool: { moRef: 'resgroup-9' },
    namedDisks: (copy.namedDisks ?? []).map((disk) => ({
      ...{ ...disk, href: 'https://vcd/api/disk/7', id: 'urn:vcloud:disk:7', busSubType: 'virtualscsi', sharingType: undefined },
      ...{ owner: { href: 'https://vcd/u2', name: 'ann' }, attachments: [{ vmId: 'urn:vcloud:vm:2', busNumber: 1, unitNumber: 2 }] },
    })),
    affinityRules: (copy.affinityRules ?? []).map((rule) => ({
      ...{ ...rule, href: 'https://vcd/api/vmAffinityRule/2' },
      vms: [
        { href: 'https://vcd/api/vApp/vm-9', name: 'other' },
        { href: 'https://vcd/api/vApp/vm-2', name: 'web' },
      ],
    })),
    networks: [
      {
        name: 'front',
        description: 'dmz',
        fenceMode: 'natRouted',
        xml: NETWORK('v', '<v:BackwardCompatibilityMode>false</v:BackwardCompatibilityMode>'),
      },
    ],
    vms: [
      {
        ...vm,
        href: 'https://vcd/api/vApp/vm-2',
        id: 'urn:vcloud:vm:2',
        vim: { vimServer: { href: 'vc2' }, vmMoRef: 'vm-99', hostMoRef: 'host-7', diskDatastores: [] },
        nics: vm.nics.map((nic) => ({
          ...nic,
          macAddress: nic.macAddress?.toUpperCase(),
          ...(nic.allocationMode === 'DHCP' ? { ipAddress: '10.0.0.50' } : {}),
        })),
        disks: vm.disks.map((disk) => ({
          ...disk,
          instanceId: `9${disk.instanceId}`,
          ...(disk.namedDisk ? { namedDisk: { href: 'https://vcd/api/disk/7', name: 'orders' } } : {}),
        })),
        snapshot: { createdAt: '2026-01-01T00:00:00Z', poweredOn: true, sizeBytes: 5 },
        origin: { id: '7', name: 'template' },
        sections: {
          ...vm.sections,
          GuestCustomizationSection: section(
            'GuestCustomizationSection',
            '<ovf:Info>b</ovf:Info><Enabled>true</Enabled><ChangeSid>false</ChangeSid><VirtualMachineId>2</VirtualMachineId><AdminPassword>y</AdminPassword><CustomizationScript>echo 1</CustomizationScript>',
            'href="https://vcd/2"',
          ),
          BootOptions: section('BootOptions', '<Link rel="edit" href="x"/><BootDelay>5</BootDelay>'),
        },
      },
    ],
  };
}

type Mutation = [path: string, change: (capture: VappCapture) => void];
const vmOf = (it: VappCapture) => it.vms[0] as VappCapture['vms'][number];
const nicOf = (it: VappCapture) => vmOf(it).nics[0] as VappCapture['vms'][number]['nics'][number];
const diskOf = (it: VappCapture) => vmOf(it).disks[0] as VappCapture['vms'][number]['disks'][number];
const namedDiskOf = (it: VappCapture) => it.namedDisks?.[0] as NamedDiskCapture;
const ruleOf = (it: VappCapture) => it.affinityRules?.[0] as AffinityRule;

const MUTATIONS: Mutation[] = [
  ['name', (it) => (it.name = 'x')],
  ['description', (it) => (it.description = 'x')],
  ['lease.storageSeconds', (it) => (it.lease.storageSeconds = 1)],
  [
    'startup.web.startDelaySeconds',
    (it) => {
      for (const item of it.startup) item.startDelaySeconds = 1;
    },
  ],
  ['startup.web', (it) => (it.startup = [])],
  [
    'networks.front.config.Configuration.IpScopes.IpScope.Gateway',
    (it) => {
      for (const network of it.networks) network.xml = NETWORK('', '', '10.0.0.254');
    },
  ],
  [
    'networks.front.description',
    (it) => {
      for (const n of it.networks) n.description = 'x';
    },
  ],
  ['networks.front', (it) => (it.networks = [])],
  ['owner', (it) => (it.owner = { href: 'x', name: 'eve' })],
  [
    'access.grants.bob',
    (it) => {
      for (const grant of it.access.grants) grant.accessLevel = 'FullControl';
    },
  ],
  ['access.sharedToEveryone', (it) => (it.access.sharedToEveryone = true)],
  [
    'metadata.tier.type',
    (it) => {
      for (const entry of it.metadata) entry.type = 'MetadataNumberValue';
    },
  ],
  ['metadata.tier', (it) => (it.metadata = [])],
  ['vms.web-2', (it) => it.vms.push({ ...vmOf(it), name: 'web-2', id: 'urn:vcloud:vm:3' })],
  ['vms.web.description', (it) => (vmOf(it).description = 'x')],
  ['vms.web.computerName', (it) => (vmOf(it).computerName = 'x')],
  ['vms.web.localId', (it) => (vmOf(it).localId = 'x')],
  ['vms.web.nics.0.network', (it) => (nicOf(it).network = 'none')],
  ['vms.web.nics.0.ipAddress', (it) => (nicOf(it).ipAddress = '10.0.0.3')],
  ['vms.web.nics.0.macAddress', (it) => (nicOf(it).macAddress = '00:50:56:00:00:ff')],
  ['vms.web.nics.0.primary', (it) => (nicOf(it).primary = false)],
  ['vms.web.nics.1', (it) => vmOf(it).nics.pop()],
  ['vms.web.disks.0:0.sizeMib', (it) => (diskOf(it).sizeMib = 1025)],
  ['vms.web.disks.0:0', (it) => (vmOf(it).disks = vmOf(it).disks.slice(1))],
  ['vms.web.disks.0:0.storageProfile', (it) => (diskOf(it).storageProfile = { href: 'x', name: 'silver' })],
  [
    'vms.web.disks.1:2.namedDisk',
    (it) => {
      for (const disk of vmOf(it).disks) delete disk.namedDisk;
    },
  ],
  ['vms.web.hardware.nestedHypervisor', (it) => (vmOf(it).hardware = { cpuCount: 2, memoryMib: 4096, nestedHypervisor: true })],
  ['goldMaster', (it) => (it.goldMaster = true)],
  ['namedDisks.orders', (it) => (it.namedDisks = [])],
  ['namedDisks.orders.description', (it) => delete namedDiskOf(it).description],
  ['namedDisks.orders.sizeMib', (it) => (namedDiskOf(it).sizeMib = 65)],
  ['namedDisks.orders.busSubType', (it) => (namedDiskOf(it).busSubType = 'lsilogic')],
  ['namedDisks.orders.sharingType', (it) => (namedDiskOf(it).sharingType = 'DiskSharing')],
  ['namedDisks.orders.storageProfile', (it) => (namedDiskOf(it).storageProfile = { href: 'x', name: 'gold' })],
  ['namedDisks.orders.owner', (it) => (namedDiskOf(it).owner = { href: 'x', name: 'eve' })],
  ['namedDisks.orders.metadata.SYSTEM/team', (it) => (namedDiskOf(it).metadata = [])],
  [
    'namedDisks.orders.attachments.web',
    (it) => {
      for (const attachment of namedDiskOf(it).attachments) attachment.unitNumber = 3;
    },
  ],
  ['affinityRules.apart', (it) => (it.affinityRules = [])],
  ['affinityRules.apart.polarity', (it) => (ruleOf(it).polarity = 'Affinity')],
  ['affinityRules.apart.enabled', (it) => (ruleOf(it).enabled = false)],
  ['affinityRules.apart.mandatory', (it) => (ruleOf(it).mandatory = true)],
  ['affinityRules.apart.vms.other', (it) => (ruleOf(it).vms = ruleOf(it).vms.filter((vm) => vm.name === 'web'))],
  ['vms.web.hardware.cpuCount', (it) => (vmOf(it).sections.VirtualHardwareSection = hardware(3, 4096))],
  ['vms.web.hardware.memoryMib', (it) => (vmOf(it).sections.VirtualHardwareSection = hardware(2, 4097))],
  ['vms.web.storageProfile', (it) => (vmOf(it).storageProfile = { href: 'x', name: 'silver' })],
  ['vms.web.sizingPolicy', (it) => delete vmOf(it).sizingPolicy],
  [
    'vms.web.metadata.k',
    (it) => vmOf(it).metadata.push({ key: 'k', type: 'MetadataStringValue', value: '', domain: 'GENERAL', visibility: 'READWRITE' }),
  ],
  [
    'vms.web.guestCustomization.CustomizationScript',
    (it) =>
      (vmOf(it).sections.GuestCustomizationSection = section(
        'GuestCustomizationSection',
        '<Enabled>true</Enabled><CustomizationScript>echo 2</CustomizationScript>',
      )),
  ],
  [
    'vms.web.capabilities.MemoryHotAddEnabled',
    (it) => (vmOf(it).sections.VmCapabilities = section('VmCapabilities', '<MemoryHotAddEnabled>false</MemoryHotAddEnabled>')),
  ],
  ['vms.web.bootOptions.BootDelay', (it) => (vmOf(it).sections.BootOptions = section('BootOptions', '<BootDelay>6</BootDelay>'))],
  [
    'vms.web.operatingSystem.@osType',
    (it) => (vmOf(it).sections.OperatingSystemSection = section('OperatingSystemSection', '', 'ovf:id="94" vmw:osType="debian11_64Guest"')),
  ],
];

describe('compareVappCaptures', () => {
  it('finds nothing between a vApp and its restored self', () => {
    expect(compareVappCaptures(capture(), restored())).toEqual([]);
  });

  it.each(MUTATIONS)('finds a change of %s, and only that', (path, change) => {
    const changed = restored();
    change(changed);
    expect(compareVappCaptures(capture(), changed).map((difference) => difference.path)).toEqual([path]);
  });

  it('says what was expected and what is there', () => {
    const changed = restored();
    changed.lease.deploymentSeconds = 0;
    expect(compareVappCaptures(capture(), changed)).toEqual([{ path: 'lease.deploymentSeconds', expected: 3600, actual: 0 }]);
  });

  it('leaves names and MAC addresses out when told so', () => {
    const changed = restored();
    changed.name = 'shop-before';
    nicOf(changed).macAddress = '00:50:56:99:99:99';
    expect(compareVappCaptures(capture(), changed, { ignoreName: true, ignoreMacAddresses: true })).toEqual([]);
  });
});

describe('what one capture does not tell at all', () => {
  it('is no difference: captures of before had neither kind, named disks nor rules', () => {
    const { kind: _, namedDisks: __, affinityRules: ___, ...old } = capture();
    expect(compareVappCaptures(old, restored())).toEqual([]);
    expect(compareVappCaptures(restored(), old)).toEqual([]);
  });

  it('is a named disk of VMs that are left out', () => {
    const without = { ...restored(), vms: [] };
    expect(compareVappCaptures(capture(), without).map(({ path }) => path)).toEqual(['namedDisks.orders', 'vms.web']);
    expect(compareVappCaptures({ ...capture(), vms: [] }, without)).toEqual([]);
  });
});

describe('names', () => {
  it('keep apart rules of one name and disks of one place on two buses', () => {
    const double = restored();
    double.affinityRules = [...(double.affinityRules ?? []), { ...ruleOf(double), mandatory: true }];
    vmOf(double).disks.push({ ...diskOf(double), adapterType: 'NVME', sizeMib: 7 });
    const paths = compareVappCaptures(capture(), double).map(({ path }) => path);
    expect(paths).toEqual(['affinityRules.apart (2)', 'vms.web.disks.0:0', 'vms.web.disks.NVME 0:0', 'vms.web.disks.ParaVirtual 0:0']);
  });

  it('of the vApp around a standalone VM are left to VCD', () => {
    const standalone = (name: string): VappCapture => ({ ...capture(), kind: 'standalone-vm', name });
    expect(compareVappCaptures(standalone('web-1'), standalone('web-2'))).toEqual([]);
    // It came back as the VM of a vApp: that is one difference, not two.
    expect(compareVappCaptures(standalone('web-1'), restored()).map(({ path }) => path)).toEqual(['kind']);
  });
});

describe('fingerprintVapp', () => {
  it('stays when nobody changed the vApp, whatever vSphere moved', () => {
    const later = capture();
    later.inMaintenanceMode = false;
    vmOf(later).vim.hostMoRef = 'host-2';
    expect(fingerprintVapp(later)).toBe(fingerprintVapp(capture()));
  });

  it.each(MUTATIONS)('changes with %s', (_, change) => {
    const changed = capture();
    change(changed);
    expect(fingerprintVapp(changed)).not.toBe(fingerprintVapp(capture()));
  });

  it('changes when a VM was replaced by another of the same settings', () => {
    const changed = capture();
    vmOf(changed).vim.vmMoRef = 'vm-17';
    expect(fingerprintVapp(changed)).not.toBe(fingerprintVapp(capture()));
  });
});
