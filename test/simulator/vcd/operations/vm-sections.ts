import { writeXml, type XmlElement } from '../../../../src/common/index.js';
import type { SimVm } from '../../model/vsphere-types.js';
import { badRequest } from '../faults.js';
import type { Exchange } from '../exchange.js';
import { idFromHref } from '../hrefs.js';
import type { Vm } from '../state.js';
import { BOOT_OPTIONS_ORDER, GUEST_CUSTOMIZATION_ORDER } from '../views/vm-view.js';
import { NAMESPACES, WRITE_PREFIXES } from '../xml-names.js';
import { applyNics, checkNics, isTrue, readNetworkConnections, requireFreeAddresses, requireFreeMacs, type WantedNics } from './nics.js';
import { renameStartupItem } from './life.js';
import { diskSectionChange } from './vm-disks.js';

/** Changes to a VM, each checked at once and done in the task. */
export type VmChange = () => Promise<void> | void;

export function nameChange(exchange: Exchange, vm: Vm, name: string | undefined): VmChange {
  if (name === undefined || name === '' || name.length > 128) throw badRequest('The VM name must have 1 to 128 characters.');
  const vapp = exchange.cloud.vappOf(vm);
  if (exchange.cloud.vmsOf(vapp).some((other) => other.id !== vm.id && other.name === name)) {
    throw badRequest(`vApp "${vapp.name}" has a VM named "${name}" already.`);
  }
  return () => {
    renameStartupItem(vapp, vm.name, name);
    vm.name = name;
  };
}

export function networkConnectionChange(exchange: Exchange, vm: Vm, wanted: WantedNics): VmChange {
  const vapp = exchange.cloud.vappOf(vm);
  checkNics(vapp, vm, wanted);
  requireFreeAddresses(exchange.cloud, vapp, vm, wanted);
  requireFreeMacs(exchange.cloud, vm, wanted);
  return async () => {
    await applyNics(exchange.cloud, vapp, vm, requireHardware(exchange, vm), wanted);
  };
}

/** Booleans VCD fills in where a section leaves them out. */
const CUSTOMIZATION_DEFAULTS: Readonly<Record<string, string>> = {
  Enabled: 'false',
  ChangeSid: 'false',
  JoinDomainEnabled: 'false',
  UseOrgSettings: 'false',
  AdminPasswordEnabled: 'false',
  AdminPasswordAuto: 'true',
  AdminAutoLogonEnabled: 'false',
  AdminAutoLogonCount: '0',
  ResetPasswordRequired: 'false',
};

export function guestCustomizationChange(vm: Vm, section: XmlElement): VmChange {
  const values: Record<string, string> = { ...CUSTOMIZATION_DEFAULTS };
  for (const name of GUEST_CUSTOMIZATION_ORDER) {
    const child = section.child(name, NAMESPACES.vcloud);
    if (!child || name === 'VirtualMachineId') continue;
    const raw = child.children.filter((node): node is string => typeof node === 'string').join('');
    values[name] = name === 'CustomizationScript' ? raw : raw.trim();
  }
  const computerName = values.ComputerName;
  if (computerName !== undefined && !/^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(computerName)) {
    throw badRequest(`The computer name "${computerName}" of VM "${vm.name}" is not valid.`);
  }
  if (isTrue(values.AdminPasswordEnabled) && !isTrue(values.AdminPasswordAuto) && !values.AdminPassword) {
    throw badRequest(`The guest customization of VM "${vm.name}" needs an administrator password or AdminPasswordAuto.`);
  }
  return () => {
    vm.guestCustomization = values;
  };
}

export function capabilitiesChange(vm: Vm, element: XmlElement): VmChange {
  const memory = element.textAt('MemoryHotAddEnabled');
  const cpu = element.textAt('CpuHotAddEnabled');
  return () => {
    vm.capabilities = {
      memoryHotAdd: memory === undefined ? vm.capabilities.memoryHotAdd : isTrue(memory),
      cpuHotAdd: cpu === undefined ? vm.capabilities.cpuHotAdd : isTrue(cpu),
    };
  };
}

export function bootOptionsChange(vm: Vm, element: XmlElement): VmChange {
  const values = Object.fromEntries(
    BOOT_OPTIONS_ORDER.flatMap((name) => {
      const text = element.textAt(name);
      return text === undefined ? [] : [[name, text]];
    }),
  );
  return () => {
    vm.bootOptions = values;
  };
}

export function storageProfileChange(exchange: Exchange, vm: Vm, element: XmlElement): VmChange {
  const href = element.attribute('href', '') ?? '';
  const profile = exchange.cloud.storageProfile(idFromHref(href, 'vdcStorageProfile/'));
  if (!profile || profile.vdcId !== exchange.cloud.vappOf(vm).vdcId)
    throw badRequest(`The storage profile "${href}" is not one of the VDC of VM "${vm.name}".`);
  return () => {
    vm.storageProfileId = profile.id;
  };
}

