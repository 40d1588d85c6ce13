import { DiskChain } from '../datastore/index.js';
import { SimulatedGuest } from '../guest/index.js';
import { describeVm, devicesOf } from './configuration.js';
import { isNic } from './devices.js';
import { Inventory, managedObjectNotFound, type InventoryOptions } from './inventory.js';
import { makeLinkedClone } from './linked-clones.js';
import { setKeyProviders } from './encryption.js';
import { cloneOfDevice, editedNic, nicDevice, options, specification } from './specification.js';
import { createSnapshot, removeAllSnapshots, removeSnapshot, revertToCurrentSnapshot } from './snapshots.js';
import { registerVm } from './registration.js';
import type { ToolsState, VmState } from './state.js';
import { vim, type VimObject } from './vim.js';
import { addDisk, createDiskFile, deleteDiskFile, growDiskDevice, growDiskFile, removeDisk } from './virtual-disks.js';
import { addition, checkVmName, createVm, destroyVm, reconfigureVm, setPower, unregisterVm, vmxPath } from './virtual-machines.js';
import {
  SimFault,
  type GuestAccess,
  type PowerState,
  type SimAddedDisk,
  type SimDatastore,
  type SimDisk,
  type SimDiskFile,
  type SimFolder,
  type SimHost,
  type SimNetwork,
  type SimNicSpec,
  type SimResourcePool,
  type SimSnapshot,
  type SimVm,
  type SimVmSpec,
  type VsphereModelApi,
} from './vsphere-types.js';

/** The state of the simulated vCenter and what may be done to it, whichever door asks. */
export class VsphereModel implements VsphereModelApi {
  readonly guest: GuestAccess;

  private constructor(
    /** For the doors of vCenter itself; the VCD side keeps to the other methods. */
    readonly inventory: Inventory,
  ) {
    this.guest = new SimulatedGuest(inventory);
  }

  /** Loads dataDir/state.json, or begins a new vCenter there. */
  static async open(options: InventoryOptions): Promise<VsphereModel> {
    return new VsphereModel(await Inventory.open(options));
  }

  get instanceUuid(): string {
    return this.inventory.state.instanceUuid;
  }
  get dataDir(): string {
    return this.inventory.dataDir;
  }
  get vmFolderMoRef(): string {
    return this.inventory.state.vmFolderMoRef;
  }
  get rootResourcePoolMoRef(): string {
    return this.inventory.state.rootResourcePoolMoRef;
  }

  vms(): SimVm[] {
    return this.inventory.state.vms.map((vm) => describeVm(this.inventory, vm));
  }
  vm(moRef: string): SimVm | undefined {
    const vm = this.inventory.findVm(moRef);
    return vm && describeVm(this.inventory, vm);
  }
  folders(): SimFolder[] {
    return this.inventory.state.folders.map(({ moRef, name, parentMoRef }) => ({ moRef, name, parentMoRef }));
  }
  resourcePools(): SimResourcePool[] {
    return structuredClone(this.inventory.state.resourcePools);
  }
  hosts(): SimHost[] {
    return this.inventory.state.hosts.map(({ moRef, name }) => ({ moRef, name }));
  }
  datastores(): SimDatastore[] {
    return this.inventory.state.datastores.map(({ moRef, name, directory }) => ({
      moRef,
      name,
      directory,
      ...this.inventory.datastore(name).space(),
    }));
  }
  networks(): SimNetwork[] {
    return this.inventory.state.networks.map(({ moRef, name, kind }) => ({ moRef, name, kind }));
  }

  async createVm(spec: SimVmSpec): Promise<SimVm> {
    const vm = await createVm(this.inventory, {
      spec: specification(this.inventory, spec),
      folderMoRef: spec.folderMoRef,
      resourcePoolMoRef: spec.resourcePoolMoRef,
      hostMoRef: spec.hostMoRef,
    });
    return describeVm(this.inventory, vm);
  }

