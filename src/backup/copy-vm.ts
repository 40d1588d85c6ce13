import { describeError, type Logger } from '../common/index.js';
import type { CatalogApi, DiskBase, ManifestDisk, ManifestVm } from '../catalog/index.js';
import { accessDisks, diskPlacesFor, matchNamedDisks, type VddkUse } from '../clouds/index.js';
import { planCopy, totalBytes } from '../disk/index.js';
import type { BackupSession, DiskIndexRef, DiskReader } from '../repository/index.js';
import type { DiskAccess, DiskPlace, VddkDiskApi } from '../vddk/index.js';
import { capturedMachine, type DiskBacking, storageDevices, tracksChanges, type VmConfiguration } from '../vsphere/index.js';
import { adapterTypeTrouble } from './adapter-type.js';
import type { BackupSettings } from './backup-settings.js';
import { untrackedNote, wholeDiskNote } from './block-notes.js';
import { allocatedBlocks, chooseBlocks } from './choose-blocks.js';
import { chooseDisks } from './choose-disks.js';
import { copyDisk } from './copy-disk.js';
import type { SnapshottedVm } from './snapshot-vms.js';
import { storagePoliciesOf } from './storage-policies.js';
import { storeNvram, storeQuiescing } from './store-vm-files.js';

export interface CopyVmOptions {
  session: BackupSession;
  catalog: Pick<CatalogApi, 'identifyDisk' | 'diskBase' | 'formerDisks'>;
  settings: BackupSettings;
  vddk: VddkUse;
  defaultChunkBytes: number;
  /** The disk as an earlier restore point has it. */
  openBase: (diskId: string, base: DiskBase, signal: AbortSignal) => Promise<DiskReader>;
  /** What the restore point of a base says of the disk; undefined when it cannot be read any more. */
  previousDisk: (diskId: string, base: DiskBase, signal: AbortSignal) => Promise<ManifestDisk | undefined>;
  progress: (key: string, value: { doneBytes: number; totalBytes: number }) => void;
  warn: (message: string) => void;
  log: Logger;
  signal: AbortSignal;
}

/** Copies every disk of one snapshotted VM, in a host process of its own, and describes what it stored. */
export async function copyVm(vm: SnapshottedVm, options: CopyVmOptions): Promise<ManifestVm> {
  const { vcenter, configuration, captured } = vm;
  const { session, signal } = options;
  const configXml = await vcenter.snapshotConfigXml(vm.snapshot.moRef, signal);
  const configurationDocument = await session.putDocument(Buffer.from(configXml), signal);
  const nvramDocument = await storeNvram(vm, options, configXml);

  const devices = await vcenter.snapshotDisks(vm.snapshot.moRef, signal);
  const namedDisks = matchNamedDisks(captured.disks, devices, configXml);
  const { backings, excludedDisks } = await chooseDisks(vm, devices, storageDevices(configXml), namedDisks, options);
  const disks = backings.length === 0 ? [] : await copyDisks(vm, backings, configXml, options);
  for (const disk of disks) {
    const namedDiskId = namedDisks.get(disk.deviceKey);
    if (namedDiskId !== undefined) disk.namedDiskId = namedDiskId;
  }
  const isEncrypted = capturedMachine(configXml).encryption !== undefined;
  const policies = await storagePoliciesOf(vm, disks, isEncrypted, options);
  for (const disk of disks) {
    const policy = policies.disks.get(disk.deviceKey);
    if (policy !== undefined) disk.storagePolicy = policy;
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
    ...placementOf(configuration),
    configurationDocument,
    nvramDocument,
    ...(policies.home && { storagePolicy: policies.home }),
    ...(await storeQuiescing(vm, options)),
    ...(vm.foreignSnapshots.length > 0 && { foreignSnapshots: vm.foreignSnapshots }),
    changeTrackingEnabledByUs: vm.changeTrackingEnabledByUs,
    disks,
    excludedDisks,
  };
}

function placementOf({
  resourcePoolMoRef,
  folderMoRef,
  hostMoRef,
  datastores,
}: VmConfiguration): Pick<ManifestVm, 'resourcePoolMoRef' | 'folderMoRef' | 'hostMoRef' | 'datastores'> {
  return {
    ...(resourcePoolMoRef !== undefined && { resourcePoolMoRef }),
    ...(folderMoRef !== undefined && { folderMoRef }),
    ...(hostMoRef !== undefined && { hostMoRef }),
    datastores,
  };
}

