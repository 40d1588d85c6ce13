import type { Logger } from '../common/index.js';
import { DiskAccess, type DiskPlace } from '../vddk/index.js';
import type { FirstClassDisk, VsphereClientApi } from '../vsphere/index.js';
import { type TransportWish, type VddkUse, withWish } from './disk-access.js';
import { vixDiskTarget } from './vix-target.js';

export interface FirstClassDiskAccess {
  disk: FirstClassDisk;
  vcenter: Pick<VsphereClientApi, 'instanceUuid' | 'vixCredentials' | 'firstClassDisks'>;
  vddk: VddkUse;
  wish?: TransportWish | undefined;
  readOnly: boolean;
  /** Of the disk: what it froze is read. Without it the disk itself, which alone can be written. */
  snapshotId?: string;
  warn: (message: string) => void;
  log: Logger;
  signal: AbortSignal;
}

/**
 * A first class disk that no VM has, read or written through the vCenter session that this process has anyway. Any of its ids opens
 * it: VDDK passes the path over. Nothing is prepared for access: PrepareForAccess keeps the VMs in place that have the disk, and
 * there is none (guide, "Behavior of FCD with vMotion").
 */
export function accessFirstClassDisk({ disk, vcenter, vddk, wish, snapshotId, ...options }: FirstClassDiskAccess): Promise<DiskAccess> {
  return DiskAccess.start({
    ...options,
    settings: vddk,
    transport: withWish(vddk, wish),
    limits: vddk.limits,
    target: () => vixDiskTarget(vcenter, disk, snapshotId),
    // Whatever needs a session makes the client log in again when it has ended.
    renewSession: async (signal) => {
      await vcenter.firstClassDisks.read(disk, signal);
    },
    afterCleanup: () => vddk.accesses.holdAgain(),
    vcenterInstanceUuid: vcenter.instanceUuid,
    esxiHostMoRef: undefined,
  });
}

/** It has no controller: HotAdd gives it one of the appliance's own. */
export function placeOfFirstClassDisk({ encrypted }: Pick<FirstClassDisk, 'encrypted'>, datastoreType: string): DiskPlace {
  return { datastoreType, bus: 'scsi', encrypted };
}
