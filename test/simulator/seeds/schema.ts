import { z } from 'zod';

/** The form of a seed file: what stands in a new cloud. Names refer to names. */
const lease = z.strictObject({ deploymentSeconds: z.number().int().nonnegative(), storageSeconds: z.number().int().nonnegative() });
const role = z.enum(['System Administrator', 'Organization Administrator', 'vApp Author', 'vApp User']);
const user = z.strictObject({ name: z.string(), fullName: z.string().default(''), password: z.string().min(1), role });
const range = z.strictObject({ start: z.ipv4(), end: z.ipv4() });

const orgNetwork = z.strictObject({
  name: z.string(),
  description: z.string().default(''),
  gateway: z.ipv4(),
  netmask: z.ipv4(),
  dns1: z.string().default(''),
  dnsSuffix: z.string().default(''),
  ranges: z.array(range).min(1),
});
const vdc = z.strictObject({
  name: z.string(),
  description: z.string().default(''),
  /** Name -> datastore; the first is the default. */
  storageProfiles: z.record(z.string(), z.string()),
  /** Names of the policies published to it; absent: all. */
  computePolicies: z.array(z.string()).optional(),
  networks: z.array(orgNetwork).default([]),
});
const organization = z.strictObject({
  name: z.string(),
  fullName: z.string(),
  description: z.string().default(''),
  lease,
  leaseLimit: lease.optional(),
  templateStorageLeaseSeconds: z.number().int().nonnegative().default(0),
  users: z.array(user),
  vdcs: z.array(vdc),
});

const metadata = z.strictObject({
  key: z.string(),
  type: z
    .enum(['MetadataStringValue', 'MetadataNumberValue', 'MetadataBooleanValue', 'MetadataDateTimeValue'])
    .default('MetadataStringValue'),
  value: z.string(),
  domain: z.enum(['GENERAL', 'SYSTEM']).default('GENERAL'),
  visibility: z.enum(['READWRITE', 'READONLY', 'PRIVATE']).default('READWRITE'),
});
const vappNetwork = z.strictObject({
  name: z.string(),
  description: z.string().default(''),
  fenceMode: z.enum(['bridged', 'isolated', 'natRouted']),
  parent: z.string().optional(),
  scope: z
    .strictObject({
      gateway: z.ipv4(),
      netmask: z.ipv4(),
      dns1: z.string().optional(),
      dns2: z.string().optional(),
      dnsSuffix: z.string().optional(),
      ranges: z.array(range),
    })
    .optional(),
  dhcp: z.strictObject({ defaultLeaseSeconds: z.number(), maxLeaseSeconds: z.number(), range }).optional(),
  firewall: z
    .array(
      z.strictObject({
        description: z.string(),
        policy: z.enum(['allow', 'drop']),
        protocol: z.enum(['Tcp', 'Udp', 'Icmp', 'Any']),
        ports: z.string(),
        source: z.string(),
        destination: z.string(),
      }),
    )
    .optional(),
  /** Port forwarding to VMs by their local id. */
  nat: z
    .array(
      z.strictObject({
        externalPort: z.number(),
        vm: z.string(),
        nic: z.number().default(0),
        internalPort: z.number(),
        protocol: z.enum(['TCP', 'UDP', 'TCP_UDP']),
      }),
    )
    .optional(),
});
const disk = z.strictObject({
  capacityBytes: z.number().int().positive().multipleOf(512),
  dataBytes: z.number().int().nonnegative().default(0),
  controllerIndex: z.number().int().default(0),
  /** Where it is not the VM's. */
  storageProfile: z.string().optional(),
});
const nic = z.strictObject({
  network: z.string(),
  mode: z.enum(['POOL', 'DHCP', 'MANUAL', 'NONE']),
  ipAddress: z.string().optional(),
  macAddress: z.string().optional(),
  adapter: z.enum(['VMXNET3', 'E1000', 'E1000E']).default('VMXNET3'),
  connected: z.boolean().default(true),
});
const property = z.strictObject({ key: z.string(), value: z.string(), label: z.string().default('') });
const vm = z.strictObject({
  name: z.string(),
  description: z.string().default(''),
  localId: z.string(),
  datastore: z.string(),
  /** Absent: the VDC's first sizing policy, and no placement. */
  sizingPolicy: z.string().optional(),
  placementPolicy: z.string().optional(),
  guestId: z.string().default('debian11_64Guest'),
  cpuCount: z.number().int().default(1),
  coresPerSocket: z.number().int().default(1),
  memoryMib: z.number().int().default(512),
  controllers: z.array(z.enum(['lsiLogic', 'busLogic', 'lsiLogicSas', 'paraVirtual'])).default(['paraVirtual']),
  disks: z.array(disk),
  nics: z.array(nic).default([]),
  primaryNic: z.number().int().default(0),
  computerName: z.string(),
  guestCustomization: z.record(z.string(), z.string()).default({}),
  capabilities: z.strictObject({ memoryHotAdd: z.boolean(), cpuHotAdd: z.boolean() }).default({ memoryHotAdd: false, cpuHotAdd: false }),
  bootOptions: z.record(z.string(), z.string()).default({ BootDelay: '0', EnterBIOSSetup: 'false' }),
  startup: z
    .strictObject({
      order: z.number(),
      startAction: z.string(),
      startDelaySeconds: z.number(),
      stopAction: z.string(),
      stopDelaySeconds: z.number(),
    })
    .default({ order: 0, startAction: 'powerOn', startDelaySeconds: 0, stopAction: 'powerOff', stopDelaySeconds: 0 }),
  metadata: z.array(metadata).default([]),
  product: z.strictObject({ product: z.string(), vendor: z.string(), version: z.string(), properties: z.array(property) }).optional(),
});
const vapp = z.strictObject({
  name: z.string(),
  description: z.string().default(''),
  organization: z.string(),
  vdc: z.string(),
  owner: z.string(),
  poweredOn: z.boolean().default(false),
  /** VCD's own vApp around one VM. */
  standalone: z.boolean().default(false),
  lease: lease.optional(),
  access: z.array(z.strictObject({ user: z.string(), level: z.enum(['ReadOnly', 'Change', 'FullControl']) })).default([]),
  metadata: z.array(metadata).default([]),
  networks: z.array(vappNetwork).default([]),
  vms: z.array(vm),
});

