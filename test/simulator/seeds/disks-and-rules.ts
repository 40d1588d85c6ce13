import { randomUUID } from 'node:crypto';
import type { VcdCloud } from '../vcd/cloud.js';
import { attach, makeDiskFile } from '../vcd/operations/named-disks.js';
import type { NamedDisk, Organization, Vdc, Vm } from '../vcd/state.js';
import { named } from './catalogs.js';
import type { Seed } from './schema.js';

/** Makes the seed's named disks, attached as it says, and its affinity rules; the VMs must be there. */
export async function addDisksAndRules(cloud: VcdCloud, seed: Seed): Promise<void> {
  for (const disk of seed.disks) await addDisk(cloud, disk);
  for (const { organization, vdc, vms, ...rule } of seed.affinityRules) {
    const vdcId = vdcNamed(cloud, organization, vdc).id;
    cloud.state.affinityRules.push({
      id: randomUUID(),
      ...rule,
      vdcId,
      vmIds: vms.map((path) => vmAt(cloud, vdcId, path.slice(0, path.indexOf('/')), path.slice(path.indexOf('/') + 1)).id),
    });
  }
  cloud.changed();
}

async function addDisk(cloud: VcdCloud, seed: Seed['disks'][number]): Promise<void> {
  const vdc = vdcNamed(cloud, seed.organization, seed.vdc);
  const profiles = cloud.state.storageProfiles.filter((profile) => profile.vdcId === vdc.id);
  const profile =
    seed.storageProfile === undefined ? cloud.defaultStorageProfile(vdc.id) : named(profiles, seed.storageProfile, 'storage profile');
  const users = cloud.state.users.filter((user) => user.organizationId === vdc.organizationId);
  const disk: NamedDisk = {
    id: randomUUID(),
    name: seed.name,
    description: seed.description,
    organizationId: vdc.organizationId,
    vdcId: vdc.id,
    ownerUserId: named(users, seed.owner, 'user').id,
    createdAt: new Date().toISOString(),
    sizeBytes: seed.capacityBytes,
    busSubType: seed.busSubType,
    ...(seed.sharingType && { sharingType: seed.sharingType }),
    storageProfileId: profile.id,
    creation: 'done',
    path: '',
    uuid: randomUUID(),
    attachedVmId: undefined,
    metadata: structuredClone(seed.metadata),
  };
  await makeDiskFile(cloud, disk, profile);
  cloud.state.disks.push(disk);
  const place = seed.attachedTo;
  if (!place) return;
  const vm = vmAt(cloud, vdc.id, place.vapp, place.vm);
  await attach(cloud, vm, disk, { busNumber: place.busNumber, unitNumber: place.unitNumber });
  const key = vm.disks.find((record) => record.namedDiskId === disk.id)?.deviceKey;
  if (seed.dataBytes > 0 && key !== undefined)
    await cloud.vsphere.guest.makeFileSystem(vm.moRef, key, {
      seed: `disk/${seed.name}`,
      dataBytes: seed.dataBytes,
      label: seed.name.slice(0, 16),
    });
}

function vdcNamed(cloud: VcdCloud, organizationName: string, vdcName: string): Vdc {
  const organization: Organization = named(cloud.state.organizations, organizationName, 'organization');
  const vdcs = cloud.state.vdcs.filter((vdc) => vdc.organizationId === organization.id);
  return named(vdcs, vdcName, 'VDC');
}

function vmAt(cloud: VcdCloud, vdcId: string, vappName: string, vmName: string): Vm {
  const vapps = cloud.state.vapps.filter((vapp) => vapp.vdcId === vdcId);
  return named(cloud.vmsOf(named(vapps, vappName, 'vApp')), vmName, 'VM');
}