  async cloneVm(moRef: string, options: { name: string; folderMoRef?: string; resourcePoolMoRef?: string }): Promise<SimVm> {
    return this.inventory.locked(moRef, async () => {
      const source = this.inventory.vm(moRef);
      const view = describeVm(this.inventory, source);
      const devices = devicesOf(source.config).filter(
        (device) => (device.key as number) >= 1000 && device.$type !== 'VirtualMachineVMCIDevice',
      );
      const changes = devices.map((device) => cloneOfDevice(device, view.datastoreName));
      const { hardware } = source.config as { hardware: VimObject } & VimObject;
      const vm = await createVm(this.inventory, {
        spec: vim('VirtualMachineConfigSpec', {
          name: options.name,
          version: view.hardwareVersion,
          guestId: view.guestId,
          annotation: view.annotation,
          files: vim('VirtualMachineFileInfo', { vmPathName: `[${view.datastoreName}]` }),
          numCPUs: hardware.numCPU,
          numCoresPerSocket: hardware.numCoresPerSocket,
          memoryMB: hardware.memoryMB,
          deviceChange: changes,
          extraConfig: structuredClone(source.config.extraConfig),
          firmware: view.firmware,
        }),
        folderMoRef: options.folderMoRef ?? view.folderMoRef,
        resourcePoolMoRef: options.resourcePoolMoRef ?? view.resourcePoolMoRef,
        hostMoRef: view.hostMoRef,
      });
      const copy = describeVm(this.inventory, vm);
      for (const [index, disk] of view.disks.entries()) await this.copyDisk(disk.path, copy.disks[index]?.path as string);
      return copy;
    });
  }

  private async copyDisk(sourcePath: string, targetPath: string): Promise<void> {
    await DiskChain.with(this.inventory.absolutePath(sourcePath), 'r', (source) =>
      DiskChain.with(this.inventory.absolutePath(targetPath), 'r+', (target) =>
        source.copyTo((offset, bytes) => target.write(offset, bytes)),
      ),
    );
  }

  destroyVm(moRef: string): Promise<void> {
    return this.change(moRef, (vm) => destroyVm(this.inventory, vm));
  }
  powerOn(moRef: string): Promise<void> {
    return this.power(moRef, 'poweredOn');
  }
  powerOff(moRef: string): Promise<void> {
    return this.power(moRef, 'poweredOff');
  }
  suspend(moRef: string): Promise<void> {
    return this.power(moRef, 'suspended');
  }
  private power(moRef: string, state: PowerState): Promise<void> {
    return this.change(moRef, (vm) => setPower(this.inventory, vm, state));
  }

  renameVm(moRef: string, name: string): Promise<void> {
    return this.reconfigure(moRef, { name });
  }

  moveVm(moRef: string, target: { folderMoRef?: string; resourcePoolMoRef?: string }): Promise<void> {
    return this.change(moRef, async (vm) => {
      const { folders, resourcePools } = this.inventory.state;
      const { folderMoRef, resourcePoolMoRef } = target;
      if (folderMoRef !== undefined && !folders.some((folder) => folder.moRef === folderMoRef))
        throw managedObjectNotFound('Folder', folderMoRef);
      if (resourcePoolMoRef !== undefined && !resourcePools.some((pool) => pool.moRef === resourcePoolMoRef))
        throw managedObjectNotFound('ResourcePool', resourcePoolMoRef);
      if (folderMoRef !== undefined) checkVmName(this.inventory, folderMoRef, vm.config.name as string, vm);
      vm.folderMoRef = folderMoRef ?? vm.folderMoRef;
      vm.resourcePoolMoRef = resourcePoolMoRef ?? vm.resourcePoolMoRef;
      this.inventory.changed(vm.moRef);
    });
  }

  setNics(moRef: string, nics: readonly SimNicSpec[]): Promise<void> {
    return this.change(moRef, async (vm) => {
      const current = devicesOf(vm.config).filter(isNic);
      const kept = new Set(nics.map((nic) => nic.key));
      const removals = current
        .filter((device) => !kept.has(device.key as number))
        .map((device) => vim('VirtualDeviceConfigSpec', { operation: 'remove', device }));
      const others = nics.map((nic, index) => {
        const device = current.find((candidate) => candidate.key === nic.key);
        return device
          ? vim('VirtualDeviceConfigSpec', { operation: 'edit', device: editedNic(this.inventory, device, nic) })
          : addition(nicDevice(this.inventory, nic, -300 - index));
      });
      await reconfigureVm(this.inventory, vm, vim('VirtualMachineConfigSpec', { deviceChange: [...removals, ...others] }));
    });
  }

