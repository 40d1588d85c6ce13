import type { ManifestVm } from '../../catalog/index.js';
import { type NamedDiskCapture, sameEntity, type VappCapture, type VcdReference, type VmCapture } from '../../vcd/index.js';
import { RestoreError } from '../errors.js';
import type { PlanItem, PlannedVm, RestorePlan } from '../plan-types.js';
import type { RestorePayload } from '../restore-request.js';
import { planItem } from './choose.js';
import { planItems } from './items.js';
import { assertChoiceKeys, keepsIdentity, putsBackVapp, restoresStandalone, takesNewMacs } from './mode-rules.js';
import { restrictedTo } from './restrict.js';
import { ruleAffinity } from './rule-affinity.js';
import { ruleTemplatePlace } from './rule-catalog.js';
import { ruleLease, templateLimits } from './rule-lease.js';
import { type RuledNetworks, ruleNetworks } from './rule-networks.js';
import { type OneVmInput, ruleOneVm } from './rule-one-vm.js';
import { withoutRulesOfAbsentVms } from './rule-absent-vms.js';
import { ruleAccess, ruleOwner } from './rule-people.js';
import { ruleVdc } from './rule-vdc.js';
import { restoredNames, ruleChangedVms } from './rule-vms.js';
import type { ReadPoint, Today } from './today.js';

type RuledPlan = Pick<
  RestorePlan,
  'wanted' | 'keepMacAddresses' | 'removals' | 'parents' | 'owner' | 'affinityRules' | 'place' | 'items'
> & {
  vms: Omit<PlannedVm, 'configXml' | 'nvram' | 'withoutDisks'>[];
};

/** Pure: the same restore point, cloud and choices give the same plan. */
export function rule(
  payload: RestorePayload,
  point: ReadPoint,
  today: Today,
  selected: readonly ManifestVm[],
  vappName: string,
  machines: Pick<OneVmInput, 'machines' | 'support'>,
): RuledPlan {
  const { choices, mode } = payload;
  const { captured, content } = point;
  const { vdc, target } = today;
  assertChoiceKeys(captured, payload);
  const wholeVapp = putsBackVapp(mode);
  const inCatalog = today.catalogs && ruleTemplatePlace(captured, today.catalogs, payload);
  const items: PlanItem[] = inCatalog?.items ?? (wholeVapp ? ruleName(payload, captured, today, vappName) : []);
  if (wholeVapp && target === undefined) items.push(ruleVdc(captured.vdc, vdc, today.vdcs));
  const withDescription = selected.map((manifest) => describedVm(manifest, captured, payload.restorePointId));
  const described = mode === 'overwrite' && choices.missingVms === 'leave' ? ruleLeftOut(withDescription, today, items) : withDescription;
  const captures = described.map(({ vm }) => vm);
  const names = restoredNames(
    captures,
    restoresStandalone(payload, captured) ? { vmNames: { [captured.vms[0]?.name ?? '']: vappName } } : choices,
  );

  const vapp = ruleVappAttributes(payload, captured, today);
  const keepMacAddresses = (choices.macAddresses ?? payload.macAddresses ?? (takesNewMacs(payload) ? 'new' : 'keep')) === 'keep';
  const given = inputForVms(payload, captured, today, { networks: vapp.networks, keepMacAddresses, ...machines });
  const ruledVms = described.map(({ manifest, vm }) => {
    const { vm: planned, items: own } = ruleOneVm({ ...vm, name: names.get(vm.name) ?? vm.name }, manifest, today, payload, given);
    return { vm: { ...planned, manifest, captured: vm }, items: own };
  });
  const vms = ruledVms.map(({ vm }) => vm);
  const changed = ruleGainedVms(payload, today);
  const affinity = ruleAffinityOf(payload, captured, today, vms);
  const ofVms = ruledVms.flatMap((vm) => vm.items);
  const networks = withoutRulesOfAbsentVms(
    vapp.networks.networks,
    wholeVapp ? captured.vms : [],
    localIdsAtTheEnd(mode, captures, today, changed.removals),
  );
  items.push(
    ...vapp.items,
    ...networks.items,
    ...ofVms,
    ...changed.items,
    ...affinity.items,
    ...ruleExcluded(content),
    ...ruleKind(payload, captured),
  );
  const base = restrictedTo(captured, captures, names);
  const wanted: VappCapture = {
    ...base,
    ...(wholeVapp && { name: vappName, networks: networks.networks }),
    access: vapp.access,
    lease: vapp.lease,
    owner: vapp.owner ?? captured.owner,
    vms: vms.map((vm) => vm.wanted),
    ...inCatalog?.wanted,
    ...(captured.affinityRules && { affinityRules: affinity.wanted }),
    ...(captured.namedDisks && { namedDisks: wantedNamedDisks(captured.namedDisks, vms) }),
  };
  return {
    wanted,
    keepMacAddresses,
    removals: changed.removals,
    parents: vapp.networks.parents,
    owner: vapp.owner,
    affinityRules: affinity.planned,
    ...(inCatalog && { place: inCatalog.place }),
    items: planItems({ ...base, name: wanted.name }, wanted, items, wholeVapp),
    vms,
  };
}

/** Of a vApp that is written over also those of VMs that stay. */
function localIdsAtTheEnd(
  mode: RestorePayload['mode'],
  restored: readonly VmCapture[],
  { target }: Today,
  removals: RuledPlan['removals'],
): Set<string> {
  const gone = new Set(removals.map(({ href }) => href));
  const kept = mode === 'overwrite' ? (target?.capture.vms ?? []).filter(({ href }) => !gone.has(href)) : [];
  return new Set([...restored, ...kept].flatMap(({ localId }) => localId ?? []));
}

