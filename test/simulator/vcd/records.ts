import type { User } from './state.js';
import type { Task } from './tasks.js';
import { type QueryRecord, type RecordValue, vappRecord, visibleVapps, visibleVms, vmRecord } from './vapp-records.js';
import { storageUsedMib } from './views/vdc-view.js';
import type { Viewer } from './views/viewer.js';
import { visibleOrganizations } from './views/organization-view.js';
import { MEDIA } from './xml-names.js';

export interface QueryType {
  /** Element name of a record. */
  record: string;
  reference: string;
  media: string;
  providerOnly: boolean;
  /** Attributes a filter may name; the first is the default sort. */
  fields: readonly string[];
  list: (viewer: Viewer) => QueryRecord[];
}

const words = (text: string): string[] => text.split(' ');

const VAPP_FIELDS = words(
  'name vdc vdcName description isEnabled isBusy creationDate status ownerName memoryAllocationMB isDeployed isInMaintenanceMode isAutoNature isExpired numberOfCpus totalStorageAllocatedMb',
);
const VM_FIELDS = words(
  'name containerName container vdcName vdc description vappScopedLocalId isVAppTemplate isDeleted guestOs numberOfCpus memoryMB status networkName isDeployed isPublished hardwareVersion storageProfileName isAutoNature isComputePolicyCompliant vmSizingPolicyId vmPlacementPolicyId encrypted dateCreated isExpired ipAddress',
);

export const QUERY_TYPES: Readonly<Record<string, QueryType>> = {
  organization: {
    record: 'OrgRecord',
    reference: 'OrgReference',
    media: MEDIA.org,
    providerOnly: false,
    fields: words('name displayName isEnabled isReadOnly deployedVMQuota storedVMQuota canPublishCatalogs numberOfVdcs numberOfVApps'),
    list: organizationRecords,
  },
  orgVdc: vdcType('OrgVdcRecord', false),
  adminOrgVdc: vdcType('AdminVdcRecord', true),
  vApp: {
    record: 'VAppRecord',
    reference: 'VAppReference',
    media: MEDIA.vapp,
    providerOnly: false,
    fields: [...VAPP_FIELDS, 'isPublic'],
    list: (viewer) => visibleVapps(viewer).map((vapp) => vappRecord(viewer, vapp, false)),
  },
  adminVApp: {
    record: 'AdminVAppRecord',
    reference: 'VAppReference',
    media: MEDIA.vapp,
    providerOnly: true,
    fields: [...VAPP_FIELDS, 'org', 'isVdcEnabled', 'storageKB', 'numberOfVMs'],
    list: (viewer) => visibleVapps(viewer).map((vapp) => vappRecord(viewer, vapp, true)),
  },
  vm: {
    record: 'VMRecord',
    reference: 'VMReference',
    media: MEDIA.vm,
    providerOnly: false,
    fields: [
      ...VM_FIELDS,
      'ownerName',
      'owner',
      'network',
      'isBusy',
      'isInMaintenanceMode',
      'snapshot',
      'vmToolsStatus',
      'totalStorageAllocatedMb',
    ],
    list: (viewer) => visibleVms(viewer).map((vm) => vmRecord(viewer, vm, false)),
  },
  adminVM: {
    record: 'AdminVMRecord',
    reference: 'VMReference',
    media: MEDIA.vm,
    providerOnly: true,
    fields: [...VM_FIELDS, 'hostName', 'isVdcEnabled', 'vmToolsVersion', 'datastoreName', 'vc', 'moref', 'org', 'vmNameInVc'],
    list: (viewer) => visibleVms(viewer).map((vm) => vmRecord(viewer, vm, true)),
  },
  virtualCenter: {
    record: 'VirtualCenterRecord',
    reference: 'VirtualCenterReference',
    media: MEDIA.vimServer,
    providerOnly: true,
    fields: words('name url userName isEnabled vcVersion status isBusy listenerState uuid isSupported'),
    list: virtualCenterRecords,
  },
  orgVdcStorageProfile: storageProfileType('OrgVdcStorageProfileRecord', false),
  adminOrgVdcStorageProfile: storageProfileType('AdminOrgVdcStorageProfileRecord', true),
  orgVdcNetwork: {
    record: 'OrgVdcNetworkRecord',
    reference: 'OrgVdcNetworkReference',
    media: MEDIA.orgVdcNetwork,
    providerOnly: false,
    fields: words('name defaultGateway netmask dns1 dnsSuffix linkType connectedTo vdc isBusy isShared vdcName isIpScopeInherited'),
    list: orgNetworkRecords,
  },
  adminOrgNetwork: {
    record: 'AdminOrgNetworkRecord',
    reference: 'OrgNetworkReference',
    media: MEDIA.adminNetwork,
    providerOnly: true,
    fields: words('name gateway netmask dns1 dnsSuffix org orgName isBusy isIpScopeInherited'),
    list: adminOrgNetworkRecords,
  },
  user: userType('UserRecord', false),
  adminUser: userType('AdminUserRecord', true),
  task: taskType('TaskRecord', false),
  adminTask: taskType('AdminTaskRecord', true),
};

