import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseXml, sleep, type XmlElement } from '../../../src/common/index.js';
import { VsphereModel } from '../model/index.js';
import { addVapps, newCloudState, parseSeed } from '../seeds/index.js';
import { serverCertificate } from '../tls.js';
import { VcdCloud } from './cloud.js';
import { OrderedFaults } from './faults-injected.js';
import { type RecordedExchange, VcdServer } from './server.js';

/** A cell over a real vCenter model in a temporary folder, for the specs of this folder. */
export interface TestCell {
  cloud: VcdCloud;
  vsphere: VsphereModel;
  cell: VcdServer;
  /** Of the cell's certificate: what a client of the product trusts. */
  thumbprint: string;
  faults: OrderedFaults;
  exchanges: RecordedExchange[];
  call: (user: string, method: string, path: string, options?: CallOptions) => Promise<CallResult>;
  /** Waits for the task of a 202 (or of a 201's entity) and answers its status. */
  finished: (result: CallResult) => Promise<string>;
  close: () => Promise<void>;
}
export interface CallOptions {
  body?: string;
  type?: string;
  accept?: string;
  headers?: Record<string, string>;
}
export interface CallResult {
  status: number;
  headers: Record<string, string>;
  text: string;
  xml: XmlElement;
}

export async function startTestCell(seedJson: unknown, options: { sessionIdleMs?: number; taskDelayMs?: number } = {}): Promise<TestCell> {
  const dataDir = await mkdtemp(join(tmpdir(), 'vcd-cell-'));
  const seed = parseSeed(seedJson, 'of the spec');
  const vsphere = await VsphereModel.open({
    dataDir: join(dataDir, 'vcenter'),
    datastoreNames: seed.vcenter.datastores,
    hostNames: seed.vcenter.hosts,
  });
  const faults = new OrderedFaults();
  const cloud = new VcdCloud(newCloudState(seed, vsphere, 'root'), vsphere, VcdCloud.stateFile(dataDir), {
    taskDelayMs: options.taskDelayMs ?? 40,
    taskFailure: (name) => faults.forTask(name),
  });
  await addVapps(cloud, seed);
  const certificate = await serverCertificate(join(dataDir, 'tls', 'vcd.json'), 'localhost', []);
  const exchanges: RecordedExchange[] = [];
  const cell = await VcdServer.listen({
    cloud,
    host: '127.0.0.1',
    port: 0,
    certificate,
    sessionIdleMs: options.sessionIdleMs ?? 60_000,
    faults,
    onExchange: (exchange) => exchanges.push(exchange),
  });
  const tokens = new Map<string, string>();
  const send = (method: string, path: string, headers: Record<string, string>, body?: string): Promise<CallResult> =>
    sendRequest(cell.url, certificate.certificatePem, method, path, headers, body);
  const login = async (user: string): Promise<string> => {
    const found = cloud.state.users.find((candidate) => candidate.name === user);
    const organization = cloud.organization(found?.organizationId ?? '');
    const credentials = Buffer.from(`${user}@${organization?.name}:${found?.password}`).toString('base64');
    const path = `/cloudapi/1.0.0/sessions${organization?.name === 'System' ? '/provider' : ''}`;
    const result = await send('POST', path, { authorization: `Basic ${credentials}`, accept: 'application/json;version=37.0' });
    return result.headers['x-vmware-vcloud-access-token'] ?? '';
  };
  const call: TestCell['call'] = async (user, method, path, { body, type, accept, headers } = {}) => {
    const token = tokens.get(user) ?? (await login(user));
    tokens.set(user, token);
    const target = path.startsWith('http') ? path.slice(cell.url.length) : path;
    return send(
      method,
      target,
      {
        authorization: `Bearer ${token}`,
        accept: accept ?? 'application/*+xml;version=37.0',
        ...(type ? { 'content-type': `${type}+xml` } : {}),
        ...headers,
      },
      body,
    );
  };
  const finished: TestCell['finished'] = async (result) => {
    const task = result.xml.local === 'Task' ? result.xml : result.xml.find('Tasks', 'Task');
    const href = task?.attribute('href', '') ?? '';
    for (let attempt = 0; attempt < 500; attempt += 1) {
      const status = (await call('administrator', 'GET', href)).xml.attribute('status', '') ?? '';
      if (status !== 'queued' && status !== 'running') return status;
      await sleep(10);
    }
    throw new Error('The task did not end');
  };
  const close = async (): Promise<void> => {
    await cell.close();
    await cloud.close();
    await vsphere.close();
    await rm(dataDir, { recursive: true, force: true });
  };
  return { cloud, vsphere, cell, thumbprint: certificate.thumbprintSha256, faults, exchanges, call, finished, close };
}

function sendRequest(
  base: string,
  ca: string,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<CallResult> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${base}${path}`, { method, ca, headers, agent: false, timeout: 10_000 }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8');
        const answered = Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value)]));
        const isXml = /xml/.test(answered['content-type'] ?? '');
        resolve({ status: response.statusCode ?? 0, headers: answered, text, xml: isXml ? parseXml(text) : parseXml('<none/>') });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
