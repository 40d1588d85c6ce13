import type { ManifestDisk } from '../catalog/index.js';
import { alignExtents, type Extent, intersectExtents, totalBytes } from '../disk/index.js';
import type { ManifestRef, RepositoryApi } from '../repository/index.js';
import type { VmConfiguration, VsphereClientApi } from '../vsphere/index.js';
import { RestoreError } from './errors.js';
import type { WritableDisks } from './write-access.js';

/** A disk of today that is going to be written over. */
export interface GrowingDisk {
  captured: Pick<ManifestDisk, 'allocatedBytes' | 'diskId' | 'indexId' | 'capacityBytes' | 'chunkBytes'>;
  /** "[datastore] folder/disk.vmdk" */
  path: string;
  /** Others have all their room already. */
  thin: boolean;
  /** Where it may differ; undefined: anywhere. */
  changed: readonly Extent[] | undefined;
}

export interface RoomOptions {
  vm: Pick<VmConfiguration, 'datastores'> & { name: string };
  vcenter: { survey: Pick<VsphereClientApi['survey'], 'datastores'> };
  repository: Pick<RepositoryApi, 'openDisk'>;
  ref: ManifestRef;
  signal: AbortSignal;
}

/**
 * A thin disk grows by what the restore point has where the disk of today has nothing. Held against the datastores' free
 * space before the first byte is written, because a VM whose datastore is full in the middle is half written. Disks are
 * opened for it only where the coarse figure does not fit: all that changed, or all that the restore point holds.
 * @throws RestoreError DATASTORE_FULL; what vCenter, VDDK and the repository throw
 */
export async function assertRoomToGrow(disks: readonly GrowingDisk[], connection: WritableDisks, options: RoomOptions): Promise<void> {
  const { vm, vcenter, signal } = options;
  const thin = disks.filter((disk) => disk.thin);
  if (thin.length === 0) return;
  const listed = await vcenter.survey.datastores(signal);
  for (const name of new Set(thin.map(({ path }) => datastoreOf(path)))) {
    const growing = thin.filter(({ path }) => datastoreOf(path) === name);
    // Names are unique in a datacenter only.
    const moRef = vm.datastores.find((datastore) => datastore.name === name)?.moRef;
    const freeBytes = listed.find((datastore) => datastore.moRef === moRef)?.freeBytes;
    if (freeBytes === undefined || sum(growing.map(mostBytes)) <= freeBytes) continue;
    const neededBytes = await growthOfAll(growing, connection, options);
    if (neededBytes <= freeBytes) continue;
    throw new RestoreError(
      'DATASTORE_FULL',
      `Writing over the disks of VM "${vm.name}" may take ${neededBytes} bytes more of datastore "${name}", which has ${freeBytes} free; nothing was written yet: free some space, or restore beside it.`,
      { neededBytes, freeBytes, datastore: name },
    );
  }
}

function datastoreOf(path: string): string {
  return /^\[([^\]]+)\]/.exec(path)?.[1] ?? '';
}

function mostBytes({ captured, changed }: GrowingDisk): number {
  return changed === undefined ? captured.allocatedBytes : Math.min(captured.allocatedBytes, totalBytes(changed));
}

/** One after the other: each takes a permit. */
async function growthOfAll(disks: readonly GrowingDisk[], connection: WritableDisks, options: RoomOptions): Promise<number> {
  let bytes = 0;
  for (const disk of disks) bytes += await growthOf(disk, connection, options);
  return bytes;
}

/** In whole chunks of the restore point: no less than it will be. */
async function growthOf(disk: GrowingDisk, connection: WritableDisks, { repository, ref, signal }: RoomOptions): Promise<number> {
  const opened = await connection.openDisk(disk.path, {}, signal);
  let allocated: Extent[] | undefined;
  let isExact = true;
  try {
    allocated = await opened.queryAllocated(signal, () => {
      isExact = false;
    });
  } finally {
    await opened.close();
  }
  // What only counts as allocated has no room yet.
  if (allocated === undefined || !isExact) return mostBytes(disk);
  const reader = await repository.openDisk(ref, disk.captured, signal);
  const { chunkBytes, capacityBytes } = reader;
  const ofChanged = disk.changed && walk(disk.changed);
  const ofAllocated = walk(allocated);
  let bytes = 0;
  for await (const chunkIndices of reader.dataChunks(signal)) {
    const data = chunkIndices.map((index) => ({ offsetBytes: index * chunkBytes, lengthBytes: chunkBytes }));
    const written = alignExtents(ofChanged === undefined ? data : ofChanged(data), chunkBytes, capacityBytes);
    bytes += totalBytes(written) - totalBytes(ofAllocated(written));
  }
  return bytes;
}

/** @returns what lies in both; its pages must come in ascending order. */
function walk(extents: readonly Extent[]): (page: readonly Extent[]) => Extent[] {
  let from = 0;
  return (page) => {
    const startBytes = page[0]?.offsetBytes ?? 0;
    const endBytes = endOf(page.at(-1));
    while (from < extents.length && endOf(extents[from]) <= startBytes) from += 1;
    let to = from;
    while (to < extents.length && (extents[to]?.offsetBytes ?? endBytes) < endBytes) to += 1;
    return intersectExtents(page, extents.slice(from, to));
  };
}

function endOf(extent: Extent | undefined): number {
  return extent === undefined ? 0 : extent.offsetBytes + extent.lengthBytes;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
