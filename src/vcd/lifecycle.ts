import { element, type XmlElement } from '../common/index.js';
import { isGone, readVapp, readVm, sendChange, type VcdContext } from './context.js';
import { waitUntilIdle } from './entity-tasks.js';
import { VcdError } from './error.js';
import { linkHref, under } from './links.js';
import { MEDIA, VCLOUD } from './namespaces.js';

const POWERED_ON = '4';

export async function inMaintenanceMode(context: VcdContext, vappHref: string, signal?: AbortSignal): Promise<boolean> {
  return (await readVapp(context, vappHref, signal)).root.textAt('InMaintenanceMode') === 'true';
}

/** Answers 204 and makes no task. Entering twice is success. @throws VcdError VAPP_NOT_FOUND */
export function enterMaintenanceMode(context: VcdContext, vappHref: string, signal?: AbortSignal): Promise<void> {
  return setMaintenanceMode(context, vappHref, true, signal);
}

/** Leaving what was never entered is success, and so is a vApp that is gone: whoever owes the leaving owes nothing more. */
export async function exitMaintenanceMode(context: VcdContext, vappHref: string, signal?: AbortSignal): Promise<void> {
  try {
    await setMaintenanceMode(context, vappHref, false, signal);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

async function setMaintenanceMode(context: VcdContext, vappHref: string, wanted: boolean, signal?: AbortSignal): Promise<void> {
  const { root } = await readVapp(context, vappHref, signal);
  if ((root.textAt('InMaintenanceMode') === 'true') === wanted) return;
  const action = wanted ? 'enterMaintenanceMode' : 'exitMaintenanceMode';
  try {
    await sendChange(context, {
      method: 'POST',
      href: linkHref(root, action) ?? under(vappHref, 'action', action),
      doing: wanted ? 'Entering maintenance mode of' : 'Leaving maintenance mode of',
      entityHref: vappHref,
      // Repeating it changes nothing; should VCD mind, the state below decides.
      idempotent: true,
      signal,
    });
  } catch (error) {
    if (error instanceof VcdError && (await inMaintenanceMode(context, vappHref, signal)) === wanted) return;
    throw error;
  }
}

/** Guide, chapter 8: maintenance mode lets tasks already begun run on, so they are waited for. */
export function waitForRunningTasks(context: VcdContext, vappHref: string, timeoutMs: number, signal?: AbortSignal): Promise<XmlElement> {
  return waitUntilIdle(context, vappHref, readVapp, timeoutMs, signal);
}

export async function powerOn(context: VcdContext, vappHref: string, signal?: AbortSignal): Promise<void> {
  await settle(
    context,
    vappHref,
    (vapp) => vapp.attribute('status') === POWERED_ON,
    () =>
      sendChange(context, {
        method: 'POST',
        href: under(vappHref, 'power', 'action', 'powerOn'),
        doing: 'Powering on',
        entityHref: vappHref,
        signal,
      }),
    signal,
  );
}

export async function undeploy(
  context: VcdContext,
  vappHref: string,
  action: 'powerOff' | 'shutdown' | 'suspend',
  signal?: AbortSignal,
): Promise<void> {
  const body = element('UndeployVAppParams', VCLOUD, {}, element('UndeployPowerAction', VCLOUD, {}, action));
  await settle(
    context,
    vappHref,
    (vapp) => !isDeployed(vapp),
    () =>
      sendChange(context, {
        method: 'POST',
        href: under(vappHref, 'action', 'undeploy'),
        doing: 'Undeploying',
        entityHref: vappHref,
        body,
        contentType: MEDIA.undeploy,
        signal,
      }),
    signal,
  );
}

/** A running vApp is stopped first, as VCD refuses to delete one; what is gone already needs no deleting. */
export async function deleteVapp(context: VcdContext, vappHref: string, signal?: AbortSignal): Promise<void> {
  try {
    await undeploy(context, vappHref, 'powerOff', signal);
    await sendChange(context, { method: 'DELETE', href: vappHref, doing: 'Deleting', entityHref: vappHref, signal });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** @throws VcdError; a VM that is off and undeployed is success. */
export async function undeployVm(
  context: VcdContext,
  vmHref: string,
  action: 'powerOff' | 'shutdown' | 'suspend',
  signal?: AbortSignal,
): Promise<void> {
  const { root } = await readVm(context, vmHref, signal);
  if (root.attribute('deployed') !== 'true') return;
  await sendChange(context, {
    method: 'POST',
    href: under(vmHref, 'action', 'undeploy'),
    doing: 'Undeploying',
    entityHref: vmHref,
    body: element('UndeployVAppParams', VCLOUD, {}, element('UndeployPowerAction', VCLOUD, {}, action)),
    contentType: MEDIA.undeploy,
    signal,
  });
}

/** Its disks go with it. What is gone already needs no deleting. */
export async function deleteVm(context: VcdContext, vmHref: string, signal?: AbortSignal): Promise<void> {
  try {
    await undeployVm(context, vmHref, 'powerOff', signal);
    await sendChange(context, { method: 'DELETE', href: vmHref, doing: 'Deleting', entityHref: vmHref, signal });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** A vApp counts as deployed while any of its VMs is. */
function isDeployed(vapp: XmlElement): boolean {
  const vms = vapp.child('Children')?.childrenNamed('Vm') ?? [];
  return [vapp, ...vms].some((entity) => entity.attribute('deployed') === 'true');
}

/** Brings about a state unless it is there already. An answer that was lost is settled by looking, not by asking again. */
async function settle(
  context: VcdContext,
  vappHref: string,
  reached: (vapp: XmlElement) => boolean,
  act: () => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  if (reached((await readVapp(context, vappHref, signal)).root)) return;
  try {
    await act();
  } catch (error) {
    if (!(error instanceof VcdError && error.answerLost)) throw error;
    if (!reached(await waitForRunningTasks(context, vappHref, context.taskTimeoutMs, signal))) throw error;
  }
}
