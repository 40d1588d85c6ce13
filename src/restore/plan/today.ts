import type { Manifest } from '../../repository/index.js';
import type { ManifestContent } from '../../catalog/index.js';
import type { VappCapture, VcdReference, VdcResources } from '../../vcd/index.js';
import type { VmConfiguration, VsphereClientApi } from '../../vsphere/index.js';

/** A restore point, read: what a plan starts from. */
export interface ReadPoint {
  manifest: Manifest;
  content: ManifestContent;
  captured: VappCapture;
}

/** Today's VM that a captured one is, or whose name it has. */
export interface TodaysVm {
  href: string;
  moRef: string;
  name: string;
  /** False where only the name is the same: another VM took it. */
  sameVm: boolean;
  /** Disks and snapshots as vCenter has them. */
  configuration: VmConfiguration;
}

/** A NIC of another vApp, as far as it can collide with a restored one. */
export interface NicInUse {
  vappName: string;
  vmName: string;
  macAddress: string | undefined;
  ipAddress: string | undefined;
  /** Organization network it is bridged to; undefined inside a vApp's own network, where addresses are the vApp's. */
  networkHref: string | undefined;
}

export type Datastores = Awaited<ReturnType<VsphereClientApi['placementOptions']>>['datastores'];

/** Today's cloud, read once; rules look at this and ask nothing more. */
export interface Today {
  vdc: VdcResources;
  vcenter: VsphereClientApi;
  vimServerHref: string;
  vmFolderMoRef: string;
  datastores: Datastores;
  /** The vApp the restore goes into or takes the place of. */
  target: { href: string; name: string; capture: VappCapture } | undefined;
  /** The vApp that was backed up is still there. */
  originalExists: boolean;
  /** Another vApp of the VDC has the name the restored one is to have. */
  nameTaken: boolean;
  /** By captured VM id. */
  vms: ReadonlyMap<string, TodaysVm>;
  /** Users of the target organization among those the restore point names, by lower-case name. */
  users: ReadonlyMap<string, VcdReference>;
  nicsInUse: readonly NicInUse[];
}
