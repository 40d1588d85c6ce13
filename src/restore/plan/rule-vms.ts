import type { ManifestDisk, ManifestVm } from '../../catalog/index.js';
import type { VappCapture, VmCapture } from '../../vcd/index.js';
import { RestoreError } from '../errors.js';
import type { PlanItem, VmAction } from '../plan-types.js';
import type { RestoreRequest } from '../restore-request.js';
import { planItem } from './choose.js';
import type { TodaysVm } from './today.js';

/** The VMs of the restore point that are meant. @throws RestoreError RESTORE_REQUEST_INVALID for one it does not have. */
export function selectVms(vms: readonly ManifestVm[], request: RestoreRequest): ManifestVm[] {
  const wanted = request.disk === undefined ? request.vms : [request.disk.vm];
  if (wanted === undefined) return [...vms];
  const selected = wanted.map((given) => {
    const found = vms.find((vm) => [vm.vmId, vm.vcloudId, vm.name].includes(given));
    if (found !== undefined) return found;
    const names = vms.map((vm) => `"${vm.name}"`).join(', ') || 'none';
    throw new RestoreError('RESTORE_REQUEST_INVALID', `The restore point has no VM "${given}"; it has: ${names}.`, { vm: given });
  });
  return [...new Set(selected)];
}

/** Mode disk: the one disk that is meant, by id or label. @throws RestoreError RESTORE_REQUEST_INVALID. */
export function selectDisk(vm: ManifestVm, given: string): ManifestDisk {
  const found = vm.disks.find((disk) => [disk.diskId, disk.label].includes(given));
  if (found !== undefined) return found;
  const labels = vm.disks.map((disk) => `"${disk.label}"`).join(', ') || 'none';
  throw new RestoreError('RESTORE_REQUEST_INVALID', `VM "${vm.name}" of the restore point has no disk "${given}"; it has: ${labels}.`, {
    disk: given,
  });
}

/** Captured VM name -> name at the end. @throws RestoreError CHOICE_INVALID where two would have one name. */
export function restoredNames(vms: readonly VmCapture[], choices: RestoreRequest['choices']): Map<string, string> {
  const names = new Map(vms.map((vm) => [vm.name, choices.vmNames?.[vm.name] ?? vm.name]));
  const seen = new Set<string>();
  for (const name of names.values()) {
    if (seen.has(name.toLowerCase())) {
      throw new RestoreError('CHOICE_INVALID', `choices.vmNames gives two VMs the name "${name}"; a vApp takes each name once.`, {
        field: 'vmNames',
      });
    }
    seen.add(name.toLowerCase());
  }
  return names;
}

export interface RuledVm {
  action: VmAction;
  existing: TodaysVm | undefined;
  items: PlanItem[];
}

const EXISTING_OPTIONS = [
  { value: 'overwrite', label: 'Write over it' },
  { value: 'replace', label: 'Build a new one and delete it' },
  { value: 'rename', label: 'Keep it; add the restored one under another name (vmNames)' },
];

/**
 * What becomes of one VM. Modes that build a vApp build every VM; in an existing vApp a VM is written over where
 * its disks are those of the restore point, replaced where they are not, and built where it is gone.
 *
 * @param disks those that are to be written
 */
export function ruleVm(name: string, disks: readonly ManifestDisk[], today: TodaysVm | undefined, request: RestoreRequest): RuledVm {
  const { mode, choices } = request;
  const inPlace = mode === 'overwrite' || mode === 'vms' || mode === 'disk';
  if (mode === 'disk' && today === undefined) {
    throw new RestoreError(
      'DISK_MISMATCH',
      `VM "${name}" is not in the vApp any more, so there is no disk to write over; restore the VM with mode vms.`,
      {
        vm: name,
      },
    );
  }
  if (!inPlace || today === undefined) return { action: 'build', existing: undefined, items: [] };
  if (mode === 'vms' && choices.existingVms === 'rename') return ruleRenamed(name, today, request);
  const mustAsk = choices.existingVms === undefined && (mode === 'vms' || !today.sameVm);
  const items: PlanItem[] = [];
  if (mustAsk) {
    const sentence = today.sameVm
      ? `VM "${name}" is still in the vApp; say with choices.existingVms what becomes of it.`
      : `Another VM has taken the name "${name}"; say with choices.existingVms what becomes of it.`;
    const choice = { field: 'existingVms', chosen: null, options: EXISTING_OPTIONS };
    items.push(planItem(`vms.${name}`, 'not-permitted', { captured: name, planned: null }, sentence, { choice, needsChoice: true }));
  }
  const mismatch = diskMismatch(disks, today);
  const overwrite = mismatch === undefined && today.sameVm && choices.existingVms !== 'replace';
  if (!overwrite && mode === 'disk') {
    const why = mismatch ?? 'it is another VM';
    throw new RestoreError('DISK_MISMATCH', `VM "${name}" has no disk to write over (${why}); restore the VM instead.`, { vm: name });
  }
  if (!overwrite) {
    const why = mismatch ?? (today.sameVm ? 'the request asks for it' : 'another VM has its name');
    const sentence = `VM "${name}" is built anew and the present one deleted once the new one stands: ${why}.`;
    items.push(planItem(`vms.${name}.action`, 'changed', { captured: null, planned: 'replace' }, sentence));
    return { action: 'replace', existing: today, items };
  }
  items.push(...ruleSnapshots(name, today, choices.snapshots));
  return { action: 'overwrite', existing: today, items };
}

