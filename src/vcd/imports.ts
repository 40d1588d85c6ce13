import { element, type XmlElement } from '../common/index.js';
import { moRefOf } from './capture-vm.js';
import { isGone, readVapp, type VcdContext } from './context.js';
import { type Begun, begunBy, CLEAN_UP_TIMEOUT_MS, finishCreation, sendOnce } from './creation.js';
import { badAnswer, VcdError } from './error.js';
import { findVapp } from './inventory.js';
import { deleteVapp, waitForRunningTasks } from './lifecycle.js';
import { under } from './links.js';
import { MEDIA, VCLOUD, VMEXT } from './namespaces.js';
import { cancelTask, runningTasksOfVapp, type TaskWait, taskOf, waitForTask } from './tasks.js';
import type { ImportVmAsVapp, ImportVmIntoVapp } from './types.js';

const FAILED_STATUS = new Set(['-1', '0']);

/**
 * Makes a vApp of a VM that vCenter has (guide, "Restoring vApps"). sourceMove takes the VM over as it
 * is, without a second copy of its disks.
 *
 * @throws VcdError DUPLICATE_NAME, TASK_FAILED …; whatever the failure, no half-made vApp stays behind.
 */
export async function importVmAsVapp(
  context: VcdContext,
  params: ImportVmAsVapp,
  signal?: AbortSignal,
): Promise<{ vappHref: string; vmHref: string }> {
  const subject = `vApp "${params.vappName}"`;
  const operation = `Importing VM ${params.vmMoRef} as ${subject}`;
  // Only when the name was free before can a vApp found after a lost answer be ours.
  if (await findVapp(context, params.vdcHref, params.vappName, signal)) {
    throw new VcdError(`${operation} failed: the VDC already has a vApp of that name.`, { code: 'DUPLICATE_NAME', subject, operation });
  }
  const begun = await postVappImport(context, params, operation, signal);
  const vappHref = begun.href;
  context.names.remember(vappHref, params.vappName);
  try {
    const read = async () => (await readVapp(context, vappHref, signal)).root;
    const finished = await finishCreation(context, begun, read, { operation, subject, signal }, runningTasksOfVapp);
    return { vappHref, vmHref: importedVm(finished, params.vmMoRef, new Set(), operation) };
  } catch (error) {
    await deleteHalfVapp(context, vappHref, operation);
    throw error;
  }
}

/** 201 with the vApp; where the answer was lost, the vApp of that name is ours, as there was none before. */
function postVappImport(context: VcdContext, params: ImportVmAsVapp, operation: string, signal?: AbortSignal): Promise<Begun> {
  const send = async (): Promise<Begun> => {
    const answer = await context.http.request({
      method: 'POST',
      href: under(params.vimServerHref, 'importVmAsVApp'),
      operation,
      subject: `vApp "${params.vappName}"`,
      body: importAsVappBody(params),
      contentType: MEDIA.importVmAsVapp,
      signal,
    });
    return begunBy(answer, 'VApp', operation);
  };
  const find = async (): Promise<Begun | undefined> => {
    const vapp = await findVapp(context, params.vdcHref, params.vappName, signal);
    return vapp && { href: vapp.href, tasks: [] };
  };
  return sendOnce(context, send, find, signal);
}

/** Imports a further VM. Answers 202 with a task. @throws VcdError; a half-made VM is removed. */
export async function importVmIntoExistingVapp(
  context: VcdContext,
  params: ImportVmIntoVapp,
  signal?: AbortSignal,
): Promise<{ vmHref: string }> {
  const before = (await readVapp(context, params.vappHref, signal)).root;
  const subject = context.names.label(params.vappHref);
  const operation = `Importing VM "${params.vmName}" (${params.vmMoRef}) into ${subject}`;
  const known = new Set(vmsOf(before).map((vm) => vm.attribute('href') ?? ''));
  const { taskPollMs: pollMs, taskTimeoutMs: timeoutMs } = context;
  const wait = { operation, subject, pollMs, timeoutMs, signal, cancelOnAbort: true };
  try {
    for (const task of await postVmImport(context, params, wait)) await waitForTask(context.http, task, wait);
    const finished = (await readVapp(context, params.vappHref, signal)).root;
    return { vmHref: importedVm(finished, params.vmMoRef, known, operation) };
  } catch (error) {
    await deleteHalfVms(context, params, known);
    throw error;
  }
}

