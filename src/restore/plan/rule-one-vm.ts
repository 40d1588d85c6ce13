import type { ManifestDisk, ManifestVm } from '../../catalog/index.js';
import { sameEntity, type VmCapture } from '../../vcd/index.js';
import { RestoreError } from '../errors.js';
import type { PlanItem, PlannedNamedDisk, PlannedVm } from '../plan-types.js';
import type { RestorePayload } from '../restore-request.js';
import { planItem } from './choose.js';
import type { Machine, MachineSupport } from './examine-machines.js';
import { ruleAsNamedDisk } from './rule-as-named-disk.js';
import { ruleIdentity } from './rule-identity.js';
import { ruleInPlace } from './rule-in-place.js';
import { ruleMachine } from './rule-machine.js';
import { isAttachedAsBefore, type NamedDiskInput, ruleNamedDisks, splitNamed } from './rule-named-disks.js';
import type { RuledNetworks } from './rule-networks.js';
import { ruleNics } from './rule-nics.js';
import { rulePolicies } from './rule-policies.js';
import { ruleDatastore, ruleStorageProfiles, spaceDemand } from './rule-storage.js';
import { type RuledVm as VmDecision, ruleVm, selectDisk } from './rule-vms.js';
import type { Today, TodaysVm } from './today.js';

type RuledVm = Omit<PlannedVm, 'configXml' | 'nvram' | 'manifest' | 'captured' | 'withoutDisks'>;

export interface OneVmInput {
  networks: RuledNetworks;
  namedDisks: NamedDiskInput;
  keepMacAddresses: boolean;
  keepsIdentity: boolean;
  /** Of the captured vApp. */
  ownerName: string | undefined;
  /** By datastore, of the VMs before this one. */
  reservedBytes: Map<string, number>;
  /** By captured VM id. */
  machines: ReadonlyMap<string, Machine>;
  support: MachineSupport;
}

/** @param vm under the name it gets */
export function ruleOneVm(
  vm: VmCapture,
  manifest: ManifestVm,
  today: Today,
  payload: RestorePayload,
  given: OneVmInput,
): { vm: RuledVm; items: PlanItem[] } {
  const { choices, mode } = payload;
  const { vdc, nicsInUse } = today;
  const present = today.vms.get(manifest.vcloudId);
  const disks = payload.disk === undefined ? manifest.disks : [selectDisk(manifest, payload.disk.disk)];
  const asNew = payload.disk?.asNamedDisk;
  if (payload.disk !== undefined && asNew !== undefined && disks[0] !== undefined) {
    const request = { ...payload.disk, asNamedDisk: asNew };
    return ruleAsNamedDisk(vm, disks[0], request, today, { ...given.namedDisks, ownerName: given.ownerName });
  }
  const { decided, ownDisks, namedDisks, items: diskItems } = ruleDisks(vm, manifest, disks, present, payload, given.namedDisks);
  const storage = ruleStorageProfiles(vm, vdc, choices.storageProfiles);
  const policies = rulePolicies(storage.vm, vdc, choices);
  const nics = ruleNics(policies.vm, {
    keepMacAddresses: given.keepMacAddresses,
    ...{ ipAddresses: choices.ipAddresses, nicsInUse, networks: given.networks.networks, remapped: given.networks.remapped },
    sameNetwork: sameEntity,
  });
  const inPlace = decided.action === 'overwrite';
  const machine = given.machines.get(manifest.vcloudId);
  const datastore = inPlace
    ? undefined
    : ruleDatastore(
        { name: vm.name, path: manifest.disks[0]?.path, demand: demandOf(manifest, ownDisks, namedDisks, machine, mode) },
        today.datastores,
        given.reservedBytes,
        suitingDatastores(storage.vm, given.support),
      );
  const made =
    inPlace || machine === undefined
      ? { made: {}, items: [] }
      : ruleMachine({ name: vm.name, manifest, machine, support: given.support, choices });
  const identity = ruleIdentity(vm, {
    action: decided.action,
    keepsIdentity: given.keepsIdentity,
    instanceUuid: manifest.instanceUuid,
    holder: today.instanceUuidHolders.get(manifest.vcloudId),
    replaced: decided.action === 'replace' || mode === 'recreate' ? present : undefined,
  });
  // One disk of a VM: the rest of it is left as it is today.
  const attributes =
    mode === 'disk'
      ? []
      : [...storage.items, ...policies.items, ...nics.items, ...identity, ...(inPlace && present ? ruleInPlace(vm, present) : [])];
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
      made: made.made,
      disks: ownDisks,
      namedDisks,
    },
    items: [...decided.items, ...diskItems, ...attributes, ...(datastore?.items ?? []), ...made.items],
  };
}

