import { createHash, X509Certificate } from 'node:crypto';
import * as https from 'node:https';
import * as net from 'node:net';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { VsphereModel } from '../model/vsphere-model.js';
import { VixDoor } from '../vix-door/index.js';
import { VcenterAccounts, type VcenterAccount } from './accounts.js';
import { serveDatastoreFile } from './datastore-files.js';
import { FaultRules, type Recorder } from './fault-rules.js';
import type { VcenterCore } from './operations.js';
import { SERVICE_VERSIONS } from './service-content.js';
import { VcenterSessions } from './sessions.js';
import { DroppedConnection, PBM_SERVICE, SoapEndpoint } from './soap-endpoint.js';
import { TaskBoard, type TaskTiming } from './tasks.js';

export interface VcenterServerOptions {
  model: VsphereModel;
  certificatePem: string;
  privateKeyPem: string;
  userName: string;
  password: string;
  /** Who else may log in, with fewer privileges. */
  accounts?: readonly VcenterAccount[];
  host?: string;
  port?: number;
  /** Default 30 minutes, as vCenter's. */
  sessionIdleTimeoutMs?: number;
  taskTiming?: TaskTiming;
  rules?: FaultRules;
  recorder?: Recorder;
}

const TLS_CLIENT_HELLO = 0x16;
const FIRST_BYTE_TIMEOUT_MS = 30_000;

/** One port for everything of vCenter: HTTPS (SOAP, datastore files) and, told apart by its first byte, the vix door. */
export class VcenterServer {
  readonly rules: FaultRules;
  readonly sessions: VcenterSessions;
  recorder: Recorder | undefined;
  private readonly tasks: TaskBoard;
  private readonly vixDoor: VixDoor;
  private readonly soap: SoapEndpoint;
  private readonly pbm: SoapEndpoint;
  private readonly core: VcenterCore;
  private readonly tcp: net.Server;
  private readonly https: https.Server;
  private readonly sockets = new Set<net.Socket>();
  private readonly certificate: X509Certificate;

  constructor(private readonly options: VcenterServerOptions) {
    const { model } = options;
    this.rules = options.rules ?? new FaultRules();
    this.recorder = options.recorder;
    this.certificate = new X509Certificate(options.certificatePem);
    const { userName, password, accounts = [] } = options;
    const known = new VcenterAccounts([{ userName, password }, ...accounts], model.inventory.state.rootFolderMoRef);
    this.sessions = new VcenterSessions(known, options.sessionIdleTimeoutMs ?? 30 * 60_000);
    this.tasks = new TaskBoard(model.inventory, options.taskTiming ?? { minMs: 100, maxMs: 300 });
    this.core = { model, tasks: this.tasks, sessions: this.sessions, rules: this.rules };
    this.soap = new SoapEndpoint(this.core, () => this.recorder);
    this.pbm = new SoapEndpoint(this.core, () => this.recorder, PBM_SERVICE);
    this.vixDoor = new VixDoor({
      model,
      tasks: this.tasks,
      sessions: this.sessions,
      rules: this.rules,
      thumbprintSha1: this.thumbprintSha1,
    });
    this.https = https.createServer(
      { cert: options.certificatePem, key: options.privateKeyPem },
      (request, response) => void this.serve(request, response),
    );
    this.https.keepAliveTimeout = 60_000;
    this.tcp = net.createServer((socket) => this.accept(socket));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.tcp.once('error', reject);
      this.tcp.listen(this.options.port ?? 0, this.options.host ?? '127.0.0.1', () => {
        this.tcp.removeListener('error', reject);
        resolve();
      });
    });
  }

  get port(): number {
    return (this.tcp.address() as net.AddressInfo).port;
  }
  get url(): string {
    return `https://${this.options.host ?? '127.0.0.1'}:${this.port}`;
  }
  get thumbprintSha1(): string {
    return this.certificate.fingerprint;
  }
  get thumbprintSha256(): string {
    return createHash('sha256')
      .update(this.certificate.raw)
      .digest('hex')
      .toUpperCase()
      .replace(/..(?!$)/g, '$&:');
  }

  /** What clients' VDDK libraries tell of broken rules and leaks. */
  get vddkViolations(): readonly string[] {
    return this.vixDoor.violations;
  }

  /** For the control port: as if every session had been idle too long. */
  expireSessions(): void {
    this.sessions.expireAll();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.tcp.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    this.https.close();
    await closed;
    await this.tasks.close();
    await this.vixDoor.close();
  }

  private accept(socket: net.Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(FIRST_BYTE_TIMEOUT_MS, () => socket.destroy());
    socket.once('data', (first: Buffer) => {
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      socket.pause();
      socket.unshift(first);
      // TLS takes over the socket's handle and what was put back; only the plain door reads the stream itself.
      if (first[0] === TLS_CLIENT_HELLO) this.https.emit('connection', socket);
      else this.vixDoor.accept(socket);
    });
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const ended = new AbortController();
    response.on('close', () => ended.abort());
    try {
      const path = (request.url ?? '').split('?')[0] ?? '';
      if (path.startsWith('/folder/')) await serveDatastoreFile(this.core, request, response, ended.signal, this.recorder);
      else if (path === '/sdk/vimServiceVersions.xml' && request.method === 'GET')
        response.writeHead(200, { 'Content-Type': 'text/xml' }).end(SERVICE_VERSIONS);
      else if (path.replace(/\/$/, '') === '/sdk' && request.method === 'POST') await this.soap.serve(request, response, ended.signal);
      else if (/^\/pbm(\/sdk)?\/?$/.test(path) && request.method === 'POST') await this.pbm.serve(request, response, ended.signal);
      else response.writeHead(path.replace(/\/$/, '') === '/sdk' ? 405 : 404).end();
    } catch (error) {
      if (error instanceof DroppedConnection || ended.signal.aborted) request.socket.destroy();
      else if (!response.headersSent) response.writeHead(500).end();
      else response.destroy();
    }
  }
}
