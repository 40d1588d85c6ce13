import { type Logger, MIB } from '../common/index.js';
import type { CatalogApi, DiskBase, ManifestDisk, ManifestVm } from '../catalog/index.js';
import { vixTarget } from '../clouds/index.js';
import { planCopy } from '../disk/index.js';
import type { BackupSession, DiskIndexRef, DiskReader } from '../repository/index.js';
import { VddkHost, type VddkConnectionApi, type VddkDiskApi, type VddkSettings } from '../vddk/index.js';
import type { DiskBacking } from '../vsphere/index.js';
import type { BackupSettings } from './backup-settings.js';
import { chooseBlocks } from './choose-blocks.js';
import { copyDisk } from './copy-disk.js';
import { excludeReason } from './exclude-disk.js';
import { excludedByRequest } from './exclusions.js';
import { matchNamedDisks } from './named-disks.js';
import type { SnapshottedVm } from './snapshot-vms.js';

export interface CopyVmOptions {
  cloudId: string;
  session: BackupSession;
  catalog: Pick<CatalogApi, 'identifyDisk' | 'diskBase'>;
  settings: BackupSettings;
  vddk: VddkSettings & { transportModes: string };
  defaultChunkBytes: number;
  /** The disk as an earlier restore point has it. */
  openBase: (diskId: string, base: DiskBase, signal: AbortSignal) => Promise<DiskReader>;
  progress: (key: string, value: { doneBytes: number; totalBytes: number }) => void;
  warn: (message: string) => void;
  log: Logger;
  signal: AbortSignal;
}

/** Real ones have 8 KiB to some hundred; a larger file under that name is something else. */
const LARGEST_NVRAM_BYTES = 16 * MIB;

/** Copies every disk of one snapshotted VM, in a host process of its own, and describes what it stored. */
export async function copyVm(vm: SnapshottedVm, options: CopyVmOptions): Promise<ManifestVm> {
  const { vcenter, configuration, captured } = vm;
  const { session, signal } = options;
  const configXml = await vcenter.snapshotConfigXml(vm.snapshot.moRef, signal);
  const configurationDocument = await session.putDocument(Buffer.from(configXml), signal);
  const nvramDocument = await storeNvram(vm, options, configXml);

  const { backings, excludedDisks } = await chooseDisks(vm, options);
  const namedDisks = matchNamedDisks(captured.disks, backings, configXml);
  const disks = backings.length === 0 ? [] : await copyDisks(vm, backings, options);
  for (const disk of disks) {
    const namedDiskId = namedDisks.get(disk.deviceKey);
    if (namedDiskId !== undefined) disk.namedDiskId = namedDiskId;
  }
  return {
    vmId: vm.vmId,
    name: captured.name,
    vcloudId: captured.id,
    instanceUuid: configuration.instanceUuid,
    biosUuid: configuration.biosUuid,
    vcenterInstanceUuid: vcenter.instanceUuid,
    vcenterName: vm.vcenterName,
    moRef: configuration.moRef,
    configurationDocument,
    nvramDocument,
    quiesced: vm.quiesced,
    changeTrackingEnabledByUs: vm.changeTrackingEnabledByUs,
    disks,
    excludedDisks,
  };
}

/** Left out is what no snapshot covers, with a warning, and what somebody wanted left out, without one. */
async function chooseDisks(
  vm: SnapshottedVm,
  options: CopyVmOptions,
): Promise<{ backings: DiskBacking[]; excludedDisks: ManifestVm['excludedDisks'] }> {
  const excludedDisks: ManifestVm['excludedDisks'] = [];
  const backings: DiskBacking[] = [];
  for (const disk of await vm.vcenter.snapshotDisks(vm.snapshot.moRef, options.signal)) {
    const wish = await wishToExclude(vm, disk, options);
    const reason = wish ?? excludeReason(disk);
    if (reason === undefined) backings.push(disk);
    else excludedDisks.push({ label: disk.label, path: disk.path, reason });
    if (reason !== undefined && wish === undefined) {
      options.warn(`${disk.label} of VM "${vm.captured.name}" is not in this restore point: ${reason}`);
    }
  }
  return { backings, excludedDisks };
}

async function wishToExclude(vm: SnapshottedVm, disk: DiskBacking, options: CopyVmOptions): Promise<string | undefined> {
  const { exclude } = options.settings;
  if (exclude.disks.length === 0) return undefined;
  const diskId = await options.catalog.identifyDisk(vm.vmId, disk);
  return excludedByRequest(vm.captured, vm.vmId, disk, diskId, exclude);
}

async function copyDisks(vm: SnapshottedVm, backings: readonly DiskBacking[], options: CopyVmOptions): Promise<ManifestDisk[]> {
  const { signal } = options;
  const host = await VddkHost.start(options.vddk, { log: options.log, signal });
  try {
    const connection = await host.connect(
      vixTarget(vm.vcenter, vm.configuration.moRef),
      { readOnly: true, snapshotMoRef: vm.snapshot.moRef, transportModes: options.vddk.transportModes },
      signal,
    );
    try {
      const disks: ManifestDisk[] = [];
      for (const backing of backings) disks.push(await copyOneDisk(vm, backing, host, connection, options));
      return disks;
    } finally {
      await connection.disconnect();
    }
  } finally {
    await host.stop();
  }
}

