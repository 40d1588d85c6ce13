import { element, parseXml } from '../common/index.js';
import { PRODUCT_SECTION_LIST } from './capture-vm.js';
import { hardwareOf } from './hardware.js';
import { uuidOf } from './links.js';
import { VCLOUD } from './namespaces.js';
import { content, type Normal, sectionContent } from './section-content.js';
import type {
  AffinityRule,
  CatalogEntry,
  MediaCapture,
  MetadataEntry,
  NamedDiskCapture,
  NicConnection,
  VappCapture,
  VappNetwork,
  VmCapture,
  VmDiskSetting,
} from './types.js';

/**
 * Captures as plain values: what a person would name, and nothing that a restore must change (hrefs, ids, dates) or that
 * is there for information (snapshots, the template of origin, the place in vSphere).
 */
export interface NormalOptions {
  /** It was restored under another name on purpose. */
  ignoreName?: boolean;
  /** The restored VMs got MAC addresses of their own on purpose. */
  ignoreMacAddresses?: boolean;
}

/** What a capture tells of at all: older ones, and those of tenants, leave things out, which is not the same as having none. */
export interface Told {
  kind: boolean;
  /** Not of the vApp around a standalone VM, which VCD names. */
  name: boolean;
  namedDisks: boolean;
  affinityRules: boolean;
}

export function toldBy({ kind, namedDisks, affinityRules }: VappCapture): Told {
  return {
    kind: kind !== undefined,
    name: kind !== 'standalone-vm',
    namedDisks: namedDisks !== undefined,
    affinityRules: affinityRules !== undefined,
  };
}

export function normalVapp(capture: VappCapture, options: NormalOptions, told: Told): Normal {
  return {
    kind: told.kind ? capture.kind : undefined,
    name: told.name && !options.ignoreName ? capture.name : undefined,
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
      (vm) => normalVm(vm, capture, options, told),
    ),
    namedDisks: told.namedDisks ? normalNamedDisks(capture) : undefined,
    affinityRules: told.affinityRules ? normalAffinityRules(capture.affinityRules ?? []) : undefined,
    goldMaster: capture.goldMaster || undefined,
    customizeOnInstantiate: customizeOnInstantiate(capture),
    catalogEntry: capture.catalogEntry && normalCatalogEntry(capture.catalogEntry, options),
  };
}

