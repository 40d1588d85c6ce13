import { element, type XmlElement } from '../common/index.js';
import { badAnswer, VcdError } from './error.js';
import { disksOf, hardwareOf } from './hardware.js';
import { linkHref, referenceOf, urnOf } from './links.js';
import { OVF, VCLOUD, writeFragment } from './namespaces.js';
import { nicsOf, optionalReference, whole } from './sections.js';
import type { MetadataEntry, SnapshotInformation, TemplateOrigin, VcdReference, VmCapture } from './types.js';

export const PRODUCT_SECTION_LIST = 'ProductSectionList';

/** A VM as it stands inside its vApp's answer; metadata and product sections come from requests of their own. */
export function captureVm(vm: XmlElement, metadata: MetadataEntry[], productSections: XmlElement | undefined): VmCapture {
  const name = vm.attribute('name') ?? '';
  const href = vm.attribute('href');
  if (href === undefined) throw badAnswer(`Reading VM "${name}"`, 'it has no href');
  const description = vm.textAt('Description');
  const localId = vm.textAt('VAppScopedLocalId');
  const computerName = vm.textAt('GuestCustomizationSection', 'ComputerName');
  return {
    href,
    id: vm.attribute('id') ?? urnOf('vm', href),
    name,
    ...(description ? { description } : {}),
    status: whole(vm.attribute('status')) ?? 0,
    deployed: vm.attribute('deployed') === 'true',
    ...(localId ? { localId } : {}),
    vim: vimInfoOf(vm, name),
    ...storageProfileOf(vm),
    ...optionalReference('placementPolicy', vm.find('ComputePolicy', 'VmPlacementPolicy')),
    ...optionalReference('sizingPolicy', sizingPolicyElement(vm)),
    nics: nicsOf(vm.child('NetworkConnectionSection')),
    disks: disksOf(vm),
    ...(computerName ? { computerName } : {}),
    hardware: hardwareOf(vm),
    ...snapshotOf(vm.child('SnapshotSection')),
    ...originOf('vm', metadata),
    metadata,
    sections: sectionsOf(vm, productSections),
  };
}

/** An element of a VM of a vApp; of a template's VM a link, whose name is in DefaultStorageProfile ("*" is any). */
function storageProfileOf(vm: XmlElement): { storageProfile?: VcdReference } {
  const own = optionalReference('storageProfile', vm.child('StorageProfile'));
  const href = linkHref(vm, 'storageProfile');
  if (own.storageProfile !== undefined || href === undefined) return own;
  const name = vm.textAt('DefaultStorageProfile');
  return { storageProfile: { href, ...(name && name !== '*' ? { name } : {}) } };
}

/** VCD allows a VM one snapshot. */
function snapshotOf(section: XmlElement | undefined): { snapshot?: SnapshotInformation } {
  const snapshot = section?.child('Snapshot');
  if (snapshot === undefined) return {};
  return {
    snapshot: {
      createdAt: snapshot.attribute('created') ?? '',
      poweredOn: snapshot.attribute('poweredOn') === 'true',
      sizeBytes: whole(snapshot.attribute('size')) ?? 0,
    },
  };
}

/** VCD writes into SYSTEM metadata which template a vApp (vapp.origin.*) and each VM (vm.origin.*) was made from. */
export function originOf(of: 'vapp' | 'vm', metadata: readonly MetadataEntry[]): { origin?: TemplateOrigin } {
  const origin: TemplateOrigin = {};
  for (const field of ['id', 'name', 'type'] as const) {
    const entry = metadata.find(({ domain, key }) => domain === 'SYSTEM' && key === `${of}.origin.${field}`);
    if (entry?.value) origin[field] = entry.value;
  }
  return Object.keys(origin).length === 0 ? {} : { origin };
}

/** VdcComputePolicy is what ComputePolicy/VmSizingPolicy was called before API 33.0. */
function sizingPolicyElement(vm: XmlElement): XmlElement | undefined {
  const policy = vm.child('ComputePolicy');
  return policy === undefined ? vm.child('VdcComputePolicy') : policy.child('VmSizingPolicy');
}

/** Guide, Figure 8-2: VCloudExtension/VmVimInfo, which only the system administrator's view carries. */
function vimInfoOf(vm: XmlElement, name: string): VmCapture['vim'] {
  const info = vmVimInfo(vm);
  const vimServer = referenceOf(info?.find('VmVimObjectRef', 'VimServerRef'));
  const vmMoRef = info?.textAt('VmVimObjectRef', 'MoRef');
  if (info === undefined || vimServer === undefined || !vmMoRef) {
    throw new VcdError(
      `VM "${name}" shows no vSphere object; log in as a system administrator, and check that the VM still exists in vCenter.`,
      { code: 'VIM_INFO_MISSING', subject: `VM "${name}"` },
    );
  }
  const hostMoRef = info.textAt('HostVimObjectRef', 'MoRef');
  const datastoreMoRef = info.textAt('DatastoreVimObjectRef', 'MoRef');
  const maxChainLength = whole(info.textAt('VirtualDisksMaxChainLength'));
  return {
    vimServer,
    vmMoRef,
    ...(hostMoRef ? { hostMoRef } : {}),
    ...(datastoreMoRef ? { datastoreMoRef } : {}),
    diskDatastores: info.childrenNamed('VmDiskDatastores').map((disk) => ({
      instanceId: disk.attribute('instanceId') ?? '',
      moRef: disk.textAt('MoRef') ?? '',
    })),
    ...(maxChainLength === undefined ? {} : { maxChainLength }),
  };
}

/** The moRef of a VM in a vApp's answer; undefined where the view does not show it. */
export function moRefOf(vm: XmlElement): string | undefined {
  return vmVimInfo(vm)?.textAt('VmVimObjectRef', 'MoRef');
}

/** An entity may carry several extensions; the one that maps to vSphere is meant. */
function vmVimInfo(vm: XmlElement): XmlElement | undefined {
  return vm
    .childrenNamed('VCloudExtension')
    .map((extension) => extension.child('VmVimInfo'))
    .find((info) => info !== undefined);
}

const NOT_SECTIONS = new Set([
  'VCloudExtension',
  'Link',
  'Description',
  'Tasks',
  'Files',
  'VAppParent',
  'DateCreated',
  'Owner',
  'InMaintenanceMode',
  'Children',
  'VAppScopedLocalId',
  'StorageProfile',
  'DefaultStorageProfile',
  'autoNature',
  'ProductSection',
  'Environment',
]);

/** Everything of an entity that is not a plain field of the capture, one XML text per element name. */
export function sectionsOf(entity: XmlElement, productSections: XmlElement | undefined): Record<string, string> {
  const sections: Record<string, string> = {};
  for (const part of entity.elements()) {
    if (!NOT_SECTIONS.has(part.local)) sections[part.local] = writeFragment(part);
  }
  if (productSections !== undefined && productSections.childrenNamed('ProductSection').length > 0) {
    sections[PRODUCT_SECTION_LIST] = writeFragment(productSections);
  }
  return sections;
}

/** Product sections inside the entity, in the list form of their own resource. */
export function inlineProductSections(entity: XmlElement): XmlElement | undefined {
  const inline = entity.childrenNamed('ProductSection', OVF);
  return inline.length === 0 ? undefined : element(PRODUCT_SECTION_LIST, VCLOUD, {}, ...inline);
}
