import { parseXml, writeXml, type XmlElement } from '../common/index.js';
import type { StartupItem, VappNetwork, VcdClientApi, VmCapture } from '../vcd/index.js';
import type { RestorePlan } from './plan-types.js';

/** Captured VM id -> address of today's VM. */
type VmHrefs = ReadonlyMap<string, string>;

/**
 * Everything import has no parameter for (vCloud API, ImportVmAsVAppParams). The order is not
 * free: vApp networks before the NICs that use them, VMs before the start order that names them,
 * the owner last, because a tenant who owns the vApp may begin to use it.
 *
 * @param known addresses of the VMs where names do not tell which is which
 */
export async function putBack(plan: RestorePlan, vappHref: string, vcd: VcdClientApi, signal: AbortSignal, known?: VmHrefs): Promise<void> {
  const { wanted } = plan;
  await vcd.writeVapp(vappHref, { name: plan.vappName, description: wanted.description ?? '' }, signal);
  const today = await vcd.captureVapp(vappHref, signal);
  const hrefs = known ?? hrefsByName(plan, today.vms);
  const others = today.vms.filter((vm) => ![...hrefs.values()].includes(vm.href));
  const networks = withLocalIdsOf(wanted.networks, localIds(plan, hrefs, today.vms));
  await vcd.writeNetworkConfig(vappHref, withNetworksOf(others, today.networks, networks), parentsOf(plan, today.networks), signal);
  await writeVms(plan, hrefs, vcd, signal);
  await vcd.writeStartup(vappHref, mergeStartup(wanted.startup, today.startup, new Set(others.map((vm) => vm.name))), signal);
  await vcd.writeLease(vappHref, wanted.lease, signal);
  await vcd.writeVappSections(vappHref, wanted.sections, signal);
  await vcd.writeMetadata(vappHref, wanted.metadata, signal);
  await vcd.writeAccess(vappHref, wanted.access, signal);
  if (plan.owner !== undefined) await vcd.writeOwner(vappHref, plan.owner.href, signal);
}

/** Only what belongs to the VMs: the vApp they come back into keeps its own settings. */
export async function putBackVms(
  plan: RestorePlan,
  vappHref: string,
  vcd: VcdClientApi,
  signal: AbortSignal,
  known: VmHrefs,
): Promise<void> {
  await writeVms(plan, known, vcd, signal);
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

async function writeVms(plan: RestorePlan, hrefs: VmHrefs, vcd: VcdClientApi, signal: AbortSignal): Promise<void> {
  for (const { captured, wanted } of plan.vms) {
    const href = hrefs.get(captured.id);
    if (href === undefined) continue;
    await vcd.writeVm(href, wanted, { keepMacAddresses: plan.keepMacAddresses }, signal);
    await vcd.writeMetadata(href, wanted.metadata, signal);
  }
}

function hrefsByName(plan: RestorePlan, vms: readonly { name: string; href: string }[]): VmHrefs {
  const found = plan.vms.map(({ captured, wanted }) => [captured.id, vms.find((vm) => vm.name === wanted.name)?.href] as const);
  return new Map(found.flatMap(([id, href]) => (href === undefined ? [] : [[id, href]])));
}

/** Captured local id -> today's, for VMs that could not keep theirs; the captured one while the VM they replace still has it. */
function localIds(plan: RestorePlan, hrefs: VmHrefs, today: readonly VmCapture[]): Map<string, string> {
  const taken = new Set(today.map((vm) => vm.localId));
  return new Map(
    plan.vms.flatMap(({ captured }): [string, string][] => {
      const now = today.find((vm) => vm.href === hrefs.get(captured.id))?.localId;
      if (captured.localId === undefined || now === undefined || taken.has(captured.localId)) return [];
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
