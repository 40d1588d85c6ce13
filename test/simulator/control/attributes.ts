import { parseXml, type XmlElement } from '../../../src/common/index.js';
import type { SimVm } from '../model/vsphere-types.js';
import type { VcdCloud } from '../vcd/index.js';
import type { Vapp, Vm } from '../vcd/index.js';

/** JSON of a vApp's attributes with names instead of ids, addresses and dates: what a restore must bring back. */
export type Attributes = { [key: string]: AttributeValue };
export type AttributeValue = string | number | boolean | null | AttributeValue[] | Attributes;

export interface AttributeDifference {
  path: string;
  expected: AttributeValue | undefined;
  actual: AttributeValue | undefined;
}

export function vappAttributes(cloud: VcdCloud, vapp: Vapp): Attributes {
  return {
    name: vapp.name,
    description: vapp.description,
    organization: cloud.organization(vapp.organizationId)?.name ?? null,
    vdc: cloud.vdc(vapp.vdcId)?.name ?? null,
    owner: cloud.user(vapp.ownerUserId ?? '')?.name ?? null,
    inMaintenanceMode: vapp.inMaintenanceMode,
    lease: { ...vapp.lease },
    access: accessAttributes(cloud, vapp),
    startup: byKey(vapp.startup.map(({ vmName, ...item }) => [vmName, { ...item }])),
    networks: byKey(vapp.networks.map((network) => [network.name, networkAttributes(cloud, network.xml, network.parentId)])),
    metadata: metadataAttributes(vapp),
    productSections: vapp.productSections.map((xml) => treeOf(parseXml(xml))),
    vms: byKey(cloud.vmsOf(vapp).map((vm) => [vm.name, vmAttributes(cloud, vm)])),
  };
}

function accessAttributes(cloud: VcdCloud, vapp: Vapp): Attributes {
  return {
    sharedToEveryone: vapp.access.sharedToEveryone,
    everyoneAccessLevel: vapp.access.everyoneAccessLevel ?? null,
    grants: byKey(
      vapp.access.grants.map((grant) => [
        (grant.subjectKind === 'user' ? cloud.user(grant.subjectId)?.name : cloud.organization(grant.subjectId)?.name) ?? grant.subjectId,
        grant.accessLevel,
      ]),
    ),
  };
}

function networkAttributes(cloud: VcdCloud, xml: string, parentId: string | undefined): Attributes {
  const element = parseXml(xml);
  return { parent: cloud.state.orgNetworks.find((network) => network.id === parentId)?.name ?? null, configuration: treeOf(element) };
}

function metadataAttributes(entity: Vapp | Vm): Attributes {
  return byKey(entity.metadata.map((entry) => [`${entry.domain}/${entry.key}`, `${entry.type} ${entry.visibility} ${entry.value}`]));
}

function vmAttributes(cloud: VcdCloud, vm: Vm): Attributes {
  const hardware = cloud.hardware(vm);
  const policy = (id: string | undefined): string | null =>
    cloud.state.computePolicies.find((candidate) => candidate.id === id)?.name ?? null;
  return {
    description: vm.description,
    localId: vm.localId,
    storageProfile: cloud.storageProfile(vm.storageProfileId)?.name ?? null,
    placementPolicy: policy(vm.placementPolicyId),
    sizingPolicy: policy(vm.sizingPolicyId),
    primaryNicIndex: vm.primaryNicIndex ?? null,
    guestCustomization: { ...vm.guestCustomization },
    capabilities: { ...vm.capabilities },
    bootOptions: { ...vm.bootOptions },
    metadata: metadataAttributes(vm),
    productSections: vm.productSections.map((xml) => treeOf(parseXml(xml))),
    hardware: hardware ? hardwareAttributes(hardware) : null,
    nics: hardware
      ? byKey(
          cloud.nics(vm, hardware).map(({ record, device }) => [
            String(record.index),
            {
              network: record.network,
              allocationMode: record.allocationMode,
              ipAddress: record.ipAddress ?? null,
              connected: record.connected,
              macAddress: device.macAddress,
              adapterType: device.adapterType,
            },
          ]),
        )
      : null,
  };
}

function hardwareAttributes(hardware: SimVm): Attributes {
  const { cpuCount, coresPerSocket, memoryMib, guestId, firmware, hardwareVersion } = hardware;
  return {
    cpuCount,
    coresPerSocket,
    memoryMib,
    guestId,
    firmware,
    hardwareVersion,
    disks: hardware.disks.map((disk) => ({
      capacityBytes: disk.capacityBytes,
      busNumber: disk.busNumber,
      unitNumber: disk.unitNumber,
      adapterType: disk.adapterType,
      thin: disk.thin,
      diskMode: disk.diskMode,
    })),
  };
}

/** An element as data: attributes, and children by name, or in order where a name comes more than once. */
function treeOf(element: XmlElement): AttributeValue {
  const children = element.elements();
  if (children.length === 0 && element.attributes.length === 0) return element.text();
  const tree: Attributes = {};
  for (const { local, value } of element.attributes) tree[`@${local}`] = value;
  for (const child of children) {
    const alike = children.filter((other) => other.local === child.local);
    tree[child.local] = alike.length === 1 ? treeOf(child) : alike.map(treeOf);
  }
  if (children.length === 0 && element.text() !== '') tree.text = element.text();
  return tree;
}

function byKey(entries: readonly (readonly [string, AttributeValue])[]): Attributes {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Leaf by leaf. @param ignore paths (or beginnings of paths; `*` is one step) that may differ. */
export function compareAttributes(expected: Attributes, actual: Attributes, ignore: readonly string[]): AttributeDifference[] {
  const found: AttributeDifference[] = [];
  const ignored = ignore.map((path) => new RegExp(`^${path.split('*').map(escapePattern).join('[^/]*')}(/|$)`));
  const visit = (path: string, left: AttributeValue | undefined, right: AttributeValue | undefined): void => {
    if (ignored.some((pattern) => pattern.test(path))) return;
    if (isContainer(left) && isContainer(right)) {
      const [a, b] = [left as Attributes, right as Attributes];
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) visit(path === '' ? key : `${path}/${key}`, a[key], b[key]);
    } else if (left !== right) found.push({ path, expected: left, actual: right });
  };
  visit('', expected, actual);
  return found;
}

function isContainer(value: AttributeValue | undefined): boolean {
  return typeof value === 'object' && value !== null;
}

function escapePattern(text: string): string {
  return text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
}
