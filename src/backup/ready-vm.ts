import type { VmConfiguration, VsphereClientApi } from '../vsphere/index.js';
import type { LocatedVm, SnapshotOptions } from './snapshot-vms.js';

export const SNAPSHOT_NAME_PREFIX = 'vApp Vault ';
/** Name and description together: somebody may call his snapshot as we do. */
export const SNAPSHOT_DESCRIPTION = 'Made by vApp Vault for a backup; removed when it ends.';

export interface ReadyVm extends LocatedVm {
  changeTrackingEnabledByUs: boolean;
  /** Not ours: they stay, and the disks are read through them. */
  foreignSnapshots: { name: string; createdAt: string }[];
}

/** Our leftovers gone, change tracking on: before the first snapshot of any VM, so that the snapshots come close together. */
export async function makeReady(vm: LocatedVm, options: SnapshotOptions): Promise<ReadyVm> {
  const { configuration, vcenter } = vm;
  const foreignSnapshots: ReadyVm['foreignSnapshots'] = [];
  for (const snapshot of configuration.snapshots) {
    if (await isLeftover(snapshot, options)) {
      options.log.info({ vm: configuration.name, snapshot: snapshot.name }, 'removing a snapshot an earlier run left behind');
      await vcenter.removeSnapshot(configuration.moRef, snapshot.moRef, options.signal);
    } else {
      foreignSnapshots.push({ name: snapshot.name, createdAt: snapshot.createdAt });
    }
  }
  if (foreignSnapshots.length > 0) {
    const names = foreignSnapshots.map(({ name }) => `"${name}"`).join(', ');
    options.warn(`VM "${configuration.name}" has snapshots of somebody else, which are left alone and are not restored: ${names}`);
  }
  return { ...vm, foreignSnapshots, changeTrackingEnabledByUs: await trackChanges(configuration, vcenter, options) };
}

/** Ours by name and description, older than this run, and no living run's. */
async function isLeftover(snapshot: VmConfiguration['snapshots'][number], options: SnapshotOptions): Promise<boolean> {
  const { name, description, createdAt } = snapshot;
  if (!name.startsWith(SNAPSHOT_NAME_PREFIX) || !description.startsWith(SNAPSHOT_DESCRIPTION)) return false;
  // A time that cannot be read is no reason to keep it: name and description say whose it is.
  if (Date.parse(createdAt) >= options.startedAt.getTime()) return false;
  return !(await options.owedByLivingRun(name));
}

/**
 * Tracking starts at the next stun, which is the snapshot (seed 001; guide, "Changed Block Tracking"). It stays on after
 * the run: the next backup is incremental because of it.
 * @returns whether it was turned on.
 */
async function trackChanges(configuration: VmConfiguration, vcenter: VsphereClientApi, options: SnapshotOptions): Promise<boolean> {
  const { moRef, name, changeTrackingEnabled, changeTrackingSupported, hardwareVersion } = configuration;
  if (!changeTrackingSupported) {
    options.warn(`VM "${name}" cannot track changed blocks (hardware version ${hardwareVersion}); it is copied in full each time.`);
    return false;
  }
  if (changeTrackingEnabled) return false;
  await vcenter.enableChangeTracking(moRef, options.signal);
  return true;
}
