import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import * as x509 from '@peculiar/x509';
import { BodyRecord } from '../simulator/vcd/body-record.js';

/**
 * A vCloud Director that answers what a test scripts, over real TLS: each "METHOD path" has a queue of
 * answers, the last of which stays. It keeps what it was sent, so that a test can count and read it.
 */
export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** Cuts the connection instead of answering. */
  drop?: boolean;
  /** Sends the head and half of the body, then cuts. */
  cut?: boolean;
}
export type Script = Answer | ((request: Received) => Answer);
export interface Received {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

export const PASSWORD = 'pa55-wörd:with "quotes"';
export const TOKEN = 'eyJhbGciOi.token-of-the-test.SECRET';
const XML_TYPE = { 'content-type': 'application/*+xml;version=37.2' };

export class ScriptedVcd {
  readonly received: Received[] = [];
  readonly #scripts = new Map<string, Script[]>();
  readonly #sockets = new Set<Socket>();
  readonly #bodies = BodyRecord.ofEnvironment();

  private constructor(
    readonly server: https.Server,
    readonly thumbprint: string,
  ) {}

  static async start(): Promise<ScriptedVcd> {
    const { certificate, key, thumbprint } = await selfSigned();
    const server = https.createServer({ cert: certificate, key });
    const vcd = new ScriptedVcd(server, thumbprint);
    server.on('secureConnection', (socket) => {
      vcd.#sockets.add(socket);
      socket.on('close', () => vcd.#sockets.delete(socket));
    });
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => vcd.#answer(request, response, Buffer.concat(chunks).toString('utf8')));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    vcd.loginWorks();
    return vcd;
  }

  get url(): string {
    return `https://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  href(path: string): string {
    return `${this.url}${path}`;
  }

  /** Scripts the answers of one request; queries may be named with or without their query string. */
  on(request: string, ...answers: Script[]): this {
    this.#scripts.set(request, answers);
    return this;
  }

  /** The pages of a 10.4 cloud: versions with both login addresses, and a login that accepts the test's password. */
  loginWorks(): void {
    this.on('GET /api/versions', { body: versions(['36.3', '37.2', '40.0'], this.url) });
    this.on('POST /cloudapi/1.0.0/sessions/provider', ({ headers }) => {
      const given = Buffer.from((headers.authorization ?? '').replace('Basic ', ''), 'base64').toString('utf8');
      return given === `administrator@System:${PASSWORD}`
        ? { headers: { 'x-vmware-vcloud-access-token': TOKEN }, body: '{"id":"urn:vcloud:session:1"}' }
        : { status: 401, body: '{"minorErrorCode":"UNAUTHORIZED","message":"bad credentials"}' };
    });
  }

  requests(prefix: string): Received[] {
    return this.received.filter((request) => `${request.method} ${request.path}`.startsWith(prefix));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  #answer(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse, body: string): void {
    const path = request.url ?? '';
    const received: Received = { method: request.method ?? '', path, headers: request.headers as Record<string, string>, body };
    this.received.push(received);
    this.#bodies?.addRequest(received);
    const queue = this.#scripts.get(`${received.method} ${path}`) ?? this.#scripts.get(`${received.method} ${path.split('?', 1)[0]}`);
    const script: Script = queue === undefined ? NOT_SCRIPTED : ((queue.length > 1 ? queue.shift() : queue[0]) ?? NOT_SCRIPTED);
    const answer = typeof script === 'function' ? script(received) : script;
    if (answer.drop) {
      request.socket.destroy();
      return;
    }
    response.writeHead(answer.status ?? 200, {
      ...XML_TYPE,
      'x-vmware-vcloud-request-id': `request-${this.received.length}`,
      ...(answer.cut ? { 'content-length': '1000' } : {}),
      ...answer.headers,
    });
    if (answer.cut) {
      response.write((answer.body ?? 'half').slice(0, 4));
      setTimeout(() => request.socket.destroy(), 20);
      return;
    }
    response.end(answer.body);
  }
}

const NOT_SCRIPTED: Answer = { status: 404, body: errorXml(404, 'NOT_FOUND', 'nothing is scripted here') };

export function errorXml(major: number, minor: string, message: string): string {
  return `<?xml version="1.0"?><Error xmlns="http://www.vmware.com/vcloud/v1.5" majorErrorCode="${major}" minorErrorCode="${minor}" message="${message}" stackTrace="at com.vmware.Secret"/>`;
}

export function versions(list: readonly string[], url: string): string {
  const entries = list.map(
    (version) =>
      `<v:VersionInfo deprecated="false"><v:Version>${version}</v:Version><v:LoginUrl>${url}/cloudapi/1.0.0/sessions</v:LoginUrl>` +
      `<v:ProviderLoginUrl>${url}/cloudapi/1.0.0/sessions/provider</v:ProviderLoginUrl></v:VersionInfo>`,
  );
  return `<?xml version="1.0"?><v:SupportedVersions xmlns:v="http://www.vmware.com/vcloud/versions">${entries.join('')}</v:SupportedVersions>`;
}

async function selfSigned(): Promise<{ certificate: string; key: string; thumbprint: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=vcd.test',
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      keys,
      signingAlgorithm: algorithm,
    },
    webcrypto,
  );
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  const thumbprint = Buffer.from(await certificate.getThumbprint('SHA-256', webcrypto)).toString('hex');
  return { certificate: certificate.toString('pem'), key: x509.PemConverter.encode(der, 'PRIVATE KEY'), thumbprint };
}
