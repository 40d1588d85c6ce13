import { newId } from '../../common/index.js';
import { owe } from '../../clouds/index.js';
import type { NewObligation, ObligationHandle } from '../../jobs/index.js';
import type { VappCapture } from '../../vcd/index.js';
import type { OverwrittenDisk } from '../overwrite-disk.js';
import { overwriteVm } from '../overwrite-vm.js';
import type { PlannedVm, RestorePlan } from '../plan-types.js';
import { putBack, putBackVms } from '../put-back.js';
import { debtsOf, type RebuiltVm } from '../rebuild-vm.js';
import { recordIdentity } from '../record-identity.js';
import { type RestoredNamedDisks, restoreNamedDisks, withNamedDisks } from '../restore-named-disks.js';
import { compareWithPoint, restoreResult } from '../restore-result.js';
import { rebuildVms } from './build-vapp.js';
import { enterMaintenance, type RestoreContext, TASK_WAIT_MS } from './context.js';
import { commitRestore, powerOnRestored } from './power-on.js';
import { placeTaking, takeThePlace, withPoolAddresses } from './take-the-place.js';

interface ImportedVm extends RebuiltVm {
  href: string;
  /** Settled when the VM is the tenant's. */
  importDebt: ObligationHandle;
}

/**
 * A vApp that is there (guide, chapter 8, "To restore an existing vApp"): VMs whose disks are those of the restore
 * point are written over in place, others are built and imported beside them and take their place. Also one VM, or
 * one disk, of a vApp. Writing over cannot be undone: should it fail, the VM stays off, and the run and its next
 * backups say so.
 */
export async function restoreIntoVapp(context: RestoreContext): Promise<Record<string, unknown>> {
  const { plan, run, vcd } = context;
  const { target } = plan;
  if (target === undefined) throw new Error('A plan to restore into a vApp names the one that is there');
  const inPlace = plan.vms.filter((vm) => vm.action === 'overwrite');
  const anew = plan.vms.filter((vm) => vm.action !== 'overwrite');
  const maintenance = await enterMaintenance(context, target.href);
  await run.step('Wait for running tasks', () => vcd.waitForRunningTasks(target.href, TASK_WAIT_MS, run.signal));

  const rebuilt = anew.length === 0 ? [] : await run.step('Rebuild VMs in vSphere', () => rebuildVms(context, anew));
  const imported = rebuilt.length === 0 ? [] : await run.step('Import the VMs', () => importVms(context, target.href, rebuilt));
  if (imported.some(hasNamedDisks)) {
    await run.step('Restore the named disks', () => withNamedDisks(context, target.href, imported, hrefsOf(plan, imported)));
  }
  await run.step('Stop what is written over', () => stop(context, target, inPlace));
  let written: OverwrittenDisk[] = [];
  const writtenOver = inPlace.filter((planned) => planned.disks.length > 0);
  if (writtenOver.length > 0) {
    written = await run.step('Write over the disks', () => writeOver(context, writtenOver));
  }
  const lost = inPlace.filter((planned) => planned.namedDisks.length > 0);
  const found = lost.length === 0 ? [] : await run.step('Restore the named disks of these VMs', () => giveBackDisks(context, target, lost));
  if (context.payload.mode !== 'disk') {
    await run.step('Put back settings', () => putBackInto(context, target, imported));
  }
  const standing = await vcd.captureVapp(target.href, run.signal);
  const result = { vappHref: target.href, vappId: standing.id, vappName: target.name, vms: plan.vms.length };
  const handedOver = await run.step('Hand over', async () => {
    await recordIdentity(context, imported, standing);
    const kept = [...imported.flatMap(debtsOf), ...imported.map((vm) => vm.importDebt), ...found.flatMap((disks) => disks.debts)];
    return commitRestore(context, result, kept, replacementIn(context, target, imported));
  });
  if (handedOver.next !== undefined) await takeThePlace(context, handedOver.next, `old VMs of vApp "${target.name}"`);
  const overwrittenBytes = [...found, ...written].reduce((sum, disks) => sum + disks.writtenBytes, 0);
  const report = restoreResult(context, await compareWithPoint(context, target.href), imported, overwrittenBytes);
  await maintenance?.pay();
  await powerOnRestored(context, target.href, handedOver.powerOn);
  return { ...report, vappHref: target.href, overwrittenDisks: written };
}

function hasNamedDisks({ planned }: RebuiltVm): boolean {
  return planned.namedDisks.length > 0;
}

/** Named disks that VMs which are written over were without: after their snapshots went, under which VCD plugs nothing in. */
async function giveBackDisks(context: RestoreContext, target: { href: string }, vms: readonly PlannedVm[]): Promise<RestoredNamedDisks[]> {
  const found: RestoredNamedDisks[] = [];
  for (const planned of vms) {
    const href = planned.existing?.href ?? '';
    found.push(await restoreNamedDisks(context, target.href, { planned, href }));
  }
  return found;
}

