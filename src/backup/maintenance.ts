import type { CatalogVapp, ManifestContent } from '../catalog/index.js';
import { owe, type CloudSessions } from '../clouds/index.js';
import type { ObligationHandle, RunContext } from '../jobs/index.js';
import { VcdError, type VcdClientApi } from '../vcd/index.js';
import type { BackupSettings } from './backup-settings.js';

/** How long tenants are kept from changing the vApp (guide, chapter 8: "Putting a vApp in maintenance mode"). */
export interface MaintenanceMode {
  /** Gives the vApp back to its tenant, unless somebody else put it into maintenance mode. Twice is once. */
  leave(): Promise<void>;
  /** What the manifest says of it; undefined where the vApp has no maintenance mode. */
  describe(): ManifestContent['maintenance'];
}

/** @throws VcdError when VCD refuses; a standalone VM's hidden vApp may refuse, and is then backed up without. */
export async function enterMaintenance(
  vapp: CatalogVapp,
  cloud: CloudSessions,
  vcd: VcdClientApi,
  run: Pick<RunContext, 'obligations' | 'signal'>,
  options: { window: BackupSettings['maintenance']; warn: (message: string) => void },
): Promise<MaintenanceMode> {
  const enteredAt = new Date().toISOString();
  // Somebody else's maintenance mode is not ours to end.
  if (await vcd.inMaintenanceMode(vapp.href, run.signal)) return maintenanceMode(enteredAt, options.window, undefined);
  const debt = await owe(run.obligations, 'vcd.maintenance', { cloudId: cloud.cloudId, vappHref: vapp.href, vappName: vapp.name });
  try {
    await vcd.enterMaintenanceMode(vapp.href, run.signal);
  } catch (error) {
    if (vapp.kind !== 'standalone-vm' || !isRefusal(error)) throw error;
    // Paid, not settled: a task that failed late may have left it on.
    await debt.pay();
    options.warn(`VM "${vapp.name}" is backed up without maintenance mode, which VCD does not give a standalone VM: ${error.message}`);
    return { leave: async () => {}, describe: () => undefined };
  }
  return maintenanceMode(enteredAt, options.window, debt);
}

function maintenanceMode(enteredAt: string, window: BackupSettings['maintenance'], debt: ObligationHandle | undefined): MaintenanceMode {
  let leftAt: string | undefined;
  let left = false;
  return {
    async leave() {
      if (left) return;
      await debt?.pay();
      left = true;
      if (debt !== undefined) leftAt = new Date().toISOString();
    },
    describe: () => ({ enteredAt, alreadyOn: debt === undefined, window, ...(leftAt !== undefined && { leftAt }) }),
  };
}

/** VCD understood and said no: waiting, or logging in again, would not change that. */
function isRefusal(error: unknown): error is VcdError {
  return error instanceof VcdError && !error.retryable && !error.answerLost && error.httpStatus !== 401;
}
