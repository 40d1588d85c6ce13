import { MIB } from '../../../src/common/index.js';
import type { SimDatastore, SimNetwork } from '../model/vsphere-types.js';
import { type Answer, type Exchange, ok, requireProvider } from './exchange.js';
import { noAccess } from './faults.js';
import { type FieldTable, type QueryType, queryType } from './query-type.js';
import type { Organization, OrgNetwork, ProviderVdc, StorageProfile, Vdc, VimServer } from './state.js';
import { datastoreHref } from './views/extension-view.js';
import { visibleOrganizations } from './views/organization-view.js';
import { type Viewer, vimObjectReference } from './views/viewer.js';
import { build, links, MEDIA } from './xml-names.js';

const organizationType = queryType<Organization>({
  record: 'OrgRecord',
  reference: 'OrgReference',
  media: MEDIA.org,
  providerOnly: false,
  list: visibleOrganizations,
  href: (organization, { hrefs }) => hrefs.org(organization.id),
  urn: (organization) => `urn:vcloud:org:${organization.id}`,
  fields: {
    name: (organization) => organization.name,
    displayName: (organization) => organization.fullName,
    isEnabled: (organization) => organization.enabled,
    isReadOnly: () => false,
    deployedVMQuota: () => 0,
    storedVMQuota: () => 0,
    canPublishCatalogs: () => false,
    numberOfCatalogs: (organization, { cloud }) =>
      cloud.state.catalogs.filter((catalog) => catalog.organizationId === organization.id).length,
    numberOfVdcs: (organization, { cloud }) => cloud.vdcsOf(organization).length,
    numberOfVApps: (organization, { cloud }) => cloud.vdcsOf(organization).reduce((count, vdc) => count + cloud.vappsOf(vdc).length, 0),
    numberOfDisks: (organization, { cloud }) => cloud.state.disks.filter((disk) => disk.organizationId === organization.id).length,
  },
});

const providerOf = (vdc: Vdc, { cloud }: Viewer): ProviderVdc | undefined =>
  cloud.state.providerVdcs.find((candidate) => candidate.id === vdc.providerVdcId);
const ofOrganization = (viewer: Viewer, vdc: Vdc | undefined): boolean =>
  viewer.session.isProvider || vdc?.organizationId === viewer.session.organization.id;

const VDC_FIELDS: FieldTable<Vdc> = {
  name: (vdc) => vdc.name,
  description: (vdc) => vdc.description,
  isEnabled: (vdc) => vdc.enabled,
  providerVdcName: (vdc, viewer) => providerOf(vdc, viewer)?.name,
  providerVdc: (vdc, { hrefs, session }) => (session.isProvider ? hrefs.providerVdc(vdc.providerVdcId) : undefined),
  orgName: (vdc, { cloud }) => cloud.organization(vdc.organizationId)?.name,
  numberOfVApps: (vdc, { cloud }) => cloud.vappsOf(vdc).length,
  numberOfMedia: (vdc, { cloud }) => cloud.state.media.filter((media) => media.vdcId === vdc.id).length,
  numberOfDisks: (vdc, { cloud }) => cloud.state.disks.filter((disk) => disk.vdcId === vdc.id).length,
  numberOfVAppTemplates: (vdc, { cloud }) => cloud.state.vappTemplates.filter((template) => template.vdcId === vdc.id).length,
  isBusy: () => false,
  status: () => 'READY',
  numberOfVMs: (vdc, { cloud }) => cloud.vappsOf(vdc).reduce((count, vapp) => count + cloud.vmsOf(vapp).length, 0),
};

const vdcType = (record: string, reference: string, admin: boolean, more: FieldTable<Vdc>): QueryType =>
  queryType<Vdc>({
    record,
    reference,
    media: admin ? MEDIA.adminVdc : MEDIA.vdc,
    providerOnly: admin,
    list: (viewer) => viewer.cloud.state.vdcs.filter((vdc) => ofOrganization(viewer, vdc)),
    href: (vdc, { hrefs }) => (admin ? hrefs.adminVdc(vdc.id) : hrefs.vdc(vdc.id)),
    urn: (vdc) => `urn:vcloud:vdc:${vdc.id}`,
    fields: { ...VDC_FIELDS, ...more },
  });

const providerVdcType = queryType<ProviderVdc>({
  record: 'VMWProviderVdcRecord',
  reference: 'VMWProviderVdcReference',
  media: MEDIA.providerVdc,
  providerOnly: true,
  list: ({ cloud }) => cloud.state.providerVdcs,
  href: (provider, { hrefs }) => hrefs.providerVdc(provider.id),
  urn: (provider) => `urn:vcloud:providervdc:${provider.id}`,
  fields: {
    name: (provider) => provider.name,
    isEnabled: () => true,
    isDeleted: () => false,
    numberOfDatastores: (_, { cloud }) => cloud.vsphere.datastores().length,
    numberOfVdcs: (provider, { cloud }) => cloud.state.vdcs.filter((vdc) => vdc.providerVdcId === provider.id).length,
    vcName: (_, { cloud }) => cloud.state.vimServer.name,
    isBusy: () => false,
    status: () => 'READY',
    numberOfResourcePools: () => 1,
  },
});

