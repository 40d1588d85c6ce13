import type { AccessControl, VcdClientApi, VcdReference, VmCapture } from '../vcd/index.js';
import type { RestorePlan } from './plan-restore.js';

/**
 * Everything import has no parameter for (vCloud API, ImportVmAsVAppParams). The order is not
 * free: vApp networks before the NICs that use them, VMs before the start order that names them,
 * the owner last, because a tenant who owns the vApp may begin to use it.
 */
export async function putBack(plan: RestorePlan, vappHref: string, vcd: VcdClientApi, signal: AbortSignal): Promise<void> {
  const { captured } = plan;
  await vcd.writeVapp(vappHref, { name: plan.vappName, description: captured.description ?? '' }, signal);
  await vcd.writeNetworkConfig(vappHref, captured.networks, plan.parents, signal);

  const vmHrefs = await restoredVmHrefs(vappHref, vcd, signal);
  for (const vm of captured.vms) {
    const href = vmHrefs.get(vm.name);
    if (href === undefined) continue;
    await vcd.writeVm(href, adaptPolicies(vm, plan), { keepMacAddresses: plan.keepMacAddresses }, signal);
    await vcd.writeMetadata(href, vm.metadata, signal);
  }

  await vcd.writeStartup(vappHref, captured.startup, signal);
  await vcd.writeLease(vappHref, captured.lease, signal);
  await vcd.writeVappSections(vappHref, captured.sections, signal);
  await vcd.writeMetadata(vappHref, captured.metadata, signal);
  await vcd.writeAccess(vappHref, await matchAccess(plan, vcd, signal), signal);
  if (plan.owner !== undefined) await vcd.writeOwner(vappHref, plan.owner.href, signal);
}

async function restoredVmHrefs(vappHref: string, vcd: VcdClientApi, signal: AbortSignal): Promise<Map<string, string>> {
  const now = await vcd.captureVapp(vappHref, signal);
  return new Map(now.vms.map((vm) => [vm.name, vm.href]));
}

/** The storage profile the plan chose, where the captured one is gone. */
function adaptPolicies(vm: VmCapture, plan: RestorePlan): VmCapture {
  const chosen = plan.vms.find((planned) => planned.captured.id === vm.id)?.storageProfileHref;
  const profile: VcdReference | undefined = plan.vdc.storageProfiles.find((candidate) => candidate.href === chosen);
  return profile === undefined ? vm : { ...vm, storageProfile: profile };
}

/** Users are found again by name: one that was deleted and made anew has another id. */
async function matchAccess(plan: RestorePlan, vcd: VcdClientApi, signal: AbortSignal): Promise<AccessControl> {
  const grants: AccessControl['grants'] = [];
  for (const grant of plan.captured.access.grants) {
    const name = grant.subject.name;
    const isUser = grant.subject.type === undefined || /user\+xml$/i.test(grant.subject.type);
    const today = isUser && name !== undefined ? await vcd.findUser(plan.vdc.organization, name, signal) : grant.subject;
    if (today) grants.push({ ...grant, subject: { ...grant.subject, ...today } });
    else plan.deviations.push(`User "${name}", who had ${grant.accessLevel} access, is not in the organization any more.`);
  }
  return { ...plan.captured.access, grants };
}
