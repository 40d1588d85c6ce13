import { parseXml, writeXml, type XmlElement } from '../common/index.js';
import type { DiskProfile, MetadataEntry, StartupItem, VappNetwork, VcdClientApi, VmCapture, VmDiskSetting } from '../vcd/index.js';
import type { RestorePlan } from './plan-types.js';

/** Captured VM id -> address of today's VM: names do not always tell which is which. */
type VmHrefs = ReadonlyMap<string, string>;

/**
 * Everything import has no parameter for (vCloud API, ImportVmAsVAppParams). The order is not
 * free: vApp networks before the NICs that use them, VMs before the start order that names them,
 * the owner last, because a tenant who owns the vApp may begin to use it.
 */
export async function putBack(plan: RestorePlan, vappHref: string, hrefs: VmHrefs, vcd: VcdClientApi, signal: AbortSignal): Promise<void> {
  const { wanted } = plan;
  await vcd.writeVapp(vappHref, { name: plan.vappName, description: wanted.description ?? '' }, signal);
  const today = await vcd.captureVapp(vappHref, signal);
  const others = today.vms.filter((vm) => ![...hrefs.values()].includes(vm.href));
  const networks = withLocalIdsOf(wanted.networks, localIds(plan, hrefs, today.vms));
  await vcd.writeNetworkConfig(vappHref, withNetworksOf(others, today.networks, networks), parentsOf(plan, today.networks), signal);
  await writeVms(plan, hrefs, today.vms, vcd, signal);
  await writeAffinityRules(plan, hrefs, vcd, signal);
  await vcd.writeStartup(vappHref, mergeStartup(wanted.startup, today.startup, new Set(others.map((vm) => vm.name))), signal);
  await vcd.writeLease(vappHref, wanted.lease, signal);
  await vcd.writeVappSections(vappHref, wanted.sections, signal);
  await vcd.writeMetadata(vappHref, wanted.metadata, signal);
  await vcd.writeAccess(vappHref, wanted.access, signal);
  if (plan.owner !== undefined) await vcd.writeOwner(vappHref, plan.owner.href, signal);
}

/**
 * A VM that stands alone: the vApp around it has no name, start order or sections of anybody's, and VCD makes its
 * networks with the NICs; they are written only where the import did not find them.
 */
export async function putBackStandalone(
  plan: RestorePlan,
  vappHref: string,
  hrefs: VmHrefs,
  vcd: VcdClientApi,
  signal: AbortSignal,
): Promise<void> {
  const { wanted } = plan;
  const today = await vcd.captureVapp(vappHref, signal);
  const isThere = (network: VappNetwork) => today.networks.some(({ name }) => name === network.name);
  if (!wanted.networks.every(isThere)) {
    const all = [...wanted.networks, ...today.networks.filter(({ name }) => !wanted.networks.some((network) => network.name === name))];
    await vcd.writeNetworkConfig(vappHref, all, parentsOf(plan, today.networks), signal);
  }
  await writeVms(plan, hrefs, today.vms, vcd, signal);
  await writeAffinityRules(plan, hrefs, vcd, signal);
  await vcd.writeLease(vappHref, wanted.lease, signal);
  await vcd.writeMetadata(vappHref, wanted.metadata, signal);
  await vcd.writeAccess(vappHref, wanted.access, signal);
  if (plan.owner !== undefined) await vcd.writeOwner(vappHref, plan.owner.href, signal);
}

/** Only what belongs to the VMs: the vApp they come back into keeps its own settings. */
export async function putBackVms(
  plan: RestorePlan,
  vappHref: string,
  hrefs: VmHrefs,
  vcd: VcdClientApi,
  signal: AbortSignal,
): Promise<void> {
  await writeVms(plan, hrefs, (await vcd.captureVapp(vappHref, signal)).vms, vcd, signal);
  await writeAffinityRules(plan, hrefs, vcd, signal);
  const today = await vcd.captureVapp(vappHref, signal);
  const restored = new Set(plan.vms.map((vm) => vm.wanted.name));
  const others = new Set(today.vms.map((vm) => vm.name).filter((name) => !restored.has(name)));
  await vcd.writeStartup(
    vappHref,
    mergeStartup(
      plan.wanted.startup.filter((item) => restored.has(item.vmName)),
      today.startup,
      others,
    ),
    signal,
  );
}

async function writeVms(
  plan: RestorePlan,
  hrefs: VmHrefs,
  today: readonly VmCapture[],
  vcd: VcdClientApi,
  signal: AbortSignal,
): Promise<void> {
  for (const { captured, wanted, action } of plan.vms) {
    const href = hrefs.get(captured.id);
    if (href === undefined) continue;
    await vcd.writeVm(href, wanted, { keepMacAddresses: plan.keepMacAddresses }, signal);
    // After its policies, which may say how large a VM is. One that is built has the size it was captured with.
    if (action === 'overwrite' && wanted.hardware !== undefined) await vcd.writeHardware(href, wanted.hardware, signal);
    const present = today.find((vm) => vm.href === href)?.disks ?? [];
    await vcd.writeDiskProfiles(href, diskProfilesOf(wanted, present), signal);
    await vcd.writeMetadata(href, wanted.metadata, signal);
    if (action !== 'overwrite') continue;
    for (const disk of attachedNow(plan, captured, present)) await vcd.writeMetadata(disk.href, disk.metadata, signal);
  }
}

