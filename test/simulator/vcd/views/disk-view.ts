import { MIB, type XmlElement } from '../../../../src/common/index.js';
import type { NamedDisk, Vm, VmDisk } from '../state.js';
import { build, links, MEDIA, reference } from '../xml-names.js';
import { tasksInProgress } from './task-view.js';
import { storageProfileReference, userReference, type Viewer } from './viewer.js';

const STATUS = { running: 0, done: 1, failed: -1 } as const;

/** A named disk, elements in the order of DiskType. */
export function diskView(viewer: Viewer, disk: NamedDisk): XmlElement {
  const { hrefs, apiVersion } = viewer;
  const href = hrefs.disk(disk.id);
  return build(
    'Disk',
    {
      sizeMb: Math.ceil(disk.sizeBytes / MIB),
      iops: 0,
      busType: '6',
      busSubType: disk.busSubType,
      encrypted: apiVersion >= 35 ? false : undefined,
      shareable: apiVersion >= 35 ? disk.sharingType !== undefined : undefined,
      sharingType: apiVersion >= 36 ? (disk.sharingType ?? 'None') : undefined,
      uuid: apiVersion >= 36 ? disk.uuid : undefined,
      status: STATUS[disk.creation],
      name: disk.name,
      id: `urn:vcloud:disk:${disk.id}`,
      href,
      type: `${MEDIA.disk}+xml`,
    },
    links('up', hrefs.vdc(disk.vdcId), MEDIA.vdc),
    links('remove', href),
    links('edit', href, MEDIA.disk),
    links('down', `${href}/owner`, MEDIA.owner),
    links('down', `${href}/attachedVms`, MEDIA.vms),
    links('down', `${href}/metadata`, MEDIA.metadata),
    build('Description', {}, disk.description),
    tasksInProgress(viewer, disk.id),
    storageProfileReference(viewer, 'StorageProfile', disk.storageProfileId),
    ownerOf(viewer, disk.ownerUserId),
  );
}

export function ownerOf(viewer: Viewer, userId: string | undefined): XmlElement | undefined {
  const user = userReference(viewer, 'User', viewer.cloud.user(userId ?? ''));
  return user && build('Owner', { type: `${MEDIA.owner}+xml` }, user);
}

export function attachedVmsView(viewer: Viewer, disk: NamedDisk): XmlElement {
  const vm = viewer.cloud.state.vms.find((candidate) => candidate.id === disk.attachedVmId);
  return build(
    'Vms',
    { href: `${viewer.hrefs.disk(disk.id)}/attachedVms`, type: `${MEDIA.vms}+xml` },
    links('up', viewer.hrefs.disk(disk.id), MEDIA.disk),
    vm && vmReference(viewer, vm),
  );
}

export function vmReference({ hrefs }: Viewer, vm: Vm): XmlElement {
  return reference('VmReference', { href: hrefs.vm(vm.id), id: `urn:vcloud:vm:${vm.id}`, name: vm.name, media: MEDIA.vm });
}

export function namedDiskReference({ cloud, hrefs }: Viewer, record: VmDisk | undefined): XmlElement | undefined {
  const disk = cloud.state.disks.find((candidate) => candidate.id === record?.namedDiskId);
  return disk && reference('Disk', { href: hrefs.disk(disk.id), id: `urn:vcloud:disk:${disk.id}`, name: disk.name, media: MEDIA.disk });
}

/** The profile a disk is on: its own, or its VM's. */
export function profileOfDisk(viewer: Viewer, vm: Vm, record: VmDisk | undefined): { profileId: string; overrides: boolean } {
  const named = viewer.cloud.state.disks.find((candidate) => candidate.id === record?.namedDiskId);
  const own = named?.storageProfileId ?? record?.storageProfileId;
  return { profileId: own ?? vm.storageProfileId, overrides: own !== undefined && (named !== undefined || own !== vm.storageProfileId) };
}
