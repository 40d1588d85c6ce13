import { VddkError } from './vddk-error.js';

/** Advanced transports of VDDK. `file` is its hosted mode, for VMDK files of this machine. */
export type Transport = 'san' | 'hotadd' | 'nbdssl' | 'nbd' | 'file';

/** What decides about transports of one disk. */
export interface DiskPlace {
  /** Datastore.summary.type: VMFS, NFS, NFS41, vsan, VVOL … */
  datastoreType: string;
  /** Bus of the disk's controller. */
  bus: 'scsi' | 'ide' | 'sata' | 'nvme';
  encrypted: boolean;
}

export interface TransportRule {
  transport: Transport;
  /** Why not; undefined where it may be tried. */
  refused: string | undefined;
}

/**
 * Which transports may be asked for. VDDK 6.7 rejects SAN on vSAN and vVols itself, older ones hung the ESXi host
 * (release notes), so it is never asked for there. Guide, chapter 7: HotAdd is a SCSI feature; SAN cannot read
 * encrypted disks.
 */
export function transportRules(wanted: readonly Transport[], place: DiskPlace): TransportRule[] {
  return wanted.map((transport) => ({ transport, refused: refusal(transport, place) }));
}

function refusal(transport: Transport, { datastoreType, bus, encrypted }: DiskPlace): string | undefined {
  const type = datastoreType.toLowerCase();
  if (transport === 'san') {
    if (type === 'vvol' || type === 'vsan') return `SAN transport does not work on a ${datastoreType} datastore`;
    if (type.startsWith('nfs')) return 'SAN transport needs a datastore on a LUN, not NFS';
    if (encrypted) return 'SAN transport cannot read an encrypted disk';
  }
  if (transport === 'hotadd' && bus === 'ide') return 'HotAdd is a SCSI feature and does not work for an IDE disk';
  return undefined;
}

/**
 * For VixDiskLib_ConnectEx: what is left of the wanted transports, in their order.
 * @throws VddkError TRANSPORT_REFUSED where none is left
 */
export function transportModes(wanted: readonly Transport[], place: DiskPlace, disk: string): string {
  const rules = transportRules(wanted, place);
  const left = rules.filter(({ refused }) => refused === undefined).map(({ transport }) => transport);
  if (left.length > 0) return left.join(':');
  const reasons = [...new Set(rules.flatMap(({ refused }) => refused ?? []))].join('; ');
  throw new VddkError(`No allowed transport can carry ${disk}: ${reasons}. Allow nbdssl as well (vddk.transportModes).`, {
    code: 'TRANSPORT_REFUSED',
    subject: disk,
  });
}

/**
 * ConnectEx does not check transports, and Open falls back to another one without a word (guide, "Connect to VMware
 * vSphere"): what was really used is read after Open and held against what is allowed.
 * @throws VddkError TRANSPORT_FELL_BACK
 */
export function assertTransport(used: string, wanted: readonly Transport[], fallback: 'allow' | 'refuse', disk: string): void {
  if (fallback === 'allow' || (wanted as readonly string[]).includes(used)) return;
  throw new VddkError(
    `VDDK fell back to transport ${used} for ${disk}, and only ${wanted.join(', ')} is allowed (vddk.transportFallback); check that the proxy reaches the datastore.`,
    { code: 'TRANSPORT_FELL_BACK', subject: disk, details: { used, wanted } },
  );
}

/** What writing a disk back needs of snapshots and change tracking. */
export interface RestoreSnapshotRule {
  /** required: made before, reverted to and deleted after; forbidden: write to the disk itself. */
  snapshot: 'required' | 'optional' | 'forbidden';
  /** Where writes go when there is one. */
  writeTo: 'base' | 'leaf' | 'either';
  /** Reverted to, then deleted, or the VM cannot be powered on (CID mismatch). */
  revertAndDelete: boolean;
  /** "CBT must be disabled for SAN writes because of thin-provisioning and clear-lazy-zero operations." */
  changeTrackingOff: boolean;
}

/**
 * The guide's Table 7-4, "Summary of restore snapshot requirements".
 *
 * |                    | NBD(SSL), HotAdd                       | SAN                                            |
 * |--------------------|----------------------------------------|------------------------------------------------|
 * | not a vVol         | optional; leaf or parent; a parent's   | required; base disk only; reverted, then       |
 * |                    | snapshot is reverted and deleted       | deleted                                        |
 * | vVol               | optional; leaf only; none for the parent | not supported                                |
 */
export function restoreSnapshotRule(transport: Transport, datastoreType: string): RestoreSnapshotRule {
  const vvol = datastoreType.toLowerCase() === 'vvol';
  if (transport === 'san') {
    if (vvol) throw new VddkError('SAN transport is not supported on a vVol datastore', { code: 'TRANSPORT_REFUSED' });
    return { snapshot: 'required', writeTo: 'base', revertAndDelete: true, changeTrackingOff: true };
  }
  if (vvol) return { snapshot: 'forbidden', writeTo: 'leaf', revertAndDelete: false, changeTrackingOff: true };
  return { snapshot: 'optional', writeTo: 'either', revertAndDelete: true, changeTrackingOff: true };
}
