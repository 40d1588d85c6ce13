import type { XmlElement } from '../../../../src/common/index.js';
import type { OrgNetwork, Organization, User, Vapp, VappNetwork } from '../state.js';
import { build, links, MEDIA, optional, reference } from '../xml-names.js';
import { catalogReference } from './catalog-view.js';
import { organizationReference, userReference, type Viewer, vimServerReference } from './viewer.js';

export function visibleOrganizations({ cloud, session }: Viewer): Organization[] {
  return cloud.state.organizations.filter((organization) => session.isProvider || organization.id === session.organization.id);
}

export function orgListView(viewer: Viewer): XmlElement {
  return build(
    'OrgList',
    { href: viewer.hrefs.api('org/'), type: `${MEDIA.orgList}+xml` },
    visibleOrganizations(viewer).map((organization) => organizationReference(viewer, 'Org', organization)),
  );
}

/** From API 33.0 an Org names no VDC and no catalog any more: clients follow the query links. */
export function orgView(viewer: Viewer, organization: Organization): XmlElement {
  const { hrefs } = viewer;
  const query = (type: string) => hrefs.api(`query?type=${type}&filter=orgName==${encodeURIComponent(organization.name)}`);
  return build(
    'Org',
    { name: organization.name, id: `urn:vcloud:org:${organization.id}`, href: hrefs.org(organization.id), type: `${MEDIA.org}+xml` },
    links('down', hrefs.api(`tasksList/${organization.id}`), MEDIA.tasksList),
    links('down', query('orgVdc'), MEDIA.queryRecords),
    links('down', query('catalog'), MEDIA.queryRecords),
    links('alternate', hrefs.adminOrg(organization.id), MEDIA.adminOrg),
    build('Description', {}, organization.description),
    build('FullName', {}, organization.fullName),
    build('IsEnabled', {}, organization.enabled),
  );
}

export function adminOrgView(viewer: Viewer, organization: Organization): XmlElement {
  const { cloud, hrefs } = viewer;
  const { state } = cloud;
  const href = hrefs.adminOrg(organization.id);
  const vdcs = state.vdcs.filter((vdc) => vdc.organizationId === organization.id);
  const networks = state.orgNetworks.filter((network) => vdcs.some((vdc) => vdc.id === network.vdcId));
  return build(
    'AdminOrg',
    { name: organization.name, id: `urn:vcloud:org:${organization.id}`, href, type: `${MEDIA.adminOrg}+xml` },
    links('up', hrefs.api('admin/'), MEDIA.vcloud),
    links('alternate', hrefs.org(organization.id), MEDIA.org),
    build('Description', {}, organization.description),
    build('FullName', {}, organization.fullName),
    build('IsEnabled', {}, organization.enabled),
    organizationSettings(viewer, organization, 'Settings'),
    build(
      'Users',
      {},
      state.users.filter((user) => user.organizationId === organization.id).map((user) => userReference(viewer, 'UserReference', user)),
    ),
    build(
      'Catalogs',
      {},
      state.catalogs
        .filter((catalog) => catalog.organizationId === organization.id)
        .map((catalog) => catalogReference(viewer, 'CatalogReference', catalog, true)),
    ),
    build(
      'Vdcs',
      {},
      vdcs.map((vdc) =>
        reference('Vdc', { href: hrefs.adminVdc(vdc.id), id: `urn:vcloud:vdc:${vdc.id}`, name: vdc.name, media: MEDIA.adminVdc }),
      ),
    ),
    build(
      'Networks',
      {},
      networks.map((network) =>
        reference('Network', {
          href: hrefs.network(network.id),
          id: `urn:vcloud:network:${network.id}`,
          name: network.name,
          media: MEDIA.adminNetwork,
        }),
      ),
    ),
  );
}

/** @param element 'Settings' inside the organization, 'OrgSettings' at its own address. */
export function organizationSettings(viewer: Viewer, organization: Organization, element: 'Settings' | 'OrgSettings'): XmlElement {
  const href = `${viewer.hrefs.adminOrg(organization.id)}/settings`;
  return build(
    element,
    { href, type: `${MEDIA.orgSettings}+xml` },
    links('down', `${href}/vAppLeaseSettings`, MEDIA.vappLeaseSettings),
    vappLeaseSettings(viewer, organization),
    vappTemplateLeaseSettings(organization),
  );
}

/** The longest leases an owner may set; 0 is no limit. */
export function vappLeaseSettings({ hrefs }: Viewer, organization: Organization): XmlElement {
  const limit = organization.leaseLimit ?? { deploymentSeconds: 0, storageSeconds: 0 };
  return build(
    'VAppLeaseSettings',
    { href: `${hrefs.adminOrg(organization.id)}/settings/vAppLeaseSettings`, type: `${MEDIA.vappLeaseSettings}+xml` },
    build('DeleteOnStorageLeaseExpiration', {}, false),
    build('DeploymentLeaseSeconds', {}, limit.deploymentSeconds),
    build('StorageLeaseSeconds', {}, limit.storageSeconds),
  );
}

