import { randomUUID } from 'node:crypto';
import { writeXml } from '../../../src/common/index.js';
import { VcdCloud } from '../vcd/cloud.js';
import { defaultGuestCustomization, defaultSizingPolicyId } from '../vcd/operations/import.js';
import { makeVappFolder, nameInVcenter, powerOnVms } from '../vcd/operations/life.js';
import { applyNetworks, readNetworks } from '../vcd/operations/networks.js';
import { applyNics, checkNics, type WantedNics } from '../vcd/operations/nics.js';
import { validateBody } from '../vcd/schema/validate.js';
import type { CloudState, Organization, Vapp, Vm } from '../vcd/state.js';
import { build, NAMESPACES, WRITE_PREFIXES } from '../vcd/xml-names.js';
import type { VsphereModelApi } from '../model/vsphere-types.js';
import { addCatalogs, named } from './catalogs.js';
import { addDisksAndRules } from './disks-and-rules.js';
import { networkConfig } from './network-config.js';
import type { Seed, VappSeed, VmSeed } from './schema.js';

/** VCD's state of a new cloud, without vApps: organizations, users, VDCs with their pools and folders, networks. */
export function newCloudState(seed: Seed, vsphere: VsphereModelApi, vcenterUserName: string): CloudState {
  const providerPool = vsphere.createResourcePool(vsphere.rootResourcePoolMoRef, seed.providerVdc);
  const system: Organization = {
    id: randomUUID(),
    name: 'System',
    fullName: 'System',
    description: '',
    enabled: true,
    lease: { deploymentSeconds: 0, storageSeconds: 0 },
    folderMoRef: undefined,
  };
  const administrator = { id: randomUUID(), organizationId: system.id, fullName: '', role: 'System Administrator' as const, enabled: true };
  const state: CloudState = {
    organizations: [system],
    users: [
      { ...administrator, name: seed.administrator.name, password: seed.administrator.password },
      // VCD's own user, the owner of what an import makes; nobody logs in as it.
      { ...administrator, id: randomUUID(), name: 'system', password: randomUUID(), enabled: false },
    ],
    vimServer: { id: randomUUID(), name: seed.vcenter.name, url: '', userName: vcenterUserName, version: '8.0.2' },
    providerVdcs: [{ id: randomUUID(), name: seed.providerVdc, resourcePoolMoRef: providerPool.moRef }],
    vdcs: [],
    storageProfiles: [],
    computePolicies: seed.computePolicies.map((policy) => ({ id: randomUUID(), ...policy })),
    orgNetworks: [],
    vapps: [],
    vms: [],
    catalogs: [],
    catalogItems: [],
    vappTemplates: [],
    templateVms: [],
    media: [],
    disks: [],
    affinityRules: [],
  };
  for (const organization of seed.organizations) addOrganization(state, organization, vsphere, providerPool.moRef);
  return state;
}

function addOrganization(
  state: CloudState,
  seed: Seed['organizations'][number],
  vsphere: VsphereModelApi,
  providerPoolMoRef: string,
): void {
  const id = randomUUID();
  const folder = vsphere.createFolder(vsphere.vmFolderMoRef, `${seed.name} (${id})`);
  const { name, fullName, description, lease, leaseLimit, templateStorageLeaseSeconds } = seed;
  state.organizations.push({
    ...{ id, name, fullName, description, enabled: true, lease, folderMoRef: folder.moRef },
    ...{ leaseLimit, templateStorageLeaseSeconds },
  });
  for (const user of seed.users) state.users.push({ id: randomUUID(), organizationId: id, enabled: true, ...user });
  for (const vdc of seed.vdcs) {
    const vdcId = randomUUID();
    state.vdcs.push({
      id: vdcId,
      name: vdc.name,
      description: vdc.description,
      organizationId: id,
      providerVdcId: state.providerVdcs[0]?.id ?? '',
      resourcePoolMoRef: vsphere.createResourcePool(providerPoolMoRef, `${vdc.name} (${vdcId})`).moRef,
      folderMoRef: vsphere.createFolder(folder.moRef, `${vdc.name} (${vdcId})`).moRef,
      enabled: true,
      allocationModel: 'Flex',
      computePolicyIds: policyIds(state, vdc.computePolicies),
    });
    for (const [index, [profile, datastoreName]] of Object.entries(vdc.storageProfiles).entries()) {
      const datastore = vsphere.datastores().find((candidate) => candidate.name === datastoreName);
      if (!datastore)
        throw new Error(`The seed's storage profile "${profile}" names the datastore "${datastoreName}", which does not exist`);
      state.storageProfiles.push({
        id: randomUUID(),
        name: profile,
        vdcId,
        datastoreMoRef: datastore.moRef,
        limitMib: 1_048_576,
        isDefault: index === 0,
      });
    }
    for (const network of vdc.networks) {
      const networkId = randomUUID();
      const portGroup = vsphere.createPortGroup(`dvs.VCDVS${network.name}-${networkId}`);
      state.orgNetworks.push({ id: networkId, vdcId, portGroupMoRef: portGroup.moRef, ...network });
    }
  }
}

