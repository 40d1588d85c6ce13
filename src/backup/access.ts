import { type CloudSessions, prepareForAccess } from '../clouds/index.js';
import { newId } from '../common/index.js';
import type { ObligationHandle, RunContext } from '../jobs/index.js';
import type { BackupParts } from './parts.js';
import type { LocatedVm } from './snapshot-vms.js';

/** Keeps the VMs where they are. One process does it for all of them, until the run has ended and EndAccess was called. */
export async function prepareVms(
  vms: readonly LocatedVm[],
  cloud: CloudSessions,
  run: RunContext,
  { vddk }: BackupParts,
): Promise<ObligationHandle[]> {
  const { obligations, log, signal } = run;
  // Not the run's id: an attempt that was given up lets go of its own process, and not of that of the next attempt.
  const owner = newId();
  run.atEnd(() => vddk.accesses.letGo(owner));
  const debts: ObligationHandle[] = [];
  for (const { configuration: vm, vcenter } of vms) {
    debts.push(await prepareForAccess({ vm, cloudId: cloud.cloudId, vcenter, vddk, obligations, owner, log, signal }));
  }
  return debts;
}