  setHardware(
    moRef: string,
    change: { cpuCount?: number; coresPerSocket?: number; memoryMib?: number; annotation?: string; guestId?: string },
  ): Promise<void> {
    return this.reconfigure(moRef, {
      guestId: change.guestId,
      annotation: change.annotation,
      numCPUs: change.cpuCount,
      numCoresPerSocket: change.coresPerSocket,
      memoryMB: change.memoryMib,
    });
  }

  setExtraConfig(moRef: string, entries: Readonly<Record<string, string>>): Promise<void> {
    return this.reconfigure(moRef, { extraConfig: options(entries) });
  }

  addDisk(moRef: string, disk: SimAddedDisk): Promise<SimDisk> {
    return this.inventory.locked(moRef, async () => {
      const vm = this.inventory.vm(moRef);
      const key = await addDisk(this.inventory, vm, disk);
      return describeVm(this.inventory, vm).disks.find((candidate) => candidate.key === key) as SimDisk;
    });
  }
  removeDisk(moRef: string, key: number, fate: 'keep-file' | 'destroy-file'): Promise<void> {
    return this.change(moRef, (vm) => removeDisk(this.inventory, vm, key, fate));
  }
  growDisk(moRef: string, key: number, capacityBytes: number): Promise<void> {
    return this.change(moRef, (vm) => growDiskDevice(this.inventory, vm, key, capacityBytes));
  }
  createDiskFile(request: { datastoreName: string; name: string; capacityBytes: number; uuid: string }): Promise<SimDiskFile> {
    return createDiskFile(this.inventory, request);
  }
  growDiskFile(path: string, capacityBytes: number): Promise<void> {
    return growDiskFile(this.inventory, path, capacityBytes);
  }
  deleteDiskFile(path: string): Promise<void> {
    return deleteDiskFile(this.inventory, path);
  }

  async createSnapshot(moRef: string, request: { name: string; description?: string; quiesce?: boolean }): Promise<SimSnapshot> {
    return this.inventory.locked(moRef, async () => {
      const vm = this.inventory.vm(moRef);
      const snapshot = await createSnapshot(this.inventory, vm, {
        name: request.name,
        description: request.description ?? '',
        quiesce: request.quiesce ?? false,
      });
      return describeVm(this.inventory, vm).snapshots.find((candidate) => candidate.moRef === snapshot.moRef) as SimSnapshot;
    });
  }

  removeSnapshot(snapshotMoRef: string, request: { removeChildren?: boolean } = {}): Promise<void> {
    const { vm } = this.inventory.snapshot(snapshotMoRef);
    return this.change(vm.moRef, () => removeSnapshot(this.inventory, snapshotMoRef, request.removeChildren ?? false));
  }

  removeAllSnapshots(moRef: string): Promise<void> {
    return this.change(moRef, (vm) => removeAllSnapshots(this.inventory, vm));
  }

  revertToCurrentSnapshot(moRef: string): Promise<void> {
    return this.change(moRef, (vm) => revertToCurrentSnapshot(this.inventory, vm));
  }

  setTools(moRef: string, tools: ToolsState): Promise<void> {
    return this.change(moRef, async (vm) => {
      vm.tools = tools;
      this.inventory.changed(moRef);
    });
  }

  needConsolidation(moRef: string): Promise<void> {
    return this.change(moRef, async (vm) => {
      vm.consolidationNeeded = true;
      this.inventory.changed(moRef);
    });
  }

  setKeyProviders(providers: readonly { id: string; isDefault?: boolean; keyIds?: readonly string[] }[]): void {
    setKeyProviders(this.inventory, providers);
  }

  preparedForAccess(): { moRef: string; identity: string }[] {
    return this.inventory.state.vms.flatMap(({ moRef, disabledMethods = [] }) =>
      disabledMethods.map(({ sourceId }) => ({ moRef, identity: sourceId })),
    );
  }

  makeLinkedClone(moRef: string): Promise<void> {
    return this.change(moRef, (vm) => makeLinkedClone(this.inventory, vm));
  }

  editDevices(moRef: string, edit: (devices: VimObject[]) => void): Promise<void> {
    return this.change(moRef, async (vm) => {
      // The list itself: devices may be added.
      edit((vm.config.hardware as VimObject).device as VimObject[]);
      this.inventory.changed(moRef);
    });
  }

