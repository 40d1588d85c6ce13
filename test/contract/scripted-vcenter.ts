import 'reflect-metadata';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import * as x509 from '@peculiar/x509';
import { webcrypto, X509Certificate } from 'node:crypto';
import { parseXml, type XmlElement } from '../../src/common/index.js';

export const PASSWORD = 'pa55-<w&rd>-never-shown';
export const USER = 'backup@vsphere.local';

export class Fault {
  constructor(
    readonly type: string,
    readonly message: string,
    readonly detail = '',
  ) {}
}

/** Drops the connection instead of answering. */
export const HANG_UP = Symbol('hang up');
/** Never answers. */
export const SILENCE = Symbol('silence');

export interface Call {
  method: string;
  self: string;
  body: XmlElement;
  text: string;
  cookie: string | undefined;
  soapAction: string | undefined;
}
export type Answer = string | Fault | typeof HANG_UP | typeof SILENCE;
type Script = (call: Call) => Answer | Promise<Answer>;

const CONTENT = (apiType: string, instanceUuid: string, managers: string) => `<returnval>
  <rootFolder type="Folder">group-d1</rootFolder><propertyCollector type="PropertyCollector">propertyCollector</propertyCollector>
  <about><name>x</name><fullName>VMware Scripted 8.0.2</fullName><vendor>v</vendor><version>8.0.2</version><build>1</build><osType>linux</osType>
  <productLineId>vpx</productLineId><apiType>${apiType}</apiType><apiVersion>8.0.2.0</apiVersion><instanceUuid>${instanceUuid}</instanceUuid></about>
  <sessionManager type="SessionManager">SessionManager</sessionManager><searchIndex type="SearchIndex">SearchIndex</searchIndex>${managers}</returnval>`;

/** A vCenter of few words: SOAP over TLS, logins and cookies real, every other answer written by the test. */
export class ScriptedVcenter {
  readonly calls: Call[] = [];
  apiType = 'VirtualCenter';
  /** Further managers of its service content, as XML. */
  managers = '';
  instanceUuid = '2e7bdc1f-57a3-4a86-8f43-8f6a3c8f2a11';
  /** Cookies that are logged in; clearing it expires every session. */
  readonly sessions = new Set<string>();
  /** Answers instead of SOAP, for what is no vCenter at all. */
  plainAnswer: { status: number; body: string } | undefined;
  readonly files = new Map<string, Buffer>();
  private readonly scripts = new Map<string, Script>();
  private logins = 0;

  private constructor(
    private readonly server: https.Server,
    readonly certificatePem: string,
  ) {}

  static async start(): Promise<ScriptedVcenter> {
    const { certPem, keyPem } = await selfSigned();
    const server = https.createServer({ cert: certPem, key: keyPem });
    const vcenter = new ScriptedVcenter(server, certPem);
    server.on('request', (request, response) => void vcenter.serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return vcenter;
  }

  get url(): string {
    return `https://127.0.0.1:${(this.server.address() as AddressInfo).port}/sdk`;
  }

  get thumbprint(): string {
    return new X509Certificate(this.certificatePem).fingerprint;
  }

  on(method: string, script: Script | Answer): this {
    this.scripts.set(method, typeof script === 'function' ? script : () => script);
    return this;
  }

  of(method: string): Call[] {
    return this.calls.filter((call) => call.method === method);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async serve(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const received = Buffer.concat(parts);
    if (this.plainAnswer) {
      response.writeHead(this.plainAnswer.status).end(this.plainAnswer.body);
      return;
    }
    const cookie = request.headers.cookie;
    if (request.url?.startsWith('/folder/')) {
      this.serveFile(request.method ?? '', request.url, received, cookie, response);
      return;
    }
    const text = received.toString('utf8');
    const body = parseXml(text).child('Body')?.elements()[0];
    if (!body) throw new Error('no body');
    const soapAction = request.headers.soapaction as string | undefined;
    const call: Call = { method: body.local, self: body.textAt('_this') ?? '', body, text, cookie, soapAction };
    this.calls.push(call);
    const headers: Record<string, string> = { 'content-type': 'text/xml; charset=utf-8' };
    const answer = await this.answer(call, headers);
    if (answer === HANG_UP) request.socket.destroy();
    else if (answer === SILENCE) return;
    else if (answer instanceof Fault) {
      const detail = `<detail><${answer.type}Fault xsi:type="${answer.type}" xmlns="urn:vim25">${answer.detail}</${answer.type}Fault></detail>`;
      response
        .writeHead(500, headers)
        .end(
          envelope(
            `<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>${answer.message}</faultstring>${detail}</soapenv:Fault>`,
          ),
        );
    } else response.writeHead(200, headers).end(envelope(`<${call.method}Response xmlns="urn:vim25">${answer}</${call.method}Response>`));
  }

  private answer(call: Call, headers: Record<string, string>): Answer | Promise<Answer> {
    if (call.method === 'RetrieveServiceContent') return CONTENT(this.apiType, this.instanceUuid, this.managers);
    if (call.method === 'Login') {
      if (call.body.textAt('userName') !== USER || call.body.textAt('password') !== PASSWORD) {
        return new Fault('InvalidLogin', 'Cannot complete login due to an incorrect user name or password.');
      }
      this.logins += 1;
      const cookie = `vmware_soap_session="5e55-10n-${this.logins}"`;
      this.sessions.add(cookie);
      headers['set-cookie'] = `${cookie}; Path=/; HttpOnly; Secure;`;
      return '<returnval><key>k</key></returnval>';
    }
    if (!this.sessions.has(call.cookie ?? '')) {
      return call.method === 'RetrievePropertiesEx'
        ? nothingTold(call)
        : new Fault('NotAuthenticated', 'The session is not authenticated.');
    }
    const script = this.scripts.get(call.method);
    return script ? script(call) : '';
  }

  private serveFile(
    method: string,
    url: string,
    body: Buffer,
    cookie: string | undefined,
    response: import('node:http').ServerResponse,
  ): void {
    if (!this.sessions.has(cookie ?? '')) response.writeHead(401).end();
    else if (method === 'PUT') {
      this.files.set(url, body);
      response.writeHead(201).end();
    } else {
      const file = this.files.get(url);
      if (file) response.writeHead(200).end(file);
      else response.writeHead(404).end();
    }
  }
}

/** PropertyCollector answers everybody (System.Anonymous), and tells who is not logged in no property. */
function nothingTold(call: Call): string {
  const paths = (call.body.find('specSet', 'propSet')?.childrenNamed('pathSet') ?? []).map((path) => path.text());
  const fault = `<fault xsi:type="NotAuthenticated"><privilegeId>System.Read</privilegeId></fault><localizedMessage>Not logged in.</localizedMessage>`;
  const missing = paths.map((path) => `<missingSet><path>${path}</path><fault>${fault}</fault></missingSet>`).join('');
  const objects = (call.body.find('specSet')?.childrenNamed('objectSet') ?? []).flatMap((spec) => spec.child('obj') ?? []);
  const told = objects.map((obj) => `<objects><obj type="${obj.attribute('type')}">${obj.text()}</obj>${missing}</objects>`);
  return `<returnval>${told.join('')}</returnval>`;
}

function envelope(body: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>${body}</soapenv:Body></soapenv:Envelope>`;
}

async function selfSigned(): Promise<{ certPem: string; keyPem: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: 'CN=scripted-vcenter',
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
      ],
    },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return { certPem: certificate.toString('pem'), keyPem: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n` };
}
