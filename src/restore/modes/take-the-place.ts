import { describeError } from '../../common/index.js';
import { follows, type ObligationTerms } from '../../clouds/index.js';
import type { NewObligation, ObligationHandle } from '../../jobs/index.js';
import type { NicConnection, VmCapture } from '../../vcd/index.js';
import type { RestorePlan } from '../plan-types.js';
import type { RestoreContext } from './context.js';

/** What goes, and what stands in its place already. */
export interface PlaceToTake {
  /** The vApp that stays: the new one, or the one with the new VMs in it. */
  vappHref: string;
  oldVapp?: { href: string; name: string };
  oldVms: readonly { href: string; name: string }[];
  /** Captured VM id -> address of the VM that stands for it now. */
  hrefs: ReadonlyMap<string, string>;
}

/** As a VM has to be while the one it replaces is there: no address that can be given only once. */
export function withPoolAddresses(vm: VmCapture): VmCapture {
  const nics = vm.nics.map((nic): NicConnection => {
    if (nic.allocationMode !== 'MANUAL') return nic;
    const { ipAddress: _address, ...rest } = nic;
    return { ...rest, allocationMode: 'POOL' };
  });
  return { ...vm, nics };
}

/**
 * The last steps of a restore that replaces something, as a debt that begins with its commit: before that instant the
 * old one must not be touched, from then on nobody may forget it. Pass it to `RunContext.commit` as one that follows.
 */
export function placeTaking(plan: RestorePlan, cloudId: string, place: PlaceToTake): NewObligation {
  const vms = plan.vms.flatMap(({ captured, wanted }) => {
    const href = place.hrefs.get(captured.id);
    return href === undefined ? [] : [{ href, name: wanted.name, nics: wanted.nics }];
  });
  const names = new Set(vms.map(({ name }) => name));
  const terms: ObligationTerms['vcd.replace'] = {
    cloudId,
    vappHref: place.vappHref,
    vappName: plan.vappName,
    renames: place.oldVapp !== undefined,
    ...(place.oldVapp !== undefined && { oldVappHref: place.oldVapp.href }),
    oldVmHrefs: place.oldVms.map(({ href }) => href),
    keepMacAddresses: plan.keepMacAddresses,
    vms,
    startup: plan.wanted.startup.filter(({ vmName }) => names.has(vmName)),
  };
  return follows('vcd.replace', terms);
}

/**
 * Deletes what is old and gives the new one its name and addresses. A failure is said and tried again after the run's
 * end: what was restored stands, and must not be taken away for it.
 */
export async function takeThePlace({ run, plan }: RestoreContext, debt: ObligationHandle, old: string): Promise<void> {
  try {
    await run.step(`Put in the place of ${old}`, () => debt.pay());
  } catch (error) {
    if (run.signal.aborted) throw error;
    run.warn(`vApp "${plan.vappName}" is restored beside ${old}, which is still there: ${describeError(error)}`);
  }
}