/** Named disks that were written over where they are. VCD changes nothing else of one that is attached. */
function attachedNow(
  { captured: { namedDisks = [] } }: RestorePlan,
  vm: VmCapture,
  present: readonly VmDiskSetting[],
): { href: string; metadata: MetadataEntry[] }[] {
  return namedDisks.flatMap(({ name, attachments, metadata }) => {
    const place = attachments.find(({ vmId }) => vmId === vm.id);
    const { namedDisk } =
      present.find(({ busNumber, unitNumber }) => busNumber === place?.busNumber && unitNumber === place?.unitNumber) ?? {};
    return place === undefined || namedDisk?.name !== name ? [] : [{ href: namedDisk.href, metadata }];
  });
}

/**
 * Disks with a storage profile of their own, and those that have got one since. The others follow their VM's; a named
 * disk's is its own affair; one that could not be made again has none.
 */
export function diskProfilesOf({ disks, storageProfile }: VmCapture, present: readonly VmDiskSetting[]): DiskProfile[] {
  return disks.flatMap((disk) => {
    const { busNumber = 0, unitNumber = 0, adapterType } = disk;
    const today = present.find((other) => (other.busNumber ?? 0) === busNumber && (other.unitNumber ?? 0) === unitNumber);
    const wanted = disk.storageProfile ?? storageProfile;
    if (wanted === undefined || today === undefined || disk.namedDisk !== undefined || today.namedDisk !== undefined) return [];
    // Captures of before knew the profile of a disk and not whether it was its own.
    const overrides = disk.overridesVmProfile ?? (storageProfile !== undefined && storageProfile.name !== wanted.name);
    if (!overrides && today.overridesVmProfile !== true) return [];
    return [{ busNumber, unitNumber, ...(adapterType !== undefined && { adapterType }), storageProfileHref: wanted.href }];
  });
}

/** Members that are restored by their address of today. A rule that is left with one VM would be refused. */
async function writeAffinityRules(plan: RestorePlan, hrefs: VmHrefs, vcd: VcdClientApi, signal: AbortSignal): Promise<void> {
  const rules = plan.affinityRules.map(({ restored, others, ...rule }) => ({
    ...rule,
    vmHrefs: [...restored.flatMap((id) => hrefs.get(id) ?? []), ...others],
  }));
  await vcd.writeAffinityRules(
    plan.vdc.href,
    rules.filter((rule) => rule.vmHrefs.length > 1),
    signal,
  );
}

/** Captured local id -> today's, for VMs that could not keep theirs, such as because the VM they replace still has it. */
function localIds(plan: RestorePlan, hrefs: VmHrefs, today: readonly VmCapture[]): Map<string, string> {
  return new Map(
    plan.vms.flatMap(({ captured }): [string, string][] => {
      const now = today.find((vm) => vm.href === hrefs.get(captured.id))?.localId;
      if (captured.localId === undefined || now === undefined || now === captured.localId) return [];
      return [[captured.localId, now]];
    }),
  );
}

/** NAT rules name a VM by its local id (VAppScopedVmId). */
function withLocalIdsOf(networks: readonly VappNetwork[], ids: ReadonlyMap<string, string>): VappNetwork[] {
  if (ids.size === 0) return [...networks];
  return networks.map((network) => {
    const root = parseXml(network.xml);
    for (const element of descendants(root)) {
      const id = element.local === 'VAppScopedVmId' ? ids.get(element.text()) : undefined;
      if (id !== undefined) element.children = [id];
    }
    return { ...network, xml: writeXml(root) };
  });
}

function descendants(element: XmlElement): XmlElement[] {
  return [element, ...element.elements().flatMap(descendants)];
}

/** Networks of today that VMs beside the restored ones hang on: taking them away would unplug those. */
function withNetworksOf(
  others: readonly { nics: readonly { network: string }[] }[],
  today: readonly VappNetwork[],
  wanted: readonly VappNetwork[],
): VappNetwork[] {
  const used = new Set(others.flatMap((vm) => vm.nics.map((nic) => nic.network)));
  const kept = today.filter((network) => used.has(network.name) && !wanted.some((candidate) => candidate.name === network.name));
  return [...wanted, ...kept];
}

/** Those that are kept have today's parent already. */
function parentsOf(plan: RestorePlan, today: readonly VappNetwork[]): Map<string, string> {
  const own = today.flatMap(({ parent }): [string, string][] => (parent === undefined ? [] : [[parent.href, parent.href]]));
  return new Map([...own, ...plan.parents]);
}

/** A VM beside the restored ones keeps its place in the start order. */
function mergeStartup(wanted: readonly StartupItem[], today: readonly StartupItem[], others: ReadonlySet<string>): StartupItem[] {
  return [...wanted, ...today.filter((item) => others.has(item.vmName) && !wanted.some(({ vmName }) => vmName === item.vmName))];
}
