import type { ServerTrust } from '../common/index.js';
import { type CheckedConnections, unusable } from './check-connections.js';
import type { CloudEntity, RegisteredVcd } from './cloud.entity.js';
import { endpointOf } from './cloud-login.service.js';
import type { VcdAccount, VcdRegistration, VcenterLogin } from './cloud-sessions.js';
import { CloudError } from './errors.js';

/** What is to be different; what is absent stays. */
export interface CloudChange {
  vcd?: { endpoint: Partial<Omit<VcdRegistration, 'account'>>; account?: VcdAccount };
  /** Of vCenters that are registered, named by their instance UUID. */
  vcenters?: VcenterChange[];
  addVcenters?: Omit<VcenterLogin, 'instanceUuid'>[];
  /** By instance UUID. */
  removeVcenters?: string[];
}
export interface VcenterChange {
  instanceUuid: string;
  url?: string;
  userName?: string;
  password?: string;
  trust?: ServerTrust;
}

/** The whole registration where the account changes; undefined where it stays. */
export function changedRegistration(present: RegisteredVcd, change: CloudChange['vcd']): VcdRegistration | undefined {
  if (change?.account === undefined) return undefined;
  return { ...endpointOf(present), ...change.endpoint, account: change.account };
}

/** @throws CloudError VCENTER_NOT_REGISTERED; CLOUD_UNUSABLE: none would be left, or one is to be changed and removed. */
export function removedVcenters(cloud: Pick<CloudEntity, 'name' | 'vcenters'>, change: CloudChange): string[] {
  const removed = [...new Set((change.removeVcenters ?? []).map((uuid) => uuid.toLowerCase()))];
  const present = cloud.vcenters.map(({ instanceUuid }) => instanceUuid.toLowerCase());
  const unknown = removed.find((uuid) => !present.includes(uuid));
  if (unknown !== undefined) throw vcenterNotRegistered(cloud.name, unknown);
  const twice = change.vcenters?.find(({ instanceUuid }) => removed.includes(instanceUuid.toLowerCase()));
  if (twice !== undefined) throw unusable(cloud.name, 'changed', [new Error(`vCenter ${twice.instanceUuid} is to be changed and removed`)]);
  if (removed.length === present.length && (change.addVcenters ?? []).length === 0) {
    throw unusable(cloud.name, 'changed', [new Error('no vCenter would be left')]);
  }
  return removed;
}

/** @throws CloudError CLOUD_UNUSABLE: a vCenter to be added is there, under whatever address. */
export function refuseKnownVcenters(cloudName: string, present: readonly VcenterLogin[], added: readonly VcenterLogin[]): void {
  const known = new Map(present.map((login) => [login.instanceUuid.toLowerCase(), login.url]));
  const faults = added.flatMap(({ instanceUuid, url }) => {
    const there = known.get(instanceUuid.toLowerCase());
    return there === undefined
      ? []
      : [new Error(`the vCenter at ${url} is registered already, as ${there} (instance UUID ${instanceUuid})`)];
  });
  if (faults.length > 0) throw unusable(cloudName, 'changed', faults);
}

/** @throws CloudError VCENTER_NOT_REGISTERED. */
export function changedVcenters(
  cloudName: string,
  present: readonly VcenterLogin[],
  changes: readonly VcenterChange[],
): { changed: VcenterLogin[]; all: VcenterLogin[] } {
  const key = (instanceUuid: string) => instanceUuid.toLowerCase();
  const byUuid = new Map(present.map((login) => [key(login.instanceUuid), login]));
  const changed = changes.map((change) => {
    const login = byUuid.get(key(change.instanceUuid));
    if (login !== undefined) return { ...login, ...change, instanceUuid: login.instanceUuid };
    throw vcenterNotRegistered(cloudName, change.instanceUuid);
  });
  for (const login of changed) byUuid.set(key(login.instanceUuid), login);
  return { changed, all: [...byUuid.values()] };
}

/**
 * A cloud's inventory and restore points belong to the servers it was registered with: another address is
 * welcome, another server is not.
 * @throws CloudError CLOUD_UNUSABLE.
 */
export function refuseOtherServers(cloud: CloudEntity, expected: readonly VcenterLogin[], checked: CheckedConnections): void {
  const faults: Error[] = [];
  const known = new Set(cloud.vimServerIds);
  const seen = checked.vimServers ?? [];
  if (known.size > 0 && seen.length > 0 && !seen.some(({ id }) => known.has(id))) {
    faults.push(new Error('the VCD is another one than was registered (none of its vCenters is known)'));
  }
  for (const [index, login] of expected.entries()) {
    const actual = checked.vcenters[index]?.instanceUuid ?? '';
    if (actual.toLowerCase() === login.instanceUuid.toLowerCase()) continue;
    faults.push(
      new Error(`the vCenter at ${login.url} is another one than was registered (instance UUID ${actual}, not ${login.instanceUuid})`),
    );
  }
  if (faults.length > 0) throw unusable(cloud.name, 'changed', faults);
}

function vcenterNotRegistered(cloudName: string, instanceUuid: string): CloudError {
  return new CloudError(
    'VCENTER_NOT_REGISTERED',
    `Cloud "${cloudName}" has no vCenter with instance UUID ${instanceUuid}; see its list of vCenters.`,
    { subject: `cloud "${cloudName}"` },
  );
}
