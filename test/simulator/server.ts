import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ControlServer, RequestLog } from './control/index.js';
import { VsphereModel } from './model/index.js';
import { addVapps, DEFAULT_SEED, newCloudState, parseSeed, readSeed, type Seed } from './seeds/index.js';
import { addGeneratedCloud, type CloudSize, EMPTY_SEED } from './seeds/large-cloud.js';
import type { RequestGate } from './request-gate.js';
import { type ServerCertificate, serverCertificate } from './tls.js';
import { type ApiToken, chooseVariants, createApiToken, OrderedFaults, type Variants, VcdCloud, VcdServer } from './vcd/index.js';
import { FaultRules, type VcenterAccount, VcenterServer } from './vsphere/index.js';

export interface SimulatorOptions {
  /** Address all doors listen on. */
  listen: string;
  /** 0 = any free port. */
  vcdPort: number;
  vcenterPort: number;
  controlPort: number;
  dataDir: string;
  /** File or value; counts only in an empty data folder. */
  seed?: string | Seed;
  /** So many more organizations, VDCs, vApps and VMs; without a seed nothing but them. Counts only in an empty data folder. */
  generate?: CloudSize;
  /** Every request and response body goes there, one file each, without secrets. */
  recordDir?: string;
  taskDelayMs?: number;
  sessionIdleMs?: number;
  /** Who else may log in to vCenter, with fewer privileges than its administrator. */
  vcenterAccounts?: readonly VcenterAccount[];
  /** API versions offered; default 33.0 to 39.1. */
  apiVersions?: readonly string[];
  /** How the cell answers where cells differ (docs/simulator.md). */
  variants?: Partial<Variants>;
  /** How long events are kept. */
  eventRetentionMs?: number;
}

/** What a client needs to reach the cloud; also the one line the program prints. */
export interface SimulatorDescription {
  vcd: { url: string; thumbprintSha1: string; thumbprintSha256: string; organization: string; userName: string; password: string };
  tenants: { organization: string; userName: string; password: string }[];
  vcenter: { url: string; instanceUuid: string; thumbprintSha1: string; thumbprintSha256: string; userName: string; password: string };
  /** Only where the cloud has some. */
  apiTokens?: { name: string; kind: ApiToken['kind']; organization: string; userName: string; token: string }[];
  control: { url: string };
  vddkLibraryDir: string;
  dataDir: string;
}

export interface Simulator {
  readonly description: SimulatorDescription;
  readonly cloud: VcdCloud;
  readonly vsphere: VsphereModel;
  /** Holds single requests, for tests in this process. */
  readonly gate: RequestGate;
  /** Orderly: tasks end, state is kept. @throws Error afterwards, where clients broke VDDK's rules or left its objects behind. */
  close(): Promise<void>;
}

const VCENTER_ACCOUNT = { userName: 'administrator@vsphere.local', password: 'Simulated-vC3nter!' };
const DEFAULT_TASK_DELAY_MS = 150;
const DEFAULT_SESSION_IDLE_MS = 30 * 60 * 1000;

/** @throws RangeError for a bad seed; an Error with the port in it when one is taken. */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const dataDir = resolve(options.dataDir);
  await mkdir(dataDir, { recursive: true });
  const seed = await seedOf(options.seed, options.generate);
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const faults = new OrderedFaults();
    const requests = new RequestLog(options.recordDir === undefined ? undefined : resolve(options.recordDir));
    const { vsphere, cloud } = await openCloud(dataDir, seed, options, faults);
    chooseVariants(cloud.variants, options.variants ?? {});
    if (options.eventRetentionMs !== undefined) cloud.events.keepFor(options.eventRetentionMs);
    closers.push(
      () => vsphere.close(),
      () => cloud.close(),
    );
    const [vcdCertificate, vcenterCertificate] = await Promise.all(
      ['vcd', 'vcenter'].map((name) => serverCertificate(join(dataDir, 'tls', `${name}.json`), `${name}.sim.local`, [options.listen])),
    );
    if (!vcdCertificate || !vcenterCertificate) throw new Error('The certificates were not made');
    const rules = new FaultRules();
    const vcenter = new VcenterServer({
      model: vsphere,
      host: options.listen,
      port: options.vcenterPort,
      certificatePem: vcenterCertificate.certificatePem,
      privateKeyPem: vcenterCertificate.privateKeyPem,
      ...VCENTER_ACCOUNT,
      accounts: options.vcenterAccounts,
      taskTiming: options.taskDelayMs === undefined ? undefined : { minMs: options.taskDelayMs, maxMs: options.taskDelayMs * 2 },
      sessionIdleTimeoutMs: options.sessionIdleMs,
      rules,
      recorder: ({ door, method, path, status, request, response }) =>
        requests.add({
          door,
          method,
          path,
          status,
          requestHeaders: {},
          requestBody: request,
          responseHeaders: {},
          responseBody: response,
        }),
    });
    await vcenter.listen();
    closers.push(() => vcenter.close());
    cloud.state.vimServer.url = vcenter.url;
    const cell = await VcdServer.listen({
      cloud,
      host: options.listen,
      port: options.vcdPort,
      certificate: vcdCertificate,
      sessionIdleMs: options.sessionIdleMs ?? DEFAULT_SESSION_IDLE_MS,
      versions: options.apiVersions,
      faults,
      gate: rules.gate,
      onExchange: requests.add,
    });
    closers.push(() => cell.close());
    const control = await ControlServer.listen({
      cloud,
      cell,
      faults,
      vcenterFaults: rules,
      requests,
      directory: join(dataDir, 'checkpoints'),
      host: options.listen,
      port: options.controlPort,
      expireVcenterSessions: () => vcenter.expireSessions(),
      vddkViolations: () => vcenter.vddkViolations,
    });
    closers.push(() => control.close());
    const description = describe(cloud, {
      cell,
      vcdCertificate,
      vcenterUrl: vcenter.url,
      vcenterCertificate,
      controlUrl: control.url,
      dataDir,
    });
    const closeAndJudge = async (): Promise<void> => {
      const isFirst = closers.length > 0;
      await close();
      if (isFirst && vcenter.vddkViolations.length > 0)
        throw new Error(`The VDDK library was used against its rules:\n${vcenter.vddkViolations.join('\n')}`);
    };
    return { description, cloud, vsphere, gate: rules.gate, close: closeAndJudge };
  } catch (error) {
    await close();
    throw error;
  }
}

