import type { Manifest } from '../../repository/index.js';
import type { ManifestContent } from '../../catalog/index.js';
import type { NamedDiskCapture, VappCapture, VcdReference, VdcResources, VmCapture } from '../../vcd/index.js';
import type { VmConfiguration, VsphereClientApi } from '../../vsphere/index.js';
import type { TodaysCatalogs } from './rule-catalog.js';

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
  /** As VCD has it. */
  capture: VmCapture;
  /** Disks and snapshots as vCenter has them. */
  configuration: VmConfiguration;
  /** Its disks that are named disks, by device key. */
  namedDisks: ReadonlyMap<number, { id: string; name: string | undefined }>;
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
  /** All of its organization. */
  vdcs: readonly { id: string; name: string }[];
  vcenter: VsphereClientApi;
  vimServerHref: string;
  vmFolderMoRef: string;
  datastores: Datastores;
  /** The vApp the restore goes into or takes the place of. */
  target: { href: string; name: string; capture: VappCapture } | undefined;
  /** The vApp or template that was backed up is still there, and stays. */
  originalExists: boolean;
  /** Another vApp of the VDC has the name the restored one is to have. */
  nameTaken: boolean;
  /** By captured VM id. */
  vms: ReadonlyMap<string, TodaysVm>;
  /** Users of the target organization among those the restore point names, by lower-case name. */
  users: ReadonlyMap<string, VcdReference>;
  nicsInUse: readonly NicInUse[];
  /** Captured named disks that are still there, by id. */
  namedDisks: ReadonlyMap<string, NamedDiskCapture>;
  /** VMs of the target VDC that captured affinity rules name, by id. */
  affinityMembers: ReadonlyMap<string, VcdReference>;
  /** Only for a template. */
  catalogs?: TodaysCatalogs;
  /** VMs vCenter has under the instance UUIDs of captured ones, by captured id. */
  instanceUuidHolders: ReadonlyMap<string, { moRef: string }>;
}
