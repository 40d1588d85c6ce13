import { parseXml, XmlError } from '../../common/index.js';
import type { HostListing, VcenterSurveyApi, VsphereClientApi } from '../../vsphere/index.js';
import type { RegisteredVcenter } from '../cloud.entity.js';
import { NFC_PORT, unreachableHosts } from './check-hosts.js';
import { checkClock, checkServer } from './check-server.js';
import { plural, ServerChecks } from './report.js';

/** CurrentTime has milliseconds; half of the way there and back is what is not known. */
const CALL_ACCURACY_MS = 1_000;
const OLDEST_VERSION = 6.5;
const NEWEST_MAJOR = 9;
const LITTLE_SPACE_BYTES = 10 * 1024 ** 3;
const AFTER_LOGIN = ['clock', 'privileges', 'hosts', 'ntp', 'host-ports', 'datastores', 'machines'] as const;

export interface HostPorts {
  /** False: connections to hosts are not tried. */
  wanted: boolean;
  /** Over nbd or nbdssl disks come from the hosts themselves; over SAN and HotAdd they need not. */
  needed: boolean;
  signal: AbortSignal;
}

/** Whether a vCenter can be reached and trusted, what the account may do there, and the state of what it manages. */
export async function checkVcenter(
  vcenter: RegisteredVcenter,
  open: () => Promise<VsphereClientApi>,
  ports: HostPorts,
  signal: AbortSignal,
): Promise<ServerChecks> {
  const checks = new ServerChecks(vcenter.url);
  const probe = await checkServer(checks, vcenter, '/sdk/vimServiceVersions.xml', signal, ['api-version', 'login', ...AFTER_LOGIN]);
  if (probe === undefined) return checks;
  const client = await checks.attempt('login', signal, async () => {
    const opened = await open();
    checks.add('login', 'ok', `Logged in as ${vcenter.userName} to ${opened.survey.product}.`);
    return opened;
  });
  if (client === undefined) {
    checks.skipAfter('login', ['api-version', ...AFTER_LOGIN]);
    return checks;
  }
  checkVersion(checks, client.apiVersion, probe.body);
  const { survey } = client;
  await checks.attempt('clock', signal, async () => {
    const askedMs = Date.now();
    const serverTime = await survey.currentTime(signal);
    checkClock(checks, serverTime, new Date((askedMs + Date.now()) / 2), CALL_ACCURACY_MS);
  });
  await checks.attempt('privileges', signal, () => checkPrivileges(checks, vcenter.userName, survey, signal));
  const hosts = await checks.attempt('hosts', signal, () => checkHosts(checks, survey, signal));
  if (hosts === undefined) checks.skipAfter('hosts', ['ntp', 'host-ports']);
  else {
    checkNtp(checks, hosts);
    await checkPorts(checks, hosts, ports);
  }
  await checks.attempt('datastores', signal, () => checkDatastores(checks, survey, signal));
  await checks.attempt('machines', signal, () => checkMachines(checks, survey, signal));
  return checks;
}

function checkVersion(checks: ServerChecks, spoken: string, body: string): void {
  const version = Number.parseFloat(spoken);
  const offered = versionsIn(body);
  const also = offered.length === 0 ? '' : `, and it knows ${offered.join(', ')}`;
  if (version < OLDEST_VERSION)
    checks.add('api-version', 'failed', `It speaks vSphere API ${spoken}; ${OLDEST_VERSION} or later is needed.`);
  else if (Math.floor(version) > NEWEST_MAJOR)
    checks.add(
      'api-version',
      'warning',
      `It speaks vSphere API ${spoken}, which is newer than what this service was made for (${NEWEST_MAJOR}).`,
    );
  else checks.add('api-version', 'ok', `It speaks vSphere API ${spoken}${also}.`);
}

/** vimServiceVersions.xml; empty for anything else. */
function versionsIn(body: string): string[] {
  try {
    const vim = parseXml(body)
      .childrenNamed('namespace')
      .find((namespace) => namespace.textAt('name') === 'urn:vim25');
    const prior = vim?.child('priorVersions')?.childrenNamed('version') ?? [];
    return prior.map((version) => version.text());
  } catch (error) {
    if (error instanceof XmlError) return [];
    throw error;
  }
}

async function checkPrivileges(checks: ServerChecks, userName: string, survey: VcenterSurveyApi, signal: AbortSignal): Promise<void> {
  const missingPrivileges = await survey.missingPrivileges(signal);
  if (missingPrivileges.length === 0) {
    checks.add('privileges', 'ok', `${userName} has every privilege that this service uses.`, { missingPrivileges });
    return;
  }
  // What not every VM needs fails for some only: encryption, first class disks, policies, HotAdd.
  const needed = missingPrivileges.some(({ purposes }) => purposes.includes('backup') || purposes.includes('restore'));
  const named = missingPrivileges.map(({ label, id, purposes }) => `"${label}" (${id}; ${purposes.join(', ')})`);
  const message = `${userName} lacks ${plural(named.length, 'privilege')}: ${named.join('; ')}. Give them at the vCenter itself, handed down to all objects.`;
  checks.add('privileges', needed ? 'failed' : 'warning', message, { missingPrivileges });
}

