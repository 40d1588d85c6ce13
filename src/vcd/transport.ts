import type { ClientRequest } from 'node:http';
import * as https from 'node:https';
import axios, { type AxiosInstance } from 'axios';
import {
  abortReason,
  CertificateError,
  MIB,
  normalizeThumbprint,
  type ServerTrust,
  TimeoutError,
  trustingAgent,
  withTimeout,
} from '../common/index.js';
import { VcdError } from './error.js';

export interface TransportRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Path and query. The host is always the registered one: hrefs in answers may name a public address, and no token may follow them elsewhere. */
  target: string;
  headers: Readonly<Record<string, string>>;
  body?: string;
  timeoutMs: number;
  operation: string;
  /** Nothing is changed by sending it twice (a login), so a lost answer leaves no doubt behind. */
  harmless?: boolean;
  signal?: AbortSignal;
}

export interface TransportAnswer {
  status: number;
  text: string;
  header(name: string): string | undefined;
}

/** One query page or one large vApp is some MiB; a body beyond this is not an API answer. */
const MAX_ANSWER_BYTES = 128 * MIB;

/** HTTPS to one host. Every failure below HTTP becomes a VcdError made of the failure's code alone: axios errors carry headers and bodies. */
export class Transport {
  readonly host: string;
  readonly #origin: string;
  readonly #agent: https.Agent;
  readonly #axios: AxiosInstance;

  /** @throws VcdError BAD_CONNECTION for a URL or thumbprint that cannot be one. */
  constructor(url: string, trust: ServerTrust) {
    this.#origin = httpsOrigin(url);
    this.host = new URL(this.#origin).host;
    try {
      if (trust.thumbprint !== undefined) normalizeThumbprint(trust.thumbprint);
      this.#agent = trustingAgent(trust);
    } catch (error) {
      throw new VcdError(`The trust registered for ${this.host} cannot be used: ${(error as Error).message}.`, {
        code: 'BAD_CONNECTION',
        subject: this.host,
      });
    }
    this.#axios = axios.create({
      httpsAgent: this.#agent,
      // A proxy from the environment would end the TLS connection before the pinned server.
      proxy: false,
      maxRedirects: 0,
      maxContentLength: MAX_ANSWER_BYTES,
      maxBodyLength: MAX_ANSWER_BYTES,
      responseType: 'text',
      transformResponse: [(data: unknown) => data],
      validateStatus: () => true,
    });
  }

  async send(request: TransportRequest): Promise<TransportAnswer> {
    try {
      return await withTimeout(request.operation, request.timeoutMs, request.signal, (signal) => this.#exchange(request, signal));
    } catch (error) {
      if (request.signal?.aborted) throw abortReason(request.signal);
      throw this.#wrap(error, request);
    }
  }

  /** Begins a request whose bytes the caller streams (transfer.ts), on the same proven connections. Its failures go through failureOf(). */
  begin(method: 'GET' | 'PUT', target: string, headers: Readonly<Record<string, string>>): ClientRequest {
    return https.request(`${this.#origin}${target}`, { method, headers: { ...headers }, agent: this.#agent });
  }

  /** What a broken connection means. An answer may have been lost unless the request was harmless. */
  failureOf(error: unknown, request: Pick<TransportRequest, 'operation' | 'timeoutMs' | 'harmless'>): VcdError {
    return this.#wrap(error, request);
  }

  close(): void {
    this.#agent.destroy();
  }

  async #exchange(request: TransportRequest, signal: AbortSignal): Promise<TransportAnswer> {
    const response = await this.#axios.request<unknown>({
      method: request.method,
      url: `${this.#origin}${request.target}`,
      headers: { ...request.headers },
      data: request.body,
      signal,
    });
    return {
      status: response.status,
      text: typeof response.data === 'string' ? response.data : '',
      header: (name) => {
        const value: unknown = response.headers[name.toLowerCase()];
        return value === undefined || value === null ? undefined : String(value);
      },
    };
  }

  #wrap(error: unknown, request: Pick<TransportRequest, 'operation' | 'timeoutMs' | 'harmless'>): VcdError {
    const { operation, timeoutMs } = request;
    const fields = { subject: this.host, operation };
    const mismatch = causeOf(error, (cause): cause is CertificateError => cause instanceof CertificateError);
    if (mismatch) return new VcdError(mismatch.message, { ...fields, code: 'CERTIFICATE_UNTRUSTED' });
    if (error instanceof TimeoutError) {
      return new VcdError(`${operation} failed: ${this.host} did not answer within ${Math.round(timeoutMs / 1000)} s.`, {
        ...fields,
        code: 'REQUEST_TIMEOUT',
        retryable: true,
        answerLost: !request.harmless,
      });
    }
    const reason = errorCode(error);
    const details = { reason };
    if (UNTRUSTED.test(reason)) {
      return new VcdError(
        `The certificate of ${this.host} is not trusted (${reason}); register its thumbprint or the certificate authority that issued it.`,
        { ...fields, code: 'CERTIFICATE_UNTRUSTED', details },
      );
    }
    if (NOT_TLS.test(reason)) {
      return new VcdError(`${this.host} is not a vCloud Director: it does not speak TLS on that port; check the URL.`, {
        ...fields,
        code: 'NOT_A_VCD',
        details,
      });
    }
    if (UNREACHABLE.test(reason)) {
      return new VcdError(`${this.host} cannot be reached (${reason}); check the URL, name resolution and firewall.`, {
        ...fields,
        code: 'HOST_UNREACHABLE',
        retryable: true,
        details,
      });
    }
    return new VcdError(`${operation} failed: the connection to ${this.host} broke before the answer was complete (${reason}).`, {
      ...fields,
      code: 'CONNECTION_LOST',
      retryable: true,
      answerLost: !request.harmless,
      details,
    });
  }
}

// Codes of Node's TLS and net layers, read from the error and never from its text.
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|HOSTNAME_MISMATCH/;
const NOT_TLS = /^(EPROTO|ERR_SSL_)/;
const UNREACHABLE = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|EHOSTDOWN)$/;

function causeOf<T extends Error>(error: unknown, matches: (cause: unknown) => cause is T): T | undefined {
  let current = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    if (matches(current)) return current;
    current = current.cause;
  }
  return undefined;
}

/** The innermost code, as axios puts its own (ERR_NETWORK) around Node's. */
function errorCode(error: unknown): string {
  let current = error;
  let code = 'unknown reason';
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    const found: unknown = (current as NodeJS.ErrnoException).code;
    if (typeof found === 'string' && found !== '') code = found;
    current = current.cause;
  }
  return code;
}

function httpsOrigin(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new VcdError('The URL of a vCloud Director must look like https://host[:port].', { code: 'BAD_CONNECTION' });
  }
  // The URL itself is not quoted: a person may have put a password into it.
  if (parsed.protocol !== 'https:' || parsed.username !== '' || parsed.password !== '') {
    throw new VcdError(`The URL of ${parsed.host} must begin with https:// and carry no credentials.`, {
      code: 'BAD_CONNECTION',
      subject: parsed.host,
    });
  }
  return parsed.origin;
}
