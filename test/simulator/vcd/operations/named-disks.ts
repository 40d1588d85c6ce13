import { randomUUID } from 'node:crypto';
import { MIB, type XmlElement } from '../../../../src/common/index.js';
import type { ScsiAdapter } from '../../model/vsphere-types.js';
import type { VcdCloud } from '../cloud.js';
import type { Answer, Exchange } from '../exchange.js';
import { readBody } from '../exchange.js';
import { badRequest, VcdFault } from '../faults.js';
import { idFromHref } from '../hrefs.js';
import type { NamedDisk, StorageProfile, Vdc, Vm } from '../state.js';
import { diskView } from '../views/disk-view.js';
import { adapterOfSubType } from '../views/hardware-view.js';
import { MEDIA } from '../xml-names.js';
import { diskName, requireDisk } from './entities.js';
import { accepted, startTask, writableVm } from './guard.js';
import { isTrue } from './nics.js';

const BUS_SCSI = '6';
const SUB_TYPES: readonly NamedDisk['busSubType'][] = ['buslogic', 'lsilogic', 'lsilogicsas', 'VirtualSCSI'];
/** What VCD takes where a disk names no bus. */
const DEFAULT_SUB_TYPE = 'lsilogic';

/** POST vdc/{id}/disk: 201 with the disk being made; the task is in it. */
export function createNamedDisk(exchange: Exchange): Answer {
  const { cloud, session } = exchange;
  const vdc = cloud.requireVdc(session, exchange.parameters.id ?? '');
  const body = readBody(exchange, { element: 'DiskCreateParams', media: MEDIA.diskCreateParams }).child('Disk') as XmlElement;
  const profile = readProfile(cloud, vdc, body) ?? cloud.defaultStorageProfile(vdc.id);
  refuseSharing(body);
  const disk: NamedDisk = {
    id: randomUUID(),
    name: readName(body),
    description: body.textAt('Description') ?? '',
    organizationId: vdc.organizationId,
    vdcId: vdc.id,
    ownerUserId: session.user.id,
    createdAt: new Date().toISOString(),
    sizeBytes: readSize(body),
    busSubType: readSubType(body),
    storageProfileId: profile.id,
    creation: 'running',
    path: '',
    uuid: randomUUID(),
    attachedVmId: undefined,
    metadata: [],
  };
  cloud.state.disks.push(disk);
  cloud.changed();
  startTask(exchange, {
    operationName: 'vdcCreateDisk',
    operation: 'Creating Disk',
    entity: diskName(disk),
    work: async () => {
      await makeDiskFile(cloud, disk, profile);
      disk.creation = 'done';
      cloud.changed();
    },
    undo: () => {
      disk.creation = 'failed';
      cloud.changed();
    },
  });
  return { status: 201, xml: diskView(exchange, disk), media: MEDIA.disk, headers: { Location: exchange.hrefs.disk(disk.id) } };
}

export async function makeDiskFile(cloud: VcdCloud, disk: NamedDisk, profile: StorageProfile): Promise<void> {
  const file = await cloud.vsphere.createDiskFile({
    datastoreName: datastoreName(cloud, profile),
    name: `${disk.name}-${disk.id.slice(0, 8)}`,
    capacityBytes: disk.sizeBytes,
    uuid: disk.uuid,
  });
  disk.path = file.path;
}

export function datastoreName(cloud: VcdCloud, profile: StorageProfile): string {
  const found = cloud.vsphere.datastores().find((candidate) => candidate.moRef === profile.datastoreMoRef);
  if (!found) throw badRequest(`The storage profile "${profile.name}" has no datastore.`);
  return found.name;
}

/** PUT disk/{id}: name, Description, size (never smaller), storage profile; only while it is attached to nothing. */
export function updateNamedDisk(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const disk = requireDisk(exchange, exchange.parameters.id ?? '', 'write');
  const body = readBody(exchange, { element: 'Disk', media: MEDIA.disk });
  const vdc = cloud.requireVdc(exchange.session, disk.vdcId);
  const name = readName(body);
  const sizeBytes =
    body.attribute('sizeMb', '') === undefined && body.attribute('size', '') === undefined ? disk.sizeBytes : readSize(body);
  const profile = readProfile(cloud, vdc, body);
  requireDetached(cloud, disk);
  if (sizeBytes < disk.sizeBytes) throw badRequest(`The disk "${disk.name}" cannot shrink.`);
  return accepted(exchange, {
    operationName: 'vdcUpdateDisk',
    operation: 'Updating Disk',
    entity: diskName(disk),
    work: async () => {
      if (sizeBytes > disk.sizeBytes) await cloud.vsphere.growDiskFile(disk.path, sizeBytes);
      disk.sizeBytes = sizeBytes;
      disk.name = name;
      disk.description = body.textAt('Description') ?? '';
      disk.storageProfileId = profile?.id ?? disk.storageProfileId;
      cloud.changed();
    },
  });
}

