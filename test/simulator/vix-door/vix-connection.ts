import { normalizeExtents } from '../../../src/disk/index.js';
import { loadTracking, readChain, readDescriptor, saveTracking, writeDescriptor, type ChainLink } from '../datastore/index.js';
import { disksOf } from '../model/inventory.js';
import type { VmState } from '../model/state.js';
import { objectAt, stringAt, type VimObject } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import type { FaultRule } from '../vsphere/fault-rules.js';
import type { VixDoorOptions, VixRequest, WriteLocks } from './vix-door.js';

/** VixError codes as VDDK gives them (reference vddk-abi §1.5). */
const VIX = {
  fail: 1,
  invalidArgument: 3,
  fileNotFound: 4,
  fileReadOnly: 11,
  fileAccess: 13,
  alreadyLocked: 15,
  authentication: 35,
  invalidHandle: 1000,
  sessionInvalid: 3047,
  vmNotFound: 4000,
  snapshotNotFound: 13003,
} as const;
const ENFORCED_OPS = ['read', 'write', 'queryAllocated', 'open'] as const;
const ALL_EFFECTS: FaultRule['effect'][] = ['error', 'crash', 'hang', 'delay', 'vixError'];

export class VixFault extends Error {
  constructor(
    readonly vixError: number,
    message: string,
  ) {
    super(message);
  }
}

interface OpenDisk {
  path: string;
  absolute: string;
  vmMoRef: string;
  readOnly: boolean;
}

/** One VixDiskLib connection: who it is, which VM and snapshot it asks for, which disks are open. */
export class VixConnection {
  ended = false;
  vmMoRef: string | undefined;
  private thumbprintRight = false;
  private authenticated = false;
  private snapshotMoRef: string | undefined;
  private readOnly = true;
  private connected = false;
  private transport = 'nbdssl';
  private nextHandle = 1;
  private readonly disks = new Map<string, OpenDisk>();

  constructor(
    private readonly options: VixDoorOptions,
    private readonly locks: WriteLocks,
  ) {}

