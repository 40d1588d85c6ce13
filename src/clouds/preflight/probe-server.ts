import * as https from 'node:https';
import type { TLSSocket } from 'node:tls';
import { CertificateError, certificateThumbprint, type ServerTrust, TimeoutError, trustingAgent } from '../../common/index.js';

export interface Probe {
  status: number;
  body: string;
  /** Its own clock, by the Date header, to the second. */
  serverTime: Date | undefined;
  /** Ours in the middle between question and answer. */
  ownTime: Date;
  certificate: { subject: string; expiresAt: Date; thumbprintSha256: string } | undefined;
}

/** Why a server could not be asked. */
export class ProbeFailure extends Error {
  override readonly name = 'ProbeFailure';
  constructor(
    readonly kind: 'unreachable' | 'certificate',
    message: string,
  ) {
    super(message);
  }
}

const MAX_BODY_BYTES = 1024 * 1024;
const CERTIFICATE_CODES = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH)/;

/**
 * One GET without a login, on a connection of its own whose certificate is judged as registered: says what the clients,
 * which log in at once, cannot tell apart.
 * @throws ProbeFailure.
 */
export function probeServer(url: string, path: string, trust: ServerTrust, timeoutMs: number, signal: AbortSignal): Promise<Probe> {
  const { hostname, port, host } = new URL(url);
  const startedMs = Date.now();
  const agent = trustingAgent(trust, { keepAlive: false });
  return new Promise<Probe>((resolve, reject) => {
    const target = { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 443 : Number(port), path };
    const request = https.request({ agent, ...target, method: 'GET', headers: { accept: '*/*' }, signal });
    const fail = (error: unknown) => {
      clearTimeout(timer);
      reject(explain(error, host));
    };
    const timer = setTimeout(() => {
      const error = new TimeoutError(`The request to ${host}`, timeoutMs);
      // Itself: before the handshake has ended there is no socket, and a request without one says nothing when it is destroyed.
      fail(error);
      request.destroy(error);
    }, timeoutMs);
    request.on('error', fail);
    request.on('response', (response) => {
      const ownTime = new Date((startedMs + Date.now()) / 2);
      const certificate = certificateOf(response.socket as TLSSocket);
      const parts: Buffer[] = [];
      let length = 0;
      response.on('data', (part: Buffer) => {
        length += part.length;
        if (length <= MAX_BODY_BYTES) parts.push(part);
        else response.destroy(new Error('the answer is too large'));
      });
      response.on('error', fail);
      response.on('end', () => {
        clearTimeout(timer);
        const body = Buffer.concat(parts).toString('utf8');
        resolve({ status: response.statusCode ?? 0, body, serverTime: timeOf(response.headers.date), ownTime, certificate });
      });
    });
    request.end();
  }).finally(() => agent.destroy());
}

function certificateOf(socket: TLSSocket): Probe['certificate'] {
  const certificate = socket.getPeerCertificate();
  // Typed as always there, yet {} is what a socket without certificate gives.
  const raw = certificate.raw as Buffer | undefined;
  if (raw === undefined) return undefined;
  const { CN, O } = certificate.subject;
  const subject = [CN ?? O ?? 'unnamed'].flat().join(', ');
  return { subject, expiresAt: new Date(certificate.valid_to), thumbprintSha256: certificateThumbprint(raw, 'sha256') };
}

function timeOf(header: string | undefined): Date | undefined {
  const time = new Date(header ?? '');
  return Number.isNaN(time.getTime()) ? undefined : time;
}

function explain(error: unknown, host: string): ProbeFailure {
  if (error instanceof CertificateError) return new ProbeFailure('certificate', error.message);
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (CERTIFICATE_CODES.test(code)) {
    const advice = 'register its thumbprint or the authority that signed it';
    return new ProbeFailure('certificate', `The certificate of ${host} is not trusted (${code}): ${advice}.`);
  }
  const reason = error instanceof TimeoutError ? 'no answer in time' : code || message;
  return new ProbeFailure('unreachable', `${host} cannot be reached (${reason}): check its address and the network.`);
}
