import { type Logger, silentLogger, type XmlElement } from '../common/index.js';
import type { Extent } from '../disk/index.js';
import { collectChangedAreas } from './changed-areas.js';
import { DatastoreFiles } from './datastore-files.js';
import type { CryptoKey } from './encryption-spec.js';
import { isNotFound, VsphereError } from './errors.js';
import { FirstClassDisks } from './first-class-disks.js';
import { Inventory } from './inventory.js';
import { MachineSupport } from './machine-support.js';
import { type ObjectProperties, PropertyReader } from './properties.js';
import { VimSession } from './session.js';
import { readSnapshots, Snapshots } from './snapshots.js';
import { StoragePolicies } from './storage-policies.js';
import { TaskWaiter } from './tasks.js';
import { type KnownProperties, UpdateWaiter } from './updates.js';
import { VcenterSurvey } from './vcenter-survey.js';
import type {
  CreateVmOptions,
  DiskBacking,
  KeyProvider,
  NewSnapshot,
  SnapshotNode,
  VmConfiguration,
  VmPlacement,
  VsphereClientApi,
  VsphereConnection,
} from './types.js';
import { isTrue, type ManagedObject, readableName, referenceOf, soapReference } from './vim-xml.js';
import { VmCreation } from './vm-creation.js';
import { configurationXml, disksOf, parseConfiguration, readConfiguration, readTools } from './vm-configuration.js';

/** vCenter forwards the question to the host, which reads the tracking file. */
const CHANGED_AREAS_TIMEOUT_MS = 10 * 60_000;
/** From the end of the task to the state's being told: moments, on a vCenter that is not overrun. */
const POWER_STATE_TIMEOUT_MS = 2 * 60_000;
const MAX_REMEMBERED_NAMES = 10_000;

/** Backup's and restore's view of one vCenter, over one shared session. */
export class VsphereClient implements VsphereClientApi {
  readonly survey: VcenterSurvey;
  private readonly properties: PropertyReader;
  private readonly updates: UpdateWaiter;
  private readonly tasks: TaskWaiter;
  private readonly inventory: Inventory;
  private readonly files: DatastoreFiles;
  readonly storagePolicies: StoragePolicies;
  readonly firstClassDisks: FirstClassDisks;
  private readonly creation: VmCreation;
  private readonly machines: MachineSupport;
  private readonly snapshots: Snapshots;
  /** Names by MoRef, for the sentences of errors only. */
  private readonly names = new Map<string, string>();