function ruleRenamed(name: string, today: TodaysVm, request: RestoreRequest): RuledVm {
  if (today.name.toLowerCase() !== name.toLowerCase()) return { action: 'build', existing: undefined, items: [] };
  const sentence = `choices.existingVms is "rename": VM "${name}" needs another name in choices.vmNames.`;
  const choice = { field: 'vmNames', chosen: null, options: [] };
  const item = planItem(`vms.${name}`, 'not-permitted', { captured: request.vms ?? name, planned: null }, sentence, {
    choice,
    needsChoice: true,
  });
  return { action: 'build', existing: undefined, items: [item] };
}

/** Writing under a snapshot changes what the snapshot stands on: it is lost either way, so a person decides. */
function ruleSnapshots(name: string, today: TodaysVm, choice: RestoreRequest['choices']['snapshots']): PlanItem[] {
  const snapshots = today.configuration.snapshots.map((snapshot) => snapshot.name);
  if (snapshots.length === 0) return [];
  const listed = snapshots.map((snapshot) => `"${snapshot}"`).join(', ');
  const sentence =
    choice === 'remove'
      ? `Snapshots of VM "${name}" (${listed}) are removed before it is written over, as the request says.`
      : `VM "${name}" has snapshots (${listed}) and cannot be written over under them; choices.snapshots "remove" takes them away.`;
  const options = [{ value: 'remove', label: 'Remove them' }];
  return [
    planItem(`vms.${name}.snapshots`, choice === 'remove' ? 'changed' : 'not-permitted', { captured: null, planned: null }, sentence, {
      choice: { field: 'snapshots', chosen: choice ?? null, options },
      needsChoice: choice !== 'remove',
    }),
  ];
}

/**
 * Why the disks cannot be written over in place; undefined where they can. The device key stays with a disk for its life,
 * but a named disk may have been plugged in where another one was.
 */
export function diskMismatch(
  captured: readonly ManifestDisk[],
  { configuration, namedDisks }: Pick<TodaysVm, 'configuration' | 'namedDisks'>,
): string | undefined {
  for (const disk of captured) {
    const same = configuration.disks.find((candidate) => candidate.deviceKey === disk.deviceKey);
    const named = namedDisks.get(disk.deviceKey);
    if (disk.namedDiskId === undefined && named !== undefined) return `named disk "${named.name ?? named.id}" is where ${disk.label} was`;
    if (same === undefined) return `it has no disk for ${disk.label} any more`;
    if (same.capacityBytes !== disk.capacityBytes) return `${disk.label} has ${same.capacityBytes} bytes instead of ${disk.capacityBytes}`;
  }
  return undefined;
}

/**
 * VMs the vApp has and the restore point does not: gained since, or left out of it. Overwriting keeps them unless
 * the request says otherwise; recreating would delete them with the old vApp, and they are in no restore point.
 */
export function ruleChangedVms(
  target: VappCapture,
  existing: ReadonlySet<string>,
  mode: 'overwrite' | 'recreate',
  choice: RestoreRequest['choices']['addedVms'],
): { removals: { href: string; name: string }[]; items: PlanItem[] } {
  const added = target.vms.filter((vm) => !existing.has(vm.href));
  const recreates = mode === 'recreate';
  const remove = { value: 'remove', label: 'Delete it' };
  const options = recreates ? [remove] : [{ value: 'keep', label: 'Keep it' }, remove];
  const asks = recreates && choice !== 'remove';
  const chosen = asks ? null : (choice ?? 'keep');
  const outcome = asks
    ? 'recreating deletes it, so choices.addedVms must be "remove" (mode overwrite keeps it)'
    : chosen === 'keep'
      ? 'it is kept'
      : 'it is deleted, as the request says';
  const items = added.map((vm) => {
    const sentence = `VM "${vm.name}" of the vApp is not in the restore point; ${outcome}.`;
    const choiceOf = { field: 'addedVms', chosen, options };
    return planItem(`addedVms.${vm.name}`, asks ? 'not-permitted' : 'changed', { captured: undefined, planned: chosen }, sentence, {
      choice: choiceOf,
      needsChoice: asks,
    });
  });
  // With the old vApp they go by themselves.
  return { removals: chosen === 'remove' && !recreates ? added.map(({ href, name }) => ({ href, name })) : [], items };
}