export function computePolicyChange(exchange: Exchange, vm: Vm, element: XmlElement): VmChange {
  const read = (name: string, kind: 'sizing' | 'placement'): string | undefined => {
    const reference = element.child(name);
    if (!reference) return undefined;
    const id = idFromHref(reference.attribute('href', '') ?? '', 'vdcComputePolicies/');
    const policy = exchange.cloud.state.computePolicies.find((candidate) => candidate.id === id && candidate.kind === kind);
    const { computePolicyIds } = exchange.cloud.vdcOf(exchange.cloud.vappOf(vm));
    if (policy && !computePolicyIds.includes(policy.id))
      throw badRequest(`The compute policy "${policy.name}" is not published to the VDC of VM "${vm.name}".`);
    if (!policy) throw badRequest(`The compute policy ${id} does not exist or is no ${kind} policy.`);
    return policy.id;
  };
  const [placement, sizing] = [read('VmPlacementPolicy', 'placement'), read('VmSizingPolicy', 'sizing')];
  return () => {
    vm.placementPolicyId = placement;
    vm.sizingPolicyId = sizing ?? vm.sizingPolicyId;
  };
}

export function productSectionsChange(vm: Vm, sections: readonly XmlElement[]): VmChange {
  const texts = sections.map((section) => writeXml(section, { prefixes: WRITE_PREFIXES, declaration: false }));
  return () => {
    vm.productSections = texts;
  };
}

/** CPU and memory from RASD items; disks must be those the VM has, because VCD cannot grow what vSphere's model does not. */
export function hardwareItemsChange(exchange: Exchange, vm: Vm, items: readonly XmlElement[]): VmChange {
  const change: SizeChange = {};
  for (const item of items) {
    const field = (local: string): string | undefined => item.child(local, NAMESPACES.rasd)?.text();
    const quantity = Number(field('VirtualQuantity'));
    const kind = field('ResourceType');
    if (kind === '3') {
      requirePositive(quantity, 'number of virtual CPUs', vm);
      change.cpuCount = quantity;
      const cores = item.child('CoresPerSocket', NAMESPACES.vmw)?.text();
      if (cores !== undefined) change.coresPerSocket = Number(cores);
    } else if (kind === '4') {
      requirePositive(quantity, 'memory size', vm);
      change.memoryMib = quantity;
    } else if (kind === '17') requireSameDisk(exchange, vm, item);
  }
  return sizeChange(exchange, vm, change);
}

interface SizeChange {
  cpuCount?: number;
  coresPerSocket?: number;
  memoryMib?: number;
}

/** VmSpecSection counts only where the client says that it modified it. */
export function specSectionChange(exchange: Exchange, vm: Vm, section: XmlElement): VmChange {
  if (!isTrue(section.attribute('Modified', ''))) return () => undefined;
  const change: SizeChange = {};
  const read = (text: string | undefined, what: string): number | undefined => {
    if (text === undefined) return undefined;
    requirePositive(Number(text), what, vm);
    return Number(text);
  };
  change.cpuCount = read(section.textAt('NumCpus'), 'number of virtual CPUs');
  change.coresPerSocket = read(section.textAt('NumCoresPerSocket'), 'number of cores per socket');
  change.memoryMib = read(section.textAt('MemoryResourceMb', 'Configured'), 'memory size');
  const resize = sizeChange(exchange, vm, change);
  const disks = section.child('DiskSection');
  const changeDisks = disks && diskSectionChange(exchange, vm, requireHardware(exchange, vm), disks);
  return async () => {
    await resize();
    await changeDisks?.();
  };
}

function sizeChange(exchange: Exchange, vm: Vm, change: SizeChange): VmChange {
  const hardware = requireHardware(exchange, vm);
  const names = ['cpuCount', 'coresPerSocket', 'memoryMib'] as const;
  const wanted: SizeChange = Object.fromEntries(
    names.flatMap((name) => (change[name] === undefined || change[name] === hardware[name] ? [] : [[name, change[name]]])),
  );
  if (Object.keys(wanted).length === 0) return () => undefined;
  const { cpuCount = hardware.cpuCount, coresPerSocket = hardware.coresPerSocket } = wanted;
  if (cpuCount % coresPerSocket !== 0)
    throw badRequest(`The ${cpuCount} virtual CPUs of VM "${vm.name}" do not fill sockets of ${coresPerSocket} cores.`);
  if (hardware.powerState !== 'poweredOff') requireHotAdd(vm, hardware, wanted);
  return () => exchange.cloud.vsphere.setHardware(vm.moRef, wanted);
}

