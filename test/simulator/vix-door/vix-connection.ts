import { normalizeExtents } from '../../../src/disk/index.js';
import { loadTracking, readChain, readDescriptor, saveTracking, writeDescriptor, type ChainLink } from '../datastore/index.js';
import { disableMethods, enableMethods, MOVING_METHODS } from '../model/disabled-methods.js';
import { disksOf } from '../model/inventory.js';
import { hostOf } from '../model/relocation.js';
import { diskSnapshot, firstClassDisk } from '../model/first-class-disks.js';
import type { FirstClassDiskState, VmState } from '../model/state.js';
import { moRef, objectAt, stringAt, type VimObject } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import type { FaultRule } from '../vsphere/fault-rules.js';
import type { NfcSessions } from './nfc-sessions.js';
import { VIX, VixFault } from './vix-fault.js';
import { readExtents, text } from './vix-request.js';
import type { VixDoorOptions, VixRequest, WriteLocks } from './vix-door.js';

const ENFORCED_OPS = ['read', 'write', 'queryAllocated'] as const;
const ALL_EFFECTS: FaultRule['effect'][] = ['error', 'crash', 'hang', 'delay', 'vixError'];

/** Guide, "Credentials and Privileges for VMDK Access" and Table 7-1. */
const READING = ['VirtualMachine.Provisioning.DiskRandomRead', 'VirtualMachine.Provisioning.GetVmFiles', 'VirtualMachine.Config.DiskLease'];
const WRITING = ['VirtualMachine.Provisioning.DiskRandomAccess', 'VirtualMachine.Provisioning.PutVmFiles'];

interface OpenDisk {
  path: string;
  absolute: string;
  /** The VM's reference, or the id of the first class disk: changes of one are one after another. */
  owner: string;
  readOnly: boolean;
  /** Over the network it holds an NFC session. */
  releaseNfc: (() => void) | undefined;
}

interface ConnectedDisk {
  disk: FirstClassDiskState;
  path: string;
  isSnapshot: boolean;
}

/** One VixDiskLib connection: who it is, which VM and snapshot it asks for, which disks are open. */
export class VixConnection {
  ended = false;
  vmMoRef: string | undefined;
  private thumbprintRight = false;
  private authenticated = false;
  private userName = '';
  private snapshotMoRef: string | undefined;
  private storageObject: ConnectedDisk | undefined;
  private readOnly = true;
  private connected = false;
  private hostWasInMaintenance = false;
  private transport = 'nbdssl';
  private nextHandle = 1;
  private readonly disks = new Map<string, OpenDisk>();

  constructor(
    private readonly options: VixDoorOptions,
    private readonly locks: WriteLocks,
    private readonly nfc: NfcSessions,
    private readonly violations: string[],
  ) {}

  async perform(request: VixRequest): Promise<Record<string, unknown>> {
    switch (request.op) {
      case 'hello':
        this.thumbprintRight =
          text(request, 'thumbprint').replace(/[\s:]/g, '').toUpperCase() === this.options.thumbprintSha1.replace(/:/g, '');
        // VDDK tells a wrong thumbprint only as "Unknown error"; the library keeps it for Open.
        if (!this.thumbprintRight) throw new VixFault(VIX.fail, 'The thumbprint is not that of this server.');
        return { strict: true };
      case 'auth':
        return this.authenticate(request);
      case 'prepareForAccess':
      case 'endAccess':
        this.requireAuthentication();
        this.requirePrivileges(this.vm(text(request, 'vm')), [
          request.op === 'prepareForAccess' ? 'Global.DisableMethods' : 'Global.EnableMethods',
        ]);
        return this.access(request);
      case 'cleanup':
        this.requireAuthentication();
        return { cleaned: this.cleanUp(), remaining: 0 };
      case 'connect':
        return this.connect(request);
      case 'open':
        return this.open(request);
      case 'written':
        return this.written(request);
      case 'setMetadata':
        return this.setMetadata(request);
      case 'close':
        this.closeDisk(text(request, 'handle'));
        return {};
      case 'violations':
        if (Array.isArray(request.list))
          this.violations.push(...request.list.map((line: unknown) => `process ${String(request.process)}: ${String(line)}`));
        return {};
      case 'bye':
        this.ended = true;
        return {};
      default:
        throw new VixFault(VIX.invalidArgument, `There is no op ${request.op}.`);
    }
  }

  release(): void {
    for (const handle of [...this.disks.keys()]) this.closeDisk(handle);
  }

