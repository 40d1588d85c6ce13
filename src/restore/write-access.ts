import { type Logger, newId } from '../common/index.js';
import { accessDisks, type CloudSessions, diskPlacesFor, prepareForAccess, type VddkUse } from '../clouds/index.js';
import type { ObligationLedger } from '../jobs/index.js';
import type { DiskAccess, DiskPlace, Transport, VddkConnectionApi, VddkHostApi } from '../vddk/index.js';
import type { VmConfiguration, VsphereClientApi } from '../vsphere/index.js';
import { withoutTracking } from './pause-tracking.js';
import { withRestoreSnapshot, writingTransports } from './restore-snapshot.js';

export interface WriteAccessOptions {
  cloud: CloudSessions;
  vcenter: VsphereClientApi;
  vddk: VddkUse;
  obligations: ObligationLedger;
  /** Into the run's report. */
  warn: (message: string) => void;
  log: Logger;
  signal: AbortSignal;
}

/** Shared with VDDK's process: what is written is taken from here. */
export type HostMemory = Pick<VddkHostApi, 'memory'>;
/** Opens the disks of the VM, each by the transports its place allows. */
export type WritableDisks = Pick<VddkConnectionApi, 'openDisk'>;

/**
 * Lets `work` write the disks of a VM that is off and has no snapshot. PrepareForAccess comes first and EndAccess last,
 * however it ends (guide, chapter 4). `work` names disks as they were before: where SAN carries them, it writes below a
 * snapshot, which is reverted to and removed afterwards (guide, Table 7-4).
 */
export async function withWriteAccess<T>(
  vm: { moRef: string; name: string },
  options: WriteAccessOptions,
  work: (host: HostMemory, connection: WritableDisks) => Promise<T>,
): Promise<T> {
  const { cloud, vddk } = options;
  // Lives as long as the access does: EndAccess is its last call.
  const owner = newId();
  try {
    const debt = await prepareForAccess({ vm, cloudId: cloud.cloudId, owner, ...options });
    try {
      return await writePrepared(vm, options, work);
    } finally {
      await debt.pay();
    }
  } finally {
    await vddk.accesses.letGo(owner);
  }
}

async function writePrepared<T>(
  vm: { moRef: string; name: string },
  options: WriteAccessOptions,
  work: (host: HostMemory, connection: WritableDisks) => Promise<T>,
): Promise<T> {
  const present = await options.vcenter.readVm(vm.moRef, options.signal);
  const placeOf = diskPlacesFor(present.configXml, present.datastores);
  const places = new Map(present.disks.map((disk) => [disk.path, placeOf(disk)]));
  const writing = present.disks.map((disk) => ({ ...placeOf(disk), isChild: disk.parentPaths.length > 0 }));
  const { modes, belowSnapshot } = writingTransports(options.vddk.transport.modes, writing, vm.name);
  const write = (snapshotMoRef?: string) => writeDisks(present, places, modes, snapshotMoRef, options, work);
  // "CBT must be disabled for SAN restores" (guide, "Best Practices for SAN Transport").
  return await (belowSnapshot ? withoutTracking(present, options, () => withRestoreSnapshot(present, options, write)) : write());
}

async function writeDisks<T>(
  { moRef, hostMoRef }: VmConfiguration,
  places: ReadonlyMap<string, DiskPlace>,
  modes: readonly Transport[],
  snapshotMoRef: string | undefined,
  { vcenter, vddk, warn, log, signal }: WriteAccessOptions,
  work: (host: HostMemory, connection: WritableDisks) => Promise<T>,
): Promise<T> {
  const snapshot = snapshotMoRef === undefined ? {} : { snapshotMoRef };
  const access = await accessDisks({
    vm: { moRef, hostMoRef },
    vcenter,
    vddk,
    wish: { modes },
    readOnly: false,
    ...snapshot,
    warn,
    log,
    signal,
  });
  try {
    return await work(access, writable(access, places));
  } finally {
    await access.close();
  }
}

function writable(access: DiskAccess, places: ReadonlyMap<string, DiskPlace>): WritableDisks {
  return {
    openDisk: (path, _options, signal) => {
      const place = places.get(path);
      return access.openDisk(path, place === undefined ? {} : { place }, signal);
    },
  };
}
