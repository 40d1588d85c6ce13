import { type Logger, newId } from '../common/index.js';
import type { ObligationHandle, ObligationLedger } from '../jobs/index.js';
import type { VsphereClientApi } from '../vsphere/index.js';
import { accessRequest, cleanUpLeftovers, type VddkUse } from './disk-access.js';
import { owe } from './obligations.js';

export interface VmAccess {
  vm: { moRef: string; name: string };
  cloudId: string;
  vcenter: Pick<VsphereClientApi, 'instanceUuid' | 'vixCredentials' | 'readVm'>;
  vddk: VddkUse;
  obligations: ObligationLedger;
  /** Whose `vddk.accesses.letGo` ends the process that keeps the VM where it is. */
  owner: string;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Keeps a VM where it is, once what moves it now has moved it (guide, chapter 4, "Prepare For Access and End Access").
 * @returns the debt of EndAccess
 * @throws VddkError; EndAccess is owed all the same.
 */
export async function prepareForAccess({ vm, cloudId, vcenter, obligations, owner, ...use }: VmAccess): Promise<ObligationHandle> {
  // Before: what dead processes had prepared is ended by it.
  await cleanUpLeftovers(vcenter, vm.moRef, use);
  // At most 50 characters.
  const identity = `vapp-vault-${newId()}`.slice(0, 50);
  const debt = await owe(obligations, 'vddk.access', {
    cloudId,
    vcenterInstanceUuid: vcenter.instanceUuid,
    vmMoRef: vm.moRef,
    vmName: vm.name,
    identity,
  });
  await use.vddk.accesses.prepare(owner, accessRequest(vcenter, vm.moRef, identity, use));
  return debt;
}
