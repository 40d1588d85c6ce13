import { element, type XmlElement } from '../common/index.js';
import { whole } from './sections.js';
import { OVF, VCLOUD } from './namespaces.js';
import type { NicConnection } from './types.js';

/** NetworkConnectionType's sequence. */
const ORDER = [
  'VCloudExtension',
  'NetworkConnectionIndex',
  'IpAddress',
  'IpType',
  'SecondaryIpAddress',
  'SecondaryIpType',
  'ExternalIpAddress',
  'IsConnected',
  'MACAddress',
  'IpAddressAllocationMode',
  'SecondaryIpAddressAllocationMode',
  'NetworkAdapterType',
];

/**
 * The NetworkConnectionSection that gives a VM its captured connections back. NICs are matched to the
 * present ones by MAC address, then by index, so that what VCD knows of a NIC beyond the capture stays.
 *
 * keepMacAddresses false: a NIC that still has the captured address gets none, and VCD makes a new one;
 * two VMs with one address must not meet on a network.
 */
export function networkConnections(
  present: XmlElement | undefined,
  nics: readonly NicConnection[],
  options: { keepMacAddresses: boolean },
): XmlElement {
  const unmatched = [...(present?.childrenNamed('NetworkConnection') ?? [])];
  const take = (matches: (connection: XmlElement) => boolean): XmlElement | undefined => {
    const index = unmatched.findIndex(matches);
    return index < 0 ? undefined : unmatched.splice(index, 1)[0];
  };
  const ordered = [...nics].sort((one, other) => one.index - other.index);
  const byMac = new Map(ordered.map((nic) => [nic, take((connection) => sameMac(connection.textAt('MACAddress'), nic.macAddress))]));
  const connections = ordered.map((nic) => {
    const twin = byMac.get(nic) ?? take((connection) => whole(connection.textAt('NetworkConnectionIndex')) === nic.index);
    return connectionOf(nic, twin, options.keepMacAddresses);
  });
  const primary = ordered.find((nic) => nic.primary);
  const section = element(
    'NetworkConnectionSection',
    VCLOUD,
    {},
    element('Info', OVF, {}, 'Specifies the available VM network connections'),
  );
  section.setAttribute('required', 'false', OVF);
  if (primary !== undefined) section.append(element('PrimaryNetworkConnectionIndex', VCLOUD, {}, String(primary.index)));
  return section.append(...connections);
}

function connectionOf(nic: NicConnection, twin: XmlElement | undefined, keepMacAddress: boolean): XmlElement {
  const presentMac = twin?.textAt('MACAddress');
  const otherMac = presentMac !== undefined && !sameMac(presentMac, nic.macAddress) ? presentMac : undefined;
  const values: Record<string, string | undefined> = {
    NetworkConnectionIndex: String(nic.index),
    // DHCP and NONE take no address; for POOL it asks for the same one again.
    IpAddress: nic.allocationMode === 'MANUAL' || nic.allocationMode === 'POOL' ? nic.ipAddress : undefined,
    IsConnected: String(nic.connected),
    MACAddress: keepMacAddress ? nic.macAddress : otherMac,
    IpAddressAllocationMode: nic.allocationMode,
    NetworkAdapterType: nic.adapterType ?? twin?.textAt('NetworkAdapterType'),
    // Given by the network's NAT, not by the NIC.
    ExternalIpAddress: undefined,
  };
  const kept = (twin?.elements() ?? []).filter((part) => !(part.local in values));
  const set = Object.entries(values).flatMap(([local, value]) => (value === undefined ? [] : [element(local, VCLOUD, {}, value)]));
  const rank = (part: XmlElement) => {
    const index = ORDER.indexOf(part.local);
    return index < 0 ? ORDER.length : index;
  };
  const connection = element('NetworkConnection', VCLOUD, { network: nic.network });
  const needsCustomization = twin?.attribute('needsCustomization');
  if (needsCustomization !== undefined) connection.setAttribute('needsCustomization', needsCustomization);
  return connection.append(...[...kept, ...set].sort((one, other) => rank(one) - rank(other)));
}

function sameMac(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && other !== undefined && one.toLowerCase() === other.toLowerCase();
}
