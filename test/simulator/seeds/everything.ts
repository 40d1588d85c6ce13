import { MIB } from '../../../src/common/index.js';
import { parseSeed, type Seed } from './index.js';

const DISK_BYTES = 48 * MIB;
const DATA_BYTES = 12 * MIB;
const disk = (more: Record<string, unknown> = {}) => ({ capacityBytes: DISK_BYTES, dataBytes: DATA_BYTES, ...more });
const user = (name: string, role: string) => ({ name, fullName: `${name} of the seed`, password: `${name}-Passw0rd!`, role });
const network = (name: string, prefix: string, from: number, to: number) => ({
  ...{ name, gateway: `${prefix}.1`, netmask: '255.255.255.0', dns1: `${prefix}.2` },
  ranges: [{ start: `${prefix}.${from}`, end: `${prefix}.${to}` }],
});
const bridged = (parent: string) => ({ name: parent, fenceMode: 'bridged', parent });
const vm = (name: string, more: Record<string, unknown>) => ({
  ...{ name, localId: `${name}-local`, computerName: name, datastore: 'san-01', disks: [disk()], memoryMib: 256 },
  ...more,
});

/**
 * A small cloud that has one of everything VCD knows: two organizations with VDCs that differ in
 * networks, storage profiles and policies, catalogs, templates, media, named disks, affinity rules,
 * a standalone VM, disks with a profile of their own, a snapshot, and NICs in every mode.
 */
export function everythingSeed(): Seed {
  return parseSeed(
    {
      vcenter: { name: 'vcenter-1', datastores: ['san-01', 'san-02'], hosts: ['esx-01.sim.local', 'esx-02.sim.local'] },
      providerVdc: 'provider-gold',
      administrator: { name: 'administrator', password: 'Simulated-Pr0vider!' },
      computePolicies: [
        { name: 'System Default', kind: 'sizing' },
        { name: 'two-sockets', kind: 'sizing' },
        { name: 'rack-a', kind: 'placement' },
        { name: 'rack-b', kind: 'placement' },
      ],
      organizations: organizations(),
      vapps: vapps(),
      catalogs: catalogs(),
      instances: [
        {
          ...{ name: 'from-template', description: 'Instantiated from pair', organization: 'acme', vdc: 'acme-production' },
          ...{ owner: 'olivia', catalog: 'acme-images', template: 'pair' },
        },
      ],
      disks: disks(),
      affinityRules: [
        {
          ...{ name: 'together', organization: 'acme', vdc: 'acme-production', polarity: 'Affinity', mandatory: false },
          vms: ['shop/web', 'shop/db'],
        },
        {
          ...{ name: 'apart', organization: 'acme', vdc: 'acme-production', polarity: 'Anti-Affinity' },
          vms: ['shop/db', 'golden/golden-a'],
        },
      ],
      snapshots: [{ vapp: 'golden', vm: 'golden-b', name: 'before the upgrade', description: 'taken by the tenant' }],
    },
    'everything',
  );
}

function organizations() {
  return [
    {
      ...{ name: 'acme', fullName: 'Acme Trading Ltd', description: 'Retail' },
      lease: { deploymentSeconds: 604_800, storageSeconds: 2_592_000 },
      leaseLimit: { deploymentSeconds: 604_800, storageSeconds: 2_592_000 },
      users: [
        user('acme-admin', 'Organization Administrator'),
        user('olivia', 'vApp Author'),
        user('raj', 'vApp User'),
        user('chen', 'vApp User'),
      ],
      vdcs: [
        {
          ...{ name: 'acme-production', description: 'Production of Acme' },
          storageProfiles: { gold: 'san-01', silver: 'san-02' },
          networks: [network('acme-frontend', '10.40.0', 20, 120), network('acme-backend', '10.40.1', 20, 120)],
        },
        {
          ...{ name: 'acme-test', description: 'Test of Acme', computePolicies: ['System Default'] },
          storageProfiles: { silver: 'san-02' },
          networks: [network('acme-test-net', '10.41.0', 10, 99)],
        },
      ],
    },
    {
      ...{ name: 'globex', fullName: 'Globex Corporation' },
      lease: { deploymentSeconds: 86_400, storageSeconds: 604_800 },
      leaseLimit: { deploymentSeconds: 86_400, storageSeconds: 604_800 },
      users: [user('globex-admin', 'Organization Administrator'), user('gina', 'vApp User')],
      vdcs: [
        {
          ...{ name: 'globex-main', computePolicies: ['System Default', 'rack-b'] },
          storageProfiles: { gold: 'san-01', bronze: 'san-02' },
          networks: [network('globex-lan', '172.20.0', 10, 250)],
        },
      ],
    },
  ];
}

