import type { VappCapture } from '../../vcd/index.js';
import { RestoreError } from '../errors.js';
import type { RestorePayload } from '../restore-request.js';
import { assertKeys } from './choose.js';
import type { Today } from './today.js';

/** Attributes of the vApp itself are written where a whole vApp is restored, not where parts of it come back into one. */
export function putsBackVapp(mode: RestorePayload['mode']): boolean {
  return mode !== 'vms' && mode !== 'disk';
}

/**
 * The restored objects go on as the old ones where they take their place. A copy is another vApp; a missing vApp
 * whose original is still there, under another name or elsewhere, is one too.
 */
export function keepsIdentity(payload: RestorePayload, today: Pick<Today, 'originalExists'>): boolean {
  if (payload.mode === 'copy') return false;
  if (payload.mode === 'vms') return payload.choices.existingVms !== 'rename' && payload.vappId === undefined;
  if (payload.mode === 'missing-vapp' || payload.mode === 'template') return !today.originalExists;
  return true;
}

/** A standalone VM comes back as one where it is built anew as a whole; VCD makes the vApp around it. */
export function restoresStandalone({ mode, choices }: RestorePayload, captured: Pick<VappCapture, 'kind'>): boolean {
  return captured.kind === 'standalone-vm' && (mode === 'missing-vapp' || mode === 'copy') && choices.standalone !== 'vapp';
}

export function takesNewMacs({ mode, choices }: RestorePayload): boolean {
  // VCD gives the NICs of a template new addresses: they are clones.
  return mode === 'copy' || mode === 'template' || (mode === 'vms' && choices.existingVms === 'rename');
}

/** Of the vApp; of the VM itself where it stands alone, because VCD names the vApp around it. */
export function nameAtTheEnd(payload: RestorePayload, captured: VappCapture): string {
  if (restoresStandalone(payload, captured)) {
    const vmName = captured.vms[0]?.name ?? captured.name;
    return payload.name ?? payload.choices.vmNames?.[vmName] ?? vmName;
  }
  return buildsAnew(payload.mode) ? (payload.name ?? captured.name) : captured.name;
}

/** Modes that build all of it somewhere, whatever is there: they take a place and a name. */
function buildsAnew(mode: RestorePayload['mode']): boolean {
  return mode === 'missing-vapp' || mode === 'copy' || mode === 'template';
}

/** @throws RestoreError RESTORE_REQUEST_INVALID where a field has no meaning in the mode: to ignore it would do something else than was asked. */
export function assertModeTakes(payload: RestorePayload): void {
  const { mode } = payload;
  const refuse = (field: string, why: string) => {
    throw new RestoreError('RESTORE_REQUEST_INVALID', `Mode ${mode} takes no ${field}: ${why}.`, { field, mode });
  };
  const building = buildsAnew(mode);
  if (!building && payload.vdcId !== undefined) refuse('vdcId', 'it works in the VDC of the vApp that is there');
  if (!building && payload.organizationId !== undefined) refuse('organizationId', 'it works in the organization of the vApp that is there');
  if (mode !== 'vms' && mode !== 'disk' && payload.vappId !== undefined)
    refuse('vappId', 'only modes vms and disk take a vApp to restore into');
  if (mode !== 'disk' && payload.disk !== undefined) refuse('disk', 'mode disk restores one disk');
  if (!building && payload.name !== undefined) refuse('name', 'the vApp keeps its own');
  if ((mode === 'overwrite' || mode === 'recreate') && payload.vms !== undefined) refuse('vms', 'mode vms restores some of them');
  if (mode === 'disk' && payload.vms !== undefined) refuse('vms', '`disk` names the VM');
  if (mode === 'template' && payload.powerOn) refuse('powerOn', 'a vApp template is never powered on');
  if (mode === 'template' && (payload.choices.macAddresses ?? payload.macAddresses) === 'keep')
    refuse('macAddresses "keep"', 'VCD gives the NICs of a template new addresses');
  if (mode !== 'template' && payload.catalogId !== undefined) refuse('catalogId', 'only modes template and medium restore into a catalog');
}

export function assertChoiceKeys(captured: VappCapture, { choices }: RestorePayload): void {
  const names = (values: (string | undefined)[]) => [...new Set(values.filter((value) => value !== undefined))];
  const { vms } = captured;
  assertKeys('networks', choices.networks, names(captured.networks.map((network) => network.name)));
  const profiles = vms.flatMap((vm) => [vm.storageProfile?.name, ...vm.disks.map((disk) => disk.storageProfile?.name)]);
  const ofNamedDisks = (captured.namedDisks ?? []).map((disk) => disk.storageProfile?.name);
  assertKeys('storageProfiles', choices.storageProfiles, names([...profiles, ...ofNamedDisks]));
  assertKeys('sizingPolicies', choices.sizingPolicies, names(vms.map((vm) => vm.sizingPolicy?.name)));
  assertKeys('placementPolicies', choices.placementPolicies, names(vms.map((vm) => vm.placementPolicy?.name)));
  assertKeys('vmNames', choices.vmNames, names(vms.map((vm) => vm.name)));
}
