import { parseXml, type XmlElement } from '../../../../src/common/index.js';
import { type Access, NETWORK_NONE, type Vapp, type VappNetwork } from '../state.js';
import { build, links, MEDIA, reference } from '../xml-names.js';
import { tasksInProgress } from './task-view.js';
import { userReference, type Viewer } from './viewer.js';
import { vmView } from './vm-view.js';

/** A whole vApp, elements in the order of VAppType. */
export function vappView(viewer: Viewer, vapp: Vapp): XmlElement {
  const { cloud, hrefs } = viewer;
  return build(
    'VApp',
    {
      ovfDescriptorUploaded: true,
      deployed: vapp.deployed,
      status: cloud.vappStatus(vapp),
      name: vapp.name,
      id: `urn:vcloud:vapp:${vapp.id}`,
      href: hrefs.vapp(vapp.id),
      type: `${MEDIA.vapp}+xml`,
    },
    vappLinks(viewer, vapp),
    build('Description', {}, vapp.description),
    tasksInProgress(viewer, vapp.id),
    leaseSettingsSection(viewer, vapp),
    startupSection(viewer, vapp),
    networkSection(viewer, vapp),
    networkConfigSection(viewer, vapp),
    build(
      'SnapshotSection',
      { href: `${hrefs.vapp(vapp.id)}/snapshotSection`, type: `${MEDIA.snapshotSection}+xml`, 'ovf:required': false },
      build('ovf:Info', {}, 'Snapshot information section'),
      snapshotOf(viewer, vapp),
    ),
    vapp.productSections.map((xml) => parseXml(xml)),
    build('DateCreated', {}, vapp.createdAt),
    ownerView(viewer, vapp),
    build('autoNature', {}, vapp.autoNature),
    build('InMaintenanceMode', {}, vapp.inMaintenanceMode),
    vapp.creation === 'running'
      ? undefined
      : build(
          'Children',
          {},
          cloud.vmsOf(vapp).map((vm) => vmView(viewer, vm)),
        ),
  );
}

/** The snapshots of all VMs together: their sizes, the newest's date. */
function snapshotOf({ cloud }: Viewer, vapp: Vapp): XmlElement | undefined {
  const withSnapshot = cloud
    .vmsOf(vapp)
    .flatMap((vm) => cloud.hardware(vm) ?? [])
    .filter((hardware) => hardware.snapshots.length > 0);
  if (withSnapshot.length === 0) return undefined;
  const newest = withSnapshot
    .flatMap((hardware) => hardware.snapshots)
    .map((snapshot) => snapshot.createdAt)
    .sort()
    .at(-1);
  const size = withSnapshot.flatMap((hardware) => hardware.disks).reduce((sum, disk) => sum + disk.capacityBytes, 0);
  return build('Snapshot', { size, poweredOn: false, created: newest });
}

function vappLinks(viewer: Viewer, vapp: Vapp): XmlElement[] {
  const { hrefs, session } = viewer;
  const href = hrefs.vapp(vapp.id);
  const found = [
    ...(vapp.deployed
      ? links('undeploy', `${href}/action/undeploy`, MEDIA.undeploy)
      : links('deploy', `${href}/action/deploy`, MEDIA.deploy)),
    ...(vapp.deployed ? links('power:powerOff', `${href}/power/action/powerOff`) : links('power:powerOn', `${href}/power/action/powerOn`)),
    ...vapp.networks.flatMap((network) => links('down', hrefs.api(`network/${network.id}`), MEDIA.vappNetwork, network.name)),
    ...links('down', `${href}/controlAccess/`, MEDIA.controlAccess),
    ...links('controlAccess', `${href}/action/controlAccess`, MEDIA.controlAccess),
    ...links('up', hrefs.vdc(vapp.vdcId), MEDIA.vdc),
    ...links('recompose', `${href}/action/recomposeVApp`, MEDIA.recompose),
    ...links('edit', href, MEDIA.vapp),
    ...links('remove', href),
    ...links('down', `${href}/owner`, MEDIA.owner),
    ...links('down', `${href}/metadata`, MEDIA.metadata),
    ...links('down', `${href}/productSections/`, MEDIA.productSections),
  ];
  if (session.isProvider) {
    const mode = vapp.inMaintenanceMode ? 'exitMaintenanceMode' : 'enterMaintenanceMode';
    found.push(...links(mode, `${href}/action/${mode}`));
  }
  return found;
}

