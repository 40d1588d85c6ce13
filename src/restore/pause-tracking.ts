import { owe } from '../clouds/index.js';
import type { VmConfiguration } from '../vsphere/index.js';
import { withSnapshot } from './restore-snapshot.js';
import type { WriteAccessOptions } from './write-access.js';

type PauseOptions = Pick<WriteAccessOptions, 'cloud' | 'vcenter' | 'obligations' | 'signal'>;

/**
 * Carries out `work` while a VM that is off does not track changed blocks, and turns tracking on again afterwards,
 * however it ends ("When doing full restores of virtual disk, disable CBT for the duration of the restore", guide,
 * "General Backup and Restore"). Tracking begins anew then: the next backup copies in full, and says so.
 */
export async function withoutTracking<T>(vm: VmConfiguration, options: PauseOptions, work: () => Promise<T>): Promise<T> {
  if (!vm.changeTrackingEnabled) return work();
  const { vcenter, signal } = options;
  const debt = await owe(options.obligations, 'vsphere.tracking', {
    cloudId: options.cloud.cloudId,
    vcenterInstanceUuid: vcenter.instanceUuid,
    vmMoRef: vm.moRef,
    vmInstanceUuid: vm.instanceUuid,
    vmName: vm.name,
  });
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
function stun(vm: VmConfiguration, options: PauseOptions): Promise<void> {
  const description = 'Made by vApp Vault to stop change tracking; removed at once.';
  return withSnapshot(vm, { description, revert: false }, options, async () => undefined);
}
