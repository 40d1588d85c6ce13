import type { ManifestDisk } from '../../catalog/index.js';
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

/** What one VM takes of a datastore, for good or for a while. */
export interface SpaceDemand {
  ownBytes: number;
  /** Named disks, which VCD puts where it likes. */
  namedBytes: number;
}

/**
 * Thin disks count what they hold, others all of it. Disks that are not in the restore point come back empty.
 * @param copies 2 for a template: the vApp it is captured from and the template are there at once for a moment
 */
export function spaceDemand(
  own: readonly ManifestDisk[],
  named: readonly ManifestDisk[],
  emptyThickBytes: number,
  copies: 1 | 2 = 1,
): SpaceDemand {
  const total = (disks: readonly ManifestDisk[]) =>
    disks.reduce((sum, disk) => sum + (disk.thin ? disk.allocatedBytes : disk.capacityBytes), 0);
  return { ownBytes: copies * (total(own) + emptyThickBytes), namedBytes: copies * total(named) };
}

/**
 * The captured datastore where it still stands, suits and has room, else the one with the most room. What the VM's
 * named disks need is kept free as well, on any of them.
 *
 * @param suiting MoRefs of those its storage policy allows; undefined where nobody says
 * @param reservedBytes by datastore, of the VMs before; what this one takes is added
 * @throws RestoreError NO_DATASTORE
 */
export function ruleDatastore(
  vm: { name: string; path: string | undefined; demand: SpaceDemand },
  datastores: Datastores,
  reservedBytes: Map<string, number>,
  suiting?: ReadonlySet<string>,
): { name: string; items: PlanItem[] } {
  const { ownBytes, namedBytes } = vm.demand;
  const before = /^\[([^\]]+)\]/.exec(vm.path ?? '')?.[1];
  const free = (datastore: Datastores[number]) => datastore.freeBytes - (reservedBytes.get(datastore.name) ?? 0);
  const reserve = (name: string, bytes: number) => reservedBytes.set(name, (reservedBytes.get(name) ?? 0) + bytes);
  const allowed = datastores.filter(({ accessible, moRef }) => accessible && (suiting?.has(moRef) ?? true));
  const roomiest = (bytes: number) => allowed.filter((each) => free(each) > bytes).sort((a, b) => free(b) - free(a))[0];
  const same = allowed.find((datastore) => datastore.name === before && free(datastore) > ownBytes);
  const chosen = same ?? roomiest(ownBytes);
  if (chosen === undefined) throw noRoom(`VM "${vm.name}" needs`, ownBytes, suiting);
  reserve(chosen.name, ownBytes);
  if (namedBytes > 0) {
    const forNamed = roomiest(namedBytes);
    if (forNamed === undefined) throw noRoom(`the named disks of VM "${vm.name}" need`, namedBytes, suiting);
    reserve(forNamed.name, namedBytes);
  }
  const attribute = `vms.${vm.name}.datastore`;
  if (same !== undefined) return { name: same.name, items: [planItem(attribute, 'fits', { captured: before, planned: same.name })] };
  if (before === undefined) return { name: chosen.name, items: [] };
  const sentence = `Datastore "${before}" of VM "${vm.name}" is not usable (gone, full, or not for its storage policy); "${chosen.name}" is used.`;
  return { name: chosen.name, items: [planItem(attribute, 'missing', { captured: before, planned: chosen.name }, sentence)] };
}

function noRoom(who: string, neededBytes: number, suiting: ReadonlySet<string> | undefined): RestoreError {
  const which = suiting === undefined ? 'No datastore of the target' : 'No datastore that its storage policy allows';
  return new RestoreError('NO_DATASTORE', `${which} has the ${neededBytes} bytes that ${who}; free some space, or choose another VDC.`, {
    neededBytes,
  });
}
