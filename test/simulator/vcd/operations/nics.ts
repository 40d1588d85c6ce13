import { isIPv4 } from 'node:net';
import { parseXml, type XmlElement } from '../../../../src/common/index.js';
import type { NicAdapter, SimNicSpec, SimVm } from '../../model/vsphere-types.js';
import type { VcdCloud } from '../cloud.js';
import { badRequest } from '../faults.js';
import { NETWORK_NONE, type Vapp, type Vm, type VmNic } from '../state.js';
import { portGroupOf } from './networks.js';

/** One NIC as a request wants it. */
export interface WantedNic {
  index: number;
  network: string;
  connected: boolean;
  macAddress: string | undefined;
  allocationMode: string;
  ipAddress: string | undefined;
  adapterType: string | undefined;
}
export interface WantedNics {
  nics: WantedNic[];
  primaryIndex: number | undefined;
}

/** Reads a NetworkConnectionSection; its grammar is already checked. */
export function readNetworkConnections(section: XmlElement): WantedNics {
  const primary = section.textAt('PrimaryNetworkConnectionIndex');
  return {
    primaryIndex: primary === undefined ? undefined : Number(primary),
    nics: section.childrenNamed('NetworkConnection').map((connection) => ({
      index: Number(connection.textAt('NetworkConnectionIndex')),
      network: connection.attribute('network', '') ?? NETWORK_NONE,
      connected: isTrue(connection.textAt('IsConnected')),
      macAddress: connection.textAt('MACAddress') || undefined,
      allocationMode: connection.textAt('IpAddressAllocationMode') ?? 'NONE',
      ipAddress: connection.textAt('IpAddress') || undefined,
      adapterType: connection.textAt('NetworkAdapterType') || undefined,
    })),
  };
}

export function isTrue(text: string | undefined): boolean {
  return text === 'true' || text === '1';
}

/** @throws VcdFault 400 for an unknown network, an index twice, a primary that is none of them, a missing manual address. */
export function checkNics(vapp: Vapp, vm: Vm, wanted: WantedNics): void {
  const indexes = wanted.nics.map((nic) => nic.index);
  if (new Set(indexes).size !== indexes.length) throw badRequest(`VM "${vm.name}" has a network connection index twice.`);
  if (wanted.primaryIndex !== undefined && wanted.nics.length > 0 && !indexes.includes(wanted.primaryIndex)) {
    throw badRequest(`The primary network connection index ${wanted.primaryIndex} of VM "${vm.name}" is none of its connections.`);
  }
  for (const nic of wanted.nics) {
    if (nic.network !== NETWORK_NONE && !vapp.networks.some((network) => network.name === nic.network)) {
      throw badRequest(`The network "${nic.network}" of VM "${vm.name}" does not exist in vApp "${vapp.name}".`);
    }
    if (nic.allocationMode === 'MANUAL' && nic.ipAddress === undefined) {
      throw badRequest(`Network connection ${nic.index} of VM "${vm.name}" has allocation mode MANUAL and no IP address.`);
    }
    if (nic.adapterType !== undefined && !adapterOf(nic.adapterType)) {
      throw badRequest(`The network adapter type "${nic.adapterType}" of VM "${vm.name}" is not supported by its hardware version.`);
    }
  }
}

function adapterOf(text: string | undefined): NicAdapter | undefined {
  const lower = text?.toLowerCase();
  return (['vmxnet3', 'e1000', 'e1000e'] as const).find((adapter) => adapter === lower);
}

/** Makes vSphere's NICs and VCD's records what is wanted. A NIC of the same index and type stays the same device. */
export async function applyNics(cloud: VcdCloud, vapp: Vapp, vm: Vm, hardware: SimVm, wanted: WantedNics): Promise<void> {
  const existing = cloud.nics(vm, hardware);
  const deviceOf = (nic: WantedNic) =>
    existing.find(
      ({ record, device }) => record.index === nic.index && (adapterOf(nic.adapterType) ?? device.adapterType) === device.adapterType,
    )?.device;
  // Devices that stay come in their order; new ones follow, as vSphere numbers them.
  const order = (nic: WantedNic): number => deviceOf(nic)?.key ?? Number.MAX_SAFE_INTEGER;
  const ordered = [...wanted.nics].sort((a, b) => order(a) - order(b) || a.index - b.index);
  const specs = ordered.map((nic): SimNicSpec => {
    const device = deviceOf(nic);
    return {
      ...(device ? { key: device.key } : {}),
      adapterType: adapterOf(nic.adapterType) ?? device?.adapterType ?? 'vmxnet3',
      macAddress: nic.macAddress?.toLowerCase() ?? device?.macAddress,
      networkMoRef: portGroupOf(cloud, vapp, nic.network),
      connected: nic.connected && nic.network !== NETWORK_NONE,
    };
  });
  await cloud.vsphere.setNics(vm.moRef, specs);
  const after = cloud.vsphere.vm(vm.moRef)?.nics ?? [];
  vm.nics = ordered.map((nic, position): VmNic => {
    const isNone = nic.network === NETWORK_NONE;
    return {
      deviceKey: after[position]?.key ?? 0,
      index: nic.index,
      network: nic.network,
      allocationMode: isNone ? 'NONE' : nic.allocationMode,
      ipAddress: isNone ? undefined : addressOf(cloud, vapp, vm, nic),
      connected: nic.connected && !isNone,
      needsCustomization: false,
    };
  });
  vm.primaryNicIndex =
    wanted.primaryIndex ?? (wanted.nics.some((nic) => nic.index === vm.primaryNicIndex) ? vm.primaryNicIndex : ordered[0]?.index);
  cloud.changed();
}