const virtualCenterType = queryType<VimServer>({
  record: 'VirtualCenterRecord',
  reference: 'VirtualCenterReference',
  media: MEDIA.vimServer,
  providerOnly: true,
  list: ({ cloud }) => [cloud.state.vimServer],
  href: (server, { hrefs }) => hrefs.vimServer(server.id),
  urn: (server) => `urn:vcloud:vimserver:${server.id}`,
  fields: {
    name: (server) => server.name,
    url: (server) => server.url,
    userName: (server) => server.userName,
    isEnabled: () => true,
    vcVersion: (server) => server.version,
    status: () => 'READY',
    isBusy: () => false,
    listenerState: () => 'CONNECTED',
    uuid: (_, { cloud }) => cloud.vsphere.instanceUuid,
    isSupported: () => true,
  },
});

const datastoreType = queryType<SimDatastore>({
  record: 'DatastoreRecord',
  reference: 'DatastoreReference',
  media: MEDIA.datastore,
  providerOnly: true,
  list: ({ cloud }) => cloud.vsphere.datastores(),
  href: (datastore, viewer) => datastoreHref(viewer, datastore),
  urn: (datastore) => `urn:vcloud:datastore:${datastore.moRef}`,
  fields: {
    name: (datastore) => datastore.name,
    datastoreType: () => 'VMFS6',
    isEnabled: () => true,
    isDeleted: () => false,
    storageUsedMB: (datastore) => Math.floor((datastore.capacityBytes - datastore.freeBytes) / MIB),
    storageMB: (datastore) => Math.floor(datastore.capacityBytes / MIB),
    vc: (_, { cloud, hrefs }) => hrefs.vimServer(cloud.state.vimServer.id),
    vcName: (_, { cloud }) => cloud.state.vimServer.name,
    moref: (datastore) => datastore.moRef,
    numberOfProviderVdcs: (_, { cloud }) => cloud.state.providerVdcs.length,
    datastoreCluster: () => false,
  },
});

const PROFILE_FIELDS: FieldTable<StorageProfile> = {
  name: (profile) => profile.name,
  isEnabled: () => true,
  isDefaultStorageProfile: (profile) => profile.isDefault,
  storageUsedMB: (profile, { cloud }) => {
    const disks = cloud.vmsOn(profile).flatMap((vm) => cloud.hardware(vm)?.disks ?? []);
    return Math.ceil(disks.reduce((bytes, disk) => bytes + disk.capacityBytes, 0) / MIB);
  },
  storageLimitMB: (profile) => profile.limitMib,
  vdc: (profile, { hrefs }) => hrefs.vdc(profile.vdcId),
  vdcName: (profile, { cloud }) => cloud.vdc(profile.vdcId)?.name,
};

const storageProfileType = (record: string, admin: boolean, more: FieldTable<StorageProfile>): QueryType =>
  queryType<StorageProfile>({
    record,
    reference: record.replace('Record', 'Reference'),
    media: admin ? MEDIA.adminVdcStorageProfile : MEDIA.vdcStorageProfile,
    providerOnly: admin,
    list: (viewer) => viewer.cloud.state.storageProfiles.filter((profile) => ofOrganization(viewer, viewer.cloud.vdc(profile.vdcId))),
    href: (profile, { hrefs }) => hrefs.api(`${admin ? 'admin/' : ''}vdcStorageProfile/${profile.id}`),
    urn: (profile) => `urn:vcloud:vdcstorageProfile:${profile.id}`,
    fields: { ...PROFILE_FIELDS, ...more },
  });

const organizationOf = (network: OrgNetwork, { cloud }: Viewer): Organization | undefined =>
  cloud.organization(cloud.vdc(network.vdcId)?.organizationId ?? '');

const orgVdcNetworkType = queryType<OrgNetwork>({
  record: 'OrgVdcNetworkRecord',
  reference: 'OrgVdcNetworkReference',
  media: MEDIA.orgVdcNetwork,
  providerOnly: false,
  list: (viewer) => viewer.cloud.state.orgNetworks.filter((network) => ofOrganization(viewer, viewer.cloud.vdc(network.vdcId))),
  href: (network, { hrefs }) => hrefs.network(network.id),
  urn: (network) => `urn:vcloud:network:${network.id}`,
  fields: {
    name: (network) => network.name,
    defaultGateway: (network) => network.gateway,
    netmask: (network) => network.netmask,
    dns1: (network) => network.dns1,
    dnsSuffix: (network) => network.dnsSuffix,
    linkType: () => 2,
    connectedTo: () => '',
    vdc: (network, { hrefs }) => hrefs.vdc(network.vdcId),
    isBusy: () => false,
    isShared: (network) => network.shared ?? false,
    vdcName: (network, { cloud }) => cloud.vdc(network.vdcId)?.name,
    isIpScopeInherited: () => false,
  },
});

