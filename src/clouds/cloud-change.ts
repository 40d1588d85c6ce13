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
    throw new CloudError(
      'VCENTER_NOT_REGISTERED',
      `Cloud "${cloudName}" has no vCenter with instance UUID ${change.instanceUuid}; see its list of vCenters.`,
      { subject: `cloud "${cloudName}"` },
    );
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
