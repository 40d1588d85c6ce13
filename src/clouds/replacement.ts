import type { NicConnection, StartupItem, VcdClientApi, VmCapture } from '../vcd/index.js';
import { unlessVappGone } from './gone.js';

/**
 * What takes the place of something old, and stands already: the last steps of a restore that replaces a vApp or VMs
 * of one. They are owed from the instant of its commit, because whoever finds the run afterwards has to go on with
 * them. Small, and without secrets: everything else was put back before.
 */
export type Replacement = {
  cloudId: string;
  /** The vApp that stays: the new one, or the one with the new VMs in it. */
  vappHref: string;
  /** For people, and the vApp's name from then on where `renames`. */
  vappName: string;
  renames: boolean;
  /** Deleted first: what only one of two can have becomes free by it. */
  oldVappHref?: string;
  oldVmHrefs: string[];
  keepMacAddresses: boolean;
  vms: { href: string; name: string; nics: NicConnection[] }[];
  /** Of the VMs above, by their final names. */
  startup: StartupItem[];
};

/**
 * Deletes what is old, then gives the new one what the old one had. Each part that is done already is passed over, so
 * that a payment that ran out of time is carried on and not begun again.
 */
export async function completeReplacement(
  terms: Replacement,
  vcd: VcdClientApi,
  tasksTimeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  // A task that a dead worker began may still run, and VCD refuses another one meanwhile. Somebody who deleted the new
  // vApp wants to keep the old one.
  if (!(await isThereAndAtRest(vcd, terms.vappHref, tasksTimeoutMs, signal))) return;
  if (terms.oldVappHref !== undefined && (await isThereAndAtRest(vcd, terms.oldVappHref, tasksTimeoutMs, signal))) {
    await vcd.deleteVapp(terms.oldVappHref, signal);
  }
  for (const href of terms.oldVmHrefs) await vcd.deleteVm(href, signal);
  if (terms.renames) await vcd.writeVapp(terms.vappHref, { name: terms.vappName }, signal);
  const today = await unlessVappGone(() => vcd.captureVapp(terms.vappHref, signal));
  if (today === undefined) return;
  for (const vm of terms.vms) {
    const present = today.vms.find(({ href }) => href === vm.href);
    if (present === undefined || isAsWanted(present, vm, terms.keepMacAddresses)) continue;
    // Today's own description and policies go along unchanged; sections that are not sent stay.
    const settings = { ...present, name: vm.name, nics: vm.nics, sections: {} };
    await vcd.writeVm(vm.href, settings, { keepMacAddresses: terms.keepMacAddresses }, signal);
  }
  await putStartOrder(terms, vcd, signal);
}

function isAsWanted(present: VmCapture, wanted: Replacement['vms'][number], keepMacAddresses: boolean): boolean {
  const facts = ({ index, network, connected, allocationMode, primary, ipAddress, macAddress }: NicConnection) => [
    index,
    network,
    connected,
    allocationMode,
    primary,
    allocationMode === 'MANUAL' ? ipAddress : undefined,
    keepMacAddresses ? macAddress?.toLowerCase() : undefined,
  ];
  const all = (nics: readonly NicConnection[]) => JSON.stringify([...nics].sort((one, other) => one.index - other.index).map(facts));
  return present.name === wanted.name && all(present.nics) === all(wanted.nics);
}

/** By the final names: VCD takes a VM's place in the start order away with the VM. */
async function putStartOrder(terms: Replacement, vcd: VcdClientApi, signal: AbortSignal): Promise<void> {
  const today = await unlessVappGone(() => vcd.captureVapp(terms.vappHref, signal));
  if (today === undefined) return;
  const names = new Set(today.vms.map(({ name }) => name));
  const wanted = terms.startup.filter(({ vmName }) => names.has(vmName));
  const own = new Set(wanted.map(({ vmName }) => vmName));
  const isSame = wanted.every((item) => today.startup.some((present) => sameItem(present, item)));
  if (isSame) return;
  await vcd.writeStartup(terms.vappHref, [...wanted, ...today.startup.filter(({ vmName }) => !own.has(vmName))], signal);
}

function sameItem(one: StartupItem, other: StartupItem): boolean {
  const facts = (item: StartupItem) =>
    JSON.stringify([item.vmName, item.order, item.startAction, item.startDelaySeconds, item.stopAction, item.stopDelaySeconds]);
  return facts(one) === facts(other);
}

async function isThereAndAtRest(vcd: VcdClientApi, vappHref: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const answer = await unlessVappGone(async () => {
    await vcd.waitForRunningTasks(vappHref, timeoutMs, signal);
    return true;
  });
  return answer === true;
}
