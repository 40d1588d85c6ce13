import { describeError } from '../../common/index.js';
import type { NicConnection, VmCapture } from '../../vcd/index.js';
import type { RestorePlan } from '../plan-types.js';
import { putBack } from '../put-back.js';
import { recordIdentity } from '../record-identity.js';
import { compareWithPoint, restoreResult } from '../restore-result.js';
import { buildVapp } from './build-vapp.js';
import { enterMaintenance, type RestoreContext } from './context.js';

/**
 * Deletes a vApp and creates it anew (guide, chapter 8, "Recovering an Older Version of a vApp"), in the careful
 * order: the new one is built beside the old and takes everything but what only one of two can have - name, MAC
 * and manual addresses. Only when it stands, and is the tenant's, is the old one deleted and the rest put back.
 * A death in between leaves both, never none.
 */
export async function recreateVapp(context: RestoreContext): Promise<Record<string, unknown>> {
  const { plan, run, vcd } = context;
  const old = plan.target;
  if (old === undefined) throw new Error('A plan to recreate a vApp names the one that is there');
  const { rebuilt, vappHref, vappDebt } = await buildVapp(context);
  const maintenance = await enterMaintenance(context, vappHref);
  const temporaryName = (await vcd.captureVapp(vappHref, run.signal)).name;
  await run.step('Put back what import does not carry', () => putBack(besideTheOld(plan, temporaryName), vappHref, vcd, run.signal));
  const standing = await vcd.captureVapp(vappHref, run.signal);
  await run.step('Hand over', async () => {
    await recordIdentity(context, rebuilt, standing);
    const result = { vappHref, vappId: standing.id, vappName: temporaryName, vms: rebuilt.length, replacedVappHref: old.href };
    await run.commit(result, [...rebuilt.map((vm) => vm.debt), vappDebt]);
  });
  const replaced = await attempt(context, `vApp "${old.name}" is restored as "${temporaryName}"; the old one could not be deleted`, () =>
    run.step('Delete the old vApp', () => vcd.deleteVapp(old.href, run.signal)),
  );
  if (replaced) {
    await attempt(context, `vApp "${temporaryName}" is restored and has not got back name and addresses of "${plan.vappName}"`, () =>
      run.step('Put back name and addresses', () => putBack(plan, vappHref, vcd, run.signal)),
    );
  }
  const result = restoreResult(context, await compareWithPoint(context, vappHref), rebuilt, 0);
  await maintenance?.pay();
  return { ...result, vappHref };
}

/** The plan without what VCD gives only once in an organization's network, and under the name it was imported by. */
export function besideTheOld(plan: RestorePlan, name: string): RestorePlan {
  const vms = plan.wanted.vms.map(withPoolAddresses);
  return {
    ...plan,
    vappName: name,
    keepMacAddresses: false,
    wanted: { ...plan.wanted, name, vms },
    vms: plan.vms.map((vm) => ({ ...vm, wanted: withPoolAddresses(vm.wanted) })),
  };
}

function withPoolAddresses(vm: VmCapture): VmCapture {
  const nics = vm.nics.map((nic): NicConnection => {
    if (nic.allocationMode !== 'MANUAL') return nic;
    const { ipAddress: _address, ...rest } = nic;
    return { ...rest, allocationMode: 'POOL' };
  });
  return { ...vm, nics };
}

/** The new vApp stands: what goes wrong afterwards must not take it away, and is said. */
async function attempt({ run }: RestoreContext, sentence: string, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (run.signal.aborted) throw error;
    run.warn(`${sentence}: ${describeError(error)}`);
    return false;
  }
}
