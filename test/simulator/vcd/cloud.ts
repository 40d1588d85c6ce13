import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SimVm, VsphereModelApi } from '../model/vsphere-types.js';
import { StateFile } from '../state-file.js';
import { type Level, levelOf } from './access-level.js';
import { EntityIndex } from './entity-index.js';
import { EventLog } from './events.js';
import { noAccess, type VcdFault } from './faults.js';
import type { Session } from './sessions.js';
import {
  type CloudState,
  completedState,
  NETWORK_NONE,
  type Organization,
  type StorageProfile,
  type User,
  type Vapp,
  type Vdc,
  type Vm,
  type VmNic,
} from './state.js';
import { defaultVariants, type Variants } from './variants.js';
import { type EntityName, TaskBoard } from './tasks.js';

/** Numbers of ResourceEntity@status, as far as a vApp or a VM here can have them. */
export const STATUS = {
  FAILED_CREATION: -1,
  UNRESOLVED: 0,
  RESOLVED: 1,
  SUSPENDED: 3,
  POWERED_ON: 4,
  POWERED_OFF: 8,
  INCONSISTENT_STATE: 9,
  MIXED: 10,
} as const;
/** Changes arrive in bursts; the file is written once per burst. */
const SAVE_DELAY_MS = 100;
const STATUS_WORDS = new Map<number, string>(Object.entries(STATUS).map(([word, number]) => [number, word]));

export interface CloudOptions {
  taskDelayMs: number;
  /** Asked when a task is about to finish: a fault to end it with, for tests. */
  taskFailure?: (operationName: string) => VcdFault | undefined;
  /** Asked when a task begins: how much longer than usual it takes, for tests. */
  extraTaskDelayMs?: (operationName: string) => number;
}

/**
 * The cloud as VCD knows it: its own state, its tasks, and vSphere underneath. Routes and views read
 * it; operations change it and call `changed()`.
 */
export class VcdCloud {
  readonly tasks: TaskBoard;
  readonly events: EventLog;
  /** How this cell answers where cells differ; may change while it runs. */
  readonly variants: Variants = defaultVariants();
  /** Where the images of media lie. */
  readonly mediaDirectory: string;
  private readonly file: StateFile;
  private changes = 0;
  private readonly organizationIndex = new EntityIndex(() => this.state.organizations);
  private readonly userIndex = new EntityIndex(() => this.state.users);
  private readonly vdcIndex = new EntityIndex(
    () => this.state.vdcs,
    (vdc) => vdc.organizationId,
  );
  private readonly vappIndex = new EntityIndex(
    () => this.state.vapps,
    (vapp) => vapp.vdcId,
  );
  private readonly vmIndex = new EntityIndex(
    () => this.state.vms,
    (vm) => vm.vappId,
  );
  private readonly templateVmIndex = new EntityIndex(
    () => this.state.templateVms,
    (vm) => vm.vappId,
  );
  private readonly storageProfileIndex = new EntityIndex(
    () => this.state.storageProfiles,
    (profile) => profile.vdcId,
  );
  private readonly vmsByProfile = new EntityIndex(
    () => this.state.vms,
    (vm) => vm.storageProfileId,
  );
  private readonly indexes = [
    this.vmsByProfile,
    this.organizationIndex,
    this.userIndex,
    this.vdcIndex,
    this.vappIndex,
    this.vmIndex,
    this.templateVmIndex,
    this.storageProfileIndex,
  ];
  /** What vCenter said of a VM, until it says that the VM has changed. */
  private readonly knownHardware = new Map<string, SimVm>();
  private readonly stopListening: () => void;

  constructor(
    readonly state: CloudState,
    readonly vsphere: VsphereModelApi,
    file: string,
    options: CloudOptions,
  ) {
    this.mediaDirectory = join(dirname(file), 'media');
    this.events = new EventLog(state.events ?? [], () => this.file.changed());
    this.tasks = new TaskBoard(
      (operationName) => options.taskDelayMs + (options.extraTaskDelayMs?.(operationName) ?? 0),
      options.taskFailure,
      (task) => {
        this.changed();
        this.events.addTask(task);
      },
    );
    this.file = new StateFile(
      file,
      () => ({ ...this.state, events: this.events.kept() }),
      SAVE_DELAY_MS,
      (error) => process.stderr.write(`simulator: VCD's state could not be kept: ${error.message}\n`),
    );
    this.stopListening = vsphere.onChange((moRefs) => {
      this.changes += 1;
      for (const moRef of moRefs) this.knownHardware.delete(moRef);
    });
  }

  /** Another number after every change of anything a query could show. */
  get revision(): number {
    return this.changes + this.tasks.revision + this.events.revision;
  }

  static stateFile(dataDir: string): string {
    return join(dataDir, 'vcd', 'state.json');
  }

