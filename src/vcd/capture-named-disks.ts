import { MIB, type XmlElement } from '../common/index.js';
import type { VcdContext } from './context.js';
import { badAnswer, VcdError } from './error.js';
import { EntityReader } from './entity-reader.js';
import { linkHref, referenceOf, under, urnOf } from './links.js';
import { MEDIA } from './namespaces.js';
import { optionalReference, whole } from './sections.js';
import type { NamedDiskCapture, VmCapture } from './types.js';

type Attachment = NamedDiskCapture['attachments'][number];

/** The named disks that VMs of the vApp borrow, each once, with the places it is attached at. At most three requests per disk. */
export async function captureNamedDisks(reader: EntityReader, vms: readonly VmCapture[]): Promise<NamedDiskCapture[]> {
  const attached = new Map<string, { href: string; attachments: Attachment[] }>();
  for (const vm of vms) {
    for (const { namedDisk, busNumber, unitNumber } of vm.disks) {
      if (namedDisk === undefined) continue;
      const key = urnOf('disk', namedDisk.href);
      const found = attached.get(key) ?? { href: namedDisk.href, attachments: [] };
      attached.set(key, found);
      found.attachments.push({
        vmId: vm.id,
        ...(busNumber === undefined ? {} : { busNumber }),
        ...(unitNumber === undefined ? {} : { unitNumber }),
      });
    }
  }
  const captures = await Promise.all([...attached.values()].map(({ href, attachments }) => capture(reader, href, () => attachments)));
  // One that went away meanwhile was detached first: the VM is another now, and the comparison of before and after tells.
  return captures.flatMap((disk) => disk ?? []);
}

/**
 * A named disk by itself, with the VMs it is attached to (whose places on the bus only the VMs tell).
 * @returns undefined when it is gone
 */
export function readNamedDisk(context: VcdContext, diskHref: string, signal?: AbortSignal): Promise<NamedDiskCapture | undefined> {
  const subject = context.names.label(diskHref);
  const reader = new EntityReader(context, { subject, ownPath: '/disk/', goneCode: 'DISK_NOT_FOUND' }, signal);
  return capture(reader, diskHref, async (disk, href) => {
    const vms = await reader.read(linkHref(disk, 'down', MEDIA.vms) ?? under(href, 'attachedVms'), 'the VMs it is attached to');
    return vms.childrenNamed('VmReference').flatMap((element) => {
      const reference = referenceOf(element);
      return reference === undefined ? [] : [{ vmId: reference.id ?? urnOf('vm', reference.href) }];
    });
  });
}

async function capture(
  reader: EntityReader,
  diskHref: string,
  attachmentsOf: (disk: XmlElement, href: string) => Attachment[] | Promise<Attachment[]>,
): Promise<NamedDiskCapture | undefined> {
  try {
    const disk = await reader.read(diskHref, 'a named disk');
    if (disk.local !== 'Disk') throw badAnswer(`Reading a named disk of ${reader.of.subject}`, `the answer is a ${disk.local}, not a Disk`);
    const name = disk.attribute('name') ?? '';
    reader.context.names.remember(diskHref, name);
    const [metadata, owner, attachments] = await Promise.all([
      reader.metadata(disk, diskHref, `the metadata of named disk "${name}"`),
      reader.owner(disk, diskHref),
      attachmentsOf(disk, diskHref),
    ]);
    return { ...namedDiskOf(disk, diskHref), ...(owner ? { owner } : {}), metadata, attachments };
  } catch (error) {
    if (error instanceof VcdError && (error.saysGone || error.code === 'DISK_NOT_FOUND')) return undefined;
    throw error;
  }
}

type OwnFields = Omit<NamedDiskCapture, 'owner' | 'metadata' | 'attachments'>;

/** sizeMb took the place of size (bytes) in API 33.0, sharingType that of shareable in 36.0. */
function namedDiskOf(disk: XmlElement, href: string): OwnFields {
  const description = disk.textAt('Description');
  const busSubType = disk.attribute('busSubType');
  const sharingType = disk.attribute('sharingType') ?? (disk.attribute('shareable') === 'true' ? 'DiskSharing' : undefined);
  return {
    href,
    id: disk.attribute('id') ?? urnOf('disk', href),
    name: disk.attribute('name') ?? '',
    ...(description ? { description } : {}),
    sizeMib: whole(disk.attribute('sizeMb')) ?? Math.ceil((whole(disk.attribute('size')) ?? 0) / MIB),
    // DiskType: SCSI is the default.
    busType: disk.attribute('busType') || '6',
    ...(busSubType ? { busSubType } : {}),
    ...(sharingType ? { sharingType } : {}),
    ...optionalReference('storageProfile', disk.child('StorageProfile')),
  };
}
