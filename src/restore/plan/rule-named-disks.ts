import type { ManifestDisk } from '../../catalog/index.js';
import type { NamedDiskCapture, VcdReference, VdcResources, VmCapture } from '../../vcd/index.js';
import type { PlanItem, PlannedNamedDisk } from '../plan-types.js';
import type { RestoreRequest } from '../restore-request.js';
import { planItem } from './choose.js';
import { matchProfile } from './rule-storage.js';
import type { TodaysVm } from './today.js';

export interface NamedDiskInput {
  captured: readonly NamedDiskCapture[];
  /** Those of them that are still there, by id. */
  today: ReadonlyMap<string, NamedDiskCapture>;
  vdc: VdcResources;
  /** The restore goes where the captured disks are. */
  sameVdc: boolean;
  users: ReadonlyMap<string, VcdReference>;
  choices: RestoreRequest['choices'];
}

/** Disks of a restore point that were named disks, apart from the VM's own. One whose description is missing counts as its own. */
export function splitNamed(
  disks: readonly ManifestDisk[],
  captured: readonly NamedDiskCapture[],
): { own: ManifestDisk[]; named: { disk: ManifestDisk; captured: NamedDiskCapture }[] } {
  const own: ManifestDisk[] = [];
  const named: { disk: ManifestDisk; captured: NamedDiskCapture }[] = [];
  for (const disk of disks) {
    const found = captured.find((candidate) => candidate.id === disk.namedDiskId);
    if (found === undefined) own.push(disk);
    else named.push({ disk, captured: found });
  }
  return { own, named };
}

/**
 * Is the device at its place still that named disk? By id, or by name: one that an earlier restore made and attached
 * there is another entity, and the same disk to everybody.
 */
export function isAttachedAsBefore(
  { disk, captured }: { disk: ManifestDisk; captured: NamedDiskCapture },
  vm: TodaysVm | undefined,
): boolean {
  const device = vm?.configuration.disks.find((candidate) => candidate.deviceKey === disk.deviceKey);
  const attached = vm?.namedDisks.get(disk.deviceKey);
  if (device?.capacityBytes !== disk.capacityBytes || attached === undefined) return false;
  return attached.id === captured.id || attached.name === captured.name;
}

/**
 * Named disks that have to be made for a VM: it is built anew, or has lost them. What is there today is left as it is
 * unless the request gives it away: another VM may be waiting for it, and its content is nobody's but its owner's.
 */
export function ruleNamedDisks(
  vm: VmCapture,
  named: readonly { disk: ManifestDisk; captured: NamedDiskCapture }[],
  input: NamedDiskInput,
  present: TodaysVm | undefined,
): { planned: PlannedNamedDisk[]; items: PlanItem[] } {
  const items: PlanItem[] = [];
  const planned = named.map(({ disk, captured }): PlannedNamedDisk => {
    const existing = ruleExisting(vm, captured, input, items);
    const place = ruleAttachment(vm, disk, captured, present, items);
    const { storageProfile: _profile, owner: _owner, ...rest } = captured;
    const profile = ruleProfile(captured, input, items);
    const owner = ruleDiskOwner(captured, input, items);
    return {
      manifest: disk,
      captured,
      wanted: { ...rest, ...(profile && { storageProfile: profile }), ...(owner && { owner }) },
      place,
      existing,
    };
  });
  return { planned, items };
}