const access = z.array(z.strictObject({ user: z.string(), level: z.enum(['ReadOnly', 'Change', 'FullControl']) })).default([]);
/** An independent disk. */
const namedDisk = z.strictObject({
  name: z.string(),
  description: z.string().default(''),
  organization: z.string(),
  vdc: z.string(),
  owner: z.string(),
  capacityBytes: z.number().int().positive().multipleOf(1_048_576),
  dataBytes: z.number().int().nonnegative().default(0),
  busSubType: z.enum(['buslogic', 'lsilogic', 'lsilogicsas', 'VirtualSCSI']).default('VirtualSCSI'),
  sharingType: z.enum(['DiskSharing', 'ControllerSharing']).optional(),
  storageProfile: z.string().optional(),
  metadata: z.array(metadata).default([]),
  attachedTo: z
    .strictObject({ vapp: z.string(), vm: z.string(), busNumber: z.number().int().optional(), unitNumber: z.number().int().optional() })
    .optional(),
});
const affinityRule = z.strictObject({
  name: z.string(),
  organization: z.string(),
  vdc: z.string(),
  polarity: z.enum(['Affinity', 'Anti-Affinity']),
  mandatory: z.boolean().default(true),
  enabled: z.boolean().default(true),
  /** "vapp/vm" */
  vms: z.array(z.string()).min(2),
});
const catalogMedia = z.strictObject({
  name: z.string(),
  description: z.string().default(''),
  imageType: z.enum(['iso', 'floppy']).default('iso'),
  sizeBytes: z.number().int().positive(),
  metadata: z.array(metadata).default([]),
});
const catalogTemplate = z.strictObject({
  name: z.string(),
  description: z.string().default(''),
  /** A vApp of the seed that stands already. */
  fromVapp: z.string(),
  goldMaster: z.boolean().default(false),
  customizeOnInstantiate: z.boolean().default(true),
  metadata: z.array(metadata).default([]),
});
const catalog = z.strictObject({
  name: z.string(),
  description: z.string().default(''),
  organization: z.string(),
  owner: z.string(),
  storageProfile: z.strictObject({ vdc: z.string(), name: z.string() }).optional(),
  /** URL of the catalog of another VCD that this one is a copy of: nothing is put into it here. */
  subscribedTo: z.string().optional(),
  access,
  metadata: z.array(metadata).default([]),
  templates: z.array(catalogTemplate).default([]),
  media: z.array(catalogMedia).default([]),
});
const instance = z.strictObject({
  name: z.string(),
  description: z.string().default(''),
  organization: z.string(),
  vdc: z.string(),
  owner: z.string(),
  catalog: z.string(),
  template: z.string(),
});
const snapshot = z.strictObject({ vapp: z.string(), vm: z.string(), name: z.string(), description: z.string().default('') });

export const seedSchema = z.strictObject({
  vcenter: z.strictObject({ name: z.string(), datastores: z.array(z.string()).min(1), hosts: z.array(z.string()).min(1) }),
  providerVdc: z.string(),
  administrator: z.strictObject({ name: z.string(), password: z.string() }),
  computePolicies: z.array(z.strictObject({ name: z.string(), kind: z.enum(['sizing', 'placement']) })).default([]),
  organizations: z.array(organization),
  /** Refresh tokens of users and service accounts. */
  apiTokens: z
    .array(
      z.strictObject({
        name: z.string(),
        kind: z.enum(['user', 'service-account']).default('user'),
        organization: z.string(),
        user: z.string(),
        token: z.string().min(16),
      }),
    )
    .default([]),
  vapps: z.array(vapp),
  catalogs: z.array(catalog).default([]),
  /** vApps instantiated from templates. */
  instances: z.array(instance).default([]),
  disks: z.array(namedDisk).default([]),
  affinityRules: z.array(affinityRule).default([]),
  snapshots: z.array(snapshot).default([]),
});
export type Seed = z.infer<typeof seedSchema>;
export type VappSeed = z.infer<typeof vapp>;
export type VmSeed = z.infer<typeof vm>;
export type CatalogSeed = z.infer<typeof catalog>;
export type VappNetworkSeed = z.infer<typeof vappNetwork>;