  /** What an earlier process kept, or undefined in an empty folder. */
  static async readState(file: string): Promise<CloudState | undefined> {
    try {
      return completedState(JSON.parse(await readFile(file, 'utf8')) as CloudState);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  changed(): void {
    this.changes += 1;
    for (const index of this.indexes) index.forget();
    this.file.changed();
  }

  /** Whole or not at all: a killed simulator finds the last state again. */
  save(): Promise<void> {
    return this.file.save();
  }

  async close(): Promise<void> {
    await this.tasks.close();
    this.stopListening();
    await this.save();
  }

  organization(id: string): Organization | undefined {
    return this.organizationIndex.get(id);
  }
  systemOrganization(): Organization {
    return required(
      this.state.organizations.find((candidate) => candidate.name === 'System'),
      'organization System',
    );
  }
  user(id: string): User | undefined {
    return this.userIndex.get(id);
  }
  vdc(id: string): Vdc | undefined {
    return this.vdcIndex.get(id);
  }
  vdcOf(vapp: Vapp): Vdc {
    return required(this.vdc(vapp.vdcId), `VDC of ${vapp.name}`);
  }
  vappOf(vm: Vm): Vapp {
    return required(this.vappIndex.get(vm.vappId), `vApp of ${vm.name}`);
  }
  vmsOf(vapp: Vapp): Vm[] {
    return [...this.vmIndex.childrenOf(vapp.id)];
  }
  vdcsOf(organization: Organization): readonly Vdc[] {
    return this.vdcIndex.childrenOf(organization.id);
  }
  vappsOf(vdc: Vdc): readonly Vapp[] {
    return this.vappIndex.childrenOf(vdc.id);
  }
  templateVmsOf(templateId: string): readonly Vm[] {
    return this.templateVmIndex.childrenOf(templateId);
  }
  storageProfile(id: string): StorageProfile | undefined {
    return this.storageProfileIndex.get(id);
  }
  vmsOn(profile: StorageProfile): readonly Vm[] {
    return this.vmsByProfile.childrenOf(profile.id);
  }
  defaultStorageProfile(vdcId: string): StorageProfile {
    const profiles = this.storageProfileIndex.childrenOf(vdcId);
    return required(profiles.find((candidate) => candidate.isDefault) ?? profiles[0], 'storage profile');
  }

  /** Undefined when somebody destroyed or unregistered the VM in vCenter. */
  hardware(vm: Vm): SimVm | undefined {
    const known = this.knownHardware.get(vm.moRef);
    if (known) return known;
    const found = this.vsphere.vm(vm.moRef);
    if (found) this.knownHardware.set(vm.moRef, found);
    return found;
  }

  /** VCD's NIC records beside vSphere's NICs, in vSphere's order; a NIC VCD never saw is on no network. */
  nics(vm: Vm, hardware: SimVm): { record: VmNic; device: SimVm['nics'][number] }[] {
    const used = new Set(vm.nics.map((nic) => nic.index));
    const freeIndex = (): number => {
      let index = 0;
      while (used.has(index)) index += 1;
      used.add(index);
      return index;
    };
    return hardware.nics.map((device) => ({
      device,
      record: vm.nics.find((nic) => nic.deviceKey === device.key) ?? {
        deviceKey: device.key,
        index: freeIndex(),
        network: NETWORK_NONE,
        allocationMode: 'NONE',
        ipAddress: undefined,
        connected: false,
        needsCustomization: false,
      },
    }));
  }

  vmStatus(vm: Vm): number {
    const vapp = this.vappIndex.get(vm.vappId);
    // A standalone VM is there, by its address, before its import has ended.
    if (vapp?.autoNature && vapp.creation !== 'done') return vapp.creation === 'running' ? STATUS.UNRESOLVED : STATUS.FAILED_CREATION;
    const hardware = this.hardware(vm);
    if (!hardware) return STATUS.INCONSISTENT_STATE;
    if (hardware.powerState === 'poweredOn') return STATUS.POWERED_ON;
    return hardware.powerState === 'suspended' ? STATUS.SUSPENDED : STATUS.POWERED_OFF;
  }

  vappStatus(vapp: Vapp): number {
    if (vapp.creation === 'running') return STATUS.UNRESOLVED;
    if (vapp.creation === 'failed') return STATUS.FAILED_CREATION;
    const states = new Set(this.vmsOf(vapp).map((vm) => this.vmStatus(vm)));
    if (states.size === 0) return STATUS.RESOLVED;
    return states.size === 1 ? ([...states][0] as number) : STATUS.MIXED;
  }

  statusWord(status: number): string {
    return STATUS_WORDS.get(status) ?? 'UNKNOWN';
  }

  isBusy(entityId: string): boolean {
    return this.tasks.isBlocked(entityId);
  }

  /** What the session may do with the vApp: an owner and an administrator all, others as they were granted. */
  accessLevel(session: Session, vapp: Vapp): Level {
    return levelOf(session, vapp, vapp.access);
  }

  /** @throws VcdFault 403 for what is gone and for what is somebody else's. */
  requireVapp(session: Session, id: string): Vapp {
    const vapp = this.vappIndex.get(id);
    if (!vapp || this.accessLevel(session, vapp) === 'none') throw noAccess('vapp', id);
    return vapp;
  }
  requireVm(session: Session, id: string): Vm {
    const vm = this.vmIndex.get(id);
    if (!vm || this.accessLevel(session, this.vappOf(vm)) === 'none') throw noAccess('vm', id);
    return vm;
  }
  requireVdc(session: Session, id: string): Vdc {
    const vdc = this.vdc(id);
    if (!vdc || (!session.isProvider && vdc.organizationId !== session.organization.id)) throw noAccess('vdc', id);
    return vdc;
  }
  requireOrganization(session: Session, id: string): Organization {
    const organization = this.organization(id);
    if (!organization || (!session.isProvider && organization.id !== session.organization.id)) throw noAccess('org', id);
    return organization;
  }

  nameOf(entity: Vapp | Vm): EntityName {
    return { kind: 'vappId' in entity ? 'vm' : 'vapp', id: entity.id, name: entity.name };
  }
}

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`The simulated cloud has lost ${what}`);
  return value;
}
