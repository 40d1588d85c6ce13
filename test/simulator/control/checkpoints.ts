import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { VcdCloud, Vapp, Vm } from '../vcd/index.js';
import { type AttributeDifference, type Attributes, compareAttributes, vappAttributes } from './attributes.js';

interface Checkpoint {
  vapp: string;
  attributes: Attributes;
  /** VM name -> the moRef its content was kept of. */
  vms: Record<string, string>;
  /** VM name -> its disks at that moment: what a comparison misses when the VM is gone. */
  disks: Record<string, { label: string; capacityBytes: number }[]>;
}

export interface ComparedDisk {
  vm: string;
  label: string;
  capacityBytes: number;
  differingBytes: number;
  firstDifferenceBytes: number | null;
  fileSystem: 'clean' | 'damaged' | 'none';
  detail: string;
}
export interface Comparison {
  disks: ComparedDisk[];
  attributes: AttributeDifference[];
}
export interface CompareOptions {
  /** Attribute paths that may differ; `*` is one step: "vms/*\/nics/*\/macAddress". */
  ignore?: string[];
  /** A copy may have another name. */
  ignoreName?: boolean;
}

/** What a vApp was at a moment, kept outside the datastores and outside the service that is under test. */
export class Checkpoints {
  constructor(
    private readonly cloud: VcdCloud,
    private readonly directory: string,
  ) {}

  async make(name: string, vapp: Vapp): Promise<void> {
    const vms = this.cloud.vmsOf(vapp);
    for (const vm of vms) await this.cloud.vsphere.guest.keepContent(contentName(name, vapp), vm.moRef);
    const checkpoint: Checkpoint = {
      vapp: vapp.name,
      attributes: vappAttributes(this.cloud, vapp),
      vms: Object.fromEntries(vms.map((vm) => [vm.name, vm.moRef])),
      disks: Object.fromEntries(
        vms.map((vm) => [vm.name, (this.cloud.hardware(vm)?.disks ?? []).map(({ label, capacityBytes }) => ({ label, capacityBytes }))]),
      ),
    };
    await mkdir(this.directory, { recursive: true });
    await writeFile(this.fileOf(name), JSON.stringify(checkpoint, null, 1));
  }

  async compare(name: string, vapp: Vapp, options: CompareOptions): Promise<Comparison> {
    const text = await readFile(this.fileOf(name), 'utf8').catch(() => undefined);
    if (text === undefined) throw new RangeError(`There is no checkpoint "${name}"`);
    const kept = JSON.parse(text) as Checkpoint;
    const ignore = [...(options.ignore ?? []), ...(options.ignoreName ? ['name'] : [])];
    const attributes = compareAttributes(kept.attributes, vappAttributes(this.cloud, vapp), ignore);
    const disks: ComparedDisk[] = [];
    for (const [vmName, keptMoRef] of Object.entries(kept.vms)) {
      const vm = this.cloud.vmsOf(vapp).find((candidate) => candidate.name === vmName);
      disks.push(...(vm ? await this.compareVm(contentName(name, { name: kept.vapp }), keptMoRef, vm) : missingVm(kept, vmName)));
    }
    return { disks, attributes };
  }

  private async compareVm(contentName: string, keptMoRef: string, vm: Vm): Promise<ComparedDisk[]> {
    const compared = await this.cloud.vsphere.guest.compareContent(contentName, keptMoRef, vm.moRef);
    return compared.map((disk) => ({
      vm: vm.name,
      label: disk.label,
      capacityBytes: disk.capacityBytes,
      differingBytes: disk.differingBytes,
      firstDifferenceBytes: disk.firstDifferenceBytes ?? null,
      fileSystem: disk.fileSystemCheck === undefined ? 'none' : disk.fileSystemCheck.clean ? 'clean' : 'damaged',
      detail: disk.fileSystemCheck?.output ?? disk.contentKind,
    }));
  }

  private fileOf(name: string): string {
    if (!/^[\w.-]{1,100}$/.test(name)) throw new RangeError(`"${name}" is not a name for a checkpoint`);
    return join(this.directory, `${name}.json`);
  }
}

/** A VM that is not there any more has lost every byte of every disk. */
function missingVm(kept: Checkpoint, vm: string): ComparedDisk[] {
  return (kept.disks[vm] ?? []).map(({ label, capacityBytes }) => ({
    vm,
    label,
    capacityBytes,
    differingBytes: capacityBytes,
    firstDifferenceBytes: 0,
    fileSystem: 'none',
    detail: 'the VM is missing',
  }));
}

function contentName(checkpoint: string, vapp: { name: string }): string {
  return `${checkpoint}--${vapp.name.replace(/[^\w.-]/g, '_')}`;
}
