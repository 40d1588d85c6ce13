import { type Logger, newId } from '../common/index.js';
import { accessDisks, cleanUpLeftovers, type CloudSessions, diskPlacesFor, owe, type VddkUse, vixTarget } from '../clouds/index.js';
import type { ObligationHandle, ObligationLedger } from '../jobs/index.js';
import { type DiskAccess, type DiskPlace, type Transport, VddkHost, type VddkConnectionApi, type VddkHostApi } from '../vddk/index.js';
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
  const debt = await prepareForAccess(vm, options);
  try {
    const present = await options.vcenter.readVm(vm.moRef, options.signal);
    const placeOf = diskPlacesFor(present.configXml, present.datastores);
    const places = new Map(present.disks.map((disk) => [disk.path, placeOf(disk)]));
    const { modes, belowSnapshot } = writingTransports(options.vddk.transport.modes, [...places.values()], vm.name);
    const write = (snapshotMoRef?: string) => writeDisks(present, places, modes, snapshotMoRef, options, work);
    // "CBT must be disabled for SAN restores" (guide, "Best Practices for SAN Transport").
    return await (belowSnapshot ? withoutTracking(present, options, () => withRestoreSnapshot(present, options, write)) : write());
  } finally {
    await debt.pay();
  }
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

/** @returns the debt of EndAccess, which the run's end pays when this fails. */
async function prepareForAccess(vm: { moRef: string; name: string }, options: WriteAccessOptions): Promise<ObligationHandle> {
  const { vcenter, signal } = options;
  // Before: Cleanup could end the access that is prepared here.
  await cleanUpLeftovers(vcenter, vm.moRef, options.vddk, options.log);
  const identity = `vapp-vault-${newId()}`.slice(0, 50);
  const debt = await owe(options.obligations, 'vddk.access', {
    cloudId: options.cloud.cloudId,
    vcenterInstanceUuid: vcenter.instanceUuid,
    vmMoRef: vm.moRef,
    vmName: vm.name,
    identity,
  });
  const host = await VddkHost.start(options.vddk, { log: options.log, signal });
  try {
    await host.prepareForAccess(vixTarget(vcenter, vm.moRef), identity, signal);
    return debt;
  } finally {
    await host.stop();
  }
}