  private constructor(
    private readonly session: VimSession,
    private readonly log: Logger,
  ) {
    this.properties = new PropertyReader(session);
    this.survey = new VcenterSurvey(session, this.properties);
    this.updates = new UpdateWaiter(session, log);
    this.tasks = new TaskWaiter(session, this.properties, this.updates, log);
    this.inventory = new Inventory(session, this.properties);
    this.files = new DatastoreFiles(session, this.inventory);
    this.snapshots = new Snapshots(session, this.properties, this.tasks, (moRef) => this.vmName(moRef));
    this.machines = new MachineSupport(session, this.properties, this.inventory);
    this.storagePolicies = new StoragePolicies(session, this.properties);
    this.firstClassDisks = new FirstClassDisks(session, this.properties, this.tasks, this.survey, log);
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
    const paths = ['config', 'runtime', 'capability', 'guest', 'datastore', 'parent', 'resourcePool', 'snapshot'];
    const vm = await this.properties.read(virtualMachine(moRef), paths, `reading ${this.vmName(moRef)}`, this.vmName(moRef), signal);
    const config = vm.get('config');
    if (config === undefined) throw this.unavailable(moRef);
    const fromConfig = readConfiguration(config);
    this.remember(moRef, fromConfig.name);
    const datastores = await this.properties.readMany(
      vm.references('datastore'),
      ['name', 'summary.type'],
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
      datastores: datastores.map(readDatastore),
      snapshots: readSnapshots(vm),
      tools: readTools(vm.get('guest')),
      consolidationNeeded: isTrue(runtime?.child('consolidationNeeded')),
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

  async disableChangeTracking(moRef: string, signal?: AbortSignal): Promise<void> {
    const doing = `turning off change tracking of ${this.vmName(moRef)}`;
    const call = { doing, subject: this.vmName(moRef), signal };
    await this.tasks.run('ReconfigVM_Task', virtualMachine(moRef), { spec: { changeTrackingEnabled: false } }, call);
  }

  createSnapshot(moRef: string, options: NewSnapshot, signal?: AbortSignal): Promise<SnapshotNode> {
    return this.snapshots.create(moRef, options, signal);
  }

  async snapshotDisks(snapshotMoRef: string, signal?: AbortSignal): Promise<DiskBacking[]> {
    return disksOf(await this.snapshots.config(snapshotMoRef, signal));
  }

  async snapshotConfigXml(snapshotMoRef: string, signal?: AbortSignal): Promise<string> {
    return configurationXml(await this.snapshots.config(snapshotMoRef, signal));
  }

  listSnapshots(moRef: string, signal?: AbortSignal): Promise<SnapshotNode[]> {
    return this.snapshots.list(moRef, signal);
  }

  revertToSnapshot(vmMoRef: string, snapshotMoRef: string, signal?: AbortSignal): Promise<void> {
    return this.snapshots.revert(vmMoRef, snapshotMoRef, signal);
  }

  removeSnapshot(vmMoRef: string, snapshotMoRef: string, signal?: AbortSignal): Promise<void> {
    return this.snapshots.remove(vmMoRef, snapshotMoRef, signal);
  }

  consolidate(moRef: string, signal?: AbortSignal): Promise<boolean> {
    return this.snapshots.consolidate(moRef, signal);
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
    return collectChangedAreas({ disk: name, capacityBytes: disk.capacityBytes, ask, log: this.log });
  }

  async createVm(configXml: string, name: string, placement: VmPlacement, options: CreateVmOptions, signal?: AbortSignal): Promise<string> {
    const moRef = await this.creation.create(parseConfiguration(configXml), name, placement, options, signal);
    this.remember(moRef, name);
    return moRef;
  }

  async powerOff(moRef: string, signal?: AbortSignal): Promise<void> {
    const doing = `powering off ${this.vmName(moRef)}`;
    try {
      await this.tasks.run('PowerOffVM_Task', virtualMachine(moRef), {}, { doing, subject: this.vmName(moRef), signal });
    } catch (error) {
      // It is off, or somebody else is switching it: either way its state tells.
      if (!(error instanceof VsphereError && error.faultType === 'InvalidPowerState')) throw error;
    }
    await this.waitForPowerState(moRef, 'poweredOff', POWER_STATE_TIMEOUT_MS, signal);
  }

  async waitForPowerState(moRef: string, state: VmConfiguration['powerState'], timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const reached = (known: KnownProperties) => (known.get('runtime.powerState')?.text() === state ? true : undefined);
    const wait = { doing: `waiting for ${this.vmName(moRef)} to be ${state}`, subject: this.vmName(moRef), timeoutMs, signal };
    await this.updates.until(virtualMachine(moRef), ['runtime.powerState'], reached, wait);
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

  hardwareVersions(resourcePoolMoRef: string, signal?: AbortSignal): Promise<string[]> {
    return this.machines.hardwareVersions(resourcePoolMoRef, signal);
  }

  keyProviders(signal?: AbortSignal): Promise<KeyProvider[]> {
    return this.machines.keyProviders(signal);
  }

  unavailableKeys(keys: readonly CryptoKey[], signal?: AbortSignal): Promise<CryptoKey[]> {
    return this.machines.unavailableKeys(keys, signal);
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

function readDatastore(datastore: ObjectProperties): VmConfiguration['datastores'][number] {
  const type = datastore.text('summary.type');
  return { moRef: datastore.object.value, name: readableName(datastore.text('name') ?? ''), ...(type !== undefined && { type }) };
}

function readPowerState(runtime: XmlElement | undefined): VmConfiguration['powerState'] {
  const state = runtime?.textAt('powerState');
  return state === 'poweredOn' || state === 'suspended' ? state : 'poweredOff';
}
