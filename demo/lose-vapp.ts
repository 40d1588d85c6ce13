import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { VcdClient } from '../src/vcd/index.js';
import { DemoFailure } from './failure.js';
import type { Parts } from './parts.js';

/** What the control port says of the simulated cloud, as far as a loss shows in it. */
interface CloudState {
  vapps: { name: string; vms: { moRef: string }[] }[];
  vcenterVms: { moRef: string; disks: { path: string }[] }[];
  datastores: { name: string; directory: string }[];
}

/** Deletes the vApp over the vCloud API, as a tenant's administrator would, and looks that all of it is gone. */
export async function loseVapp({ cloud, control }: Parts, name: string): Promise<void> {
  const before = await control.state<CloudState>();
  const moRefs = new Set(before.vapps.find((vapp) => vapp.name === name)?.vms.map((vm) => vm.moRef));
  const disks = before.vcenterVms.filter((vm) => moRefs.has(vm.moRef)).flatMap((vm) => vm.disks.map((disk) => disk.path));
  const files = disks.map((path) => fileOf(path, before));
  if (files.length === 0 || !files.every((file) => existsSync(file))) throw new DemoFailure(`"${name}" has no disks to lose`);

  const { url, userName, password, organization, thumbprintSha256 } = cloud.vcd;
  const vcd = await VcdClient.connect({ url, userName, password, organization, trust: { thumbprint: thumbprintSha256 } });
  try {
    for await (const vapp of vcd.vapps(`name==${name}`)) await vcd.deleteVapp(vapp.href);
  } finally {
    await vcd.close();
  }

  const after = await control.state<CloudState>();
  const left = [
    ...after.vapps.filter((vapp) => vapp.name === name).map(() => `vApp "${name}" in VCD`),
    ...after.vcenterVms.filter((vm) => moRefs.has(vm.moRef)).map((vm) => `${vm.moRef} in vCenter`),
    ...files.filter((file) => existsSync(file)),
  ];
  if (left.length > 0) throw new DemoFailure(`after the deletion of "${name}" there is still: ${left.join(', ')}`);
  console.log(`  gone: "${name}" from VCD, its ${moRefs.size} VMs from vCenter, its ${files.length} disks from the datastores`);
}

/** "[datastore] folder/disk.vmdk" -> the file on this machine. */
function fileOf(path: string, { datastores }: CloudState): string {
  const [, name, file] = /^\[([^\]]+)\] (.+)$/.exec(path) ?? [];
  const directory = datastores.find((datastore) => datastore.name === name)?.directory;
  if (directory === undefined || file === undefined) throw new DemoFailure(`${path} lies on no datastore of the simulated cloud`);
  return join(directory, file);
}
