import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { MIB, sleep, type XmlElement } from '../../../src/common/index.js';
import type { ServerCertificate } from '../tls.js';
import { BodyRecord } from './body-record.js';
import type { VcdCloud } from './cloud.js';
import { cloudapiResource } from './cloudapi.js';
import { requestEvent } from './events.js';
import { CutRequest, type FailableTask, FailedRequest, RequestGate } from '../request-gate.js';
import { badRequest, errorElement, VcdFault } from './faults.js';
import type { OrderedFault, OrderedFaults } from './faults-injected.js';
import type { Answer, Exchange } from './exchange.js';
import { Hrefs } from './hrefs.js';
import { LoginDoor } from './login.js';
import { negotiate } from './negotiation.js';
import { contentTypeOf, flatHeaders, jsonReply, MAX_BODY_BYTES, readText, type Reply, xmlReply } from './replies.js';
import { findRoute } from './router.js';
import { ROUTES } from './routes/index.js';
import { cutAfter, transfer, type TransferReply } from './routes/transfer.js';
import { Sessions } from './sessions.js';
import { API_VERSIONS, supportedVersions } from './views/session-view.js';
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
  /** Where a test holds single requests. */
  gate?: RequestGate;
  onExchange: (exchange: RecordedExchange) => void;
}

/** The cell: HTTPS, sessions, negotiation, and the routes behind them. */
export class VcdServer {
  readonly sessions: Sessions;
  private readonly logins: LoginDoor;
  private readonly versions: readonly string[];
  private readonly gate: RequestGate;
  /** Bodies for the schema check of a whole test run (test/interop/schema). */
  private readonly bodies = BodyRecord.ofEnvironment();

  private constructor(
    private readonly options: VcdServerOptions,
    private readonly server: Server,
  ) {
    this.versions = options.versions ?? API_VERSIONS;
    this.gate = options.gate ?? new RequestGate();
    this.sessions = new Sessions(() => options.cloud.state, options.sessionIdleMs);
    this.logins = new LoginDoor(options.cloud, this.sessions, this.versions);
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
      reply = await this.gate.pass(
        { door: 'vcd', method, object: askedOf(url) },
        () => this.answer(request, method, url, body),
        (answer) => this.taskNamedIn(answer),
      );
    } catch (error) {
      if (error instanceof CutRequest) {
        request.socket.destroy();
        return;
      }
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
    this.record(request, method, `${url.pathname}${url.search}`, body ?? '', { ...reply, headers });
  }

  private record(request: IncomingMessage, method: string, path: string, requestBody: string, reply: Reply): void {
    const exchange: RecordedExchange = {
      door: 'vcd',
      method,
      path,
      status: reply.status,
      requestHeaders: flatHeaders(request),
      requestBody,
      responseHeaders: reply.headers,
      responseBody: reply.body,
    };
    this.bodies?.add(exchange, this.options.cloud.variants);
    this.options.onExchange(exchange);
  }

  private async serveTransfer(request: IncomingMessage, response: ServerResponse, method: string, url: URL): Promise<void> {
    const fault = this.options.faults.forRequest(method, url.pathname);
    if (fault && fault.delayMs > 0) await sleep(fault.delayMs);
    if (fault?.effect === 'drop' && fault.afterBytes === undefined) {
      request.socket.destroy();
      return;
    }
    let reply: TransferReply | Reply;
    try {
      reply = await this.gate.pass({ door: 'vcd', method, object: url.pathname }, () => this.transferReply(request, method, url, fault));
    } catch (error) {
      if (error instanceof FailedRequest) reply = this.errorReply(request, url, error);
      else {
        request.socket.destroy();
        return;
      }
    }
    const { status, headers, body } = reply;
    if (fault?.effect === 'drop-after') request.socket.destroy();
    response.writeHead(status, headers);
    if (body === undefined || typeof body === 'string') response.end(body);
    else await pipeline(cutAfter(body, droppedAfter(fault), request.socket), response).catch(() => response.destroy());
    this.record(request, method, url.pathname, '', { status, headers, body: '' });
  }