/** POOL: the address asked for when it is in the pool and free, otherwise the next free one. */
function addressOf(cloud: VcdCloud, vapp: Vapp, vm: Vm, nic: WantedNic): string | undefined {
  if (nic.allocationMode === 'MANUAL') return nic.ipAddress;
  if (nic.allocationMode !== 'POOL') return undefined;
  const network = vapp.networks.find((candidate) => candidate.name === nic.network);
  const pool = network ? poolOf(parseXml(network.xml)) : [];
  const taken = new Set(addressesInUse(cloud, network?.parentId, vapp, nic.network, vm, nic.index));
  const inPool = (address: string): boolean =>
    isIPv4(address) && pool.some(([from, to]) => toNumber(address) >= from && toNumber(address) <= to);
  if (nic.ipAddress !== undefined && inPool(nic.ipAddress) && !taken.has(nic.ipAddress)) return nic.ipAddress;
  for (const [from, to] of pool) {
    for (let number = from; number <= to; number += 1) if (!taken.has(toAddress(number))) return toAddress(number);
  }
  throw badRequest(`The IP address pool of network "${nic.network}" is exhausted.`);
}

function poolOf(config: XmlElement): [number, number][] {
  const scopes = config.find('Configuration', 'IpScopes')?.childrenNamed('IpScope') ?? [];
  return scopes
    .flatMap((scope) => scope.child('IpRanges')?.childrenNamed('IpRange') ?? [])
    .map((range): [number, number] => [toNumber(range.textAt('StartAddress') ?? ''), toNumber(range.textAt('EndAddress') ?? '')]);
}

/** A bridged network shares its addresses with all vApps on the same parent; an own network with nobody. */
function addressesInUse(
  cloud: VcdCloud,
  parentId: string | undefined,
  vapp: Vapp,
  networkName: string,
  self: Vm,
  selfIndex: number,
): string[] {
  const own = vapp.networks.find((network) => network.name === networkName)?.portGroupMoRef !== undefined;
  return cloud.state.vapps.flatMap((other) => {
    const names = other.networks
      .filter((network) =>
        own ? other.id === vapp.id && network.name === networkName : network.parentId === parentId && network.portGroupMoRef === undefined,
      )
      .map((network) => network.name);
    return cloud
      .vmsOf(other)
      .flatMap((vm) =>
        vm.nics
          .filter((nic) => names.includes(nic.network) && !(vm.id === self.id && nic.index === selfIndex))
          .flatMap((nic) => nic.ipAddress ?? []),
      );
  });
}

/** @throws VcdFault 400 for a manual address that another NIC has on the same organization (or own) network. */
export function requireFreeAddresses(cloud: VcdCloud, vapp: Vapp, vm: Vm, wanted: WantedNics): void {
  for (const nic of wanted.nics) {
    if (nic.allocationMode !== 'MANUAL' || nic.network === NETWORK_NONE || nic.ipAddress === undefined) continue;
    const network = vapp.networks.find((candidate) => candidate.name === nic.network);
    if (addressesInUse(cloud, network?.parentId, vapp, nic.network, vm, nic.index).includes(nic.ipAddress))
      throw badRequest(`The IP address ${nic.ipAddress} of VM "${vm.name}" is already in use on network "${nic.network}".`);
  }
}

/** @throws VcdFault 400 where this cell wants MAC addresses unique and another VM has one of these. */
export function requireFreeMacs(cloud: VcdCloud, vm: Vm, wanted: WantedNics): void {
  if (cloud.variants.duplicateMac !== '400') return;
  const taken = new Set(
    cloud.state.vms
      .filter((other) => other.id !== vm.id)
      .flatMap((other) => cloud.hardware(other)?.nics.map((nic) => nic.macAddress) ?? []),
  );
  const twice = wanted.nics.find((nic) => nic.macAddress !== undefined && taken.has(nic.macAddress.toLowerCase()));
  if (twice) throw badRequest(`The MAC address ${twice.macAddress} of VM "${vm.name}" is already in use.`);
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}
function toAddress(number: number): string {
  return [16_777_216, 65_536, 256, 1].map((unit) => Math.floor(number / unit) % 256).join('.');
}
