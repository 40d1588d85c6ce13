import type { ManifestVm } from '../../catalog/index.js';
import type { EncryptionOptions, StoragePolicy, StorageProfiles } from '../../vsphere/index.js';
import type { PlanItem, PlannedVm } from '../plan-types.js';
import type { RestoreRequest } from '../restore-request.js';
import { planItem } from './choose.js';
import type { Machine, MachineSupport } from './examine-machines.js';

interface MachineInput {
  /** The VM's name at the end. */
  name: string;
  manifest: ManifestVm;
  machine: Machine;
  support: MachineSupport;
  choices: RestoreRequest['choices'];
}

/** How a VM that is built anew is made where the target cannot make it quite as it was. */
export function ruleMachine(input: MachineInput): { made: PlannedVm['made']; items: PlanItem[] } {
  const hardware = ruleHardwareVersion(input);
  const policies = rulePolicies(input);
  const encryption = ruleEncryption(input, policies.profiles);
  return {
    made: {
      ...(hardware.version !== undefined && { hardwareVersion: hardware.version }),
      ...(encryption.options !== undefined && { encryption: encryption.options }),
    },
    items: [...hardware.items, ...policies.items, ...encryption.items],
  };
}

/** Hosts take virtual hardware up to their own version. */
function ruleHardwareVersion({ name, machine, support }: MachineInput): { version?: string; items: PlanItem[] } {
  const captured = machine.hardwareVersion;
  const { hardwareVersions } = support;
  if (hardwareVersions.length === 0 || captured === '' || hardwareVersions.includes(captured)) return { items: [] };
  const [newest] = [...hardwareVersions].sort((a, b) => numberOf(b) - numberOf(a));
  if (newest === undefined) return { items: [] };
  const older = numberOf(captured) > numberOf(newest);
  const planned = older
    ? newest
    : ([...hardwareVersions].sort((a, b) => numberOf(a) - numberOf(b)).find((version) => numberOf(version) > numberOf(captured)) ?? newest);
  const consequence = older ? '; a guest that needs what is newer may not start' : '';
  const sentence = `The hosts of the target make no VM with virtual hardware ${captured}; VM "${name}" is built with ${planned}${consequence}.`;
  return { version: planned, items: [planItem(`vms.${name}.hardware.hardwareVersion`, 'not-permitted', { captured, planned }, sentence)] };
}

/** Policies of today by id, else by name. Those VCD sets by its storage profiles come at import, and are the same. */
function rulePolicies({ name, manifest, support }: MachineInput): { profiles: StorageProfiles | undefined; items: PlanItem[] } {
  const items: PlanItem[] = [];
  const missing = new Set<string>();
  const find = (captured: StoragePolicy | undefined): string | undefined => {
    if (captured === undefined) return undefined;
    const { policies } = support;
    const found = policies.find(({ id }) => id === captured.id) ?? policies.find((policy) => policy.name === captured.name);
    if (found === undefined && !missing.has(captured.name)) {
      missing.add(captured.name);
      const sentence = `Storage policy "${captured.name}" of VM "${name}" is not in vCenter any more; the storage profile that VCD gives decides.`;
      items.push(planItem(`vms.${name}.storagePolicy`, 'missing', { captured: captured.name, planned: null }, sentence));
    }
    return found?.id;
  };
  const home = find(manifest.storagePolicy);
  const disks = new Map(
    manifest.disks.flatMap((disk): [number, string][] => {
      const id = find(disk.storagePolicy);
      return id === undefined ? [] : [[disk.deviceKey, id]];
    }),
  );
  return { profiles: home === undefined && disks.size === 0 ? undefined : { home, disks }, items };
}

const NEW_KEYS = { value: 'new-keys', label: 'Encrypt it with new keys; what NVRAM and TPM held is lost' };
const NONE = { value: 'none', label: 'Do not encrypt it; it has no TPM then' };

/**
 * A VM that was encrypted needs its key provider: without it vCenter makes the VM and nobody can start it (guide,
 * "Recommendations for VM Home"), so that is said before anything is written.
 */
function ruleEncryption(
  { name, machine, support, choices }: MachineInput,
  profiles: StorageProfiles | undefined,
): { options: EncryptionOptions | undefined; items: PlanItem[] } {
  const { encryption } = machine;
  const withProfiles = profiles && { profiles };
  if (encryption === undefined) return { options: profiles && { keys: 'none', profiles }, items: [] };
  const { keyProviders } = support;
  const wanted = encryption.key.providerId;
  const isThere = wanted === undefined ? keyProviders.length > 0 : keyProviders.some(({ id }) => id === wanted);
  const lost = [encryption.key, ...encryption.diskKeys.values()].some(({ keyId }) => support.lostKeys.has(keyId));
  const canRenew = keyProviders.length > 0 && profiles?.home !== undefined;
  const item = (conformity: PlanItem['conformity'], planned: string | null, sentence: string, chosen: string | null): PlanItem =>
    planItem(`vms.${name}.encryption`, conformity, { captured: wanted ?? 'default key provider', planned }, sentence, {
      choice: { field: 'encryption', chosen, options: canRenew ? [NEW_KEYS, NONE] : [NONE] },
      needsChoice: conformity !== 'fits' && chosen === null,
    });
  if (choices.encryption === 'none') {
    const sentence = `VM "${name}" was encrypted and is not any more, as the request says${encryption.hasTpm ? '; it has no TPM' : ''}.`;
    return { options: { keys: 'none' }, items: [item('changed', 'none', sentence, 'none')] };
  }
  if (choices.encryption === 'new-keys' && canRenew) {
    const sentence = `VM "${name}" is encrypted with new keys, as the request says; it starts with a new NVRAM${encryption.hasTpm ? ' and an empty TPM' : ''}.`;
    return { options: { keys: 'new', ...withProfiles }, items: [item('changed', 'new keys', sentence, 'new-keys')] };
  }
  if (isThere && !lost && choices.encryption === undefined) {
    return { options: { keys: 'captured', ...withProfiles }, items: [item('fits', wanted ?? 'default key provider', '', null)] };
  }
  const why = whyNot(wanted, { isThere, lost: lost && choices.encryption === undefined });
  const sentence = `VM "${name}" is encrypted, and ${why}: it could be made and not started; add the key provider to vCenter, or say with choices.encryption what becomes of it.`;
  return { options: undefined, items: [item('not-permitted', null, sentence, null)] };
}

function whyNot(providerId: string | undefined, { isThere, lost }: { isThere: boolean; lost: boolean }): string {
  const provider = providerId === undefined ? 'its default key provider' : `key provider "${providerId}"`;
  // First: keys of a provider that is not there cannot be had either, and that is not what helps.
  if (!isThere) return providerId === undefined ? 'vCenter has no key provider' : `vCenter has no ${provider}`;
  if (lost) return `its keys cannot be had from ${provider}`;
  return 'new keys need a storage policy that encrypts, and the VM has none';
}

function numberOf(hardwareVersion: string): number {
  return Number(/\d+/.exec(hardwareVersion)?.[0] ?? 0);
}
