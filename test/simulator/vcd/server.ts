import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { MIB, sleep, type XmlElement, writeXml } from '../../../src/common/index.js';
import type { ServerCertificate } from '../tls.js';
import type { VcdCloud } from './cloud.js';
import { badRequest, errorElement, VcdFault } from './faults.js';
import type { OrderedFaults } from './faults-injected.js';
import type { Answer, Exchange } from './exchange.js';
import { Hrefs } from './hrefs.js';
import { type Negotiated, negotiate } from './negotiation.js';
import { findRoute, type Route } from './router.js';
import { extensionRoutes } from './routes/extension-routes.js';
import { metadataRoutes } from './routes/metadata-routes.js';
import { organizationRoutes } from './routes/organization-routes.js';
import { queryRoutes } from './routes/query-routes.js';
import { vappRoutes } from './routes/vapp-routes.js';
import { vmRoutes } from './routes/vm-routes.js';
import { type Session, Sessions } from './sessions.js';
import { sessionJson, sessionView, supportedVersions } from './views/session-view.js';
import { MEDIA, WRITE_PREFIXES } from './xml-names.js';

/** One request and its answer, for the record and the request list. */
export interface RecordedExchange {
  door: string;
  method: string;
  path: string;
  status: number;
  requestHeaders: Readonly<Record<string, string>>;
  requestBody: string;
  responseHeaders: Readonly<Record<string, string>>;
  responseBody: string;
}

export interface VcdServerOptions {
  cloud: VcdCloud;
  host: string;
  port: number;
  certificate: ServerCertificate;
  sessionIdleMs: number;
  faults: OrderedFaults;
  onExchange: (exchange: RecordedExchange) => void;
}

const ROUTES: readonly Route[] = [...vappRoutes, ...vmRoutes, ...metadataRoutes, ...organizationRoutes, ...extensionRoutes, ...queryRoutes];
const MAX_BODY_BYTES = 10 * MIB;
/** A larger body is read to its end, so that the client gets its answer; a stream without end is cut off. */
const MAX_DISCARDED_BYTES = 256 * MIB;
const TOKEN_HEADER = 'x-vmware-vcloud-access-token';

/** The cell: HTTPS, sessions, negotiation, and the routes behind them. */
export class VcdServer {
  readonly sessions: Sessions;
  private constructor(
    private readonly options: VcdServerOptions,
    private readonly server: Server,
  ) {
    this.sessions = new Sessions(() => options.cloud.state, options.sessionIdleMs);
  }

