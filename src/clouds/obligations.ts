import type { Logger } from '../common/index.js';
import type { NewObligation, ObligationHandle, ObligationLedger, ObligationPayer, PayerOptions } from '../jobs/index.js';
import { filterValue, sameEntity, VcdError, type VcdClientApi } from '../vcd/index.js';
import { type VsphereClientApi, VsphereError } from '../vsphere/index.js';
import { VddkError } from '../vddk/index.js';
import { completeReplacement, type Replacement } from './replacement.js';
import {
  completeItemReplacement,
  type ItemReplacement,
  type UnfinishedMedia,
  type UnfinishedTemplate,
  undoMedia,
  undoTemplate,
} from './catalog-items.js';
import { accessRequest, type VddkUse } from './disk-access.js';
import { undoDisk, undoDiskSnapshot } from './first-class-disk-debts.js';
import { unlessVappGone } from './gone.js';
import type { CloudSessions } from './types.js';

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
    /** Made below a restore over SAN: what hangs on it is thrown away first (guide, Table 7-4). */
    revert?: boolean;
  };
  /**
   * A snapshot of a first class disk, by its unique description. `revert`: made below a restore in place, so what was
   * written since is thrown away first, and the disk is as it was.
   */
  'vsphere.disk-snapshot': {
    cloudId: string;
    vcenterInstanceUuid: string;
    datastoreMoRef: string;
    diskId: string;
    diskName: string;
    description: string;
    revert?: boolean;
  };
  /** A first class disk being made, under a name nobody else uses until its id is known. */
  'vsphere.disk': { cloudId: string; vcenterInstanceUuid: string; datastoreMoRef: string; diskName: string; diskId?: string };
  /** Change tracking that a restore turned off to write whole disks. */
  'vsphere.tracking': {
    cloudId: string;
    vcenterInstanceUuid: string;
    vmMoRef: string;
    /** Registered anew, it has another MoRef, and its own may be another VM's. Absent in debts of earlier releases. */
    vmInstanceUuid?: string;
    vmName: string;
  };
  /** PrepareForAccess was called: vMotion is disabled until EndAccess (guide, chapter 4). */
  'vddk.access': { cloudId: string; vcenterInstanceUuid: string; vmMoRef: string; vmName: string; identity: string };
  /** A medium whose bytes VCD keeps ready to be fetched, on its transfer space, until it is told to stop. */
  'vcd.download': { cloudId: string; mediaHref: string; mediaName: string };
  /** A VM being rebuilt, under a name nobody else uses. */
  'vsphere.vm': { cloudId: string; vcenterInstanceUuid: string; folderMoRef: string; vmName: string; vmMoRef?: string };
  /** A vApp being built by import, under a name nobody else uses until its address is known. */
  'vcd.vapp': { cloudId: string; vdcHref: string; vappName: string; vappHref?: string };
  /** A VM being imported into a vApp that stays, under a name nobody else uses until its address is known. */
  'vcd.vm': { cloudId: string; vappHref: string; vmName: string; vmHref?: string };
  /** A standalone VM being imported, under a name nobody else uses until its address is known; VCD's vApp around it goes with it. */
  'vcd.standalone': { cloudId: string; vdcHref: string; vmName: string; vmHref?: string; vappHref?: string };
  /**
   * A named disk being made, under a name nobody else uses until its address is known, and attached to a VM from when that
   * VM is named here. `borrowed`: it is somebody's, so it is only given back: detached and not deleted.
   */
  'vcd.disk': {
    cloudId: string;
    vdcHref: string;
    diskName: string;
    diskHref?: string;
    vappHref?: string;
    vmHref?: string;
    borrowed?: boolean;
  };
  /** Not an undoing but a carrying on: a restored vApp, or VM, stands and has not yet the place of the one it replaces. */
  'vcd.replace': Replacement;
  /** A carrying on as well: a restored vApp that is to run. Owed from the commit on, and done by the run itself where it lives on. */
  'vcd.power-on': { cloudId: string; vappHref: string; vappName: string };
  'vcd.template': UnfinishedTemplate;
  'vcd.media': UnfinishedMedia;
  /** A carrying on as well, in a catalog. */
  'vcd.replace-item': ItemReplacement;
}

export type ObligationKind = keyof ObligationTerms;

