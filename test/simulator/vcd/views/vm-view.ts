import { parseXml, type XmlElement } from '../../../../src/common/index.js';
import type { SimVm } from '../../model/vsphere-types.js';
import type { Vm } from '../state.js';
import { build, links, MEDIA, optional, reference } from '../xml-names.js';
import { virtualHardwareSection, vmSpecSection } from './hardware-view.js';
import { tasksInProgress } from './task-view.js';
import { storageProfileReference, type Viewer, vimObjectReference, vimServerReference } from './viewer.js';

/** A whole VM, elements in the order of VmType. */
export function vmView(viewer: Viewer, vm: Vm): XmlElement {
  const { cloud, hrefs } = viewer;
  const hardware = cloud.hardware(vm);
  return build(
    'Vm',
    {
      needsCustomization: vm.needsCustomization,
      nestedHypervisorEnabled: false,
      deployed: vm.deployed,
      status: cloud.vmStatus(vm),
      name: vm.name,
      id: `urn:vcloud:vm:${vm.id}`,
      href: hrefs.vm(vm.id),
      type: `${MEDIA.vm}+xml`,
    },
    viewer.session.isProvider && hardware ? vimInfo(viewer, hardware) : undefined,
    vmLinks(viewer, vm),
    build('Description', {}, vm.description),
    tasksInProgress(viewer, vm.id),
    hardware && [
      vmSpecSection(viewer, vm, hardware),
      virtualHardwareSection(viewer, vm, hardware),
      operatingSystemSection(viewer, vm, hardware),
      networkConnectionSection(viewer, vm, hardware),
    ],
    guestCustomizationSection(viewer, vm),
    runtimeInfoSection(viewer, vm),
    snapshotSection(viewer, vm, hardware),
    vm.productSections.map((xml) => parseXml(xml)),
    build('DateCreated', {}, vm.createdAt),
    build('VAppScopedLocalId', {}, vm.localId),
    vmCapabilities(viewer, vm),
    storageProfileReference(viewer, 'StorageProfile', vm.storageProfileId),
    computePolicy(viewer, vm),
    build('IsComputePolicyCompliant', {}, true),
    bootOptions(viewer, vm),
  );
}

/** Where vSphere has it: the guide's Figure 8-2. The provider's view only. */
export function vimInfo(viewer: Viewer, hardware: SimVm): XmlElement {
  const chain = Math.max(1, hardware.snapshots.length + 1);
  return build(
    'VCloudExtension',
    { required: false },
    build(
      'vmext:VmVimInfo',
      {},
      vimObjectReference(viewer, 'vmext:VmVimObjectRef', hardware.moRef, 'VIRTUAL_MACHINE'),
      vimObjectReference(viewer, 'vmext:DatastoreVimObjectRef', hardware.datastoreMoRef, 'DATASTORE'),
      hardware.disks.map((disk) =>
        build(
          'vmext:VmDiskDatastores',
          { instanceId: disk.key },
          vimServerReference(viewer, 'vmext:VimServerRef'),
          build('vmext:MoRef', {}, disk.datastoreMoRef),
          build('vmext:VimObjectType', {}, 'DATASTORE'),
        ),
      ),
      vimObjectReference(viewer, 'vmext:HostVimObjectRef', hardware.hostMoRef, 'HOST'),
      build('vmext:VirtualDisksMaxChainLength', {}, chain),
    ),
  );
}

