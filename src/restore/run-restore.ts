import { describeError, inParallel, newId } from '../common/index.js';
import { owe, type CloudSessions } from '../clouds/index.js';
import type { ObligationHandle, RunContext } from '../jobs/index.js';
import { type AttributeDifference, compareVappCaptures, type VcdClientApi } from '../vcd/index.js';
import { RestoreError } from './errors.js';
import type { RestoreParts } from './parts.js';
import { planRestore, type RestorePlan } from './plan-restore.js';
import { putBack } from './put-back.js';
import { type RebuiltVm, rebuildVm } from './rebuild-vm.js';
import type { RestorePayload } from './restore-request.js';

/**
 * One restore of one vApp that does not exist (guide, chapter 8, "To restore a missing vApp"):
 * VMs in vSphere first, then the vApp by import, then everything import does not carry, then a
 * comparison with what was captured. Until the comparison all of it is owed: a restore that fails
 * or dies leaves nothing half-made.
 */
export async function runRestore(payload: RestorePayload, run: RunContext, parts: RestoreParts): Promise<Record<string, unknown>> {
  const { signal } = run;
  const row = await parts.catalog.restorePoint(payload.restorePointId);
  if (row === undefined) throw new RestoreError('RESTORE_POINT_NOT_FOUND', `There is no restore point ${payload.restorePointId}.`);
  const cloud = await parts.sessions(row.cloudId);
  const vcd = await cloud.vcd();

  const plan = await run.step('Plan against the cloud of today', () =>
    planRestore(payload, { cloud, vcd, repository: parts.repository }, signal),
  );
  for (const deviation of plan.deviations) run.warn(deviation);

  const rebuilt = await run.step('Rebuild the VMs in vSphere', () => rebuildVms(plan, payload, cloud, run, parts));
  const { vappHref, vappDebt } = await run.step('Import the vApp', () => importVapp(plan, rebuilt, cloud, vcd, run));
  const maintenance = await run.step('Enter maintenance mode', async () => {
    const debt = await owe(run.obligations, 'vcd.maintenance', { cloudId: cloud.cloudId, vappHref, vappName: plan.vappName });
    await vcd.enterMaintenanceMode(vappHref, signal);
    return debt;
  });
  await run.step('Put back what import does not carry', () => putBack(plan, vappHref, vcd, signal));

  const { differences, restored } = await run.step('Compare with the restore point', async () => {
    const actual = await vcd.captureVapp(vappHref, signal);
    const compared = compareVappCaptures(plan.captured, actual, {
      ignoreName: plan.vappName !== plan.captured.name,
      ignoreMacAddresses: !plan.keepMacAddresses,
    });
    return { differences: compared, restored: actual };
  });
  for (const difference of differences) run.warn(describeDifference(plan.vappName, difference));

  const result = {
    vappHref,
    vappId: restored.id,
    vappName: plan.vappName,
    vms: rebuilt.length,
    writtenBytes: rebuilt.reduce((sum, vm) => sum + vm.writtenBytes, 0),
    deviations: plan.deviations,
    differences,
  };
  await run.step('Hand over', async () => {
    await recordIdentity(plan, rebuilt, restored, parts, cloud);
    // From here on the vApp is the tenant's: its debts are settled, not paid, all in one instant.
    await run.commit(result, [...rebuilt.map((vm) => vm.debt), vappDebt]);
    await maintenance.pay();
  });
  if (payload.powerOn) await run.step('Power on', () => powerOn(plan.vappName, vappHref, vcd, run));
  return result;
}

async function rebuildVms(
  plan: RestorePlan,
  payload: RestorePayload,
  cloud: CloudSessions,
  run: RunContext,
  parts: RestoreParts,
): Promise<RebuiltVm[]> {
  const restoreId = newId();
  return inParallel(plan.vms, payload.parallelVms, run.signal, (planned, signal) =>
    rebuildVm(planned, {
      cloud,
      vcenter: plan.vcenter,
      repository: parts.repository,
      ref: plan.manifest,
      restoreId,
      keepIdentity: plan.keepIdentity,
      vddk: parts.vddk,
      obligations: run.obligations,
      progress: run.progress,
      log: run.log,
      signal,
    }),
  );
}

/** The first VM makes the vApp, the others join it, in captured order (guide, "Restoring vApps"). */
async function importVapp(
  plan: RestorePlan,
  rebuilt: readonly RebuiltVm[],
  cloud: CloudSessions,
  vcd: VcdClientApi,
  run: RunContext,
): Promise<{ vappHref: string; vappDebt: ObligationHandle }> {
  const [first, ...others] = rebuilt as [RebuiltVm, ...RebuiltVm[]];
  // A name nobody else uses, as for its VMs: should we die before learning its address, it is found by it, and no
  // vApp of somebody else's is taken for ours. `putBack` gives it its real name.
  const importName = `${plan.vappName.slice(0, 80)}-${newId()}`;
  const vappDebt = await owe(run.obligations, 'vcd.vapp', { cloudId: cloud.cloudId, vdcHref: plan.vdc.href, vappName: importName });
  const importOf = ({ planned, moRef }: RebuiltVm) => ({
    vimServerHref: plan.vimServerHref,
    vmMoRef: moRef,
    vmName: planned.captured.name,
    computerName: planned.captured.computerName,
    localId: planned.captured.localId,
    storageProfileHref: planned.storageProfileHref,
  });
  const { vappHref } = await vcd.importVmAsVapp(
    { ...importOf(first), vdcHref: plan.vdc.href, vappName: importName, vappDescription: plan.captured.description },
    run.signal,
  );
  await vappDebt.amend({ vappHref });
  for (const vm of others) {
    await vcd.importVmIntoExistingVapp({ ...importOf(vm), vappHref, vmDescription: vm.planned.captured.description }, run.signal);
  }
  return { vappHref, vappDebt };
}

/** The vApp is restored whatever becomes of this: a vApp that does not start is a warning. */
async function powerOn(vappName: string, vappHref: string, vcd: VcdClientApi, run: RunContext): Promise<void> {
  try {
    await vcd.powerOn(vappHref, run.signal);
  } catch (error) {
    if (run.signal.aborted) throw error;
    run.warn(`vApp "${vappName}" is restored and could not be powered on: ${describeError(error)}`);
  }
}

/** The chain goes on: a restored VM keeps its id here, and gains the names the cloud now has for it (plan, promise 5). */
async function recordIdentity(
  plan: RestorePlan,
  rebuilt: readonly RebuiltVm[],
  restored: { id: string; vms: { id: string; vim: { vmMoRef: string } }[] },
  parts: RestoreParts,
  cloud: CloudSessions,
): Promise<void> {
  if (!plan.keepIdentity) return;
  await parts.catalog.addVappAlias(plan.content.vapp.id, cloud.cloudId, restored.id);
  for (const vm of rebuilt) {
    await parts.catalog.addVmAliases(vm.planned.manifest.vmId, {
      cloudId: cloud.cloudId,
      vcloudId: restored.vms.find((candidate) => candidate.vim.vmMoRef === vm.moRef)?.id,
      instanceUuid: vm.instanceUuid,
      vcenterInstanceUuid: plan.vcenter.instanceUuid,
      moRef: vm.moRef,
    });
  }
}

function describeDifference(vappName: string, { path, expected, actual }: AttributeDifference): string {
  return `vApp "${vappName}": ${path} is ${JSON.stringify(actual)}, the restore point has ${JSON.stringify(expected)}.`;
}
