import { statfsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join, normalize, relative, sep } from 'node:path';
import { ChangeTracking } from './change-tracking.js';
import { mergeDelta, readChain } from './disk-chain.js';
import { SeSparseExtent } from './sesparse.js';
import { createSparseFile, exists } from './sparse-file.js';
import { formatDatabaseUuid, formatDescriptor, newContentId, NO_PARENT, parseDescriptor, type VmdkDescriptor } from './vmdk-descriptor.js';

export interface NewDisk {
  capacityBytes: number;
  uuid: string;
  thin: boolean;
  adapterType: string;
  hardwareVersion: number;
}

/** A path that leaves the datastore, or names none. */
export class DatastorePathError extends Error {
  override readonly name = 'DatastorePathError';
}

/** "[name] folder/file" taken apart. */
export function parseDatastorePath(path: string): { datastore: string; file: string } | undefined {
  const match = /^\[([^\]]+)\]\s*(.*)$/.exec(path);
  return match ? { datastore: match[1] as string, file: match[2] as string } : undefined;
}

/** One datastore: a folder on this machine. Paths inside it use "/" and never leave it. */
export class Datastore {
  constructor(
    readonly name: string,
    readonly directory: string,
  ) {}

  /** @throws DatastorePathError */
  absolute(file: string): string {
    const path = normalize(join(this.directory, file));
    if (path !== this.directory && !path.startsWith(this.directory + sep))
      throw new DatastorePathError(`"${file}" is outside datastore [${this.name}]`);
    return path;
  }

  pathOf(absolute: string): string {
    return `[${this.name}] ${relative(this.directory, absolute).split(sep).join('/')}`;
  }

  /** Of the file system under it, now: what a write will meet. */
  space(): { capacityBytes: number; freeBytes: number } {
    const info = statfsSync(this.directory);
    return { capacityBytes: info.blocks * info.bsize, freeBytes: info.bavail * info.bsize };
  }

