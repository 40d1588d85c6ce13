import { retry, type XmlElement } from '../common/index.js';
import { faultError, isNotFound, VsphereError } from './errors.js';
import { type ObjectProperties, type PropertyReader } from './properties.js';
import type { VimSession } from './session.js';
import type { TaskWaiter } from './tasks.js';
import type { NewSnapshot, SnapshotNode, WindowsQuiescing } from './types.js';
import { inventoryName, isTrue, type ManagedObject, VIM_NAMESPACE } from './vim-xml.js';
import { flattenSnapshots } from './vm-configuration.js';

/** Removing a snapshot merges everything written since it was taken: hours on a busy, large VM. */
const MERGE_TIMEOUT_MS = 24 * 60 * 60_000;
/** VSS_BACKUP_TYPE of Microsoft's VSS, which vssBackupType is. */
const VSS_BACKUP_TYPES: Readonly<Record<WindowsQuiescing['backupType'], number>> = {
  full: 1,
  incremental: 2,
  differential: 3,
  log: 4,
  copy: 5,
};

/** Snapshots of VMs, and what they leave behind. `nameOf` is for sentences: `VM "web-1"`. */
export class Snapshots {
  constructor(
    private readonly session: VimSession,
    private readonly properties: PropertyReader,
    private readonly tasks: TaskWaiter,
    private readonly nameOf: (moRef: string) => string,
  ) {}

  async create(moRef: string, options: NewSnapshot, signal?: AbortSignal): Promise<SnapshotNode> {
    const doing = `creating a snapshot of ${this.nameOf(moRef)}`;
    const { windows } = options;
    // memory is never taken: it is incompatible with quiesce, and no restore reads it (guide, chapter 7).
    const args = { name: inventoryName(options.name), description: options.description, memory: false };
    const call = { doing, subject: this.nameOf(moRef), taskTimeoutMs: options.timeoutMs, signal };
    const made =
      options.quiesce && windows !== undefined
        ? await this.tasks.run('CreateSnapshotEx_Task', vmObject(moRef), { ...args, quiesceSpec: quiesceSpec(windows) }, call)
        : await this.tasks.run('CreateSnapshot_Task', vmObject(moRef), { ...args, quiesce: options.quiesce }, call);
    const node = (await this.list(moRef, signal)).find((candidate) => candidate.moRef === made?.value);
    if (node === undefined) {
      throw new VsphereError(`vCenter ${this.session.transport.name} reported success of ${doing}, but the VM has no such snapshot.`, {
        code: 'SNAPSHOT_VANISHED',
        object: moRef,
        subject: this.nameOf(moRef),
      });
    }
    return node;
  }

  async list(moRef: string, signal?: AbortSignal): Promise<SnapshotNode[]> {
    const doing = `listing the snapshots of ${this.nameOf(moRef)}`;
    return readSnapshots(await this.properties.read(vmObject(moRef), ['snapshot'], doing, this.nameOf(moRef), signal));
  }

  /** The configuration as the snapshot froze it. */
  async config(snapshotMoRef: string, signal?: AbortSignal): Promise<XmlElement> {
    const snapshot = { type: 'VirtualMachineSnapshot', value: snapshotMoRef };
    const doing = `reading snapshot ${snapshotMoRef}`;
    const config = (await this.properties.read(snapshot, ['config'], doing, `snapshot ${snapshotMoRef}`, signal)).get('config');
    if (config !== undefined) return config;
    throw faultError(
      { faultType: 'ManagedObjectNotFound', message: '', invalidProperty: undefined },
      { doing, vcenter: this.session.transport.name },
    );
  }

