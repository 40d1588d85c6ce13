import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SimVm, VsphereModelApi } from '../model/vsphere-types.js';
import { noAccess, type VcdFault } from './faults.js';
import type { Session } from './sessions.js';
import {
  type CloudState,
  NETWORK_NONE,
  type Organization,
  type StorageProfile,
  type User,
  type Vapp,
  type Vdc,
  type Vm,
  type VmNic,
} from './state.js';
import { type EntityName, isUnfinished, TaskBoard } from './tasks.js';

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
const STATUS_WORDS = new Map<number, string>(Object.entries(STATUS).map(([word, number]) => [number, word]));

export interface CloudOptions {
  taskDelayMs: number;
  /** Asked when a task is about to finish: a fault to end it with, for tests. */
  taskFailure?: (operationName: string) => VcdFault | undefined;
}

/**
 * The cloud as VCD knows it: its own state, its tasks, and vSphere underneath. Routes and views read
 * it; operations change it and call `changed()`.
 */
export class VcdCloud {
  readonly tasks: TaskBoard;
  private saving: Promise<void> = Promise.resolve();
  private saveTimer: NodeJS.Timeout | undefined;

  constructor(
    readonly state: CloudState,
    readonly vsphere: VsphereModelApi,
    private readonly file: string,
    options: CloudOptions,
  ) {
    this.tasks = new TaskBoard(
      () => options.taskDelayMs,
      options.taskFailure,
      () => this.changed(),
    );
  }

  static stateFile(dataDir: string): string {
    return join(dataDir, 'vcd', 'state.json');
  }

  /** What an earlier process kept, or undefined in an empty folder. */
  static async readState(file: string): Promise<CloudState | undefined> {
    try {
      return JSON.parse(await readFile(file, 'utf8')) as CloudState;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  changed(): void {
    this.saveTimer ??= setTimeout(() => {
      this.saveTimer = undefined;
      this.save().catch((error: unknown) =>
        process.stderr.write(`simulator: VCD's state could not be kept: ${(error as Error).message}\n`),
      );
    }, 100).unref();
  }

  /** Whole or not at all: a killed simulator finds the last state again. */
  save(): Promise<void> {
    this.saving = this.saving
      .catch(() => undefined)
      .then(async () => {
        await mkdir(dirname(this.file), { recursive: true });
        await writeFile(`${this.file}.new`, JSON.stringify(this.state, null, 1));
        await rename(`${this.file}.new`, this.file);
      });
    return this.saving;
  }

  async close(): Promise<void> {
    await this.tasks.close();
    clearTimeout(this.saveTimer);
    this.saveTimer = undefined;
    await this.save();
  }

  organization(id: string): Organization | undefined {
    return this.state.organizations.find((candidate) => candidate.id === id);
  }
  systemOrganization(): Organization {
    return required(
      this.state.organizations.find((candidate) => candidate.name === 'System'),
      'organization System',
    );
  }
  user(id: string): User | undefined {
    return this.state.users.find((candidate) => candidate.id === id);
  }
  vdc(id: string): Vdc | undefined {
    return this.state.vdcs.find((candidate) => candidate.id === id);
  }
  vdcOf(vapp: Vapp): Vdc {
    return required(this.vdc(vapp.vdcId), `VDC of ${vapp.name}`);
  }
  vappOf(vm: Vm): Vapp {
    return required(
      this.state.vapps.find((candidate) => candidate.id === vm.vappId),
      `vApp of ${vm.name}`,
    );
  }
  vmsOf(vapp: Vapp): Vm[] {
    return this.state.vms.filter((vm) => vm.vappId === vapp.id);
  }
  storageProfile(id: string): StorageProfile | undefined {
    return this.state.storageProfiles.find((candidate) => candidate.id === id);
  }
  defaultStorageProfile(vdcId: string): StorageProfile {
    const profiles = this.state.storageProfiles.filter((candidate) => candidate.vdcId === vdcId);
    return required(profiles.find((candidate) => candidate.isDefault) ?? profiles[0], 'storage profile');
  }

  /** Undefined when somebody destroyed or unregistered the VM in vCenter. */
  hardware(vm: Vm): SimVm | undefined {
    return this.vsphere.vm(vm.moRef);
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
    return this.tasks.all().some((task) => isUnfinished(task) && task.blocks.includes(entityId));
  }

  /** What the session may do with the vApp: an owner and an administrator all, others as they were granted. */
  accessLevel(session: Session, vapp: Vapp): 'none' | 'ReadOnly' | 'Change' | 'FullControl' {
    if (session.isProvider) return 'FullControl';
    if (session.organization.id !== vapp.organizationId) return 'none';
    if (session.user.role === 'Organization Administrator' || vapp.ownerUserId === session.user.id) return 'FullControl';
    const levels = vapp.access.grants.filter((grant) => grant.subjectId === session.user.id).map((grant) => grant.accessLevel);
    if (vapp.access.sharedToEveryone) levels.push(vapp.access.everyoneAccessLevel ?? 'ReadOnly');
    return (['FullControl', 'Change', 'ReadOnly'] as const).find((level) => levels.includes(level)) ?? 'none';
  }

  /** @throws VcdFault 403 for what is gone and for what is somebody else's. */
  requireVapp(session: Session, id: string): Vapp {
    const vapp = this.state.vapps.find((candidate) => candidate.id === id);
    if (!vapp || this.accessLevel(session, vapp) === 'none') throw noAccess('vapp', id);
    return vapp;
  }
  requireVm(session: Session, id: string): Vm {
    const vm = this.state.vms.find((candidate) => candidate.id === id);
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