  /** A folder of that name, or, where it is taken, the name with _1, _2 … as vCenter does. @returns its name. */
  async makeFolderFor(name: string): Promise<string> {
    const clean = name.replace(/[/\\%]/g, '_');
    for (let n = 0; n < 1000; n += 1) {
      const folder = n === 0 ? clean : `${clean}_${n}`;
      try {
        await mkdir(this.absolute(folder));
        return folder;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
    throw new Error(`No free folder name for ${name} in [${this.name}]`);
  }
}

/** Makes an empty base disk: descriptor and flat extent. Thick disks are holes too; only their descriptor says so. */
export async function createBaseDisk(descriptorPath: string, disk: NewDisk): Promise<void> {
  if (await exists(descriptorPath)) throw Object.assign(new Error(`${basename(descriptorPath)} already exists`), { code: 'EEXIST' });
  const flatName = `${basename(descriptorPath, '.vmdk')}-flat.vmdk`;
  const sectors = disk.capacityBytes / 512;
  const database: Record<string, string> = {
    adapterType: disk.adapterType,
    'geometry.cylinders': String(Math.min(65535, Math.floor(sectors / (255 * 63)))),
    'geometry.heads': '255',
    'geometry.sectors': '63',
    longContentID: newContentId().repeat(4),
    uuid: formatDatabaseUuid(disk.uuid),
    virtualHWVersion: String(disk.hardwareVersion),
  };
  if (disk.thin) database.thinProvisioned = '1';
  await createSparseFile(join(dirname(descriptorPath), flatName), disk.capacityBytes);
  await writeDescriptor(descriptorPath, {
    contentId: newContentId(),
    parentContentId: NO_PARENT,
    createType: 'vmfs',
    parentFileName: undefined,
    extent: { sectors, kind: 'VMFS', fileName: flatName },
    changeTrackPath: undefined,
    database,
  });
}

/** A new topmost link over `parentPath`, named with the lowest free -00000N. @returns the new descriptor's path. */
export async function createDelta(parentPath: string): Promise<string> {
  const stem = join(dirname(parentPath), basename(parentPath, '.vmdk').replace(/-\d{6}$/, ''));
  let number = 1;
  while (await exists(`${stem}-${String(number).padStart(6, '0')}.vmdk`)) number += 1;
  const path = `${stem}-${String(number).padStart(6, '0')}.vmdk`;
  await createDeltaAt(path, parentPath);
  return path;
}

/** As above, under a name of one's own; the parent may lie in another folder of the datastore (linked clones). */
export async function createDeltaAt(path: string, parentPath: string): Promise<void> {
  const parent = await readDescriptor(parentPath);
  const extentName = `${basename(path, '.vmdk')}-sesparse.vmdk`;
  await SeSparseExtent.create(join(dirname(path), extentName), parent.extent.sectors * 512);
  await writeDescriptor(path, {
    contentId: newContentId(),
    parentContentId: parent.contentId,
    createType: 'seSparse',
    parentFileName: relative(dirname(path), parentPath),
    extent: { sectors: parent.extent.sectors, kind: 'SESPARSE', fileName: extentName },
    changeTrackPath: undefined,
    database: { ...parent.database, grain: '8' },
  });
}

/**
 * Removes the snapshot that froze `parentPath`: its child's blocks go down into it, the child's
 * files are deleted, and `grandchildPath` (the link above the child, if any) hangs on the parent now.
 */
export async function consolidate(parentPath: string, childPath: string, grandchildPath: string | undefined): Promise<void> {
  const child = await readDescriptor(childPath);
  const parent = await readDescriptor(parentPath);
  await mergeDelta(join(dirname(childPath), child.extent.fileName), parentPath);
  // The merged parent is a different content now: a stale child must not find itself on it.
  const contentId = newContentId();
  const changeTrackPath = child.changeTrackPath === undefined ? undefined : basename(changeTrackPathOf(parentPath));
  await writeDescriptor(parentPath, { ...parent, contentId, changeTrackPath });
  if (grandchildPath !== undefined) {
    const grandchild = await readDescriptor(grandchildPath);
    await writeDescriptor(grandchildPath, { ...grandchild, parentFileName: basename(parentPath), parentContentId: contentId });
  }
  await rm(changeTrackPathOf(parentPath), { force: true });
  if (child.changeTrackPath !== undefined) await rename(changeTrackPathOf(childPath), changeTrackPathOf(parentPath));
  await rm(join(dirname(childPath), child.extent.fileName), { force: true });
  await rm(childPath, { force: true });
}

/** One link's files: descriptor, extent, change tracking. Absent ones are fine. */
export async function deleteLink(descriptorPath: string): Promise<void> {
  const descriptor = await readDescriptor(descriptorPath).catch(() => undefined);
  if (descriptor) await rm(join(dirname(descriptorPath), descriptor.extent.fileName), { force: true });
  await rm(changeTrackPathOf(descriptorPath), { force: true });
  await rm(descriptorPath, { force: true });
}

/** All links of a chain that lie with its top: a base in another folder belongs to other linked clones too. */
export async function deleteChain(topDescriptorPath: string): Promise<void> {
  const links = await readChain(topDescriptorPath).catch(() => []);
  if (links.length === 0) await deleteLink(topDescriptorPath);
  for (const link of links) if (dirname(link.descriptorPath) === dirname(topDescriptorPath)) await deleteLink(link.descriptorPath);
}

/** Grows a disk without snapshots. */
export async function growDisk(descriptorPath: string, capacityBytes: number): Promise<void> {
  const descriptor = await readDescriptor(descriptorPath);
  await truncate(join(dirname(descriptorPath), descriptor.extent.fileName), capacityBytes);
  await writeDescriptor(descriptorPath, { ...descriptor, extent: { ...descriptor.extent, sectors: capacityBytes / 512 } });
}

export function changeTrackPathOf(descriptorPath: string): string {
  return descriptorPath.replace(/\.vmdk$/, '-ctk.vmdk');
}

/** The tracking of one link; undefined when it has none. */
export async function loadTracking(descriptorPath: string): Promise<ChangeTracking | undefined> {
  const path = changeTrackPathOf(descriptorPath);
  return (await exists(path)) ? ChangeTracking.load(path) : undefined;
}

/** Saves (or, with undefined, ends) the tracking of one link, and says so in its descriptor. */
export async function saveTracking(descriptorPath: string, tracking: ChangeTracking | undefined): Promise<void> {
  const path = changeTrackPathOf(descriptorPath);
  if (tracking) await tracking.save(path);
  else await rm(path, { force: true });
  const descriptor = await readDescriptor(descriptorPath);
  const changeTrackPath = tracking ? basename(path) : undefined;
  if (descriptor.changeTrackPath !== changeTrackPath) await writeDescriptor(descriptorPath, { ...descriptor, changeTrackPath });
}

export async function readDescriptor(path: string): Promise<VmdkDescriptor> {
  return parseDescriptor(await readFile(path, 'utf8'), path);
}

export async function writeDescriptor(path: string, descriptor: VmdkDescriptor): Promise<void> {
  await writeFile(`${path}~`, formatDescriptor(descriptor));
  await rename(`${path}~`, path);
}

export async function fileSize(path: string): Promise<number> {
  return stat(path).then(
    (info) => info.size,
    () => 0,
  );
}