interface RuledVapp extends Pick<VappCapture, 'access' | 'lease'> {
  networks: RuledNetworks;
  owner: VcdReference | undefined;
  items: PlanItem[];
}

/** Networks, owner, access and lease: those of a vApp that only gets VMs back stay as they are. */
function ruleVappAttributes(payload: RestorePayload, captured: VappCapture, { vdc, target, users, catalogs }: Today): RuledVapp {
  const { choices } = payload;
  const organizationName = vdc.organization.name ?? '';
  const sameOrganization = sameEntity(vdc.organization.href, captured.organization.href);
  const { access, items: accessItems } = ruleAccess(captured.access, users, { organizationName, sameOrganization });
  const { lease, items: leaseItems } = ruleLease(captured.lease, catalogs ? templateLimits(vdc) : vdc.leaseLimits, choices.lease);
  if (!putsBackVapp(payload.mode)) {
    const networks = { networks: target?.capture.networks ?? [], parents: new Map(), remapped: new Set<string>(), items: [] };
    return { networks, owner: undefined, access, lease, items: [] };
  }
  const networks = ruleNetworks(captured.networks, vdc, choices);
  const { owner, items: ownerItems } = ruleOwner(captured.owner, users, organizationName, choices.owner);
  return { networks, owner, access, lease, items: [...networks.items, ...ownerItems, ...accessItems, ...leaseItems] };
}

function inputForVms(
  payload: RestorePayload,
  captured: VappCapture,
  today: Today,
  given: Pick<OneVmInput, 'networks' | 'keepMacAddresses' | 'machines' | 'support'>,
): OneVmInput {
  const { vdc, users } = today;
  return {
    ...given,
    namedDisks: {
      captured: captured.namedDisks ?? [],
      today: today.namedDisks,
      vdc,
      sameVdc: sameEntity(vdc.href, captured.vdc.href),
      users,
      choices: payload.choices,
    },
    keepsIdentity: keepsIdentity(payload, today),
    ownerName: captured.owner.name,
    reservedBytes: new Map<string, number>(),
  };
}

function ruleGainedVms({ mode, choices }: RestorePayload, today: Today): ReturnType<typeof ruleChangedVms> {
  if ((mode !== 'overwrite' && mode !== 'recreate') || today.target === undefined) return { removals: [], items: [] };
  return ruleChangedVms(today.target.capture, existingHrefs(today), mode, choices.addedVms);
}

/** One disk of a VM is no VM: its rules are left alone. */
function ruleAffinityOf(
  payload: RestorePayload,
  { affinityRules = [] }: VappCapture,
  today: Today,
  vms: readonly Pick<PlannedVm, 'captured' | 'wanted'>[],
): ReturnType<typeof ruleAffinity> {
  if (payload.mode === 'disk') return { planned: [], wanted: affinityRules, items: [] };
  return ruleAffinity(affinityRules, {
    restored: new Map(vms.map(({ captured, wanted }) => [captured.id, wanted.name])),
    others: today.affinityMembers,
    present: payload.mode === 'overwrite' ? (today.target?.capture.affinityRules ?? []) : [],
    keepsIdentity: keepsIdentity(payload, today),
  });
}

/** Those that are made as they will be; others, attached still, as they were captured. */
function wantedNamedDisks(captured: readonly NamedDiskCapture[], vms: readonly Pick<PlannedVm, 'namedDisks'>[]): NamedDiskCapture[] {
  const made = vms.flatMap((vm) => vm.namedDisks);
  return captured.map((disk) => made.find((each) => each.captured.id === disk.id)?.wanted ?? disk);
}

function ruleName(payload: RestorePayload, captured: VappCapture, today: Today, vappName: string): PlanItem[] {
  const standalone = restoresStandalone(payload, captured);
  const name = standalone ? (captured.vms[0]?.name ?? captured.name) : captured.name;
  const values = { captured: name, planned: vappName };
  if (today.nameTaken) {
    const advice = payload.mode === 'copy' ? 'choose another name' : 'restore it as a copy under another name, or delete it first';
    const sentence = `VDC "${today.vdc.name}" already has a ${standalone ? 'standalone VM' : 'vApp'} "${vappName}"; ${advice}.`;
    const choice = { field: 'name', chosen: null, options: [] };
    return [planItem('name', 'not-permitted', values, sentence, { choice, needsChoice: true })];
  }
  if (vappName === name) return [planItem('name', 'fits', values)];
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

/** A standalone VM that is recreated or joins a vApp becomes that vApp's; one that is written over stays what it is. */
function ruleKind(payload: RestorePayload, captured: VappCapture): PlanItem[] {
  if (captured.kind !== 'standalone-vm' || payload.mode === 'overwrite' || payload.mode === 'disk') return [];
  const options = [
    { value: 'vm', label: 'A standalone VM' },
    { value: 'vapp', label: 'The VM of a vApp' },
  ];
  const buildsIt = payload.mode === 'missing-vapp' || payload.mode === 'copy';
  const more = buildsIt ? { choice: { field: 'standalone', chosen: payload.choices.standalone ?? 'vm', options } } : {};
  const values = { captured: 'standalone-vm', planned: 'standalone-vm' };
  if (restoresStandalone(payload, captured)) return [planItem('kind', 'fits', values, '', more)];
  const sentence = `Standalone VM "${captured.vms[0]?.name ?? captured.name}" comes back as the VM of a vApp.`;
  return [planItem('kind', 'changed', { ...values, planned: 'vapp' }, sentence, more)];
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
