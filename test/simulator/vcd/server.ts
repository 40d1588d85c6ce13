import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { MIB, sleep, type XmlElement, writeXml } from '../../../src/common/index.js';
import type { ServerCertificate } from '../tls.js';
import type { VcdCloud } from './cloud.js';
import { prefixesOf, variedBody } from './body-variants.js';
import { cloudapiResource } from './cloudapi.js';
import { requestEvent } from './events.js';
import { badRequest, errorElement, VcdFault } from './faults.js';
import type { OrderedFaults } from './faults-injected.js';
import type { Answer, Exchange } from './exchange.js';
import { Hrefs } from './hrefs.js';
import { type Negotiated, negotiate } from './negotiation.js';
import { tokenGrant } from './oauth.js';
import { findRoute, type Route } from './router.js';
import { affinityRoutes } from './routes/affinity-routes.js';
import { diskRoutes } from './routes/disk-routes.js';
import { extensionRoutes } from './routes/extension-routes.js';
import { metadataRoutes } from './routes/metadata-routes.js';
import { organizationRoutes } from './routes/organization-routes.js';
import { catalogRoutes } from './routes/catalog-routes.js';
import { mediaRoutes } from './routes/media-routes.js';
import { queryRoutes } from './routes/query-routes.js';
import { snapshotRoutes } from './routes/snapshot-routes.js';
import { transfer, type TransferReply } from './routes/transfer.js';
import { vappRoutes } from './routes/vapp-routes.js';
import { vmRoutes } from './routes/vm-routes.js';
import { type Session, Sessions } from './sessions.js';
import type { Variants } from './variants.js';
import { API_VERSIONS, sessionJson, sessionView, supportedVersions } from './views/session-view.js';
import { MEDIA } from './xml-names.js';

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
  /** What /api/versions offers; default everything this cell speaks. */
  versions?: readonly string[];
  faults: OrderedFaults;
  onExchange: (exchange: RecordedExchange) => void;
}