export function leaseSettingsSection(viewer: Viewer, vapp: Vapp): XmlElement {
  const href = `${viewer.hrefs.vapp(vapp.id)}/leaseSettingsSection/`;
  const expiry = (seconds: number): string => new Date(Date.parse(vapp.createdAt) + seconds * 1000).toISOString();
  const { deploymentSeconds, storageSeconds } = vapp.lease;
  return build(
    'LeaseSettingsSection',
    { href, type: `${MEDIA.leaseSettings}+xml`, 'ovf:required': false },
    build('ovf:Info', {}, 'Lease settings section'),
    links('edit', href, MEDIA.leaseSettings),
    build('DeploymentLeaseInSeconds', {}, deploymentSeconds),
    build('StorageLeaseInSeconds', {}, storageSeconds),
    vapp.deployed && deploymentSeconds > 0 ? build('DeploymentLeaseExpiration', {}, expiry(deploymentSeconds)) : undefined,
    !vapp.deployed && storageSeconds > 0 ? build('StorageLeaseExpiration', {}, expiry(storageSeconds)) : undefined,
  );
}

export function startupSection(viewer: Viewer, vapp: Vapp): XmlElement {
  const href = `${viewer.hrefs.vapp(vapp.id)}/startupSection/`;
  return build(
    'ovf:StartupSection',
    { 'vcloud:href': href, 'vcloud:type': `${MEDIA.startup}+xml` },
    build('ovf:Info', {}, 'VApp startup section'),
    vapp.startup.map((item) =>
      build('ovf:Item', {
        'ovf:id': item.vmName,
        'ovf:order': item.order,
        'ovf:startAction': item.startAction,
        'ovf:startDelay': item.startDelaySeconds,
        'ovf:stopAction': item.stopAction,
        'ovf:stopDelay': item.stopDelaySeconds,
      }),
    ),
    links('edit', href, MEDIA.startup),
  );
}

const NONE_DESCRIPTION = 'This is a special place-holder used for disconnected network interfaces.';

export function networkSection(viewer: Viewer, vapp: Vapp): XmlElement {
  const network = (name: string, description: string): XmlElement =>
    build('ovf:Network', { 'ovf:name': name }, build('ovf:Description', {}, description));
  return build(
    'ovf:NetworkSection',
    { 'vcloud:href': `${viewer.hrefs.vapp(vapp.id)}/networkSection/`, 'vcloud:type': `${MEDIA.networkSection}+xml` },
    build('ovf:Info', {}, 'The list of logical networks'),
    vapp.networks.map((each) => network(each.name, parseXml(each.xml).textAt('Description') ?? '')),
    usesNone(viewer, vapp) ? network(NETWORK_NONE, NONE_DESCRIPTION) : undefined,
  );
}

export function networkConfigSection(viewer: Viewer, vapp: Vapp): XmlElement {
  const href = `${viewer.hrefs.vapp(vapp.id)}/networkConfigSection/`;
  return build(
    'NetworkConfigSection',
    { href, type: `${MEDIA.networkConfig}+xml`, 'ovf:required': false },
    build('ovf:Info', {}, 'The configuration parameters for logical networks'),
    links('edit', href, MEDIA.networkConfig),
    vapp.networks.map((network) => networkConfig(viewer, vapp, network)),
    usesNone(viewer, vapp) ? noneNetworkConfig() : undefined,
  );
}

