import { newId } from '../../common/index.js';
import { owe } from '../../clouds/index.js';
import type { ObligationHandle } from '../../jobs/index.js';
import type { VappCapture } from '../../vcd/index.js';
import type { RestorePlan } from '../plan-types.js';
import { putBack } from '../put-back.js';
import type { RebuiltVm } from '../rebuild-vm.js';
import { compareWithPoint, restoreResult } from '../restore-result.js';
import { buildVapp } from './build-vapp.js';
import type { RestoreContext } from './context.js';
import { nameTaking, nameWhileMaking, takeTheName } from './take-the-name.js';

/**
 * A vApp template into a catalog. VCD makes a template of several VMs from a vApp only: one is built and put back as it
 * is for a missing vApp, then captured, and deleted in any case. Template and vApp are owed to the end, so a restore
 * that fails or dies leaves neither.
 */
export async function restoreTemplate(context: RestoreContext): Promise<Record<string, unknown>> {
  const { plan, run, vcd, cloud } = context;
  const { place } = plan;
  const catalog = place?.catalog;
  if (place === undefined || catalog === undefined) throw new Error('A plan that can start names the catalog');
  const { rebuilt, vappHref, hrefs, vappDebt } = await buildVapp({ ...context, plan: { ...plan, keepIdentity: false } });
  await run.step('Put back what import does not carry', async () => {
    const standing = await vcd.captureVapp(vappHref, run.signal);
    await putBack(asSource(plan, standing), vappHref, hrefs, vcd, run.signal);
  });

  const name = nameWhileMaking(place.name, newId());
  const { templateHref, debt } = await run.step('Capture it into the catalog', () => capture(context, catalog.href, vappHref, name));
  await run.step('Put back settings of the template', async () => {
    // A catalog takes each name once: while the one it replaces stands, it keeps the name it was made under.
    const wanted = { ...plan.wanted, name: place.replaced === undefined ? place.name : name };
    await vcd.writeTemplate(templateHref, wanted, run.signal);
    if (plan.owner !== undefined) await vcd.writeOwner(templateHref, plan.owner.href, run.signal);
  });
  const underway = { ...context, plan: place.replaced === undefined ? plan : { ...plan, vappName: name } };
  const comparison = await compareWithPoint(underway, templateHref, {
    noun: 'vApp template',
    read: (href, signal) => vcd.captureVappTemplate(href, signal),
  });
  const { vappHref: _, vappId, vappName: __, ...report } = restoreResult(context, comparison, rebuilt, 0);
  const result = { templateHref, templateId: vappId, templateName: place.name, catalogName: catalog.name, ...report };

  const [replacement] = await run.step('Hand over', async () => {
    await recordTemplateIdentity(context, rebuilt, comparison.now);
    return run.commit(result, [debt], nameTaking(cloud.cloudId, 'vapp-template', templateHref, place));
  });
  await run.step('Delete the vApp it was captured from', async () => {
    await vappDebt.pay();
    // Gone with it.
    for (const vm of rebuilt) await vm.debt.pay();
  });
  await takeTheName(run, replacement, `vApp template "${place.name}"`);
  return result;
}

/** The vApp that is captured: under its own name and lease, and nobody's but ours. What only the template has is written to the template. */
export function asSource(plan: RestorePlan, standing: Pick<VappCapture, 'name' | 'lease'>): RestorePlan {
  return {
    ...plan,
    vappName: standing.name,
    owner: undefined,
    wanted: {
      ...plan.wanted,
      kind: 'vapp',
      lease: standing.lease,
      metadata: [],
      access: { sharedToEveryone: false, grants: [] },
    },
  };
}

async function capture(
  { plan, run, vcd, cloud }: RestoreContext,
  catalogHref: string,
  vappHref: string,
  name: string,
): Promise<{ templateHref: string; debt: ObligationHandle }> {
  const debt = await owe(run.obligations, 'vcd.template', { cloudId: cloud.cloudId, catalogHref, vappHref, name });
  const { description } = plan.wanted;
  const { templateHref } = await vcd.createTemplate(
    { catalogHref, vappHref, name, ...(description !== undefined && { description }) },
    run.signal,
  );
  await debt.amend({ templateHref });
  return { templateHref, debt };
}

/** The chain goes on. VCD clones the VMs into the template: they have other MoRefs, instance UUIDs and ids than those that were built. */
async function recordTemplateIdentity(
  { plan, parts, cloud, run }: RestoreContext,
  rebuilt: readonly RebuiltVm[],
  now: VappCapture,
): Promise<void> {
  if (!plan.keepIdentity) return;
  await parts.catalog.addVappAlias(plan.content.vapp.id, cloud.cloudId, now.id);
  for (const { planned } of rebuilt) {
    const clone = now.vms.find((vm) => vm.name === planned.wanted.name);
    if (clone === undefined) continue;
    const { instanceUuid, moRef } = await plan.vcenter.readVm(clone.vim.vmMoRef, run.signal);
    await parts.catalog.addVmAliases(planned.manifest.vmId, {
      cloudId: cloud.cloudId,
      vcloudId: clone.id,
      instanceUuid,
      vcenterInstanceUuid: plan.vcenter.instanceUuid,
      moRef,
    });
  }
}
