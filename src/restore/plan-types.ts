import type { ManifestContent, ManifestDisk, ManifestFirstClassDisk, ManifestMedium, ManifestVm } from '../catalog/index.js';
import type { Manifest } from '../repository/index.js';
import type { AffinityRule, MediaCapture, NamedDiskCapture, VappCapture, VcdReference, VdcResources, VmCapture } from '../vcd/index.js';
import type {
  CreateVmOptions,
  FirstClassDisk,
  FirstClassDiskCapture,
  NewFirstClassDisk,
  VmPlacement,
  VsphereClientApi,
} from '../vsphere/index.js';
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
  /** How the machine is made where it cannot be quite as it was. */
  made: Pick<CreateVmOptions, 'hardwareVersion' | 'encryption'>;
  storageProfileHref: string | undefined;
  /** Disks written through VDDK into the VM itself; for one disk of a VM only that one. */
  disks: ManifestDisk[];
  /** Named disks that are made for it, attached and written: all of a VM that is built, those an overwritten one has lost. */
  namedDisks: PlannedNamedDisk[];
  /** Device keys of captured named disks: a VM is built without them, and gets them attached. */
  withoutDisks: number[];
}

/** A named disk is an entity of its own: made in the VDC, lent to the VM, then written as one of the VM's. */
export interface PlannedNamedDisk {
  manifest: ManifestDisk;
  captured: NamedDiskCapture;
  /** After all choices: storage profile and owner of today. */
  wanted: NamedDiskCapture;
  /** On the VM's buses; without it VCD chooses. */
  place: { busNumber?: number; unitNumber?: number };
  /** Today's, where it is attached and written over instead of a new one. */
  existing: { href: string } | undefined;
}

/** An affinity rule of the VDC as it is to be afterwards. */
export interface PlannedAffinityRule extends Pick<AffinityRule, 'name' | 'polarity' | 'enabled' | 'mandatory'> {
  /** Captured ids of restored VMs. */
  restored: string[];
  /** Addresses of VMs that are not restored and are there. */
  others: string[];
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
  affinityRules: PlannedAffinityRule[];
  /** Built as a VM that stands alone, in a vApp of VCD's own making. */
  standalone: boolean;
  /** Only of a template. */
  place?: CatalogPlace;
  /** Captured attributes that are written; others (an existing vApp's own, when only VMs come back into it) are left. */
  putBackVapp: boolean;
  items: PlanItem[];
}

/** Where in VCD's catalogs a template or medium goes. */
export interface CatalogPlace {
  /** Undefined while a person has to name one. */
  catalog: VcdReference | undefined;
  /** Of the item at the end. */
  name: string;
  /** The item of that name, deleted once the new one stands. */
  replaced: { entityHref: string; name: string } | undefined;
}

/** The restore of a medium held against today's cloud: it has bytes and no VM. */
export interface MediumPlan {
  payload: RestorePayload;
  manifest: Manifest;
  content: ManifestContent;
  medium: ManifestMedium;
  captured: MediaCapture;
  /** The capture as it will be written back. */
  wanted: MediaCapture;
  place: CatalogPlace;
  keepIdentity: boolean;
  owner: VcdReference | undefined;
  organizationName: string;
  /** '' where no VDC takes part: VCD finds room by the catalog's own storage profile. */
  vdcName: string;
  storageProfileHref: string | undefined;
  items: PlanItem[];
}

/** The restore of a first class disk held against its vCenter of today. */
export interface FirstClassDiskPlan {
  payload: RestorePayload;
  manifest: Manifest;
  content: ManifestContent;
  disk: ManifestFirstClassDisk;
  captured: FirstClassDiskCapture;
  vcenter: VsphereClientApi;
  /** The disk it was made of, where it is still there. */
  original: FirstClassDisk | undefined;
  /** Made anew, or written over the original. */
  target: 'new' | 'overwrite';
  /** After all choices. */
  wanted: WantedFirstClassDisk;
  /** The restored disk goes on here under the id of the one it came from. */
  keepIdentity: boolean;
  items: PlanItem[];
}

export interface WantedFirstClassDisk
  extends Pick<NewFirstClassDisk, 'name' | 'datastoreMoRef' | 'provisioning' | 'policyId' | 'metadata'> {
  datastoreName: string;
  /** VMFS, NFS, NFS41, vsan, VVOL … */
  datastoreType: string;
}

/** What POST /restores/plan answers. */
export interface RestorePlanView {
  restorePointId: string;
  mode: RestorePayload['mode'];
  /** Of the vApp, template, medium or first class disk at the end. */
  vappName: string;
  organizationName: string;
  vdcName: string;
  /** Of a template or medium; null for all others, and while a person has to name one. */
  catalogName: string | null;
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
