import { MIB } from '../../../src/common/index.js';
import type { SimVm } from '../model/vsphere-types.js';
import { type FieldTable, type QueryType, queryType } from './query-type.js';
import type { Vapp, VappTemplate, Vm } from './state.js';
import type { Viewer } from './views/viewer.js';
import { MEDIA } from './xml-names.js';

/** A VM of a vApp or of a template: VCD's query service shows both. */
interface VmEntity {
  vm: Vm;
  container: { vapp: Vapp } | { template: VappTemplate };
}

export function visibleVapps({ cloud, session }: Viewer): readonly Vapp[] {
  if (session.isProvider) return cloud.state.vapps;
  return cloud.state.vapps.filter((vapp) => cloud.accessLevel(session, vapp) !== 'none');
}

function visibleVms(viewer: Viewer): VmEntity[] {
  const { cloud, session } = viewer;
  const ofVapps = visibleVapps(viewer).flatMap((vapp) => cloud.vmsOf(vapp).map((vm) => ({ vm, container: { vapp } })));
  const ofTemplates = cloud.state.vappTemplates
    .filter((template) => session.isProvider || template.organizationId === session.organization.id)
    .flatMap((template) => cloud.templateVmsOf(template.id).map((vm) => ({ vm, container: { template } })));
  return [...ofVapps, ...ofTemplates];
}

const hardwareOf = (vapp: Vapp, { cloud }: Viewer): SimVm[] => cloud.vmsOf(vapp).flatMap((vm) => cloud.hardware(vm) ?? []);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const storageBytes = (vapp: Vapp, viewer: Viewer): number =>
  sum(hardwareOf(vapp, viewer).flatMap((vm) => vm.disks.map((disk) => disk.capacityBytes)));
/** UTC, as VCD writes the moment a snapshot was made. */
const lastSnapshotAt = (hardware: SimVm | undefined): string | undefined => hardware?.snapshots.at(-1)?.createdAt;

const VAPP_FIELDS: FieldTable<Vapp> = {
  name: (vapp) => vapp.name,
  vdc: (vapp, { hrefs }) => hrefs.vdc(vapp.vdcId),
  vdcName: (vapp, { cloud }) => cloud.vdcOf(vapp).name,
  description: (vapp) => vapp.description,
  isEnabled: () => true,
  isBusy: (vapp, { cloud }) => cloud.isBusy(vapp.id),
  creationDate: (vapp) => vapp.createdAt,
  status: (vapp, { cloud }) => cloud.statusWord(cloud.vappStatus(vapp)),
  ownerName: (vapp, { cloud }) => cloud.user(vapp.ownerUserId ?? '')?.name,
  memoryAllocationMB: (vapp, viewer) => sum(hardwareOf(vapp, viewer).map((vm) => vm.memoryMib)),
  isDeployed: (vapp) => vapp.deployed,
  isInMaintenanceMode: (vapp) => vapp.inMaintenanceMode,
  isAutoNature: (vapp) => vapp.autoNature,
  isExpired: () => false,
  numberOfCpus: (vapp, viewer) => sum(hardwareOf(vapp, viewer).map((vm) => vm.cpuCount)),
  totalStorageAllocatedMb: (vapp, viewer) => Math.ceil(storageBytes(vapp, viewer) / MIB),
};

function vappType(record: string, providerOnly: boolean, fields: FieldTable<Vapp>): QueryType {
  return queryType<Vapp>({
    record,
    reference: 'VAppReference',
    media: MEDIA.vapp,
    providerOnly,
    list: visibleVapps,
    href: (vapp, { hrefs }) => hrefs.vapp(vapp.id),
    urn: (vapp) => `urn:vcloud:vapp:${vapp.id}`,
    metadata: (vapp) => vapp.metadata,
    fields,
  });
}

const vdcOf = ({ container }: VmEntity, { cloud }: Viewer) =>
  cloud.vdc('vapp' in container ? container.vapp.vdcId : container.template.vdcId);
const owner = ({ container }: VmEntity, { cloud }: Viewer) =>
  cloud.user(('vapp' in container ? container.vapp.ownerUserId : container.template.ownerUserId) ?? '');
const holder = ({ container }: VmEntity): Vapp | VappTemplate => ('vapp' in container ? container.vapp : container.template);
const primaryNic = ({ vm }: VmEntity) => vm.nics.find((nic) => nic.index === (vm.primaryNicIndex ?? 0));