export function owe<K extends ObligationKind>(ledger: ObligationLedger, kind: K, terms: ObligationTerms[K]): Promise<ObligationHandle> {
  return ledger.owe(kind, terms);
}

/** A debt that begins with a run's commit. */
export function follows<K extends ObligationKind>(kind: K, terms: ObligationTerms[K]): NewObligation {
  return { kind, terms: { ...terms } };
}

interface PayerContext {
  sessions: (cloudId: string) => Promise<CloudSessions>;
  /** @throws CloudError VDDK_NOT_CONFIGURED: the debt stays until a worker with VDDK finds it. */
  vddk: () => VddkUse;
}

type Payers = {
  [K in ObligationKind]: (
    terms: ObligationTerms[K],
    context: PayerContext,
    signal: AbortSignal,
    log: Logger,
  ) => ReturnType<ObligationPayer>;
};

/** How long what was under way may still take while the debt waits: below the time a payer has in all. */
const TASKS_END_TIMEOUT_MS = 4 * 60_000;

const payers: Payers = {
  'vcd.maintenance': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd(signal);
    const entered = await inMaintenanceMode(vcd, terms.vappHref, signal);
    await vcd.exitMaintenanceMode(terms.vappHref, signal);
    return entered ? 'undone' : undefined;
  },

  'vsphere.snapshot': async (terms, context, signal) => {
    const vcenter = await (await context.sessions(terms.cloudId)).vcenter(terms.vcenterInstanceUuid, signal);
    const moRef = (await vcenter.findVmByInstanceUuid(terms.vmInstanceUuid, signal)) ?? undefined;
    if (moRef === undefined) return undefined;
    // Whoever died may have asked for it and not seen it made.
    await vcenter.letTasksEnd({ type: 'VirtualMachine', moRef }, TASKS_END_TIMEOUT_MS, signal);
    const ours = (await vcenter.listSnapshots(moRef, signal)).filter(({ name }) => name === terms.snapshotName);
    for (const snapshot of ours) {
      // "If you forget the snapshot revert, snapshot delete will fail due to CID mismatch" (guide, "Restoring a Virtual Machine and Disk").
      if (terms.revert === true) await vcenter.revertToSnapshot(moRef, snapshot.moRef, signal);
      await vcenter.removeSnapshot(moRef, snapshot.moRef, signal);
    }
    return ours.length > 0 ? 'undone' : undefined;
  },

  'vsphere.disk-snapshot': async (terms, context, signal) => {
    const vcenter = await (await context.sessions(terms.cloudId)).vcenter(terms.vcenterInstanceUuid, signal);
    return undoDiskSnapshot(terms, vcenter.firstClassDisks, TASKS_END_TIMEOUT_MS, signal);
  },

  'vsphere.disk': async (terms, context, signal) => {
    const vcenter = await (await context.sessions(terms.cloudId)).vcenter(terms.vcenterInstanceUuid, signal);
    return undoDisk(terms, vcenter.firstClassDisks, TASKS_END_TIMEOUT_MS, signal);
  },

  'vsphere.tracking': async (terms, context, signal) => {
    const vcenter = await (await context.sessions(terms.cloudId)).vcenter(terms.vcenterInstanceUuid, signal);
    const { vmInstanceUuid } = terms;
    const moRef = vmInstanceUuid === undefined ? terms.vmMoRef : await vcenter.findVmByInstanceUuid(vmInstanceUuid, signal);
    if (moRef === undefined) return undefined;
    // Whoever died may have asked for it to be turned off and not seen it done.
    await vcenter.letTasksEnd({ type: 'VirtualMachine', moRef }, TASKS_END_TIMEOUT_MS, signal);
    try {
      if ((await vcenter.readVm(moRef, signal)).changeTrackingEnabled) return undefined;
      await vcenter.enableChangeTracking(moRef, signal);
    } catch (error) {
      if (error instanceof VsphereError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
    return 'undone';
  },

  'vddk.access': async (terms, context, signal, log) => {
    const vcenter = await (await context.sessions(terms.cloudId)).vcenter(terms.vcenterInstanceUuid, signal);
    const vddk = context.vddk();
    try {
      await vddk.accesses.end(accessRequest(vcenter, terms.vmMoRef, terms.identity, { vddk, log, signal }));
    } catch (error) {
      // A VM that is gone has no vMotion to be given back.
      if (!(error instanceof VddkError && error.code === 'VIX_VM_NOT_FOUND')) throw error;
    }
  },

  'vcd.download': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd(signal);
    await vcd.endMediaDownload(terms.mediaHref, signal);
  },

  'vsphere.vm': async (terms, context, signal) => {
    const vcenter = await (await context.sessions(terms.cloudId)).vcenter(terms.vcenterInstanceUuid, signal);
    if (terms.vmMoRef === undefined) {
      // CreateVM_Task is a task of the folder: the VM may still be on its way.
      await vcenter.letTasksEnd({ type: 'Folder', moRef: terms.folderMoRef }, TASKS_END_TIMEOUT_MS, signal);
    }
    const moRef = terms.vmMoRef ?? (await vmByFolder(vcenter, terms, signal));
    if (moRef === undefined) return undefined;
    await vcenter.destroyVm(moRef, signal);
    return 'undone';
  },

  'vcd.vapp': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd(signal);
    // By address where it is known: its name changes before the end, and anybody may change it.
    const href = terms.vappHref ?? (await vcd.findVapp(terms.vdcHref, terms.vappName, signal))?.href;
    if (href === undefined) return undefined;
    await letTasksEnd(vcd, href, signal);
    await vcd.deleteVapp(href, signal);
    return 'undone';
  },

  'vcd.vm': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd(signal);
    await letTasksEnd(vcd, terms.vappHref, signal);
    const href = terms.vmHref ?? (await vmByName(vcd, terms.vappHref, terms.vmName, signal));
    if (href === undefined) return undefined;
    await vcd.deleteVm(href, signal);
    return 'undone';
  },

  'vcd.standalone': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd(signal);
    const vappHref = terms.vappHref ?? (await standaloneByName(vcd, terms, signal));
    if (vappHref === undefined) return undefined;
    await letTasksEnd(vcd, vappHref, signal);
    await vcd.deleteVapp(vappHref, signal);
    return 'undone';
  },

  'vcd.disk': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd(signal);
    // Whoever died may have asked for it to be attached and not seen it done.
    if (terms.vappHref !== undefined) await letTasksEnd(vcd, terms.vappHref, signal);
    const hrefs =
      terms.diskHref === undefined
        ? (await vcd.findNamedDisks(terms.vdcHref, terms.diskName, signal)).map((disk) => disk.href)
        : [terms.diskHref];
    for (const href of hrefs) {
      if (terms.vmHref !== undefined) await detachFrom(vcd, terms.vmHref, href, signal);
      if (terms.borrowed !== true) await vcd.deleteNamedDisk(href, signal);
    }
    return hrefs.length > 0 ? 'undone' : undefined;
  },

  'vcd.replace': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd(signal);
    await completeReplacement(terms, vcd, TASKS_END_TIMEOUT_MS, signal);
    // Nothing was undone, and a late request of its asks for the same.
    return 'undone';
  },

  'vcd.power-on': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd(signal);
    // Whoever died may have asked for it; VCD refuses another task meanwhile, and a vApp that runs is left alone.
    await letTasksEnd(vcd, terms.vappHref, signal);
    await unlessVappGone(() => vcd.powerOn(terms.vappHref, signal));
    // Looked at once more, it would be powered on again under somebody who has powered it off since.
    return 'undone';
  },

  'vcd.template': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd(signal);
    await undoTemplate(terms, vcd, TASKS_END_TIMEOUT_MS, signal);
  },

  'vcd.media': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd(signal);
    await undoMedia(terms, vcd, signal);
  },

  'vcd.replace-item': async (terms, context, signal) => {
    const vcd = await (await context.sessions(terms.cloudId)).vcd(signal);
    await completeItemReplacement(terms, vcd, TASKS_END_TIMEOUT_MS, signal);
    return 'undone';
  },
};

