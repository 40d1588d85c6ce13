import { element, type XmlElement } from '../common/index.js';
import { type EntityAnswer, readEntity, sendChange, type VcdContext } from './context.js';
import { begunBy, type Begun, deleteEntity, deleteHalfMade, finishCreation, sendOnce } from './creation.js';
import { describe, writable } from './edit-entity.js';
import { writeOwner } from './edit-vapp.js';
import { VcdError } from './error.js';
import { linkHref, sameEntity, under, urnOf, userView } from './links.js';
import { writeMetadata } from './metadata.js';
import { MEDIA, VCLOUD } from './namespaces.js';
import { filterValue } from './query.js';
import { namedDisks } from './storage-inventory.js';
import type { MetadataEntry, NewNamedDisk, VcdReference } from './types.js';
import { compareVersions } from './versions.js';

/** Named (independent) disks: made in a VDC, lent to VMs. */

/** disk.xsd: sharingType came with 36.0 and takes the place of `shareable`. */
const SHARING_TYPE_FROM = '36.0';

export async function findNamedDisks(context: VcdContext, vdcHref: string, name: string, signal?: AbortSignal): Promise<VcdReference[]> {
  const found: VcdReference[] = [];
  const filter = `name==${filterValue(name, context.http.session.apiVersion)}`;
  for await (const disk of namedDisks(context, filter, signal)) {
    // FIQL takes * as a wildcard, and some releases compare without case: the record decides.
    if (disk.name === name && sameEntity(disk.vdcId, vdcHref)) found.push({ href: disk.href, id: disk.id, name: disk.name });
  }
  return found;
}

/**
 * 201 with the disk and its task. VCD lets disks share a name, so one found after a lost answer is ours only when
 * it was not there before.
 */
export async function createNamedDisk(
  context: VcdContext,
  vdcHref: string,
  disk: NewNamedDisk,
  signal?: AbortSignal,
): Promise<{ href: string; id: string }> {
  const subject = `named disk "${disk.name}"`;
  const operation = `Creating ${subject} in ${context.names.label(vdcHref)}`;
  const before = new Set((await findNamedDisks(context, vdcHref, disk.name, signal)).map(({ href }) => href));
  const send = async (): Promise<Begun> => {
    const answer = await context.http.request({
      method: 'POST',
      // Only the user view of a VDC makes disks.
      href: under(userView(vdcHref), 'disk'),
      operation,
      subject,
      body: diskCreateBody(disk, context.http.session.apiVersion),
      contentType: MEDIA.diskCreate,
      signal,
    });
    return begunBy(answer, 'Disk', operation);
  };
  const find = async (): Promise<Begun | undefined> => {
    const fresh = (await findNamedDisks(context, vdcHref, disk.name, signal)).filter(({ href }) => !before.has(href));
    const [only] = fresh;
    return fresh.length === 1 && only ? { href: only.href, tasks: [] } : undefined;
  };
  const begun = await sendOnce(context, send, find, signal);
  context.names.remember(begun.href, disk.name);
  try {
    const read = async () => (await readDisk(context, begun.href, signal)).root;
    await finishCreation(context, begun, read, { operation, subject, signal });
    return { href: begun.href, id: urnOf('disk', begun.href) };
  } catch (error) {
    await deleteHalfMade(context, begun.href, readDisk);
    throw error;
  }
}

/** Element order of DiskType (disk.xsd): Description is ResourceEntity's, then StorageProfile. */
export function diskCreateBody(disk: NewNamedDisk, apiVersion: string): XmlElement {
  const { description, storageProfileHref } = disk;
  const attributes: Record<string, string> = { name: disk.name, sizeMb: String(disk.sizeMib), busType: disk.busType };
  if (disk.busSubType !== undefined) attributes.busSubType = disk.busSubType;
  if (disk.sharingType !== undefined && compareVersions(apiVersion, SHARING_TYPE_FROM) >= 0) attributes.sharingType = disk.sharingType;
  return element(
    'DiskCreateParams',
    VCLOUD,
    {},
    element(
      'Disk',
      VCLOUD,
      attributes,
      description === undefined ? undefined : element('Description', VCLOUD, {}, description),
      storageProfileHref === undefined ? undefined : element('StorageProfile', VCLOUD, { href: storageProfileHref }),
    ),
  );
}

