import type { VappCapture } from '../vcd/index.js';
import type { RestoreContext } from './modes/context.js';
import type { RebuiltVm } from './rebuild-vm.js';

/** The chain goes on: a restored VM keeps its id here, and gains the names the cloud now has for it (plan, promise 5). */
export async function recordIdentity(
  { plan, parts, cloud, run }: RestoreContext,
  rebuilt: readonly RebuiltVm[],
  now: VappCapture,
): Promise<void> {
  if (!plan.keepIdentity) return;
  if (plan.putBackVapp) await parts.catalog.addVappAlias(plan.content.vapp.id, cloud.cloudId, now.id);
  for (const vm of rebuilt) {
    await parts.catalog.addVmAliases(vm.planned.manifest.vmId, {
      cloudId: cloud.cloudId,
      vcloudId: now.vms.find((candidate) => candidate.vim.vmMoRef === vm.moRef)?.id,
      instanceUuid: vm.instanceUuid,
      vcenterInstanceUuid: plan.vcenter.instanceUuid,
      moRef: vm.moRef,
    });
    await parts.catalog.handHalfWrittenTo(vm.planned.manifest.vmId, run.runId);
  }
}