export function deleteNamedDisk(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const disk = requireDisk(exchange, exchange.parameters.id ?? '', 'write');
  requireDetached(cloud, disk);
  return accepted(exchange, {
    operationName: 'vdcDeleteDisk',
    operation: 'Deleting Disk',
    entity: diskName(disk),
    work: async () => {
      if (disk.path !== '') await cloud.vsphere.deleteDiskFile(disk.path);
      cloud.state.disks = cloud.state.disks.filter((candidate) => candidate.id !== disk.id);
      cloud.changed();
    },
  });
}

function requireDetached(cloud: VcdCloud, disk: NamedDisk): void {
  const vm = cloud.state.vms.find((candidate) => candidate.id === disk.attachedVmId);
  if (vm) throw badRequest(`The requested operation could not be executed since disk "${disk.name}" is attached to VM "${vm.name}".`);
}

interface DiskPlace {
  busNumber: number | undefined;
  unitNumber: number | undefined;
}

/** The bus it is asked to be on, otherwise one with its adapter, otherwise the first that has no disk. */
function busFor(cloud: VcdCloud, vm: Vm, disk: NamedDisk, { busNumber }: DiskPlace): number {
  if (busNumber !== undefined) return busNumber;
  const others = cloud.hardware(vm)?.disks ?? [];
  const kin = others.find((candidate) => candidate.adapterType === adapterOf(disk))?.busNumber;
  return kin ?? [0, 1, 2, 3].find((bus) => !others.some((other) => other.busNumber === bus)) ?? 0;
}

const adapterOf = (disk: NamedDisk): ScsiAdapter => adapterOfSubType(disk.busSubType) ?? 'lsiLogic';

/** POST vm/{id}/disk/action/attach: 202; the VM may run. */
export function attachNamedDisk(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const { vm, disk, place } = readAttachment(exchange);
  if (disk.creation !== 'done') throw badRequest(`The disk "${disk.name}" is not ready.`);
  if (disk.vdcId !== cloud.vappOf(vm).vdcId) throw badRequest(`The disk "${disk.name}" is in another VDC than VM "${vm.name}".`);
  requireDetached(cloud, disk);
  requireFreePlace(cloud, vm, { ...place, busNumber: busFor(cloud, vm, disk, place) });
  return accepted(exchange, {
    operationName: 'vappAttachDisk',
    operation: `Attaching Disk to Virtual Machine ${vm.name}`,
    entity: vm,
    alsoBlocks: [disk.id],
    work: () => attach(cloud, vm, disk, place),
  });
}

/** Plugs the disk's file into the VM: where it is asked to be, otherwise the first free unit of a bus with its adapter. */
export async function attach(cloud: VcdCloud, vm: Vm, disk: NamedDisk, place: DiskPlace): Promise<void> {
  const device = await cloud.vsphere.addDisk(vm.moRef, {
    path: disk.path,
    capacityBytes: disk.sizeBytes,
    datastoreName: '',
    uuid: disk.uuid,
    busNumber: busFor(cloud, vm, disk, place),
    unitNumber: place.unitNumber,
    adapterType: adapterOf(disk),
  });
  vm.disks = [
    ...vm.disks.filter((record) => record.deviceKey !== device.key),
    { deviceKey: device.key, storageProfileId: disk.storageProfileId, namedDiskId: disk.id },
  ];
  disk.attachedVmId = vm.id;
  cloud.changed();
}

export function detachNamedDisk(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const { vm, disk } = readAttachment(exchange);
  if (disk.attachedVmId !== vm.id) throw badRequest(`The disk "${disk.name}" is not attached to VM "${vm.name}".`);
  if ((cloud.hardware(vm)?.snapshots.length ?? 0) > 0)
    throw badRequest(`The disk "${disk.name}" cannot be detached from VM "${vm.name}" while the VM has a snapshot.`);
  return accepted(exchange, {
    operationName: 'vappDetachDisk',
    operation: `Detaching Disk from Virtual Machine ${vm.name}`,
    entity: vm,
    alsoBlocks: [disk.id],
    work: () => detach(cloud, vm, disk),
  });
}

