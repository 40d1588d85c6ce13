import { type Logger, retry, silentLogger, type XmlElement } from '../common/index.js';
import type { Extent } from '../disk/index.js';
import { collectChangedAreas } from './changed-areas.js';
import { DatastoreFiles } from './datastore-files.js';
import { faultError, isNotFound, VsphereError } from './errors.js';
import { Inventory } from './inventory.js';
import { type ObjectProperties, PropertyReader } from './properties.js';
import { VimSession } from './session.js';
import { TaskWaiter } from './tasks.js';
import type { DiskBacking, SnapshotNode, VmConfiguration, VmPlacement, VsphereClientApi, VsphereConnection } from './types.js';
import { inventoryName, isTrue, type ManagedObject, readableName, referenceOf, soapReference } from './vim-xml.js';
import { VmCreation } from './vm-creation.js';
import { configurationXml, disksOf, flattenSnapshots, parseConfiguration, readConfiguration } from './vm-configuration.js';

/** Removing a snapshot merges everything written since it was taken: hours on a busy, large VM. */
const REMOVE_SNAPSHOT_TIMEOUT_MS = 24 * 60 * 60_000;
/** vCenter forwards the question to the host, which reads the tracking file. */
const CHANGED_AREAS_TIMEOUT_MS = 10 * 60_000;
const MAX_REMEMBERED_NAMES = 10_000;

/** Backup's and restore's view of one vCenter, over one shared session. */
export class VsphereClient implements VsphereClientApi {
  private readonly properties: PropertyReader;
  private readonly tasks: TaskWaiter;
  private readonly inventory: Inventory;
  private readonly files: DatastoreFiles;
  private readonly creation: VmCreation;
  /** Names by MoRef, for the sentences of errors only. */
  private readonly names = new Map<string, string>();

  private constructor(
    private readonly session: VimSession,
    log: Logger,
  ) {
    this.properties = new PropertyReader(session);
    this.tasks = new TaskWaiter(session, this.properties, log);
    this.inventory = new Inventory(session, this.properties);
    this.files = new DatastoreFiles(session, this.inventory);
    this.creation = new VmCreation(session, this.properties, this.tasks, this.inventory, log);
  }

  /**
   * Logs in.
   * @throws VsphereError LOGIN_REFUSED, CERTIFICATE_UNTRUSTED, UNREACHABLE, NOT_A_VCENTER, BAD_ADDRESS.
   */
  static async connect(connection: VsphereConnection, options: { logger?: Logger; signal?: AbortSignal } = {}): Promise<VsphereClient> {
    const log = options.logger ?? silentLogger;
    return new VsphereClient(await VimSession.open(connection, log, options.signal), log);
  }

  get instanceUuid(): string {
    return this.session.content.instanceUuid;
  }

  get apiVersion(): string {
    return this.session.content.apiVersion;
  }

  vixCredentials() {
    const { host, port, thumbprint } = this.session.transport;
    return { host, port, thumbprint, cookie: this.session.cookieValue, userName: this.session.userName };
  }

  async readVm(moRef: string, signal?: AbortSignal): Promise<VmConfiguration> {
    const paths = ['config', 'runtime', 'capability', 'datastore', 'parent', 'resourcePool', 'snapshot'];
    const vm = await this.properties.read(virtualMachine(moRef), paths, `reading ${this.vmName(moRef)}`, this.vmName(moRef), signal);
    const config = vm.get('config');
    if (config === undefined) throw this.unavailable(moRef);
    const fromConfig = readConfiguration(config);
    this.remember(moRef, fromConfig.name);
    const datastores = await this.properties.readMany(
      vm.references('datastore'),
      ['name'],
      `reading the datastores of ${this.vmName(moRef)}`,
      signal,
    );
    const runtime = vm.get('runtime');
    return {
      ...fromConfig,
      moRef,
      powerState: readPowerState(runtime),
      changeTrackingSupported: isTrue(vm.get('capability')?.child('changeTrackingSupported')),
      hostMoRef: referenceOf(runtime?.child('host'))?.value,
      folderMoRef: vm.reference('parent')?.value,
      resourcePoolMoRef: vm.reference('resourcePool')?.value,
      datastores: datastores.map((datastore) => ({ moRef: datastore.object.value, name: readableName(datastore.text('name') ?? '') })),
      snapshots: readSnapshots(vm),
    };
  }

