import { type Logger, newId } from '../common/index.js';
import { accessDisks, type CloudSessions, diskPlacesFor, owe, type VddkUse, vixTarget } from '../clouds/index.js';
import type { ObligationHandle, ObligationLedger } from '../jobs/index.js';
import { type DiskAccess, type DiskPlace, VddkHost, type VddkConnectionApi, type VddkHostApi } from '../vddk/index.js';
import type { VsphereClientApi } from '../vsphere/index.js';

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
 * Lets `work` write the disks of a VM that is off. PrepareForAccess comes first and EndAccess last, however it ends
 * (guide, chapter 4).
 */
export async function withWriteAccess<T>(
  vm: { moRef: string; name: string },
  options: WriteAccessOptions,
  work: (host: HostMemory, connection: WritableDisks) => Promise<T>,
): Promise<T> {
  const { vcenter, vddk, warn, log, signal } = options;
  const debt = await prepareForAccess(vm, options);
  try {
    const { moRef, hostMoRef, configXml, datastores, disks } = await vcenter.readVm(vm.moRef, signal);
    const placeOf = diskPlacesFor(configXml, datastores);
    const places = new Map(disks.map((disk) => [disk.path, placeOf(disk)]));
    const access = await accessDisks({ vm: { moRef, hostMoRef }, vcenter, vddk, readOnly: false, warn, log, signal });
    try {
      return await work(access, writable(access, places));
    } finally {
      await access.close();
    }
  } finally {
    await debt.pay();
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

/** @returns the debt of EndAccess. */
async function prepareForAccess(vm: { moRef: string; name: string }, options: WriteAccessOptions): Promise<ObligationHandle> {
  const { vcenter, signal } = options;
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
  } catch (error) {
    await host.stop();
    await debt.pay();
    throw error;
  } finally {
    await host.stop();
  }
}