/** Disks of its own that the restore point does not hold come back empty: thick ones take their room all the same. */
function demandOf(
  manifest: ManifestVm,
  own: readonly ManifestDisk[],
  named: readonly PlannedNamedDisk[],
  machine: Machine | undefined,
  mode: RestorePayload['mode'],
) {
  const held = new Set(manifest.disks.map(({ deviceKey }) => deviceKey));
  const empty = (machine?.disks ?? []).filter(({ deviceKey, thin }) => !thin && !held.has(deviceKey));
  const emptyThickBytes = empty.reduce((sum, disk) => sum + disk.capacityBytes, 0);
  const made = named.filter(({ existing }) => existing === undefined).map((disk) => disk.manifest);
  return spaceDemand(own, made, emptyThickBytes, mode === 'template' ? 2 : 1);
}

/** A storage profile of VCD's is a storage policy of vCenter's under the same name. */
function suitingDatastores({ storageProfile }: VmCapture, { policies, datastoresOf }: MachineSupport): ReadonlySet<string> | undefined {
  const policy = policies.find(({ name }) => name === storageProfile?.name);
  return policy && datastoresOf.get(policy.id);
}

/** Which disks are written into the VM as it is made or stands, and which are named disks that have to be made for it. */
function ruleDisks(
  vm: VmCapture,
  manifest: ManifestVm,
  disks: readonly ManifestDisk[],
  present: TodaysVm | undefined,
  payload: RestorePayload,
  input: NamedDiskInput,
): { decided: VmDecision; ownDisks: ManifestDisk[]; namedDisks: PlannedNamedDisk[]; items: PlanItem[] } {
  const { own, named } = splitNamed(disks, input.captured);
  const attached = named.filter((each) => isAttachedAsBefore(each, present));
  const [foreign] = named.filter((each) => !attached.includes(each));
  if (payload.mode === 'disk' && foreign !== undefined) {
    throw new RestoreError(
      'DISK_MISMATCH',
      `Named disk "${foreign.captured.name}" is not attached to VM "${vm.name}" any more; attach it where it was, or restore the VM.`,
      { vm: vm.name },
    );
  }
  const inPlaceDisks = [...own, ...attached.map(({ disk }) => disk)];
  const decided = ruleVm(vm.name, inPlaceDisks, present, payload);
  const inPlace = decided.action === 'overwrite';
  const missing = inPlace ? named.filter((each) => !attached.includes(each)) : named;
  const ruled = ruleNamedDisks(vm, missing, input, inPlace ? present : undefined);
  const excluded = payload.mode === 'disk' ? [] : ruleExcludedDisks(vm, manifest, inPlace);
  return { decided, ownDisks: inPlace ? inPlaceDisks : own, namedDisks: ruled.planned, items: [...ruled.items, ...excluded] };
}

/** What a restore point does not hold is said, or an empty disk would look as if it had been restored. */
function ruleExcludedDisks(vm: VmCapture, { excludedDisks }: ManifestVm, inPlace: boolean): PlanItem[] {
  return excludedDisks.map(({ label, reason }) => {
    const outcome = inPlace ? 'it is left as it is' : 'its content does not come back';
    const sentence = `${label} of VM "${vm.name}" is not in the restore point (${reason.replace(/\.$/, '')}); ${outcome}.`;
    return planItem(`vms.${vm.name}.excludedDisks.${label}`, 'missing', { captured: label, planned: null }, sentence);
  });
}

function datastoreOf(vmPath: string | undefined): string {
  return /^\[([^\]]+)\]/.exec(vmPath ?? '')?.[1] ?? '';
}
