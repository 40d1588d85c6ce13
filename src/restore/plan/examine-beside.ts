import type { ManifestVm } from '../../catalog/index.js';
import { inParallel } from '../../common/index.js';
import { filterValue, type NamedDiskCapture, sameEntity, type VappCapture, type VcdClientApi, type VcdReference } from '../../vcd/index.js';
import type { VsphereClientApi } from '../../vsphere/index.js';

/** What stands beside the vApp and has to do with it: named disks, members of its affinity rules, VMs with its identities. */

/** An address holds a few dozen ids. */
const IDS_PER_QUERY = 20;
const PARALLEL_READS = 4;

/** The captured named disks that are still there, by id. */
export async function namedDisksOfToday(
  captured: readonly NamedDiskCapture[],
  vcd: VcdClientApi,
  signal: AbortSignal,
): Promise<Map<string, NamedDiskCapture>> {
  const found = await inParallel([...captured], PARALLEL_READS, signal, (disk) => vcd.readNamedDisk(disk.href, signal));
  return new Map(captured.flatMap(({ id }, index) => (found[index] === undefined ? [] : [[id, found[index]]])));
}

/** VMs of the VDC that the captured rules name, by id. */
export async function affinityMembers(
  captured: VappCapture,
  vdcHref: string,
  vcd: VcdClientApi,
  signal: AbortSignal,
): Promise<Map<string, VcdReference>> {
  const ids = [...new Set((captured.affinityRules ?? []).flatMap((rule) => rule.vms.flatMap((vm) => vm.id ?? [])))];
  const members = new Map<string, VcdReference>();
  for (let at = 0; at < ids.length; at += IDS_PER_QUERY) {
    for await (const vm of vcd.vms(vcd.idFilter(ids.slice(at, at + IDS_PER_QUERY)), signal)) {
      if (sameEntity(vm.vdcId, vdcHref)) members.set(vm.id, { href: vm.href, id: vm.id, name: vm.name });
    }
  }
  return members;
}

/** VMs vCenter has under the instance UUIDs of captured ones, by captured id: in VCD or not. */
export async function instanceUuidHolders(
  vms: readonly ManifestVm[],
  vcenter: VsphereClientApi,
  signal: AbortSignal,
): Promise<Map<string, { moRef: string }>> {
  const moRefs = await inParallel([...vms], PARALLEL_READS, signal, (vm) => vcenter.findVmByInstanceUuid(vm.instanceUuid, signal));
  return new Map(
    vms.flatMap(({ vcloudId }, index): [string, { moRef: string }][] => {
      const moRef = moRefs[index];
      return moRef === undefined ? [] : [[vcloudId, { moRef }]];
    }),
  );
}

/** Names of standalone VMs are unique in a VDC, as those of its vApps are. */
export async function hasStandaloneVm(vdcHref: string, name: string, vcd: VcdClientApi, signal: AbortSignal): Promise<boolean> {
  for await (const vm of vcd.vms(`name==${filterValue(name, vcd.apiVersion)}`, signal)) {
    // FIQL takes * as a wildcard: the record decides.
    if (vm.name !== name || !sameEntity(vm.vdcId, vdcHref)) continue;
    for await (const vapp of vcd.vapps(vcd.idFilter([vm.vappId]), signal)) if (vapp.standalone) return true;
  }
  return false;
}