  /** Out of the inventory and in again, as an administrator does it: the same VM under another MoRef. */
  async reregister(moRef: string): Promise<SimVm> {
    return this.inventory.locked(moRef, async () => {
      const vm = this.inventory.vm(moRef);
      const { folderMoRef, resourcePoolMoRef, hostMoRef } = vm;
      unregisterVm(this.inventory, vm);
      const name = vm.config.name as string;
      return describeVm(this.inventory, await registerVm(this.inventory, vmxPath(vm), { name, folderMoRef, resourcePoolMoRef, hostMoRef }));
    });
  }

  async renumber(moRef: string, newMoRef: string): Promise<void> {
    await this.change(moRef, async (vm) => {
      if (this.inventory.findVm(newMoRef)) throw new SimFault('AlreadyExists', `${newMoRef} is taken.`, { name: newMoRef });
      vm.moRef = newMoRef;
      this.inventory.changed(moRef, newMoRef);
    });
  }

  createFolder(parentMoRef: string, name: string): SimFolder {
    const parent = this.inventory.state.folders.find((folder) => folder.moRef === parentMoRef);
    if (!parent) throw managedObjectNotFound('Folder', parentMoRef);
    this.checkFree(this.inventory.state.folders, parentMoRef, name);
    const folder = { moRef: this.inventory.newMoRef('group-v'), name, parentMoRef, childTypes: [...parent.childTypes] };
    this.inventory.state.folders.push(folder);
    this.inventory.changed(folder.moRef, parentMoRef);
    return { moRef: folder.moRef, name, parentMoRef };
  }

  createResourcePool(parentMoRef: string, name: string): SimResourcePool {
    const pools = this.inventory.state.resourcePools;
    if (!pools.some((pool) => pool.moRef === parentMoRef)) throw managedObjectNotFound('ResourcePool', parentMoRef);
    this.checkFree(pools, parentMoRef, name);
    const pool = { moRef: this.inventory.newMoRef('resgroup-'), name, parentMoRef };
    pools.push(pool);
    this.inventory.changed(pool.moRef, parentMoRef);
    return { ...pool };
  }

  createPortGroup(name: string): SimNetwork {
    const { networks, dvSwitch } = this.inventory.state;
    this.checkFree(networks, dvSwitch.parentMoRef, name);
    const group = {
      moRef: this.inventory.newMoRef('dvportgroup-'),
      name,
      parentMoRef: dvSwitch.parentMoRef,
      kind: 'DistributedVirtualPortgroup' as const,
    };
    networks.push(group);
    this.inventory.changed(group.moRef);
    return { moRef: group.moRef, name, kind: group.kind };
  }

  remove(moRef: string): void {
    const { state } = this.inventory;
    const used =
      state.vms.some(
        (vm) =>
          vm.folderMoRef === moRef ||
          vm.resourcePoolMoRef === moRef ||
          describeVm(this.inventory, vm).nics.some((nic) => nic.networkMoRef === moRef),
      ) || [...state.folders, ...state.resourcePools].some((entity) => entity.parentMoRef === moRef);
    if (used) throw new SimFault('ResourceInUse', `${moRef} is not empty.`, {});
    for (const list of [state.folders, state.resourcePools, state.networks]) {
      const at = list.findIndex((entity) => entity.moRef === moRef);
      if (at >= 0) {
        list.splice(at, 1);
        this.inventory.changed(moRef);
        return;
      }
    }
    throw managedObjectNotFound('ManagedEntity', moRef);
  }

  onChange(listener: (moRefs: readonly string[]) => void): () => void {
    return this.inventory.onChange(listener);
  }
  save(): Promise<void> {
    return this.inventory.save();
  }
  close(): Promise<void> {
    return this.inventory.save();
  }

  private change(moRef: string, work: (vm: VmState) => Promise<void>): Promise<void> {
    return this.inventory.locked(moRef, () => work(this.inventory.vm(moRef)));
  }

  private reconfigure(moRef: string, fields: Record<string, VimObject[string]>): Promise<void> {
    return this.change(moRef, (vm) => reconfigureVm(this.inventory, vm, vim('VirtualMachineConfigSpec', fields)));
  }

  private checkFree(list: readonly { name: string; parentMoRef: string }[], parentMoRef: string, name: string): void {
    if (list.some((entity) => entity.parentMoRef === parentMoRef && entity.name === name))
      throw new SimFault('DuplicateName', `The name '${name}' already exists.`, { name });
  }
}