  private taskNamedIn(reply: Reply): FailableTask | undefined {
    const id = reply.status === 201 || reply.status === 202 ? /\/task\/([0-9a-f-]{36})/.exec(reply.body)?.[1] : undefined;
    const { tasks } = this.options.cloud;
    const task = id === undefined ? undefined : tasks.get(id);
    return task && { failWhenDone: () => tasks.failWhenDone(task, lateFailure()) };
  }

  private async transferReply(
    request: IncomingMessage,
    method: string,
    url: URL,
    fault: OrderedFault | undefined,
  ): Promise<TransferReply | Reply> {
    try {
      if (fault?.effect === 'error') throw new VcdFault(fault.status, fault.minorErrorCode, fault.message, fault.retryAfterSeconds);
      this.logins.authenticate(request);
      const body = cutAfter(request, droppedAfter(fault), request.socket);
      return await transfer(this.options.cloud, { method, path: url.pathname, headers: request.headers, body });
    } catch (error) {
      request.resume();
      return this.errorReply(request, url, error);
    }
  }

  private async answer(request: IncomingMessage, method: string, url: URL, body: string): Promise<Reply> {
    const base = this.url;
    const path = url.pathname;
    if (method === 'GET' && path === '/api/versions') return this.xml(200, supportedVersions(base, this.versions), undefined, undefined);
    if (path.startsWith('/oauth/')) return this.logins.grant(request, method, path, body);
    if (path.startsWith('/cloudapi/1.0.0/sessions')) return this.logins.cloudapiSession(request, method, path);
    if (path.startsWith('/cloudapi/')) return this.cloudapi(request, method, url);
    if (!path.startsWith('/api')) throw new VcdFault(404, 'NOT_FOUND', `The requested resource ${path} was not found.`);
    const negotiated = negotiate(request.headers.accept, 'xml', this.versions);
    if (path === '/api/sessions' && method === 'POST') return this.logins.oldLogin(request, negotiated, base);
    const session = this.logins.authenticate(request);
    const hrefs = new Hrefs(base, session.isProvider);
    const exchange: Exchange = {
      cloud: this.options.cloud,
      session,
      hrefs,
      apiVersion: negotiated.number,
      method,
      parameters: {},
      query: url.searchParams,
      contentType: contentTypeOf(request),
      body,
    };
    if (/^\/api\/session\/?$/.test(path)) return this.logins.sessionResource(exchange, negotiated);
    const resource = path.replace(/^\/api\/?/, '');
    const { handle, parameters } = findRoute(ROUTES, method, resource);
    // Before the work: what is deleted has no name afterwards.
    const event = requestEvent(this.options.cloud, session, method, resource);
    const answer = await handle({ ...exchange, parameters });
    if (event) this.options.cloud.events.add(event);
    return this.answerReply(answer, negotiated.version);
  }

  private cloudapi(request: IncomingMessage, method: string, url: URL): Reply {
    const { version, number } = negotiate(request.headers.accept, 'json', this.versions);
    const session = this.logins.authenticate(request);
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

  private errorReply(request: IncomingMessage, url: URL, error: unknown): Reply {
    const known = error instanceof FailedRequest ? lateFailure() : error;
    if (!(known instanceof VcdFault)) process.stderr.write(`simulator: ${(error as Error).stack ?? String(error)}\n`);
    const raised = known instanceof VcdFault ? known : new VcdFault(500, 'INTERNAL_SERVER_ERROR', (error as Error).message);
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
      return this.logins.authenticate(request).isProvider;
    } catch {
      return false;
    }
  }
}

function acceptedVersion(request: IncomingMessage): string | undefined {
  try {
    return negotiate(request.headers.accept, 'xml').version;
  } catch {
    return undefined;
  }
}

/** The query service is one address for all that can be asked of it. */
function askedOf({ pathname, searchParams }: URL): string {
  const type = searchParams.get('type');
  return type === null ? pathname : `${pathname}?type=${type}`;
}

/** What VCD says when it lost something behind it on the way. */
function lateFailure(): VcdFault {
  return new VcdFault(500, 'INTERNAL_SERVER_ERROR', 'Internal Server Error: the operation did not complete in time.');
}

/** How much of a transfer passes before the connection is cut; undefined = all of it. */
function droppedAfter(fault: OrderedFault | undefined): number | undefined {
  return fault?.effect === 'drop' ? fault.afterBytes : undefined;
}