/** Inside the settings only: the schema has no element for it at an address of its own. */
function vappTemplateLeaseSettings(organization: Organization): XmlElement {
  return build(
    'VAppTemplateLeaseSettings',
    { type: `${MEDIA.vappTemplateLeaseSettings}+xml` },
    build('DeleteOnStorageLeaseExpiration', {}, false),
    build('StorageLeaseSeconds', {}, organization.templateStorageLeaseSeconds ?? 0),
  );
}

export function vcloudView(viewer: Viewer): XmlElement {
  const { cloud, hrefs } = viewer;
  return build(
    'VCloud',
    {
      name: 'VMware Cloud Director',
      id: 'urn:vcloud:cloud:00000000-0000-4000-8000-000000000000',
      href: hrefs.api('admin/'),
      type: `${MEDIA.vcloud}+xml`,
    },
    links('down', hrefs.api('admin/extension'), MEDIA.extension),
    build('Description', {}, 'The simulated cloud'),
    build(
      'OrganizationReferences',
      {},
      cloud.state.organizations.map((organization) =>
        reference('OrganizationReference', {
          href: hrefs.adminOrg(organization.id),
          id: `urn:vcloud:org:${organization.id}`,
          name: organization.name,
          media: MEDIA.adminOrg,
        }),
      ),
    ),
    build(
      'ProviderVdcReferences',
      {},
      cloud.state.providerVdcs.map((provider) =>
        reference('ProviderVdcReference', {
          href: hrefs.api(`admin/providervdc/${provider.id}`),
          id: `urn:vcloud:providervdc:${provider.id}`,
          name: provider.name,
          media: 'application/vnd.vmware.admin.providervdc',
        }),
      ),
    ),
  );
}

export function userView(viewer: Viewer, user: User): XmlElement {
  const { hrefs } = viewer;
  const href = hrefs.user(user.id);
  return build(
    'User',
    { name: user.name, id: `urn:vcloud:user:${user.id}`, href, type: `${MEDIA.user}+xml` },
    links('up', hrefs.adminOrg(user.organizationId), MEDIA.adminOrg),
    build('FullName', {}, user.fullName),
    build('IsEnabled', {}, user.enabled),
    build('IsLocked', {}, false),
    build('IsExternal', {}, false),
    build('ProviderType', {}, 'INTEGRATED'),
    reference('Role', {
      href: hrefs.api(`admin/org/${user.organizationId}/role/${roleId(user)}`),
      name: user.role,
      media: 'application/vnd.vmware.admin.role',
    }),
  );
}

function roleId(user: User): string {
  const number = ['System Administrator', 'Organization Administrator', 'vApp Author', 'vApp User'].indexOf(user.role);
  return `00000000-0000-4000-8000-0000000001${String(number).padStart(2, '0')}`;
}

/** An organization VDC network. */
export function orgNetworkView(viewer: Viewer, network: OrgNetwork): XmlElement {
  const { hrefs } = viewer;
  const forProvider = viewer.session.isProvider;
  return build(
    'OrgVdcNetwork',
    {
      status: 1,
      name: network.name,
      id: `urn:vcloud:network:${network.id}`,
      href: hrefs.network(network.id),
      type: `${MEDIA.orgVdcNetwork}+xml`,
    },
    links('up', forProvider ? hrefs.adminVdc(network.vdcId) : hrefs.vdc(network.vdcId), forProvider ? MEDIA.adminVdc : MEDIA.vdc),
    build('Description', {}, network.description),
    build(
      'Configuration',
      {},
      build('IpScopes', {}, ipScope(network, false)),
      build('FenceMode', {}, 'isolated'),
      build('RetainNetInfoAcrossDeployments', {}, false),
    ),
    build('IsShared', {}, false),
    forProvider ? portGroupReference(viewer, network) : undefined,
  );
}

/** The one VimObjectRef whose elements are in the vCloud namespace (network.xsd), unlike all others. */
function portGroupReference(viewer: Viewer, network: OrgNetwork): XmlElement {
  return build(
    'VimPortGroupRef',
    {},
    vimServerReference(viewer, 'VimServerRef'),
    build('MoRef', {}, network.portGroupMoRef),
    build('VimObjectType', {}, 'DV_PORTGROUP'),
  );
}

export function ipScope(network: OrgNetwork, inherited: boolean): XmlElement {
  return build(
    'IpScope',
    {},
    build('IsInherited', {}, inherited),
    build('Gateway', {}, network.gateway),
    build('Netmask', {}, network.netmask),
    optional('Dns1', network.dns1 || undefined),
    optional('DnsSuffix', network.dnsSuffix || undefined),
    build('IsEnabled', {}, true),
    build(
      'IpRanges',
      {},
      network.ranges.map((range) => build('IpRange', {}, build('StartAddress', {}, range.start), build('EndAddress', {}, range.end))),
    ),
  );
}

/** A vApp's own or bridged network at /api/network/{id}. */
export function vappNetworkView(viewer: Viewer, vapp: Vapp, network: VappNetwork, configuration: XmlElement | undefined): XmlElement {
  return build(
    'VAppNetwork',
    {
      deployed: vapp.deployed,
      name: network.name,
      id: `urn:vcloud:network:${network.id}`,
      href: viewer.hrefs.network(network.id),
      type: `${MEDIA.vappNetwork}+xml`,
    },
    links('up', viewer.hrefs.vapp(vapp.id), MEDIA.vapp),
    configuration,
  );
}
