import * as https from 'node:https';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import {
  abortReason,
  CertificateError,
  certificateThumbprint,
  describeError,
  normalizeThumbprint,
  TimeoutError,
  throwIfAborted,
  trustingAgent,
} from '../common/index.js';
import { VsphereError } from './errors.js';
import type { VsphereConnection } from './types.js';

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PUT';
  /** Path and query. */
  path: string;
  headers?: Record<string, string>;
  body?: Buffer | string;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /**
   * Which connections it goes over: `pooled` where nothing is said. `fresh` is a new one, so that a connection lost in the
   * pool cannot leave it unknown whether the server acted. `poll` are those of long polls, which nobody else waits for.
   */
  lane?: 'pooled' | 'fresh' | 'poll';
}

export interface HttpResponse {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Largest answer held in memory; property pages and small datastore files stay far below. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;
/** 20 bytes in hexadecimal with colons. */
const SHA1_THUMBPRINT_LENGTH = 59;
const MAX_SOCKETS = 64;
/** Every wait holds one for its long poll: as many tasks as a large vApp has VMs, and more wait for each other. */
const MAX_POLL_SOCKETS = 256;

/**
 * HTTPS to one vCenter, over connections whose certificate was checked. Knows no SOAP.
 * Its errors name the server and the cause, never the request.
 */
export class VcenterTransport {
  readonly host: string;
  readonly port: number;
  private readonly pool: https.Agent;
  private readonly fresh: https.Agent;
  private readonly poll: https.Agent;
  private readonly pin: string | undefined;
  private certificateDer: Buffer | undefined;

  constructor(connection: Pick<VsphereConnection, 'url' | 'trust'>) {
    const url = parseUrl(connection.url);
    this.host = url.hostname.replace(/^\[|\]$/g, '');
    this.port = url.port === '' ? 443 : Number(url.port);
    this.pin = connection.trust.thumbprint === undefined ? undefined : readPin(connection.trust.thumbprint);
    this.pool = trustingAgent(connection.trust, { maxSockets: MAX_SOCKETS });
    this.fresh = trustingAgent(connection.trust, { keepAlive: false, maxSockets: MAX_SOCKETS });
    this.poll = trustingAgent(connection.trust, { maxSockets: MAX_POLL_SOCKETS });
  }

  /** As people write it: host, with the port where it is not 443. */
  get name(): string {
    const host = this.host.includes(':') ? `[${this.host}]` : this.host;
    return this.port === 443 ? host : `${host}:${this.port}`;
  }

  /** SHA-1 of the certificate of the verified connection, colons and capitals: what VDDK wants. */
  get thumbprint(): string {
    if (this.certificateDer !== undefined) return certificateThumbprint(this.certificateDer, 'sha1');
    // A SHA-1 pin was compared with that very certificate on every connection.
    if (this.pin !== undefined && this.pin.length === SHA1_THUMBPRINT_LENGTH) return this.pin;
    throw new VsphereError(
      `The SHA-1 thumbprint of vCenter ${this.name}, which VDDK needs, is not known: register it instead of the SHA-256 one.`,
      {
        code: 'THUMBPRINT_UNKNOWN',
        subject: `vCenter ${this.name}`,
      },
    );
  }

