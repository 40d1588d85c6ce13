import { nounOf } from '../catalog/index.js';
import type { VappCapture } from '../vcd/index.js';
import type { BackupSource, VcdBackupWork } from './backup-source.js';
import { holdVms } from './hold-vms.js';
import { enterMaintenance } from './maintenance.js';
import { sameMachines } from './stable-capture.js';

/** A vApp, or the one that VCD made around a standalone VM. */
export function vappSource(work: VcdBackupWork): BackupSource<VappCapture> {
  const { vapp, cloud, vcd, payload, run, warn } = work;
  return {
    ...vmsOf(work),
    enterMaintenance: () => enterMaintenance(vapp, cloud, vcd, run, { window: payload.settings.maintenance, warn }),
    waitForTasks: (timeoutMs) => vcd.waitForRunningTasks(vapp.href, timeoutMs, run.signal),
    capture: () => vcd.captureVapp(vapp.href, run.signal),
  };
}

/** A vApp template has no maintenance mode; its VMs are VMs like any other's, and off. */
export function templateSource(work: VcdBackupWork): BackupSource<VappCapture> {
  const { vapp, vcd, run } = work;
  return {
    ...vmsOf(work),
    waitForTasks: (timeoutMs) => vcd.waitForEntityTasks(vapp.href, timeoutMs, run.signal),
    capture: () => vcd.captureVappTemplate(vapp.href, run.signal),
  };
}

function vmsOf(work: VcdBackupWork): Pick<BackupSource<VappCapture>, 'noun' | 'fingerprint' | 'sameData' | 'hold'> {
  return {
    noun: nounOf(work.vapp.kind),
    fingerprint: (capture) => work.vcd.fingerprint(capture),
    sameData: sameMachines,
    hold: (capture) => holdVms(capture, work),
  };
}