function ruleExisting(vm: VmCapture, captured: NamedDiskCapture, input: NamedDiskInput, items: PlanItem[]): { href: string } | undefined {
  // Which entity it is, and not what it is like: its attributes are items of their own.
  const attribute = `namedDisks.${captured.name}.id`;
  const there = input.today.get(captured.id);
  if (there === undefined) {
    items.push(planItem(attribute, 'fits', { captured: captured.id, planned: 'new' }));
    return undefined;
  }
  const obstacle = obstacleTo(there, captured, input);
  const fresh = { value: 'new', label: 'A new disk of the same name' };
  const options = obstacle === undefined ? [fresh, { value: 'existing', label: 'The one that is there, written over' }] : [fresh];
  const asked = input.choices.namedDisks;
  const choice = (chosen: string | null) => ({ field: 'namedDisks', chosen, options });
  if (asked === 'existing' && obstacle !== undefined) {
    const sentence = `Named disk "${there.name}" cannot be attached to VM "${vm.name}" and written over: ${obstacle}.`;
    items.push(
      planItem(attribute, 'not-permitted', { captured: captured.id, planned: null }, sentence, { choice: choice(null), needsChoice: true }),
    );
    return undefined;
  }
  const sentence =
    asked === 'existing'
      ? `Named disk "${there.name}" is attached to VM "${vm.name}" and written over, as the request says.`
      : `Named disk "${there.name}" is still there and is left as it is; VM "${vm.name}" gets a new one named "${captured.name}".`;
  const planned = asked === 'existing' ? captured.id : 'new';
  items.push(planItem(attribute, 'changed', { captured: captured.id, planned }, sentence, { choice: choice(asked ?? 'new') }));
  return asked === 'existing' ? { href: there.href } : undefined;
}

function obstacleTo(there: NamedDiskCapture, captured: NamedDiskCapture, { sameVdc }: NamedDiskInput): string | undefined {
  if (!sameVdc) return 'it is in another VDC';
  if (there.attachments.length > 0) return 'it is attached to a VM';
  if (there.sizeMib !== captured.sizeMib) return `it has ${there.sizeMib} MiB instead of ${captured.sizeMib}`;
  return undefined;
}

/** Where it was on the VM's buses, unless an overwritten VM has another disk there by now. */
function ruleAttachment(
  vm: VmCapture,
  disk: ManifestDisk,
  captured: NamedDiskCapture,
  present: TodaysVm | undefined,
  items: PlanItem[],
): PlannedNamedDisk['place'] {
  const attachment = captured.attachments.find(({ vmId }) => vmId === vm.id);
  const { busNumber, unitNumber } = attachment ?? {};
  const isTaken = present?.configuration.disks.some((candidate) => candidate.deviceKey === disk.deviceKey) ?? false;
  if (isTaken) {
    const sentence = `VM "${vm.name}" has another disk where named disk "${captured.name}" was attached; VCD chooses its place.`;
    const was = `${busNumber ?? 0}:${unitNumber ?? 0}`;
    items.push(planItem(`namedDisks.${captured.name}.attachments`, 'not-permitted', { captured: was, planned: null }, sentence));
    return {};
  }
  return { ...(busNumber !== undefined && { busNumber }), ...(unitNumber !== undefined && { unitNumber }) };
}

function ruleProfile(captured: NamedDiskCapture, { vdc, choices }: NamedDiskInput, items: PlanItem[]): VcdReference | undefined {
  if (captured.storageProfile === undefined) return undefined;
  const attribute = `namedDisks.${captured.name}.storageProfile`;
  const { profile, item } = matchProfile(captured.storageProfile, vdc, choices.storageProfiles, attribute, `named disk "${captured.name}"`);
  if (item) items.push(item);
  return profile;
}

function ruleDiskOwner(captured: NamedDiskCapture, { users, vdc }: NamedDiskInput, items: PlanItem[]): VcdReference | undefined {
  const { owner } = captured;
  if (owner?.name === undefined) return undefined;
  const today = users.get(owner.name.toLowerCase());
  if (today !== undefined) return today;
  const sentence = `Owner "${owner.name}" of named disk "${captured.name}" is not a user of organization "${vdc.organization.name ?? ''}"; the disk stays with the administrator.`;
  items.push(planItem(`namedDisks.${captured.name}.owner`, 'missing', { captured: owner.name, planned: undefined }, sentence));
  return undefined;
}
