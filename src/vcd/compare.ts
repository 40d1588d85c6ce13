import { createHash } from 'node:crypto';
import { parseXml, type XmlElement } from '../common/index.js';
import { PRODUCT_SECTION_LIST } from './capture-vm.js';
import { hardwareOf } from './hardware.js';
import type {
  AttributeComparison,
  AttributeDifference,
  MetadataEntry,
  NicConnection,
  VappCapture,
  VappNetwork,
  VmCapture,
} from './types.js';

export interface CompareOptions {
  /** The vApp was restored under another name on purpose. */
  ignoreName?: boolean;
  /** The restored VMs got MAC addresses of their own on purpose. */
  ignoreMacAddresses?: boolean;
}

/** A capture as plain values: what a person would name, and nothing that a restore must change (hrefs, ids, dates). */
type Normal = string | number | boolean | undefined | Normal[] | { [key: string]: Normal };

/** Every attribute in which two captures differ, by a path like `vms.web.nics.0.network`. Empty means equal. */
export function compareVappCaptures(expected: VappCapture, actual: VappCapture, options: CompareOptions = {}): AttributeDifference[] {
  return compareVappAttributes(expected, actual, options)
    .filter(({ equal }) => !equal)
    .map(({ path, expected: was, actual: is }) => ({ path, expected: was, actual: is }));
}

/** Every attribute that either capture has, with both values: a path ends where a value is no longer an object or a list of equal length. */
export function compareVappAttributes(expected: VappCapture, actual: VappCapture, options: CompareOptions = {}): AttributeComparison[] {
  const attributes: AttributeComparison[] = [];
  collect('', normalVapp(expected, options), normalVapp(actual, options), attributes);
  return attributes;
}

/** SHA-256 over the same normal form, with the identities that a concurrent edit could swap. */
export function fingerprintVapp(capture: VappCapture): string {
  const identities = capture.vms.map((vm) => [vm.id, vm.vim.vmMoRef]).sort();
  const normal = { id: capture.id, identities, vapp: normalVapp(capture, {}) };
  return createHash('sha256')
    .update(JSON.stringify(sorted(normal)))
    .digest('hex');
}

function normalVapp(capture: VappCapture, options: CompareOptions): Normal {
  return {
    name: options.ignoreName ? undefined : capture.name,
    description: capture.description || undefined,
    lease: { ...capture.lease },
    startup: keyed(
      capture.startup,
      (item) => item.vmName,
      ({ vmName: _, waitingForGuest, ...rest }) => ({
        ...rest,
        waitingForGuest: waitingForGuest || undefined,
      }),
    ),
    networks: keyed(capture.networks, (network) => network.name, normalNetwork),
    owner: capture.owner.name,
    access: {
      sharedToEveryone: capture.access.sharedToEveryone,
      everyoneAccessLevel: capture.access.sharedToEveryone ? capture.access.everyoneAccessLevel : undefined,
      grants: keyed(
        capture.access.grants,
        (grant) => grant.subject.name ?? grant.subject.href,
        (grant) => grant.accessLevel,
      ),
    },
    metadata: normalMetadata(capture.metadata),
    productSections: sectionContent(capture.sections[PRODUCT_SECTION_LIST]),
    vms: keyed(
      capture.vms,
      (vm) => vm.name,
      (vm) => normalVm(vm, options),
    ),
  };
}

function normalVm(vm: VmCapture, options: CompareOptions): Normal {
  const hardware = vm.sections.VirtualHardwareSection;
  return {
    description: vm.description || undefined,
    computerName: vm.computerName,
    localId: vm.localId,
    nics: keyed(
      vm.nics,
      (nic) => String(nic.index),
      (nic) => normalNic(nic, options),
    ),
    // The instance id is vSphere's device key and may change; bus and unit are what the guest sees.
    disks: keyed(
      vm.disks,
      (disk) => `${disk.busNumber ?? 0}:${disk.unitNumber ?? 0}`,
      (disk) => ({
        sizeMib: disk.sizeMib,
        adapterType: disk.adapterType,
        storageProfile: disk.storageProfile?.name,
      }),
    ),
    hardware: hardware === undefined ? undefined : { ...hardwareOf(parseXml(hardware)) },
    storageProfile: vm.storageProfile?.name,
    placementPolicy: vm.placementPolicy?.name,
    sizingPolicy: vm.sizingPolicy?.name,
    metadata: normalMetadata(vm.metadata),
    guestCustomization: sectionContent(vm.sections.GuestCustomizationSection),
    capabilities: sectionContent(vm.sections.VmCapabilities),
    bootOptions: sectionContent(vm.sections.BootOptions),
    operatingSystem: sectionContent(vm.sections.OperatingSystemSection),
    productSections: sectionContent(vm.sections[PRODUCT_SECTION_LIST]),
  };
}

function normalNic(nic: NicConnection, options: CompareOptions): Normal {
  // A DHCP address is the network's, not the VM's.
  const ownAddress = nic.allocationMode === 'MANUAL' || nic.allocationMode === 'POOL';
  return {
    network: nic.network,
    connected: nic.connected,
    macAddress: options.ignoreMacAddresses ? undefined : nic.macAddress?.toLowerCase(),
    allocationMode: nic.allocationMode,
    ipAddress: ownAddress ? nic.ipAddress : undefined,
    adapterType: nic.adapterType,
    primary: nic.primary,
  };
}

