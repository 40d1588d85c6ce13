import { MIB } from '../../../src/common/index.js';
import type { MetadataEntry, Vapp, Vm } from './state.js';
import type { Viewer } from './views/viewer.js';

export type RecordValue = string | number | boolean | undefined;
export interface QueryRecord {
  href: string;
  id: string;
  /** Attribute -> value; undefined is not written. */
  fields: Record<string, RecordValue>;
  metadata?: readonly MetadataEntry[];
}

export function visibleVapps({ cloud, session }: Viewer): Vapp[] {
  return cloud.state.vapps.filter((vapp) => cloud.accessLevel(session, vapp) !== 'none');
}
export function visibleVms(viewer: Viewer): Vm[] {
  return visibleVapps(viewer).flatMap((vapp) => viewer.cloud.vmsOf(vapp));
}

export function vappRecord(viewer: Viewer, vapp: Vapp, admin: boolean): QueryRecord {
  const { cloud, hrefs } = viewer;
  const hardware = cloud.vmsOf(vapp).flatMap((vm) => cloud.hardware(vm) ?? []);
  const storageBytes = hardware.flatMap((vm) => vm.disks).reduce((sum, disk) => sum + disk.capacityBytes, 0);
  return {
    href: hrefs.vapp(vapp.id),
    id: `urn:vcloud:vapp:${vapp.id}`,
    metadata: vapp.metadata,
    fields: {
      name: vapp.name,
      org: admin ? hrefs.org(vapp.organizationId) : undefined,
      vdc: hrefs.vdc(vapp.vdcId),
      vdcName: cloud.vdcOf(vapp).name,
      isVdcEnabled: admin ? cloud.vdcOf(vapp).enabled : undefined,
      description: vapp.description,
      isPublic: admin ? undefined : false,
      isEnabled: true,
      isBusy: cloud.isBusy(vapp.id),
      creationDate: vapp.createdAt,
      status: cloud.statusWord(cloud.vappStatus(vapp)),
      ownerName: cloud.user(vapp.ownerUserId ?? '')?.name,
      storageKB: admin ? Math.ceil(storageBytes / 1024) : undefined,
      numberOfVMs: admin ? hardware.length : undefined,
      memoryAllocationMB: hardware.reduce((sum, vm) => sum + vm.memoryMib, 0),
      isDeployed: vapp.deployed,
      isInMaintenanceMode: vapp.inMaintenanceMode,
      isAutoNature: false,
      isExpired: false,
      numberOfCpus: hardware.reduce((sum, vm) => sum + vm.cpuCount, 0),
      totalStorageAllocatedMb: Math.ceil(storageBytes / MIB),
    },
  };
}

export function vmRecord(viewer: Viewer, vm: Vm, admin: boolean): QueryRecord {
  const { cloud, hrefs, apiVersion } = viewer;
  const vapp = cloud.vappOf(vm);
  const hardware = cloud.hardware(vm);
  const nic = vm.nics.find((candidate) => candidate.index === (vm.primaryNicIndex ?? 0));
  const own: Record<string, RecordValue> = admin
    ? {
        hostName: hardware?.hostName,
        isVdcEnabled: cloud.vdcOf(vapp).enabled,
        vmToolsVersion: 12352,
        datastoreName: hardware?.datastoreName,
        vc: hrefs.vimServer(cloud.state.vimServer.id),
        moref: vm.moRef,
        org: hrefs.org(vapp.organizationId),
        vmNameInVc: apiVersion >= 35 ? hardware?.name : undefined,
      }
    : {
        ownerName: cloud.user(vapp.ownerUserId ?? '')?.name,
        owner: vapp.ownerUserId && hrefs.user(vapp.ownerUserId),
        isBusy: cloud.isBusy(vm.id),
        isInMaintenanceMode: vapp.inMaintenanceMode,
        snapshot: (hardware?.snapshots.length ?? 0) > 0,
      };
  return {
    href: hrefs.vm(vm.id),
    id: `urn:vcloud:vm:${vm.id}`,
    metadata: vm.metadata,
    fields: {
      name: vm.name,
      containerName: vapp.name,
      container: hrefs.vapp(vapp.id),
      vdcName: apiVersion >= 36 ? cloud.vdcOf(vapp).name : undefined,
      vdc: hrefs.vdc(vapp.vdcId),
      description: vm.description,
      vappScopedLocalId: vm.localId,
      isVAppTemplate: false,
      isDeleted: false,
      guestOs: hardware?.guestFullName,
      numberOfCpus: hardware?.cpuCount,
      memoryMB: hardware?.memoryMib,
      status: cloud.statusWord(cloud.vmStatus(vm)),
      networkName: nic?.network,
      isDeployed: vm.deployed,
      isPublished: false,
      hardwareVersion: hardware && Number(hardware.hardwareVersion.replace(/\D/g, '')),
      storageProfileName: cloud.storageProfile(vm.storageProfileId)?.name,
      isAutoNature: false,
      isComputePolicyCompliant: true,
      vmSizingPolicyId: vm.sizingPolicyId,
      vmPlacementPolicyId: vm.placementPolicyId,
      ipAddress: nic?.ipAddress,
      encrypted: apiVersion >= 34 ? false : undefined,
      dateCreated: apiVersion >= 34 ? vm.createdAt : undefined,
      isExpired: apiVersion >= 34 ? false : undefined,
      ...own,
    },
  };
}
