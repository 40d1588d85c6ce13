import { MIB, type XmlElement } from '../../../../src/common/index.js';
import type { ScsiAdapter, SimDisk, SimVm } from '../../model/vsphere-types.js';
import type { Exchange } from '../exchange.js';
import { badRequest } from '../faults.js';
import { idFromHref } from '../hrefs.js';
import type { StorageProfile, Vm } from '../state.js';
import { adapterOfNumber, diskRecord } from '../views/hardware-view.js';
import { datastoreName } from './named-disks.js';
import { isTrue } from './nics.js';

interface WantedDisk {
  /** The disk that stays, or undefined for a new one. */
  existing: SimDisk | undefined;
  sizeBytes: number;
  busNumber: number;
  unitNumber: number;
  adapterType: ScsiAdapter;
  /** Set where it is to have another profile than its VM. */
  profile: StorageProfile | undefined;
}

/**
 * The disks of a modified VmSpecSection: one without DiskId is new, one that is left out goes with its file.
 * Named disks come and go by attach and detach only.
 * @throws VcdFault 400 for a disk that is not there, shrinks, moves, meets another on its unit, or is changed under a snapshot.
 */
export function diskSectionChange(exchange: Exchange, vm: Vm, hardware: SimVm, section: XmlElement): () => Promise<void> {
  const wanted = section.childrenNamed('DiskSettings').map((settings) => readDisk(exchange, vm, hardware, settings));
  const removed = hardware.disks.filter((disk) => !wanted.some(({ existing }) => existing?.key === disk.key));
  checkPlaces(vm, wanted);
  const named = removed.find((disk) => diskRecord(vm, disk.key)?.namedDiskId !== undefined);
  if (named) throw badRequest(`The disk "${named.label}" of VM "${vm.name}" is a named disk and must be detached, not removed.`);
  const resized = wanted.filter(({ existing, sizeBytes }) => existing && existing.capacityBytes !== sizeBytes);
  if (hardware.snapshots.length > 0 && removed.length + resized.length > 0)
    throw badRequest(`The disks of VM "${vm.name}" cannot be removed or resized while it has a snapshot.`);
  if (hardware.powerState !== 'poweredOff' && removed.length > 0)
    throw badRequest(`The disks of VM "${vm.name}" cannot be removed while it runs.`);
  return () => applyDisks(exchange, vm, wanted, removed);
}

async function applyDisks({ cloud }: Exchange, vm: Vm, wanted: readonly WantedDisk[], removed: readonly SimDisk[]): Promise<void> {
  for (const disk of removed) await cloud.vsphere.removeDisk(vm.moRef, disk.key, 'destroy-file');
  vm.disks = vm.disks.filter((record) => !removed.some((disk) => disk.key === record.deviceKey));
  for (const disk of wanted) {
    const key = disk.existing?.key ?? (await addNewDisk(cloud, vm, disk));
    if (disk.existing && disk.sizeBytes !== disk.existing.capacityBytes) await cloud.vsphere.growDisk(vm.moRef, key, disk.sizeBytes);
    const record = diskRecord(vm, key);
    if (record?.namedDiskId !== undefined) continue;
    vm.disks = vm.disks.filter((candidate) => candidate !== record);
    if (disk.profile) vm.disks.push({ deviceKey: key, storageProfileId: disk.profile.id, namedDiskId: undefined });
  }
  cloud.changed();
}

async function addNewDisk(cloud: Exchange['cloud'], vm: Vm, disk: WantedDisk): Promise<number> {
  const profile = disk.profile ?? cloud.storageProfile(vm.storageProfileId) ?? cloud.defaultStorageProfile(cloud.vappOf(vm).vdcId);
  const device = await cloud.vsphere.addDisk(vm.moRef, {
    capacityBytes: disk.sizeBytes,
    datastoreName: datastoreName(cloud, profile),
    busNumber: disk.busNumber,
    unitNumber: disk.unitNumber,
    adapterType: disk.adapterType,
    requireAdapterType: true,
  });
  return device.key;
}

function readDisk(exchange: Exchange, vm: Vm, hardware: SimVm, settings: XmlElement): WantedDisk {
  const id = settings.textAt('DiskId');
  const existing = hardware.disks.find((disk) => String(disk.key) === id);
  if (id !== undefined && !existing) throw badRequest(`VM "${vm.name}" has no disk ${id}.`);
  const adapterType = adapterOfNumber(settings.textAt('AdapterType') ?? '');
  if (!adapterType) throw badRequest(`The adapter type of a disk of VM "${vm.name}" is not supported.`);
  const [busNumber, unitNumber] = [Number(settings.textAt('BusNumber')), Number(settings.textAt('UnitNumber'))];
  if (existing && (existing.busNumber !== busNumber || existing.unitNumber !== unitNumber || existing.adapterType !== adapterType))
    throw badRequest(`The disk "${existing.label}" of VM "${vm.name}" cannot be moved to another bus or unit.`);
  if (busNumber < 0 || busNumber > 3 || unitNumber < 0 || unitNumber > 63 || unitNumber === 7)
    throw badRequest(`Bus ${busNumber}, unit ${unitNumber} of VM "${vm.name}" is not a place for a disk.`);
  return {
    existing,
    sizeBytes: readSize(vm, existing, Number(settings.textAt('SizeMb'))),
    busNumber,
    unitNumber,
    adapterType,
    profile: readOwnProfile(exchange, vm, settings),
  };
}

/** SizeMb is rounded down in what a client reads: the same number back is no change. */
function readSize(vm: Vm, existing: SimDisk | undefined, sizeMib: number): number {
  if (existing && sizeMib === Math.floor(existing.capacityBytes / MIB)) return existing.capacityBytes;
  if (!Number.isSafeInteger(sizeMib * MIB) || sizeMib < 1) throw badRequest(`The size of a disk of VM "${vm.name}" is not valid.`);
  if (existing && sizeMib * MIB < existing.capacityBytes)
    throw badRequest(`The disk "${existing.label}" of VM "${vm.name}" cannot shrink.`);
  return sizeMib * MIB;
}

function readOwnProfile(exchange: Exchange, vm: Vm, settings: XmlElement): StorageProfile | undefined {
  const href = settings.child('StorageProfile')?.attribute('href', '');
  if (href === undefined || !isTrue(settings.textAt('overrideVmDefault'))) return undefined;
  const profile = exchange.cloud.storageProfile(idFromHref(href, 'vdcStorageProfile/'));
  if (!profile || profile.vdcId !== exchange.cloud.vappOf(vm).vdcId)
    throw badRequest(`The storage profile "${href}" is not one of the VDC of VM "${vm.name}".`);
  return profile;
}

function checkPlaces(vm: Vm, disks: readonly WantedDisk[]): void {
  const places = disks.map((disk) => `${disk.busNumber}:${disk.unitNumber}`);
  const twice = places.find((place, index) => places.indexOf(place) !== index);
  if (twice !== undefined) throw badRequest(`Two disks of VM "${vm.name}" are at bus and unit ${twice}.`);
}
