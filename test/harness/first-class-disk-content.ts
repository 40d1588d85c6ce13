import type { VsphereModel } from '../simulator/model/index.js';
import { attachFirstClassDisk, detachFirstClassDisk } from '../simulator/model/first-class-disks.js';
import type { FirstClassDiskState } from '../simulator/model/state.js';
import { DiskChain, loadTracking, saveTracking } from '../simulator/datastore/index.js';

/** A first class disk of the simulated vCenter by its name: what VMs do to it that the service never does. */
export function diskNamed(model: VsphereModel, name: string): FirstClassDiskState {
  const disk = model.inventory.state.firstClassDisks?.find((candidate) => candidate.name === name);
  if (disk === undefined) throw new Error(`The simulated vCenter has no first class disk "${name}"`);
  return disk;
}

export function diskNames(model: VsphereModel): string[] {
  return (model.inventory.state.firstClassDisks ?? []).map(({ name }) => name).sort();
}

/** As the VM would write that had it attached: change tracking sees it. */
export async function writeToDisk(model: VsphereModel, name: string, offsetBytes: number, bytes: Buffer): Promise<void> {
  const absolute = model.inventory.absolutePath(diskNamed(model, name).path);
  await DiskChain.with(absolute, 'r+', (chain) => chain.write(offsetBytes, bytes));
  const tracking = await loadTracking(absolute);
  if (tracking === undefined) return;
  tracking.mark([{ offsetBytes, lengthBytes: bytes.length }]);
  await saveTracking(absolute, tracking);
}

export function readFromDisk(model: VsphereModel, name: string, offsetBytes: number, lengthBytes: number): Promise<Buffer> {
  const absolute = model.inventory.absolutePath(diskNamed(model, name).path);
  return DiskChain.with(absolute, 'r', (chain) => chain.read(offsetBytes, lengthBytes));
}

export async function attach(model: VsphereModel, name: string, vmMoRef: string): Promise<void> {
  await attachFirstClassDisk(model.inventory, diskNamed(model, name), model.inventory.vm(vmMoRef), undefined);
}

export async function detach(model: VsphereModel, name: string): Promise<void> {
  await detachFirstClassDisk(model.inventory, diskNamed(model, name));
}