/** The stored element with what is not the client's: links, the parent's address for this viewer, IsDeployed. */
function networkConfig(viewer: Viewer, vapp: Vapp, network: VappNetwork): XmlElement {
  const element = parseXml(network.xml);
  const parent = element.find('Configuration', 'ParentNetwork');
  const orgNetwork = viewer.cloud.state.orgNetworks.find((candidate) => candidate.id === network.parentId);
  if (parent && network.parentId !== undefined) {
    parent.attributes = reference('ParentNetwork', {
      href: viewer.hrefs.network(network.parentId),
      id: network.parentId,
      name: orgNetwork?.name ?? parent.attribute('name'),
      media: viewer.session.isProvider ? MEDIA.adminNetwork : MEDIA.network,
    }).attributes;
  }
  element.children = [
    ...links('repair', viewer.hrefs.api(`${viewer.session.isProvider ? 'admin/' : ''}network/${network.id}/action/reset`)),
    ...element.children,
    build('IsDeployed', {}, vapp.deployed),
  ];
  return element;
}

/** VCD shows this network for as long as a NIC is on it; nobody makes or removes it. */
function noneNetworkConfig(): XmlElement {
  const scope = build(
    'IpScope',
    {},
    build('IsInherited', {}, false),
    build('Gateway', {}, '196.254.254.254'),
    build('Netmask', {}, '255.255.0.0'),
    build('Dns1', {}, '196.254.254.254'),
  );
  return build(
    'NetworkConfig',
    { networkName: NETWORK_NONE },
    build('Description', {}, NONE_DESCRIPTION),
    build('Configuration', {}, build('IpScopes', {}, scope), build('FenceMode', {}, 'isolated')),
    build('IsDeployed', {}, false),
  );
}

function usesNone(viewer: Viewer, vapp: Vapp): boolean {
  const { cloud } = viewer;
  return [...cloud.vmsOf(vapp), ...cloud.templateVmsOf(vapp.id)].some((vm) => {
    const hardware = viewer.cloud.hardware(vm);
    return hardware !== undefined && viewer.cloud.nics(vm, hardware).some(({ record }) => record.network === NETWORK_NONE);
  });
}

export function ownerView(viewer: Viewer, vapp: Vapp): XmlElement | undefined {
  const user = userReference(viewer, 'User', viewer.cloud.user(vapp.ownerUserId ?? ''));
  return user && build('Owner', { type: `${MEDIA.owner}+xml` }, user);
}

export function controlAccessView(viewer: Viewer, vapp: Vapp): XmlElement {
  return accessView(viewer, vapp.access);
}

export function accessView(viewer: Viewer, access: Access): XmlElement {
  const settings = access.grants.map((grant) => {
    const user = viewer.cloud.user(grant.subjectId);
    const organization = viewer.cloud.organization(grant.subjectId);
    const subject =
      grant.subjectKind === 'user'
        ? reference('Subject', {
            href: viewer.hrefs.user(grant.subjectId),
            id: `urn:vcloud:user:${grant.subjectId}`,
            name: user?.name,
            media: MEDIA.user,
          })
        : reference('Subject', {
            href: viewer.hrefs.adminOrg(grant.subjectId),
            id: `urn:vcloud:org:${grant.subjectId}`,
            name: organization?.name,
            media: MEDIA.adminOrg,
          });
    return build('AccessSetting', {}, subject, build('AccessLevel', {}, grant.accessLevel));
  });
  return build(
    'ControlAccessParams',
    {},
    build('IsSharedToEveryone', {}, access.sharedToEveryone),
    access.sharedToEveryone ? build('EveryoneAccessLevel', {}, access.everyoneAccessLevel ?? 'ReadOnly') : undefined,
    settings.length > 0 ? build('AccessSettings', {}, settings) : undefined,
  );
}

export function productSectionsView(href: string, sections: readonly string[]): XmlElement {
  return build(
    'ProductSectionList',
    { href, type: `${MEDIA.productSections}+xml` },
    links('edit', href, MEDIA.productSections),
    sections.map((xml) => parseXml(xml)),
  );
}
