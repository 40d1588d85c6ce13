import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VcdClient, type VcdEndpoint } from '../../src/vcd/index.js';
import { VsphereModel } from '../simulator/model/index.js';
import { everythingSeed } from '../simulator/seeds/everything.js';
import { addVapps, newCloudState, type Seed } from '../simulator/seeds/index.js';
import { serverCertificate } from '../simulator/tls.js';
import { OrderedFaults, type RecordedExchange, VcdCloud, VcdServer } from '../simulator/vcd/index.js';

/** The simulated cell with one of everything, over a real vCenter model with empty disks, and a provider's client of it. */
export interface EverythingCell {
  vcd: VcdClient;
  cloud: VcdCloud;
  vsphere: VsphereModel;
  faults: OrderedFaults;
  exchanges: RecordedExchange[];
  endSessions: () => void;
  connect: (changes?: Partial<VcdEndpoint>) => Promise<VcdClient>;
  /** Entities of the seed by name, as the provider's client addresses them. */
  href: (kind: 'vdc' | 'vapp' | 'vm' | 'disk' | 'catalog' | 'media' | 'template', name: string) => string;
  close: () => Promise<void>;
}

export async function startEverythingCell(): Promise<EverythingCell> {
  const dataDir = await mkdtemp(join(tmpdir(), 'vcd-everything-'));
  const seed = withEmptyDisks(everythingSeed());
  const faults = new OrderedFaults();
  const exchanges: RecordedExchange[] = [];
  const vsphere = await VsphereModel.open({ dataDir, datastoreNames: seed.vcenter.datastores, hostNames: seed.vcenter.hosts });
  const cloud = new VcdCloud(newCloudState(seed, vsphere, 'administrator@vsphere.local'), vsphere, VcdCloud.stateFile(dataDir), {
    taskDelayMs: 4,
    taskFailure: (operationName) => faults.forTask(operationName),
    extraTaskDelayMs: (operationName) => faults.taskDelayMs(operationName),
  });
  await addVapps(cloud, seed);
  const certificate = await serverCertificate(join(dataDir, 'vcd.json'), 'vcd.test', []);
  const server = await VcdServer.listen({
    cloud,
    host: '127.0.0.1',
    port: 0,
    certificate,
    sessionIdleMs: 600_000,
    faults,
    onExchange: (exchange) => void exchanges.push(exchange),
  });
  const { name: userName, password } = seed.administrator;
  const trust = { thumbprint: certificate.thumbprintSha256 };
  const pace = { taskPollMs: 5, retryBaseDelayMs: 2, retryDeadlineMs: 3_000, requestTimeoutMs: 20_000 };
  const clients: VcdClient[] = [];
  const connect = async (changes: Partial<VcdEndpoint> = {}): Promise<VcdClient> => {
    const client = await VcdClient.connect({ url: server.url, organization: 'System', userName, password, trust, ...pace, ...changes });
    clients.push(client);
    return client;
  };
  const href: EverythingCell['href'] = (kind, name) => `${server.url}/api/${pathOf(cloud, kind, name)}`;
  const close = async (): Promise<void> => {
    for (const client of clients) await client.close();
    await server.close();
    await cloud.close();
    await vsphere.close();
    await rm(dataDir, { recursive: true, force: true });
  };
  const endSessions = () => server.sessions.endAll();
  return { vcd: await connect(), cloud, vsphere, faults, exchanges, endSessions, connect, href, close };
}

function withEmptyDisks(seed: Seed): Seed {
  return JSON.parse(JSON.stringify(seed), (key: string, value: unknown) => (key === 'dataBytes' ? 0 : value)) as Seed;
}

function pathOf({ state }: VcdCloud, kind: Parameters<EverythingCell['href']>[0], name: string): string {
  const places = {
    vdc: ['vdc/', state.vdcs],
    vapp: ['vApp/vapp-', state.vapps],
    vm: ['vApp/vm-', state.vms],
    disk: ['disk/', state.disks],
    catalog: ['catalog/', state.catalogs],
    media: ['media/', state.media],
    template: ['vAppTemplate/vappTemplate-', state.vappTemplates],
  } as const;
  const [path, entities] = places[kind];
  const found = (entities as readonly { id: string; name: string }[]).find((entity) => entity.name === name);
  if (found === undefined) throw new Error(`the simulated cloud has no ${kind} "${name}"`);
  return `${path}${found.id}`;
}
