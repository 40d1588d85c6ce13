import type { IncomingMessage } from 'node:http';
import {
  type Logger,
  newId,
  parseXml,
  type RetryOptions,
  retry,
  Semaphore,
  throwIfAborted,
  type XmlElement,
  XmlError,
} from '../common/index.js';
import { badAnswer, errorFromAnswer, retryAfterMs, VcdError } from './error.js';
import { writeVcloudXml } from './namespaces.js';
import { type SessionToken, saysSessionEnded, VcdSession } from './session.js';
import { exchangeBytes, shortAnswer } from './stream-exchange.js';
import { Transport, type TransportAnswer } from './transport.js';
import type { VcdConnection } from './types.js';

export interface VcdRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** An href out of an answer, or a path under the registered host. */
  href: string;
  /** Begins the sentence of an error: `Reading vApp "shop"`. */
  operation: string;
  /** What the request is about, for VcdError.subject. */
  subject?: string;
  body?: XmlElement;
  contentType?: string;
  /** Media type without version; any vCloud XML where nothing is said. */
  accept?: string;
  /** May be sent again although the first may have been carried out. GET, PUT and DELETE may unless said otherwise. */
  idempotent?: boolean;
  signal?: AbortSignal;
}

export interface TransferRequest {
  method: 'GET' | 'PUT';
  /** Out of a File's link. */
  href: string;
  headers: Readonly<Record<string, string>>;
  /** Exactly as many bytes as the headers announce. */
  body?: AsyncIterable<Buffer>;
  operation: string;
  subject?: string;
  signal?: AbortSignal;
}

export interface VcdAnswer {
  status: number;
  text: string;
  location: string | undefined;
  requestId: string | undefined;
  /** VCD's own clock when it answered. */
  date: Date | undefined;
  /** @throws VcdError BAD_ANSWER when the body is not XML. */
  root(): XmlElement;
}

export const DEFAULTS = {
  requestTimeoutMs: 120_000,
  retryDeadlineMs: 300_000,
  retryBaseDelayMs: 500,
  retryMaxDelayMs: 15_000,
  retryAttempts: 60,
  maxConcurrentRequests: 8,
} as const;

/** A cell that starts, or a connection that broke: worth a little patience even where a person waits for the answer. */
const CONNECT_RETRY_CODES = new Set(['OVERLOADED', 'GATEWAY_FAILED', 'CONNECTION_LOST']);
const CONNECT_DEADLINE_MS = 30_000;

/** Authenticated requests to one VCD: tokens, retries, limits, and errors that say what failed. */
export class VcdHttp {
  readonly session: VcdSession;
  readonly #transport: Transport;
  readonly #connection: VcdConnection;
  readonly #limit: Semaphore;
  readonly #logger: Logger;
  #closed = false;
  #requestCount = 0;

  private constructor(transport: Transport, session: VcdSession, connection: VcdConnection, logger: Logger) {
    this.#transport = transport;
    this.session = session;
    this.#connection = connection;
    this.#logger = logger;
    this.#limit = new Semaphore(connection.maxConcurrentRequests ?? DEFAULTS.maxConcurrentRequests);
  }

  /** Negotiates the version and logs in, so that a wrong URL, certificate or password shows here and now. */
  static async connect(connection: VcdConnection, logger: Logger, signal?: AbortSignal): Promise<VcdHttp> {
    const transport = new Transport(connection.url, connection.trust);
    try {
      const retryIf = (error: unknown) => error instanceof VcdError && CONNECT_RETRY_CODES.has(error.code);
      const patience = { ...patienceOf(connection, signal), retryIf };
      patience.deadlineMs = Math.min(patience.deadlineMs, CONNECT_DEADLINE_MS);
      const session = await retry(patience, () => VcdSession.negotiate(transport, connection, signal));
      await retry(patience, () => session.token());
      throwIfAborted(signal);
      return new VcdHttp(transport, session, connection, logger);
    } catch (error) {
      transport.close();
      throw error;
    }
  }

  /** Requests sent, repeated ones included; logins are not among them. */
  get requestCount(): number {
    return this.#requestCount;
  }

  get host(): string {
    return this.#transport.host;
  }

  /** How long one request, or a standstill of a transfer, is waited for. */
  get requestTimeoutMs(): number {
    return this.#connection.requestTimeoutMs ?? DEFAULTS.requestTimeoutMs;
  }

  async get(href: string, operation: string, signal?: AbortSignal, subject?: string): Promise<VcdAnswer> {
    return this.request({ method: 'GET', href, operation, subject, signal });
  }