/** The file stays where it is, and from now on VCD knows it and no VM does. */
export async function detach(cloud: VcdCloud, vm: Vm, disk: NamedDisk): Promise<void> {
  const record = vm.disks.find((candidate) => candidate.namedDiskId === disk.id);
  const device = cloud.hardware(vm)?.disks.find((candidate) => candidate.key === record?.deviceKey);
  if (device) {
    disk.path = device.path;
    await cloud.vsphere.removeDisk(vm.moRef, device.key, 'keep-file');
  }
  vm.disks = vm.disks.filter((candidate) => candidate !== record);
  disk.attachedVmId = undefined;
  cloud.changed();
}

function readAttachment(exchange: Exchange): { vm: Vm; disk: NamedDisk; place: DiskPlace } {
  const vm = writableVm(exchange, exchange.parameters.id ?? '');
  const body = readBody(exchange, { element: 'DiskAttachOrDetachParams', media: MEDIA.diskAttachOrDetachParams });
  const disk = requireDisk(exchange, idFromHref(body.child('Disk')?.attribute('href', '') ?? '', 'disk/'), 'write');
  const number = (name: string): number | undefined => {
    const text = body.textAt(name);
    return text === undefined ? undefined : Number(text);
  };
  return { vm, disk, place: { busNumber: number('BusNumber'), unitNumber: number('UnitNumber') } };
}

function requireFreePlace(cloud: VcdCloud, vm: Vm, { busNumber, unitNumber }: DiskPlace & { busNumber: number }): void {
  if (busNumber < 0 || busNumber > 3) throw badRequest(`Bus number ${busNumber} is not valid for VM "${vm.name}".`);
  if (unitNumber === undefined) return;
  if (unitNumber < 0 || unitNumber > 63 || unitNumber === 7)
    throw badRequest(`Unit number ${unitNumber} is not valid for VM "${vm.name}".`);
  const taken = cloud.hardware(vm)?.disks.some((disk) => disk.busNumber === busNumber && disk.unitNumber === unitNumber);
  if (taken) throw badRequest(`Bus ${busNumber}, unit ${unitNumber} of VM "${vm.name}" is already in use by another disk.`);
}

function readName(body: XmlElement): string {
  const name = body.attribute('name', '')?.trim() ?? '';
  if (name === '' || name.length > 128) throw badRequest('The disk name must have 1 to 128 characters.');
  return name;
}

/** One VM at a time has a disk of this cell: its files have one writer. */
function refuseSharing(body: XmlElement): void {
  const sharing = body.attribute('sharingType', '') ?? 'None';
  if (sharing !== 'None' || isTrue(body.attribute('shareable', '')))
    throw badRequest(`The sharing type "${sharing}" is not supported by the storage of this cell.`);
}

/** sizeMb from API 33.0; before, size in bytes. */
function readSize(body: XmlElement): number {
  const sizeMib = body.attribute('sizeMb', '');
  const bytes = sizeMib === undefined ? Number(body.attribute('size', '')) : Number(sizeMib) * MIB;
  if (!Number.isSafeInteger(bytes) || bytes <= 0) throw badRequest('The size of a disk must be a positive number of MB.');
  return Math.ceil(bytes / MIB) * MIB;
}

function readSubType(body: XmlElement): NamedDisk['busSubType'] {
  const busType = body.attribute('busType', '') ?? BUS_SCSI;
  const wanted = body.attribute('busSubType', '') ?? DEFAULT_SUB_TYPE;
  const found = SUB_TYPES.find((subType) => subType.toLowerCase() === wanted.toLowerCase());
  if (busType !== BUS_SCSI || !found) throw badRequest(`The bus type ${busType}/${wanted} is not supported for a disk.`);
  return found;
}

function readProfile(cloud: VcdCloud, vdc: Vdc, body: XmlElement): StorageProfile | undefined {
  const href = body.child('StorageProfile')?.attribute('href', '');
  if (href === undefined) return undefined;
  const profile = cloud.storageProfile(idFromHref(href, 'vdcStorageProfile/'));
  if (!profile || profile.vdcId !== vdc.id)
    throw new VcdFault(400, 'INVALID_REFERENCE', `The storage profile "${href}" is not one of VDC "${vdc.name}".`);
  return profile;
}
