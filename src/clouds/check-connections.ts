import { describeError, type Logger, VaultError } from '../common/index.js';
import { VcdClient, type VcdConnection, type VimServerRecord } from '../vcd/index.js';
import { VsphereClient } from '../vsphere/index.js';
import type { RegisteredVcenter } from './cloud.entity.js';
import type { VcenterLogin } from './cloud-sessions.js';
import { CloudError } from './errors.js';

export interface CheckedConnections {
  vcenters: VcenterLogin[];
  /** What VCD says of its vCenters; undefined when VCD was not to be checked. */
  vimServers: VimServerRecord[] | undefined;
}

/**
 * Logs in once wherever it is told to, so that logins that cannot work are refused with all their
 * reasons. The caller gets what the servers say of themselves; every session made here is closed.
 * @param purpose ends the sentence `Cloud "prod" cannot be …`.
 * @throws CloudError CLOUD_UNUSABLE.
 */
export async function checkConnections(
  name: string,
  purpose: 'registered' | 'changed',
  servers: { vcd: VcdConnection | undefined; vcenters: readonly Omit<VcenterLogin, 'instanceUuid'>[] },
  log: Logger,
  signal?: AbortSignal,
): Promise<CheckedConnections> {
  const { vcd, vcenters } = servers;
  const options = { logger: log, ...(signal === undefined ? {} : { signal }) };
  const opened: { close(): Promise<void> }[] = [];
  const keep = <T extends { close(): Promise<void> }>(client: T): T => {
    opened.push(client);
    return client;
  };
  try {
    const vcdCheck = vcd && VcdClient.connect(vcd, options).then((client) => keep(client).vimServers(signal));
    const vcenterChecks = vcenters.map(async (login) => ({
      ...login,
      instanceUuid: keep(await VsphereClient.connect(login, options)).instanceUuid,
    }));
    const [answer, ...found] = await Promise.allSettled([vcdCheck, ...vcenterChecks] as const);
    const faults = [answer, ...found].filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown);
    if (faults.length > 0 || answer.status === 'rejected') throw unusable(name, purpose, faults);
    const logins = found.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    for (const [index, login] of logins.entries()) {
      const first = logins.findIndex(({ instanceUuid }) => instanceUuid.toLowerCase() === login.instanceUuid.toLowerCase());
      if (first !== index) {
        throw unusable(name, purpose, [new Error(`${logins[first]?.url} and ${login.url} are the same vCenter, ${login.instanceUuid}.`)]);
      }
    }
    return { vcenters: logins, vimServers: answer.value };
  } finally {
    await Promise.allSettled(opened.map((client) => client.close()));
  }
}

/** VCD and vCenter know each other by vCenter's instance UUID (VimServer/Uuid = about.instanceUuid). */
export function matchWarnings(
  vimServers: readonly VimServerRecord[],
  vcenters: readonly Pick<RegisteredVcenter, 'instanceUuid' | 'url'>[],
): string[] {
  const uuids = (items: readonly { instanceUuid: string }[]) => new Set(items.map(({ instanceUuid }) => instanceUuid.toLowerCase()));
  const registered = uuids(vcenters);
  const used = uuids(vimServers);
  return [
    ...vimServers
      .filter(({ instanceUuid }) => !registered.has(instanceUuid.toLowerCase()))
      .map(
        ({ name, url, instanceUuid }) =>
          `VCD uses vCenter "${name}" (${url}, instance UUID ${instanceUuid}), which is not registered: vApps with VMs there cannot be backed up.`,
      ),
    ...vcenters
      .filter(({ instanceUuid }) => !used.has(instanceUuid.toLowerCase()))
      .map(({ url, instanceUuid }) => `The registered vCenter ${url} (instance UUID ${instanceUuid}) is not used by this VCD.`),
  ];
}

export function unusable(name: string, purpose: 'registered' | 'changed', faults: readonly unknown[]): CloudError {
  const reasons = [...new Set(faults.map((fault) => describeError(fault).replace(/[.\s]+$/, '')))];
  return new CloudError('CLOUD_UNUSABLE', `Cloud "${name}" cannot be ${purpose}: ${reasons.join('; ')}.`, {
    subject: `cloud "${name}"`,
    details: { causes: faults.flatMap((fault) => (fault instanceof VaultError ? [fault.code] : [])) },
    cause: faults[0],
  });
}
