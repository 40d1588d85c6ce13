import { newId } from '../common/index.js';
import { cleanUpLeftovers, owe, vixTarget, type CloudSessions } from '../clouds/index.js';
import type { ObligationHandle, RunContext } from '../jobs/index.js';
import { VddkHost } from '../vddk/index.js';
import type { BackupParts } from './parts.js';
import type { LocatedVm } from './snapshot-vms.js';

/**
 * Tells vCenter to keep the VMs where they are (guide, PrepareForAccess). One host process does it
 * for all VMs; the debt's payer starts its own to end it.
 */
export async function prepareForAccess(
  vms: readonly LocatedVm[],
  cloud: CloudSessions,
  run: RunContext,
  parts: BackupParts,
): Promise<ObligationHandle[]> {
  for (const { configuration, vcenter } of vms) await cleanUpLeftovers(vcenter, configuration.moRef, parts.vddk, run.log);
  const host = await VddkHost.start(parts.vddk, { log: run.log, signal: run.signal });
  try {
    const debts: ObligationHandle[] = [];
    for (const { configuration, vcenter } of vms) {
      // Identity of at most 50 characters; the same again in EndAccess.
      const identity = `vapp-vault-${newId()}`.slice(0, 50);
      const debt = await owe(run.obligations, 'vddk.access', {
        cloudId: cloud.cloudId,
        vcenterInstanceUuid: vcenter.instanceUuid,
        vmMoRef: configuration.moRef,
        vmName: configuration.name,
        identity,
      });
      await host.prepareForAccess(vixTarget(vcenter, configuration.moRef), identity, run.signal);
      debts.push(debt);
    }
    return debts;
  } finally {
    await host.stop();
  }
}