  private authenticate(request: VixRequest): Record<string, unknown> {
    if (request.kind === 'session') {
      const cookie = text(request, 'cookie')
        .replace(/^.*?vmware_soap_session="?/, '')
        .replace(/"$/, '');
      const session = this.options.sessions.find(cookie);
      if (!session) throw new VixFault(VIX.sessionInvalid, 'The session is not valid any more.');
      this.userName = session.userName;
    } else {
      this.userName = text(request, 'userName');
      if (!this.options.sessions.checkPassword(this.userName, text(request, 'password')))
        throw new VixFault(VIX.authentication, 'Incorrect user name or password.');
    }
    this.authenticated = true;
    return {};
  }

  private requireAuthentication(): void {
    if (!this.authenticated) throw new VixFault(VIX.authentication, 'Nobody is authenticated on this connection.');
  }

  /** VDDK tells a missing privilege by the code that it has for the host's own users. */
  private requirePrivileges(vm: VmState, privileges: readonly string[]): void {
    const granted = this.options.sessions.accounts.on(this.userName, moRef('VirtualMachine', vm.moRef));
    const missing = privileges.find((privilege) => !granted.has(privilege));
    if (missing !== undefined) throw new VixFault(VIX.hostUserPermissions, `${this.userName} lacks ${missing} on ${vm.moRef}.`);
  }

  /** The disks of a prepared VM stay where they are: what moves them is disabled, after what moves them now. */
  private async access(request: VixRequest): Promise<Record<string, unknown>> {
    const { model, tasks } = this.options;
    const vm = this.vm(text(request, 'vm'));
    const identity = text(request, 'identity');
    if (identity.length > 50) throw new VixFault(VIX.invalidArgument, 'An identity has at most 50 characters.');
    if (request.op === 'endAccess') {
      enableMethods(model.inventory, vm, identity);
      return {};
    }
    await tasks.settled(vm.moRef, MOVING_METHODS);
    const processId = typeof request.process === 'number' ? { processId: request.process } : {};
    disableMethods(model.inventory, vm, { sourceId: identity, methods: MOVING_METHODS, ...processId });
    return {};
  }

  /** What processes left behind that are no more. They ran on this machine, as the disks' files are read there. */
  private cleanUp(): number {
    const { inventory } = this.options.model;
    let cleaned = 0;
    for (const vm of inventory.state.vms) {
      for (const { sourceId, processId } of vm.disabledMethods ?? []) {
        if (processId === undefined || isAlive(processId)) continue;
        if (enableMethods(inventory, vm, sourceId)) cleaned += 1;
      }
    }
    return cleaned;
  }

  private vm(value: string): VmState {
    try {
      return this.options.model.inventory.vm(value);
    } catch {
      throw new VixFault(VIX.vmNotFound, `The virtual machine ${value} cannot be found.`);
    }
  }

  private connect(request: VixRequest): Record<string, unknown> {
    this.requireAuthentication();
    this.readOnly = request.readOnly !== false;
    this.transport = overTheNetwork(text(request, 'transportModes'));
    this.connected = true;
    if (request.storageObject !== undefined) return this.connectToDisk(request.storageObject);
    const vm = this.vm(text(request, 'vm'));
    const snapshot = request.snapshot;
    if (typeof snapshot === 'string' && !vm.snapshots.some((each) => each.moRef === snapshot))
      throw new VixFault(VIX.snapshotNotFound, `${vm.moRef} has no snapshot ${snapshot}.`);
    this.vmMoRef = vm.moRef;
    this.snapshotMoRef = typeof snapshot === 'string' ? snapshot : undefined;
    this.hostWasInMaintenance = hostOf(this.options.model.inventory, vm.hostMoRef).inMaintenanceMode === true;
    return {};
  }

  /** ConnectParams with specType VSTORAGE_OBJECT: a first class disk, or its snapshot. */
  private connectToDisk(spec: unknown): Record<string, unknown> {
    const { id, datastore, snapshot } = spec as { id: string; datastore: string; snapshot: string };
    try {
      const disk = firstClassDisk(this.options.model.inventory, id, datastore);
      this.storageObject = { disk, path: snapshot === '' ? disk.path : diskSnapshot(disk, snapshot).path, isSnapshot: snapshot !== '' };
    } catch {
      throw new VixFault(
        VIX.fileNotFound,
        `${datastore} has no first class disk ${id}${snapshot === '' ? '' : ` with snapshot ${snapshot}`}.`,
      );
    }
    return {};
  }

  private async open(request: VixRequest): Promise<Record<string, unknown>> {
    if (!this.connected) throw new VixFault(VIX.invalidArgument, 'Connect comes before open.');
    // "VixDiskLib_Open ignores its disk path parameter because path location is determined by VixDiskLibVStorageObjectSpec" (guide).
    const path = this.storageObject?.path ?? text(request, 'path');
    const readOnly = request.readOnly === true;
    const objects = [path, this.storageObject?.disk.id ?? (this.vmMoRef as string)];
    const transport = this.options.rules.match('vix', 'open', objects, ['transport'])?.transport ?? this.transport;
    const vmAccess = () => this.vmAccess(path, readOnly, transport);
    const { owner, host } = this.storageObject ? this.diskAccess(this.storageObject, readOnly) : vmAccess();
    const absolute = this.absolute(path);
    const links = await readChain(absolute).catch(() => {
      throw new VixFault(VIX.fileNotFound, `${path} was not found.`);
    });
    if (!readOnly && this.locks.has(absolute)) throw new VixFault(VIX.alreadyLocked, `${path} is open for writing already.`);
    const releaseNfc = transport.startsWith('nbd') ? this.nfc.open(host, nfcBufferBytes(request)) : undefined;
    if (!readOnly) this.locks.set(absolute, this);
    const handle = String(this.nextHandle);
    this.nextHandle += 1;
    this.disks.set(handle, { path, absolute, owner, readOnly, releaseNfc });
    return { handle, ...this.describe(links, request.singleLink === true), transport, ...this.ordered(path, owner) };
  }

  private vmAccess(path: string, readOnly: boolean, transport: string): { owner: string; host: string } {
    const vm = this.vm(this.vmMoRef as string);
    this.requirePrivileges(vm, readOnly ? READING : WRITING);
    this.checkAccess(vm, path, readOnly, transport);
    return { owner: vm.moRef, host: this.servingHost(vm) };
  }

  private diskAccess({ disk, path, isSnapshot }: ConnectedDisk, readOnly: boolean): { owner: string; host: string } {
    const { inventory } = this.options.model;
    if (!readOnly && (this.readOnly || isSnapshot)) throw new VixFault(VIX.fileReadOnly, `${path} can only be read here.`);
    if (!readOnly && path !== disk.path) throw new VixFault(VIX.fileAccess, `${path} has a child and cannot be written.`);
    if (!isSnapshot && disk.attachedTo !== undefined)
      throw new VixFault(VIX.fileAccess, `${path} is locked by ${disk.attachedTo.vmMoRef}.`);
    const host = inventory.state.hosts.find(({ inMaintenanceMode }) => inMaintenanceMode !== true);
    if (!host) throw new VixFault(VIX.serverNotAvailable, 'Every host that has the datastore is in maintenance mode.');
    return { owner: disk.id, host: host.moRef };
  }

  /**
   * A host that goes into maintenance shuts its NFC server down under the connection; the next connection finds another
   * host, and none when all of them are in maintenance (guide, "Best Practices for NBD Transport").
   */
  private servingHost(vm: VmState): string {
    const { inventory } = this.options.model;
    if (hostOf(inventory, vm.hostMoRef).inMaintenanceMode !== true) return vm.hostMoRef;
    if (!this.hostWasInMaintenance) throw new VixFault(VIX.serverShutdown, `${vm.hostMoRef} is entering maintenance mode.`);
    const other = inventory.state.hosts.find((host) => host.inMaintenanceMode !== true);
    if (!other) throw new VixFault(VIX.serverNotAvailable, 'Every host that has the datastore is in maintenance mode.');
    return other.moRef;
  }

  /** As ESXi's locks would have it. */
  private checkAccess(vm: VmState, path: string, readOnly: boolean, transport: string): void {
    const snapshot = vm.snapshots.find((each) => each.moRef === this.snapshotMoRef);
    if (this.snapshotMoRef !== undefined && !snapshot) throw new VixFault(VIX.snapshotNotFound, `Snapshot ${this.snapshotMoRef} has gone.`);
    if (!chainNames(snapshot?.config ?? vm.config).has(path))
      throw new VixFault(VIX.fileNotFound, `${path} is no disk of ${vm.moRef}${snapshot ? ' in that snapshot' : ''}.`);
    if (!snapshot && vm.powerState !== 'poweredOff')
      throw new VixFault(VIX.fileAccess, `${path} is locked by the running virtual machine ${vm.moRef}.`);
    if (readOnly) return;
    if (this.readOnly) throw new VixFault(VIX.fileReadOnly, `${path} can only be read here.`);
    if (snapshot) {
      // Below a restore's snapshot the base disk alone is written, of a VM that is off (guide, Table 7-4).
      const base = disksOf(snapshot.config)
        .map((disk) => objectAt(disk, 'backing'))
        .find((backing) => stringAt(backing, 'fileName') === path);
      if (vm.powerState === 'poweredOff' && base && objectAt(base, 'parent') === undefined) return;
      throw new VixFault(VIX.fileReadOnly, `${path} can only be read here.`);
    }
    if (transport === 'san') throw new VixFault(VIX.fail, `${path}: writing over SAN needs a snapshot of ${vm.moRef}.`);
    const isTop = disksOf(vm.config).some((disk) => stringAt(objectAt(disk, 'backing'), 'fileName') === path);
    if (!isTop) throw new VixFault(VIX.fileAccess, `${path} has a child and cannot be written.`);
  }

  private describe(links: readonly ChainLink[], singleLink: boolean): Record<string, unknown> {
    const top = links[0] as ChainLink;
    const { database } = top.descriptor;
    const shown = singleLink ? links.slice(0, 1) : links;
    return {
      capacitySectors: String(top.descriptor.extent.sectors),
      adapterType: database.adapterType === 'buslogic' ? 2 : database.adapterType === 'ide' ? 1 : 3,
      uuid: database.uuid ?? '',
      parentFileNameHint: top.descriptor.parentFileName ?? null,
      links: shown.map((link) =>
        link.descriptor.extent.kind === 'VMFS'
          ? { format: 'flat', file: link.extentPath, offsetSectors: '0' }
          : { format: 'sesparse', file: link.extentPath },
      ),
      metadata: { ...database },
    };
  }

  private ordered(path: string, vmMoRef: string): Record<string, unknown> {
    const library = this.options.rules.match('vix', 'open', [path, vmMoRef], ['library'])?.library;
    return { faults: this.enforcedFaults(path, vmMoRef), ...(library && { library }) };
  }

  /** What the library shall act out itself on this disk. */
  private enforcedFaults(path: string, vmMoRef: string): Record<string, unknown>[] {
    const faults: Record<string, unknown>[] = [];
    for (const op of ENFORCED_OPS) {
      const rule = this.options.rules.match('vix', op, [path, vmMoRef], ALL_EFFECTS);
      if (!rule) continue;
      const effect = rule.effect === 'vixError' ? 'error' : rule.effect;
      faults.push({ op, afterBytes: String(rule.afterBytes ?? 0), vixError: rule.vixError ?? 14011, effect, delayMs: rule.delayMs ?? 0 });
    }
    return faults;
  }

  private async written(request: VixRequest): Promise<Record<string, unknown>> {
    const disk = this.openDisk(request);
    if (disk.readOnly) throw new VixFault(VIX.fileReadOnly, `${disk.path} was opened for reading.`);
    const extents = normalizeExtents(readExtents(request.extents));
    await this.options.model.inventory.locked(disk.owner, async () => {
      const tracking = await loadTracking(disk.absolute);
      if (!tracking) return;
      tracking.mark(extents);
      await saveTracking(disk.absolute, tracking);
    });
    return {};
  }

  private async setMetadata(request: VixRequest): Promise<Record<string, unknown>> {
    const disk = this.openDisk(request);
    const key = text(request, 'key');
    if (disk.readOnly) throw new VixFault(VIX.fileReadOnly, `${disk.path} was opened for reading.`);
    if (!/^[\w.]+$/.test(key)) throw new VixFault(VIX.invalidArgument, `"${key}" is not a metadata key.`);
    const descriptor = await readDescriptor(disk.absolute);
    descriptor.database[key] = text(request, 'value').replace(/["\r\n]/g, '');
    await writeDescriptor(disk.absolute, descriptor);
    return {};
  }

  private openDisk(request: VixRequest): OpenDisk {
    const disk = this.disks.get(text(request, 'handle'));
    if (!disk) throw new VixFault(VIX.invalidHandle, 'There is no such handle.');
    return disk;
  }

  private closeDisk(handle: string): void {
    const disk = this.disks.get(handle);
    if (!disk) throw new VixFault(VIX.invalidHandle, 'There is no such handle.');
    this.disks.delete(handle);
    disk.releaseNfc?.();
    if (!disk.readOnly && this.locks.get(disk.absolute) === this) this.locks.delete(disk.absolute);
  }

  private absolute(path: string): string {
    try {
      return this.options.model.inventory.absolutePath(path);
    } catch (error) {
      throw new VixFault(VIX.fileNotFound, error instanceof SimFault ? error.message : `${path} was not found.`);
    }
  }
}

/** Whatever else was asked for: there is no SAN and no proxy VM here. */
function overTheNetwork(transportModes: string): string {
  return transportModes.split(':').find((mode) => mode === 'nbd' || mode === 'nbdssl') ?? 'nbdssl';
}

/** Buffer size times count, as the library read them from its configuration file; one buffer of 64 KiB, four of them, is VDDK's default. */
function nfcBufferBytes(request: VixRequest): number {
  return typeof request.nfcBufferBytes === 'string' ? Number(request.nfcBufferBytes) : 4 * 64 * 1024;
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}

/** Every link that a configuration's disks stand on. */
function chainNames(config: VimObject): Set<string> {
  const names = new Set<string>();
  for (const disk of disksOf(config)) {
    for (let backing = objectAt(disk, 'backing'); backing; backing = objectAt(backing, 'parent')) names.add(backing.fileName as string);
  }
  return names;
}
