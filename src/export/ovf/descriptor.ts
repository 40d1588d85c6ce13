import { parseXml, type XmlElement } from '../../common/index.js';
import type { VappCapture, VmCapture } from '../../vcd/index.js';
import type { CapturedHardware } from '../../vsphere/index.js';
import { OVF, ovf, qualified, section, VMW, writeOvf } from './elements.js';
import { virtualHardware } from './hardware.js';
import { metadataProperties, productSections } from './products.js';

const STREAM_OPTIMIZED = 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized';
/** An ordinal of 16 bits in the schema. */
const MOST_SECONDS = 65535;
/** CIM_OperatingSystem.OsType: "Other". What VMware calls the guest stands beside it. */
const OTHER_SYSTEM = 1;

export interface OvfDisk {
  fileName: string;
  sizeBytes: number;
  capacityBytes: number;
  /** What is not zero, as far as the repository's grid tells. */
  dataBytes: number;
}

export interface OvfVm {
  captured: VmCapture;
  hardware: CapturedHardware;
  /** By device key; those left out of the restore point are not there. */
  disks: ReadonlyMap<number, OvfDisk>;
}

/**
 * The OVF 1.1 descriptor of a vApp, VM or template. A VM alone is a VirtualSystem, all else a collection of them. What is
 * secret in a capture (passwords of guest customization) and what belongs to a cloud (addresses of its objects) is not in it.
 */
export function ovfDescriptor(captured: VappCapture, vms: readonly OvfVm[]): string {
  const disks = vms.flatMap((vm) => [...vm.disks.values()]);
  const diskId = (disk: OvfDisk) => `vmdisk${disks.indexOf(disk) + 1}`;
  const systems = vms.map((vm) => virtualSystem(vm, diskId));
  const [only] = systems;
  const alone = captured.kind === 'standalone-vm' && systems.length === 1 && only !== undefined;
  const envelope = ovf(
    'Envelope',
    {},
    ovf('References', {}, ...disks.map((disk, i) => ovf('File', { id: `file${i + 1}`, href: disk.fileName, size: disk.sizeBytes }))),
    diskSection(disks, diskId),
    networkSection(captured),
    alone ? only : collection(captured, systems),
  );
  return writeOvf(envelope);
}

function diskSection(disks: readonly OvfDisk[], diskId: (disk: OvfDisk) => string): XmlElement {
  const described = disks.map((disk, i) =>
    ovf('Disk', {
      diskId: diskId(disk),
      fileRef: `file${i + 1}`,
      capacity: disk.capacityBytes,
      capacityAllocationUnits: 'byte',
      format: STREAM_OPTIMIZED,
      populatedSize: disk.dataBytes,
    }),
  );
  return section('DiskSection', 'Virtual disks', {}, ...described);
}

function networkSection({ networks, vms }: VappCapture): XmlElement {
  const described = new Map(networks.map(({ name, description, fenceMode }) => [name, description ?? `vApp network (${fenceMode})`]));
  // A NIC may be on a network that the capture of an older cell does not list.
  for (const { network } of vms.flatMap((vm) => vm.nics)) if (network !== 'none' && !described.has(network)) described.set(network, '');
  const entries = [...described].map(([name, description]) =>
    ovf('Network', { name }, description === '' ? undefined : ovf('Description', {}, description)),
  );
  return section('NetworkSection', 'Logical networks', {}, ...entries);
}

function collection(captured: VappCapture, systems: readonly XmlElement[]): XmlElement {
  return ovf(
    'VirtualSystemCollection',
    { id: captured.name },
    ovf('Info', {}, 'A vApp of VMware Cloud Director'),
    ovf('Name', {}, captured.name),
    annotation(captured.description),
    ...productSections(captured.sections),
    metadataProperties(captured.metadata),
    startupSection(captured),
    ...systems,
  );
}

function startupSection({ startup, vms }: VappCapture): XmlElement | undefined {
  const names = new Set(vms.map(({ name }) => name));
  const items = startup
    .filter(({ vmName }) => names.has(vmName))
    .map((vm) =>
      ovf('Item', {
        id: vm.vmName,
        order: vm.order,
        startDelay: Math.min(MOST_SECONDS, vm.startDelaySeconds),
        waitingForGuest: vm.waitingForGuest ?? false,
        startAction: vm.startAction,
        stopDelay: Math.min(MOST_SECONDS, vm.stopDelaySeconds),
        stopAction: vm.stopAction,
      }),
    );
  return items.length === 0 ? undefined : section('StartupSection', 'Start and stop order of the VMs', {}, ...items);
}

function virtualSystem({ captured, hardware, disks }: OvfVm, diskId: (disk: OvfDisk) => string): XmlElement {
  const diskIds = new Map([...disks].map(([deviceKey, disk]) => [deviceKey, diskId(disk)]));
  return ovf(
    'VirtualSystem',
    { id: captured.name },
    ovf('Info', {}, 'A virtual machine'),
    ovf('Name', {}, captured.name),
    operatingSystem(captured, hardware),
    annotation(captured.description ?? hardware.annotation),
    ...productSections(captured.sections),
    metadataProperties(captured.metadata),
    virtualHardware({ vmName: captured.name, hardware, nics: captured.nics, diskIds }),
  );
}

function operatingSystem({ sections }: VmCapture, { guestId, guestFullName }: CapturedHardware): XmlElement {
  const captured = sections.OperatingSystemSection === undefined ? undefined : parseXml(sections.OperatingSystemSection);
  const id = captured?.attribute('id', OVF) ?? '';
  const described = section(
    'OperatingSystemSection',
    'The guest operating system',
    { id: /^\d{1,5}$/.test(id) ? id : OTHER_SYSTEM },
    ovf('Description', {}, captured?.textAt('Description') || guestFullName || guestId),
  );
  const osType = captured?.attribute('osType', VMW) || guestId;
  return osType === '' ? described : qualified(described, VMW, { osType });
}

function annotation(text: string | undefined): XmlElement | undefined {
  if (text === undefined || text === '') return undefined;
  return section('AnnotationSection', 'A description', {}, ovf('Annotation', {}, text));
}