async function checkHosts(checks: ServerChecks, survey: VcenterSurveyApi, signal: AbortSignal): Promise<HostListing[]> {
  const hosts = await survey.hosts(signal);
  const items = hosts.flatMap(({ name, connectionState, powerState, inMaintenanceMode }) => {
    if (connectionState !== 'connected') return [{ name, problem: connectionState }];
    if (inMaintenanceMode) return [{ name, problem: 'in maintenance mode' }];
    return powerState === 'poweredOn' ? [] : [{ name, problem: powerState }];
  });
  if (hosts.length === 0) checks.add('hosts', 'failed', 'The account sees no host: give its role at the vCenter itself, handed down.');
  else if (items.length === 0) checks.add('hosts', 'ok', `${plural(hosts.length, 'host')}, all connected.`);
  else checks.add('hosts', 'warning', `${plural(hosts.length, 'host')}, of which ${items.length} cannot serve: ${list(items)}.`, { items });
  return hosts;
}

function checkNtp(checks: ServerChecks, hosts: readonly HostListing[]): void {
  const telling = hosts.filter(({ ntpServers }) => ntpServers !== undefined);
  const items = telling.filter(({ ntpServers }) => ntpServers?.length === 0).map(({ name }) => ({ name, problem: 'no NTP server' }));
  if (telling.length === 0)
    checks.add('ntp', 'skipped', `The hosts of ${checks.server} do not tell their NTP servers: look at them in the vSphere Client.`);
  else if (items.length === 0) checks.add('ntp', 'ok', `${plural(telling.length, 'host')} with NTP servers.`);
  else checks.add('ntp', 'warning', `Without an NTP server: ${list(items)}.`, { items });
}

async function checkPorts(checks: ServerChecks, hosts: readonly HostListing[], { wanted, needed, signal }: HostPorts): Promise<void> {
  if (!wanted) {
    checks.add(
      'host-ports',
      'skipped',
      `Not looked at, because hostPorts=false was asked for: TCP ${NFC_PORT} of its hosts may be closed.`,
    );
    return;
  }
  const serving = hosts.filter(({ connectionState, powerState }) => connectionState === 'connected' && powerState === 'poweredOn');
  const items = await unreachableHosts(
    serving.map(({ name }) => name),
    NFC_PORT,
    signal,
  );
  if (items.length === 0) checks.add('host-ports', 'ok', `TCP ${NFC_PORT} of ${plural(serving.length, 'host')} answers to this worker.`);
  else {
    const what = needed ? 'disks of VMs there cannot be copied over nbdssl and nbd' : 'only other transports can copy disks of VMs there';
    checks.add('host-ports', needed ? 'failed' : 'warning', `From this worker, ${what}: ${list(items)}.`, { items });
  }
}

async function checkDatastores(checks: ServerChecks, survey: VcenterSurveyApi, signal: AbortSignal): Promise<void> {
  const datastores = await survey.datastores(signal);
  const items = datastores.flatMap(({ name, accessible, freeBytes }) => {
    if (!accessible) return [{ name, problem: 'inaccessible' }];
    return freeBytes < LITTLE_SPACE_BYTES ? [{ name, problem: `${(freeBytes / 1024 ** 3).toFixed(1)} GiB free: snapshots need room` }] : [];
  });
  const types = [...new Set(datastores.map(({ type }) => type))].sort().join(', ');
  const all = `${plural(datastores.length, 'datastore')} (${types})`;
  if (items.length === 0) checks.add('datastores', 'ok', `${all}.`);
  else checks.add('datastores', 'warning', `${all}; ${list(items)}.`, { items });
}

async function checkMachines(checks: ServerChecks, survey: VcenterSurveyApi, signal: AbortSignal): Promise<void> {
  let count = 0;
  const items: { name: string; problem: string }[] = [];
  for await (const page of survey.vms(signal)) {
    count += page.length;
    for (const vm of page) {
      if (vm.connectionState !== 'connected') items.push({ name: vm.name, problem: `${vm.connectionState}: it cannot be backed up` });
      else if (vm.consolidationNeeded) items.push({ name: vm.name, problem: 'its disks need consolidation' });
      else if (!vm.changeTrackingSupported && !vm.isTemplate)
        items.push({ name: vm.name, problem: 'without change tracking: it is copied in full' });
    }
  }
  if (items.length === 0) checks.add('machines', 'ok', `${plural(count, 'VM')}.`);
  else checks.add('machines', 'warning', `${plural(count, 'VM')}; ${list(items)}.`, { items });
}

const NAMED = 5;

function list(items: readonly { name: string; problem: string }[]): string {
  const named = items.slice(0, NAMED).map(({ name, problem }) => `${name} (${problem})`);
  return `${named.join(', ')}${items.length > NAMED ? ` and ${items.length - NAMED} more` : ''}`;
}
