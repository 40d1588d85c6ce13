import type { NicConnection, VappNetwork, VmCapture } from '../../vcd/index.js';
import type { PlanItem } from '../plan-types.js';
import { planItem } from './choose.js';
import type { NicInUse } from './today.js';

export interface NicRuleInput {
  keepMacAddresses: boolean;
  ipAddresses: 'keep' | 'pool' | undefined;
  nicsInUse: readonly NicInUse[];
  /** Networks the restored VM finds in its vApp. */
  networks: readonly VappNetwork[];
  /** Names of those that have another parent than before. */
  remapped: ReadonlySet<string>;
  sameNetwork: (one: string, other: string) => boolean;
}

/**
 * NICs without collisions: two VMs of one MAC address or one IP address disturb each other, and the one that
 * runs today has the older right.
 */
export function ruleNics(vm: VmCapture, input: NicRuleInput): { vm: VmCapture; items: PlanItem[] } {
  const items: PlanItem[] = [];
  const nics = vm.nics.map((nic) => {
    const plugged = rulePlug(vm, nic, input.networks, items);
    return ruleIp(vm, ruleMac(vm, plugged, input, items), input, items);
  });
  return { vm: { ...vm, nics }, items };
}

function rulePlug(vm: VmCapture, nic: NicConnection, networks: readonly VappNetwork[], items: PlanItem[]): NicConnection {
  if (nic.network === 'none' || networks.some((network) => network.name === nic.network)) return nic;
  const sentence = `The vApp has no network "${nic.network}"; NIC ${nic.index} of VM "${vm.name}" stays unplugged.`;
  items.push(planItem(`vms.${vm.name}.nics.${nic.index}.network`, 'missing', { captured: nic.network, planned: 'none' }, sentence));
  items.push(planItem(`vms.${vm.name}.nics.${nic.index}.connected`, 'changed', { captured: nic.connected, planned: false }, sentence));
  const { ipAddress: _, ...rest } = nic;
  return { ...rest, network: 'none', connected: false, allocationMode: 'NONE' };
}

function ruleMac(vm: VmCapture, nic: NicConnection, input: NicRuleInput, items: PlanItem[]): NicConnection {
  const { macAddress, ...rest } = nic;
  if (macAddress === undefined) return nic;
  const attribute = `vms.${vm.name}.nics.${nic.index}.macAddress`;
  const options = [
    { value: 'keep', label: 'The captured addresses, where no other VM has them' },
    { value: 'new', label: 'New addresses' },
  ];
  const field = 'macAddresses';
  if (!input.keepMacAddresses) {
    const sentence = `NIC ${nic.index} of VM "${vm.name}" gets a new MAC address: the VM it came from may still have ${macAddress}.`;
    const choice = { field, chosen: 'new', options };
    items.push(planItem(attribute, 'changed', { captured: macAddress, planned: undefined }, sentence, { choice }));
    return rest;
  }
  const other = input.nicsInUse.find((used) => used.macAddress?.toLowerCase() === macAddress.toLowerCase());
  if (other === undefined) return nic;
  const sentence = `MAC address ${macAddress} is in use by VM "${other.vmName}" of vApp "${other.vappName}"; NIC ${nic.index} of VM "${vm.name}" gets a new one.`;
  items.push(planItem(attribute, 'not-permitted', { captured: macAddress, planned: undefined }, sentence));
  return rest;
}

function ruleIp(vm: VmCapture, nic: NicConnection, input: NicRuleInput, items: PlanItem[]): NicConnection {
  const { ipAddress, ...rest } = nic;
  if (nic.allocationMode === 'POOL' && ipAddress !== undefined) return rulePooled(vm, nic, ipAddress, input, items);
  if (nic.allocationMode !== 'MANUAL' || ipAddress === undefined || input.ipAddresses === 'keep') return nic;
  const other = addressHolder(nic, ipAddress, input);
  if (other === undefined && input.ipAddresses !== 'pool') return nic;
  const path = `vms.${vm.name}.nics.${nic.index}`;
  const why = other
    ? `is in use by VM "${other.vmName}" of vApp "${other.vappName}"`
    : 'is not taken because the request asks for addresses from the pool';
  const sentence = `Address ${ipAddress} ${why}; NIC ${nic.index} of VM "${vm.name}" takes one from the pool.`;
  const options = [
    { value: 'keep', label: 'The captured addresses' },
    { value: 'pool', label: "Addresses from the network's pool" },
  ];
  const conformity = other ? 'not-permitted' : 'changed';
  const choice = { field: 'ipAddresses', chosen: 'pool', options };
  items.push(planItem(`${path}.ipAddress`, conformity, { captured: ipAddress, planned: undefined }, sentence, { choice }));
  items.push(planItem(`${path}.allocationMode`, conformity, { captured: 'MANUAL', planned: 'POOL' }, sentence));
  return { ...rest, allocationMode: 'POOL' };
}

/** Who has the address on the network the NIC is bridged to. Inside a vApp's own network addresses are the vApp's. */
function addressHolder(nic: NicConnection, ipAddress: string, { networks, nicsInUse, sameNetwork }: NicRuleInput): NicInUse | undefined {
  const bridgedTo = networks.find((network) => network.name === nic.network && network.fenceMode === 'bridged')?.parent?.href;
  return nicsInUse.find(
    (used) =>
      used.ipAddress === ipAddress && used.networkHref !== undefined && bridgedTo !== undefined && sameNetwork(used.networkHref, bridgedTo),
  );
}

/** The address is the pool's to give: it is asked for again, and another one comes where it is taken or of another network. */
function rulePooled(vm: VmCapture, nic: NicConnection, ipAddress: string, input: NicRuleInput, items: PlanItem[]): NicConnection {
  const other = addressHolder(nic, ipAddress, input);
  const bridged = input.networks.some((network) => network.name === nic.network && network.fenceMode === 'bridged');
  const isElsewhere = bridged && input.remapped.has(nic.network);
  if (other === undefined && !isElsewhere) return nic;
  const why = other ? `is in use by VM "${other.vmName}" of vApp "${other.vappName}"` : 'is of another network than it is connected to now';
  const sentence = `Address ${ipAddress} ${why}; NIC ${nic.index} of VM "${vm.name}" gets another one from the pool.`;
  const attribute = `vms.${vm.name}.nics.${nic.index}.ipAddress`;
  items.push(planItem(attribute, 'changed', { captured: ipAddress, planned: undefined }, sentence));
  const { ipAddress: _, ...rest } = nic;
  return rest;
}
