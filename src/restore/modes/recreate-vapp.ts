import type { ObligationHandle } from '../../jobs/index.js';
import type { RestorePlan } from '../plan-types.js';
import { putBack } from '../put-back.js';
import { debtsOf } from '../rebuild-vm.js';
import { recordIdentity } from '../record-identity.js';
import { compareWithPoint, restoreResult } from '../restore-result.js';
import { buildVapp } from './build-vapp.js';
import { enterMaintenance, type RestoreContext } from './context.js';
import { commitRestore, powerOnRestored } from './power-on.js';
import { placeTaking, takeThePlace, withPoolAddresses } from './take-the-place.js';

/**
 * Deletes a vApp and creates it anew (guide, chapter 8, "Recovering an Older Version of a vApp"), in the careful
 * order: the new one is built beside the old and takes everything but what only one of two can have - name, MAC
 * and manual addresses. Only when it stands, and is the tenant's, is the old one deleted and the rest put back: a debt
 * from that instant on, so that a death in between leaves both for a moment, and never none.
 */
export async function recreateVapp(context: RestoreContext): Promise<Record<string, unknown>> {
  const { plan, run, vcd, cloud } = context;
  const old = plan.target;
  if (old === undefined) throw new Error('A plan to recreate a vApp names the one that is there');
  const { rebuilt, vappHref, hrefs, vappDebt } = await buildVapp(context);
  const maintenance = await enterMaintenance(context, vappHref);
  const temporaryName = (await vcd.captureVapp(vappHref, run.signal)).name;
  await run.step('Put back what import does not carry', () => putBack(besideTheOld(plan, temporaryName), vappHref, hrefs, vcd, run.signal));
  const standing = await vcd.captureVapp(vappHref, run.signal);
  const handedOver = await run.step('Hand over', async () => {
    await recordIdentity(context, rebuilt, standing);
    const result = { vappHref, vappId: standing.id, vappName: plan.vappName, vms: rebuilt.length, replacedVappHref: old.href };
    const place = placeTaking(plan, cloud.cloudId, { vappHref, oldVapp: old, oldVms: [], hrefs });
    return commitRestore(context, result, [...rebuilt.flatMap(debtsOf), vappDebt], [place]);
  });
  await takeThePlace(context, handedOver.next as ObligationHandle, `the old vApp "${old.name}"`);
  const result = restoreResult(context, await compareWithPoint(context, vappHref), rebuilt, 0);
  await maintenance?.pay();
  await powerOnRestored(context, vappHref, handedOver.powerOn);
  return { ...result, vappHref };
}

/** The plan without what VCD gives only once in an organization's network, and under the name it was imported by. */
function besideTheOld(plan: RestorePlan, name: string): RestorePlan {
  const vms = plan.wanted.vms.map(withPoolAddresses);
  return {
    ...plan,
    vappName: name,
    keepMacAddresses: false,
    wanted: { ...plan.wanted, name, vms },
    vms: plan.vms.map((vm) => ({ ...vm, wanted: withPoolAddresses(vm.wanted) })),
  };
}