function vmLinks(viewer: Viewer, vm: Vm): XmlElement[] {
  const href = viewer.hrefs.vm(vm.id);
  return [
    ...links(vm.deployed ? 'power:powerOff' : 'power:powerOn', `${href}/power/action/${vm.deployed ? 'powerOff' : 'powerOn'}`),
    ...(vm.deployed
      ? links('undeploy', `${href}/action/undeploy`, MEDIA.undeploy)
      : links('deploy', `${href}/action/deploy`, MEDIA.deploy)),
    ...links('edit', href, MEDIA.vm),
    ...links('remove', href),
    ...links('down', `${href}/metadata`, MEDIA.metadata),
    ...links('down', `${href}/productSections/`, MEDIA.productSections),
    ...links('disk:attach', `${href}/disk/action/attach`, MEDIA.diskAttachOrDetachParams),
    ...links('disk:detach', `${href}/disk/action/detach`, MEDIA.diskAttachOrDetachParams),
    ...links('reconfigureVm', `${href}/action/reconfigureVm`, MEDIA.vm, vm.name),
    ...links('up', viewer.hrefs.vapp(vm.vappId), MEDIA.vapp),
  ];
}

/** The CIM operating system number of a guest id, as OVF wants it (CIM_OperatingSystem.OSType). */
function cimOperatingSystem(guestId: string): number {
  if (/ubuntu64/i.test(guestId)) return 94;
  if (/^(debian|centos|rhel|other.*linux|sles|photon|amazonlinux).*64/i.test(guestId)) return 101;
  if (/windows/i.test(guestId)) return 103;
  return 1;
}

export function operatingSystemSection(viewer: Viewer, vm: Vm, hardware: SimVm): XmlElement {
  const href = `${viewer.hrefs.vm(vm.id)}/operatingSystemSection/`;
  return build(
    'ovf:OperatingSystemSection',
    {
      'ovf:id': cimOperatingSystem(hardware.guestId),
      'vcloud:href': href,
      'vcloud:type': `${MEDIA.operatingSystem}+xml`,
      'vmw:osType': hardware.guestId,
    },
    build('ovf:Info', {}, 'Specifies the operating system installed'),
    build('ovf:Description', {}, hardware.guestFullName),
    links('edit', href, MEDIA.operatingSystem),
  );
}

export function networkConnectionSection(viewer: Viewer, vm: Vm, hardware: SimVm): XmlElement {
  const href = `${viewer.hrefs.vm(vm.id)}/networkConnectionSection/`;
  const nics = viewer.cloud.nics(vm, hardware);
  return build(
    'NetworkConnectionSection',
    { href, type: `${MEDIA.networkConnection}+xml`, 'ovf:required': false },
    build('ovf:Info', {}, 'Specifies the available VM network connections'),
    optional('PrimaryNetworkConnectionIndex', nics.length > 0 ? (vm.primaryNicIndex ?? nics[0]?.record.index) : undefined),
    nics.map(({ record, device }) =>
      build(
        'NetworkConnection',
        { network: record.network, needsCustomization: record.needsCustomization },
        build('NetworkConnectionIndex', {}, record.index),
        optional('IpAddress', record.ipAddress),
        record.ipAddress !== undefined && viewer.apiVersion >= 34 ? build('IpType', {}, 'IPV4') : undefined,
        build('IsConnected', {}, record.connected),
        build('MACAddress', {}, device.macAddress),
        build('IpAddressAllocationMode', {}, record.allocationMode),
        build('NetworkAdapterType', {}, device.adapterType.toUpperCase()),
      ),
    ),
    links('edit', href, MEDIA.networkConnection),
  );
}

export const GUEST_CUSTOMIZATION_ORDER = [
  'Enabled',
  'ChangeSid',
  'VirtualMachineId',
  'JoinDomainEnabled',
  'UseOrgSettings',
  'DomainName',
  'DomainUserName',
  'DomainUserPassword',
  'MachineObjectOU',
  'AdminPasswordEnabled',
  'AdminPasswordAuto',
  'AdminPassword',
  'AdminAutoLogonEnabled',
  'AdminAutoLogonCount',
  'ResetPasswordRequired',
  'CustomizationScript',
  'ComputerName',
] as const;

