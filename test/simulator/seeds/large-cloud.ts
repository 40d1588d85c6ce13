import { createHash } from 'node:crypto';
import { newConfiguration } from '../model/configuration.js';
import { defaultDevices } from '../model/default-devices.js';
import type { VsphereModel } from '../model/index.js';
import type { VmState } from '../model/state.js';
import { vim, type VimObject } from '../model/vim.js';
import type { VcdCloud } from '../vcd/cloud.js';
import { defaultGuestCustomization } from '../vcd/operations/import.js';
import type { Organization, StorageProfile, Vapp, Vdc, Vm } from '../vcd/state.js';
import { parseSeed } from './index.js';

/** How many of each there are beside what the seed brings. Children are dealt out evenly among their parents. */
export interface CloudSize {
  organizations: number;
  vdcs: number;
  vapps: number;
  vms: number;
}

const LIMITS: Readonly<CloudSize> = { organizations: 10_000, vdcs: 20_000, vapps: 100_000, vms: 300_000 };
const PARENTS: readonly (readonly [keyof CloudSize, keyof CloudSize])[] = [
  ['vdcs', 'organizations'],
  ['vapps', 'vdcs'],
  ['vms', 'vapps'],
];

/** "organizations=1000,vdcs=2000,vapps=10000,vms=30000"; what is not named is 0. @throws RangeError with one sentence. */
export function parseCloudSize(text: string): CloudSize {
  const size: CloudSize = { organizations: 0, vdcs: 0, vapps: 0, vms: 0 };
  for (const part of text.split(',')) {
    const match = /^(organizations|vdcs|vapps|vms)=(\d{1,6})$/.exec(part.trim());
    if (!match) throw new RangeError(`"${part}" is no size; sizes read organizations=N,vdcs=N,vapps=N,vms=N.`);
    const kind = match[1] as keyof CloudSize;
    size[kind] = Number(match[2]);
    if (size[kind] > LIMITS[kind]) throw new RangeError(`${kind}=${size[kind]} is more than the ${LIMITS[kind]} that can be generated.`);
  }
  for (const [child, parent] of PARENTS)
    if (size[child] > 0 && size[parent] === 0) throw new RangeError(`${child}=${size[child]} needs ${parent}=1 or more.`);
  return size;
}

/** The ground a generated cloud stands on when no seed is given: a vCenter and an administrator, no tenants. */
export const EMPTY_SEED = parseSeed(
  {
    vcenter: { name: 'vcenter-large', datastores: ['ds-large-1', 'ds-large-2'], hosts: ['esx-1.sim.local', 'esx-2.sim.local'] },
    providerVdc: 'provider-large',
    administrator: { name: 'administrator', password: 'Simulated-Adm1n!' },
    computePolicies: [{ name: 'System Default', kind: 'sizing' }],
    organizations: [],
    vapps: [],
  },
  'of a generated cloud',
);

const CREATED_AT = '2024-01-01T00:00:00.000Z';
const TENANT_PASSWORD = 'Simulated-Ten4nt!';

/**
 * Adds the generated entities, the same ones each time: ids are digests of names. They go straight
 * into the two states, because making 30,000 VMs one by one would take minutes; VMs have no disks and
 * no files until somebody changes them.
 */
export async function addGeneratedCloud(cloud: VcdCloud, vsphere: VsphereModel, size: CloudSize): Promise<void> {
  const places = generateVdcs(cloud, vsphere, generateOrganizations(cloud, vsphere, size.organizations), size.vdcs);
  generateVms(cloud, vsphere, generateVapps(cloud, vsphere, places, size.vapps), size.vms);
  cloud.changed();
  vsphere.inventory.changed(...vsphere.inventory.state.vms.map((vm) => vm.moRef));
  await cloud.save();
  await vsphere.save();
}

interface Place {
  vdc: Vdc;
  organization: Organization;
  profile: StorageProfile;
  ownerUserId: string;
}