  /**
   * Sends until it is answered: what VCD refused before beginning (busy, over a limit) is repeated for
   * every method, what may have been done only where doing it twice is the same as once.
   */
  async request(request: VcdRequest): Promise<VcdAnswer> {
    const idempotent = request.idempotent ?? request.method !== 'POST';
    return retry(
      {
        ...patienceOf(this.#connection, request.signal),
        retryIf: (error) => error instanceof VcdError && error.retryable && (idempotent || !error.answerLost),
        onRetry: (error, attempt) => {
          const { code } = error as VcdError;
          this.#logger.debug({ host: this.host, operation: request.operation, code, attempt }, 'vCloud request is repeated');
        },
      },
      () => this.#once(request),
    );
  }

  /**
   * One try of fetching or sending bytes under a transfer address, whatever host its link names: the token goes to the
   * registered one alone. It takes no place among the requests: a transfer may last for hours.
   * @throws VcdError; `retryable` where the transfer may go on from where it broke. SESSION_ENDED: there is a new token now.
   */
  async transfer(request: TransferRequest): Promise<IncomingMessage> {
    this.#requireOpen(request.operation);
    const token = await this.session.token();
    this.#requestCount += 1;
    const headers = { accept: `application/*;version=${this.session.apiVersion}`, ...token.headers, ...request.headers };
    const outgoing = this.#transport.begin(request.method, targetOf(request.href), headers);
    const exchange = { ...request, timeoutMs: this.requestTimeoutMs, failureOf: this.failureOf(request) };
    const answer = await exchangeBytes(outgoing, exchange);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status <= 299) return answer;
    const refusal = await shortAnswer(answer, exchange);
    const error = errorFromAnswer({ ...refusal, operation: request.operation, subject: request.subject });
    if (!saysSessionEnded(refusal)) throw error;
    await this.session.renew(token);
    throw new VcdError(error.message, { code: 'SESSION_ENDED', retryable: true, subject: request.subject, operation: request.operation });
  }

  /** What a connection that broke in the middle of a transfer is as an error. */
  failureOf({ operation }: Pick<TransferRequest, 'operation'>): (error: unknown) => VcdError {
    return (error) => this.#transport.failureOf(error, { operation, timeoutMs: this.requestTimeoutMs });
  }

  /** How long and how often whatever VCD is too busy for is tried again. */
  patience(signal?: AbortSignal): Omit<RetryOptions, 'retryIf' | 'onRetry'> {
    return patienceOf(this.#connection, signal);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.session.logOut();
    this.#closed = true;
    this.#transport.close();
  }

  /** One try; a refused token is renewed once, a refused version once. Any other 403 is an answer, not a reason to log in again. */
  async #once(request: VcdRequest): Promise<VcdAnswer> {
    this.#requireOpen(request.operation);
    const release = await this.#limit.acquire(request.signal);
    try {
      const token = await this.session.token();
      const version = this.session.apiVersion;
      let answer = await this.#send(request, token);
      if (saysSessionEnded(answer)) {
        answer = await this.#send(request, await this.session.renew(token));
      } else if (answer.status === 406 && (await this.session.renegotiate(version))) {
        answer = await this.#send(request, await this.session.token());
      }
      return this.#read(request, answer);
    } finally {
      release();
    }
  }

  #requireOpen(operation: string): void {
    if (!this.#closed) return;
    throw new VcdError(`${operation} failed: the session to ${this.host} is closed.`, { code: 'CLIENT_CLOSED', operation });
  }

  #send(request: VcdRequest, token: SessionToken): Promise<TransportAnswer> {
    this.#requestCount += 1;
    const headers: Record<string, string> = {
      accept: `${request.accept ?? 'application/*+xml'};version=${this.session.apiVersion}`,
      'x-vmware-vcloud-client-request-id': `vapp-vault-${newId()}`,
      ...token.headers,
    };
    if (request.body !== undefined && request.contentType !== undefined) headers['content-type'] = request.contentType;
    return this.#transport.send({
      method: request.method,
      target: targetOf(request.href),
      headers,
      body: request.body === undefined ? undefined : writeVcloudXml(request.body),
      timeoutMs: this.requestTimeoutMs,
      operation: request.operation,
      signal: request.signal,
    });
  }

  #read(request: VcdRequest, answer: TransportAnswer): VcdAnswer {
    const { operation, subject } = request;
    const requestId = answer.header('x-vmware-vcloud-request-id');
    if (answer.status < 200 || answer.status > 299) {
      const pauseMs = retryAfterMs(answer.header('retry-after'), Date.now());
      throw errorFromAnswer({ status: answer.status, text: answer.text, operation, subject, requestId, retryAfterMs: pauseMs });
    }
    return {
      status: answer.status,
      text: answer.text,
      location: answer.header('location'),
      requestId,
      date: dateOf(answer.header('date')),
      root: () => rootOf(answer.text, operation, requestId),
    };
  }
}

function rootOf(text: string, operation: string, requestId: string | undefined): XmlElement {
  try {
    return parseXml(text);
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    const shape = /^\s*<(!doctype\s+)?html/i.test(text) ? 'an HTML page' : 'something that is not well-formed XML';
    throw badAnswer(operation, `vCloud Director answered with ${shape}`, requestId);
  }
}

function dateOf(header: string | undefined): Date | undefined {
  const atMs = Date.parse(header ?? '');
  return Number.isNaN(atMs) ? undefined : new Date(atMs);
}

function targetOf(href: string): string {
  const url = new URL(href, 'https://vcd');
  return `${url.pathname}${url.search}`;
}

function patienceOf(connection: VcdConnection, signal: AbortSignal | undefined): Omit<RetryOptions, 'retryIf' | 'onRetry'> {
  return {
    attempts: DEFAULTS.retryAttempts,
    baseDelayMs: connection.retryBaseDelayMs ?? DEFAULTS.retryBaseDelayMs,
    maxDelayMs: DEFAULTS.retryMaxDelayMs,
    deadlineMs: connection.retryDeadlineMs ?? DEFAULTS.retryDeadlineMs,
    leastDelayMs: (error: unknown) => (error instanceof VcdError ? (error.retryAfterMs ?? 0) : 0),
    ...(signal === undefined ? {} : { signal }),
  };
}