function normalMetadata(entries: readonly MetadataEntry[]): Normal {
  return keyed(
    entries,
    (entry) => (entry.domain === 'SYSTEM' ? `SYSTEM/${entry.key}` : entry.key),
    ({ type, value, visibility }) => ({
      type,
      value,
      visibility,
    }),
  );
}

function normalNetwork(network: VappNetwork): Normal {
  return { description: network.description || undefined, config: content(parseXml(network.xml)) };
}

/**
 * What a restore cannot or must not keep: addresses of resources, ids VCD gives, states, dates, passwords
 * (VCD makes them anew or does not show them), and captions for people.
 */
const IGNORED_ELEMENTS = new Set([
  'Link',
  'Info',
  'Id',
  'IsDeployed',
  'RouterInfo',
  'AllocatedIpAddresses',
  'VirtualMachineId',
  'AdminPassword',
  'DomainUserPassword',
  'VCloudExtension',
  'Description',
]);
const IGNORED_ATTRIBUTES = new Set(['href', 'id', 'type', 'required', 'schemaLocation', 'networkName']);
/** Elements whose absence VCD reads as false, and which it writes out in some releases only. */
const FALSE_BY_DEFAULT = new Set([
  'BackwardCompatibilityMode',
  'RetainNetInfoAcrossDeployments',
  'SubInterface',
  'DistributedInterface',
  'ServiceInterface',
  'GuestVlanAllowed',
  'DualStackNetwork',
  'ChangeSid',
  'JoinDomainEnabled',
  'UseOrgSettings',
  'AdminAutoLogonEnabled',
  'ResetPasswordRequired',
  'EnterBIOSSetup',
  'EnterBiosSetup',
  'BootRetryEnabled',
]);

function sectionContent(xml: string | undefined): Normal {
  return xml === undefined ? undefined : content(parseXml(xml));
}

/** True when two elements say the same, whatever their prefixes, addresses and attribute order. */
export function sameContent(one: XmlElement, other: XmlElement): boolean {
  const attributes: AttributeComparison[] = [];
  collect('', content(one), content(other), attributes);
  return attributes.every(({ equal }) => equal);
}

/** An element as values: text, or attributes and children by name, lists in their order. Empty is absent. */
function content(element: XmlElement): Normal {
  const parts = new Map<string, Normal[]>();
  const add = (key: string, value: Normal) => {
    if (value !== undefined) parts.set(key, [...(parts.get(key) ?? []), value]);
  };
  for (const attribute of element.attributes) {
    // OperatingSystemSection's ovf:id is the kind of guest, not an id of the object.
    const meaningful = !IGNORED_ATTRIBUTES.has(attribute.local) || (element.local === 'OperatingSystemSection' && isGuestKind(attribute));
    if (meaningful) add(`@${attribute.local}`, attribute.value);
  }
  for (const child of element.elements()) {
    if (IGNORED_ELEMENTS.has(child.local) && !keepsDescription(element, child)) continue;
    if (FALSE_BY_DEFAULT.has(child.local) && child.text() === 'false') continue;
    if (child.local === 'ExternalIpAddress' && element.textAt('MappingMode') === 'automatic') continue;
    if (child.local === 'ParentNetwork') add('ParentNetwork', child.attribute('name') ?? child.attribute('href'));
    else add(child.local, content(child));
  }
  if (parts.size === 0) return element.text() || undefined;
  if (element.elements().length === 0 && element.text() !== '') add('text', element.text());
  return Object.fromEntries([...parts].map(([key, values]) => [key, values.length === 1 ? values[0] : values]));
}

function isGuestKind(attribute: { local: string; namespace: string }): boolean {
  return attribute.local === 'id' && attribute.namespace !== '';
}

/** The description of a rule is a person's; that of a section or network is a caption or compared on its own. */
function keepsDescription(parent: XmlElement, child: XmlElement): boolean {
  return child.local === 'Description' && parent.local.endsWith('Rule');
}

function keyed<T>(items: readonly T[], key: (item: T) => string, value: (item: T) => Normal): Normal {
  return Object.fromEntries(items.map((item) => [key(item), value(item)]));
}

function collect(path: string, expected: Normal, actual: Normal, attributes: AttributeComparison[]): void {
  if (isObject(expected) && isObject(actual)) {
    for (const key of [...new Set([...Object.keys(expected), ...Object.keys(actual)])].sort()) {
      collect(path === '' ? key : `${path}.${key}`, expected[key], actual[key], attributes);
    }
    return;
  }
  if (Array.isArray(expected) && Array.isArray(actual) && expected.length === actual.length) {
    expected.forEach((value, index) => {
      collect(`${path}.${index}`, value, actual[index], attributes);
    });
    return;
  }
  if (expected === undefined && actual === undefined) return;
  attributes.push({ path, expected, actual, equal: JSON.stringify(sorted(expected)) === JSON.stringify(sorted(actual)) });
}

function isObject(value: Normal): value is { [key: string]: Normal } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Keys in one order, so that equal values give equal text. */
function sorted(value: Normal): Normal {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
