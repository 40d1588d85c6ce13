import { createHash } from 'node:crypto';
import * as https from 'node:https';
import * as tls from 'node:tls';
import type { Duplex } from 'node:stream';

/**
 * How a server proves who it is: by a certificate authority, or by the thumbprint of its very
 * certificate (what VMware's own tools do with the self-signed certificate of an appliance).
 * With neither, the system's authorities decide.
 */
export interface ServerTrust {
  /** PEM of one or more authorities. */
  caPem?: string;
  /** SHA-1 or SHA-256 of the DER certificate, hexadecimal, colons and case free. */
  thumbprint?: string;
}

/** A connection nobody waits for any more must not stay: whoever has given up its request has no socket to destroy. */
const HANDSHAKE_TIMEOUT_MS = 60_000;

export class CertificateError extends Error {
  override readonly name = 'CertificateError';
  constructor(
    readonly host: string,
    readonly expected: string,
    readonly actual: string,
  ) {
    super(
      `The certificate of ${host} has thumbprint ${actual}, not the registered ${expected}. ` +
        'If the certificate was renewed on purpose, register the new thumbprint.',
    );
  }
}

/** Colon-separated upper-case form, the one VDDK wants (SHA-1, VixDiskLibConnectParams.thumbPrint). */
export function certificateThumbprint(certificateDer: Uint8Array, algorithm: 'sha1' | 'sha256'): string {
  const hex = createHash(algorithm).update(certificateDer).digest('hex').toUpperCase();
  return (hex.match(/../g) as string[]).join(':');
}

export function normalizeThumbprint(thumbprint: string): string {
  const hex = thumbprint.replace(/[\s:]/g, '').toUpperCase();
  if (!/^([0-9A-F]{40}|[0-9A-F]{64})$/.test(hex)) {
    throw new RangeError('A thumbprint is 20 (SHA-1) or 32 (SHA-256) bytes in hexadecimal');
  }
  return (hex.match(/../g) as string[]).join(':');
}

/**
 * An agent that hands out a socket only after the server proved itself, so that no byte of a
 * request (and no password) can reach a stranger.
 */
export function trustingAgent(
  trust: ServerTrust,
  options: https.AgentOptions = {},
  handshakeTimeoutMs = HANDSHAKE_TIMEOUT_MS,
): https.Agent {
  const pinned = trust.thumbprint === undefined ? undefined : normalizeThumbprint(trust.thumbprint);
  const agent = new https.Agent({ keepAlive: true, maxSockets: 16, ca: trust.caPem, ...options });
  if (pinned === undefined) return agent;

  type CreateConnection = (options: tls.ConnectionOptions, callback: (error: Error | null, stream?: Duplex) => void) => void;
  const pinning: CreateConnection = (connection, callback) => {
    // The chain is not asked: a pinned certificate needs no authority. The pin is checked below,
    // on the finished handshake, before the socket is given to anybody.
    const socket = tls.connect({ ...connection, rejectUnauthorized: pinned === undefined, checkServerIdentity: () => undefined });
    const timer = setTimeout(() => socket.destroy(handshakeTimeout(handshakeTimeoutMs)), handshakeTimeoutMs);
    const onError = (error: Error) => {
      clearTimeout(timer);
      callback(error);
    };
    socket.once('error', onError);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.removeListener('error', onError);
      // Not getPeerX509Certificate(): on Node 20 it gives the certificate only once for each socket,
      // and whoever asks later (for VDDK's SHA-1 thumbprint) gets nothing.
      const actual = thumbprintLike(socket.getPeerCertificate(), pinned);
      if (actual !== pinned) {
        socket.destroy();
        callback(new CertificateError(`${connection.host}:${connection.port}`, pinned, actual));
        return;
      }
      callback(null, socket);
    });
  };
  (agent as unknown as { createConnection: CreateConnection }).createConnection = pinning;
  return agent;
}

function handshakeTimeout(timeoutMs: number): Error {
  return Object.assign(new Error(`The TLS handshake was not finished within ${timeoutMs / 1_000} s`), { code: 'ETIMEDOUT' });
}

function thumbprintLike(certificate: Partial<tls.PeerCertificate>, pinned: string): string {
  const sha1Length = 20 * 3 - 1;
  return (pinned.length === sha1Length ? certificate.fingerprint : certificate.fingerprint256) ?? '(none)';
}
