import { newId } from '../common/index.js';
import { owe } from '../clouds/index.js';
import type { VmConfiguration } from '../vsphere/index.js';
import type { WriteAccessOptions } from './write-access.js';

type PauseOptions = Pick<WriteAccessOptions, 'cloud' | 'vcenter' | 'obligations' | 'signal'>;

/** A snapshot of a VM that is off, without memory, is a matter of moments. */
const SNAPSHOT_TIMEOUT_MS = 10 * 60_000;

/**
 * Carries out `work` while a VM that is off does not track changed blocks, and turns tracking on again afterwards,
 * however it ends ("When doing full restores of virtual disk, disable CBT for the duration of the restore", guide,
 * "General Backup and Restore"). Tracking begins anew then: the next backup copies in full, and says so.
 */
export async function withoutTracking<T>(vm: VmConfiguration, options: PauseOptions, work: () => Promise<T>): Promise<T> {
  if (!vm.changeTrackingEnabled) return work();
  const { vcenter, signal } = options;
  const debt = await owe(options.obligations, 'vsphere.tracking', { ...vmTerms(vm, options), vmMoRef: vm.moRef });
  await vcenter.disableChangeTracking(vm.moRef, signal);
  if (await isTracked(vm.moRef, options)) await stun(vm, options);
  try {
    return await work();
  } finally {
    await debt.pay();
  }
}

async function isTracked(moRef: string, { vcenter, signal }: PauseOptions): Promise<boolean> {
  return (await vcenter.readVm(moRef, signal)).disks.some((disk) => disk.changeId !== undefined);
}

/** A new setting may take effect only when the VM is stunned (guide, "Changed Block Tracking"), and one that is off is stunned by a snapshot. */
async function stun(vm: VmConfiguration, options: PauseOptions): Promise<void> {
  const { vcenter, signal } = options;
  const snapshotName = `vApp Vault restore ${newId()}`;
  const terms = { ...vmTerms(vm, options), vmMoRef: vm.moRef, vmInstanceUuid: vm.instanceUuid, snapshotName };
  const debt = await owe(options.obligations, 'vsphere.snapshot', terms);
  const description = 'Made by vApp Vault to stop change tracking; removed at once.';
  await vcenter.createSnapshot(vm.moRef, { name: snapshotName, description, quiesce: false, timeoutMs: SNAPSHOT_TIMEOUT_MS }, signal);
  await debt.pay();
}

function vmTerms(vm: VmConfiguration, { cloud, vcenter }: PauseOptions) {
  return { cloudId: cloud.cloudId, vcenterInstanceUuid: vcenter.instanceUuid, vmName: vm.name };
}
