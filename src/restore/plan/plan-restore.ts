import type { ManifestVm } from '../../catalog/index.js';
import type { RepositoryApi } from '../../repository/index.js';
import { sameEntity, type VappCapture, type VmCapture } from '../../vcd/index.js';
import { RestoreError } from '../errors.js';
import type { PlanItem, PlannedVm, RestorePlan } from '../plan-types.js';
import type { RestorePayload } from '../restore-request.js';
import { assertKeys, planItem } from './choose.js';
import { type ExamineParts, examine } from './examine.js';
import { planItems } from './items.js';
import { readPoint } from './read-point.js';
import { restrictedTo } from './restrict.js';
import { ruleLease } from './rule-lease.js';
import { type RuledNetworks, ruleNetworks } from './rule-networks.js';
import { ruleNics } from './rule-nics.js';
import { ruleAccess, ruleOwner } from './rule-people.js';
import { rulePolicies } from './rule-policies.js';
import { ruleDatastore, ruleStorageProfiles } from './rule-storage.js';
import { restoredNames, ruleChangedVms, ruleVm, selectDisk, selectVms } from './rule-vms.js';
import type { ReadPoint, Today } from './today.js';

export type PlanParts = ExamineParts & { repository: RepositoryApi };

/**
 * A restore held against today's cloud (guide, chapter 8: "you can select new values for the non-conforming
 * attributes"). It only reads; the same request gives the same plan while the cloud stays as it is.
 *
 * @throws RestoreError what the request asks for is not there; RepositoryError, VcdError, VsphereError.
 */
export async function planRestore(payload: RestorePayload, parts: PlanParts, signal: AbortSignal): Promise<RestorePlan> {
  assertModeTakes(payload);
  const point = await readPoint(payload, parts.repository, signal);
  const { content, captured } = point;
  const selected = selectVms(content.vms, payload);
  const vappName = nameAtTheEnd(payload, captured);
  const today = await examine(payload, point, selected, vappName, parts, signal);
  const ruled = rule(payload, point, today, selected, vappName);
  const vms: PlannedVm[] = [];
  const ref = { organizationId: payload.sourceOrganizationId, restorePointId: payload.restorePointId };
  for (const vm of ruled.vms) {
    const configXml = (await parts.repository.readDocument(ref, vm.manifest.configurationDocument, signal)).toString('utf8');
    const { nvramDocument } = vm.manifest;
    const nvram = nvramDocument === null ? undefined : await parts.repository.readDocument(ref, nvramDocument, signal);
    vms.push({ ...vm, configXml, nvram });
  }
  return {
    payload,
    manifest: point.manifest,
    content,
    captured,
    wanted: ruled.wanted,
    vappName: today.target?.name !== undefined && !putsBackVapp(payload.mode) ? today.target.name : vappName,
    target: today.target,
    keepIdentity: keepsIdentity(payload, today),
    keepMacAddresses: ruled.keepMacAddresses,
    vdc: today.vdc,
    vcenter: today.vcenter,
    vimServerHref: today.vimServerHref,
    vms,
    removals: ruled.removals,
    parents: ruled.parents,
    owner: ruled.owner,
    putBackVapp: putsBackVapp(payload.mode),
    items: ruled.items,
  };
}

type RuledPlan = Pick<RestorePlan, 'wanted' | 'keepMacAddresses' | 'removals' | 'parents' | 'owner' | 'items'> & {
  vms: Omit<PlannedVm, 'configXml' | 'nvram'>[];
};