async function copyOneDisk(
  vm: SnapshottedVm,
  backing: DiskBacking,
  host: VddkHost,
  connection: VddkConnectionApi,
  options: CopyVmOptions,
): Promise<ManifestDisk> {
  const { catalog, session, signal } = options;
  const startedMs = performance.now();
  const progressKey = `${vm.captured.name}/${backing.label}`;
  const diskId = await catalog.identifyDisk(vm.vmId, backing);
  const base = await catalog.diskBase(diskId);
  const disk = await connection.openDisk(backing.path, {}, signal);
  try {
    const choice = await chooseBlocks({
      vcenter: vm.vcenter,
      vmMoRef: vm.configuration.moRef,
      snapshotMoRef: vm.snapshot.moRef,
      disk: backing,
      base,
      forceFull: options.settings.forceFull,
      signal,
    });
    const { writer, kind, reason, changed, base: previous } = await openWriter(session, diskId, disk, choice, options);
    const allocated = await disk.queryAllocated(signal);
    const plan = planCopy({ capacityBytes: disk.capacityBytes, chunkBytes: writer.chunkBytes, allocated, changed });
    let damaged = false;
    const onBaseDamaged = (error: Error) => {
      // Once for a disk: a lost pack would fill the list of warnings.
      if (!damaged) options.warn(`Chunks of ${disk.path} are read whole, because the previous restore point is damaged: ${error.message}`);
      damaged = true;
    };
    const totalBytes = plan.read.reduce((sum, e) => sum + e.lengthBytes, 0);
    options.progress(progressKey, { doneBytes: 0, totalBytes });
    const readBytes = await copyDisk({
      disk,
      memory: { buffer: host.memory, offset: 0, length: host.memory.length },
      plan,
      writer,
      ...(previous && { base: previous }),
      onBaseDamaged,
      maxRequestBytes: options.vddk.maxRequestBytes,
      onProgress: (doneBytes) => options.progress(progressKey, { doneBytes: Math.min(doneBytes, totalBytes), totalBytes }),
      signal,
    });
    options.progress(progressKey, { doneBytes: totalBytes, totalBytes });
    const index = await writer.finish(signal);
    return describeDisk(diskId, backing, disk, index, {
      kind,
      fullReason: reason,
      allocatedBytes: plan.allocatedBytes,
      changedBytes: plan.changedBytes,
      readBytes,
      newBytes: writer.tally.newBytes,
      storedBytes: writer.tally.storedBytes,
      durationMs: Math.round(performance.now() - startedMs),
      metadata: await disk.metadata(signal),
    });
  } finally {
    await disk.close();
  }
}

type DiskFacts = Pick<
  ManifestDisk,
  'kind' | 'fullReason' | 'allocatedBytes' | 'changedBytes' | 'readBytes' | 'newBytes' | 'storedBytes' | 'durationMs' | 'metadata'
>;

function describeDisk(diskId: string, backing: DiskBacking, disk: VddkDiskApi, index: DiskIndexRef, facts: DiskFacts): ManifestDisk {
  return {
    diskId,
    deviceKey: backing.deviceKey,
    label: backing.label,
    path: backing.path,
    uuid: backing.uuid ?? null,
    changeId: backing.changeId ?? null,
    diskMode: backing.diskMode,
    thin: backing.thin,
    controllerKey: backing.controllerKey,
    unitNumber: backing.unitNumber,
    transportMode: disk.transportMode,
    ...facts,
    ...index,
  };
}

/** A base whose index cannot be opened any more (damaged, deleted) is no base: the copy becomes full. */
async function openWriter(
  session: BackupSession,
  diskId: string,
  disk: VddkDiskApi,
  choice: Awaited<ReturnType<typeof chooseBlocks>>,
  options: CopyVmOptions,
) {
  const capacityBytes = disk.capacityBytes;
  if (choice.kind === 'incremental') {
    const base: DiskBase = choice.base;
    const chunkBytes = base.chunkBytes;
    try {
      const previous = await options.openBase(diskId, base, options.signal);
      const writer = await session.openDisk({ diskId, capacityBytes, chunkBytes, base, signal: options.signal });
      return { writer, kind: 'incremental' as const, reason: null, changed: choice.changed, base: previous };
    } catch (error) {
      if (options.signal.aborted) throw error;
      options.warn(`The previous index of ${disk.path} cannot be used, so the disk is copied in full: ${(error as Error).message}`);
      const writer = await session.openDisk({ diskId, capacityBytes, chunkBytes, signal: options.signal });
      return { writer, kind: 'full' as const, reason: 'previous-index-missing', changed: undefined, base: undefined };
    }
  }
  const writer = await session.openDisk({ diskId, capacityBytes, chunkBytes: options.defaultChunkBytes, signal: options.signal });
  return { writer, kind: 'full' as const, reason: choice.reason, changed: undefined, base: undefined };
}

/** NVRAM holds the EFI boot entries. A VM boots without it, so its absence is a warning. */
async function storeNvram(vm: SnapshottedVm, options: CopyVmOptions, configXml: string): Promise<string | null> {
  const path = nvramPath(vm.configuration.vmPath, configXml);
  if (path === undefined) return null;
  try {
    const data = await vm.vcenter.downloadFile(path, options.signal, vm.configuration.moRef);
    if (data.length === 0 || data.length > LARGEST_NVRAM_BYTES) return null;
    return await options.session.putDocument(data, options.signal);
  } catch (error) {
    if (options.signal.aborted) throw error;
    options.warn(`The NVRAM of VM "${vm.captured.name}" could not be saved: ${(error as Error).message}`);
    return null;
  }
}

/** extraConfig's "nvram" names the file; it lies beside the .vmx. */
function nvramPath(vmPath: string, configXml: string): string | undefined {
  const file = /<(?:\w+:)?key>nvram<\/(?:\w+:)?key>\s*<(?:\w+:)?value[^>]*>([^<]+)</.exec(configXml)?.[1];
  const slash = vmPath.lastIndexOf('/');
  return file === undefined || slash < 0 ? undefined : `${vmPath.slice(0, slash)}/${file}`;
}
