import { element, parseXml, type XmlElement } from '../common/index.js';
import { readVapp, type VcdContext } from './context.js';
import { putSection, readSection, withoutChildren } from './edit-vapp.js';
import { sameEntity } from './links.js';
import { MEDIA, VCLOUD } from './namespaces.js';
import type { VappNetwork } from './types.js';

/**
 * Replaces the vApp's networks by the captured ones. An import maps a VM's port groups to networks of its
 * own making; VCD refuses to take those away while a NIC uses them, so such NICs are unplugged first and
 * wait for writeVm.
 *
 * @param parents captured parent network href -> href of today's. A parent not in it is gone, and its network
 * becomes an isolated one: bridged and NAT-routed networks cannot be without.
 */
export async function writeNetworkConfig(
  context: VcdContext,
  vappHref: string,
  networks: readonly VappNetwork[],
  parents: ReadonlyMap<string, string>,
  signal?: AbortSignal,
): Promise<void> {
  const names = new Set(networks.map((network) => network.name));
  const { root } = await readVapp(context, vappHref, signal);
  for (const vm of root.child('Children')?.childrenNamed('Vm') ?? []) await unplug(context, vm, names, signal);
  const section = await readSection(context, vappHref, 'NetworkConfigSection', 'networkConfigSection', signal);
  const body = withoutChildren(section, 'Link', 'NetworkConfig');
  body.append(...networks.map((network) => writableNetworkConfig(network, parents)));
  await putSection(context, vappHref, 'networkConfigSection', 'the networks', body, MEDIA.networkConfig, signal);
}

async function unplug(context: VcdContext, vm: XmlElement, staying: ReadonlySet<string>, signal?: AbortSignal): Promise<void> {
  const section = vm.child('NetworkConnectionSection');
  const href = vm.attribute('href');
  const leaving = (section?.childrenNamed('NetworkConnection') ?? []).filter((nic) => {
    const network = nic.attribute('network') ?? 'none';
    return network !== 'none' && !staying.has(network);
  });
  if (section === undefined || href === undefined || leaving.length === 0) return;
  for (const nic of leaving) {
    nic.setAttribute('network', 'none');
    nic.children = nic.elements().filter((part) => part.local !== 'IpAddress' && part.local !== 'ExternalIpAddress');
    nic.child('IsConnected')?.setText('false');
    nic.child('IpAddressAllocationMode')?.setText('NONE');
  }
  const body = withoutChildren(section, 'Link');
  await putSection(context, href, 'networkConnectionSection', 'the network connections', body, MEDIA.networkConnection, signal);
}

/** Read-only parts: VCD refuses or ignores them, and they belong to the cloud of the day of the capture. */
const READ_ONLY = new Set(['Link', 'IsDeployed', 'RouterInfo', 'AllocatedIpAddresses', 'VCloudExtension']);

/** The captured NetworkConfig as VCD takes it. NAT rules name VMs by their local id, which the import gave back. */
export function writableNetworkConfig(network: VappNetwork, parents: ReadonlyMap<string, string>): XmlElement {
  const config = parseXml(network.xml);
  config.attributes = [];
  config.setAttribute('networkName', network.name);
  dropReadOnly(config);
  writeDescription(config, network.description);
  const configuration = config.child('Configuration');
  const parent = configuration?.child('ParentNetwork');
  if (configuration && parent) {
    const today = todaysParent(network.parent?.href ?? parent.attribute('href') ?? '', parents);
    if (today === undefined) isolate(configuration);
    else parent.attributes = [{ local: 'href', namespace: '', value: today }];
  }
  return config;
}

/** An isolated network keeps its addresses and DHCP; there is nothing to route or translate to. */
function isolate(configuration: XmlElement): void {
  configuration.children = configuration.elements().filter((part) => part.local !== 'ParentNetwork');
  configuration.child('FenceMode')?.setText('isolated');
  for (const scope of configuration.child('IpScopes')?.childrenNamed('IpScope') ?? []) scope.child('IsInherited')?.setText('false');
  const features = configuration.child('Features');
  if (features) features.children = features.elements().filter((service) => service.local === 'DhcpService');
}

/** User and admin view of a network differ in the path: the same network all the same. */
function todaysParent(captured: string, parents: ReadonlyMap<string, string>): string | undefined {
  const exact = parents.get(captured);
  if (exact !== undefined) return exact;
  for (const [from, to] of parents) if (sameEntity(from, captured)) return to;
  return undefined;
}

function writeDescription(config: XmlElement, description: string | undefined): void {
  const present = config.child('Description');
  if (present) present.setText(description ?? '');
  else if (description !== undefined) config.children.unshift(element('Description', VCLOUD, {}, description));
}

function dropReadOnly(parent: XmlElement): void {
  parent.children = parent.children.filter((node) => typeof node === 'string' || !READ_ONLY.has(node.local));
  // An address VCD chose itself may be taken by now; it chooses again.
  if (parent.textAt('MappingMode') === 'automatic') {
    parent.children = parent.children.filter((node) => typeof node === 'string' || node.local !== 'ExternalIpAddress');
  }
  for (const child of parent.elements()) dropReadOnly(child);
}
