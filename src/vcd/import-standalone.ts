import { element, type XmlElement } from '../common/index.js';
import { readVm, type VcdContext } from './context.js';
import { begunBy, type Begun, CLEAN_UP_TIMEOUT_MS, finishCreation, sendOnce } from './creation.js';
import { waitUntilIdle } from './entity-tasks.js';
import { badAnswer } from './error.js';
import { vms } from './inventory.js';
import { deleteVm } from './lifecycle.js';
import { linkHref, sameEntity, under } from './links.js';
import { MEDIA, VCLOUD, VMEXT } from './namespaces.js';
import { filterValue } from './query.js';
import { cancelTask, runningTasks } from './tasks.js';
import type { ImportStandaloneVm } from './types.js';

/**
 * Makes a standalone VM of a VM that vCenter has (importVm, API 30.0): 201 with the Vm, in a hidden vApp (autoNature)
 * of VCD's own making. Names of standalone VMs are unique within a VDC.
 *
 * @throws VcdError DUPLICATE_NAME, TASK_FAILED …; whatever the failure, no half-made VM stays behind.
 */
export async function importStandaloneVm(
  context: VcdContext,
  params: ImportStandaloneVm,
  signal?: AbortSignal,
): Promise<{ vappHref: string; vmHref: string }> {
  const subject = `VM "${params.vmName}"`;
  const operation = `Importing VM ${params.vmMoRef} as standalone ${subject}`;
  const before = new Set(await vmsNamed(context, params, signal));
  const send = async (): Promise<Begun> => {
    const answer = await context.http.request({
      method: 'POST',
      href: under(params.vimServerHref, 'importVm'),
      operation,
      subject,
      body: importStandaloneBody(params),
      contentType: MEDIA.importVm,
      signal,
    });
    return begunBy(answer, 'Vm', operation);
  };
  // Only a VM that was not there before can be ours.
  const find = async (): Promise<Begun | undefined> => {
    const fresh = (await vmsNamed(context, params, signal)).find((href) => !before.has(href));
    return fresh === undefined ? undefined : { href: fresh, tasks: [] };
  };
  const begun = await sendOnce(context, send, find, signal);
  context.names.remember(begun.href, params.vmName);
  try {
    const read = async () => (await readVm(context, begun.href, signal)).root;
    const vm = await finishCreation(context, begun, read, { operation, subject, signal });
    const vappHref = linkHref(vm, 'up', MEDIA.vapp);
    if (vappHref === undefined) throw badAnswer(operation, 'the new VM has no link to its vApp');
    return { vappHref, vmHref: begun.href };
  } catch (error) {
    await deleteHalfVm(context, begun.href, operation);
    throw error;
  }
}

async function vmsNamed(context: VcdContext, { vdcHref, vmName }: ImportStandaloneVm, signal?: AbortSignal): Promise<string[]> {
  const found: string[] = [];
  for await (const vm of vms(context, `name==${filterValue(vmName, context.http.session.apiVersion)}`, signal)) {
    if (vm.name === vmName && sameEntity(vm.vdcId, vdcHref)) found.push(vm.href);
  }
  return found;
}

/** VCD's own vApp around the VM goes with it. The caller's obligation is on record should this fail, too. */
async function deleteHalfVm(context: VcdContext, vmHref: string, operation: string): Promise<void> {
  const signal = AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS);
  try {
    const { root } = await readVm(context, vmHref, signal);
    for (const task of runningTasks(root)) await cancelTask(context.http, task, `${operation}: cancelling its task`).catch(() => undefined);
    await waitUntilIdle(context, vmHref, readVm, CLEAN_UP_TIMEOUT_MS, signal);
    await deleteVm(context, vmHref, signal);
  } catch {
    // The error that led here says more than the one of the clean-up.
  }
}

/** ImportVmParamsType (vmwextensions.xsd): Description is vcloud's and comes first, all else vmext's. */
export function importStandaloneBody(params: ImportStandaloneVm): XmlElement {
  const { vmDescription, localId, computerName, storageProfileHref } = params;
  return element(
    'ImportVmParams',
    VMEXT,
    { sourceMove: true },
    vmDescription === undefined ? undefined : element('Description', VCLOUD, {}, vmDescription),
    element('VmName', VMEXT, {}, params.vmName),
    localId === undefined ? undefined : element('VAppScopedLocalId', VMEXT, {}, localId),
    computerName === undefined ? undefined : element('ComputerName', VMEXT, {}, computerName),
    element('VmMoRef', VMEXT, {}, params.vmMoRef),
    storageProfileHref === undefined ? undefined : element('VdcStorageProfile', VMEXT, { href: storageProfileHref }),
    element('Vdc', VMEXT, { href: params.vdcHref }),
  );
}