const adminOrgNetworkType = queryType<OrgNetwork>({
  record: 'AdminOrgNetworkRecord',
  reference: 'OrgNetworkReference',
  media: MEDIA.adminNetwork,
  providerOnly: true,
  list: ({ cloud }) => cloud.state.orgNetworks,
  href: (network, { hrefs }) => hrefs.network(network.id),
  urn: (network) => `urn:vcloud:network:${network.id}`,
  fields: {
    name: (network) => network.name,
    gateway: (network) => network.gateway,
    netmask: (network) => network.netmask,
    dns1: (network) => network.dns1,
    org: (network, viewer) => viewer.hrefs.org(organizationOf(network, viewer)?.id ?? ''),
    orgName: (network, viewer) => organizationOf(network, viewer)?.name,
    isBusy: () => false,
    isIpScopeInherited: () => false,
  },
});

/** Port groups of vCenter that VCD did not make itself: what an administrator would have given it as external networks. */
function externalNetworks({ cloud }: Viewer): SimNetwork[] {
  return cloud.vsphere
    .networks()
    .filter((network) => network.kind === 'DistributedVirtualPortgroup' && !network.name.startsWith('dvs.VCDVS'));
}
/** VCD's id of it: made from the reference, because the state keeps no external networks. */
const externalNetworkId = (network: SimNetwork): string =>
  `00000000-0000-4000-8000-${network.moRef.replace(/\D/g, '').padStart(12, '0').slice(-12)}`;

const EXTERNAL_NETWORK_MEDIA = 'application/vnd.vmware.admin.vmwexternalnet';

/** GET admin/extension/externalnet/{id}. @throws VcdFault 403 when there is none. */
export function externalNetworkResource(exchange: Exchange): Answer {
  requireProvider(exchange);
  const id = exchange.parameters.id ?? '';
  const network = externalNetworks(exchange).find((candidate) => externalNetworkId(candidate) === id);
  if (!network) throw noAccess('network', id);
  const href = exchange.hrefs.api(`admin/extension/externalnet/${id}`);
  const view = build(
    'vmext:VMWExternalNetwork',
    { name: network.name, id: `urn:vcloud:network:${id}`, href, type: `${EXTERNAL_NETWORK_MEDIA}+xml` },
    links('up', exchange.hrefs.api('admin/extension'), MEDIA.extension),
    build('Description'),
    vimObjectReference(exchange, 'vmext:VimPortGroupRef', network.moRef, 'DV_PORTGROUP'),
  );
  return ok(view, EXTERNAL_NETWORK_MEDIA);
}

const externalNetworkType = queryType<SimNetwork>({
  record: 'NetworkRecord',
  reference: 'NetworkReference',
  media: EXTERNAL_NETWORK_MEDIA,
  providerOnly: true,
  list: externalNetworks,
  href: (network, { hrefs }) => hrefs.api(`admin/extension/externalnet/${externalNetworkId(network)}`),
  urn: (network) => `urn:vcloud:network:${externalNetworkId(network)}`,
  fields: { name: (network) => network.name, isBusy: () => false },
});

/** Organizations and what they stand on. */
export const INFRASTRUCTURE_QUERY_TYPES: Readonly<Record<string, QueryType>> = {
  organization: organizationType,
  orgVdc: vdcType('OrgVdcRecord', 'OrgVdcReference', false, {}),
  adminOrgVdc: vdcType('AdminVdcRecord', 'AdminVdcReference', true, {
    org: (vdc, { hrefs }) => hrefs.org(vdc.organizationId),
    vcName: (_, { cloud }) => cloud.state.vimServer.name,
    allocationModel: () => 3,
    numberOfResourcePools: () => 1,
  }),
  providerVdc: providerVdcType,
  virtualCenter: virtualCenterType,
  datastore: datastoreType,
  orgVdcStorageProfile: storageProfileType('OrgVdcStorageProfileRecord', false, { isVdcBusy: () => false }),
  adminOrgVdcStorageProfile: storageProfileType('AdminOrgVdcStorageProfileRecord', true, {
    org: (profile, { cloud, hrefs }) => hrefs.org(cloud.vdc(profile.vdcId)?.organizationId ?? ''),
    vc: (_, { cloud, hrefs }) => hrefs.vimServer(cloud.state.vimServer.id),
  }),
  orgVdcNetwork: orgVdcNetworkType,
  adminOrgNetwork: adminOrgNetworkType,
  externalNetwork: externalNetworkType,
};
