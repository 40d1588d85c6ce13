import type { Logger } from '../common/index.js';
import type { VappCapture, VmCapture } from '../vcd/index.js';
import type { BackupSource, SourceCapture } from './backup-source.js';
import { BackupError } from './errors.js';

/**
 * Holds a description against the cloud of now. A provider can edit a vApp in maintenance mode, and anybody a
 * template, a medium or an unprotected VM: then data and description would not belong together. One change in a
 * run is met by capturing again; what changes twice is being worked on, and the run fails.
 */
export class StableCapture<C extends SourceCapture> {
  private changedBefore = false;

  constructor(
    private readonly source: Pick<BackupSource<C>, 'noun' | 'capture' | 'fingerprint' | 'sameData'>,
    private readonly log: Logger,
  ) {}

  /**
   * @returns the description that belongs to the data as it was held: `before`, or a newer one where only the
   *   description changed; undefined when the data must be held and copied again.
   * @throws BackupError VAPP_CHANGED for the second change of a run.
   */
  async confirm(before: C): Promise<C | undefined> {
    const after = await this.source.capture();
    if (this.same(before, after)) return before;
    if (this.changedBefore) throw this.changed(before.name);
    this.changedBefore = true;
    this.log.info({ vapp: before.name }, `the ${this.source.noun} was changed while it was backed up; capturing it again`);
    if (!this.source.sameData(before, after)) return undefined;
    // Once more: what is edited right now is not captured by reading it in the middle.
    if (!this.same(after, await this.source.capture())) throw this.changed(before.name);
    return after;
  }

  changed(name: string): BackupError {
    return new BackupError(
      'VAPP_CHANGED',
      `The ${this.source.noun} "${name}" was changed again and again while it was backed up, so its data and its description do not belong together; run the backup again when nobody works on it.`,
      true,
    );
  }

  private same(one: C, other: C): boolean {
    return this.source.fingerprint(one) === this.source.fingerprint(other);
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