const ROUTES: readonly Route[] = [
  ...vappRoutes,
  ...vmRoutes,
  ...mediaRoutes,
  ...catalogRoutes,
  ...snapshotRoutes,
  ...diskRoutes,
  ...affinityRoutes,
  ...metadataRoutes,
  ...organizationRoutes,
  ...extensionRoutes,
  ...queryRoutes,
];
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
    // Bytes of media: neither negotiated, nor read into memory, nor recorded.
    if (url.pathname.startsWith('/transfer/')) return this.serveTransfer(request, response, method, url);
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
      if (fault?.effect === 'error') throw new VcdFault(fault.status, fault.minorErrorCode, fault.message, fault.retryAfterSeconds);
      if (body === undefined) throw badRequest(`The request body is larger than ${MAX_BODY_BYTES / MIB} MiB.`);
      reply = await this.answer(request, method, url, body);
    } catch (error) {
      reply = this.errorReply(request, url, error);
    }
    if (fault?.effect === 'drop-after') {
      request.socket.destroy();
      return;
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

  private async serveTransfer(request: IncomingMessage, response: ServerResponse, method: string, url: URL): Promise<void> {
    const fault = this.options.faults.forRequest(method, url.pathname);
    if (fault && fault.delayMs > 0) await sleep(fault.delayMs);
    if (fault?.effect === 'drop') {
      request.socket.destroy();
      return;
    }
    let reply: TransferReply | Reply;
    try {
      if (fault?.effect === 'error') throw new VcdFault(fault.status, fault.minorErrorCode, fault.message);
      this.authenticate(request);
      reply = await transfer(this.options.cloud, { method, path: url.pathname, headers: request.headers, body: request });
    } catch (error) {
      request.resume();
      reply = this.errorReply(request, url, error);
    }
    const { status, headers, body } = reply;
    response.writeHead(status, headers);
    if (body === undefined || typeof body === 'string') response.end(body);
    else await pipeline(body, response).catch(() => response.destroy());
    this.options.onExchange({
      door: 'vcd',
      method,
      path: url.pathname,
      status,
      requestHeaders: flatHeaders(request),
      requestBody: '',
      responseHeaders: headers,
      responseBody: '',
    });
  }

  private async answer(request: IncomingMessage, method: string, url: URL, body: string): Promise<Reply> {
    const base = this.url;
    const path = url.pathname;
    if (method === 'GET' && path === '/api/versions') return this.xml(200, supportedVersions(base, this.versions), undefined, undefined);
    if (path.startsWith('/oauth/')) return this.oauth(request, method, path, body);
    if (path.startsWith('/cloudapi/1.0.0/sessions')) return this.cloudapiSession(request, method, path);
    if (path.startsWith('/cloudapi/')) return this.cloudapi(request, method, url);
    if (!path.startsWith('/api')) throw new VcdFault(404, 'NOT_FOUND', `The requested resource ${path} was not found.`);
    const negotiated = negotiate(request.headers.accept, 'xml', this.versions);
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
    const resource = path.replace(/^\/api\/?/, '');
    const { handle, parameters } = findRoute(ROUTES, method, resource);
    // Before the work: what is deleted has no name afterwards.
    const event = requestEvent(this.options.cloud, session, method, resource);
    const answer = await handle({ ...exchange, parameters });
    if (event) this.options.cloud.events.add(event);
    return this.answerReply(answer, negotiated.version);
  }

  private get versions(): readonly string[] {
    return this.options.versions ?? API_VERSIONS;
  }

  private oauth(request: IncomingMessage, method: string, path: string, body: string): Reply {
    const contentType = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
    const { versions } = this;
    const grant = tokenGrant(
      { method, path, accept: request.headers.accept, contentType, body, versions },
      this.options.cloud,
      this.sessions,
    );
    return jsonReply(grant.status, grant.json, grant.version, { 'Cache-Control': 'no-store' });
  }

  private cloudapi(request: IncomingMessage, method: string, url: URL): Reply {
    const { version, number } = negotiate(request.headers.accept, 'json', this.versions);
    const session = this.authenticate(request);
    const exchange: Exchange = {
      cloud: this.options.cloud,
      session,
      hrefs: new Hrefs(this.url, session.isProvider),
      apiVersion: number,
      method,
      parameters: {},
      query: url.searchParams,
      contentType: '',
      body: '',
    };
    return jsonReply(200, cloudapiResource(exchange, url.pathname), version);
  }

  private authenticate(request: IncomingMessage): Session {
    const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const token = bearer ?? request.headers[TOKEN_HEADER] ?? request.headers['x-vcloud-authorization'];
    const session = typeof token === 'string' ? this.sessions.find(token) : undefined;
    if (!session && typeof token === 'string' && this.options.cloud.variants.expiredSession === '403')
      throw new VcdFault(403, 'ACCESS_TO_RESOURCE_IS_FORBIDDEN', 'This operation is denied: the session has expired.');
    if (!session) throw new VcdFault(401, 'UNAUTHORIZED', 'This operation is denied: the session is missing or has expired.');
    return session;
  }

  private basicLogin(request: IncomingMessage, door: 'provider' | 'tenant' | 'any'): Session {
    const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const session = encoded === undefined ? undefined : this.sessions.logIn(Buffer.from(encoded, 'base64').toString('utf8'), door);
    if (!session) throw new VcdFault(401, 'UNAUTHORIZED', 'Unauthorized: the user name, organization or password is not right.');
    this.options.cloud.events.add({
      type: 'com/vmware/vcloud/event/session/login',
      succeeded: true,
      entity: { kind: 'user', id: session.user.id, name: session.user.name },
      userId: session.user.id,
      organizationId: session.organization.id,
      description: `login ${session.user.name}`,
    });
    return session;
  }

  private cloudapiSession(request: IncomingMessage, method: string, path: string): Reply {
    const { version } = negotiate(request.headers.accept, method === 'DELETE' ? 'any' : 'json', this.versions);
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
    return this.xml(200, sessionView(viewer), MEDIA.session, negotiated.version, {
      ...loginHeaders(session),
      'x-vcloud-authorization': session.token,
    });
  }

  private sessionResource(exchange: Exchange, negotiated: Negotiated): Reply {
    if (exchange.method === 'GET') return this.xml(200, sessionView(exchange), MEDIA.session, negotiated.version);
    if (exchange.method !== 'DELETE')
      throw new VcdFault(405, 'METHOD_NOT_ALLOWED', `The method ${exchange.method} is not allowed for /session.`);
    this.sessions.end(exchange.session);
    return { status: 204, headers: {}, body: '' };
  }

  private errorReply(request: IncomingMessage, url: URL, error: unknown): Reply {
    if (!(error instanceof VcdFault)) process.stderr.write(`simulator: ${(error as Error).stack ?? String(error)}\n`);
    const raised = error instanceof VcdFault ? error : new VcdFault(500, 'INTERNAL_SERVER_ERROR', (error as Error).message);
    const fault = this.asThisCellSaysIt(url, raised);
    const headers: Record<string, string> = fault.status === 401 ? { 'WWW-Authenticate': 'Basic realm="VMware Cloud Director"' } : {};
    if (fault.retryAfterSeconds !== undefined) headers['Retry-After'] = String(fault.retryAfterSeconds);
    if (/^\/(?:cloudapi|oauth)\//.test(url.pathname)) {
      return jsonReply(
        fault.status,
        { minorErrorCode: fault.minorErrorCode, message: fault.message, stackTrace: null },
        undefined,
        headers,
      );
    }
    const forProvider = this.viewerIsProvider(request);
    return this.xml(fault.status, errorElement('Error', fault, forProvider), MEDIA.error, acceptedVersion(request), headers);
  }

  /** Operations of a vCenter answer a busy entity in two ways (go-vcloud-director knows the 500). */
  private asThisCellSaysIt(url: URL, fault: VcdFault): VcdFault {
    const isVcenter = url.pathname.startsWith('/api/admin/extension/vimServer/');
    if (fault.minorErrorCode !== 'BUSY_ENTITY' || !isVcenter || this.options.cloud.variants.busyVcenter === 'BUSY_ENTITY') return fault;
    return new VcdFault(500, 'INTERNAL_SERVER_ERROR', 'The vCenter server is currently busy.');
  }

  private answerReply(answer: Answer, version: string): Reply {
    const headers = { ...answer.headers };
    if (answer.xml) return this.xml(answer.status, answer.xml, answer.media, version, headers);
    return { status: answer.status, headers, body: '' };
  }

  private xml(
    status: number,
    xml: XmlElement,
    media: string | undefined,
    version: string | undefined,
    headers: Record<string, string> = {},
  ): Reply {
    return xmlReply(status, xml, media, version, headers, this.options.cloud.variants);
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

/** Content-Type as cells write it: lower case, with the version. */
function xmlReply(
  status: number,
  xml: XmlElement,
  media: string | undefined,
  version: string | undefined,
  headers: Record<string, string>,
  variants: Variants,
): Reply {
  const type = media === undefined ? 'text/xml' : `${media}+xml`.toLowerCase();
  return {
    status,
    headers: { 'Content-Type': version === undefined ? type : `${type};version=${version}`, ...headers },
    body: writeXml(variedBody(xml, variants), { prefixes: prefixesOf(variants) }),
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