function generateOrganizations(cloud: VcdCloud, vsphere: VsphereModel, count: number): Organization[] {
  const { state } = cloud;
  return numbers(count).map((number) => {
    const name = `org-${padded(number, count)}`;
    const id = uuidOf(`organization/${number}`);
    const organization: Organization = {
      id,
      name,
      fullName: `Organization ${number}`,
      description: '',
      enabled: true,
      lease: { deploymentSeconds: 0, storageSeconds: 0 },
      folderMoRef: addFolder(vsphere, vsphere.vmFolderMoRef, `${name} (${id})`),
    };
    state.organizations.push(organization);
    state.users.push({
      id: uuidOf(`user/${number}`),
      organizationId: id,
      name: 'admin',
      fullName: 'Administrator',
      password: TENANT_PASSWORD,
      role: 'Organization Administrator',
      enabled: true,
    });
    return organization;
  });
}

function generateVdcs(cloud: VcdCloud, vsphere: VsphereModel, organizations: readonly Organization[], count: number): Place[] {
  const { state } = cloud;
  const provider = state.providerVdcs[0];
  if (!provider) throw new Error('The simulated cloud has no provider VDC');
  const { datastores, networks, resourcePools, dvSwitch } = vsphere.inventory.state;
  return numbers(count).map((number) => {
    const organization = dealt(organizations, number);
    const id = uuidOf(`vdc/${number}`);
    const name = `vdc-${padded(number, count)}`;
    const resourcePoolMoRef = vsphere.inventory.newMoRef('resgroup-');
    resourcePools.push({ moRef: resourcePoolMoRef, name: `${name} (${id})`, parentMoRef: provider.resourcePoolMoRef });
    const vdc: Vdc = {
      id,
      name,
      description: '',
      organizationId: organization.id,
      providerVdcId: provider.id,
      resourcePoolMoRef,
      folderMoRef: addFolder(vsphere, organization.folderMoRef ?? vsphere.vmFolderMoRef, `${name} (${id})`),
      enabled: true,
      allocationModel: 'Flex',
      computePolicyIds: state.computePolicies.map((policy) => policy.id),
    };
    const profile: StorageProfile = {
      id: uuidOf(`storage-profile/${number}`),
      name: 'standard',
      vdcId: id,
      datastoreMoRef: dealt(datastores, number).moRef,
      limitMib: 1_048_576,
      isDefault: true,
    };
    const portGroupMoRef = vsphere.inventory.newMoRef('dvportgroup-');
    const networkName = `network-${padded(number, count)}`;
    networks.push({
      moRef: portGroupMoRef,
      name: `dvs.VCDVS${networkName}`,
      parentMoRef: dvSwitch.parentMoRef,
      kind: 'DistributedVirtualPortgroup',
    });
    state.vdcs.push(vdc);
    state.storageProfiles.push(profile);
    state.orgNetworks.push({
      id: uuidOf(`network/${number}`),
      name: networkName,
      description: '',
      vdcId: id,
      portGroupMoRef,
      gateway: '10.0.0.1',
      netmask: '255.255.0.0',
      dns1: '',
      dnsSuffix: '',
      ranges: [{ start: '10.0.1.1', end: '10.0.255.254' }],
    });
    return { vdc, organization, profile, ownerUserId: uuidOf(`user/${organizations.indexOf(organization) + 1}`) };
  });
}

function generateVapps(cloud: VcdCloud, vsphere: VsphereModel, places: readonly Place[], count: number): { vapp: Vapp; place: Place }[] {
  return numbers(count).map((number) => {
    const place = dealt(places, number);
    const id = uuidOf(`vapp/${number}`);
    const name = `vapp-${padded(number, count)}`;
    const vapp: Vapp = {
      id,
      name,
      description: '',
      organizationId: place.organization.id,
      vdcId: place.vdc.id,
      ownerUserId: place.ownerUserId,
      createdAt: CREATED_AT,
      inMaintenanceMode: false,
      deployed: false,
      creation: 'done',
      folderMoRef: addFolder(vsphere, place.vdc.folderMoRef, `${name} (${id})`),
      lease: { ...place.organization.lease },
      access: { sharedToEveryone: false, grants: [] },
      startup: [],
      networks: [],
      metadata: [{ key: 'tier', type: 'MetadataNumberValue', value: String(number % 3), domain: 'GENERAL', visibility: 'READWRITE' }],
      productSections: [],
      autoNature: false,
    };
    cloud.state.vapps.push(vapp);
    return { vapp, place };
  });
}

