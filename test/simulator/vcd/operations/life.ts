import { randomUUID } from 'node:crypto';
import type { VcdCloud } from '../cloud.js';
import { badRequest } from '../faults.js';
import type { Vapp, Vm } from '../state.js';
import { leaveAffinityRules } from './affinity.js';
import { detach } from './named-disks.js';

/** Powers on in startup order; VMs that run stay as they are. */
export async function powerOnVms(cloud: VcdCloud, vapp: Vapp, vms: readonly Vm[]): Promise<void> {
  const orderOf = (vm: Vm): number => vapp.startup.find((item) => item.vmName === vm.name)?.order ?? 0;
  for (const vm of [...vms].sort((a, b) => orderOf(a) - orderOf(b))) {
    vm.deployed = true;
    if (cloud.hardware(vm)?.powerState !== 'poweredOn') await cloud.vsphere.powerOn(vm.moRef);
  }
  vapp.deployed = true;
  cloud.changed();
}

export async function powerOffVms(
  cloud: VcdCloud,
  vapp: Vapp,
  vms: readonly Vm[],
  options: { suspend?: boolean; undeploy: boolean },
): Promise<void> {
  for (const vm of [...vms].reverse()) {
    const state = cloud.hardware(vm)?.powerState;
    if (options.suspend && state === 'poweredOn') await cloud.vsphere.suspend(vm.moRef);
    else if (!options.suspend && state !== undefined && state !== 'poweredOff') await cloud.vsphere.powerOff(vm.moRef);
    if (options.undeploy) vm.deployed = false;
  }
  vapp.deployed = cloud.vmsOf(vapp).some((vm) => vm.deployed);
  cloud.changed();
}

/** @throws VcdFault 400 with the text a cell gives for a vApp that runs. */
export function requireStopped(cloud: VcdCloud, vapp: Vapp): void {
  const running = cloud.vmsOf(vapp).some((vm) => cloud.hardware(vm)?.powerState === 'poweredOn');
  if (vapp.deployed || running) {
    throw badRequest(`The requested operation could not be executed on vApp "${vapp.name}". Stop the vApp and try again.`);
  }
}

/** Deletes the VMs in vCenter with their files, then what VCD made for the vApp there, then the vApp. */
export async function deleteVapp(cloud: VcdCloud, vapp: Vapp): Promise<void> {
  for (const vm of cloud.vmsOf(vapp)) await removeVm(cloud, vm);
  for (const network of vapp.networks) if (network.portGroupMoRef) cloud.vsphere.remove(network.portGroupMoRef);
  if (vapp.folderMoRef) cloud.vsphere.remove(vapp.folderMoRef);
  cloud.state.vapps = cloud.state.vapps.filter((candidate) => candidate.id !== vapp.id);
  cloud.changed();
}

/** One VM; the vApp that VCD made around a standalone VM goes with it. */
export async function deleteVm(cloud: VcdCloud, vm: Vm): Promise<void> {
  const vapp = cloud.vappOf(vm);
  if (vapp.autoNature) await deleteVapp(cloud, vapp);
  else await removeVm(cloud, vm);
}

/** Named disks outlive the VM: VCD detaches them when it is deleted (gds-operations/vcloud-core#128). */
async function removeVm(cloud: VcdCloud, vm: Vm): Promise<void> {
  if (cloud.hardware(vm)) {
    const named = cloud.state.disks.filter((disk) => disk.attachedVmId === vm.id);
    if (named.length > 0) await cloud.vsphere.removeAllSnapshots(vm.moRef);
    for (const disk of named) await detach(cloud, vm, disk);
    await cloud.vsphere.destroyVm(vm.moRef);
  }
  const vapp = cloud.vappOf(vm);
  vapp.startup = vapp.startup.filter((item) => item.vmName !== vm.name);
  leaveAffinityRules(cloud, vm);
  cloud.state.vms = cloud.state.vms.filter((candidate) => candidate.id !== vm.id);
  cloud.changed();
}

/** VCD names VMs in vCenter "name-abcd", because names must be unique there and are not in VCD. */
export function nameInVcenter(name: string): string {
  return `${name.slice(0, 75)}-${randomUUID().slice(0, 4)}`;
}

/** VCD's folder for a vApp below its VDC's. */
export function makeVappFolder(cloud: VcdCloud, vapp: Vapp): void {
  vapp.folderMoRef = cloud.vsphere.createFolder(cloud.vdcOf(vapp).folderMoRef, `${vapp.name} (${vapp.id})`).moRef;
}

export function renameStartupItem(vapp: Vapp, from: string, to: string): void {
  for (const item of vapp.startup) if (item.vmName === from) item.vmName = to;
}
