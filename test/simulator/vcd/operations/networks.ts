import { randomUUID } from 'node:crypto';
import { parseXml, type XmlElement, writeXml } from '../../../../src/common/index.js';
import type { VcdCloud } from '../cloud.js';
import { badRequest } from '../faults.js';
import { idFromHref } from '../hrefs.js';
import { NETWORK_NONE, type OrgNetwork, type Vapp, type VappNetwork } from '../state.js';
import { build, WRITE_PREFIXES } from '../xml-names.js';
import { ipScope } from '../views/organization-view.js';

/**
 * Reads a NetworkConfigSection into what a vApp keeps; existing networks keep their id and port group.
 * @throws VcdFault 400 for a name twice, a wrong parent, a NAT rule to a VM that is not there, a network still in use.
 */
export function readNetworks(cloud: VcdCloud, vapp: Vapp, section: XmlElement): VappNetwork[] {
  const configs = section.childrenNamed('NetworkConfig').filter((config) => config.attribute('networkName') !== NETWORK_NONE);
  const networks = configs.map((config) => readNetwork(cloud, vapp, config));
  const names = networks.map((network) => network.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw badRequest(`There are several networks named "${twice}" in the network configuration of vApp "${vapp.name}".`);
  requireUnused(cloud, vapp, networks);
  return networks;
}

/** @throws VcdFault 400 when a VM's NIC is on a network that is not among those that stay. */
export function requireUnused(cloud: VcdCloud, vapp: Vapp, kept: readonly VappNetwork[]): void {
  const names = kept.map((network) => network.name);
  for (const vm of cloud.vmsOf(vapp)) {
    const lost = vm.nics.find((nic) => nic.network !== NETWORK_NONE && !names.includes(nic.network));
    if (lost)
      throw badRequest(`The network "${lost.network}" is in use by VM "${vm.name}" and cannot be removed from vApp "${vapp.name}".`);
  }
}

function readNetwork(cloud: VcdCloud, vapp: Vapp, config: XmlElement): VappNetwork {
  const name = config.attribute('networkName') ?? '';
  const configuration = config.child('Configuration') as XmlElement;
  const fenceMode = configuration.textAt('FenceMode');
  const parent = readParent(cloud, vapp, name, configuration);
  if (fenceMode === 'isolated' && parent) throw badRequest(`The isolated network "${name}" cannot have a parent network.`);
  if (fenceMode !== 'isolated' && !parent) throw badRequest(`The ${fenceMode} network "${name}" must have a parent network.`);
  if (fenceMode !== 'bridged') requireOwnAddresses(name, configuration);
  requireKnownVms(cloud, vapp, name, configuration);
  const stored = config.clone();
  const kept = stored.child('Configuration') as XmlElement;
  if (fenceMode === 'bridged' && parent) inheritAddresses(kept, parent);
  for (const reference of kept.childrenNamed('ParentNetwork')) {
    reference.attributes = [];
    reference.setAttribute('name', parent?.name ?? '');
  }
  stored.attributes = stored.attributes.filter((attribute) => attribute.local === 'networkName');
  stored.children = stored.elements().filter((child) => child.local !== 'Link' && child.local !== 'IsDeployed');
  const known = vapp.networks.find((network) => network.name === name);
  return {
    id: known?.id ?? randomUUID(),
    name,
    portGroupMoRef: fenceMode === 'bridged' ? undefined : known?.portGroupMoRef,
    parentId: parent?.id,
    xml: writeXml(stored, { prefixes: WRITE_PREFIXES, declaration: false }),
  };
}

function readParent(cloud: VcdCloud, vapp: Vapp, name: string, configuration: XmlElement): OrgNetwork | undefined {
  const href = configuration.child('ParentNetwork')?.attribute('href', '');
  if (href === undefined) return undefined;
  const id = idFromHref(href, 'network/');
  const organizationVdcs = cloud.state.vdcs.filter((vdc) => vdc.organizationId === vapp.organizationId).map((vdc) => vdc.id);
  const parent = cloud.state.orgNetworks.find((network) => network.id === id && organizationVdcs.includes(network.vdcId));
  if (!parent) throw badRequest(`The parent network ${id} of network "${name}" does not exist or cannot be used by vApp "${vapp.name}".`);
  return parent;
}

function requireOwnAddresses(name: string, configuration: XmlElement): void {
  const scopes = configuration.child('IpScopes')?.childrenNamed('IpScope') ?? configuration.childrenNamed('IpScope');
  if (scopes.length === 0) throw badRequest(`The network "${name}" needs an IP scope of its own.`);
  for (const scope of scopes) {
    if (scope.textAt('Gateway') === undefined || (scope.textAt('Netmask') ?? scope.textAt('SubnetPrefixLength')) === undefined) {
      throw badRequest(`The IP scope of network "${name}" needs a gateway and a netmask.`);
    }
  }
}

/** NAT and firewall rules name VMs by their VAppScopedLocalId. */
function requireKnownVms(cloud: VcdCloud, vapp: Vapp, name: string, configuration: XmlElement): void {
  const localIds = new Set(cloud.vmsOf(vapp).map((vm) => vm.localId));
  const visit = (element: XmlElement): void => {
    if (element.local === 'VAppScopedVmId' && !localIds.has(element.text())) {
      throw badRequest(`A rule of network "${name}" refers to the VM "${element.text()}", which is not in vApp "${vapp.name}".`);
    }
    for (const child of element.elements()) visit(child);
  };
  visit(configuration);
}

/** A bridged network has the addresses of its parent, whatever was sent. */
function inheritAddresses(configuration: XmlElement, parent: OrgNetwork): void {
  const scopes = build('IpScopes', {}, ipScope(parent, true));
  const before = configuration
    .elements()
    .findIndex((child) => child.local !== 'VCloudExtension' && child.local !== 'BackwardCompatibilityMode');
  const rest = configuration.elements().filter((child) => child.local !== 'IpScope' && child.local !== 'IpScopes');
  configuration.children = [...rest.slice(0, before), scopes, ...rest.slice(before)];
}

/** Makes the vApp's networks these: own networks get a port group, networks that are gone lose theirs. */
export function applyNetworks(cloud: VcdCloud, vapp: Vapp, networks: VappNetwork[]): void {
  const old = vapp.networks;
  for (const network of networks) {
    if (!isBridged(network)) network.portGroupMoRef ??= cloud.vsphere.createPortGroup(`dvs.VCDVS${network.name}-${network.id}`).moRef;
  }
  vapp.networks = networks;
  for (const network of old) {
    if (network.portGroupMoRef && !networks.some((kept) => kept.portGroupMoRef === network.portGroupMoRef))
      cloud.vsphere.remove(network.portGroupMoRef);
  }
  cloud.changed();
}

export function isBridged(network: VappNetwork): boolean {
  return parseXml(network.xml).find('Configuration')?.textAt('FenceMode') === 'bridged';
}

/** What an import gives a vApp for a NIC on an organization network's port group. */
export function bridgedNetwork(parent: OrgNetwork): VappNetwork {
  const config = build(
    'NetworkConfig',
    { networkName: parent.name },
    build('Description', {}, parent.description),
    build(
      'Configuration',
      {},
      build('IpScopes', {}, ipScope(parent, true)),
      build('ParentNetwork', { name: parent.name }),
      build('FenceMode', {}, 'bridged'),
      build('RetainNetInfoAcrossDeployments', {}, false),
    ),
  );
  return {
    id: randomUUID(),
    name: parent.name,
    portGroupMoRef: undefined,
    parentId: parent.id,
    xml: writeXml(config, { prefixes: WRITE_PREFIXES, declaration: false }),
  };
}

/** The port group a NIC on this vApp network is plugged into; a NIC on none is plugged in anywhere, unconnected. */
export function portGroupOf(cloud: VcdCloud, vapp: Pick<Vapp, 'networks'>, networkName: string): string {
  const network = vapp.networks.find((candidate) => candidate.name === networkName);
  const parent = cloud.state.orgNetworks.find((candidate) => candidate.id === network?.parentId);
  const moRef = network?.portGroupMoRef ?? parent?.portGroupMoRef ?? cloud.vsphere.networks()[0]?.moRef;
  if (moRef === undefined) throw badRequest('vCenter has no network.');
  return moRef;
}