function generateVms(cloud: VcdCloud, vsphere: VsphereModel, vapps: readonly { vapp: Vapp; place: Place }[], count: number): void {
  const model = newConfiguration('', '[] /');
  (model.hardware as VimObject).device = defaultDevices();
  const policy = cloud.state.computePolicies.find((candidate) => candidate.kind === 'sizing');
  const hosts = vsphere.inventory.state.hosts;
  for (const number of numbers(count)) {
    const { vapp, place } = dealt(vapps, number);
    const name = `vm-${padded(number, count)}`;
    const moRef = vsphere.inventory.newMoRef('vm-');
    const datastore = vsphere.inventory.state.datastores.find((candidate) => candidate.moRef === place.profile.datastoreMoRef);
    vsphere.inventory.state.vms.push({
      moRef,
      config: configurationOf(model, name, number, datastore?.name ?? ''),
      powerState: 'poweredOff',
      hostMoRef: dealt(hosts, number).moRef,
      folderMoRef: vapp.folderMoRef,
      resourcePoolMoRef: place.vdc.resourcePoolMoRef,
      datastoreMoRef: place.profile.datastoreMoRef,
      snapshots: [],
      nextSnapshotId: 0,
      consolidationNeeded: false,
    } satisfies VmState);
    const vm: Vm = {
      id: uuidOf(`vm/${number}`),
      vappId: vapp.id,
      moRef,
      name,
      description: '',
      localId: uuidOf(`local/${number}`),
      createdAt: CREATED_AT,
      deployed: false,
      storageProfileId: place.profile.id,
      placementPolicyId: undefined,
      sizingPolicyId: policy?.id,
      needsCustomization: false,
      nics: [],
      primaryNicIndex: undefined,
      guestCustomization: defaultGuestCustomization(name),
      capabilities: { memoryHotAdd: false, cpuHotAdd: false },
      bootOptions: { BootDelay: '0', EnterBIOSSetup: 'false' },
      metadata: [],
      productSections: [],
      disks: [],
    };
    cloud.state.vms.push(vm);
    vapp.startup.push({
      vmName: name,
      order: 0,
      startAction: 'powerOn',
      startDelaySeconds: 0,
      stopAction: 'powerOff',
      stopDelaySeconds: 0,
    });
  }
}

/** Parts that no VM changes in place (a reconfiguration copies first) are shared among all of them. */
function configurationOf(model: VimObject, name: string, number: number, datastoreName: string): VimObject {
  const folder = `[${datastoreName}] ${name}/`;
  return {
    ...model,
    name,
    uuid: uuidOf(`bios/${number}`),
    instanceUuid: uuidOf(`instance/${number}`),
    createDate: CREATED_AT,
    changeVersion: CREATED_AT,
    files: vim('VirtualMachineFileInfo', {
      vmPathName: `${folder}${name}.vmx`,
      snapshotDirectory: folder,
      suspendDirectory: folder,
      logDirectory: folder,
    }),
  };
}

function addFolder(vsphere: VsphereModel, parentMoRef: string, name: string): string {
  const moRef = vsphere.inventory.newMoRef('group-v');
  vsphere.inventory.state.folders.push({ moRef, name, parentMoRef, childTypes: ['Folder', 'VirtualMachine', 'VirtualApp'] });
  return moRef;
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function padded(number: number, count: number): string {
  return String(number).padStart(String(count).length, '0');
}

/** The parent of the child with this number, counted from 1. */
function dealt<T>(parents: readonly T[], number: number): T {
  const parent = parents[(number - 1) % parents.length];
  if (parent === undefined) throw new Error('There is no parent to deal children to');
  return parent;
}

function uuidOf(name: string): string {
  const hex = createHash('sha256').update(`generated/${name}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