/** Pure: the same restore point, cloud and choices give the same plan. */
export function rule(
  payload: RestorePayload,
  point: ReadPoint,
  today: Today,
  selected: readonly ManifestVm[],
  vappName: string,
): RuledPlan {
  const { choices, mode } = payload;
  const { captured, content } = point;
  const { vdc, target } = today;
  assertChoiceKeys(captured, payload);
  const wholeVapp = putsBackVapp(mode);
  const items: PlanItem[] = wholeVapp ? ruleName(payload, captured, today, vappName) : [];

  const withDescription = selected.map((manifest) => describedVm(manifest, captured, payload.restorePointId));
  const lost = mode === 'overwrite' && choices.missingVms === 'leave' ? ruleLeftOut(withDescription, today, items) : withDescription;
  const names = restoredNames(
    lost.map(({ vm }) => vm),
    choices,
  );
  const renamed = (vm: VmCapture): VmCapture => ({ ...vm, name: names.get(vm.name) ?? vm.name });

  const networks: RuledNetworks = wholeVapp
    ? ruleNetworks(captured.networks, vdc, choices)
    : { networks: target?.capture.networks ?? [], parents: new Map(), items: [] };
  const owner = wholeVapp
    ? ruleOwner(captured.owner, today.users, vdc.organization.name ?? '', choices.owner)
    : { owner: undefined, items: [] };
  const sameOrganization = sameEntity(vdc.organization.href, captured.organization.href);
  const access = ruleAccess(captured.access, today.users, { organizationName: vdc.organization.name ?? '', sameOrganization });
  const lease = ruleLease(captured.lease, vdc.leaseLimits, choices.lease);
  items.push(...networks.items, ...owner.items);
  if (wholeVapp) items.push(...access.items, ...lease.items);

  const keepMacAddresses = (choices.macAddresses ?? payload.macAddresses ?? (takesNewMacs(payload) ? 'new' : 'keep')) === 'keep';
  const reservedBytes = new Map<string, number>();
  const vms = lost.map(({ manifest, vm }) => {
    const planned = ruleOneVm(renamed(vm), manifest, today, payload, { networks, keepMacAddresses, reservedBytes });
    items.push(...planned.items);
    return { ...planned.vm, manifest, captured: vm };
  });
  const base = restrictedTo(
    captured,
    lost.map(({ vm }) => vm),
    names,
  );
  const changed =
    (mode === 'overwrite' || mode === 'recreate') && target !== undefined
      ? ruleChangedVms(target.capture, existingHrefs(today), mode, choices.addedVms)
      : { removals: [], items: [] };
  items.push(...changed.items, ...ruleExcluded(content), ...ruleKind(payload, captured));
  const wanted: VappCapture = {
    ...base,
    name: wholeVapp ? vappName : base.name,
    networks: wholeVapp ? networks.networks : base.networks,
    access: access.access,
    lease: lease.lease,
    owner: owner.owner ?? captured.owner,
    vms: vms.map((vm) => vm.wanted),
  };
  return {
    wanted,
    keepMacAddresses,
    removals: changed.removals,
    parents: networks.parents,
    owner: owner.owner,
    items: planItems({ ...base, name: wanted.name }, wanted, items, wholeVapp),
    vms,
  };
}

function ruleOneVm(
  vm: VmCapture,
  manifest: ManifestVm,
  today: Today,
  payload: RestorePayload,
  given: { networks: RuledNetworks; keepMacAddresses: boolean; reservedBytes: Map<string, number> },
): { vm: Omit<PlannedVm, 'configXml' | 'nvram' | 'manifest' | 'captured'>; items: PlanItem[] } {
  const { choices, mode } = payload;
  const { vdc } = today;
  const disks = payload.disk === undefined ? manifest.disks : [selectDisk(manifest, payload.disk.disk)];
  const decided = ruleVm(vm.name, disks, today.vms.get(manifest.vcloudId), payload);
  const inPlace = decided.action === 'overwrite';
  const storage = ruleStorageProfiles(vm, vdc, choices.storageProfiles);
  const policies = rulePolicies(storage.vm, vdc, choices);
  const nics = ruleNics(policies.vm, {
    keepMacAddresses: given.keepMacAddresses,
    ipAddresses: choices.ipAddresses,
    nicsInUse: today.nicsInUse,
    networks: given.networks.networks,
    sameNetwork: sameEntity,
  });
  const datastore = inPlace
    ? undefined
    : ruleDatastore({ ...manifest, name: vm.name, disks: disks }, today.datastores, given.reservedBytes);
  if (datastore !== undefined) {
    given.reservedBytes.set(datastore.name, (given.reservedBytes.get(datastore.name) ?? 0) + datastore.neededBytes);
  }
  // One disk of a VM: the rest of it is left as it is today.
  const attributes = mode === 'disk' ? [] : [...storage.items, ...policies.items, ...nics.items];
  return {
    vm: {
      wanted: mode === 'disk' ? vm : nics.vm,
      action: decided.action,
      existing: decided.existing && { href: decided.existing.href, moRef: decided.existing.moRef, name: decided.existing.name },
      placement: {
        folderMoRef: today.vmFolderMoRef,
        resourcePoolMoRef: vdc.resourcePoolMoRef,
        datastoreName: datastore?.name ?? datastoreOf(decided.existing?.configuration.vmPath),
      },
      storageProfileHref: storage.vm.storageProfile?.href,
      disks,
    },
    items: [...decided.items, ...attributes, ...(datastore?.items ?? [])],
  };
}

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
  if (payload.mode === 'missing-vapp') return !today.originalExists;
  return true;
}

function takesNewMacs({ mode, choices }: RestorePayload): boolean {
  return mode === 'copy' || (mode === 'vms' && choices.existingVms === 'rename');
}

function nameAtTheEnd(payload: RestorePayload, captured: VappCapture): string {
  return payload.mode === 'copy' || payload.mode === 'missing-vapp' ? (payload.name ?? captured.name) : captured.name;
}

