import type { Logger } from '../common/index.js';
import type { VaultConfig } from '../config/index.js';
import {
  type AccessHosts,
  type AccessRequest,
  DiskAccess,
  type DiskPlace,
  type Leftovers,
  type OpenDiskPermits,
  type Transport,
  type TransportPolicy,
  type VddkSettings,
} from '../vddk/index.js';
import { type DiskBacking, storageDevices, type VmConfiguration, type VsphereClientApi } from '../vsphere/index.js';
import { vixTarget } from './vix-target.js';

/** VDDK as this process uses it. */
export type VddkUse = VddkSettings & {
  /** Where a run asks for nothing else. */
  transport: TransportPolicy;
  /** Asked by every run, and so are the leftovers. */
  limits: OpenDiskPermits;
  leftovers: Leftovers;
  accesses: AccessHosts;
};

/** What one run may ask for, frozen into its payload. */
export interface TransportWish {
  modes?: readonly Transport[] | undefined;
  fallback?: TransportPolicy['fallback'] | undefined;
  compression?: TransportPolicy['compression'] | undefined;
}

export function transportPolicy({ transportModes, transportFallback, compression, vmwareCloud }: VaultConfig['vddk']): TransportPolicy {
  return {
    modes: transportModes.split(':') as Transport[],
    // There is no way for another transport to reach a host of VMware Cloud: a fallback would be a hang.
    fallback: vmwareCloud ? 'refuse' : transportFallback,
    compression,
  };
}

/** In VMware Cloud the service's setting stands, whatever a run asks for. */
export function withWish({ transport, vmwareCloud }: VddkUse, wish: TransportWish = {}): TransportPolicy {
  if (vmwareCloud === true) return transport;
  return {
    modes: wish.modes ?? transport.modes,
    fallback: wish.fallback ?? transport.fallback,
    compression: wish.compression ?? transport.compression,
  };
}

export interface VmDiskAccess {
  vm: Pick<VmConfiguration, 'moRef' | 'hostMoRef'>;
  vcenter: Pick<VsphereClientApi, 'instanceUuid' | 'vixCredentials' | 'readVm'>;
  vddk: VddkUse;
  wish?: TransportWish | undefined;
  readOnly: boolean;
  snapshotMoRef?: string;
  warn: (message: string) => void;
  log: Logger;
  signal: AbortSignal;
}

/** The disks of one VM, read or written through the vCenter session that this process has anyway. */
export function accessDisks({ vm, vcenter, vddk, wish, snapshotMoRef, ...options }: VmDiskAccess): Promise<DiskAccess> {
  return DiskAccess.start({
    ...options,
    settings: vddk,
    transport: withWish(vddk, wish),
    limits: vddk.limits,
    target: () => vixTarget(vcenter, vm.moRef),
    renewSession: sessionRenewal(vcenter, vm.moRef),
    afterCleanup: () => vddk.accesses.holdAgain(),
    ...(snapshotMoRef !== undefined && { snapshotMoRef }),
    vcenterInstanceUuid: vcenter.instanceUuid,
    esxiHostMoRef: vm.hostMoRef,
  });
}

/** Whatever needs a session makes the client log in again when it has ended. */
function sessionRenewal(vcenter: Pick<VsphereClientApi, 'readVm'>, vmMoRef: string): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    await vcenter.readVm(vmMoRef, signal);
  };
}

/** For PrepareForAccess and EndAccess of one VM. */
export function accessRequest(
  vcenter: Pick<VsphereClientApi, 'vixCredentials' | 'readVm'>,
  vmMoRef: string,
  identity: string,
  { vddk, log, signal }: { vddk: VddkUse; log: Logger; signal: AbortSignal },
): AccessRequest {
  const target = () => vixTarget(vcenter, vmMoRef);
  return { settings: vddk, target, renewSession: sessionRenewal(vcenter, vmMoRef), identity, log, signal };
}

/**
 * To be called before the first PrepareForAccess of a run: Cleanup takes what dead processes prepared for theirs.
 * @param vmMoRef any VM of that vCenter: nothing is done to it
 */
export function cleanUpLeftovers(
  vcenter: Pick<VsphereClientApi, 'instanceUuid' | 'vixCredentials'>,
  vmMoRef: string,
  { vddk, log, signal }: { vddk: VddkUse; log: Logger; signal: AbortSignal },
): Promise<void> {
  return vddk.leftovers.cleanUpOnce(vcenter.instanceUuid, vddk, () => vixTarget(vcenter, vmMoRef), log, signal);
}

/**
 * What decides about the transports of a VM's disks.
 * @param configXml VirtualMachineConfigInfo that describes `disks`
 */
export function diskPlacesFor(
  configXml: string,
  datastores: VmConfiguration['datastores'],
): (disk: Pick<DiskBacking, 'deviceKey' | 'path'>) => DiskPlace {
  const { controllers, encrypted } = storageDevices(configXml);
  return ({ deviceKey, path }) => {
    const bus = controllers.get(deviceKey)?.bus ?? 'other';
    return {
      datastoreType: datastores.find(({ name }) => path.startsWith(`[${name}] `))?.type ?? 'unknown',
      // A controller nobody knows is no reason to refuse a transport.
      bus: bus === 'other' ? 'scsi' : bus,
      encrypted: encrypted.has(deviceKey),
    };
  };
}
