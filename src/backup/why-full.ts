import type { DiskBase, ManifestDisk } from '../catalog/index.js';
import type { DiskBacking } from '../vsphere/index.js';

/** Why a disk is copied in full: recorded with it. docs/vsphere.md tells people what each means. */
export type FullReason =
  | 'requested'
  | 'hardware-too-old'
  | 'tracking-unsupported'
  | 'first-backup'
  | 'disk-moved'
  | 'disk-replaced'
  | 'no-previous-change-id'
  | 'previous-index-missing'
  | 'size-changed'
  | 'tracking-off'
  | 'no-change-id'
  | 'tracking-restarted'
  | 'tracking-lost';

/** A disk of the VM that some restore point has. */
export interface FormerDisk {
  diskId: string;
  deviceKey: number;
  /** '' where vSphere had none. */
  uuid: string;
}

export interface FullQuestion {
  forceFull: boolean;
  /** "vmx-19" */
  hardwareVersion: string;
  trackingSupported: boolean;
  /** By the configuration that the snapshot froze: after the stun, when a new setting holds. */
  trackingEnabled: boolean;
  diskId: string;
  /** As the snapshot froze it. */
  disk: Pick<DiskBacking, 'deviceKey' | 'uuid' | 'capacityBytes' | 'changeId' | 'controllerKey' | 'unitNumber'>;
  base: DiskBase | undefined;
  /** What the restore point of `base` itself says of the disk; undefined when it cannot be read. */
  previous: Pick<ManifestDisk, 'indexId' | 'changeId' | 'controllerKey' | 'unitNumber'> | undefined;
  formerDisks: readonly FormerDisk[];
}

const LAST_HARDWARE_WITHOUT_TRACKING = 6;

/**
 * The rule of the whole service: the previous index is used only when the change id it was made with is the one vSphere
 * answers for, on the same disk of the same size in the same place. Anything else is a full copy with its reason, which
 * costs time and never data. Sources: guide, "Changed Block Tracking on Virtual Disks" and its limitations; seed 001.
 */
export function whyFull(question: FullQuestion): FullReason | undefined {
  const { disk, base, previous } = question;
  if (question.forceFull) return 'requested';
  const hardware = Number(/\d+/.exec(question.hardwareVersion)?.[0] ?? Number.NaN);
  if (hardware <= LAST_HARDWARE_WITHOUT_TRACKING) return 'hardware-too-old';
  if (!question.trackingSupported) return 'tracking-unsupported';
  if (base === undefined) return historyOf(question);
  if ((disk.uuid ?? '') !== base.diskUuid) return 'disk-replaced';
  if (disk.capacityBytes !== base.capacityBytes) return 'size-changed';
  if (!isChangeId(base.changeId)) return 'no-previous-change-id';
  if (previous === undefined || previous.indexId !== base.indexId || previous.changeId !== base.changeId) return 'previous-index-missing';
  if (previous.controllerKey !== disk.controllerKey || previous.unitNumber !== disk.unitNumber) return 'disk-moved';
  if (!question.trackingEnabled) return 'tracking-off';
  if (!isChangeId(disk.changeId)) return 'no-change-id';
  // "uuid/sequence": another uuid is another tracking epoch (VMware KB 1020128).
  if (trackingEpoch(disk.changeId) !== trackingEpoch(base.changeId)) return 'tracking-restarted';
  return undefined;
}

/** Why there is no base: the disk is new to us, or another one than it looks. */
function historyOf({ diskId, disk, formerDisks }: FullQuestion): FullReason {
  if (formerDisks.some((former) => former.diskId === diskId)) return 'no-previous-change-id';
  if (disk.uuid !== undefined && formerDisks.some((former) => former.uuid === disk.uuid)) return 'disk-moved';
  if (formerDisks.some((former) => former.deviceKey === disk.deviceKey)) return 'disk-replaced';
  return 'first-backup';
}

/** `*` asks for allocated blocks, and nothing can have changed since it. */
function isChangeId(changeId: string | undefined): changeId is string {
  return changeId !== undefined && changeId !== '' && changeId !== '*';
}

function trackingEpoch(changeId: string): string {
  return changeId.split('/')[0] as string;
}
