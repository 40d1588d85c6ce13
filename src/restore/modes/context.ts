import type { CloudSessions } from '../../clouds/index.js';
import { owe } from '../../clouds/index.js';
import type { ObligationHandle, RunContext } from '../../jobs/index.js';
import type { VcdClientApi } from '../../vcd/index.js';
import type { RestoreParts } from '../parts.js';
import type { RestorePlan } from '../plan-types.js';
import type { RestorePayload } from '../restore-request.js';

/** What every way of restoring is given. */
export interface RestoreContext {
  plan: RestorePlan;
  payload: RestorePayload;
  run: RunContext;
  parts: RestoreParts;
  cloud: CloudSessions;
  vcd: VcdClientApi;
}

/** How long a task that somebody else began may still take before a vApp is written over. */
export const TASK_WAIT_MS = 30 * 60_000;

/** Keeps tenants away while a vApp is changed (guide, chapter 8, "To restore an existing vApp", step 5). Undefined: somebody else does already. */
export async function enterMaintenance({ cloud, run, vcd, plan }: RestoreContext, vappHref: string): Promise<ObligationHandle | undefined> {
  return run.step('Enter maintenance mode', async () => {
    if (await vcd.inMaintenanceMode(vappHref, run.signal)) return undefined;
    const debt = await owe(run.obligations, 'vcd.maintenance', { cloudId: cloud.cloudId, vappHref, vappName: plan.vappName });
    await vcd.enterMaintenanceMode(vappHref, run.signal);
    return debt;
  });
}