function organizationRecords(viewer: Viewer): QueryRecord[] {
  const { cloud, hrefs } = viewer;
  return visibleOrganizations(viewer).map((organization) => ({
    href: hrefs.org(organization.id),
    id: `urn:vcloud:org:${organization.id}`,
    fields: {
      name: organization.name,
      displayName: organization.fullName,
      isEnabled: organization.enabled,
      isReadOnly: false,
      deployedVMQuota: 0,
      storedVMQuota: 0,
      canPublishCatalogs: false,
      numberOfVdcs: cloud.state.vdcs.filter((vdc) => vdc.organizationId === organization.id).length,
      numberOfVApps: cloud.state.vapps.filter((vapp) => vapp.organizationId === organization.id).length,
    },
  }));
}

function vdcType(record: string, admin: boolean): QueryType {
  return {
    record,
    reference: record.replace('Record', 'Reference'),
    media: admin ? MEDIA.adminVdc : MEDIA.vdc,
    providerOnly: admin,
    fields: words('name description isEnabled providerVdcName providerVdc orgName numberOfVApps isBusy status numberOfVMs').concat(
      admin ? words('org vcName allocationModel') : [],
    ),
    list: ({ cloud, hrefs, session }) =>
      cloud.state.vdcs
        .filter((vdc) => session.isProvider || vdc.organizationId === session.organization.id)
        .map((vdc) => {
          const vapps = cloud.state.vapps.filter((vapp) => vapp.vdcId === vdc.id);
          const provider = cloud.state.providerVdcs.find((candidate) => candidate.id === vdc.providerVdcId);
          return {
            href: admin ? hrefs.adminVdc(vdc.id) : hrefs.vdc(vdc.id),
            id: `urn:vcloud:vdc:${vdc.id}`,
            fields: {
              name: vdc.name,
              description: vdc.description,
              isEnabled: vdc.enabled,
              providerVdcName: provider?.name,
              providerVdc: session.isProvider ? hrefs.providerVdc(vdc.providerVdcId) : undefined,
              orgName: cloud.organization(vdc.organizationId)?.name,
              org: admin ? hrefs.org(vdc.organizationId) : undefined,
              vcName: admin ? cloud.state.vimServer.name : undefined,
              allocationModel: admin ? 3 : undefined,
              numberOfVApps: vapps.length,
              numberOfVMs: vapps.reduce((sum, vapp) => sum + cloud.vmsOf(vapp).length, 0),
              isBusy: false,
              status: 'READY',
            },
          };
        }),
  };
}

function virtualCenterRecords({ cloud, hrefs }: Viewer): QueryRecord[] {
  const { vimServer } = cloud.state;
  const fields = {
    name: vimServer.name,
    url: vimServer.url,
    userName: vimServer.userName,
    isEnabled: true,
    vcVersion: vimServer.version,
    status: 'READY',
    isBusy: false,
    listenerState: 'CONNECTED',
    uuid: cloud.vsphere.instanceUuid,
    isSupported: true,
  };
  return [{ href: hrefs.vimServer(vimServer.id), id: `urn:vcloud:vimserver:${vimServer.id}`, fields }];
}

function storageProfileType(record: string, admin: boolean): QueryType {
  return {
    record,
    reference: record.replace('Record', 'Reference'),
    media: admin ? MEDIA.adminVdcStorageProfile : MEDIA.vdcStorageProfile,
    providerOnly: admin,
    fields: words('name isEnabled isDefaultStorageProfile storageUsedMB storageLimitMB vdc vdcName').concat(
      admin ? words('org vc') : ['isVdcBusy'],
    ),
    list: (viewer) => {
      const { cloud, hrefs, session } = viewer;
      return cloud.state.storageProfiles.flatMap((profile) => {
        const vdc = cloud.vdc(profile.vdcId);
        if (!vdc || (!session.isProvider && vdc.organizationId !== session.organization.id)) return [];
        return [
          {
            href: hrefs.api(`${admin ? 'admin/' : ''}vdcStorageProfile/${profile.id}`),
            id: `urn:vcloud:vdcstorageProfile:${profile.id}`,
            fields: {
              name: profile.name,
              isEnabled: true,
              isDefaultStorageProfile: profile.isDefault,
              storageUsedMB: storageUsedMib(viewer, profile),
              storageLimitMB: profile.limitMib,
              vdc: hrefs.vdc(vdc.id),
              vdcName: vdc.name,
              org: admin ? hrefs.org(vdc.organizationId) : undefined,
              vc: admin ? hrefs.vimServer(cloud.state.vimServer.id) : undefined,
              isVdcBusy: admin ? undefined : false,
            },
          },
        ];
      });
    },
  };
}

