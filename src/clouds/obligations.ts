import type { Logger } from '../common/index.js';
import type { ObligationHandle, ObligationLedger, ObligationPayer } from '../jobs/index.js';
import { VcdError, type VcdClientApi } from '../vcd/index.js';
import { VddkError, VddkHost, type VddkSettings } from '../vddk/index.js';
import type { CloudSessions } from './types.js';
import { vixTarget } from './vix-target.js';

/**
 * Everything this service can owe a cloud, and how each debt is paid. A debt is written down
 * before the thing it names is made (plan, promise 2); the same code pays it in the ordinary
 * clean-up and, after a death, in whichever worker finds it. Every payer succeeds when there is
 * nothing left to undo.
 */
export interface ObligationTerms {
  /** A vApp we put into maintenance mode. */
  'vcd.maintenance': { cloudId: string; vappHref: string; vappName: string };
  /** A snapshot by its unique name: its MoRef is not known before it is made. */
  'vsphere.snapshot': {
    cloudId: string;
    vcenterInstanceUuid: string;
    vmMoRef: string;
    vmInstanceUuid: string;
    vmName: string;
    snapshotName: string;
  };
  /** PrepareForAccess was called: vMotion is disabled until EndAccess (guide, chapter 4). */
  'vddk.access': { cloudId: string; vcenterInstanceUuid: string; vmMoRef: string; vmName: string; identity: string };
  /** A VM being rebuilt, under a name nobody else uses. */
  'vsphere.vm': { cloudId: string; vcenterInstanceUuid: string; folderMoRef: string; vmName: string; vmMoRef?: string };
  /** A vApp being built by import, under a name nobody else uses until its address is known. */
  'vcd.vapp': { cloudId: string; vdcHref: string; vappName: string; vappHref?: string };
  /** A VM being imported into a vApp that stays, under a name nobody else uses until its address is known. */
  'vcd.vm': { cloudId: string; vappHref: string; vmName: string; vmHref?: string };
}

export type ObligationKind = keyof ObligationTerms;

export function owe<K extends ObligationKind>(ledger: ObligationLedger, kind: K, terms: ObligationTerms[K]): Promise<ObligationHandle> {
  return ledger.owe(kind, terms);
}

interface PayerContext {
  sessions: (cloudId: string) => Promise<CloudSessions>;
  /** @throws CloudError VDDK_NOT_CONFIGURED: the debt stays until a worker with VDDK finds it. */
  vddk: () => VddkSettings;
}

type Payers = {
  [K in ObligationKind]: (terms: ObligationTerms[K], context: PayerContext, signal: AbortSignal, log: Logger) => Promise<void>;
};

/** How long what was under way may still take while the debt waits: below the time a payer has in all. */
const TASKS_END_TIMEOUT_MS = 4 * 60_000;

const payers: Payers = {
  'vcd.maintenance': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd();
    await vcd.exitMaintenanceMode(terms.vappHref, signal);
  },

  'vsphere.snapshot': async (terms, context, signal) => {
    const vcenter = await (await context.sessions(terms.cloudId)).vcenter(terms.vcenterInstanceUuid);
    const moRef = (await vcenter.findVmByInstanceUuid(terms.vmInstanceUuid, signal)) ?? undefined;
    if (moRef === undefined) return;
    // Whoever died may have asked for it and not seen it made.
    await vcenter.letTasksEnd({ type: 'VirtualMachine', moRef }, TASKS_END_TIMEOUT_MS, signal);
    for (const snapshot of await vcenter.listSnapshots(moRef, signal)) {
      if (snapshot.name === terms.snapshotName) await vcenter.removeSnapshot(moRef, snapshot.moRef, signal);
    }
  },

  'vddk.access': async (terms, context, signal, log) => {
    const vcenter = await (await context.sessions(terms.cloudId)).vcenter(terms.vcenterInstanceUuid);
    const host = await VddkHost.start(context.vddk(), { log, signal });
    try {
      await host.endAccess(vixTarget(vcenter, terms.vmMoRef), terms.identity, signal);
    } catch (error) {
      // A VM that is gone has no vMotion to be given back.
      if (!(error instanceof VddkError && error.code === 'VIX_VM_NOT_FOUND')) throw error;
    } finally {
      await host.stop();
    }
  },

  'vsphere.vm': async (terms, context, signal) => {
    const vcenter = await (await context.sessions(terms.cloudId)).vcenter(terms.vcenterInstanceUuid);
    if (terms.vmMoRef === undefined) {
      // CreateVM_Task is a task of the folder: the VM may still be on its way.
      await vcenter.letTasksEnd({ type: 'Folder', moRef: terms.folderMoRef }, TASKS_END_TIMEOUT_MS, signal);
    }
    const moRef = terms.vmMoRef ?? (await vcenter.findVmInFolder(terms.folderMoRef, terms.vmName, signal));
    if (moRef !== undefined) await vcenter.destroyVm(moRef, signal);
  },

  'vcd.vapp': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd();
    // By address where it is known: its name changes before the end, and anybody may change it.
    const href = terms.vappHref ?? (await vcd.findVapp(terms.vdcHref, terms.vappName, signal))?.href;
    if (href === undefined) return;
    await letTasksEnd(vcd, href, signal);
    await vcd.deleteVapp(href, signal);
  },

  'vcd.vm': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd();
    await letTasksEnd(vcd, terms.vappHref, signal);
    const href = terms.vmHref ?? (await vmByName(vcd, terms.vappHref, terms.vmName, signal));
    if (href !== undefined) await vcd.deleteVm(href, signal);
  },
};

async function vmByName(vcd: VcdClientApi, vappHref: string, name: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    return (await vcd.captureVapp(vappHref, signal)).vms.find((vm) => vm.name === name)?.href;
  } catch (error) {
    if (error instanceof VcdError && error.code === 'VAPP_NOT_FOUND') return undefined;
    throw error;
  }
}

/** A vApp that VCD still works on is busy: VCD would refuse to delete it. */
async function letTasksEnd(vcd: VcdClientApi, vappHref: string, signal: AbortSignal): Promise<void> {
  try {
    await vcd.waitForRunningTasks(vappHref, TASKS_END_TIMEOUT_MS, signal);
  } catch (error) {
    if (!(error instanceof VcdError && error.code === 'VAPP_NOT_FOUND')) throw error;
  }
}

/** The payers in the shape the jobs room registers. */
export function cloudPayers(context: PayerContext): Map<string, ObligationPayer> {
  return new Map(
    Object.entries(payers).map(([kind, pay]) => [
      kind,
      (terms: Record<string, unknown>, signal: AbortSignal, log: Logger) => pay(terms as never, context, signal, log),
    ]),
  );
}