  async remove(vmMoRef: string, snapshotMoRef: string, signal?: AbortSignal): Promise<void> {
    const doing = `removing snapshot ${snapshotMoRef} of ${this.nameOf(vmMoRef)}`;
    const options = { doing, subject: this.nameOf(vmMoRef), taskTimeoutMs: MERGE_TIMEOUT_MS, uncancellable: true, signal };
    const args = { removeChildren: false, consolidate: true };
    const patience = {
      attempts: 6,
      baseDelayMs: 1_000,
      maxDelayMs: 30_000,
      deadlineMs: 10 * 60_000,
      ...(signal === undefined ? {} : { signal }),
    };
    // Worth some patience: vCloud and DRS work on the same VM, and a snapshot left behind fills the datastore.
    await retry(patience, async () => {
      if (!(await this.has(vmMoRef, snapshotMoRef, signal))) return;
      try {
        await this.tasks.run('RemoveSnapshot_Task', { type: 'VirtualMachineSnapshot', value: snapshotMoRef }, args, options);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
    if (await this.has(vmMoRef, snapshotMoRef, signal)) {
      throw new VsphereError(
        `Snapshot ${snapshotMoRef} of ${this.nameOf(vmMoRef)} is still there after its removal: remove it in vCenter.`,
        {
          code: 'SNAPSHOT_NOT_REMOVED',
          object: snapshotMoRef,
          subject: this.nameOf(vmMoRef),
        },
      );
    }
  }

  /** Throws away what was written since, and leaves the VM off. @throws VsphereError; it needs the VM off and nothing else. */
  async revert(vmMoRef: string, snapshotMoRef: string, signal?: AbortSignal): Promise<void> {
    const doing = `reverting ${this.nameOf(vmMoRef)} to snapshot ${snapshotMoRef}`;
    const options = { doing, subject: this.nameOf(vmMoRef), uncancellable: true, signal };
    const snapshot = { type: 'VirtualMachineSnapshot', value: snapshotMoRef };
    await this.tasks.run('RevertToSnapshot_Task', snapshot, { suppressPowerOn: true }, options);
  }

  /**
   * Merges redo logs that no snapshot names any more: vCenter sets `runtime.consolidationNeeded` where it removed a
   * snapshot and could not merge its files.
   * @returns whether anything was to be done.
   * @throws VsphereError CONSOLIDATION_NEEDED when vCenter still needs it afterwards; its own fault when it refuses.
   */
  async consolidate(moRef: string, signal?: AbortSignal): Promise<boolean> {
    const doing = `consolidating the disks of ${this.nameOf(moRef)}`;
    const needed = async () => {
      const vm = await this.properties.read(vmObject(moRef), ['runtime'], doing, this.nameOf(moRef), signal);
      return isTrue(vm.get('runtime')?.child('consolidationNeeded'));
    };
    if (!(await needed())) return false;
    const call = { doing, subject: this.nameOf(moRef), taskTimeoutMs: MERGE_TIMEOUT_MS, uncancellable: true, signal };
    await this.tasks.run('ConsolidateVMDisks_Task', vmObject(moRef), {}, call);
    if (await needed()) {
      throw new VsphereError(`The disks of ${this.nameOf(moRef)} still need consolidation after ${doing}: consolidate them in vCenter.`, {
        code: 'CONSOLIDATION_NEEDED',
        object: moRef,
        subject: this.nameOf(moRef),
      });
    }
    return true;
  }

  /** False too when the VM itself is gone. */
  private async has(vmMoRef: string, snapshotMoRef: string, signal?: AbortSignal): Promise<boolean> {
    try {
      return (await this.list(vmMoRef, signal)).some((node) => node.moRef === snapshotMoRef);
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }
}

export function readSnapshots(vm: ObjectProperties): SnapshotNode[] {
  return flattenSnapshots(vm.get('snapshot')?.childrenNamed('rootSnapshotList') ?? []);
}

function vmObject(moRef: string): ManagedObject {
  return { type: 'VirtualMachine', value: moRef };
}

/** VirtualMachineWindowsQuiesceSpec; the element is declared with its base type, so it says its own. */
function quiesceSpec(windows: WindowsQuiescing): Record<string, unknown> {
  return {
    attributes: { xsi_type: { type: 'VirtualMachineWindowsQuiesceSpec', xmlns: VIM_NAMESPACE } },
    timeout: windows.timeoutMinutes,
    vssBackupType: VSS_BACKUP_TYPES[windows.backupType],
    vssBootableSystemState: windows.bootableSystemState,
    vssPartialFileSupport: windows.partialFileSupport,
    vssBackupContext: windows.context,
  };
}