function orgNetworkRecords({ cloud, hrefs, session }: Viewer): QueryRecord[] {
  return cloud.state.orgNetworks.flatMap((network) => {
    const vdc = cloud.vdc(network.vdcId);
    if (!vdc || (!session.isProvider && vdc.organizationId !== session.organization.id)) return [];
    return [
      {
        href: hrefs.network(network.id),
        id: `urn:vcloud:network:${network.id}`,
        fields: {
          name: network.name,
          defaultGateway: network.gateway,
          netmask: network.netmask,
          dns1: network.dns1,
          dnsSuffix: network.dnsSuffix,
          linkType: 2,
          connectedTo: '',
          vdc: hrefs.vdc(vdc.id),
          isBusy: false,
          isShared: false,
          vdcName: vdc.name,
          isIpScopeInherited: false,
        },
      },
    ];
  });
}

function adminOrgNetworkRecords({ cloud, hrefs }: Viewer): QueryRecord[] {
  return cloud.state.orgNetworks.map((network) => {
    const organizationId = cloud.vdc(network.vdcId)?.organizationId ?? '';
    return {
      href: hrefs.network(network.id),
      id: `urn:vcloud:network:${network.id}`,
      fields: {
        name: network.name,
        gateway: network.gateway,
        netmask: network.netmask,
        dns1: network.dns1,
        dnsSuffix: network.dnsSuffix,
        org: hrefs.org(organizationId),
        orgName: cloud.organization(organizationId)?.name,
        isBusy: false,
        isIpScopeInherited: false,
      },
    };
  });
}

function userType(record: string, admin: boolean): QueryType {
  const fieldsOf = (user: User): Record<string, RecordValue> => ({
    name: user.name,
    fullName: user.fullName,
    isEnabled: user.enabled,
    isLdapUser: false,
    isExternal: false,
    identityProviderType: 'INTEGRATED',
  });
  return {
    record,
    reference: 'UserReference',
    media: MEDIA.user,
    providerOnly: admin,
    fields: words('name fullName isEnabled isLdapUser isExternal identityProviderType').concat(admin ? ['org'] : ['isLocked', 'roleNames']),
    list: ({ cloud, hrefs, session }) =>
      cloud.state.users
        .filter((user) => admin || user.organizationId === session.organization.id)
        .map((user) => ({
          href: hrefs.user(user.id),
          id: `urn:vcloud:user:${user.id}`,
          fields: { ...fieldsOf(user), ...(admin ? { org: hrefs.org(user.organizationId) } : { isLocked: false, roleNames: user.role }) },
        })),
  };
}

function taskType(record: string, admin: boolean): QueryType {
  return {
    record,
    reference: record.replace('Record', 'Reference'),
    media: MEDIA.task,
    providerOnly: admin,
    fields: words('startDate endDate name status progress org orgName ownerName object objectType objectName serviceNamespace'),
    list: ({ cloud, hrefs, session }) =>
      cloud.tasks
        .all()
        .filter((task) => session.isProvider || task.organizationId === session.organization.id)
        .map((task: Task) => ({
          href: hrefs.task(task.id),
          id: `urn:vcloud:task:${task.id}`,
          fields: {
            name: task.operationName,
            status: task.status,
            startDate: task.startedAt.toISOString(),
            endDate: task.endedAt?.toISOString(),
            progress: task.progress,
            org: hrefs.org(task.organizationId),
            orgName: cloud.organization(task.organizationId)?.name,
            ownerName: cloud.user(task.userId)?.name,
            object: task.owner.kind === 'vapp' ? hrefs.vapp(task.owner.id) : hrefs.vm(task.owner.id),
            objectType: task.owner.kind,
            objectName: task.owner.name,
            serviceNamespace: 'com.vmware.vcloud',
          },
        })),
  };
}
