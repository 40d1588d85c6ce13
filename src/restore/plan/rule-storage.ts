import type { ManifestVm } from '../../catalog/index.js';
import type { VcdReference, VdcResources, VmCapture } from '../../vcd/index.js';
import { RestoreError } from '../errors.js';
import type { PlanItem } from '../plan-types.js';
import type { RestoreRequest } from '../restore-request.js';
import { assertOption, optionsOf, planItem } from './choose.js';
import type { Datastores } from './today.js';

/** Storage profile of a VM and of its disks: the chosen one, the captured one, else the VDC's default. */
export function ruleStorageProfiles(
  vm: VmCapture,
  vdc: VdcResources,
  chosen: RestoreRequest['choices']['storageProfiles'],
): { vm: VmCapture; items: PlanItem[] } {
  const items: PlanItem[] = [];
  const match = (captured: VcdReference | undefined, attribute: string, what: string): VcdReference | undefined => {
    const { profile, item } = matchProfile(captured, vdc, chosen, attribute, what);
    if (item) items.push(item);
    return profile;
  };
  const own = match(vm.storageProfile, `vms.${vm.name}.storageProfile`, `VM "${vm.name}"`);
  const disks = vm.disks.map((disk) => {
    const place = `${disk.busNumber ?? 0}:${disk.unitNumber ?? 0}`;
    const profile =
      disk.storageProfile && match(disk.storageProfile, `vms.${vm.name}.disks.${place}.storageProfile`, `disk ${place} of VM "${vm.name}"`);
    return profile === undefined ? disk : { ...disk, storageProfile: profile };
  });
  return { vm: { ...vm, disks, ...(own ? { storageProfile: own } : {}) }, items };
}

export function matchProfile(
  captured: VcdReference | undefined,
  vdc: Pick<VdcResources, 'name' | 'storageProfiles'>,
  chosen: RestoreRequest['choices']['storageProfiles'],
  attribute: string,
  what: string,
): { profile: VcdReference | undefined; item?: PlanItem } {
  const usable = vdc.storageProfiles.filter((profile) => profile.enabled);
  const fallback = usable.find((profile) => profile.isDefault) ?? usable[0];
  const name = captured?.name;
  if (name === undefined) return { profile: fallback };
  const options = optionsOf(usable.flatMap((profile) => profile.name ?? []));
  const request = chosen?.[name];
  const choice = (value: string | undefined) => ({ field: `storageProfiles.${name}`, chosen: value ?? null, options });
  if (request !== undefined) {
    assertOption(`storageProfiles.${name}`, request, options);
    const profile = usable.find((candidate) => candidate.name === request);
    const explanation = request === name ? '' : `The request puts ${what} on storage profile "${request}" instead of "${name}".`;
    const conformity = request === name ? 'fits' : 'changed';
    return {
      profile,
      item: planItem(attribute, conformity, { captured: name, planned: request }, explanation, { choice: choice(request) }),
    };
  }
  const same = usable.find((profile) => profile.href === captured?.href) ?? usable.find((profile) => profile.name === name);
  if (same !== undefined) {
    // Renamed since: the same profile under another name is a change a person should see.
    if (same.name === name)
      return { profile: same, item: planItem(attribute, 'fits', { captured: name, planned: name }, '', { choice: choice(name) }) };
    const sentence = `Storage profile "${name}" of ${what} is called "${same.name}" today.`;
    return {
      profile: same,
      item: planItem(attribute, 'changed', { captured: name, planned: same.name }, sentence, { choice: choice(same.name) }),
    };
  }
  const instead = fallback === undefined ? 'VCD chooses one' : `"${fallback.name}" is used`;
  const sentence = `Storage profile "${name}" of ${what} is not available in VDC "${vdc.name}"; ${instead}.`;
  const item = planItem(attribute, 'missing', { captured: name, planned: fallback?.name }, sentence, { choice: choice(fallback?.name) });
  return { profile: fallback, item };
}

/** The captured datastore where it still stands and has room, else the one with the most room. */
export function ruleDatastore(
  vm: ManifestVm,
  datastores: Datastores,
  reservedBytes: ReadonlyMap<string, number>,
): { name: string; neededBytes: number; items: PlanItem[] } {
  const neededBytes = vm.disks.reduce((sum, disk) => sum + (disk.thin ? disk.allocatedBytes : disk.capacityBytes), 0);
  const before = /^\[([^\]]+)\]/.exec(vm.disks[0]?.path ?? '')?.[1];
  const free = (datastore: Datastores[number]) => datastore.freeBytes - (reservedBytes.get(datastore.name) ?? 0);
  const usable = datastores.filter((datastore) => datastore.accessible && free(datastore) > neededBytes);
  const attribute = `vms.${vm.name}.datastore`;
  const same = usable.find((datastore) => datastore.name === before);
  if (same) return { name: same.name, neededBytes, items: [planItem(attribute, 'fits', { captured: before, planned: same.name })] };
  const roomiest = [...usable].sort((a, b) => free(b) - free(a))[0];
  if (roomiest === undefined) {
    throw new RestoreError('NO_DATASTORE', `No datastore of the target has the ${neededBytes} bytes that VM "${vm.name}" needs.`, {
      neededBytes,
    });
  }
  const sentence = `Datastore "${before}" of VM "${vm.name}" is not usable; "${roomiest.name}" is used.`;
  const items = before === undefined ? [] : [planItem(attribute, 'missing', { captured: before, planned: roomiest.name }, sentence)];
  return { name: roomiest.name, neededBytes, items };
}
