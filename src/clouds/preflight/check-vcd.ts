import { parseXml, XmlError } from '../../common/index.js';
import type { VcdClientApi } from '../../vcd/index.js';
import { matchWarnings } from '../check-connections.js';
import type { RegisteredVcd, RegisteredVcenter } from '../cloud.entity.js';
import { checkClock, checkServer } from './check-server.js';
import { ServerChecks } from './report.js';

/** A Date header has whole seconds. */
const HEADER_ACCURACY_MS = 1_000;
const AFTER_LOGIN = ['rights', 'vcenters'] as const;

/** Whether VCD can be reached and trusted, and whether the account is a system administrator who may import VMs. */
export async function checkVcd(
  vcd: RegisteredVcd,
  vcenters: readonly RegisteredVcenter[],
  open: () => Promise<VcdClientApi>,
  signal: AbortSignal,
): Promise<ServerChecks> {
  const checks = new ServerChecks(vcd.url);
  const probe = await checkServer(checks, vcd, '/api/versions', signal, ['clock', 'api-version', 'login', ...AFTER_LOGIN]);
  if (probe === undefined) return checks;
  checkClock(checks, probe.serverTime, probe.ownTime, HEADER_ACCURACY_MS);
  const client = await checks.attempt('login', signal, async () => {
    const opened = await open();
    checks.add('login', 'ok', `Logged in to organization "${vcd.organization}".`);
    return opened;
  });
  checkVersions(checks, probe.body, client?.apiVersion);
  if (client === undefined) {
    checks.skipAfter('login', AFTER_LOGIN);
    return checks;
  }
  await checks.attempt('rights', signal, () => checkRights(checks, client, signal));
  await checks.attempt('vcenters', signal, async () => {
    const warnings = matchWarnings(await client.vimServers(signal), vcenters);
    if (warnings.length === 0) checks.add('vcenters', 'ok', 'Every vCenter of this VCD is registered.');
    for (const warning of warnings) checks.add('vcenters', 'warning', warning);
  });
  return checks;
}

function checkVersions(checks: ServerChecks, body: string, spoken: string | undefined): void {
  const offered = versionsIn(body);
  const list = offered.length === 0 ? 'It does not list its API versions' : `It offers API versions ${offered.join(', ')}`;
  if (spoken === undefined)
    checks.add('api-version', offered.length === 0 ? 'failed' : 'skipped', `${list}; nobody is logged in to speak one.`);
  else checks.add('api-version', 'ok', `${list}; ${spoken} is spoken.`);
}

function versionsIn(body: string): string[] {
  try {
    return parseXml(body)
      .childrenNamed('VersionInfo')
      .map((info) => info.textAt('Version') ?? '');
  } catch (error) {
    if (error instanceof XmlError) return [];
    throw error;
  }
}

async function checkRights(checks: ServerChecks, client: VcdClientApi, signal: AbortSignal): Promise<void> {
  const { userName, organization, roles, isProvider, vcenters } = await client.account(signal);
  const who = `"${userName}" of organization "${organization}"${roles.length === 0 ? '' : ` (${roles.join(', ')})`}`;
  if (!isProvider) {
    const why = 'only a system administrator sees the VMs’ places in vCenter, maintenance mode and imports';
    checks.add('rights', 'failed', `${who} is no system administrator: ${why}; register one.`);
    return;
  }
  const away = vcenters.filter(({ isEnabled, isConnected }) => !isEnabled || !isConnected);
  const items = away.map(({ name, isEnabled }) => ({ name, problem: isEnabled ? 'VCD is not connected to it' : 'disabled in VCD' }));
  const isAdministrator = roles.some((role) => role.toLowerCase() === 'system administrator');
  // Where VCD lists what may be done with a vCenter, the list decides; the role that every VCD has may import always.
  const refusing = isAdministrator ? [] : vcenters.filter(({ mayImport }) => !mayImport);
  if (away.length > 0)
    checks.add('rights', 'failed', `${who} may import VMs, but VCD cannot use ${names(away)}: connect it in VCD.`, { items });
  else if (refusing.length > 0)
    checks.add(
      'rights',
      'warning',
      `${who} may see the provider’s view, but VCD does not offer importing VMs of ${names(refusing)}: a restore may be refused.`,
    );
  else checks.add('rights', 'ok', `${who} is a system administrator and may import VMs.`);
}

function names(vcenters: readonly { name: string }[]): string {
  return vcenters.map(({ name }) => `vCenter "${name}"`).join(', ');
}