async function copyDisks(
  vm: SnapshottedVm,
  backings: readonly DiskBacking[],
  configXml: string,
  options: CopyVmOptions,
): Promise<ManifestDisk[]> {
  const { vddk, settings, warn, log, signal } = options;
  const { configuration, vcenter, snapshot } = vm;
  const wish = settings.transport;
  const placeOf = diskPlacesFor(configXml, configuration.datastores);
  const access = await accessDisks({
    vm: configuration,
    vcenter,
    vddk,
    wish,
    readOnly: true,
    snapshotMoRef: snapshot.moRef,
    warn,
    log,
    signal,
  });
  try {
    const disks: ManifestDisk[] = [];
    const trackingEnabled = tracksChanges(configXml);
    note(configuration.changeTrackingSupported ? untrackedNote(vm.captured.name, backings, trackingEnabled) : undefined, warn);
    for (const backing of backings)
      disks.push(await copyOneDisk(vm, backing, { place: placeOf(backing), trackingEnabled }, access, options));
    return disks;
  } finally {
    await access.close();
  }
}

async function copyOneDisk(
  vm: SnapshottedVm,
  backing: DiskBacking,
  { place, trackingEnabled }: { place: DiskPlace; trackingEnabled: boolean },
  access: DiskAccess,
  options: CopyVmOptions,
): Promise<ManifestDisk> {
  const { catalog, session, signal } = options;
  const startedMs = performance.now();
  const progressKey = `${vm.captured.name}/${backing.label}`;
  const diskId = await catalog.identifyDisk(vm.vmId, backing);
  const base = await catalog.diskBase(diskId);
  const disk = await access.openDisk(backing.path, { place }, signal);
  try {
    const asked = { vcenter: vm.vcenter, vmMoRef: vm.configuration.moRef, snapshotMoRef: vm.snapshot.moRef, signal };
    const choice = await chooseBlocks({
      ...asked,
      diskId,
      disk: backing,
      base,
      previous: base && (await options.previousDisk(diskId, base, signal)),
      formerDisks: base === undefined ? await catalog.formerDisks(vm.vmId) : [],
      hardwareVersion: vm.configuration.hardwareVersion,
      trackingSupported: vm.configuration.changeTrackingSupported,
      trackingEnabled,
      forceFull: options.settings.forceFull,
    });
    const { writer, kind, reason, changed, base: previous } = await openWriter(session, diskId, disk, choice, options);
    const allocated = await allocatedBlocks({ ...asked, disk, backing, full: kind === 'full' });
    if (kind === 'full') note(wholeDiskNote(vm.captured.name, backing, place.datastoreType, allocated), options.warn);
    const plan = planCopy({ capacityBytes: disk.capacityBytes, chunkBytes: writer.chunkBytes, allocated, changed });
    let damaged = false;
    const onBaseDamaged = (error: Error) => {
      // Once for a disk: a lost pack would fill the list of warnings.
      if (!damaged) options.warn(`Chunks of ${disk.path} are read whole, because the previous restore point is damaged: ${error.message}`);
      damaged = true;
    };
    const toReadBytes = totalBytes(plan.read);
    options.progress(progressKey, { doneBytes: 0, totalBytes: toReadBytes });
    const readBytes = await copyDisk({
      disk,
      memory: { buffer: access.memory, offset: 0, length: access.memory.length },
      plan,
      writer,
      ...(previous && { base: previous }),
      onBaseDamaged,
      maxRequestBytes: options.vddk.maxRequestBytes,
      onProgress: (doneBytes) => options.progress(progressKey, { doneBytes: Math.min(doneBytes, toReadBytes), totalBytes: toReadBytes }),
      signal,
    });
    options.progress(progressKey, { doneBytes: toReadBytes, totalBytes: toReadBytes });
    const index = await writer.finish(signal);
    const metadata = await disk.metadata(signal);
    const trouble = adapterTypeTrouble({ label: backing.label, vmName: vm.captured.name, transportMode: disk.transportMode }, metadata);
    if (trouble !== undefined) options.warn(trouble);
    return describeDisk(diskId, backing, disk, index, {
      kind,
      fullReason: reason,
      allocatedBytes: plan.allocatedBytes,
      changedBytes: plan.changedBytes,
      readBytes,
      newBytes: writer.tally.newBytes,
      storedBytes: writer.tally.storedBytes,
      durationMs: Math.round(performance.now() - startedMs),
      metadata,
    });
  } finally {
    await disk.close();
  }
}

function note(sentence: string | undefined, warn: (message: string) => void): void {
  if (sentence !== undefined) warn(sentence);
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
    ...(backing.parentPaths.length > 0 && { parentPaths: backing.parentPaths }),
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
      options.warn(`The previous index of ${disk.path} cannot be used, so the disk is copied in full: ${describeError(error)}`);
      const writer = await session.openDisk({ diskId, capacityBytes, chunkBytes, signal: options.signal });
      return { writer, kind: 'full' as const, reason: 'previous-index-missing', changed: undefined, base: undefined };
    }
  }
  const writer = await session.openDisk({ diskId, capacityBytes, chunkBytes: options.defaultChunkBytes, signal: options.signal });
  return { writer, kind: 'full' as const, reason: choice.reason, changed: undefined, base: undefined };
}