/**
 * Debts of what becomes a tenant's when its run commits, and how a person finds it. What the others name is gone after the run's end,
 * bears a name nobody else gives, or takes no harm: they may be paid at any time.
 */
const mayBeInUse: { [K in ObligationKind]: ((terms: ObligationTerms[K]) => string) | undefined } = {
  'vcd.maintenance': undefined,
  'vsphere.snapshot': undefined,
  'vsphere.disk-snapshot': undefined,
  'vsphere.tracking': undefined,
  'vddk.access': undefined,
  'vcd.download': undefined,
  'vsphere.disk': ({ diskName, diskId }) => found('first class disk', diskName, diskId),
  'vsphere.vm': ({ vmName, vmMoRef }) => found('VM', vmName, vmMoRef),
  'vcd.vapp': ({ vappName, vappHref }) => found('vApp', vappName, vappHref),
  'vcd.vm': ({ vmName, vmHref, vappHref }) => found('VM', vmName, vmHref ?? `in ${vappHref}`),
  'vcd.standalone': ({ vmName, vmHref }) => found('standalone VM', vmName, vmHref),
  'vcd.disk': ({ diskName, diskHref }) => found('named disk', diskName, diskHref),
  'vcd.replace': ({ vappName, vappHref }) => `${found('vApp', vappName, vappHref)}, and what it or its VMs were to replace`,
  'vcd.power-on': ({ vappName, vappHref }) => `${found('vApp', vappName, vappHref)}, which was to be powered on`,
  'vcd.template': ({ name, templateHref }) => found('vApp template', name, templateHref),
  'vcd.media': ({ name, mediaHref }) => found('medium', name, mediaHref),
  'vcd.replace-item': ({ kind, name, entityHref, oldEntityHref }) =>
    `${found(kind === 'media' ? 'medium' : 'vApp template', name, entityHref)}, which was to replace ${oldEntityHref}`,
};