  static async listen(options: VcdServerOptions): Promise<VcdServer> {
    const server = createServer({ cert: options.certificate.certificatePem, key: options.certificate.privateKeyPem });
    const cell = new VcdServer(options, server);
    server.on('request', (request, response) => {
      cell.serve(request, response).catch((error: unknown) => {
        process.stderr.write(`simulator: VCD request failed: ${(error as Error).stack ?? String(error)}\n`);
        response.destroy();
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, options.host, resolve);
    });
    return cell;
  }

  get url(): string {
    const { address, port } = this.server.address() as AddressInfo;
    return `https://${address.includes(':') ? `[${address}]` : address}:${port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Not resolved against the address: `//other/api` is a path here and no host.
    const url = new URL(`${this.url}${request.url?.startsWith('/') ? request.url : '/'}`);
    const method = request.method ?? 'GET';
    const body = await readText(request);
    const fault = this.options.faults.forRequest(method, url.pathname);
    if (fault) {
      if (fault.delayMs > 0) await sleep(fault.delayMs);
      if (fault.effect === 'drop') {
        request.socket.destroy();
        return;
      }
    }
    let reply: Reply;
    try {
      if (fault?.effect === 'error') throw new VcdFault(fault.status, fault.minorErrorCode, fault.message);
      if (body === undefined) throw badRequest(`The request body is larger than ${MAX_BODY_BYTES / MIB} MiB.`);
      reply = await this.answer(request, method, url, body);
    } catch (error) {
      reply = this.errorReply(request, url, error);
    }
    const clientRequestId = /^[A-Za-z0-9-]{1,128}$/.exec(String(request.headers['x-vmware-vcloud-client-request-id'] ?? ''))?.[0];
    const headers: Record<string, string> = {
      ...reply.headers,
      'X-VMWARE-VCLOUD-REQUEST-ID': `${clientRequestId === undefined ? '' : `${clientRequestId}-`}${randomUUID()}`,
      Date: new Date().toUTCString(),
    };
    response.writeHead(reply.status, headers);
    response.end(reply.body);
    this.options.onExchange({
      door: 'vcd',
      method,
      path: `${url.pathname}${url.search}`,
      status: reply.status,
      requestHeaders: flatHeaders(request),
      requestBody: body ?? '',
      responseHeaders: headers,
      responseBody: reply.body,
    });
  }

  private async answer(request: IncomingMessage, method: string, url: URL, body: string): Promise<Reply> {
    const base = this.url;
    const path = url.pathname;
    if (method === 'GET' && path === '/api/versions') return xmlReply(200, supportedVersions(base), undefined, undefined);
    if (path.startsWith('/cloudapi/1.0.0/sessions')) return this.cloudapiSession(request, method, path);
    if (!path.startsWith('/api')) throw new VcdFault(404, 'NOT_FOUND', `The requested resource ${path} was not found.`);
    const negotiated = negotiate(request.headers.accept, 'xml');
    if (path === '/api/sessions' && method === 'POST') return this.oldLogin(request, negotiated);
    const session = this.authenticate(request);
    const hrefs = new Hrefs(base, session.isProvider);
    const exchange: Exchange = {
      cloud: this.options.cloud,
      session,
      hrefs,
      apiVersion: negotiated.number,
      method,
      parameters: {},
      query: url.searchParams,
      contentType: (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '',
      body,
    };
    if (/^\/api\/session\/?$/.test(path)) return this.sessionResource(exchange, negotiated);
    const { handle, parameters } = findRoute(ROUTES, method, path.replace(/^\/api\/?/, ''));
    const answer = await handle({ ...exchange, parameters });
    return answerReply(answer, negotiated.version);
  }

  private authenticate(request: IncomingMessage): Session {
    const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const token = bearer ?? request.headers[TOKEN_HEADER] ?? request.headers['x-vcloud-authorization'];
    const session = typeof token === 'string' ? this.sessions.find(token) : undefined;
    if (!session) throw new VcdFault(401, 'UNAUTHORIZED', 'This operation is denied: the session is missing or has expired.');
    return session;
  }

  private basicLogin(request: IncomingMessage, door: 'provider' | 'tenant' | 'any'): Session {
    const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const session = encoded === undefined ? undefined : this.sessions.logIn(Buffer.from(encoded, 'base64').toString('utf8'), door);
    if (!session) throw new VcdFault(401, 'UNAUTHORIZED', 'Unauthorized: the user name, organization or password is not right.');
    return session;
  }

  private cloudapiSession(request: IncomingMessage, method: string, path: string): Reply {
    const { version } = negotiate(request.headers.accept, method === 'DELETE' ? 'any' : 'json');
    if (method === 'POST') {
      if (!/\/sessions(\/provider)?\/?$/.test(path)) throw new VcdFault(404, 'NOT_FOUND', `The requested resource ${path} was not found.`);
      const session = this.basicLogin(request, path.includes('/provider') ? 'provider' : 'tenant');
      return jsonReply(200, sessionJson(session), version, loginHeaders(session));
    }
    const session = this.authenticate(request);
    if (method === 'GET') return jsonReply(200, sessionJson(session), version);
    if (method !== 'DELETE') throw new VcdFault(405, 'METHOD_NOT_ALLOWED', `The method ${method} is not allowed for ${path}.`);
    this.sessions.end(session);
    return { status: 204, headers: {}, body: '' };
  }

  /** Removed from the API in 38.0. */
  private oldLogin(request: IncomingMessage, negotiated: Negotiated): Reply {
    if (negotiated.number >= 38) throw new VcdFault(404, 'NOT_FOUND', 'The requested resource /api/sessions was not found.');
    const session = this.basicLogin(request, 'any');
    const viewer = { cloud: this.options.cloud, session, hrefs: new Hrefs(this.url, session.isProvider), apiVersion: negotiated.number };
    return xmlReply(200, sessionView(viewer), MEDIA.session, negotiated.version, {
      ...loginHeaders(session),
      'x-vcloud-authorization': session.token,
    });
  }

  private sessionResource(exchange: Exchange, negotiated: Negotiated): Reply {
    if (exchange.method === 'GET') return xmlReply(200, sessionView(exchange), MEDIA.session, negotiated.version);
    if (exchange.method !== 'DELETE')
      throw new VcdFault(405, 'METHOD_NOT_ALLOWED', `The method ${exchange.method} is not allowed for /session.`);
    this.sessions.end(exchange.session);
    return { status: 204, headers: {}, body: '' };
  }

  private errorReply(request: IncomingMessage, url: URL, error: unknown): Reply {
    if (!(error instanceof VcdFault)) process.stderr.write(`simulator: ${(error as Error).stack ?? String(error)}\n`);
    const fault = error instanceof VcdFault ? error : new VcdFault(500, 'INTERNAL_SERVER_ERROR', (error as Error).message);
    const headers: Record<string, string> = fault.status === 401 ? { 'WWW-Authenticate': 'Basic realm="VMware Cloud Director"' } : {};
    if (url.pathname.startsWith('/cloudapi')) {
      return jsonReply(
        fault.status,
        { minorErrorCode: fault.minorErrorCode, message: fault.message, stackTrace: null },
        undefined,
        headers,
      );
    }
    const forProvider = this.viewerIsProvider(request);
    return xmlReply(fault.status, errorElement('Error', fault, forProvider), MEDIA.error, acceptedVersion(request), headers);
  }

  private viewerIsProvider(request: IncomingMessage): boolean {
    try {
      return this.authenticate(request).isProvider;
    } catch {
      return false;
    }
  }
}

interface Reply {
  status: number;
  headers: Record<string, string>;
  body: string;
}

function loginHeaders(session: Session): Record<string, string> {
  return { 'X-VMWARE-VCLOUD-ACCESS-TOKEN': session.token, 'X-VMWARE-VCLOUD-TOKEN-TYPE': 'Bearer' };
}

function answerReply(answer: Answer, version: string): Reply {
  const headers = { ...answer.headers };
  if (answer.xml) return xmlReply(answer.status, answer.xml, answer.media, version, headers);
  return { status: answer.status, headers, body: '' };
}

/** Content-Type as cells write it: lower case, with the version. */
function xmlReply(
  status: number,
  xml: XmlElement,
  media: string | undefined,
  version: string | undefined,
  headers: Record<string, string> = {},
): Reply {
  const type = media === undefined ? 'text/xml' : `${media}+xml`.toLowerCase();
  return {
    status,
    headers: { 'Content-Type': version === undefined ? type : `${type};version=${version}`, ...headers },
    body: writeXml(xml, { prefixes: WRITE_PREFIXES }),
  };
}

function jsonReply(status: number, value: unknown, version?: string, headers: Record<string, string> = {}): Reply {
  return {
    status,
    headers: { 'Content-Type': version === undefined ? 'application/json' : `application/json;version=${version}`, ...headers },
    body: JSON.stringify(value),
  };
}

function acceptedVersion(request: IncomingMessage): string | undefined {
  try {
    return negotiate(request.headers.accept, 'xml').version;
  } catch {
    return undefined;
  }
}

/** Undefined when it is larger than any vCloud document. */
async function readText(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_DISCARDED_BYTES) throw new Error('a request body does not end');
    if (length > MAX_BODY_BYTES) parts.length = 0;
    else parts.push(part);
  }
  if (length > MAX_BODY_BYTES) return undefined;
  return Buffer.concat(parts).toString('utf8');
}

function flatHeaders(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
}