  async perform(request: VixRequest): Promise<Record<string, unknown>> {
    switch (request.op) {
      case 'hello':
        this.thumbprintRight =
          text(request, 'thumbprint').replace(/[\s:]/g, '').toUpperCase() === this.options.thumbprintSha1.replace(/:/g, '');
        // VDDK tells a wrong thumbprint only as "Unknown error"; the library keeps it for Open.
        if (!this.thumbprintRight) throw new VixFault(VIX.fail, 'The thumbprint is not that of this server.');
        return {};
      case 'auth':
        return this.authenticate(request);
      case 'prepareForAccess':
      case 'endAccess':
        this.requireAuthentication();
        this.vm(text(request, 'vm'));
        if (text(request, 'identity').length > 50) throw new VixFault(VIX.invalidArgument, 'An identity has at most 50 characters.');
        return {};
      case 'cleanup':
        this.requireAuthentication();
        return { cleaned: 0, remaining: 0 };
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
      if (
        !this.options.sessions.find(
          text(request, 'cookie')
            .replace(/^.*?vmware_soap_session="?/, '')
            .replace(/"$/, ''),
        )
      ) {
        throw new VixFault(VIX.sessionInvalid, 'The session is not valid any more.');
      }
    } else if (!this.options.sessions.checkPassword(text(request, 'userName'), text(request, 'password'))) {
      throw new VixFault(VIX.authentication, 'Incorrect user name or password.');
    }
    this.authenticated = true;
    return {};
  }

  private requireAuthentication(): void {
    if (!this.authenticated) throw new VixFault(VIX.authentication, 'Nobody is authenticated on this connection.');
  }

  private vm(moRef: string): VmState {
    try {
      return this.options.model.inventory.vm(moRef);
    } catch {
      throw new VixFault(VIX.vmNotFound, `The virtual machine ${moRef} cannot be found.`);
    }
  }

  private connect(request: VixRequest): Record<string, unknown> {
    this.requireAuthentication();
    const vm = this.vm(text(request, 'vm'));
    const snapshot = request.snapshot;
    if (typeof snapshot === 'string' && !vm.snapshots.some((each) => each.moRef === snapshot))
      throw new VixFault(VIX.snapshotNotFound, `${vm.moRef} has no snapshot ${snapshot}.`);
    this.vmMoRef = vm.moRef;
    this.snapshotMoRef = typeof snapshot === 'string' ? snapshot : undefined;
    this.readOnly = request.readOnly !== false;
    // Over the network, whatever else was asked for: there is no SAN and no proxy VM here.
    const modes = text(request, 'transportModes')
      .split(':')
      .filter((mode) => mode === 'nbd' || mode === 'nbdssl');
    this.transport = modes[0] ?? 'nbdssl';
    this.connected = true;
    return {};
  }

  private async open(request: VixRequest): Promise<Record<string, unknown>> {
    if (!this.connected) throw new VixFault(VIX.invalidArgument, 'Connect comes before open.');
    const path = text(request, 'path');
    const vm = this.vm(this.vmMoRef as string);
    const readOnly = request.readOnly === true;
    this.checkAccess(vm, path, readOnly);
    const absolute = this.absolute(path);
    const links = await readChain(absolute).catch(() => {
      throw new VixFault(VIX.fileNotFound, `${path} was not found.`);
    });
    if (!readOnly) {
      if (this.locks.has(absolute)) throw new VixFault(VIX.alreadyLocked, `${path} is open for writing already.`);
      this.locks.set(absolute, this);
    }
    const handle = String(this.nextHandle);
    this.nextHandle += 1;
    this.disks.set(handle, { path, absolute, vmMoRef: vm.moRef, readOnly });
    return { handle, ...this.describe(links, request.singleLink === true), faults: this.enforcedFaults(path, vm.moRef) };
  }

  /** As ESXi's locks would have it. */
  private checkAccess(vm: VmState, path: string, readOnly: boolean): void {
    const snapshot = vm.snapshots.find((each) => each.moRef === this.snapshotMoRef);
    if (this.snapshotMoRef !== undefined && !snapshot) throw new VixFault(VIX.snapshotNotFound, `Snapshot ${this.snapshotMoRef} has gone.`);
    if (!chainNames(snapshot?.config ?? vm.config).has(path))
      throw new VixFault(VIX.fileNotFound, `${path} is no disk of ${vm.moRef}${snapshot ? ' in that snapshot' : ''}.`);
    if (!snapshot && vm.powerState !== 'poweredOff')
      throw new VixFault(VIX.fileAccess, `${path} is locked by the running virtual machine ${vm.moRef}.`);
    if (readOnly) return;
    if (this.readOnly || snapshot) throw new VixFault(VIX.fileReadOnly, `${path} can only be read here.`);
    const isTop = disksOf(vm.config).some((disk) => stringAt(objectAt(disk, 'backing'), 'fileName') === path);
    if (!isTop) throw new VixFault(VIX.fileAccess, `${path} has a child and cannot be written.`);
  }

  private describe(links: readonly ChainLink[], singleLink: boolean): Record<string, unknown> {
    const top = links[0] as ChainLink;
    const { database } = top.descriptor;
    const shown = singleLink ? links.slice(0, 1) : links;
    return {
      capacitySectors: String(top.descriptor.extent.sectors),
      transport: this.transport,
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

  /** What the library shall act out itself on this disk. */
  private enforcedFaults(path: string, vmMoRef: string): Record<string, unknown>[] {
    const faults: Record<string, unknown>[] = [];
    for (const op of ENFORCED_OPS) {
      if (op === 'open') continue;
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
    await this.options.model.inventory.locked(disk.vmMoRef, async () => {
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

/** Every link that a configuration's disks stand on. */
function chainNames(config: VimObject): Set<string> {
  const names = new Set<string>();
  for (const disk of disksOf(config)) {
    for (let backing = objectAt(disk, 'backing'); backing; backing = objectAt(backing, 'parent')) names.add(backing.fileName as string);
  }
  return names;
}

function readExtents(value: unknown): { offsetBytes: number; lengthBytes: number }[] {
  if (!Array.isArray(value)) throw new VixFault(VIX.invalidArgument, 'written needs extents.');
  return value.map((pair: unknown) => {
    const [start, count] = Array.isArray(pair) ? pair.map(Number) : [];
    if (start === undefined || count === undefined || !Number.isSafeInteger(start * 512) || !Number.isSafeInteger(count * 512))
      throw new VixFault(VIX.invalidArgument, 'An extent is [startSector, count].');
    return { offsetBytes: start * 512, lengthBytes: count * 512 };
  });
}

function text(request: VixRequest, field: string): string {
  const value = request[field];
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw new VixFault(VIX.invalidArgument, `${field} is not a string.`);
  return value;
}
