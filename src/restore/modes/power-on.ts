import { describeError } from '../../common/index.js';
import { follows } from '../../clouds/index.js';
import type { NewObligation, ObligationHandle } from '../../jobs/index.js';
import type { RestoreContext } from './context.js';

export interface HandedOver {
  /** Of what the restore had to carry on with; undefined where there was nothing. */
  next: ObligationHandle | undefined;
  powerOn: ObligationHandle | undefined;
}

/**
 * Commits a restore that makes or changes a vApp. Powering it on, where it was asked for, is owed from that instant on: whoever
 * finds the run goes on with it.
 * @param next what has to be carried on with first, as one debt at most
 */
export async function commitRestore(
  { run, plan, payload, cloud }: RestoreContext,
  result: { vappHref: string } & Record<string, unknown>,
  kept: readonly ObligationHandle[],
  next: readonly NewObligation[] = [],
): Promise<HandedOver> {
  const terms = { cloudId: cloud.cloudId, vappHref: result.vappHref, vappName: plan.vappName };
  const powerOn = payload.powerOn ? [follows('vcd.power-on', terms)] : [];
  // Debts are paid newest first: what takes the place of something old has it before it runs.
  const debts = await run.commit(result, kept, [...powerOn, ...next]);
  return { next: debts[powerOn.length], powerOn: powerOn.length === 0 ? undefined : debts[0] };
}

/**
 * The vApp is restored whatever becomes of this. A failure is told and not tried again: nobody expects the vApp to be powered on
 * hours later. Not by the debt's payer, which has not the time that a long start order takes.
 */
export async function powerOnRestored(
  { run, plan, vcd }: RestoreContext,
  vappHref: string,
  debt: ObligationHandle | undefined,
): Promise<void> {
  if (debt === undefined) return;
  await run.step('Power on', async () => {
    try {
      await vcd.powerOn(vappHref, run.signal);
    } catch (error) {
      if (run.signal.aborted) throw error;
      run.warn(`vApp "${plan.vappName}" is restored and could not be powered on: ${describeError(error)}`);
    }
    await debt.settle();
  });
}