function vapps() {
  const home = { organization: 'acme', vdc: 'acme-production', owner: 'olivia' };
  return [
    {
      ...{ ...home, name: 'shop', description: 'Web shop <front> & database', poweredOn: true },
      lease: { deploymentSeconds: 302_400, storageSeconds: 1_209_600 },
      access: [
        { user: 'raj', level: 'ReadOnly' },
        { user: 'chen', level: 'Change' },
      ],
      metadata: [
        { key: 'cost-center', value: '4711 / sales & web' },
        { key: 'tier', type: 'MetadataNumberValue', value: '1' },
        { key: 'provider-note', value: 'rack 7', domain: 'SYSTEM', visibility: 'PRIVATE' },
      ],
      networks: [bridged('acme-frontend'), backNetwork()],
      vms: [
        vm('web', {
          ...{ sizingPolicy: 'two-sockets', placementPolicy: 'rack-a', cpuCount: 2, primaryNic: 1 },
          disks: [disk(), disk({ storageProfile: 'silver' })],
          nics: [
            { network: 'shop-back', mode: 'POOL' },
            { network: 'acme-frontend', mode: 'MANUAL', ipAddress: '10.40.0.15', macAddress: '00:50:56:01:0e:15' },
          ],
          startup: { order: 1, startAction: 'powerOn', startDelaySeconds: 0, stopAction: 'guestShutdown', stopDelaySeconds: 20 },
        }),
        vm('db', {
          nics: [
            { network: 'shop-back', mode: 'DHCP' },
            { network: 'none', mode: 'NONE', connected: false, adapter: 'E1000' },
          ],
          capabilities: { memoryHotAdd: true, cpuHotAdd: true },
          metadata: [{ key: 'backup-window', value: 'night' }],
        }),
      ],
    },
    {
      ...{ ...home, name: 'golden', description: 'What templates are captured from' },
      networks: [bridged('acme-backend')],
      vms: ['golden-a', 'golden-b'].map((name) =>
        vm(name, { disks: [disk({ dataBytes: 8 * MIB })], nics: [{ network: 'acme-backend', mode: 'POOL' }] }),
      ),
    },
    {
      ...{ ...home, name: 'lone', standalone: true },
      networks: [bridged('acme-frontend')],
      vms: [vm('lone', { nics: [{ network: 'acme-frontend', mode: 'POOL' }] })],
    },
    {
      ...{ name: 'erp', organization: 'globex', vdc: 'globex-main', owner: 'gina', description: 'ERP of Globex' },
      networks: [bridged('globex-lan')],
      vms: [vm('erp', { nics: [{ network: 'globex-lan', mode: 'POOL' }] })],
    },
  ];
}

function backNetwork() {
  return {
    ...{ name: 'shop-back', description: 'Routed to acme-backend', fenceMode: 'natRouted', parent: 'acme-backend' },
    scope: {
      gateway: '192.168.20.1',
      netmask: '255.255.255.0',
      dns1: '10.40.1.2',
      ranges: [{ start: '192.168.20.10', end: '192.168.20.99' }],
    },
    dhcp: { defaultLeaseSeconds: 3600, maxLeaseSeconds: 7200, range: { start: '192.168.20.200', end: '192.168.20.250' } },
    firewall: [{ description: 'web', policy: 'allow', protocol: 'Tcp', ports: '443', source: 'external', destination: 'internal' }],
    nat: [{ externalPort: 443, vm: 'web-local', internalPort: 8443, protocol: 'TCP' }],
  };
}

function catalogs() {
  return [
    {
      ...{ name: 'acme-images', description: 'Images of Acme', organization: 'acme', owner: 'acme-admin' },
      storageProfile: { vdc: 'acme-production', name: 'silver' },
      access: [{ user: 'olivia', level: 'Change' }],
      metadata: [{ key: 'reviewed', type: 'MetadataBooleanValue', value: 'true' }],
      templates: [
        {
          ...{ name: 'pair', description: 'Two VMs', fromVapp: 'golden', goldMaster: true },
          metadata: [{ key: 'build', type: 'MetadataNumberValue', value: '42' }],
        },
        { name: 'single', description: 'One VM', fromVapp: 'lone', customizeOnInstantiate: false },
      ],
      media: [
        {
          ...{ name: 'installer', description: 'Installation disc', sizeBytes: 3 * MIB + 2048 },
          metadata: [{ key: 'release', value: '9.1' }],
        },
      ],
    },
    { name: 'globex-images', organization: 'globex', owner: 'globex-admin' },
  ];
}

function disks() {
  const home = { organization: 'acme', vdc: 'acme-production', owner: 'olivia' };
  return [
    {
      ...{ ...home, name: 'orders', description: 'The orders of the shop', capacityBytes: DISK_BYTES, dataBytes: DATA_BYTES },
      ...{ storageProfile: 'silver', busSubType: 'VirtualSCSI', attachedTo: { vapp: 'shop', vm: 'db', busNumber: 0, unitNumber: 3 } },
      metadata: [
        { key: 'owner-team', value: 'sales' },
        { key: 'placement', value: 'array 2', domain: 'SYSTEM', visibility: 'READONLY' },
      ],
    },
    { ...home, name: 'spare', capacityBytes: 16 * MIB },
  ];
}