/** @returns the task to wait for; none where the answer was lost and the VM is there all the same. */
function postVmImport(context: VcdContext, params: ImportVmIntoVapp, wait: TaskWait): Promise<XmlElement[]> {
  const { operation, subject, signal } = wait;
  const send = async (): Promise<XmlElement[]> => {
    const answer = await context.http.request({
      method: 'POST',
      href: under(params.vimServerHref, 'importVmIntoExistingVApp'),
      operation,
      subject,
      body: importIntoVappBody(params),
      contentType: MEDIA.importVmIntoExistingVapp,
      signal,
    });
    return [taskOf(answer, operation)];
  };
  const find = async (): Promise<XmlElement[] | undefined> => {
    const vapp = await waitForRunningTasks(context, params.vappHref, wait.timeoutMs, signal);
    return vmsOf(vapp).some((vm) => moRefOf(vm) === params.vmMoRef) ? [] : undefined;
  };
  return sendOnce(context, send, find, signal);
}

function vmsOf(vapp: XmlElement): XmlElement[] {
  return vapp.child('Children')?.childrenNamed('Vm') ?? [];
}

/** By moRef, which sourceMove keeps; where VCD had to move the VM to another place, the one that is new. */
function importedVm(vapp: XmlElement, moRef: string, known: ReadonlySet<string>, operation: string): string {
  const vms = vmsOf(vapp);
  const fresh = vms.filter((vm) => !known.has(vm.attribute('href') ?? ''));
  const found = vms.find((vm) => moRefOf(vm) === moRef) ?? (fresh.length === 1 ? fresh[0] : undefined);
  const href = found?.attribute('href');
  if (href === undefined) throw badAnswer(operation, `the task succeeded and the vApp shows no VM with ${moRef}`);
  return href;
}

/**
 * An entity whose task did not succeed is "in an indeterminate state, and should be deleted" (vCloud API guide).
 * A clean-up that fails must not hide the error that made it necessary.
 */
async function deleteHalfVapp(context: VcdContext, vappHref: string, operation: string): Promise<void> {
  const signal = AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS);
  try {
    const { root } = await readVapp(context, vappHref, signal);
    for (const task of runningTasksOfVapp(root))
      await cancelTask(context.http, task, `${operation}: cancelling its task`).catch(() => undefined);
    await waitForRunningTasks(context, vappHref, CLEAN_UP_TIMEOUT_MS, signal);
    await deleteVapp(context, vappHref, signal);
  } catch {
    // The caller's obligation (the vApp's name in that VDC) is still on record and is paid later.
  }
}

async function deleteHalfVms(context: VcdContext, params: ImportVmIntoVapp, known: ReadonlySet<string>): Promise<void> {
  const signal = AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS);
  try {
    const vapp = await waitForRunningTasks(context, params.vappHref, CLEAN_UP_TIMEOUT_MS, signal);
    for (const vm of vmsOf(vapp)) {
      const href = vm.attribute('href') ?? '';
      if (known.has(href) || vm.attribute('name') !== params.vmName || !FAILED_STATUS.has(vm.attribute('status') ?? '')) continue;
      await context.http
        .request({ method: 'DELETE', href, operation: `Deleting the half-imported VM "${params.vmName}"`, signal })
        .catch((error) => {
          if (!isGone(error)) throw error;
        });
      await waitForRunningTasks(context, params.vappHref, CLEAN_UP_TIMEOUT_MS, signal);
    }
  } catch {
    // As above: the error that led here says more than the one of the clean-up.
  }
}

/** Element order and namespaces are the schema's (vmwextensions.xsd): Description is vcloud's, all else vmext's. */
export function importAsVappBody(params: ImportVmAsVapp): XmlElement {
  const { vappDescription, storageProfileHref } = params;
  return element(
    'ImportVmAsVAppParams',
    VMEXT,
    { name: params.vappName, deploy: false, powerOn: false, sourceMove: true },
    vappDescription === undefined ? undefined : element('Description', VCLOUD, {}, vappDescription),
    element('VmName', VMEXT, {}, params.vmName),
    optional('VAppScopedLocalId', params.localId),
    optional('ComputerName', params.computerName),
    element('VmMoRef', VMEXT, {}, params.vmMoRef),
    storageProfileHref === undefined ? undefined : element('VdcStorageProfile', VMEXT, { href: storageProfileHref }),
    element('Vdc', VMEXT, { href: params.vdcHref }),
  );
}

export function importIntoVappBody(params: ImportVmIntoVapp): XmlElement {
  const { storageProfileHref } = params;
  return element(
    'ImportVmIntoExistingVAppParams',
    VMEXT,
    { sourceMove: true },
    element('VmName', VMEXT, {}, params.vmName),
    optional('VmDescription', params.vmDescription),
    optional('VAppScopedLocalId', params.localId),
    optional('ComputerName', params.computerName),
    element('VmMoRef', VMEXT, {}, params.vmMoRef),
    storageProfileHref === undefined ? undefined : element('VdcStorageProfile', VMEXT, { href: storageProfileHref }),
    element('VApp', VMEXT, { href: params.vappHref }),
  );
}

function optional(local: string, value: string | undefined): XmlElement | undefined {
  return value === undefined ? undefined : element(local, VMEXT, {}, value);
}
