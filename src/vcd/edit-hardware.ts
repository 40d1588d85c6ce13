import { element, type XmlElement } from '../common/index.js';
import { readVm, sendChange, type VcdContext } from './context.js';
import { withoutChildren } from './edit-vapp.js';
import { badAnswer, VcdError } from './error.js';
import { disksOf } from './hardware.js';
import { linkHref, sameEntity, under } from './links.js';
import { MEDIA, VCLOUD } from './namespaces.js';
import type { DiskProfile, VmHardware } from './types.js';

/** Hardware VCD itself changes, by VmSpecSection (API 32.0), which counts only where it says Modified="true". */

/** CPU, cores per socket and memory of a VM that is off; what is not given stays. */
export async function writeHardware(context: VcdContext, vmHref: string, hardware: VmHardware, signal?: AbortSignal): Promise<void> {
  const { root } = await readVm(context, vmHref, signal);
  const section = resizedSection(specSection(root, context.names.label(vmHref)), hardware);
  if (section !== undefined) await reconfigure(context, vmHref, root, section, 'Writing the CPU and memory of', signal);
}

/** Undefined where the VM has that size. The disks are left out: VCD takes ones that are sent as a change of them. */
export function resizedSection(present: XmlElement, hardware: VmHardware): XmlElement | undefined {
  const section = withoutChildren(present, 'Link', 'DiskSection');
  const wanted: [readonly string[], number | undefined][] = [
    [['NumCpus'], hardware.cpuCount],
    [['NumCoresPerSocket'], hardware.coresPerSocket],
    [['MemoryResourceMb', 'Configured'], hardware.memoryMib],
  ];
  const changed = wanted.flatMap(([path, value]): [XmlElement, string][] => {
    const field = section.find(...path);
    if (value === undefined || field?.text() === String(value)) return [];
    if (field === undefined) throw badAnswer('Writing the CPU and memory of a VM', `its VmSpecSection has no ${path.join('/')}`);
    return [[field, String(value)]];
  });
  for (const [field, value] of changed) field.setText(value);
  return changed.length === 0 ? undefined : section;
}

/** @throws VcdError DISK_NOT_FOUND for a place without a disk of the VM's own: a named disk has its profile itself. */
export async function writeDiskProfiles(
  context: VcdContext,
  vmHref: string,
  disks: readonly DiskProfile[],
  signal?: AbortSignal,
): Promise<void> {
  if (disks.length === 0) return;
  const { root } = await readVm(context, vmHref, signal);
  const section = profiledSection(root, disks, context.names.label(vmHref));
  if (section !== undefined) await reconfigure(context, vmHref, root, section, 'Writing the storage profiles of the disks of', signal);
}

/** Undefined where all disks are so. Every disk is sent: one that is left out would be deleted. */
export function profiledSection(vm: XmlElement, disks: readonly DiskProfile[], subject: string): XmlElement | undefined {
  const section = withoutChildren(specSection(vm, subject), 'Link');
  const settings = section.child('DiskSection')?.childrenNamed('DiskSettings') ?? [];
  const places = disksOf(vm);
  let changed = false;
  for (const wanted of disks) {
    const place = places.find(
      (disk) =>
        disk.namedDisk === undefined &&
        disk.busNumber === wanted.busNumber &&
        disk.unitNumber === wanted.unitNumber &&
        (wanted.adapterType === undefined || disk.adapterType === wanted.adapterType),
    );
    const disk = settings.find((candidate) => place !== undefined && candidate.textAt('DiskId') === place.instanceId);
    if (disk === undefined) throw noDisk(wanted, subject);
    const isSo = disk.textAt('overrideVmDefault') === 'true';
    const today = disk.child('StorageProfile')?.attribute('href');
    if (isSo && today !== undefined && sameEntity(today, wanted.storageProfileHref)) continue;
    giveProfile(disk, wanted.storageProfileHref);
    changed = true;
  }
  return changed ? section : undefined;
}

function noDisk({ busNumber, unitNumber }: DiskProfile, subject: string): VcdError {
  return new VcdError(`${subject} has no disk of its own at bus ${busNumber}, unit ${unitNumber}, which was to get a storage profile.`, {
    code: 'DISK_NOT_FOUND',
    subject,
  });
}

/** DiskSettingsType: what stands before StorageProfile and overrideVmDefault. */
const BEFORE_PROFILE = new Set([
  'VCloudExtension',
  'DiskId',
  'SizeMb',
  'UnitNumber',
  'BusNumber',
  'AdapterType',
  'ThinProvisioned',
  'Disk',
]);

function giveProfile(disk: XmlElement, href: string): void {
  const others = disk.elements().filter((part) => part.local !== 'StorageProfile' && part.local !== 'overrideVmDefault');
  disk.children = [
    ...others.filter((part) => BEFORE_PROFILE.has(part.local)),
    element('StorageProfile', VCLOUD, { href, type: 'application/vnd.vmware.vcloud.vdcStorageProfile+xml' }),
    element('overrideVmDefault', VCLOUD, {}, 'true'),
    ...others.filter((part) => !BEFORE_PROFILE.has(part.local)),
  ];
}

function specSection(vm: XmlElement, subject: string): XmlElement {
  const section = vm.child('VmSpecSection');
  if (section === undefined) throw badAnswer(`Reading the hardware of ${subject}`, 'the VM has no VmSpecSection');
  return section;
}

/** Name and description go with it: reconfigureVm takes a missing description for an empty one. */
async function reconfigure(
  context: VcdContext,
  vmHref: string,
  vm: XmlElement,
  section: XmlElement,
  doing: string,
  signal?: AbortSignal,
): Promise<void> {
  section.setAttribute('Modified', 'true');
  await sendChange(context, {
    method: 'POST',
    href: linkHref(vm, 'reconfigureVm') ?? under(vmHref, 'action', 'reconfigureVm'),
    doing,
    entityHref: vmHref,
    body: element(
      'Vm',
      VCLOUD,
      { name: vm.attribute('name') ?? '' },
      element('Description', VCLOUD, {}, vm.textAt('Description') ?? ''),
      section,
    ),
    contentType: MEDIA.vm,
    // The whole section is sent: twice gives the same VM as once.
    idempotent: true,
    signal,
  });
}
