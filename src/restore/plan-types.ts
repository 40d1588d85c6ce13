import type { ManifestContent, ManifestDisk, ManifestVm } from '../catalog/index.js';
import type { Manifest } from '../repository/index.js';
import type { VappCapture, VcdReference, VdcResources, VmCapture } from '../vcd/index.js';
import type { VmPlacement, VsphereClientApi } from '../vsphere/index.js';
import type { RestorePayload } from './restore-request.js';

/**
 * Whether a captured attribute can be as it was (guide, chapter 8: "non-conforming attributes").
 * - fits: it will be as captured
 * - changed: the cloud has another value today, or another one is used
 * - missing: what it refers to is not there any more
 * - not-permitted: the cloud does not let it be put back (a limit, a right, a name or address in use)
 */
export type Conformity = 'fits' | 'changed' | 'missing' | 'not-permitted';

/** One captured attribute held against today's cloud. */
export interface PlanItem {
  /** As in the comparison after the restore: "networks.web.parent", "vms.web-1.storageProfile", "owner". */
  attribute: string;
  conformity: Conformity;
  captured: unknown;
  /** What it will be. */
  planned: unknown;
  /** One sentence for people; '' where it fits. */
  explanation: string;
  /** Where the request may decide: the field of `choices`, what is chosen now, and what else there is. */
  choice?: { field: string; chosen: string | null; options: { value: string; label: string }[] };
  /** True where nothing careful can be done without a choice: the restore refuses to start. */
  needsChoice: boolean;
}

/** What becomes of one captured VM. */
export type VmAction =
  /** Made in vSphere and imported: it is not there. */
  | 'build'
  /** It is there and its disks match: written over, in place. */
  | 'overwrite'
  /** It is there and cannot be written over: a new one is built and takes its place, the old one is deleted afterwards. */
  | 'replace';

export interface PlannedVm {
  manifest: ManifestVm;
  captured: VmCapture;
  /** As it will be written back: name, networks, profiles, policies and MAC addresses after all choices. */
  wanted: VmCapture;
  action: VmAction;
  /** Today's VM, for 'overwrite' and 'replace'. */
  existing: { href: string; moRef: string; name: string } | undefined;
  configXml: string;
  nvram: Buffer | undefined;
  placement: VmPlacement;
  storageProfileHref: string | undefined;
  /** Disks written through VDDK into the VM itself; for one disk of a VM only that one. */
  disks: ManifestDisk[];
}

/** A restore held against today's cloud, before anything is changed. */
export interface RestorePlan {
  payload: RestorePayload;
  manifest: Manifest;
  content: ManifestContent;
  captured: VappCapture;
  /** The capture as it will be written back. The comparison afterwards is with `captured`; `items` explain what differs. */
  wanted: VappCapture;
  /** Name of the vApp at the end. */
  vappName: string;
  /** Today's vApp: overwritten, replaced, or the one that receives VMs. */
  target: { href: string; name: string; capture: VappCapture } | undefined;
  /** The restored objects keep their ids and chains here. */
  keepIdentity: boolean;
  keepMacAddresses: boolean;
  vdc: VdcResources;
  vcenter: VsphereClientApi;
  vimServerHref: string;
  vms: PlannedVm[];
  /** VMs of today's vApp that the restore point does not have and the request wants gone. */
  removals: { href: string; name: string }[];
  /** Captured parent network -> today's, by href. */
  parents: Map<string, string>;
  owner: VcdReference | undefined;
  /** Captured attributes that are written; others (an existing vApp's own, when only VMs come back into it) are left. */
  putBackVapp: boolean;
  items: PlanItem[];
}

/** What POST /restores/plan answers. */
export interface RestorePlanView {
  restorePointId: string;
  mode: RestorePayload['mode'];
  vappName: string;
  organizationName: string;
  vdcName: string;
  /** False while a choice is missing. */
  canStart: boolean;
  vms: { name: string; action: VmAction; disks: { label: string; capacityBytes: number }[] }[];
  removals: string[];
  counts: Record<Conformity, number>;
  items: PlanItem[];
}

/** One line of the comparison after a restore. */
export interface ComparedAttribute {
  attribute: string;
  captured: unknown;
  now: unknown;
  equal: boolean;
  /** Why not, where it is not equal: the plan item's sentence, or that VCD did not keep it. */
  why: string | null;
}