/** @throws RestoreError RESTORE_REQUEST_INVALID where a field has no meaning in the mode: to ignore it would do something else than was asked. */
function assertModeTakes(payload: RestorePayload): void {
  const { mode } = payload;
  const refuse = (field: string, why: string) => {
    throw new RestoreError('RESTORE_REQUEST_INVALID', `Mode ${mode} takes no ${field}: ${why}.`, { field, mode });
  };
  const building = mode === 'missing-vapp' || mode === 'copy';
  if (!building && payload.vdcId !== undefined) refuse('vdcId', 'it works in the VDC of the vApp that is there');
  if (!building && payload.organizationId !== undefined) refuse('organizationId', 'it works in the organization of the vApp that is there');
  if (mode !== 'vms' && mode !== 'disk' && payload.vappId !== undefined)
    refuse('vappId', 'only modes vms and disk take a vApp to restore into');
  if (mode !== 'disk' && payload.disk !== undefined) refuse('disk', 'mode disk restores one disk');
  if (!building && payload.name !== undefined) refuse('name', 'the vApp keeps its own');
  if ((mode === 'overwrite' || mode === 'recreate') && payload.vms !== undefined) refuse('vms', 'mode vms restores some of them');
  if (mode === 'disk' && payload.vms !== undefined) refuse('vms', '`disk` names the VM');
}

function assertChoiceKeys(captured: VappCapture, { choices }: RestorePayload): void {
  const names = (values: (string | undefined)[]) => [...new Set(values.filter((value) => value !== undefined))];
  const { vms } = captured;
  assertKeys('networks', choices.networks, names(captured.networks.map((network) => network.name)));
  const profiles = vms.flatMap((vm) => [vm.storageProfile?.name, ...vm.disks.map((disk) => disk.storageProfile?.name)]);
  assertKeys('storageProfiles', choices.storageProfiles, names(profiles));
  assertKeys('sizingPolicies', choices.sizingPolicies, names(vms.map((vm) => vm.sizingPolicy?.name)));
  assertKeys('placementPolicies', choices.placementPolicies, names(vms.map((vm) => vm.placementPolicy?.name)));
  assertKeys('vmNames', choices.vmNames, names(vms.map((vm) => vm.name)));
}

function ruleName(payload: RestorePayload, captured: VappCapture, today: Today, vappName: string): PlanItem[] {
  const values = { captured: captured.name, planned: vappName };
  if (today.nameTaken) {
    const advice = payload.mode === 'copy' ? 'choose another name' : 'restore it as a copy under another name, or delete it first';
    const sentence = `VDC "${today.vdc.name}" already has a vApp "${vappName}"; ${advice}.`;
    const choice = { field: 'name', chosen: null, options: [] };
    return [planItem('name', 'not-permitted', values, sentence, { choice, needsChoice: true })];
  }
  if (vappName === captured.name) return [planItem('name', 'fits', values)];
  return [planItem('name', 'changed', values, `It is restored as "${vappName}", as the request says.`)];
}

function describedVm(manifest: ManifestVm, captured: VappCapture, restorePointId: string): { manifest: ManifestVm; vm: VmCapture } {
  const vm = captured.vms.find((candidate) => candidate.id === manifest.vcloudId);
  if (vm !== undefined) return { manifest, vm };
  throw new RestoreError(
    'RESTORE_POINT_UNREADABLE',
    `Restore point ${restorePointId} holds VM "${manifest.name}" without its description.`,
  );
}

type DescribedVm = ReturnType<typeof describedVm>;

function ruleLeftOut(vms: readonly DescribedVm[], today: Today, items: PlanItem[]): DescribedVm[] {
  return vms.filter(({ manifest }) => {
    if (today.vms.has(manifest.vcloudId)) return true;
    const sentence = `VM "${manifest.name}" is not in the vApp any more and is left out, as the request says.`;
    const options = [
      { value: 'restore', label: 'Restore it' },
      { value: 'leave', label: 'Leave it out' },
    ];
    const choice = { field: 'missingVms', chosen: 'leave', options };
    items.push(planItem(`vms.${manifest.name}`, 'missing', { captured: manifest.name, planned: null }, sentence, { choice }));
    return false;
  });
}

/** Import makes a vApp around every VM it is asked to make one around; only an overwritten standalone VM stays one. */
function ruleKind({ mode }: RestorePayload, captured: VappCapture): PlanItem[] {
  if (captured.kind !== 'standalone-vm' || mode === 'overwrite' || mode === 'disk') return [];
  const sentence = `Standalone VM "${captured.vms[0]?.name ?? captured.name}" comes back as the VM of a vApp.`;
  return [planItem('kind', 'changed', { captured: 'standalone-vm', planned: 'vapp' }, sentence)];
}

/** What a partial restore point does not hold is said, or it would look as if it had never been. */
function ruleExcluded(content: ReadPoint['content']): PlanItem[] {
  return (content.excludedVms ?? []).map(({ name, reason }) =>
    planItem(
      `vms.${name}`,
      'missing',
      { captured: name, planned: null },
      `VM "${name}" is not in the restore point (${reason}), so it does not come back.`,
    ),
  );
}

function existingHrefs(today: Today): Set<string> {
  return new Set([...today.vms.values()].map((vm) => vm.href));
}

function datastoreOf(vmPath: string | undefined): string {
  return /^\[([^\]]+)\]/.exec(vmPath ?? '')?.[1] ?? '';
}
