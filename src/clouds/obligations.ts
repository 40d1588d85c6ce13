import type { Logger } from '../common/index.js';
import type { ObligationHandle, ObligationLedger, ObligationPayer } from '../jobs/index.js';
import { VddkHost, type VddkSettings } from '../vddk/index.js';
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
  /** A vApp being built by import. It is ours when it holds one of our VMs. */
  'vcd.vapp': { cloudId: string; vdcHref: string; vappName: string; vmMoRefs: string[]; vappHref?: string };
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

const payers: Payers = {
  'vcd.maintenance': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd();
    await vcd.exitMaintenanceMode(terms.vappHref, signal);
  },

  'vsphere.snapshot': async (terms, context, signal) => {
    const vcenter = await (await context.sessions(terms.cloudId)).vcenter(terms.vcenterInstanceUuid);
    const moRef = (await vcenter.findVmByInstanceUuid(terms.vmInstanceUuid, signal)) ?? undefined;
    if (moRef === undefined) return;
    for (const snapshot of await vcenter.listSnapshots(moRef, signal)) {
      if (snapshot.name === terms.snapshotName) await vcenter.removeSnapshot(moRef, snapshot.moRef, signal);
    }
  },

  'vddk.access': async (terms, context, signal, log) => {
    const vcenter = await (await context.sessions(terms.cloudId)).vcenter(terms.vcenterInstanceUuid);
    const host = await VddkHost.start(context.vddk(), { log, signal });
    try {
      await host.endAccess(vixTarget(vcenter, terms.vmMoRef), terms.identity, signal);
    } finally {
      await host.stop();
    }
  },

  'vsphere.vm': async (terms, context, signal) => {
    const vcenter = await (await context.sessions(terms.cloudId)).vcenter(terms.vcenterInstanceUuid);
    const moRef = terms.vmMoRef ?? (await vcenter.findVmInFolder(terms.folderMoRef, terms.vmName, signal));
    if (moRef !== undefined) await vcenter.destroyVm(moRef, signal);
  },

  'vcd.vapp': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd();
    const found = await vcd.findVapp(terms.vdcHref, terms.vappName, signal);
    if (found === undefined) return;
    const holdsOurs = found.vmMoRefs.some((moRef) => terms.vmMoRefs.includes(moRef));
    // A failed import leaves a vApp of status -1 or 0 without VMs (vCloud API, task failure).
    const isHalfMade = found.vmMoRefs.length === 0 && found.status <= 0;
    if (found.href === terms.vappHref || holdsOurs || isHalfMade) await vcd.deleteVapp(found.href, signal);
  },
};

/** The payers in the shape the jobs room registers. */
export function cloudPayers(context: PayerContext): Map<string, ObligationPayer> {
  return new Map(
    Object.entries(payers).map(([kind, pay]) => [
      kind,
      (terms: Record<string, unknown>, signal: AbortSignal, log: Logger) => pay(terms as never, context, signal, log),
    ]),
  );
}
