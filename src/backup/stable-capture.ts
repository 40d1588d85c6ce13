import type { Logger } from '../common/index.js';
import type { VappCapture, VcdClientApi, VmCapture } from '../vcd/index.js';
import { BackupError } from './errors.js';

export interface StableCaptureOptions {
  vcd: Pick<VcdClientApi, 'fingerprint'>;
  /** Reads the whole description anew. */
  capture: () => Promise<VappCapture>;
  log: Logger;
}

/**
 * Holds a description against the cloud of now. A provider can edit a vApp in maintenance mode, and anybody a
 * template or an unprotected VM: then disks and description would not belong together. One change in a run is met
 * by capturing again; a vApp that changes twice is being worked on, and the run fails.
 */
export class StableCapture {
  private changedBefore = false;

  constructor(private readonly options: StableCaptureOptions) {}

  /**
   * @returns the description that belongs to the disks as they were snapshotted: `before`, or a newer one where
   *   only the description changed; undefined when the disks must be snapshotted and copied again.
   * @throws BackupError VAPP_CHANGED for the second change of a run.
   */
  async confirm(before: VappCapture): Promise<VappCapture | undefined> {
    const after = await this.options.capture();
    if (this.same(before, after)) return before;
    if (this.changedBefore) throw changed(before.name);
    this.changedBefore = true;
    this.options.log.info({ vapp: before.name }, 'the vApp was changed while it was backed up; capturing it again');
    if (!sameMachines(before, after)) return undefined;
    // Once more: what is edited right now is not captured by reading it in the middle.
    if (!this.same(after, await this.options.capture())) throw changed(before.name);
    return after;
  }

  private same(one: VappCapture, other: VappCapture): boolean {
    return this.options.vcd.fingerprint(one) === this.options.vcd.fingerprint(other);
  }
}

/** Whether snapshots taken of one are snapshots of the other: the same VMs, with the same hardware. */
export function sameMachines(one: VappCapture, other: VappCapture): boolean {
  const machines = (capture: VappCapture) => JSON.stringify(capture.vms.map(machineOf).sort(byId));
  return machines(one) === machines(other);
}

function machineOf({ id, name, vim, disks, sections }: VmCapture) {
  // Hardware and boot options are in the configuration that the snapshot froze, and that a restore builds from.
  return { id, name, moRef: vim.vmMoRef, disks, hardware: sections.VirtualHardwareSection, boot: sections.BootOptions };
}

function byId(one: { id: string }, other: { id: string }): number {
  return one.id < other.id ? -1 : 1;
}

function changed(name: string): BackupError {
  return new BackupError(
    'VAPP_CHANGED',
    `"${name}" was changed again and again while it was backed up, so its disks and its description do not belong together; run the backup again when nobody works on it.`,
    true,
  );
}