function policyIds(state: CloudState, names: readonly string[] | undefined): string[] {
  if (!names) return state.computePolicies.map((policy) => policy.id);
  return names.map((name) => named(state.computePolicies, name, 'compute policy').id);
}

/** Makes the seed's vApps with their VMs, disks and file systems, one VM after the other. */
export async function addVapps(cloud: VcdCloud, seed: Seed): Promise<void> {
  for (const vapp of seed.vapps) await addVapp(cloud, vapp);
  await addCatalogs(cloud, seed);
  await addDisksAndRules(cloud, seed);
  await cloud.save();
  await cloud.vsphere.save();
}

async function addVapp(cloud: VcdCloud, seed: VappSeed): Promise<void> {
  const { state } = cloud;
  const organization = named(state.organizations, seed.organization, 'organization');
  const vdc = named(
    state.vdcs.filter((candidate) => candidate.organizationId === organization.id),
    seed.vdc,
    'VDC',
  );
  const users = state.users.filter((user) => user.organizationId === organization.id);
  const vapp: Vapp = {
    id: randomUUID(),
    name: seed.name,
    description: seed.description,
    organizationId: organization.id,
    vdcId: vdc.id,
    ownerUserId: named(users, seed.owner, 'user').id,
    createdAt: new Date().toISOString(),
    inMaintenanceMode: false,
    deployed: false,
    creation: 'done',
    folderMoRef: '',
    lease: { ...(seed.lease ?? organization.lease) },
    access: {
      sharedToEveryone: false,
      grants: seed.access.map((grant) => ({
        subjectKind: 'user' as const,
        subjectId: named(users, grant.user, 'user').id,
        accessLevel: grant.level,
      })),
    },
    startup: seed.vms.map((vm) => ({ vmName: vm.name, ...vm.startup })),
    networks: [],
    metadata: structuredClone(seed.metadata),
    productSections: [],
    autoNature: seed.standalone,
  };
  makeVappFolder(cloud, vapp);
  state.vapps.push(vapp);
  for (const vm of seed.vms) await addVm(cloud, vapp, vm);
  addNetworks(cloud, vapp, seed);
  for (const vm of seed.vms) await connect(cloud, vapp, vm);
  if (seed.poweredOn) await powerOnVms(cloud, vapp, cloud.vmsOf(vapp));
}

