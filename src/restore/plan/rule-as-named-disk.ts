import type { ManifestDisk } from '../../catalog/index.js';
import { MIB } from '../../common/index.js';
import type { NamedDiskCapture, VmCapture } from '../../vcd/index.js';
import { RestoreError } from '../errors.js';
import type { PlanItem, PlannedNamedDisk, PlannedVm } from '../plan-types.js';
import type { RestorePayload } from '../restore-request.js';
import { planItem } from './choose.js';
import type { NamedDiskInput } from './rule-named-disks.js';
import { matchProfile } from './rule-storage.js';
import type { Today } from './today.js';

/** ResourceType 6 of RASD, with the adapter every guest of this age knows (DiskType, busType and busSubType). */
const SCSI = { busType: '6', busSubType: 'VirtualSCSI' };

export type NewDiskRequest = Required<RestorePayload>['disk'] & { asNamedDisk: string };

/**
 * The content of one disk as a new named disk beside everything that is there. A disk is written through a VM only, so
 * it is attached to one: the one that is named, or the one it came from, which has to be off for it.
 *
 * @throws RestoreError RESTORE_REQUEST_INVALID where the vApp has no such VM.
 */
export function ruleAsNamedDisk(
  vm: VmCapture,
  disk: ManifestDisk,
  request: NewDiskRequest,
  today: Pick<Today, 'target' | 'vms' | 'vdc' | 'vmFolderMoRef'>,
  input: NamedDiskInput & { ownerName: string | undefined },
): { vm: Omit<PlannedVm, 'configXml' | 'nvram' | 'manifest' | 'captured' | 'withoutDisks'>; items: PlanItem[] } {
  const carrier = carrierOf(vm, request, today);
  const { asNamedDisk: name } = request;
  const items: PlanItem[] = [];
  const setting = vm.disks.find((candidate) => candidate.instanceId === String(disk.deviceKey));
  const captured: NamedDiskCapture = {
    href: '',
    id: '',
    name,
    description: `${disk.label} of VM "${vm.name}", restored`,
    sizeMib: Math.ceil(disk.capacityBytes / MIB),
    ...SCSI,
    metadata: [],
    attachments: [],
  };
  const { profile, item } = matchProfile(
    setting?.storageProfile ?? vm.storageProfile,
    today.vdc,
    input.choices.storageProfiles,
    `namedDisks.${name}.storageProfile`,
    `named disk "${name}"`,
  );
  if (item) items.push(item);
  const owner = input.users.get((input.ownerName ?? '').toLowerCase());
  const sentence = `${disk.label} of VM "${vm.name}" becomes the new named disk "${name}"; VM "${carrier.name}" is stopped for it and gets it attached.`;
  items.push(planItem(`namedDisks.${name}`, 'changed', { captured: disk.label, planned: name }, sentence));
  const planned: PlannedNamedDisk = {
    manifest: disk,
    captured,
    wanted: { ...captured, ...(profile && { storageProfile: profile }), ...(owner && { owner }) },
    place: {},
    existing: undefined,
  };
  const placement = { folderMoRef: today.vmFolderMoRef, resourcePoolMoRef: today.vdc.resourcePoolMoRef, datastoreName: '' };
  return {
    vm: {
      wanted: vm,
      action: 'overwrite',
      existing: carrier,
      placement,
      made: {},
      storageProfileHref: undefined,
      disks: [],
      namedDisks: [planned],
    },
    items,
  };
}

function carrierOf(
  vm: VmCapture,
  { attachTo }: NewDiskRequest,
  { target, vms }: Pick<Today, 'target' | 'vms'>,
): NonNullable<PlannedVm['existing']> {
  const present = target?.capture.vms ?? [];
  const found = attachTo === undefined ? vms.get(vm.id)?.capture : present.find(({ name, id }) => name === attachTo || id === attachTo);
  if (found !== undefined) return { href: found.href, moRef: found.vim.vmMoRef, name: found.name };
  const names = present.map(({ name }) => `"${name}"`).join(', ') || 'none';
  throw new RestoreError(
    'RESTORE_REQUEST_INVALID',
    `vApp "${target?.name ?? ''}" has no VM "${attachTo ?? vm.name}" to attach the disk to; name with disk.attachTo one of: ${names}.`,
    { field: 'disk.attachTo' },
  );
}