export function guestCustomizationSection(viewer: Viewer, vm: Vm): XmlElement {
  const href = `${viewer.hrefs.vm(vm.id)}/guestCustomizationSection/`;
  const values: Record<string, string> = { ...vm.guestCustomization, VirtualMachineId: vm.id };
  return build(
    'GuestCustomizationSection',
    { href, type: `${MEDIA.guestCustomization}+xml`, 'ovf:required': false },
    build('ovf:Info', {}, 'Specifies Guest OS Customization Settings'),
    GUEST_CUSTOMIZATION_ORDER.map((name) => optional(name, values[name])),
    links('edit', href, MEDIA.guestCustomization),
  );
}

export function runtimeInfoSection(viewer: Viewer, vm: Vm): XmlElement {
  return build(
    'RuntimeInfoSection',
    { 'vcloud:href': `${viewer.hrefs.vm(vm.id)}/runtimeInfoSection`, 'vcloud:type': `${MEDIA.runtimeInfo}+xml` },
    build('ovf:Info', {}, 'Specifies Runtime info'),
    build('VMWareTools', { version: '12352' }),
  );
}

export function snapshotSection(viewer: Viewer, vm: Vm, hardware: SimVm | undefined): XmlElement {
  const snapshot = hardware?.snapshots.at(-1);
  const sizeBytes = hardware?.disks.reduce((sum, disk) => sum + disk.capacityBytes, 0) ?? 0;
  return build(
    'SnapshotSection',
    { href: `${viewer.hrefs.vm(vm.id)}/snapshotSection`, type: `${MEDIA.snapshotSection}+xml`, 'ovf:required': false },
    build('ovf:Info', {}, 'Snapshot information section'),
    snapshot && build('Snapshot', { size: sizeBytes, poweredOn: snapshot.powerState === 'poweredOn', created: snapshot.createdAt }),
  );
}

export function vmCapabilities(viewer: Viewer, vm: Vm): XmlElement {
  const href = `${viewer.hrefs.vm(vm.id)}/vmCapabilities/`;
  return build(
    'VmCapabilities',
    { href, type: `${MEDIA.vmCapabilities}+xml` },
    links('edit', href, MEDIA.vmCapabilities),
    build('MemoryHotAddEnabled', {}, vm.capabilities.memoryHotAdd),
    build('CpuHotAddEnabled', {}, vm.capabilities.cpuHotAdd),
  );
}

export function computePolicy(viewer: Viewer, vm: Vm): XmlElement | undefined {
  const policy = (element: string, id: string | undefined): XmlElement | undefined => {
    const found = viewer.cloud.state.computePolicies.find((candidate) => candidate.id === id);
    return (
      found &&
      reference(element, { href: viewer.hrefs.computePolicy(found.id), id: `urn:vcloud:vdcComputePolicy:${found.id}`, name: found.name })
    );
  };
  const placement = policy('VmPlacementPolicy', vm.placementPolicyId);
  const sizing = policy('VmSizingPolicy', vm.sizingPolicyId);
  if (!placement && !sizing) return undefined;
  return build(
    'ComputePolicy',
    {},
    placement,
    placement && build('VmPlacementPolicyFinal', {}, false),
    sizing,
    sizing && build('VmSizingPolicyFinal', {}, false),
  );
}

export const BOOT_OPTIONS_ORDER = [
  'BootDelay',
  'EnterBIOSSetup',
  'BootRetryEnabled',
  'BootRetryDelay',
  'EfiSecureBootEnabled',
  'NetworkBootProtocol',
] as const;

export function bootOptions(viewer: Viewer, vm: Vm): XmlElement {
  const href = viewer.hrefs.vm(vm.id);
  return build(
    'BootOptions',
    { href: `${href}/bootOptions/`, type: `${MEDIA.bootOptions}+xml` },
    links('edit', `${href}/action/bootOptions`, MEDIA.bootOptions),
    BOOT_OPTIONS_ORDER.map((name) => optional(name, vm.bootOptions[name])),
  );
}