  async findVmByInstanceUuid(instanceUuid: string, signal?: AbortSignal): Promise<string | undefined> {
    const answer = await this.session.call(
      'FindByUuid',
      this.session.content.searchIndex,
      { uuid: instanceUuid, vmSearch: true, instanceUuid: true },
      { doing: `finding the VM with instance UUID ${instanceUuid}`, signal, idempotent: true },
    );
    return referenceOf(answer.child('returnval'))?.value;
  }

  async findVmInFolder(folderMoRef: string, name: string, signal?: AbortSignal): Promise<string | undefined> {
    const doing = `finding VM "${name}" in folder ${folderMoRef}`;
    const folder = await this.properties.read(
      { type: 'Folder', value: folderMoRef },
      ['childEntity'],
      doing,
      `folder ${folderMoRef}`,
      signal,
    );
    const vms = folder.references('childEntity').filter((child) => child.type === 'VirtualMachine');
    const named = await this.properties.readMany(vms, ['name'], doing, signal);
    return named.find((vm) => readableName(vm.text('name') ?? '') === name)?.object.value;
  }

  async letTasksEnd(object: { type: 'VirtualMachine' | 'Folder'; moRef: string }, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const doing = `waiting for the tasks of ${object.moRef}`;
    try {
      const entity = await this.properties.read({ type: object.type, value: object.moRef }, ['recentTask'], doing, object.moRef, signal);
      // One after another: each wait ends at once for a task that has ended.
      for (const task of entity.references('recentTask')) await this.tasks.end(task, { doing, timeoutMs, signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async enableChangeTracking(moRef: string, signal?: AbortSignal): Promise<void> {
    const doing = `turning on change tracking of ${this.vmName(moRef)}`;
    const paths = ['config.changeTrackingEnabled', 'capability.changeTrackingSupported'];
    const before = await this.properties.read(virtualMachine(moRef), paths, doing, this.vmName(moRef), signal);
    if (before.isTrue('config.changeTrackingEnabled')) return;
    if (!before.isTrue('capability.changeTrackingSupported')) throw this.untrackable(moRef, 'needs virtual hardware version 7 or later');
    await this.tasks.run(
      'ReconfigVM_Task',
      virtualMachine(moRef),
      { spec: { changeTrackingEnabled: true } },
      { doing, subject: this.vmName(moRef), signal },
    );
    const after = await this.properties.read(virtualMachine(moRef), paths, doing, this.vmName(moRef), signal);
    if (!after.isTrue('config.changeTrackingEnabled')) throw this.untrackable(moRef, 'was reconfigured and still does not track');
  }

  async createSnapshot(
    moRef: string,
    options: { name: string; description: string; quiesce: boolean; timeoutMs: number },
    signal?: AbortSignal,
  ): Promise<{ moRef: string; createdAt: string }> {
    const doing = `creating a snapshot of ${this.vmName(moRef)}`;
    const args = { name: inventoryName(options.name), description: options.description, memory: false, quiesce: options.quiesce };
    const result = await this.tasks.run('CreateSnapshot_Task', virtualMachine(moRef), args, {
      doing,
      subject: this.vmName(moRef),
      taskTimeoutMs: options.timeoutMs,
      signal,
    });
    const nodes = await this.listSnapshots(moRef, signal);
    const made = nodes.find((node) => node.moRef === result?.value);
    if (made === undefined) {
      throw new VsphereError(`vCenter ${this.session.transport.name} reported success of ${doing}, but the VM has no such snapshot.`, {
        code: 'SNAPSHOT_VANISHED',
        object: moRef,
        subject: this.vmName(moRef),
      });
    }
    return { moRef: made.moRef, createdAt: made.createdAt };
  }

  async snapshotDisks(snapshotMoRef: string, signal?: AbortSignal): Promise<DiskBacking[]> {
    return disksOf(await this.snapshotConfig(snapshotMoRef, signal));
  }

  async snapshotConfigXml(snapshotMoRef: string, signal?: AbortSignal): Promise<string> {
    return configurationXml(await this.snapshotConfig(snapshotMoRef, signal));
  }

  async listSnapshots(moRef: string, signal?: AbortSignal): Promise<SnapshotNode[]> {
    const doing = `listing the snapshots of ${this.vmName(moRef)}`;
    return readSnapshots(await this.properties.read(virtualMachine(moRef), ['snapshot'], doing, this.vmName(moRef), signal));
  }

  async removeSnapshot(vmMoRef: string, snapshotMoRef: string, signal?: AbortSignal): Promise<void> {
    const doing = `removing snapshot ${snapshotMoRef} of ${this.vmName(vmMoRef)}`;
    const options = { doing, subject: this.vmName(vmMoRef), taskTimeoutMs: REMOVE_SNAPSHOT_TIMEOUT_MS, uncancellable: true, signal };
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
      if (!(await this.hasSnapshot(vmMoRef, snapshotMoRef, signal))) return;
      try {
        await this.tasks.run('RemoveSnapshot_Task', { type: 'VirtualMachineSnapshot', value: snapshotMoRef }, args, options);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
    if (await this.hasSnapshot(vmMoRef, snapshotMoRef, signal)) {
      throw new VsphereError(
        `Snapshot ${snapshotMoRef} of ${this.vmName(vmMoRef)} is still there after its removal: remove it in vCenter.`,
        {
          code: 'SNAPSHOT_NOT_REMOVED',
          object: snapshotMoRef,
          subject: this.vmName(vmMoRef),
        },
      );
    }
  }

  async queryChangedAreas(
    vmMoRef: string,
    snapshotMoRef: string | undefined,
    disk: { deviceKey: number; capacityBytes: number },
    changeId: string,
    signal?: AbortSignal,
  ): Promise<Extent[]> {
    const name = `disk ${disk.deviceKey} of ${this.vmName(vmMoRef)}`;
    const snapshot = snapshotMoRef && soapReference({ type: 'VirtualMachineSnapshot', value: snapshotMoRef });
    const options = {
      doing: `asking what changed on ${name}`,
      subject: name,
      timeoutMs: CHANGED_AREAS_TIMEOUT_MS,
      idempotent: true,
      signal,
    };
    const ask = async (startOffset: number) => {
      const args = { ...(snapshot && { snapshot }), deviceKey: disk.deviceKey, startOffset, changeId };
      return (await this.session.call('QueryChangedDiskAreas', virtualMachine(vmMoRef), args, options)).child('returnval');
    };
    return collectChangedAreas({ disk: name, capacityBytes: disk.capacityBytes, ask });
  }

  async createVm(
    configXml: string,
    name: string,
    placement: VmPlacement,
    options: { keepIdentity: boolean },
    signal?: AbortSignal,
  ): Promise<string> {
    const moRef = await this.creation.create(parseConfiguration(configXml), name, placement, options, signal);
    this.remember(moRef, name);
    return moRef;
  }

  async powerOff(moRef: string, signal?: AbortSignal): Promise<void> {
    const doing = `powering off ${this.vmName(moRef)}`;
    try {
      await this.tasks.run('PowerOffVM_Task', virtualMachine(moRef), {}, { doing, subject: this.vmName(moRef), signal });
    } catch (error) {
      if (!(error instanceof VsphereError && error.faultType === 'InvalidPowerState')) throw error;
      const vm = await this.properties.read(virtualMachine(moRef), ['runtime'], doing, this.vmName(moRef), signal);
      if (readPowerState(vm.get('runtime')) !== 'poweredOff') throw error;
    }
  }

  async destroyVm(moRef: string, signal?: AbortSignal): Promise<void> {
    try {
      await this.tasks.run(
        'Destroy_Task',
        virtualMachine(moRef),
        {},
        { doing: `deleting ${this.vmName(moRef)}`, subject: this.vmName(moRef), signal },
      );
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    this.names.delete(moRef);
  }

  async unregisterVm(moRef: string, signal?: AbortSignal): Promise<void> {
    await this.session.call(
      'UnregisterVM',
      virtualMachine(moRef),
      {},
      { doing: `unregistering ${this.vmName(moRef)}`, subject: this.vmName(moRef), signal },
    );
    this.names.delete(moRef);
  }

  placementOptions(resourcePoolMoRef: string, signal?: AbortSignal) {
    return this.inventory.placement(resourcePoolMoRef, signal);
  }

  async datastoreName(moRef: string, signal?: AbortSignal): Promise<string> {
    const datastore = await this.properties.read(
      { type: 'Datastore', value: moRef },
      ['name'],
      `reading datastore ${moRef}`,
      `datastore ${moRef}`,
      signal,
    );
    return readableName(datastore.text('name') ?? '');
  }

  downloadFile(path: string, signal?: AbortSignal, nearVmMoRef?: string): Promise<Buffer> {
    return this.files.download(path, nearVmMoRef === undefined ? undefined : virtualMachine(nearVmMoRef), signal);
  }

  uploadFile(path: string, data: Buffer, signal?: AbortSignal, nearVmMoRef?: string): Promise<void> {
    return this.files.upload(path, data, nearVmMoRef === undefined ? undefined : virtualMachine(nearVmMoRef), signal);
  }

  close(): Promise<void> {
    return this.session.close();
  }

  private async snapshotConfig(snapshotMoRef: string, signal?: AbortSignal): Promise<XmlElement> {
    const snapshot = { type: 'VirtualMachineSnapshot', value: snapshotMoRef };
    const doing = `reading snapshot ${snapshotMoRef}`;
    const config = (await this.properties.read(snapshot, ['config'], doing, `snapshot ${snapshotMoRef}`, signal)).get('config');
    if (config !== undefined) return config;
    throw faultError(
      { faultType: 'ManagedObjectNotFound', message: '', invalidProperty: undefined },
      { doing, vcenter: this.session.transport.name },
    );
  }

  /** False too when the VM itself is gone. */
  private async hasSnapshot(vmMoRef: string, snapshotMoRef: string, signal?: AbortSignal): Promise<boolean> {
    try {
      return (await this.listSnapshots(vmMoRef, signal)).some((node) => node.moRef === snapshotMoRef);
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  private vmName(moRef: string): string {
    const name = this.names.get(moRef);
    return name === undefined ? `VM ${moRef}` : `VM "${name}"`;
  }

  private remember(moRef: string, name: string): void {
    if (this.names.size >= MAX_REMEMBERED_NAMES) this.names.clear();
    this.names.set(moRef, name);
  }

  private unavailable(moRef: string): VsphereError {
    return new VsphereError(
      `vCenter ${this.session.transport.name} has no configuration of ${this.vmName(moRef)}: the VM is inaccessible or its host disconnected.`,
      {
        code: 'VM_UNAVAILABLE',
        retryable: true,
        object: moRef,
        subject: this.vmName(moRef),
      },
    );
  }

  private untrackable(moRef: string, why: string): VsphereError {
    return new VsphereError(`Change tracking of ${this.vmName(moRef)} cannot be turned on: the VM ${why}.`, {
      code: 'CHANGE_TRACKING_UNSUPPORTED',
      object: moRef,
      subject: this.vmName(moRef),
    });
  }
}

function virtualMachine(moRef: string): ManagedObject {
  return { type: 'VirtualMachine', value: moRef };
}

function readPowerState(runtime: XmlElement | undefined): VmConfiguration['powerState'] {
  const state = runtime?.textAt('powerState');
  return state === 'poweredOn' || state === 'suspended' ? state : 'poweredOff';
}

function readSnapshots(vm: ObjectProperties): SnapshotNode[] {
  return flattenSnapshots(vm.get('snapshot')?.childrenNamed('rootSnapshotList') ?? []);
}