async function addVm(cloud: VcdCloud, vapp: Vapp, seed: VmSeed): Promise<void> {
  const { vsphere } = cloud;
  const hardware = await vsphere.createVm({
    name: nameInVcenter(seed.name),
    folderMoRef: vapp.folderMoRef,
    resourcePoolMoRef: cloud.vdcOf(vapp).resourcePoolMoRef,
    datastoreName: seed.datastore,
    guestId: seed.guestId,
    cpuCount: seed.cpuCount,
    coresPerSocket: seed.coresPerSocket,
    memoryMib: seed.memoryMib,
    controllers: seed.controllers.map((adapterType, busNumber) => ({ adapterType, busNumber })),
    disks: seed.disks.map(({ capacityBytes, controllerIndex }) => ({ capacityBytes, controllerIndex, thin: true })),
  });
  for (const [index, disk] of hardware.disks.entries()) {
    const dataBytes = seed.disks[index]?.dataBytes ?? 0;
    if (dataBytes > 0)
      await vsphere.guest.makeFileSystem(hardware.moRef, disk.key, {
        seed: `${vapp.name}/${seed.name}/${index}`,
        dataBytes,
        label: `${seed.name}-${index}`.slice(0, 16),
      });
  }
  const profile = cloud.state.storageProfiles.find(
    (candidate) => candidate.vdcId === vapp.vdcId && candidate.datastoreMoRef === hardware.datastoreMoRef,
  );
  cloud.state.vms.push({
    id: randomUUID(),
    vappId: vapp.id,
    moRef: hardware.moRef,
    name: seed.name,
    description: seed.description,
    localId: seed.localId,
    createdAt: new Date().toISOString(),
    deployed: false,
    storageProfileId: (profile ?? cloud.defaultStorageProfile(vapp.vdcId)).id,
    placementPolicyId: policyId(cloud, vapp, seed.placementPolicy),
    sizingPolicyId: policyId(cloud, vapp, seed.sizingPolicy) ?? defaultSizingPolicyId(cloud, vapp.vdcId),
    needsCustomization: false,
    nics: [],
    primaryNicIndex: undefined,
    guestCustomization: { ...defaultGuestCustomization(seed.computerName), ...seed.guestCustomization },
    capabilities: seed.capabilities,
    bootOptions: { ...seed.bootOptions },
    metadata: structuredClone(seed.metadata),
    productSections: seed.product ? [productSection(seed.product)] : [],
    disks: hardware.disks.flatMap((disk, index) => {
      const name = seed.disks[index]?.storageProfile;
      if (name === undefined) return [];
      const own = named(
        cloud.state.storageProfiles.filter((candidate) => candidate.vdcId === vapp.vdcId),
        name,
        'storage profile',
      );
      return [{ deviceKey: disk.key, storageProfileId: own.id, namedDiskId: undefined }];
    }),
  });
}

function policyId(cloud: VcdCloud, vapp: Vapp, name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const published = cloud.vdcOf(vapp).computePolicyIds;
  return named(
    cloud.state.computePolicies.filter((policy) => published.includes(policy.id)),
    name,
    'compute policy',
  ).id;
}

/** Through the same checks as a client's PUT: a seed can hold nothing VCD would not take. */
function addNetworks(cloud: VcdCloud, vapp: Vapp, seed: VappSeed): void {
  const section = build(
    'NetworkConfigSection',
    {},
    build('ovf:Info', {}, 'The configuration parameters for logical networks'),
    seed.networks.map((network) => {
      const parent = cloud.state.orgNetworks.find((candidate) => candidate.name === network.parent && candidate.vdcId === vapp.vdcId);
      return networkConfig(network, parent && `https://cell/api/network/${parent.id}`);
    }),
  );
  validateBody(section, { local: 'NetworkConfigSection', namespace: NAMESPACES.vcloud, type: 'NetworkConfigSection' });
  applyNetworks(cloud, vapp, readNetworks(cloud, vapp, section));
}

async function connect(cloud: VcdCloud, vapp: Vapp, seed: VmSeed): Promise<void> {
  const vm = named(cloud.vmsOf(vapp), seed.name, 'VM') as Vm;
  const hardware = cloud.hardware(vm);
  if (!hardware || seed.nics.length === 0) return;
  const wanted: WantedNics = {
    primaryIndex: seed.primaryNic,
    nics: seed.nics.map((nic, index) => ({
      index,
      network: nic.network,
      connected: nic.connected,
      macAddress: nic.macAddress,
      allocationMode: nic.mode,
      ipAddress: nic.ipAddress,
      adapterType: nic.adapter,
    })),
  };
  checkNics(vapp, vm, wanted);
  await applyNics(cloud, vapp, vm, hardware, wanted);
}

function productSection(seed: NonNullable<VmSeed['product']>): string {
  const section = build(
    'ovf:ProductSection',
    { 'ovf:class': '', 'ovf:instance': '', 'ovf:required': true },
    build('ovf:Info', {}, 'Information about the installed software'),
    build('ovf:Product', {}, seed.product),
    build('ovf:Vendor', {}, seed.vendor),
    build('ovf:Version', {}, seed.version),
    seed.properties.map((property) =>
      build(
        'ovf:Property',
        { 'ovf:key': property.key, 'ovf:type': 'string', 'ovf:value': property.value, 'ovf:userConfigurable': true },
        property.label === '' ? undefined : build('ovf:Label', {}, property.label),
      ),
    ),
  );
  return writeXml(section, { prefixes: WRITE_PREFIXES, declaration: false });
}
