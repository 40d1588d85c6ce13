import { inParallel, newId } from '../../common/index.js';
import { owe } from '../../clouds/index.js';
import type { ObligationHandle } from '../../jobs/index.js';
import type { PlannedVm } from '../plan-types.js';
import { putBack, putBackStandalone } from '../put-back.js';
import { debtsOf, type RebuiltVm, rebuildVm } from '../rebuild-vm.js';
import { recordIdentity } from '../record-identity.js';
import { withNamedDisks } from '../restore-named-disks.js';
import { compareWithPoint, restoreResult } from '../restore-result.js';
import { enterMaintenance, type RestoreContext } from './context.js';
import { commitRestore, powerOnRestored } from './power-on.js';
import { nameWhileMaking } from './take-the-name.js';

/**
 * A vApp that is not there, or a copy beside it (guide, chapter 8, "To restore a missing vApp"): VMs in vSphere
 * first, then the vApp by import, then everything import does not carry. Until the end all of it is owed: a
 * restore that fails or dies leaves nothing half-made.
 */
export async function restoreAsNewVapp(context: RestoreContext): Promise<Record<string, unknown>> {
  const { plan, run, vcd } = context;
  const { rebuilt, vappHref, hrefs, vappDebt } = await buildVapp(context);
  const maintenance = await enterMaintenance(context, vappHref);
  await run.step('Put back what import does not carry', () =>
    (plan.standalone ? putBackStandalone : putBack)(plan, vappHref, hrefs, vcd, run.signal),
  );
  const comparison = await compareWithPoint(context, vappHref);
  const result = restoreResult(context, comparison, rebuilt, 0);
  const { powerOn } = await run.step('Hand over', async () => {
    await recordIdentity(context, rebuilt, comparison.now);
    // From here on the vApp is the tenant's: its debts are settled, not paid, all in one instant.
    const handedOver = await commitRestore(context, { ...result, vappHref }, [...rebuilt.flatMap(debtsOf), vappDebt]);
    await maintenance?.pay();
    return handedOver;
  });
  await powerOnRestored(context, vappHref, powerOn);
  return { ...result, vappHref };
}

interface ImportedVapp {
  vappHref: string;
  /** Captured VM id -> address of the VM that stands for it. */
  hrefs: Map<string, string>;
  vappDebt: ObligationHandle;
}

/** Everything the plan has, built and imported under a name nobody else uses, with the data of all its disks. */
export async function buildVapp(context: RestoreContext): Promise<ImportedVapp & { rebuilt: RebuiltVm[] }> {
  const { plan, run } = context;
  const rebuilt = await run.step('Rebuild the VMs in vSphere', () => rebuildVms(context, plan.vms));
  const imported = await run.step(plan.standalone ? 'Import the VM' : 'Import the vApp', () =>
    plan.standalone ? importStandalone(context, rebuilt) : importVapp(context, rebuilt),
  );
  if (plan.vms.some((vm) => vm.namedDisks.length > 0)) {
    await run.step('Restore the named disks', () => withNamedDisks(context, imported.vappHref, rebuilt, imported.hrefs));
  }
  return { rebuilt, ...imported };
}

export async function rebuildVms(context: RestoreContext, vms: readonly PlannedVm[]): Promise<RebuiltVm[]> {
  const { plan, payload, run, parts, cloud } = context;
  const restoreId = newId();
  return inParallel(vms, payload.parallelVms, run.signal, (planned, signal) =>
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
      warn: run.warn.bind(run),
      log: run.log,
      signal,
    }),
  );
}

/** The first VM makes the vApp, the others join it, in captured order (guide, "Restoring vApps"). */
async function importVapp({ plan, cloud, vcd, run }: RestoreContext, rebuilt: readonly RebuiltVm[]): Promise<ImportedVapp> {
  const [first, ...others] = rebuilt as [RebuiltVm, ...RebuiltVm[]];
  // A name nobody else uses, as for its VMs: should we die before learning its address, it is found by it, and no
  // vApp of somebody else's is taken for ours. `putBack` gives it its real name.
  const importName = nameWhileMaking(plan.vappName, newId());
  const vappDebt = await owe(run.obligations, 'vcd.vapp', { cloudId: cloud.cloudId, vdcHref: plan.vdc.href, vappName: importName });
  const importOf = ({ planned, moRef }: RebuiltVm) => ({
    vimServerHref: plan.vimServerHref,
    vmMoRef: moRef,
    vmName: planned.wanted.name,
    computerName: planned.captured.computerName,
    localId: planned.captured.localId,
    storageProfileHref: planned.storageProfileHref,
  });
  const { vappHref, vmHref } = await vcd.importVmAsVapp(
    { ...importOf(first), vdcHref: plan.vdc.href, vappName: importName, vappDescription: plan.captured.description },
    run.signal,
  );
  await vappDebt.amend({ vappHref });
  const hrefs = new Map([[first.planned.captured.id, vmHref]]);
  for (const vm of others) {
    const vmDescription = vm.planned.captured.description;
    const imported = await vcd.importVmIntoExistingVapp({ ...importOf(vm), vappHref, vmDescription }, run.signal);
    hrefs.set(vm.planned.captured.id, imported.vmHref);
  }
  return { vappHref, hrefs, vappDebt };
}

/** A VM that stands alone: VCD makes a vApp around it that nobody sees. */
async function importStandalone({ plan, cloud, vcd, run }: RestoreContext, rebuilt: readonly RebuiltVm[]): Promise<ImportedVapp> {
  const [{ planned, moRef }] = rebuilt as [RebuiltVm];
  const vmName = nameWhileMaking(planned.wanted.name, newId());
  const terms = { cloudId: cloud.cloudId, vdcHref: plan.vdc.href, vmName };
  const vappDebt = await owe(run.obligations, 'vcd.standalone', terms);
  const made = await vcd.importStandaloneVm(
    {
      vimServerHref: plan.vimServerHref,
      vmMoRef: moRef,
      vdcHref: plan.vdc.href,
      vmName,
      vmDescription: planned.captured.description,
      localId: planned.captured.localId,
      computerName: planned.captured.computerName,
      storageProfileHref: planned.storageProfileHref,
    },
    run.signal,
  );
  await vappDebt.amend(made);
  return { vappHref: made.vappHref, hrefs: new Map([[planned.captured.id, made.vmHref]]), vappDebt };
}