/** Names change, and an import bears one of its own at first: the address is told where it is known. */
function found(what: string, name: string, address: string | undefined): string {
  return address === undefined ? `${what} "${name}"` : `${what} "${name}", ${address}`;
}

/** A VM that went took its hold on the disk with it. */
async function detachFrom(vcd: VcdClientApi, vmHref: string, diskHref: string, signal: AbortSignal): Promise<void> {
  try {
    await vcd.detachNamedDisk(vmHref, diskHref, signal);
  } catch (error) {
    if (!(error instanceof VcdError && error.saysGone)) throw error;
  }
}

/** The vApp that VCD made around the VM of that name. */
async function standaloneByName(
  vcd: VcdClientApi,
  { vdcHref, vmName }: ObligationTerms['vcd.standalone'],
  signal: AbortSignal,
): Promise<string | undefined> {
  for await (const vm of vcd.vms(`name==${filterValue(vmName, vcd.apiVersion)}`, signal)) {
    if (!sameEntity(vm.vdcId, vdcHref)) continue;
    for await (const vapp of vcd.vapps(vcd.idFilter([vm.vappId]), signal)) return vapp.href;
  }
  return undefined;
}

/** With its folder, a VM that never stood went too. */
async function vmByFolder(
  vcenter: VsphereClientApi,
  { folderMoRef, vmName }: ObligationTerms['vsphere.vm'],
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return await vcenter.findVmInFolder(folderMoRef, vmName, signal);
  } catch (error) {
    if (error instanceof VsphereError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function inMaintenanceMode(vcd: VcdClientApi, vappHref: string, signal: AbortSignal): Promise<boolean> {
  return (await unlessVappGone(() => vcd.inMaintenanceMode(vappHref, signal))) === true;
}

async function vmByName(vcd: VcdClientApi, vappHref: string, name: string, signal: AbortSignal): Promise<string | undefined> {
  return (await unlessVappGone(() => vcd.captureVapp(vappHref, signal)))?.vms.find((vm) => vm.name === name)?.href;
}

/** A vApp that VCD still works on is busy: VCD would refuse to delete it. */
async function letTasksEnd(vcd: VcdClientApi, vappHref: string, signal: AbortSignal): Promise<void> {
  await unlessVappGone(() => vcd.waitForRunningTasks(vappHref, TASKS_END_TIMEOUT_MS, signal));
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

export function payerOptions(kind: string): PayerOptions {
  const describe = mayBeInUse[kind as ObligationKind];
  return { system, ...(describe !== undefined && { mayBeInUse: describe as (terms: never) => string }) };
}

/** A vCenter, which may hang while its VCD answers, or the VCD. */
function system({ cloudId, vcenterInstanceUuid }: { cloudId: string; vcenterInstanceUuid?: string }): string {
  return vcenterInstanceUuid === undefined ? `cloud ${cloudId}` : `vCenter ${vcenterInstanceUuid} of cloud ${cloudId}`;
}