async function seedOf(seed: string | Seed | undefined, generate: CloudSize | undefined): Promise<Seed> {
  if (seed === undefined && generate) return EMPTY_SEED;
  return typeof seed === 'object' ? parseSeed(seed, 'given') : readSeed(seed ?? DEFAULT_SEED);
}

/** The kept cloud, or a new one from the seed. The mark is written last: a seeding that was killed begins anew. */
async function openCloud(
  dataDir: string,
  seed: Seed,
  options: SimulatorOptions,
  faults: OrderedFaults,
): Promise<{ vsphere: VsphereModel; cloud: VcdCloud }> {
  const mark = join(dataDir, 'vcd', 'seeded');
  const file = VcdCloud.stateFile(dataDir);
  const isNew = !existsSync(mark);
  if (isNew) for (const part of ['vcd', 'vcenter']) await rm(join(dataDir, part), { recursive: true, force: true });
  const vsphere = await VsphereModel.open({
    dataDir: join(dataDir, 'vcenter'),
    datastoreNames: seed.vcenter.datastores,
    hostNames: seed.vcenter.hosts,
    storagePolicies: policiesOf(seed),
  });
  try {
    const state = (await VcdCloud.readState(file)) ?? newCloudState(seed, vsphere, VCENTER_ACCOUNT.userName);
    for (const vapp of state.vapps) if (vapp.creation === 'running') vapp.creation = 'failed';
    const taskDelayMs = options.taskDelayMs ?? DEFAULT_TASK_DELAY_MS;
    const cloud = new VcdCloud(state, vsphere, file, {
      taskDelayMs,
      taskFailure: (operationName) => faults.forTask(operationName),
      extraTaskDelayMs: (operationName) => faults.taskDelayMs(operationName),
    });
    if (isNew) {
      await addVapps(cloud, seed);
      for (const token of seed.apiTokens) createApiToken(cloud, token);
      if (options.generate) await addGeneratedCloud(cloud, vsphere, options.generate);
      await writeFile(mark, '');
    }
    return { vsphere, cloud };
  } catch (error) {
    await vsphere.close();
    throw error;
  }
}

/** VCD's storage profiles are vCenter's storage policies of the same name. */
function policiesOf(seed: Seed): { name: string; datastoreNames: string[] }[] {
  const datastores = new Map<string, Set<string>>();
  for (const organization of seed.organizations)
    for (const vdc of organization.vdcs)
      for (const [name, datastore] of Object.entries(vdc.storageProfiles))
        datastores.set(name, (datastores.get(name) ?? new Set()).add(datastore));
  return [...datastores].map(([name, names]) => ({ name, datastoreNames: [...names] }));
}

interface Doors {
  cell: VcdServer;
  vcdCertificate: ServerCertificate;
  vcenterUrl: string;
  vcenterCertificate: ServerCertificate;
  controlUrl: string;
  dataDir: string;
}

function describe(cloud: VcdCloud, doors: Doors): SimulatorDescription {
  const system = cloud.systemOrganization();
  const administrator = cloud.state.users.find((user) => user.organizationId === system.id && user.enabled);
  if (!administrator) throw new Error('The simulated cloud has no system administrator');
  const thumbprints = ({ thumbprintSha1, thumbprintSha256 }: ServerCertificate) => ({ thumbprintSha1, thumbprintSha256 });
  return {
    vcd: {
      url: doors.cell.url,
      ...thumbprints(doors.vcdCertificate),
      organization: system.name,
      userName: administrator.name,
      password: administrator.password,
    },
    tenants: cloud.state.users
      .filter((user) => user.organizationId !== system.id)
      .map((user) => ({ organization: cloud.organization(user.organizationId)?.name ?? '', userName: user.name, password: user.password })),
    vcenter: {
      url: doors.vcenterUrl,
      instanceUuid: cloud.vsphere.instanceUuid,
      ...thumbprints(doors.vcenterCertificate),
      ...VCENTER_ACCOUNT,
    },
    apiTokens: apiTokensOf(cloud),
    control: { url: doors.controlUrl },
    vddkLibraryDir: join(repositoryRoot(), 'native', 'build', 'vddk-standin'),
    dataDir: doors.dataDir,
  };
}

function apiTokensOf(cloud: VcdCloud): SimulatorDescription['apiTokens'] {
  const { apiTokens = [] } = cloud.state;
  if (apiTokens.length === 0) return undefined;
  return apiTokens.map(({ name, kind, token, userId }) => {
    const user = cloud.user(userId);
    return { name, kind, organization: cloud.organization(user?.organizationId ?? '')?.name ?? '', userName: user?.name ?? '', token };
  });
}

/** The same from the sources and from dist: the nearest folder upwards with a package.json. */
function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('The simulator is not inside its repository');
    folder = parent;
  }
  return folder;
}