function normalVm(vm: VmCapture, capture: VappCapture, options: NormalOptions, told: Told): Normal {
  return {
    description: vm.description || undefined,
    computerName: vm.computerName,
    localId: vm.localId,
    nics: keyed(
      vm.nics,
      (nic) => String(nic.index),
      (nic) => normalNic(nic, options, capture),
    ),
    disks: normalDisks(vm.disks, (disk) => ({
      sizeMib: disk.sizeMib,
      adapterType: disk.adapterType,
      storageProfile: disk.storageProfile?.name,
      namedDisk: told.namedDisks ? nameOfNamedDisk(disk, capture) : undefined,
    })),
    hardware: normalHardware(vm),
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

/** By bus and unit, which the guest sees: the instance id is vSphere's device key and may change. Buses of two kinds may share numbers. */
function normalDisks(disks: readonly VmDiskSetting[], value: (disk: VmDiskSetting) => Normal): Normal {
  const placeOf = (disk: VmDiskSetting) => `${disk.busNumber ?? 0}:${disk.unitNumber ?? 0}`;
  const isShared = (disk: VmDiskSetting) => disks.some((other) => other !== disk && placeOf(other) === placeOf(disk));
  return keyed(disks, (disk) => (isShared(disk) ? `${disk.adapterType ?? ''} ${placeOf(disk)}` : placeOf(disk)), value);
}

/** Hot-add is compared as a capability, where it is written back. Captures of before had no `hardware`: their sections tell it. */
function normalHardware(vm: VmCapture): Normal {
  const sections = ['VmSpecSection', 'VirtualHardwareSection'].flatMap((name) => vm.sections[name] ?? []);
  const hardware = vm.hardware ?? hardwareOf(element('Vm', VCLOUD, {}, ...sections.map((xml) => parseXml(xml))));
  const { cpuHotAdd: _, memoryHotAdd: __, nestedHypervisor, ...rest } = hardware;
  return { ...rest, nestedHypervisor: nestedHypervisor || undefined };
}

function normalNic(nic: NicConnection, options: NormalOptions, { kind }: VappCapture): Normal {
  // A DHCP address is the network's, not the VM's; one of a pool is given when a template is instantiated.
  const ownAddress = nic.allocationMode === 'MANUAL' || (nic.allocationMode === 'POOL' && kind !== 'vapp-template');
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

function nameOfNamedDisk({ namedDisk }: VmDiskSetting, { namedDisks = [] }: VappCapture): string | undefined {
  if (namedDisk === undefined) return undefined;
  const uuid = uuidOf(namedDisk.href);
  return namedDisks.find((disk) => uuid !== undefined && uuidOf(disk.href) === uuid)?.name ?? namedDisk.name ?? namedDisk.href;
}

/** Those attached to VMs of the capture, which may have been cut down to some VMs; places by VM name, as ids of VMs change. */
function normalNamedDisks({ namedDisks = [], vms }: VappCapture): Normal {
  const nameOfVm = (id: string) => vms.find((vm) => vm.id === id)?.name;
  const attached = namedDisks
    .map((disk) => ({ ...disk, attachments: disk.attachments.filter(({ vmId }) => nameOfVm(vmId) !== undefined) }))
    .filter((disk) => disk.attachments.length > 0);
  return numbered(
    attached,
    (disk) => disk.name,
    (disk) => normalNamedDisk(disk, nameOfVm),
  );
}

function normalNamedDisk(disk: NamedDiskCapture, nameOfVm: (id: string) => string | undefined): Normal {
  return {
    description: disk.description || undefined,
    sizeMib: disk.sizeMib,
    busType: disk.busType,
    // Written as VirtualSCSI and as virtualscsi; releases before 36.0 tell no sharing type, which is None.
    busSubType: disk.busSubType?.toLowerCase(),
    sharingType: disk.sharingType === 'None' ? undefined : disk.sharingType,
    storageProfile: disk.storageProfile?.name,
    owner: disk.owner?.name,
    metadata: normalMetadata(disk.metadata),
    attachments: keyed(
      disk.attachments,
      ({ vmId }) => nameOfVm(vmId) ?? vmId,
      ({ busNumber, unitNumber }) => `${busNumber ?? 0}:${unitNumber ?? 0}`,
    ),
  };
}

function normalAffinityRules(rules: readonly AffinityRule[]): Normal {
  return numbered(
    rules,
    (rule) => rule.name,
    ({ polarity, enabled, mandatory, vms }) => ({
      polarity,
      enabled,
      mandatory,
      vms: numbered(
        vms,
        (vm) => vm.name ?? vm.href,
        () => true,
      ),
    }),
  );
}

function customizeOnInstantiate({ sections }: VappCapture): boolean | undefined {
  const section = sections.CustomizationSection;
  return section === undefined ? undefined : parseXml(section).textAt('CustomizeOnInstantiate') === 'true';
}

function normalCatalogEntry(entry: CatalogEntry, options: NormalOptions): Normal {
  return {
    catalog: entry.catalog.name,
    name: options.ignoreName ? undefined : entry.item.name,
    description: entry.description || undefined,
    metadata: normalMetadata(entry.metadata),
  };
}

export function normalMedia(capture: MediaCapture, options: NormalOptions): Normal {
  return {
    name: options.ignoreName ? undefined : capture.name,
    description: capture.description || undefined,
    imageType: capture.imageType,
    sizeBytes: capture.sizeBytes,
    storageProfile: capture.storageProfile?.name,
    owner: capture.owner?.name,
    metadata: normalMetadata(capture.metadata),
    catalogEntry: normalCatalogEntry(capture.catalogEntry, options),
  };
}

function keyed<T>(items: readonly T[], key: (item: T) => string, value: (item: T) => Normal): Normal {
  return Object.fromEntries(items.map((item) => [key(item), value(item)]));
}

/** Like keyed(), for what may share a name: the second one is `name (2)`. */
function numbered<T>(items: readonly T[], key: (item: T) => string, value: (item: T) => Normal): Normal {
  const seen = new Map<string, number>();
  return keyed(
    [...items].sort((one, other) => (key(one) < key(other) ? -1 : key(one) > key(other) ? 1 : 0)),
    (item) => {
      const count = (seen.get(key(item)) ?? 0) + 1;
      seen.set(key(item), count);
      return count === 1 ? key(item) : `${key(item)} (${count})`;
    },
    value,
  );
}