  /** @throws VsphereError UNREACHABLE, CERTIFICATE_UNTRUSTED, CONNECTION_LOST, NOT_A_VCENTER; TimeoutError; the signal's reason. */
  send(request: HttpRequest): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      throwIfAborted(request.signal);
      const body = typeof request.body === 'string' ? Buffer.from(request.body, 'utf8') : request.body;
      const outgoing = https.request({
        agent: this.agentOf(request.lane ?? 'pooled'),
        host: this.host,
        port: this.port,
        method: request.method,
        path: request.path,
        headers: { ...request.headers, ...(body === undefined ? {} : { 'Content-Length': body.length }) },
      });
      // Both end the wait themselves: a request that has no socket yet (one that waits for a place, or for a handshake whose end
      // decides whether the server is trusted) emits nothing when it is destroyed.
      const giveUp = (error: Error) => {
        fail(error);
        outgoing.destroy(error);
      };
      const timer = setTimeout(() => giveUp(new TimeoutError(`The request to vCenter ${this.name}`, request.timeoutMs)), request.timeoutMs);
      const onAbort = () => giveUp(abortReason(request.signal as AbortSignal));
      request.signal?.addEventListener('abort', onAbort, { once: true });
      const settle = () => {
        clearTimeout(timer);
        request.signal?.removeEventListener('abort', onAbort);
      };
      const fail = (error: unknown) => {
        settle();
        reject(request.signal?.aborted ? abortReason(request.signal) : this.explain(error));
      };
      outgoing.on('error', fail);
      outgoing.on('socket', (socket) => this.noteCertificate(socket as TLSSocket));
      outgoing.on('response', (response) => {
        readBody(response).then((received) => {
          settle();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: received });
        }, fail);
      });
      outgoing.end(body);
    });
  }

  close(): void {
    for (const agent of [this.pool, this.fresh, this.poll]) agent.destroy();
  }

  private agentOf(lane: NonNullable<HttpRequest['lane']>): https.Agent {
    return lane === 'poll' ? this.poll : lane === 'fresh' ? this.fresh : this.pool;
  }

  /** The agents hand out a socket when it is trusted; one judged by authorities may still be in its handshake. */
  private noteCertificate(socket: TLSSocket & { secureConnecting?: boolean }): void {
    // Not getPeerX509Certificate: node 20 answers it once per socket, and has no certificate of it afterwards.
    const note = () => {
      // Typed as always there, yet {} is what a socket without certificate gives.
      this.certificateDer = (socket.getPeerCertificate().raw as Buffer | undefined) ?? this.certificateDer;
    };
    if (socket.secureConnecting) socket.once('secureConnect', note);
    else note();
  }

  private explain(error: unknown): Error {
    if (error instanceof TimeoutError) return error;
    if (error instanceof CertificateError) {
      return new VsphereError(error.message, {
        code: 'CERTIFICATE_UNTRUSTED',
        subject: `vCenter ${this.name}`,
        details: { expected: error.expected, actual: error.actual },
      });
    }
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (CERTIFICATE_CODES.test(code)) {
      return new VsphereError(
        `The certificate of vCenter ${this.name} is not trusted (${code}): register its thumbprint or the authority that signed it.`,
        { code: 'CERTIFICATE_UNTRUSTED', subject: `vCenter ${this.name}`, details: { cause: code } },
      );
    }
    if (code === 'EPROTO' || code.startsWith('ERR_SSL') || code.startsWith('HPE_')) {
      return new VsphereError(`${this.name} does not speak HTTPS: check the address of the vCenter.`, {
        code: 'NOT_A_VCENTER',
        subject: `vCenter ${this.name}`,
        details: { cause: code },
      });
    }
    if (LOST_CODES.has(code)) {
      return new VsphereError(`The connection to vCenter ${this.name} was lost (${code}) while an answer was awaited.`, {
        code: 'CONNECTION_LOST',
        retryable: true,
        subject: `vCenter ${this.name}`,
        details: { cause: code },
      });
    }
    return new VsphereError(
      `vCenter ${this.name} cannot be reached (${code || (error as Error).message}): check its address and the network.`,
      {
        code: 'UNREACHABLE',
        retryable: true,
        subject: `vCenter ${this.name}`,
        details: { cause: code },
      },
    );
  }
}

const CERTIFICATE_CODES = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH)/;
const LOST_CODES = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_SOCKET_CLOSED']);

function parseUrl(text: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Answered below like any other address that cannot be used.
  }
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new VsphereError('The address of a vCenter is https://host[:port], with no user name or password in it.', {
      code: 'BAD_ADDRESS',
    });
  }
  return url;
}

function readPin(thumbprint: string): string {
  try {
    return normalizeThumbprint(thumbprint);
  } catch (error) {
    throw new VsphereError(`The registered thumbprint of the vCenter is none: ${describeError(error)}.`, { code: 'BAD_THUMBPRINT' });
  }
}

async function readBody(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_BODY_BYTES) throw Object.assign(new Error('The answer is too large'), { code: 'ERR_BODY_TOO_LARGE' });
    parts.push(part);
  }
  if (!response.complete) throw Object.assign(new Error('The answer ended early'), { code: 'ECONNRESET' });
  return Buffer.concat(parts, length);
}
