import { describeError, type Logger, VaultError } from '../common/index.js';
import { VcdClient, type VcdClientApi, type VimServerRecord } from '../vcd/index.js';
import { VsphereClient, type VsphereClientApi } from '../vsphere/index.js';
import type { RegisteredVcenter } from './cloud.entity.js';
import type { VcdLogin, VcenterLogin } from './cloud-sessions.js';
import { CloudError } from './errors.js';

/**
 * Logs in everywhere once, so that a registration that cannot work is refused with all its
 * reasons. The caller gets what the servers say of themselves; every session made here is closed.
 * @throws CloudError CLOUD_UNUSABLE.
 */
export async function checkConnections(
  name: string,
  vcd: VcdLogin,
  vcenters: readonly Omit<VcenterLogin, 'instanceUuid'>[],
  log: Logger,
  signal?: AbortSignal,
): Promise<{ vcenters: VcenterLogin[]; vimServers: VimServerRecord[] }> {
  const options = { logger: log, ...(signal === undefined ? {} : { signal }) };
  const opened: (VcdClientApi | VsphereClientApi)[] = [];
  const keep = <T extends VcdClientApi | VsphereClientApi>(client: T): T => {
    opened.push(client);
    return client;
  };
  try {
    const vcdCheck = VcdClient.connect(vcd, options).then((client) => keep(client).vimServers(signal));
    const vcenterChecks = vcenters.map(async (login) => ({
      ...login,
      instanceUuid: keep(await VsphereClient.connect(login, options)).instanceUuid,
    }));
    const [servers, ...found] = await Promise.allSettled([vcdCheck, ...vcenterChecks] as const);
    const faults = [servers, ...found].filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown);
    if (faults.length > 0 || servers.status === 'rejected') throw unusable(name, faults);
    const logins = found.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    for (const [index, login] of logins.entries()) {
      const first = logins.findIndex(({ instanceUuid }) => instanceUuid.toLowerCase() === login.instanceUuid.toLowerCase());
      if (first !== index) {
        throw unusable(name, [new Error(`${logins[first]?.url} and ${login.url} are the same vCenter, ${login.instanceUuid}.`)]);
      }
    }
    return { vcenters: logins, vimServers: servers.value };
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

function unusable(name: string, faults: readonly unknown[]): CloudError {
  const reasons = [...new Set(faults.map((fault) => describeError(fault).replace(/[.\s]+$/, '')))];
  return new CloudError('CLOUD_UNUSABLE', `Cloud "${name}" cannot be registered: ${reasons.join('; ')}.`, {
    subject: `cloud "${name}"`,
    details: { causes: faults.flatMap((fault) => (fault instanceof VaultError ? [fault.code] : [])) },
    cause: faults[0],
  });
}
