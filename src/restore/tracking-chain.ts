import type { ManifestDisk } from '../catalog/index.js';
import type { DiskBacking } from '../vsphere/index.js';

/** Why a disk is written over as a whole and not rolled back by what changed since. */
export type WholeDiskReason =
  | 'never-tracked'
  | 'disk-replaced'
  | 'size-changed'
  | 'tracking-off'
  | 'no-change-id'
  | 'tracking-restarted'
  | 'disk-went-back'
  | 'tracking-lost';

type CapturedDisk = Pick<ManifestDisk, 'changeId' | 'uuid' | 'capacityBytes'>;
type PresentDisk = Pick<DiskBacking, 'changeId' | 'uuid' | 'capacityBytes'>;

/**
 * Whether vSphere has recorded every write since the restore point: only then may blocks it does not name be left as
 * they are. The same disk, the same size, tracked without a break: each epoch of tracking has a UUID of its own
 * (VMware KB 1020128), and within it the sequence only grows, unless somebody went back to an older snapshot.
 *
 * @returns why not; undefined where the chain is unbroken
 */
export function brokenChain(captured: CapturedDisk, present: PresentDisk, trackingEnabled: boolean): WholeDiskReason | undefined {
  const then = parseChangeId(captured.changeId ?? undefined);
  if (then === undefined) return 'never-tracked';
  if (captured.uuid === null || captured.uuid === '' || present.uuid !== captured.uuid) return 'disk-replaced';
  if (present.capacityBytes !== captured.capacityBytes) return 'size-changed';
  if (!trackingEnabled) return 'tracking-off';
  const now = parseChangeId(present.changeId);
  if (now === undefined) return 'no-change-id';
  if (now.epoch !== then.epoch) return 'tracking-restarted';
  if (now.sequence < then.sequence) return 'disk-went-back';
  return undefined;
}

/** "UUID/sequence". `*` asks for what is allocated and names no moment. */
function parseChangeId(changeId: string | undefined): { epoch: string; sequence: number } | undefined {
  const [, epoch, sequence] = /^(.+)\/(\d+)$/.exec(changeId ?? '') ?? [];
  return epoch === undefined ? undefined : { epoch, sequence: Number(sequence) };
}