/** Attached to this VM already is success, wherever it is plugged in. */
export async function attachNamedDisk(
  context: VcdContext,
  vmHref: string,
  diskHref: string,
  place: { busNumber?: number; unitNumber?: number },
  signal?: AbortSignal,
): Promise<void> {
  const body = attachmentBody(diskHref);
  if (place.busNumber !== undefined) body.append(element('BusNumber', VCLOUD, {}, String(place.busNumber)));
  if (place.unitNumber !== undefined) body.append(element('UnitNumber', VCLOUD, {}, String(place.unitNumber)));
  await setAttached(context, vmHref, diskHref, true, body, signal);
}

/** Not attached to this VM is success, and so is a disk that is gone. */
export async function detachNamedDisk(context: VcdContext, vmHref: string, diskHref: string, signal?: AbortSignal): Promise<void> {
  await setAttached(context, vmHref, diskHref, false, attachmentBody(diskHref), signal);
}

function attachmentBody(diskHref: string): XmlElement {
  return element('DiskAttachOrDetachParams', VCLOUD, {}, element('Disk', VCLOUD, { href: diskHref, type: MEDIA.disk }));
}

async function setAttached(
  context: VcdContext,
  vmHref: string,
  diskHref: string,
  wanted: boolean,
  body: XmlElement,
  signal?: AbortSignal,
): Promise<void> {
  if ((await isAttached(context, vmHref, diskHref, wanted, signal)) === wanted) return;
  const disk = context.names.label(diskHref);
  try {
    await sendChange(context, {
      method: 'POST',
      href: under(vmHref, 'disk', 'action', wanted ? 'attach' : 'detach'),
      doing: wanted ? `Attaching ${disk} to` : `Detaching ${disk} from`,
      entityHref: vmHref,
      body,
      contentType: MEDIA.diskAttachOrDetach,
      // VCD refuses the second of two, and the state below tells that the first was done.
      idempotent: true,
      cancelOnAbort: wanted,
      signal,
    });
  } catch (error) {
    if (error instanceof VcdError && (await isAttached(context, vmHref, diskHref, wanted, signal)) === wanted) return;
    throw error;
  }
}

/** @throws VcdError DISK_NOT_FOUND where it is to be attached; a disk that is gone is attached to nothing. */
async function isAttached(
  context: VcdContext,
  vmHref: string,
  diskHref: string,
  mustExist: boolean,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    const { root } = await readDisk(context, diskHref, signal);
    const href = linkHref(root, 'down', MEDIA.vms) ?? under(diskHref, 'attachedVms');
    const subject = context.names.label(diskHref);
    const vms = (await context.http.get(href, `Reading the VMs of ${subject}`, signal, subject)).root();
    return vms.childrenNamed('VmReference').some((vm) => sameEntity(vm.attribute('href') ?? '', vmHref));
  } catch (error) {
    if (error instanceof VcdError && error.saysGone && !mustExist) return false;
    throw error;
  }
}

/** VCD changes name and description only of a disk that is attached to nothing; owner and metadata at any time. */
export async function writeNamedDisk(
  context: VcdContext,
  diskHref: string,
  wanted: { name: string; description?: string; ownerHref?: string; metadata: readonly MetadataEntry[] },
  signal?: AbortSignal,
): Promise<void> {
  const { root } = await readDisk(context, diskHref, signal);
  const description = wanted.description ?? '';
  if (root.attribute('name') !== wanted.name || (root.textAt('Description') ?? '') !== description) {
    const body = describe(writable(root), description).setAttribute('name', wanted.name);
    await sendChange(context, {
      method: 'PUT',
      href: linkHref(root, 'edit', MEDIA.disk) ?? diskHref,
      doing: 'Writing name and description of',
      entityHref: diskHref,
      body,
      contentType: MEDIA.disk,
      signal,
    });
    context.names.remember(diskHref, wanted.name);
  }
  const owner = root.child('Owner')?.child('User')?.attribute('href');
  const { ownerHref } = wanted;
  if (ownerHref !== undefined && (owner === undefined || !sameEntity(owner, ownerHref)))
    await writeOwner(context, diskHref, ownerHref, signal);
  await writeMetadata(context, diskHref, wanted.metadata, signal);
}

export function deleteNamedDisk(context: VcdContext, diskHref: string, signal?: AbortSignal): Promise<void> {
  return deleteEntity(context, diskHref, readDisk, signal);
}

function readDisk(context: VcdContext, diskHref: string, signal?: AbortSignal): Promise<EntityAnswer> {
  return readEntity(context, diskHref, 'Disk', 'DISK_NOT_FOUND', signal);
}