/** vSphere adds CPUs and memory to a running VM where that is enabled, takes none away, and leaves its sockets as they are. */
function requireHotAdd(vm: Vm, hardware: SimVm, wanted: SizeChange): void {
  const isRunning = hardware.powerState === 'poweredOn';
  const { cpuCount = hardware.cpuCount, memoryMib = hardware.memoryMib } = wanted;
  if (cpuCount !== hardware.cpuCount && !(isRunning && vm.capabilities.cpuHotAdd && cpuCount > hardware.cpuCount))
    throw badRequest(`The number of virtual CPUs of VM "${vm.name}" cannot be changed so while it is not powered off.`);
  if (memoryMib !== hardware.memoryMib && !(isRunning && vm.capabilities.memoryHotAdd && memoryMib > hardware.memoryMib))
    throw badRequest(`The memory of VM "${vm.name}" cannot be changed so while it is not powered off.`);
  if (wanted.coresPerSocket !== undefined)
    throw badRequest(`The cores per socket of VM "${vm.name}" cannot be changed while it is not powered off.`);
}

function requirePositive(quantity: number, what: string, vm: Vm): void {
  if (!Number.isInteger(quantity) || quantity < 1) throw badRequest(`The ${what} of VM "${vm.name}" is not valid.`);
}

function requireSameDisk(exchange: Exchange, vm: Vm, item: XmlElement): void {
  const key = Number(item.child('InstanceID', NAMESPACES.rasd)?.text());
  const disk = requireHardware(exchange, vm).disks.find((candidate) => candidate.key === key);
  if (!disk) throw badRequest(`VM "${vm.name}" has no disk ${key}; this cell adds no disks.`);
  const capacityMib = Number(item.child('HostResource', NAMESPACES.rasd)?.attribute('capacity', NAMESPACES.vcloud));
  if (Number.isFinite(capacityMib) && capacityMib !== Math.floor(disk.capacityBytes / 1_048_576)) {
    throw badRequest(`The size of disk ${key} of VM "${vm.name}" cannot be changed by this cell.`);
  }
}

/** Network cards as RASD items -> the same as a NetworkConnectionSection. */
export function networkCards(items: readonly XmlElement[]): WantedNics {
  const cards = items.filter((item) => item.child('ResourceType', NAMESPACES.rasd)?.text() === '10');
  const connection = (item: XmlElement) => item.child('Connection', NAMESPACES.rasd);
  const primary = cards.find((item) => isTrue(connection(item)?.attribute('primaryNetworkConnection', NAMESPACES.vcloud)));
  const indexOf = (item: XmlElement): number => Number(item.child('AddressOnParent', NAMESPACES.rasd)?.text() ?? '0');
  return {
    primaryIndex: primary && indexOf(primary),
    nics: cards.map((item) => ({
      index: indexOf(item),
      network: connection(item)?.text() ?? 'none',
      connected: isTrue(item.child('AutomaticAllocation', NAMESPACES.rasd)?.text()),
      macAddress: item.child('Address', NAMESPACES.rasd)?.text() || undefined,
      allocationMode: connection(item)?.attribute('ipAddressingMode', NAMESPACES.vcloud) ?? 'NONE',
      ipAddress: connection(item)?.attribute('ipAddress', NAMESPACES.vcloud) || undefined,
      adapterType: item.child('ResourceSubType', NAMESPACES.rasd)?.text() || undefined,
    })),
  };
}

export function requireHardware(exchange: Exchange, vm: Vm) {
  const hardware = exchange.cloud.hardware(vm);
  if (!hardware) throw badRequest(`The VM "${vm.name}" does not exist in vCenter any more.`);
  return hardware;
}

/** All changes of a Vm body; a section that is left out stays as it is. */
export function vmBodyChanges(exchange: Exchange, vm: Vm, body: XmlElement): VmChange[] {
  const changes: VmChange[] = [nameChange(exchange, vm, body.attribute('name', ''))];
  const description = body.child('Description');
  if (description) {
    const text = description.text();
    changes.push(() => {
      vm.description = text;
    });
  }
  const on = (local: string, namespace: string, change: (element: XmlElement) => VmChange): void => {
    const element = body.child(local, namespace);
    if (element) changes.push(change(element));
  };
  on('VirtualHardwareSection', NAMESPACES.ovf, (section) =>
    hardwareItemsChange(exchange, vm, section.childrenNamed('Item', NAMESPACES.ovf)),
  );
  on('VmSpecSection', NAMESPACES.vcloud, (section) => specSectionChange(exchange, vm, section));
  on('NetworkConnectionSection', NAMESPACES.vcloud, (section) => networkConnectionChange(exchange, vm, readNetworkConnections(section)));
  on('GuestCustomizationSection', NAMESPACES.vcloud, (section) => guestCustomizationChange(vm, section));
  on('VmCapabilities', NAMESPACES.vcloud, (element) => capabilitiesChange(vm, element));
  on('StorageProfile', NAMESPACES.vcloud, (element) => storageProfileChange(exchange, vm, element));
  on('ComputePolicy', NAMESPACES.vcloud, (element) => computePolicyChange(exchange, vm, element));
  on('BootOptions', NAMESPACES.vcloud, (element) => bootOptionsChange(vm, element));
  const products = body.childrenNamed('ProductSection', NAMESPACES.ovf);
  if (products.length > 0) changes.push(productSectionsChange(vm, products));
  return changes;
}