/** A vApp that is restored whole is stopped whole; otherwise only the VMs that are written over. */
async function stop({ payload, vcd, run }: RestoreContext, target: { href: string }, inPlace: readonly PlannedVm[]): Promise<void> {
  if (payload.mode === 'overwrite') return vcd.undeploy(target.href, 'powerOff', run.signal);
  for (const { existing } of inPlace) {
    if (existing !== undefined) await vcd.undeployVm(existing.href, 'powerOff', run.signal);
  }
}

async function writeOver({ plan, run, parts, cloud }: RestoreContext, vms: readonly PlannedVm[]): Promise<OverwrittenDisk[]> {
  const written: OverwrittenDisk[] = [];
  for (const planned of vms) {
    const disks = await overwriteVm(planned, {
      cloud,
      vcenter: plan.vcenter,
      repository: parts.repository,
      ref: plan.manifest,
      catalog: parts.catalog,
      runId: run.runId,
      vddk: parts.vddk,
      obligations: run.obligations,
      progress: run.progress,
      warn: run.warn.bind(run),
      log: run.log,
      signal: run.signal,
    });
    written.push(...disks);
  }
  return written;
}

/** Under names nobody else has: should we die before learning a VM's address, it is found by its name. */
async function importVms(context: RestoreContext, vappHref: string, rebuilt: readonly RebuiltVm[]): Promise<ImportedVm[]> {
  const { plan, cloud, vcd, run } = context;
  const imported: ImportedVm[] = [];
  for (const vm of rebuilt) {
    const { planned } = vm;
    const vmName = `${planned.wanted.name.slice(0, 40)}-${newId()}`;
    const importDebt = await owe(run.obligations, 'vcd.vm', { cloudId: cloud.cloudId, vappHref, vmName });
    const { vmHref } = await vcd.importVmIntoExistingVapp(
      {
        vimServerHref: plan.vimServerHref,
        vmMoRef: vm.moRef,
        vappHref,
        vmName,
        vmDescription: planned.captured.description,
        computerName: planned.captured.computerName,
        // The VM it replaces still has its local id, and a vApp has each once.
        localId: planned.action === 'replace' ? undefined : planned.captured.localId,
        storageProfileHref: planned.storageProfileHref,
      },
      run.signal,
    );
    await importDebt.amend({ vmHref });
    imported.push({ ...vm, href: vmHref, importDebt });
  }
  return imported;
}

/** As it can be while the VMs that are replaced are still there: under temporary names, and without their addresses. */
async function putBackInto(
  { plan, vcd, run }: RestoreContext,
  target: { href: string; capture: VappCapture },
  imported: readonly ImportedVm[],
): Promise<void> {
  const hrefs = hrefsOf(plan, imported);
  const waiting = (vm: PlannedVm) => vm.action === 'replace';
  const vms = plan.vms.map((vm) =>
    waiting(vm) ? { ...vm, wanted: { ...withPoolAddresses(vm.wanted), name: temporaryNameOf(vm, imported) } } : vm,
  );
  const changed: RestorePlan = { ...plan, vms, keepMacAddresses: plan.keepMacAddresses && !vms.some(waiting) };
  if (plan.putBackVapp) await putBack(changed, target.href, hrefs, vcd, run.signal);
  else await putBackVms(changed, target.href, hrefs, vcd, run.signal);
}

/** Captured VM id -> address of the VM that stands for it now. */
function hrefsOf(plan: RestorePlan, imported: readonly ImportedVm[]): Map<string, string> {
  const hrefs = new Map(imported.map((vm) => [vm.planned.captured.id, vm.href]));
  for (const { captured, existing, action } of plan.vms) {
    if (action === 'overwrite' && existing !== undefined) hrefs.set(captured.id, existing.href);
  }
  return hrefs;
}

function temporaryNameOf(vm: PlannedVm, imported: readonly ImportedVm[]): string {
  const found = imported.find((candidate) => candidate.planned.captured.id === vm.captured.id);
  return `${vm.wanted.name.slice(0, 40)}-${found?.moRef ?? ''}`;
}

/** What goes when the new VMs stand and are the tenant's; empty where nothing does. */
function replacementIn({ plan, cloud }: RestoreContext, target: { href: string }, imported: readonly ImportedVm[]): NewObligation[] {
  const replaced = plan.vms.flatMap((vm) => (vm.action === 'replace' && vm.existing ? [vm.existing] : []));
  const oldVms = [...replaced, ...plan.removals];
  if (oldVms.length === 0) return [];
  return [placeTaking(plan, cloud.cloudId, { vappHref: target.href, oldVms, hrefs: hrefsOf(plan, imported) })];
}