const VM_FIELDS: FieldTable<VmEntity> = {
  name: ({ vm }) => vm.name,
  containerName: (entity) => holder(entity).name,
  container: ({ container }, { hrefs }) =>
    'vapp' in container ? hrefs.vapp(container.vapp.id) : hrefs.vappTemplate(container.template.id),
  vdcName: (entity, viewer) => (viewer.apiVersion >= 36 ? vdcOf(entity, viewer)?.name : undefined),
  vdc: (entity, { hrefs }) => hrefs.vdc(holder(entity).vdcId),
  description: ({ vm }) => vm.description,
  vappScopedLocalId: ({ vm }) => vm.localId,
  isVAppTemplate: ({ container }) => 'template' in container,
  isDeleted: () => false,
  guestOs: ({ vm }, { cloud }) => cloud.hardware(vm)?.guestFullName,
  numberOfCpus: ({ vm }, { cloud }) => cloud.hardware(vm)?.cpuCount,
  memoryMB: ({ vm }, { cloud }) => cloud.hardware(vm)?.memoryMib,
  status: ({ vm }, { cloud }) => cloud.statusWord(cloud.vmStatus(vm)),
  networkName: (entity) => primaryNic(entity)?.network,
  isDeployed: ({ vm }) => vm.deployed,
  isPublished: () => false,
  catalogName: ({ container }, { cloud }) => {
    if (!('template' in container)) return undefined;
    const item = cloud.state.catalogItems.find((candidate) => candidate.entityId === container.template.id);
    return cloud.state.catalogs.find((catalog) => catalog.id === item?.catalogId)?.name;
  },
  hardwareVersion: ({ vm }, { cloud }) => {
    const hardware = cloud.hardware(vm);
    return hardware && Number(hardware.hardwareVersion.replace(/\D/g, ''));
  },
  storageProfileName: ({ vm }, { cloud }) => cloud.storageProfile(vm.storageProfileId)?.name,
  isAutoNature: ({ container }) => 'vapp' in container && container.vapp.autoNature,
  isComputePolicyCompliant: () => true,
  vmSizingPolicyId: ({ vm }) => vm.sizingPolicyId,
  vmPlacementPolicyId: ({ vm }) => vm.placementPolicyId,
  ipAddress: (entity) => primaryNic(entity)?.ipAddress,
  encrypted: (_, { apiVersion }) => (apiVersion >= 34 ? false : undefined),
  dateCreated: ({ vm }, { apiVersion }) => (apiVersion >= 34 ? vm.createdAt : undefined),
  isExpired: (_, { apiVersion }) => (apiVersion >= 34 ? false : undefined),
};

function vmType(record: string, providerOnly: boolean, fields: FieldTable<VmEntity>): QueryType {
  return queryType<VmEntity>({
    record,
    reference: 'VMReference',
    media: MEDIA.vm,
    providerOnly,
    list: visibleVms,
    href: ({ vm, container }, { hrefs }) => ('vapp' in container ? hrefs.vm(vm.id) : hrefs.api(`vAppTemplate/vm-${vm.id}`)),
    urn: ({ vm }) => `urn:vcloud:vm:${vm.id}`,
    metadata: ({ vm }) => vm.metadata,
    fields,
  });
}

/** vApps and VMs; standalone VMs are known by isAutoNature, of themselves and of the vApp VCD made around them. */
export const VAPP_QUERY_TYPES: Readonly<Record<string, QueryType>> = {
  vApp: vappType('VAppRecord', false, {
    ...VAPP_FIELDS,
    isPublic: () => false,
    snapshot: (vapp, viewer) => hardwareOf(vapp, viewer).some((vm) => vm.snapshots.length > 0),
    snapshotCreated: (vapp, viewer) =>
      hardwareOf(vapp, viewer)
        .flatMap((vm) => lastSnapshotAt(vm) ?? [])
        .sort()
        .at(-1),
  }),
  adminVApp: vappType('AdminVAppRecord', true, {
    ...VAPP_FIELDS,
    org: (vapp, { hrefs }) => hrefs.org(vapp.organizationId),
    isVdcEnabled: (vapp, { cloud }) => cloud.vdcOf(vapp).enabled,
    storageKB: (vapp, viewer) => Math.ceil(storageBytes(vapp, viewer) / 1024),
    numberOfVMs: (vapp, { cloud }) => cloud.vmsOf(vapp).length,
  }),
  vm: vmType('VMRecord', false, {
    ...VM_FIELDS,
    ownerName: (entity, viewer) => owner(entity, viewer)?.name,
    owner: (entity, viewer) => {
      const user = owner(entity, viewer);
      return user && viewer.hrefs.user(user.id);
    },
    isBusy: ({ vm }, { cloud }) => cloud.isBusy(vm.id),
    isInMaintenanceMode: ({ container }) => 'vapp' in container && container.vapp.inMaintenanceMode,
    snapshot: ({ vm }, { cloud }) => (cloud.hardware(vm)?.snapshots.length ?? 0) > 0,
    snapshotCreated: ({ vm }, { cloud }) => lastSnapshotAt(cloud.hardware(vm)),
    totalStorageAllocatedMb: ({ vm }, { cloud }) =>
      Math.ceil(sum((cloud.hardware(vm)?.disks ?? []).map((disk) => disk.capacityBytes)) / MIB),
  }),
  adminVM: vmType('AdminVMRecord', true, {
    ...VM_FIELDS,
    hostName: ({ vm }, { cloud }) => cloud.hardware(vm)?.hostName,
    isVdcEnabled: (entity, viewer) => vdcOf(entity, viewer)?.enabled,
    vmToolsVersion: () => 12352,
    datastoreName: ({ vm }, { cloud }) => cloud.hardware(vm)?.datastoreName,
    vc: (_, { cloud, hrefs }) => hrefs.vimServer(cloud.state.vimServer.id),
    moref: ({ vm }) => vm.moRef,
    org: (entity, { hrefs }) => hrefs.org(holder(entity).organizationId),
    vmNameInVc: ({ vm }, { cloud, apiVersion }) => (apiVersion >= 35 ? cloud.hardware(vm)?.name : undefined),
  }),
};
