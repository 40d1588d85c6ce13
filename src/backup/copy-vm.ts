import type { Logger } from '../common/index.js';
import type { CatalogApi, DiskBase, ManifestDisk, ManifestVm } from '../catalog/index.js';
import { accessDisks, diskPlacesFor, matchNamedDisks, type VddkUse } from '../clouds/index.js';
import type { DiskAccess, DiskPlace, VddkDiskApi } from '../vddk/index.js';
import { capturedMachine, type DiskBacking, storageDevices, tracksChanges, type VmConfiguration } from '../vsphere/index.js';
import { adapterTypeTrouble } from './adapter-type.js';
import type { BackupSettings } from './backup-settings.js';
import { untrackedNote } from './block-notes.js';
import { chooseBlocks } from './choose-blocks.js';
import { chooseDisks } from './choose-disks.js';
import { type CopyOptions, copyOpenDisk, type DiskCopy } from './copy-open-disk.js';
import type { SnapshottedVm } from './snapshot-vms.js';
import { storagePoliciesOf } from './storage-policies.js';
import { storeNvram, storeQuiescing } from './store-vm-files.js';

export interface CopyVmOptions extends CopyOptions {
  catalog: Pick<CatalogApi, 'identifyDisk' | 'diskBase' | 'formerDisks'>;
  settings: BackupSettings;
  vddk: VddkUse;
  /** What the restore point of a base says of the disk; undefined when it cannot be read any more. */
  previousDisk: (diskId: string, base: DiskBase, signal: AbortSignal) => Promise<ManifestDisk | undefined>;
  /** Which disks of a VM are still to be copied. */
  expect: (vmName: string, labels: readonly string[]) => void;
  log: Logger;
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
  options.expect(
    captured.name,
    backings.map(({ label }) => label),
  );
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
    const untracked = configuration.changeTrackingSupported ? untrackedNote(vm.captured.name, backings, trackingEnabled) : undefined;
    if (untracked !== undefined) warn(untracked);
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
  const { catalog, signal } = options;
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
    const name = `${backing.label} of VM "${vm.captured.name}"`;
    const allocation = { ...asked, backing };
    const copied = await copyOpenDisk(
      { diskId, disk, choice, allocation, name, datastoreType: place.datastoreType, memory: access.memory, progressKey },
      options,
    );
    const metadata = await disk.metadata(signal);
    const trouble = adapterTypeTrouble({ label: backing.label, vmName: vm.captured.name, transportMode: disk.transportMode }, metadata);
    if (trouble !== undefined) options.warn(trouble);
    return describeDisk(diskId, backing, disk, { ...copied, durationMs: Math.round(performance.now() - startedMs), metadata });
  } finally {
    await disk.close();
  }
}

type DiskFacts = DiskCopy & Pick<ManifestDisk, 'durationMs' | 'metadata'>;

function describeDisk(diskId: string, backing: DiskBacking, disk: VddkDiskApi, facts: DiskFacts): ManifestDisk {
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
  };
}
